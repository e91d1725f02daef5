//! Rows of a field with their neighbours along an axis: where they stand, or copied where there are large values.

use std::ops::Range;

use treewave_kernels::MAX_RADIUS;
use treewave_kernels::fixed::{Around, Values};

use super::Level;
use crate::layout::Layout;

/// Copies of a row of large values and of its neighbours along each axis.
pub(super) struct Wide {
    rows: [Vec<i64>; 3],
    /// Points of each.
    n: usize,
}

impl Wide {
    pub fn new() -> Self {
        Wide { rows: [Vec::new(), Vec::new(), Vec::new()], n: 0 }
    }

    /// Takes over a part of a row of a field with its neighbours along an axis. Those beyond the radius, whose weights are 0, are 0.
    pub fn gather(&mut self, field: &Level, layout: &Layout, axis: usize, [ix, iy]: [usize; 2], part: &Range<usize>) {
        self.n = part.len();
        let (n, radius, rows) = (self.n, layout.radius, &mut self.rows[axis]);
        rows.clear();
        if axis == 2 {
            rows.resize(n + 2 * MAX_RADIUS, 0);
            let from = layout.index([ix, iy, part.start]) - radius;
            let to = &mut rows[MAX_RADIUS - radius..][..n + 2 * radius];
            return field.read(field.is_large(layout, ix, iy), from, to);
        }
        rows.resize((2 * MAX_RADIUS + 1) * n, 0);
        let (at, stride) = (layout.index([ix, iy, part.start]), layout.strides[axis]);
        for k in 0..=2 * radius {
            let mut cell = [ix, iy];
            // Outside of the grid no row is large.
            cell[axis] = (cell[axis] + k).checked_sub(radius).unwrap_or(usize::MAX);
            let is_large = field.is_large(layout, cell[0], cell[1]);
            let to = &mut rows[(MAX_RADIUS - radius + k) * n..][..n];
            field.read(is_large, at + k * stride - radius * stride, to);
        }
    }

    /// A row of a field with its neighbours along an axis: of whole values if it is busy.
    pub fn around<'a>(
        &'a mut self,
        field: &'a Level,
        layout: &Layout,
        axis: usize,
        cell: [usize; 2],
        is_busy: bool,
    ) -> Values<'a> {
        if is_busy {
            self.gather(field, layout, axis, cell, &(0..layout.row));
            return Values::Wide(self.gathered(axis));
        }
        Values::Low(low_around(field, layout, axis, cell))
    }

    /// What was gathered along an axis.
    pub fn gathered(&self, axis: usize) -> Around<'_, i64> {
        let (at, stride) = if axis == 2 { (MAX_RADIUS, 1) } else { (MAX_RADIUS * self.n, self.n) };
        Around { field: &self.rows[axis], at, stride }
    }
}

/// The low bits of a row with its neighbours along an axis.
pub(super) fn low_around<'a>(field: &'a Level, layout: &Layout, axis: usize, [ix, iy]: [usize; 2]) -> Around<'a, i32> {
    let stride = if axis == 2 { 1 } else { layout.strides[axis] };
    Around { field: &field.low, at: layout.index([ix, iy, 0]), stride }
}

/// The values from some point on.
pub(super) fn from_point(values: Values, point: usize) -> Values {
    match values {
        Values::Low(around) => Values::Low(around.from(point)),
        Values::Wide(around) => Values::Wide(around.from(point)),
    }
}
