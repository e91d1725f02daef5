//! The mixed game: a unit of memory holds a state to go on from, or the data of one adjoint step.
//!
//! If a state and the data of one single-step adjoint take about the same memory, a unit is worth either. M(n, s), the least
//! number of forward evaluations (those inside the adjoint steps counted) for n steps with s units and a working state:
//!
//! M(n, s) = n for n ≤ s+1 (data of all steps but the last, which is pulled back at once), else
//! M(n, s) = min( 1 + M(n−1, s−1), min over 1 < i < n of  i + M(i, s) + M(n−i, s−1) ):
//! keep the data of the first step, or keep the first state and go on for i steps.
//!
//! # References
//! Maddison (2024), *Step-based checkpointing with high-level algorithmic differentiation*.

mod machine;

pub use machine::{MixedCounts, MixedFault, MixedMachine};

use super::GameError;
use super::checkpoint::CheckpointMove;
use super::table::{NEVER, Table, cheapest, sum};

/// One move. There is one working state; it starts at step 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MixedMove {
    /// The working state, which is at `step`, into an empty unit.
    KeepState {
        /// Where the working state is.
        step: usize,
        /// The unit.
        unit: usize,
    },
    /// The working state from `step` to the next, and the data of the adjoint of that step into an empty unit.
    KeepData {
        /// Where the working state is.
        step: usize,
        /// The unit.
        unit: usize,
    },
    /// The working state forward.
    Advance {
        /// Where the working state is.
        from: usize,
        /// Where it will be.
        to: usize,
    },
    /// A state from its unit to the working state.
    Restore {
        /// The step of the state.
        step: usize,
        /// The unit.
        unit: usize,
    },
    /// Empties a unit.
    Free {
        /// The unit.
        unit: usize,
    },
    /// One step forward and its adjoint at once; the working state is used up.
    Reverse {
        /// Where the working state is, and the adjoint will be.
        step: usize,
    },
    /// The adjoint of a step by its data.
    PullBack {
        /// The step.
        step: usize,
        /// The unit that holds its data.
        unit: usize,
    },
}

/// The player with the least number of forward evaluations.
#[derive(Clone, Debug)]
pub struct MixedGame {
    steps: usize,
    units: usize,
    table: Table,
}

/// Something still to be done.
enum Task {
    Play { from: usize, steps: usize, units: usize },
    Move(MixedMove),
}

impl MixedGame {
    /// The game of `steps` steps with `units` units besides the working state.
    ///
    /// # Errors
    /// No step, no unit for more than one step, too large a game.
    pub fn new(steps: usize, units: usize) -> Result<Self, GameError> {
        // the last step needs no unit
        let useful = units.min(steps.saturating_sub(1));
        let table = Table::new(steps, useful, |table, n, s| match s {
            _ if n <= s + 1 => (n as u64, 0),
            0 => (NEVER, 0),
            _ => {
                let data = (sum([1, table.cost(n - 1, s - 1)]), 0);
                let state = |i: usize| sum([i as u64, table.cost(i, s), table.cost(n - i, s - 1)]);
                data.min(cheapest(2..n, state))
            }
        })?;
        if table.cost(steps, useful) == NEVER {
            return Err(GameError::TooFewPebbles { squares: steps, needed: 1, found: units });
        }
        Ok(MixedGame { steps, units: useful, table })
    }

    /// The least number of forward evaluations.
    pub fn total_forward(&self) -> u64 {
        self.table.cost(self.steps, self.units)
    }

    /// The moves.
    pub fn moves(&self) -> impl Iterator<Item = MixedMove> + '_ {
        let mut todo = vec![Task::Play { from: 0, steps: self.steps, units: self.units }];
        std::iter::from_fn(move || {
            loop {
                match todo.pop()? {
                    Task::Move(one) => return Some(one),
                    Task::Play { from, steps: 1, .. } => return Some(MixedMove::Reverse { step: from }),
                    Task::Play { from, steps, units } => self.cut(from, steps, units, &mut todo),
                }
            }
        })
    }

    /// Puts the parts of a span of at least 2 steps on the stack, last one first.
    fn cut(&self, from: usize, steps: usize, units: usize, todo: &mut Vec<Task>) {
        // units are taken and given back like a stack
        let unit = self.units - units;
        let free = Task::Move(MixedMove::Free { unit });
        match self.table.cut(steps, units) {
            // the data of the first step are kept
            0 => todo.extend([
                free,
                Task::Move(MixedMove::PullBack { step: from, unit }),
                Task::Play { from: from + 1, steps: steps - 1, units: units - 1 },
                Task::Move(MixedMove::KeepData { step: from, unit }),
            ]),
            left => todo.extend([
                Task::Play { from, steps: left, units },
                free,
                Task::Move(MixedMove::Restore { step: from, unit }),
                Task::Play { from: from + left, steps: steps - left, units: units - 1 },
                Task::Move(MixedMove::Advance { from, to: from + left }),
                Task::Move(MixedMove::KeepState { step: from, unit }),
            ]),
        }
    }

    /// The same in the checkpoint game: the data of a step are a pebble on its square.
    pub fn checkpoint_moves(&self) -> Vec<CheckpointMove> {
        let mut board = Board { units: vec![None; self.units], working: Some(0), moves: Vec::new() };
        self.moves().for_each(|one| board.act(one));
        board.moves
    }
}

/// What stands where.
struct Board {
    units: Vec<Option<usize>>,
    working: Option<usize>,
    moves: Vec<CheckpointMove>,
}

impl Board {
    fn act(&mut self, one: MixedMove) {
        match one {
            MixedMove::KeepState { step, unit } => self.units[unit] = Some(step),
            MixedMove::KeepData { step, unit } => {
                self.units[unit] = Some(step);
                self.go_on(step, step + 1);
            }
            MixedMove::Advance { from, to } => self.go_on(from, to),
            MixedMove::Restore { step, .. } => self.work_at(Some(step)),
            MixedMove::Free { unit } => {
                let step = self.units[unit].take();
                if let Some(step) = step.filter(|&step| self.working != Some(step)) {
                    self.moves.push(CheckpointMove::Take(step));
                }
            }
            MixedMove::Reverse { step } => {
                self.moves.push(CheckpointMove::Paint(step));
                self.work_at(None);
            }
            MixedMove::PullBack { step, .. } => self.moves.push(CheckpointMove::Paint(step)),
        }
    }

    fn go_on(&mut self, from: usize, to: usize) {
        for square in from + 1..=to {
            self.moves.push(CheckpointMove::Put(square));
            self.work_at(Some(square));
        }
    }

    fn work_at(&mut self, step: Option<usize>) {
        if let Some(before) = self.working.filter(|&at| Some(at) != step && !self.units.contains(&Some(at))) {
            self.moves.push(CheckpointMove::Take(before));
        }
        self.working = step;
    }
}
