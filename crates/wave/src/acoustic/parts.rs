//! Which parts of the arrays belong to a tile.
#![allow(unsafe_code)]
#![allow(clippy::mut_from_ref, reason = "who calls these functions promises that each part is used once")]

use std::ops::Range;

use treewave_core::Real;
use treewave_kernels::{Lines, Shared, SideLayer, Sides};

use super::Acoustic;
use crate::tiles::Tile;

/// Where rows begin: plane and row.
type Place = (usize, usize);

impl<T: Real + Send + Sync> Acoustic<T> {
    /// Some rows of some planes of a field, with all that a step reads around them.
    ///
    /// # Safety
    /// While they are used, nobody writes to these planes, nor to those a reach before and behind.
    pub(super) unsafe fn lines<'a>(
        &self,
        field: &'a Shared<T>,
        planes: &Range<usize>,
        rows: &Range<usize>,
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
            memory: layout.memory_strides(2),
            side_memory: [0, 1].map(|axis| layout.memory_strides(axis)),
            n: layout.row,
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

    /// `m` from the first cell of a row on.
    pub(super) fn m_from(&self, (ix, iy): Place) -> &[T] {
        &self.m[self.layout.index([ix, iy, 0])..]
    }

    /// The elements of rows from `first` on in an array of some distances.
    fn rows(lines: &Lines<T>, first: usize, distances: [usize; 2], n: usize) -> Range<usize> {
        let last = |axis: usize| lines.counts[axis].saturating_sub(1) * distances[axis];
        first..first + last(0) + last(1) + n
    }

    /// The rows of a tile in a field, to be written.
    ///
    /// # Safety
    /// While they are used, nobody else uses these planes, apart from what stands outside of the rows.
    pub(super) unsafe fn field_mut<'a>(&self, field: &'a Shared<T>, lines: &Lines<T>, (ix, iy): Place) -> &'a mut [T] {
        // SAFETY: the caller promises.
        unsafe { field.write(Self::rows(lines, self.layout.index([ix, iy, 0]), lines.strides, lines.n)) }
    }

    /// The same rows of an array of the padded cells, to be written.
    ///
    /// # Safety
    /// While they are used, nobody else uses these planes.
    pub(super) unsafe fn cells_mut<'a>(&self, cells: &'a Shared<T>, lines: &Lines<T>, (ix, iy): Place) -> &'a mut [T] {
        // SAFETY: the caller promises.
        unsafe { cells.write(Self::rows(lines, self.layout.cell([ix, iy, 0]), lines.cells, lines.n)) }
    }

    /// Sets the rows of a tile in an array of the padded cells to zero.
    ///
    /// # Safety
    /// Nobody else uses these rows meanwhile.
    pub(super) unsafe fn clear_cells(&self, cells: &Shared<T>, Tile { planes, rows, .. }: &Tile) {
        for (ix, iy) in planes.clone().flat_map(|ix| rows.clone().map(move |iy| (ix, iy))) {
            let first = self.layout.cell([ix, iy, 0]);
            // SAFETY: the caller promises.
            unsafe { cells.write(first..first + self.layout.row) }.fill(T::ZERO);
        }
    }

    /// The same rows of a memory variable of the layer of axis z, to be written.
    ///
    /// # Safety
    /// While they are used, nobody else uses these planes.
    pub(super) unsafe fn ends_mut<'a>(&self, all: &'a Shared<T>, lines: &Lines<T>, place: Place) -> &'a mut [T] {
        let (first, row) = (self.layout.memory_index(2, place), self.layout.end_row());
        // SAFETY: the caller promises.
        unsafe { all.write(Self::rows(lines, first, lines.memory, row)) }
    }
}
