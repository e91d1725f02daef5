//! Which parts of the arrays belong to some rows of some planes.
#![allow(unsafe_code)]
#![allow(clippy::mut_from_ref, reason = "who calls these functions promises that each part is used once")]

use std::ops::Range;

use treewave_core::Real;
use treewave_kernels::{Lines, MAX_RADIUS};

use super::Acoustic;
use crate::shared::Shared;

/// Where rows begin: plane and row.
pub(super) type Place = (usize, usize);

impl<T: Real + Send + Sync> Acoustic<T> {
    /// The planes or rows of a range that lie in the layer of axis x or y.
    pub(super) fn in_layer(&self, axis: usize, range: Range<usize>) -> impl Iterator<Item = usize> {
        range.filter(move |&i| self.layout.in_layer(axis, i).is_some())
    }

    /// The planes or rows of a range that the layer of axis x or y changes.
    pub(super) fn near_layer(&self, axis: usize, range: Range<usize>) -> impl Iterator<Item = usize> {
        range.filter(move |&i| self.layout.layer(axis) > 0 && self.layout.near_layer(axis, i))
    }

    /// Some rows of some planes of a field, with all neighbours, for the kernels and the memory variables of an axis.
    ///
    /// # Safety
    /// While they are used, nobody writes to these planes, nor to those a stencil radius before and behind.
    #[inline(always)]
    pub(super) unsafe fn lines<'a>(
        &self,
        field: &'a Shared<T>,
        planes: Range<usize>,
        rows: &Range<usize>,
        axis: usize,
    ) -> Lines<'a, T> {
        let layout = &self.layout;
        let strides = layout.strides;
        let first = planes.start * strides[0];
        let end = (planes.end * strides[0] + 2 * layout.before()).min(layout.len);
        Lines {
            // SAFETY: the caller promises.
            field: unsafe { field.read(first..end) },
            start: layout.index([planes.start, rows.start, 0]) - first,
            counts: [planes.len(), rows.len()],
            strides,
            cells: layout.cell_strides(),
            memory: layout.memory_strides(axis),
            n: layout.row,
        }
    }

    /// `m` from the first cell of a row on.
    #[inline(always)]
    pub(super) fn m_from(&self, (ix, iy): Place) -> &[T] {
        &self.m[self.layout.index([ix, iy, 0])..]
    }

    /// The elements of rows from `first` on in an array of some distances.
    #[inline(always)]
    fn rows(lines: &Lines<T>, first: usize, distances: [usize; 2], n: usize) -> Range<usize> {
        let last = |axis: usize| lines.counts[axis].saturating_sub(1) * distances[axis];
        first..first + last(0) + last(1) + n
    }

    /// The same rows of a field, to be written.
    ///
    /// # Safety
    /// While they are used, nobody else uses these planes, apart from what stands outside of the rows.
    #[inline(always)]
    pub(super) unsafe fn field_mut<'a>(&self, field: &'a Shared<T>, lines: &Lines<T>, (ix, iy): Place) -> &'a mut [T] {
        // SAFETY: the caller promises.
        unsafe { field.write(Self::rows(lines, self.layout.index([ix, iy, 0]), lines.strides, lines.n)) }
    }

    /// The same rows of an array of the padded cells, to be written.
    ///
    /// # Safety
    /// While they are used, nobody else uses these planes.
    #[inline(always)]
    pub(super) unsafe fn cells_mut<'a>(&self, cells: &'a Shared<T>, lines: &Lines<T>, (ix, iy): Place) -> &'a mut [T] {
        // SAFETY: the caller promises.
        unsafe { cells.write(Self::rows(lines, self.layout.cell([ix, iy, 0]), lines.cells, lines.n)) }
    }

    /// Where the rows are in the memory variables of an axis; they lie in its layer.
    #[inline(always)]
    fn memory_rows(&self, axis: usize, lines: &Lines<T>, place: Place) -> Range<usize> {
        let n = if axis == 2 { self.layout.end_row() } else { lines.n };
        Self::rows(lines, self.layout.memory_index(axis, place), lines.memory, n)
    }

    /// The same rows of a memory variable of an axis.
    ///
    /// # Safety
    /// While they are used, nobody writes to these planes.
    #[inline(always)]
    pub(super) unsafe fn memory<'a>(&self, axis: usize, all: &'a Shared<T>, lines: &Lines<T>, place: Place) -> &'a [T] {
        // SAFETY: the caller promises.
        unsafe { all.read(self.memory_rows(axis, lines, place)) }
    }

    /// The same rows of a memory variable of an axis, to be written.
    ///
    /// # Safety
    /// While they are used, nobody else uses these planes.
    #[inline(always)]
    pub(super) unsafe fn memory_mut<'a>(
        &self,
        axis: usize,
        all: &'a Shared<T>,
        lines: &Lines<T>,
        place: Place,
    ) -> &'a mut [T] {
        // SAFETY: the caller promises.
        unsafe { all.write(self.memory_rows(axis, lines, place)) }
    }

    /// The rows of a memory variable across axis x or y, from `radius` before cell `i` to `radius` behind; zeros where there is
    /// no layer.
    ///
    /// # Safety
    /// While they are used, nobody writes to these planes.
    #[inline(always)]
    pub(super) unsafe fn across<'a>(
        &'a self,
        axis: usize,
        i: usize,
        radius: usize,
        all: &'a Shared<T>,
        lines: &Lines<T>,
        place: Place,
    ) -> [&'a [T]; 2 * MAX_RADIUS + 1] {
        let mut found = [&self.zeros[..]; 2 * MAX_RADIUS + 1];
        for (k, to) in found[..2 * radius + 1].iter_mut().enumerate() {
            if let Some(i) = (i + k).checked_sub(radius).filter(|&i| self.layout.in_layer(axis, i).is_some()) {
                let place = if axis == 0 { (i, place.1) } else { (place.0, i) };
                // SAFETY: the caller promises.
                *to = unsafe { self.memory(axis, all, lines, place) };
            }
        }
        found
    }

    /// The filter coefficients `a` of the same cells; 0 where there is no layer.
    #[inline(always)]
    pub(super) fn a_across(&self, axis: usize, i: usize, radius: usize) -> [T; 2 * MAX_RADIUS + 1] {
        let mut a = [T::ZERO; 2 * MAX_RADIUS + 1];
        for (k, to) in a[..2 * radius + 1].iter_mut().enumerate() {
            let s = (i + k).checked_sub(radius).and_then(|i| self.layout.in_layer(axis, i));
            *to = s.map_or(T::ZERO, |s| self.profiles[axis].a[s]);
        }
        a
    }
}
