//! The least cost of games on shorter boards with fewer pebbles, from which that of longer ones follows.

use super::GameError;

/// The cost of what cannot be done.
pub(super) const NEVER: u64 = u64::MAX;

/// Comparisons that are made at most: some seconds' worth.
const MOST_WORK: u64 = 4_000_000_000;

/// For every number of squares and of pebbles the least cost and where the board is cut for it.
#[derive(Clone, Debug)]
pub(super) struct Table {
    squares: usize,
    cells: Vec<(u64, u32)>,
}

impl Table {
    /// Fills the table for up to `squares` squares and `pebbles` pebbles; `best` gives cost and cut of a board from those
    /// of shorter boards with as many pebbles and of all boards with fewer.
    pub(super) fn new(
        squares: usize,
        pebbles: usize,
        best: impl Fn(&Table, usize, usize) -> (u64, usize),
    ) -> Result<Self, GameError> {
        if squares == 0 {
            return Err(GameError::NoSquares);
        }
        let work =
            (squares as u64).saturating_mul(squares as u64).saturating_mul((pebbles as u64).saturating_add(1)) / 2;
        if work > MOST_WORK {
            return Err(GameError::TooLarge { squares, pebbles, work, limit: MOST_WORK });
        }
        let mut table = Table { squares, cells: Vec::with_capacity((pebbles + 1) * squares) };
        for p in 0..=pebbles {
            for n in 1..=squares {
                let (cost, cut) = best(&table, n, p);
                table.cells.push((cost, cut as u32));
            }
        }
        Ok(table)
    }

    /// The least cost on `n` squares with `p` pebbles, or [`NEVER`].
    pub(super) fn cost(&self, n: usize, p: usize) -> u64 {
        self.cells[p * self.squares + n - 1].0
    }

    /// Where the board is cut for that.
    pub(super) fn cut(&self, n: usize, p: usize) -> usize {
        self.cells[p * self.squares + n - 1].1 as usize
    }
}

/// A sum of costs, one of which may be [`NEVER`].
pub(super) fn sum<const N: usize>(costs: [u64; N]) -> u64 {
    costs.into_iter().fold(0, u64::saturating_add)
}

/// The cheapest of the cuts, the first of equal ones; `(NEVER, 0)` if there is none.
pub(super) fn cheapest(cuts: impl Iterator<Item = usize>, cost: impl Fn(usize) -> u64) -> (u64, usize) {
    cuts.map(|cut| (cost(cut), cut)).min().filter(|best| best.0 < NEVER).unwrap_or((NEVER, 0))
}
