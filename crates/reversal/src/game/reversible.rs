//! The reversible pebble game.
//!
//! Squares 0 … n in a row, a pebble on square 0 that stays there, and p pebbles in a pile.
//!
//! - *Put*: from the pile onto square i+1, if there is a pebble on square i: `x[i+1] += f(x[i])`.
//! - *Remove*: from square i+1, back to the pile, if there is a pebble on square i: `x[i+1] −= f(x[i])`, which leaves zero.
//!
//! Both count. The game ends when there is a pebble on square n; a *clean* game ends when there is no other one left,
//! that on square 0 excepted.
//!
//! # References
//! Bennett (1989); Liu & Xu (2021), section 3.

use thiserror::Error;

/// One move: a pebble put on a square, or removed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReversibleMove {
    /// The square.
    pub square: usize,
    /// Put (computed) rather than removed (un-computed).
    pub put: bool,
}

/// What was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReversibleCounts {
    /// Pebbles put: forward steps.
    pub forward: u64,
    /// Pebbles removed: steps that un-compute.
    pub reverse: u64,
    /// Pebbles on the board at the same time, at most, that on square 0 counted.
    pub peak_pebbles: usize,
    /// Moves until there was first a pebble on the last square.
    pub until_reached: Option<u64>,
}

impl ReversibleCounts {
    /// All moves.
    pub fn total(&self) -> u64 {
        self.forward + self.reverse
    }
}

/// Which rule a move breaks.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ReversibleFault {
    /// There is no such square to move on; the pebble of square 0 stays.
    #[error("square {square} is none of the squares 1 to {last}")]
    OffBoard {
        /// The square.
        square: usize,
        /// The last square.
        last: usize,
    },
    /// Pebbles are put and removed only next to another one.
    #[error("the pebble of square {square} cannot be moved: there is none on the square before")]
    NothingBefore {
        /// The square.
        square: usize,
    },
    /// A square has room for one pebble.
    #[error("there is a pebble on square {square} already")]
    Occupied {
        /// The square.
        square: usize,
    },
    /// There is no pebble to remove.
    #[error("there is no pebble on square {square}")]
    Empty {
        /// The square.
        square: usize,
    },
    /// The pile is empty.
    #[error("there is no pebble left to put on square {square}")]
    EmptyPile {
        /// The square.
        square: usize,
    },
    /// The game ended without its result.
    #[error("the game ended without a pebble on square {last}")]
    Unfinished {
        /// The last square.
        last: usize,
    },
    /// A clean game leaves nothing behind.
    #[error("the game ended with {left} pebbles between its start and its end")]
    Unclean {
        /// Pebbles left.
        left: usize,
    },
}

/// The board, in the middle of a game.
#[derive(Clone, Debug)]
pub struct ReversibleGame {
    standing: Vec<bool>,
    on_board: usize,
    pebbles: usize,
    counts: ReversibleCounts,
}

impl ReversibleGame {
    /// A board of the squares 0 to `last` with a pebble on square 0 and `pebbles` in the pile.
    pub fn new(last: usize, pebbles: usize) -> Self {
        let mut standing = vec![false; last + 1];
        standing[0] = true;
        let counts = ReversibleCounts { peak_pebbles: 1, ..ReversibleCounts::default() };
        ReversibleGame { standing, on_board: 1, pebbles: pebbles + 1, counts }
    }

    /// Plays a whole game, to a clean end if `clean`.
    ///
    /// # Errors
    /// The first fault.
    pub fn play(
        last: usize,
        pebbles: usize,
        clean: bool,
        moves: impl IntoIterator<Item = ReversibleMove>,
    ) -> Result<ReversibleCounts, ReversibleFault> {
        let mut game = ReversibleGame::new(last, pebbles);
        moves.into_iter().try_for_each(|one| game.apply(one))?;
        game.finish(clean)
    }

    /// Makes one move.
    ///
    /// # Errors
    /// The rules forbid it; the board is then as before.
    pub fn apply(&mut self, one: ReversibleMove) -> Result<(), ReversibleFault> {
        let ReversibleMove { square, put } = one;
        let last = self.standing.len() - 1;
        if square == 0 || square > last {
            return Err(ReversibleFault::OffBoard { square, last });
        }
        if !self.standing[square - 1] {
            return Err(ReversibleFault::NothingBefore { square });
        }
        match (put, self.standing[square]) {
            (true, true) => return Err(ReversibleFault::Occupied { square }),
            (true, false) if self.on_board == self.pebbles => return Err(ReversibleFault::EmptyPile { square }),
            (false, false) => return Err(ReversibleFault::Empty { square }),
            _ => self.standing[square] = put,
        }
        if put {
            self.on_board += 1;
            self.counts.forward += 1;
            self.counts.peak_pebbles = self.counts.peak_pebbles.max(self.on_board);
            if square == last && self.counts.until_reached.is_none() {
                self.counts.until_reached = Some(self.counts.total());
            }
        } else {
            self.on_board -= 1;
            self.counts.reverse += 1;
        }
        Ok(())
    }

    /// What was moved, after a complete game.
    ///
    /// # Errors
    /// No pebble on the last square; other ones left on the board although the game was to be `clean`.
    pub fn finish(&self, clean: bool) -> Result<ReversibleCounts, ReversibleFault> {
        let last = self.standing.len() - 1;
        if !self.standing[last] {
            return Err(ReversibleFault::Unfinished { last });
        }
        match self.on_board - 1 - usize::from(last > 0) {
            left if clean && left > 0 => Err(ReversibleFault::Unclean { left }),
            _ => Ok(self.counts),
        }
    }
}
