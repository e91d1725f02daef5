//! The checkpoint pebble game with the least number of puts.
//!
//! C(n, p), the least number of puts that paint n squares, the first of which has a pebble, with p more in the pile:
//!
//! C(1, p) = 0, C(n, p) = min over 0 < m < n of  m + C(n−m, p−1) + C(m, p).
//!
//! A pebble walks to square m (a walk of more than one square needs a second pebble in the pile, since it is put before
//! the one behind it is taken), what lies beyond is painted, and then what lies before.
//!
//! # References
//! Griewank & Walther (2000); their game has a working state besides the snapshots, this one has not.

use super::GameError;
use super::checkpoint::CheckpointMove;
use super::table::{NEVER, Table, cheapest, sum};

/// The player.
#[derive(Clone, Debug)]
pub struct OptimalCheckpoint {
    squares: usize,
    pebbles: usize,
    table: Table,
}

/// Something still to be done.
enum Task {
    Paint { from: usize, length: usize, pebbles: usize },
    Move(CheckpointMove),
}

impl OptimalCheckpoint {
    /// The game on `squares` squares with `pebbles` pebbles besides the one on square 0.
    ///
    /// # Errors
    /// No square, too few pebbles, too large a board.
    pub fn new(squares: usize, pebbles: usize) -> Result<Self, GameError> {
        // more pebbles than squares to stand on change nothing
        let useful = pebbles.min(squares.saturating_sub(1));
        let table = Table::new(squares, useful, |table, n, p| match (n, p) {
            (1, _) => (0, 0),
            (_, 0) => (NEVER, 0),
            (_, 1) => cheapest(1..2, |m| sum([m as u64, table.cost(n - m, p - 1), table.cost(m, p)])),
            _ => cheapest(1..n, |m| sum([m as u64, table.cost(n - m, p - 1), table.cost(m, p)])),
        })?;
        if table.cost(squares, useful) == NEVER {
            return Err(GameError::TooFewPebbles { squares, needed: squares.min(3) - 1, found: pebbles });
        }
        Ok(OptimalCheckpoint { squares, pebbles: useful, table })
    }

    /// The least number of puts.
    pub fn puts(&self) -> u64 {
        self.table.cost(self.squares, self.pebbles)
    }

    /// The moves.
    pub fn moves(&self) -> impl Iterator<Item = CheckpointMove> + '_ {
        let mut todo = vec![Task::Paint { from: 0, length: self.squares, pebbles: self.pebbles }];
        std::iter::from_fn(move || {
            loop {
                match todo.pop()? {
                    Task::Move(one) => return Some(one),
                    Task::Paint { from, length: 1, .. } => return Some(CheckpointMove::Paint(from)),
                    Task::Paint { from, length, pebbles } => {
                        let middle = from + self.table.cut(length, pebbles);
                        todo.push(Task::Paint { from, length: middle - from, pebbles });
                        todo.push(Task::Move(CheckpointMove::Take(middle)));
                        let beyond = from + length - middle;
                        todo.push(Task::Paint { from: middle, length: beyond, pebbles: pebbles - 1 });
                        for square in (from + 1..=middle).rev() {
                            if square - 1 > from {
                                todo.push(Task::Move(CheckpointMove::Take(square - 1)));
                            }
                            todo.push(Task::Move(CheckpointMove::Put(square)));
                        }
                    }
                }
            }
        })
    }
}
