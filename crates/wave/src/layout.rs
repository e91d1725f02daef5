//! The padded grid that fields live on.

use std::ops::Range;

use treewave_core::Grid;
use treewave_kernels::ends::BORDER;
use treewave_kernels::layer::radius_beside;
use treewave_kernels::lines::{HALF, LANES};

/// What is at the top of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Top {
    /// An absorbing layer above the model.
    Absorbing,
    /// A free surface at the first row of the model: the pressure is 0 there and odd about it.
    FreeSurface,
}

/// What surrounds the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Boundary {
    /// Width of the absorbing layer in cells.
    pub width_cells: usize,
    /// The top.
    pub top: Top,
}

/// The model's grid with the absorbing layer around it, and how a field is stored on it.
///
/// Padded cell `(ix, iy, iz)` stands at [`index`](Self::index); rows along z are contiguous. Around the padded grid
/// stand `radius` cells per axis in use that are always 0 (or, above a free surface, the mirror image).
///
/// Kernels work on rows of a fixed length, a multiple of their vectors, a little longer than the padded grid is deep: what
/// stands behind its last cell stays 0 in a field. Records, gradients and the layer's memory variables of the axes x and y
/// have rows of that length too; see [`cell`](Self::cell).
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Number of dimensions.
    pub dims: usize,
    /// Padded cells per axis.
    pub n: [usize; 3],
    /// Cells of the layer before and behind the model per axis.
    pub lo: [usize; 3],
    /// Cells of the layer behind the model per axis.
    pub hi: [usize; 3],
    /// Stencil radius.
    pub radius: usize,
    /// Whether the top is a free surface.
    pub free_surface: bool,
    /// Points of a row that kernels work on.
    pub row: usize,
    /// The parts of a row that the layer of axis z changes, in whole vectors: upper and lower end. One of them may be
    /// empty, and covers the row where the ends would meet.
    pub ends: [Range<usize>; 2],
    /// Elements of a stored row that stand before its first cell.
    pub front: usize,
    /// Distance in memory between neighbours along x and y.
    pub strides: [usize; 2],
    /// Elements of a field.
    pub len: usize,
    halo: [usize; 2],
}

impl Layout {
    /// The layout for a model grid, a boundary and a stencil radius.
    pub fn new(grid: &Grid, boundary: Boundary, radius: usize) -> Self {
        let width = boundary.width_cells;
        let free_surface = boundary.top == Top::FreeSurface;
        let (mut lo, mut hi, mut halo) = ([0; 3], [0; 3], [0; 2]);
        for &axis in grid.axes() {
            (lo[axis], hi[axis]) = (width, width);
            if axis < 2 {
                halo[axis] = radius;
            }
        }
        if free_surface {
            lo[2] = 0;
        }
        let n = [0, 1, 2].map(|a| grid.shape()[a] + lo[a] + hi[a]);
        let row = n[2].next_multiple_of(LANES);
        let ends = ends(n[2], row, lo[2], hi[2], radius);
        // Rows begin at a cache line.
        let front = LANES;
        let [sx, sy] = strides(grid.dims(), front + row, n[1] + 2 * halo[1], radius);
        let len = sx * (n[0] + 2 * halo[0]);
        let dims = grid.dims();
        Layout { dims, n, lo, hi, radius, free_surface, row, ends, front, strides: [sx, sy], len, halo }
    }

    /// Place of a padded cell in a field.
    #[inline(always)]
    pub fn index(&self, cell: [usize; 3]) -> usize {
        (cell[0] + self.halo[0]) * self.strides[0] + (cell[1] + self.halo[1]) * self.strides[1] + self.front + cell[2]
    }
    /// Place of a padded cell in a record or a gradient: rows without halo, z fastest.
    #[inline(always)]
    pub fn cell(&self, cell: [usize; 3]) -> usize {
        (cell[0] * self.n[1] + cell[1]) * self.row + cell[2]
    }
    /// Elements of a record or a gradient.
    pub fn cells(&self) -> usize {
        self.n[0] * self.n[1] * self.row
    }
    /// Cells of the padded grid.
    pub fn points(&self) -> usize {
        self.n.iter().product()
    }
    /// Elements of a field that stand before plane `ix = 0`.
    pub fn before(&self) -> usize {
        self.halo[0] * self.strides[0]
    }
    /// How far a point depends on points one step before.
    pub fn reach(&self) -> usize {
        self.radius.max(2 * radius_beside(self.radius))
    }
    /// Points of a row that kernels work on where no more than its first `depth` cells change: whole vectors, and the ends that
    /// begin there as a whole.
    pub fn row_points(&self, depth: usize) -> usize {
        let vectors = depth.next_multiple_of(LANES).min(self.row);
        let cut = self.ends.iter().filter(|end| end.start < vectors).map(|end| end.end).max();
        cut.map_or(vectors, |end| vectors.max(end.next_multiple_of(LANES).min(self.row)))
    }
    /// The axes in use.
    pub fn axes(&self) -> &'static [usize] {
        if self.dims == 2 { &[0, 2] } else { &[0, 1, 2] }
    }
    /// Cells of the layer along an axis, both sides.
    pub fn layer(&self, axis: usize) -> usize {
        self.lo[axis] + self.hi[axis]
    }
    /// First cell of the layer behind the model along an axis.
    pub fn high(&self, axis: usize) -> usize {
        self.n[axis] - self.hi[axis]
    }
    /// Place of a padded cell in the layer's own count along an axis, if it lies in the layer.
    #[inline(always)]
    pub fn in_layer(&self, axis: usize, i: usize) -> Option<usize> {
        if i < self.lo[axis] {
            Some(i)
        } else if i >= self.high(axis) && i < self.n[axis] {
            Some(i - self.high(axis) + self.lo[axis])
        } else {
            None
        }
    }
    /// Distances of neighbours along x and y in a record or a gradient.
    pub fn cell_strides(&self) -> [usize; 2] {
        [self.n[1] * self.row, self.row]
    }
    /// Elements of a memory variable of the layer of an axis.
    pub fn memory_len(&self, axis: usize) -> usize {
        let planes = if axis == 0 { self.layer(0) } else { self.n[0] };
        planes * self.memory_strides(axis)[0]
    }
    /// Distances of neighbours along x and y in a memory variable of the layer of an axis.
    pub fn memory_strides(&self, axis: usize) -> [usize; 2] {
        let row = if axis == 2 { self.end_row() } else { self.row };
        [row * if axis == 1 { self.layer(1) } else { self.n[1] }, row]
    }
    /// Place of a row, which lies in the layer of an axis, in a memory variable of it.
    #[inline(always)]
    pub fn memory_index(&self, axis: usize, (ix, iy): (usize, usize)) -> usize {
        let own =
            |a: usize, i: usize| if a == axis { self.in_layer(a, i).expect("the row lies in the layer") } else { i };
        let [x, y] = self.memory_strides(axis);
        own(0, ix) * x + own(1, iy) * y
    }
    /// Elements of a row of memory variables of the layer of axis z: its ends, with room for the stencils on both sides.
    pub fn end_row(&self) -> usize {
        let cells = self.ends[0].len() + self.ends[1].len();
        if cells == 0 { 0 } else { 2 * BORDER + cells }
    }
    /// The model cell whose value a padded cell has: cells of the layer copy the edge.
    pub fn model_cell(&self, cell: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|a| {
            let last = self.n[a] - self.lo[a] - self.hi[a] - 1;
            cell[a].saturating_sub(self.lo[a]).min(last)
        })
    }
}

/// Distances between neighbours along x and y in a field whose rows take so many points, a multiple of [`LANES`], and whose planes have so
/// many rows. What stands before a row also stands behind the one before it.
///
/// Rows that a stencil reads at the same time must not all be in the same few sets of the first-level cache, which repeat every 4 KiB
/// (`docs/performance.md` has figures).
fn strides(dims: usize, points: usize, rows: usize, radius: usize) -> [usize; 2] {
    const SETS: usize = 64;
    let lines = points / LANES;
    let up_to = |lines: usize, rest: usize| lines + (SETS + rest - lines % SETS) % SETS;
    if dims == 2 {
        let odd = lines | 1;
        let close = odd > SETS / 2 && (odd + 1) % SETS < 5;
        return [LANES * if close { up_to(odd, 5) } else { odd }; 2];
    }
    let plane = lines * rows;
    // Two planes are stepped at once. Where the cache has room besides all rows that these read along y, other planes stand apart in it;
    // if not, they push out each other rather than those. In small planes the room between them would be too much.
    let apart = if 2 * (2 * radius + 1) * lines <= 6 * SETS { SETS / 3 } else { 1 };
    let plane = if plane < 32 * SETS { plane | 1 } else { up_to(plane, apart) };
    [LANES * plane, LANES * lines]
}

/// The parts of a row of `n` cells, `row` points long, that a layer of `lo` and `hi` cells changes.
fn ends(n: usize, row: usize, lo: usize, hi: usize, radius: usize) -> [Range<usize>; 2] {
    if lo + hi == 0 {
        return [0..0, row..row];
    }
    let upper = if lo == 0 { 0 } else { (lo + radius).next_multiple_of(HALF) };
    let lower = match (n - hi).checked_sub(radius + upper) {
        Some(_) if hi == 0 && upper <= row => row,
        Some(between) if hi > 0 => upper + between / HALF * HALF,
        _ => return [0..row, row..row],
    };
    [0..upper, lower..row]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_whole_vectors_apart_from_each_other_and_cover_what_the_layer_changes() {
        for (n, lo, hi, radius) in (1_usize..90)
            .flat_map(|n| [0, 5, 20].map(|lo| (n, lo)))
            .flat_map(|(n, lo)| [0, 5, 20].map(|hi| (n, lo, hi)))
            .flat_map(|(n, lo, hi)| [1, 4, 8].map(|radius| (n + lo + hi, lo, hi, radius)))
        {
            let row = n.next_multiple_of(LANES);
            let [upper, lower] = ends(n, row, lo, hi, radius);
            let case = format!("n {n}, lo {lo}, hi {hi}, radius {radius}: {upper:?} {lower:?}");
            assert!(upper.start == 0 && upper.end <= lower.start && lower.end == row, "{case}");
            assert!(upper.len().is_multiple_of(HALF) && lower.len().is_multiple_of(HALF), "{case}");
            let changed = |i: usize| (lo > 0 && i < lo + radius) || (hi > 0 && i + radius >= n - hi);
            assert!((0..n).filter(|&i| changed(i)).all(|i| upper.contains(&i) || lower.contains(&i)), "{case}");
            assert!(lo + hi > 0 || upper.is_empty() && lower.is_empty(), "{case}");
        }
    }
    #[test]
    fn rows_that_a_stencil_reads_at_once_stand_apart_in_the_cache() {
        let sets = |elements: usize| elements / LANES % 64;
        for lines in 2..300 {
            let [x, y] = strides(2, lines * LANES, 1, 4);
            assert!(x == y && x >= lines * LANES && x <= (lines + 8) * LANES, "{lines} lines");
            assert!(lines < 32 || (4..=61).contains(&sets(x)), "{lines} lines");
        }
        for (lines, rows) in (2..80).flat_map(|lines| [9, 56, 120, 304, 509].map(|rows| (lines, rows))) {
            let [x, y] = strides(3, lines * LANES, rows, 4);
            assert!(
                y == lines * LANES && x >= rows * y && (x - rows * y) * 32 <= rows * y.max(32 * LANES),
                "{lines}, {rows}"
            );
            assert!(sets(x) == 21 || sets(x) == 1 || sets(x) % 2 == 1 && rows * lines < 2048, "{lines}, {rows}");
        }
    }
}
