//! The checkpoint pebble game.
//!
//! Squares 0 … n−1 in a row, a pebble on square 0, and p pebbles in a pile.
//!
//! - *Put*: from the pile onto square i+1, if there is a pebble on square i. This counts: one step is computed.
//! - *Take*: any pebble, back to the pile, at any time.
//! - *Paint*: square i, if there is a pebble on it and square i+1 is painted (or i is the last one): one adjoint step.
//!
//! The game ends when every square is painted. A player wants as few puts as possible.
//!
//! # References
//! Liu & Xu (2021), section 3; as in the reference tables, square i stands for the state before step i, so that the state
//! after the last step has no square.

use thiserror::Error;

/// One move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointMove {
    /// A pebble from the pile onto this square.
    Put(usize),
    /// The pebble of this square back to the pile.
    Take(usize),
    /// This square is painted.
    Paint(usize),
}

/// What was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointCounts {
    /// Pebbles put: forward steps.
    pub puts: u64,
    /// Pebbles taken.
    pub takes: u64,
    /// Squares painted: adjoint steps.
    pub paints: u64,
    /// Pebbles on the board at the same time, at most, the first one on square 0 counted.
    pub peak_pebbles: usize,
}

/// Which rule a move breaks.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CheckpointFault {
    /// There is no such square.
    #[error("there is no square {square} on a board of {squares}")]
    OffBoard {
        /// The square.
        square: usize,
        /// Squares of the board.
        squares: usize,
    },
    /// A pebble is put only next to another one.
    #[error("no pebble can be put on square {square}: there is none on the square before")]
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
    /// The pile is empty.
    #[error("there is no pebble left to put on square {square}")]
    EmptyPile {
        /// The square.
        square: usize,
    },
    /// There is no pebble to take, or none to paint with.
    #[error("there is no pebble on square {square}")]
    Empty {
        /// The square.
        square: usize,
    },
    /// Squares are painted from the last to the first, each once.
    #[error("square {square} cannot be painted now, but square {next}")]
    PaintOrder {
        /// The square.
        square: usize,
        /// The square to be painted next.
        next: usize,
    },
    /// The game ended too early.
    #[error("the game ended with {remaining} squares not painted")]
    Unfinished {
        /// Squares not painted.
        remaining: usize,
    },
}

/// The board, in the middle of a game.
#[derive(Clone, Debug)]
pub struct CheckpointGame {
    standing: Vec<bool>,
    on_board: usize,
    pebbles: usize,
    /// Squares from here on are painted.
    painted: usize,
    counts: CheckpointCounts,
}

impl CheckpointGame {
    /// A board of `squares` squares with a pebble on square 0 and `pebbles` in the pile.
    pub fn new(squares: usize, pebbles: usize) -> Self {
        let mut standing = vec![false; squares];
        standing.iter_mut().take(1).for_each(|first| *first = true);
        let counts = CheckpointCounts { peak_pebbles: 1, ..CheckpointCounts::default() };
        CheckpointGame { standing, on_board: 1, pebbles: pebbles + 1, painted: squares, counts }
    }

    /// Plays a whole game.
    ///
    /// # Errors
    /// The first fault.
    pub fn play(
        squares: usize,
        pebbles: usize,
        moves: impl IntoIterator<Item = CheckpointMove>,
    ) -> Result<CheckpointCounts, CheckpointFault> {
        let mut game = CheckpointGame::new(squares, pebbles);
        moves.into_iter().try_for_each(|one| game.apply(one))?;
        game.finish()
    }

    /// Makes one move.
    ///
    /// # Errors
    /// The rules forbid it; the board is then as before.
    pub fn apply(&mut self, one: CheckpointMove) -> Result<(), CheckpointFault> {
        let (CheckpointMove::Put(square) | CheckpointMove::Take(square) | CheckpointMove::Paint(square)) = one;
        if square >= self.standing.len() {
            return Err(CheckpointFault::OffBoard { square, squares: self.standing.len() });
        }
        match one {
            CheckpointMove::Put(_) => self.put(square),
            CheckpointMove::Take(_) => self.take(square),
            CheckpointMove::Paint(_) => self.paint(square),
        }
    }

    /// What was moved, after a complete game.
    ///
    /// # Errors
    /// Squares that were not painted.
    pub fn finish(&self) -> Result<CheckpointCounts, CheckpointFault> {
        match self.painted {
            0 => Ok(self.counts),
            remaining => Err(CheckpointFault::Unfinished { remaining }),
        }
    }

    fn put(&mut self, square: usize) -> Result<(), CheckpointFault> {
        if square == 0 || !self.standing[square - 1] {
            return Err(CheckpointFault::NothingBefore { square });
        }
        if self.standing[square] {
            return Err(CheckpointFault::Occupied { square });
        }
        if self.on_board == self.pebbles {
            return Err(CheckpointFault::EmptyPile { square });
        }
        self.standing[square] = true;
        self.on_board += 1;
        self.counts.puts += 1;
        self.counts.peak_pebbles = self.counts.peak_pebbles.max(self.on_board);
        Ok(())
    }

    fn take(&mut self, square: usize) -> Result<(), CheckpointFault> {
        if !self.standing[square] {
            return Err(CheckpointFault::Empty { square });
        }
        self.standing[square] = false;
        self.on_board -= 1;
        self.counts.takes += 1;
        Ok(())
    }

    fn paint(&mut self, square: usize) -> Result<(), CheckpointFault> {
        if self.painted != square + 1 {
            return Err(CheckpointFault::PaintOrder { square, next: self.painted.saturating_sub(1) });
        }
        if !self.standing[square] {
            return Err(CheckpointFault::Empty { square });
        }
        self.painted = square;
        self.counts.paints += 1;
        Ok(())
    }
}
