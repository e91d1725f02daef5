//! Sources and receivers on the padded grid.

use std::ops::Range;

use treewave_core::{Grid, Real};
use treewave_kernels::sparse::axis_weights;

use crate::layout::Layout;

/// Some points between the cells of a grid, as the cells that stand for them, in the order of the grid.
///
/// What lies at a point is `Σ weight · cell` ([`gather`](Self::gather)); [`spread`](Self::spread) is the transpose.
#[derive(Clone, Debug)]
pub(crate) struct Points<T> {
    count: usize,
    cells: Vec<[usize; 3]>,
    /// The first cell of each plane, and the number of cells.
    planes: Vec<usize>,
    /// For every cell, where its shares begin; and the number of shares.
    begins: Vec<usize>,
    /// `(point, weight)`.
    shares: Vec<(usize, T)>,
}

impl<T: Real> Points<T> {
    /// No points.
    pub fn none() -> Self {
        Points { count: 0, cells: Vec::new(), planes: Vec::new(), begins: Vec::new(), shares: Vec::new() }
    }

    /// The points at some positions in m.
    ///
    /// # References
    /// Hicks (2002), see [`axis_weights`].
    pub fn new(layout: &Layout, grid: &Grid, positions_m: &[[f64; 3]]) -> Self {
        let mut shares = Vec::new();
        for (point, position_m) in positions_m.iter().enumerate() {
            let axes = [0, 1, 2].map(|a| {
                let cells = (position_m[a] - grid.origin_m()[a]) / grid.spacing_m()[a];
                let cells = if layout.axes().contains(&a) { cells } else { 0.0 };
                axis_weights(cells + layout.lo[a] as f64, layout.n[a], a == 2 && layout.free_surface)
            });
            for &(ix, wx) in &axes[0] {
                for &(iy, wy) in &axes[1] {
                    shares.extend(axes[2].iter().map(|&(iz, wz)| ([ix, iy, iz], point, T::from_f64(wx * wy * wz))));
                }
            }
        }
        shares.sort_by_key(|&(cell, point, _)| (cell, point));
        let (mut cells, mut begins) = (Vec::new(), Vec::new());
        for (i, &(cell, ..)) in shares.iter().enumerate() {
            if cells.last() != Some(&cell) {
                cells.push(cell);
                begins.push(i);
            }
        }
        begins.push(shares.len());
        let planes = (0..=layout.n[0]).map(|ix| cells.partition_point(|cell| cell[0] < ix)).collect();
        let shares = shares.into_iter().map(|(_, point, weight)| (point, weight)).collect();
        Points { count: positions_m.len(), cells, planes, begins, shares }
    }

    /// Number of points.
    pub fn count(&self) -> usize {
        self.count
    }
    /// The cells.
    pub fn cells(&self) -> &[[usize; 3]] {
        &self.cells
    }
    /// Bytes that are held.
    pub fn bytes(&self) -> usize {
        let indices = 3 * self.cells.capacity() + self.planes.capacity() + self.begins.capacity();
        indices * size_of::<usize>() + self.shares.capacity() * size_of::<(usize, T)>()
    }

    /// Numbers of the cells in some rows of some planes.
    pub fn within(&self, planes: &Range<usize>, rows: &Range<usize>) -> impl Iterator<Item = usize> {
        planes.clone().flat_map(move |ix| {
            let first = self.planes[ix];
            let cells = &self.cells[first..self.planes[ix + 1]];
            let before = |row: usize| first + cells.partition_point(|cell| cell[1] < row);
            if cells.is_empty() { 0..0 } else { before(rows.start)..before(rows.end) }
        })
    }

    /// What stands at each point, from what stands in the cells.
    pub fn gather(&self, cells: &[T], points: &mut [T]) {
        points.fill(T::ZERO);
        for (&value, shares) in cells.iter().zip(self.begins.windows(2)) {
            for &(point, weight) in &self.shares[shares[0]..shares[1]] {
                points[point] += weight * value;
            }
        }
    }

    /// What the points bring to a cell: `Σ weight · point`.
    pub fn spread(&self, cell: usize, points: &[T]) -> T {
        let shares = &self.shares[self.begins[cell]..self.begins[cell + 1]];
        shares.iter().fold(T::ZERO, |sum, &(point, weight)| sum + weight * points[point])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Boundary, Top};

    #[test]
    fn spreading_is_the_transpose_of_gathering_and_rows_find_their_cells() {
        let grid = Grid::new(&[30, 20, 25], &[10.0; 3], &[5.0; 3]).unwrap();
        for top in [Top::Absorbing, Top::FreeSurface] {
            let layout = Layout::new(&grid, Boundary { width_cells: 6, top }, 4);
            let positions = [[100.0, 95.0, 15.0], [103.0, 91.0, 17.0], [103.0, 91.0, 17.0], [208.0, 96.5, 120.0]];
            let points = Points::<f64>::new(&layout, &grid, &positions);
            let (n, count) = (points.cells().len(), points.count());
            assert_eq!(count, 4);
            assert!(points.cells().is_sorted() && n > 1);
            let cells: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
            let values: Vec<f64> = (0..count).map(|i| (i as f64 + 0.5).cos()).collect();
            let mut gathered = vec![7.0; count];
            points.gather(&cells, &mut gathered);
            let left: f64 = gathered.iter().zip(&values).map(|(a, b)| a * b).sum();
            let right: f64 = (0..n).map(|cell| points.spread(cell, &values) * cells[cell]).sum();
            assert!((left - right).abs() < 1e-12 * left.abs().max(1.0), "{left} {right}");
            // On a cell, a point is that cell.
            let on = Points::<f64>::new(&layout, &grid, &[[105.0, 95.0, 45.0]]);
            assert_eq!(on.cells(), [[10 + 6, 9 + 6, 4 + layout.lo[2]]]);
            let [nx, ny, _] = layout.n;
            let mut seen = Vec::new();
            for planes in [0..17, 17..18, 18..nx] {
                for rows in [0..15, 15..ny] {
                    let found: Vec<usize> = points.within(&planes, &rows).collect();
                    let inside = |cell: &[usize; 3]| planes.contains(&cell[0]) && rows.contains(&cell[1]);
                    assert!(found.iter().all(|&i| inside(&points.cells()[i])));
                    seen.extend(found);
                }
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..n).collect::<Vec<_>>());
        }
    }
}
