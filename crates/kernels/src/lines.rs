//! Rows of a field at equal distances, and what kernels must know of the arrays beside it.

/// Rows that kernels work on are a multiple of this many points long, the most that a vector has.
pub const LANES: usize = 16;
/// Ends of rows are a multiple of this many points long.
pub const HALF: usize = 8;

/// Rows of a field, at equal distances, and where their neighbours are.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a, T> {
    /// The field.
    pub field: &'a [T],
    /// Index of the first point of the first row.
    pub start: usize,
    /// Distances of neighbours along x and y.
    pub strides: [usize; 2],
    /// Number of rows.
    pub count: usize,
    /// Distance between rows: in 3-D that of neighbours along y, in 2-D along x.
    pub line: usize,
    /// Points of a row.
    pub n: usize,
}

impl<T> Lines<'_, T> {
    /// Checks that all points of the rows, and `radius` neighbours of each at some distance, lie in the field.
    #[inline(always)]
    pub(crate) fn check(&self, radius: usize, stride: usize) {
        let reach = radius.checked_mul(stride).filter(|&reach| reach <= self.start);
        let end = reach.and_then(|reach| self.start.checked_add(reach));
        let inside =
            end.is_some_and(|end| end <= self.field.len() && holds(&self.field[end..], self.count, self.line, self.n));
        assert!(inside, "rows and their neighbours lie in the field");
    }

    /// The first point of the first row.
    #[inline(always)]
    pub(crate) fn first(&self) -> *const T {
        self.field[self.start..].as_ptr()
    }
}

/// Whether an array holds `count` rows of `n` points, at some distance of each other.
#[inline(always)]
pub(crate) fn holds<T>(array: &[T], count: usize, distance: usize, n: usize) -> bool {
    let last = count.saturating_sub(1).checked_mul(distance);
    last.and_then(|last| last.checked_add(n)).is_some_and(|end| end <= array.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_outside_the_field_are_refused() {
        let field = vec![0.0; 100];
        let lines = |start, count, line, n| Lines { field: &field, start, strides: [10, 10], count, line, n };
        let refused =
            |lines: Lines<f64>, radius, stride| std::panic::catch_unwind(|| lines.check(radius, stride)).is_err();
        assert!(!refused(lines(20, 3, 16, 16), 2, 10));
        assert!(!refused(lines(0, 1, 16, 100), 2, 0));
        for (lines, radius, stride) in [
            (lines(19, 3, 16, 16), 2, 10),
            (lines(20, 4, 16, 16), 2, 10),
            (lines(33, 3, 16, 16), 2, 10),
            (lines(20, 1, 16, 16), 2, usize::MAX / 2 + 2),
            (lines(20, 3, usize::MAX / 2 + 1, 16), 2, 1),
            (lines(usize::MAX, 1, 16, 16), 0, 1),
            (lines(20, 1, 16, usize::MAX), 1, 1),
        ] {
            assert!(refused(lines, radius, stride), "{lines:?}");
        }
    }
}
