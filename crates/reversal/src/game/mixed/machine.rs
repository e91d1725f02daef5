//! The rules of the mixed game.

use super::MixedMove;
use thiserror::Error;

/// What was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MixedCounts {
    /// Forward evaluations without an adjoint step.
    pub advances: u64,
    /// Forward evaluations that gave the data of an adjoint step.
    pub recorded: u64,
    /// Adjoint steps.
    pub pulled_back: u64,
    /// States kept.
    pub states_kept: u64,
    /// Data kept.
    pub data_kept: u64,
    /// States restored.
    pub restores: u64,
    /// Units in use at the same time, at most.
    pub peak_units: usize,
}

impl MixedCounts {
    /// All forward evaluations.
    pub fn total_forward(&self) -> u64 {
        self.advances + self.recorded
    }
}

/// Which rule a move breaks.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MixedFault {
    /// The working state is not there.
    #[error("the working state is not at step {expected}")]
    Elsewhere {
        /// Where it should be.
        expected: usize,
    },
    /// A range is empty or leaves the evolution.
    #[error("steps {from} to {to} are no range of the evolution")]
    Range {
        /// First step.
        from: usize,
        /// Step after the last.
        to: usize,
    },
    /// There is no such unit.
    #[error("there is no unit {unit}")]
    NoSuchUnit {
        /// The unit.
        unit: usize,
    },
    /// The unit holds something.
    #[error("unit {unit} is not empty")]
    Taken {
        /// The unit.
        unit: usize,
    },
    /// The unit holds nothing, or something else.
    #[error("unit {unit} does not hold what is asked for")]
    OtherContent {
        /// The unit.
        unit: usize,
    },
    /// Adjoint steps are made from the last to the first, each once.
    #[error("step {step} is to be pulled back, but the adjoint is at step {adjoint}")]
    Order {
        /// The step.
        step: usize,
        /// Where the adjoint is.
        adjoint: usize,
    },
    /// The game ended too early, or left something behind.
    #[error("the game ended with {remaining} steps to be pulled back and {held} units in use")]
    Unfinished {
        /// Steps left.
        remaining: usize,
        /// Units in use.
        held: usize,
    },
}

/// What a unit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    State(usize),
    Data(usize),
}

/// The rules of the mixed game.
#[derive(Clone, Debug)]
pub struct MixedMachine {
    steps: usize,
    adjoint: usize,
    working: Option<usize>,
    units: Vec<Option<Content>>,
    counts: MixedCounts,
}

impl MixedMachine {
    /// A machine for `steps` steps with `units` units, its working state at step 0.
    pub fn new(steps: usize, units: usize) -> Self {
        MixedMachine {
            steps,
            adjoint: steps,
            working: Some(0),
            units: vec![None; units],
            counts: MixedCounts::default(),
        }
    }

    /// Plays a whole game.
    ///
    /// # Errors
    /// The first fault.
    pub fn play(
        steps: usize,
        units: usize,
        moves: impl IntoIterator<Item = MixedMove>,
    ) -> Result<MixedCounts, MixedFault> {
        let mut machine = MixedMachine::new(steps, units);
        moves.into_iter().try_for_each(|one| machine.apply(one))?;
        machine.finish()
    }

    /// Makes one move.
    ///
    /// # Errors
    /// The rules forbid it; the machine is then as before.
    pub fn apply(&mut self, one: MixedMove) -> Result<(), MixedFault> {
        match one {
            MixedMove::KeepState { step, unit } => {
                self.expect_working(step)?;
                self.fill(unit, Content::State(step))?;
                self.counts.states_kept += 1;
            }
            MixedMove::KeepData { step, unit } => {
                self.expect_range(step, step + 1)?;
                self.fill(unit, Content::Data(step))?;
                self.working = Some(step + 1);
                self.counts.recorded += 1;
                self.counts.data_kept += 1;
            }
            MixedMove::Advance { from, to } => {
                self.expect_range(from, to)?;
                self.working = Some(to);
                self.counts.advances += (to - from) as u64;
            }
            MixedMove::Restore { step, unit } => {
                self.expect_content(unit, Content::State(step))?;
                self.working = Some(step);
                self.counts.restores += 1;
            }
            MixedMove::Free { unit } => {
                self.unit(unit)?.take().ok_or(MixedFault::OtherContent { unit })?;
            }
            MixedMove::Reverse { step } => {
                self.expect_range(step, step + 1)?;
                self.pull_back(step)?;
                self.working = None;
                self.counts.recorded += 1;
            }
            MixedMove::PullBack { step, unit } => {
                self.expect_content(unit, Content::Data(step))?;
                self.pull_back(step)?;
            }
        }
        Ok(())
    }

    /// What was moved, after a complete game.
    ///
    /// # Errors
    /// Steps that were not pulled back, units that were not freed.
    pub fn finish(&self) -> Result<MixedCounts, MixedFault> {
        match (self.adjoint, self.held()) {
            (0, 0) => Ok(self.counts),
            (remaining, held) => Err(MixedFault::Unfinished { remaining, held }),
        }
    }

    fn held(&self) -> usize {
        self.units.iter().flatten().count()
    }

    fn unit(&mut self, unit: usize) -> Result<&mut Option<Content>, MixedFault> {
        self.units.get_mut(unit).ok_or(MixedFault::NoSuchUnit { unit })
    }

    fn fill(&mut self, unit: usize, content: Content) -> Result<(), MixedFault> {
        let place = self.unit(unit)?;
        if place.is_some() {
            return Err(MixedFault::Taken { unit });
        }
        *place = Some(content);
        self.counts.peak_units = self.counts.peak_units.max(self.held());
        Ok(())
    }

    fn expect_content(&mut self, unit: usize, content: Content) -> Result<(), MixedFault> {
        if *self.unit(unit)? == Some(content) { Ok(()) } else { Err(MixedFault::OtherContent { unit }) }
    }

    fn expect_working(&self, expected: usize) -> Result<(), MixedFault> {
        if self.working == Some(expected) { Ok(()) } else { Err(MixedFault::Elsewhere { expected }) }
    }

    fn expect_range(&self, from: usize, to: usize) -> Result<(), MixedFault> {
        if from >= to || to > self.steps {
            return Err(MixedFault::Range { from, to });
        }
        self.expect_working(from)
    }

    fn pull_back(&mut self, step: usize) -> Result<(), MixedFault> {
        if step + 1 != self.adjoint {
            return Err(MixedFault::Order { step, adjoint: self.adjoint });
        }
        self.adjoint = step;
        self.counts.pulled_back += 1;
        Ok(())
    }
}
