//! Lengths at which a table is filled: every one up to a limit, then a fixed number per octave.

/// Lengths n with all of n < 2^(bits+1), then 2^bits of them per octave; index 0 stands for length 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    bits: u32,
    points: usize,
}

impl Grid {
    /// A grid that reaches `longest`; exact if no length up to it is left out.
    pub(super) fn new(longest: usize, bits: u32) -> Self {
        let mut grid = Grid { bits, points: 0 };
        let (index, rest) = grid.locate(longest);
        grid.points = index + 1 + usize::from(rest > 0);
        grid
    }

    /// A grid that holds every length up to `longest`.
    pub(super) fn exact(longest: usize) -> Self {
        Grid::new(longest, usize::BITS - longest.leading_zeros())
    }

    /// Number of lengths, with length 0.
    pub(super) fn points(&self) -> usize {
        self.points
    }

    /// The length of an index.
    pub(super) fn length(&self, index: usize) -> usize {
        let octave = index >> self.bits;
        if octave < 2 {
            return index;
        }
        ((index & ((1 << self.bits) - 1)) + (1 << self.bits)) << (octave - 1)
    }

    /// The index of the longest grid length not above n ≥ 1, and how far n is above it.
    #[inline]
    pub(super) fn locate(&self, n: usize) -> (usize, usize) {
        let shift = (usize::BITS - 1 - n.leading_zeros()).saturating_sub(self.bits);
        if shift == 0 {
            return (n, 0);
        }
        (((shift as usize) << self.bits) + (n >> shift), n & ((1 << shift) - 1))
    }

    /// A row of values at any length n ≥ 1, straight between the grid lengths.
    #[inline]
    pub(super) fn value(&self, row: &[f64], n: usize) -> f64 {
        let (index, rest) = self.locate(n);
        let low = row[index];
        // an infinite value has no difference to its neighbour
        if rest == 0 || low == f64::INFINITY {
            return low;
        }
        let gap = self.length(index + 1) - self.length(index);
        low + (row[index + 1] - low) * (rest as f64 / gap as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_found_between_its_neighbours() {
        for bits in 0..6 {
            let grid = Grid::new(5000, bits);
            for n in 1..=5000 {
                let (index, rest) = grid.locate(n);
                assert_eq!(grid.length(index) + rest, n);
                assert!(rest == 0 || n < grid.length(index + 1));
            }
            let lengths: Vec<f64> = (0..grid.points()).map(|i| grid.length(i) as f64).collect();
            assert!((1..=5000).all(|n| (grid.value(&lengths, n) - n as f64).abs() < 1e-9));
        }
    }

    #[test]
    fn an_exact_grid_leaves_no_length_out() {
        for longest in [1, 2, 3, 4, 7, 8, 1000, 1023, 1024] {
            let grid = Grid::exact(longest);
            assert_eq!(grid.points(), longest + 1);
            assert!((1..=longest).all(|n| grid.locate(n) == (n, 0) && grid.length(n) == n));
        }
    }
}
