//! Rows of a field at equal distances, and what kernels must know of the arrays beside it.

/// Rows that kernels work on are a multiple of this many points long, the most that a vector has.
pub const LANES: usize = 16;
/// Ends of rows are a multiple of this many points long.
pub const HALF: usize = 8;

/// Some rows of some planes of a field, and how far apart they stand in each kind of array.
///
/// Distances are those of neighbours along x (planes) and y (rows).
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a, T> {
    /// The field.
    pub field: &'a [T],
    /// Index of the first point of the first row.
    pub start: usize,
    /// Number of planes, and of rows of each.
    pub counts: [usize; 2],
    /// Distances in fields.
    pub strides: [usize; 2],
    /// Distances in gradients.
    pub cells: [usize; 2],
    /// Distances in records.
    pub record: [usize; 2],
    /// Distances in the memory variables of the layer of axis z.
    pub memory: [usize; 2],
    /// Distances in the memory variables of the layers of the axes x and y.
    pub side_memory: [[usize; 2]; 2],
    /// Points of a row.
    pub n: usize,
}

impl<T> Lines<'_, T> {
    /// Checks that all points of the rows, and `radius` neighbours of each at some distance, lie in the field.
    #[inline(always)]
    pub(crate) fn check(&self, radius: usize, stride: usize) {
        let reach = radius.checked_mul(stride).filter(|&reach| reach <= self.start);
        let end = reach.and_then(|reach| self.start.checked_add(reach));
        let inside = end
            .is_some_and(|end| end <= self.field.len() && holds(&self.field[end..], self.counts, self.strides, self.n));
        assert!(inside, "rows and their neighbours lie in the field");
    }

    /// Checks that arrays with the rows of a field, without their neighbours, hold `n` points of each.
    #[inline(always)]
    pub(crate) fn in_field(&self, array: &[T], n: usize) {
        assert!(holds(array, self.counts, self.strides, n), "rows lie in the field");
    }

    /// Checks that a gradient holds `n` points of each row.
    #[inline(always)]
    pub(crate) fn in_cells(&self, array: &[T], n: usize) {
        assert!(holds(array, self.counts, self.cells, n), "rows lie in the gradient");
    }

    /// Checks that a record holds `n` points of each row.
    #[inline(always)]
    pub(crate) fn in_record(&self, array: &[T], n: usize) {
        assert!(holds(array, self.counts, self.record, n), "rows lie in the record");
    }

    /// Checks that a memory variable holds `n` points of each row.
    #[inline(always)]
    pub(crate) fn in_memory(&self, array: &[T], n: usize) {
        assert!(holds(array, self.counts, self.memory, n), "rows lie in the memory variable");
    }

    /// The first point of the first row.
    #[inline(always)]
    pub(crate) fn first(&self) -> *const T {
        self.field[self.start..].as_ptr()
    }
}

/// Whether an array holds `n` points of so many rows of so many planes, at some distances of each other.
#[inline(always)]
pub(crate) fn holds<T>(array: &[T], counts: [usize; 2], distances: [usize; 2], n: usize) -> bool {
    let last = |axis: usize| counts[axis].saturating_sub(1).checked_mul(distances[axis]);
    let end = last(0).zip(last(1)).and_then(|(x, y)| x.checked_add(y)).and_then(|last| last.checked_add(n));
    end.is_some_and(|end| end <= array.len())
}
