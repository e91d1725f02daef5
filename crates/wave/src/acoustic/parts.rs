//! Which parts of the arrays belong to a tile.
#![allow(unsafe_code)]
#![allow(clippy::mut_from_ref, reason = "who calls these functions promises that each part is used once")]

use std::ops::Range;

use treewave_core::Real;
use treewave_kernels::{LayerEnd, Lines, Shared, SideLayer, Sides};

use super::Acoustic;
use crate::layout::Layout;
use crate::record::{RowMut, SharedRecord, SharedValues};
use crate::tiles::Tile;

/// Where rows begin: plane and row.
type Place = (usize, usize);

/// Rows of the padded cells: of the whole grid, or of a tile.
pub(super) struct Cells<'a, 'b, T> {
    pub array: &'b Shared<'a, T>,
    /// Distances of neighbours along x and y.
    pub strides: [usize; 2],
    /// The first row in the array.
    first: Place,
}

impl<'a, 'b, T> Cells<'a, 'b, T> {
    /// An array of all padded cells.
    pub fn of_grid(array: &'b Shared<'a, T>, layout: &Layout) -> Self {
        Cells { array, strides: layout.cell_strides(), first: (0, 0) }
    }

    /// An array of the cells of a tile.
    pub fn of_tile(array: &'b Shared<'a, T>, tile: &Tile, layout: &Layout) -> Self {
        let strides = [tile.rows.len() * layout.row, layout.row];
        Cells { array, strides, first: (tile.planes.start, tile.rows.start) }
    }

    /// Place of a padded cell.
    pub fn place(&self, [ix, iy, iz]: [usize; 3]) -> usize {
        (ix - self.first.0) * self.strides[0] + (iy - self.first.1) * self.strides[1] + iz
    }

    /// Sets some cells of the rows of a tile to zero.
    ///
    /// # Safety
    /// Nobody else uses these rows of the array.
    pub unsafe fn clear(&self, cells: Range<usize>, tile: &Tile)
    where
        T: Real,
    {
        for [ix, iy] in tile.places().filter(|_| !cells.is_empty()) {
            let row = self.place([ix, iy, 0]);
            // SAFETY: the caller promises.
            unsafe { self.array.write(row + cells.start..row + cells.end) }.fill(T::ZERO);
        }
    }

    /// The rows of a tile, to be written.
    ///
    /// # Safety
    /// While they are used, nobody else uses these planes of the array.
    pub unsafe fn rows_mut(&self, lines: &Lines<T>, (ix, iy): Place) -> &'b mut [T] {
        // SAFETY: the caller promises.
        unsafe { self.array.write(rows(lines, self.place([ix, iy, 0]), self.strides, lines.n)) }
    }
}

/// A row of a record, to be written.
///
/// # Safety
/// While it is used, nobody else uses it.
pub(super) unsafe fn record_row<'a, T: Real>(record: &'a SharedRecord<T>, row: usize) -> RowMut<'a, T> {
    let part = record.part(row);
    // SAFETY: the caller promises.
    unsafe {
        match &record.values {
            SharedValues::Full(values) => RowMut::Full(values.write(part)),
            SharedValues::Half { values, exponents } => {
                RowMut::Half(values.write(part), &mut exponents.write(row..row + 1)[0])
            }
        }
    }
}

/// The elements of rows from `first` on in an array of some distances.
fn rows<T>(lines: &Lines<T>, first: usize, distances: [usize; 2], n: usize) -> Range<usize> {
    let last = |axis: usize| lines.counts[axis].saturating_sub(1) * distances[axis];
    first..first + last(0) + last(1) + n
}

impl<T: Real + Send + Sync> Acoustic<T> {
    /// The first `n` points of some rows of some planes of a field, with all that a step reads around them.
    ///
    /// # Safety
    /// While they are used, nobody writes to these planes, nor to those a reach before and behind.
    pub(super) unsafe fn lines<'a>(
        &self,
        field: &'a Shared<T>,
        planes: &Range<usize>,
        rows: &Range<usize>,
        n: usize,
    ) -> Lines<'a, T> {
        let layout = &self.layout;
        let [x, _] = layout.strides;
        // Planes of the stored field, which has a halo.
        let halo = layout.before() / x;
        let first = (planes.start + halo).saturating_sub(self.reach.max(halo)) * x;
        let end = ((planes.end + halo + self.reach.max(halo)) * x).min(layout.len);
        Lines {
            // SAFETY: the caller promises.
            field: unsafe { field.read(first..end) },
            start: layout.index([planes.start, rows.start, 0]) - first,
            counts: [planes.len(), rows.len()],
            strides: layout.strides,
            cells: layout.cell_strides(),
            record: layout.cell_strides(),
            memory: layout.memory_strides(2),
            side_memory: [0, 1].map(|axis| layout.memory_strides(axis)),
            n,
        }
    }

    /// The layers of the axes x and y, if they change what a tile computes or if a step must see to their memory variables
    /// there: `[ψ, ζ]` forward, `[P, Z]` back, and `Z` one step before.
    pub(super) fn sides<'a>(&'a self, tile: &Tile, memory: [[&'a Shared<'a, T>; 3]; 2]) -> Sides<'a, T> {
        let layout = &self.layout;
        let range = [&tile.planes, &tile.rows];
        [0, 1].map(|axis| {
            // What is ahead of the tile, at most a reach, may lie in the layer.
            let (start, end) = (range[axis].start.saturating_sub(layout.radius), range[axis].end + self.reach);
            let concerned = layout.layer(axis) > 0 && (start < layout.lo[axis] || end > layout.high(axis));
            concerned.then(|| SideLayer {
                a: &self.profiles[axis].a,
                b: &self.profiles[axis].b,
                low: layout.lo[axis],
                high: layout.high(axis),
                cells: layout.n[axis],
                first: [tile.planes.start, tile.rows.start],
                memory: memory[axis],
                zeros: &self.zeros,
            })
        })
    }

    /// The layer of axis z at those ends of a row that stand in its first `n` points.
    pub(super) fn ends(&self, n: usize) -> &[LayerEnd<T>] {
        let within = self.ends.iter().take_while(|end| end.begin < n).count();
        &self.ends[..within]
    }

    /// `m` from the first cell of a row on.
    pub(super) fn m_from(&self, (ix, iy): Place) -> &[T] {
        &self.m[self.layout.index([ix, iy, 0])..]
    }

    /// The numbers of the rows of a tile in the padded grid.
    pub(super) fn rows_of(&self, tile: &Tile) -> impl Iterator<Item = usize> + use<T> {
        let n = self.layout.n[1];
        tile.places().map(move |[ix, iy]| ix * n + iy)
    }

    /// The rows of a tile in a field, to be written.
    ///
    /// # Safety
    /// While they are used, nobody else uses these planes, apart from what stands outside of the rows.
    pub(super) unsafe fn field_mut<'a>(&self, field: &'a Shared<T>, lines: &Lines<T>, (ix, iy): Place) -> &'a mut [T] {
        // SAFETY: the caller promises.
        unsafe { field.write(rows(lines, self.layout.index([ix, iy, 0]), lines.strides, lines.n)) }
    }

    /// The same rows of a memory variable of the layer of axis z, to be written.
    ///
    /// # Safety
    /// While they are used, nobody else uses these planes.
    pub(super) unsafe fn ends_mut<'a>(&self, all: &'a Shared<T>, lines: &Lines<T>, place: Place) -> &'a mut [T] {
        let (first, row) = (self.layout.memory_index(2, place), self.layout.end_row());
        // SAFETY: the caller promises.
        unsafe { all.write(rows(lines, first, lines.memory, row)) }
    }
}
