//! The pebble games: what a reversal costs, played with pebbles on a row of squares.
//!
//! A pebble on square i is state i in memory. Two games are played, by the rules of Liu & Xu (2021):
//!
//! - the [checkpoint game](checkpoint): a pebble is put next to another one and may be taken at any time, and every square is
//!   to be painted, last one first. That is a reversal with snapshots;
//! - the [reversible game](reversible): a pebble is put *and removed* only next to another one. That is a computation
//!   that never erases anything.
//!
//! Each has a machine that knows the rules, refuses what they forbid and counts. Players are iterators of moves:
//!
//! | player | game |
//! |---|---|
//! | any [`Schedule`](crate::Schedule), by [`checkpoint_moves`] | checkpoint |
//! | [`OptimalCheckpoint`], at the proven minimum | checkpoint |
//! | [`MixedGame`], units that hold a state or the data of one adjoint step | checkpoint, and one of its [own](mixed) |
//! | [`BennettMoves`] | reversible |
//! | [`OptimalReversible`], at the proven minimum | reversible |
//!
//! # References
//! - Liu & Xu (2021), *Automatic differentiation and its applications in physics simulation*, Acta Physica Sinica 70, 149402.
//! - Bennett (1989), *Time/space trade-offs for reversible computation*.
//! - Knill (1995), *An analysis of Bennett's pebble game*.
//! - Maddison (2024), *Step-based checkpointing with high-level algorithmic differentiation*.

pub mod bennett;
pub mod checkpoint;
pub mod mixed;
pub mod optimal_checkpoint;
pub mod optimal_reversible;
pub mod reversible;
mod table;
pub mod tradeoff;
mod translate;

pub use bennett::{BennettCounts, BennettMoves, bennett_counts};
pub use checkpoint::{CheckpointCounts, CheckpointFault, CheckpointGame, CheckpointMove};
pub use mixed::{MixedCounts, MixedFault, MixedGame, MixedMachine, MixedMove};
pub use optimal_checkpoint::OptimalCheckpoint;
pub use optimal_reversible::OptimalReversible;
pub use reversible::{ReversibleCounts, ReversibleFault, ReversibleGame, ReversibleMove};
pub use translate::checkpoint_moves;

use thiserror::Error;

/// Why a game cannot be played to its end.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum GameError {
    /// A board needs a square.
    #[error("the board has no squares; give at least 1 step")]
    NoSquares,
    /// There is no way with so few pebbles.
    #[error("{squares} squares need at least {needed} pebble(s) besides the one on square 0, found {found}")]
    TooFewPebbles {
        /// Squares of the board.
        squares: usize,
        /// Pebbles needed, the one on square 0 not counted.
        needed: usize,
        /// Pebbles given.
        found: usize,
    },
    /// The search for the best game would take too long.
    #[error(
        "the best game on {squares} squares with {pebbles} pebbles takes {work:.1e} comparisons to find, the limit is \
         {limit:.1e}; give fewer squares or pebbles"
    )]
    TooLarge {
        /// Squares of the board.
        squares: usize,
        /// Pebbles.
        pebbles: usize,
        /// Comparisons needed.
        work: u64,
        /// Comparisons allowed.
        limit: u64,
    },
}
