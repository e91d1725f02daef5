//! The reversible pebble game with the least number of moves (Knill 1995).
//!
//! F(n, p), the least number of moves of a clean game on n squares with p pebbles, and H(n, p), those until the last
//! square is first occupied:
//!
//! F(1, p) = 1, F(n, p) = min over 0 < m < n of  F(m, p) + F(n−m, p−1) + F(m, p−1),
//! H(1, p) = 1, H(n, p) = min over 0 < m < n of  F(m, p) + H(n−m, p−1).
//!
//! Square m is reached, from there the end, and then square m is un-computed from the start.
//!
//! # References
//! Knill (1995), *An analysis of Bennett's pebble game*.

use super::GameError;
use super::reversible::ReversibleMove;
use super::table::{NEVER, Table, cheapest, sum};

/// The player.
#[derive(Clone, Debug)]
pub struct OptimalReversible {
    last: usize,
    pebbles: usize,
    clean: Table,
    reached: Table,
}

/// A part of the game.
#[derive(Clone, Copy)]
enum Span {
    /// Until the end of the span is first occupied.
    Reach { from: usize, length: usize, pebbles: usize },
    /// A clean game, forward (`put`) or backward.
    Clean { from: usize, length: usize, pebbles: usize, put: bool },
}

impl OptimalReversible {
    /// The game on the squares 0 to `last` with `pebbles` pebbles besides the one on square 0.
    ///
    /// # Errors
    /// No square but the first, too few pebbles to reach the last one, too large a board.
    pub fn new(last: usize, pebbles: usize) -> Result<Self, GameError> {
        // more pebbles than squares to stand on change nothing
        let useful = pebbles.min(last);
        let clean = Table::new(last, useful, |table, n, p| match (n, p) {
            (_, 0) => (NEVER, 0),
            (1, _) => (1, 0),
            _ => cheapest(1..n, |m| sum([table.cost(m, p), table.cost(n - m, p - 1), table.cost(m, p - 1)])),
        })?;
        let reached = Table::new(last, useful, |table, n, p| match (n, p) {
            (_, 0) => (NEVER, 0),
            (1, _) => (1, 0),
            _ => cheapest(1..n, |m| sum([clean.cost(m, p), table.cost(n - m, p - 1)])),
        })?;
        if reached.cost(last, useful) == NEVER {
            // p pebbles reach square 2^p − 1
            let needed = usize::BITS as usize - last.leading_zeros() as usize;
            return Err(GameError::TooFewPebbles { squares: last, needed, found: pebbles });
        }
        Ok(OptimalReversible { last, pebbles: useful, clean, reached })
    }

    /// The least number of moves until the last square is first occupied.
    pub fn moves_until_reached(&self) -> u64 {
        self.reached.cost(self.last, self.pebbles)
    }

    /// The least number of moves of a clean game; `None` if it takes more pebbles.
    pub fn moves_clean(&self) -> Option<u64> {
        Some(self.clean.cost(self.last, self.pebbles)).filter(|&moves| moves < NEVER)
    }

    /// The moves of a game that is `clean`, or ends when the last square is first occupied.
    ///
    /// # Errors
    /// Too few pebbles for a clean game.
    pub fn moves(&self, clean: bool) -> Result<impl Iterator<Item = ReversibleMove> + '_, GameError> {
        let (length, pebbles) = (self.last, self.pebbles);
        if clean && self.moves_clean().is_none() {
            // p pebbles leave square 2^(p−1) alone on the board
            let needed = (usize::BITS - (self.last - 1).leading_zeros()) as usize + 1;
            return Err(GameError::TooFewPebbles { squares: self.last, needed, found: pebbles });
        }
        let mut todo = vec![match clean {
            true => Span::Clean { from: 0, length, pebbles, put: true },
            false => Span::Reach { from: 0, length, pebbles },
        }];
        Ok(std::iter::from_fn(move || {
            loop {
                match todo.pop()? {
                    Span::Reach { from, length: 1, .. } => return Some(ReversibleMove { square: from + 1, put: true }),
                    Span::Clean { from, length: 1, put, .. } => return Some(ReversibleMove { square: from + 1, put }),
                    span => self.cut(span, &mut todo),
                }
            }
        }))
    }

    /// Puts the parts of a span on the stack, last one first.
    fn cut(&self, span: Span, todo: &mut Vec<Span>) {
        match span {
            Span::Reach { from, length, pebbles } => {
                let m = self.reached.cut(length, pebbles);
                todo.push(Span::Reach { from: from + m, length: length - m, pebbles: pebbles - 1 });
                todo.push(Span::Clean { from, length: m, pebbles, put: true });
            }
            Span::Clean { from, length, pebbles, put } => {
                let m = self.clean.cut(length, pebbles);
                let here = Span::Clean { from, length: m, pebbles, put };
                let beyond = Span::Clean { from: from + m, length: length - m, pebbles: pebbles - 1, put };
                let back = Span::Clean { from, length: m, pebbles: pebbles - 1, put: !put };
                // backwards, the same moves are made from the last to the first, each the other way round
                todo.extend(if put { [back, beyond, here] } else { [here, beyond, back] });
            }
        }
    }
}
