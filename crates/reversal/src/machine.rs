//! A simulated machine that plays a schedule by the rules, without an evolution.
//!
//! It knows where the working state is, which step each slot keeps and which steps have been pulled back, refuses every
//! action that is illegal, and counts. The [driver](crate::driver) lets it judge each action before doing it.

mod counts;

use crate::action::{Action, Slot, Tier};
use thiserror::Error;

pub use counts::{Counts, PerTier};

/// Why an action is illegal.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Fault {
    /// The working state is elsewhere.
    #[error("the working state is at step {found}, expected step {expected}")]
    Elsewhere {
        /// Where it is.
        found: usize,
        /// Where it should be.
        expected: usize,
    },
    /// A leaf has used up the working state.
    #[error("the working state was used up by a reversal, expected step {expected}; restore a snapshot first")]
    UsedUp {
        /// Where the working state should be.
        expected: usize,
    },
    /// The range of steps is empty, backwards, or leaves the evolution.
    #[error("steps {from} to {to} are no range within the {steps} steps of the evolution")]
    Range {
        /// First step.
        from: usize,
        /// Step after the last.
        to: usize,
        /// Steps of the evolution.
        steps: usize,
    },
    /// The slot keeps something already.
    #[error("slot {slot:?} keeps step {held} already; discard it first")]
    Taken {
        /// The slot.
        slot: Slot,
        /// The step that it keeps.
        held: usize,
    },
    /// The slot keeps nothing.
    #[error("slot {slot:?} is empty")]
    Empty {
        /// The slot.
        slot: Slot,
    },
    /// The slot keeps another step.
    #[error("slot {slot:?} keeps step {held}, expected step {expected}")]
    OtherStep {
        /// The slot.
        slot: Slot,
        /// The step that it keeps.
        held: usize,
        /// The step asked for.
        expected: usize,
    },
    /// The slot number is above what the machine has.
    #[error("slot {slot:?} is beyond the {limit} slots of its tier")]
    NoSuchSlot {
        /// The slot.
        slot: Slot,
        /// Slots of this tier.
        limit: usize,
    },
    /// Steps must be pulled back from the last to the first, each once.
    #[error("steps {from} to {to} are to be pulled back, but the adjoint is at step {adjoint}")]
    Order {
        /// First step of the leaf.
        from: usize,
        /// Step after the last of the leaf.
        to: usize,
        /// Where the adjoint is.
        adjoint: usize,
    },
    /// The leaf needs more records than there are.
    #[error("a leaf of {found} steps needs as many records, there are {limit}")]
    LongLeaf {
        /// Steps of the leaf.
        found: usize,
        /// Records of the machine.
        limit: usize,
    },
}

/// A schedule broke the rules: a bug of ours.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Violation {
    /// An action is illegal.
    #[error("action {index} of the schedule, {action:?}, is illegal: {fault}")]
    Action {
        /// Number of the action, from 0.
        index: u64,
        /// The action.
        action: Action,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The schedule ended before the first step was pulled back.
    #[error("the schedule ended with {remaining} steps still to be pulled back")]
    Unfinished {
        /// Steps left.
        remaining: usize,
    },
    /// The schedule left snapshots behind.
    #[error("the schedule ended with {held} snapshots not discarded")]
    LeftBehind {
        /// Slots that are not empty.
        held: usize,
    },
}

/// What a slot keeps.
#[derive(Clone, Copy, Debug)]
struct Held {
    step: usize,
    used: bool,
}

/// The slots of one tier.
#[derive(Clone, Debug)]
struct Shelf {
    slots: Vec<Option<Held>>,
    limit: usize,
    held: u64,
}

/// Where the working state is.
#[derive(Clone, Copy, Debug)]
enum Working {
    /// Ready to go on from this step.
    At(usize),
    /// A leaf that ended at this step has used it up; it can still be compared with a snapshot.
    UsedUp(usize),
}

/// The machine, in the middle of a game.
#[derive(Clone, Debug)]
pub struct Machine {
    steps: usize,
    working: Working,
    /// Steps still to be pulled back are those below.
    adjoint: usize,
    memory: Shelf,
    disk: Shelf,
    records: usize,
    actions: u64,
    counts: Counts,
}

impl Machine {
    /// A machine for an evolution of `steps` steps, its working state at step 0, with a slot of each tier for every state
    /// and a record for every step.
    pub fn new(steps: usize) -> Self {
        Machine::with_limits(steps, steps + 1, steps + 1, steps)
    }

    /// The same with so many memory slots, disk slots and records.
    pub fn with_limits(steps: usize, memory_slots: usize, disk_slots: usize, records: usize) -> Self {
        let shelf = |limit| Shelf { slots: Vec::new(), limit, held: 0 };
        Machine {
            steps,
            working: Working::At(0),
            adjoint: steps,
            memory: shelf(memory_slots),
            disk: shelf(disk_slots),
            records,
            actions: 0,
            counts: Counts::default(),
        }
    }

    /// Plays a whole schedule on a new machine.
    ///
    /// # Errors
    /// The first violation of the rules.
    pub fn play(steps: usize, actions: impl IntoIterator<Item = Action>) -> Result<Counts, Violation> {
        let mut machine = Machine::new(steps);
        for action in actions {
            machine.apply(action)?;
        }
        machine.finish()
    }

    /// Back to the start of an evolution of `steps` steps, with the limits of a new machine; keeps its memory.
    pub fn restart(&mut self, steps: usize) {
        for shelf in [&mut self.memory, &mut self.disk] {
            shelf.slots.fill(None);
            shelf.limit = steps + 1;
            shelf.held = 0;
        }
        self.steps = steps;
        self.working = Working::At(0);
        self.adjoint = steps;
        self.records = steps;
        self.actions = 0;
        self.counts = Counts::default();
    }

    /// Carries out one action.
    ///
    /// # Errors
    /// The action is illegal; the machine is then as before.
    pub fn apply(&mut self, action: Action) -> Result<(), Violation> {
        let result = match action {
            Action::Store { step, slot } => self.store(step, slot),
            Action::Restore { step, slot } => self.restore(step, slot),
            Action::Advance { from, to } => self.advance(from, to),
            Action::Reverse { from, to } => self.reverse(from, to),
            Action::Discard { slot } => self.discard(slot),
            Action::Uncompute { step, slot } => self.uncompute(step, slot),
        };
        result.map_err(|fault| Violation::Action { index: self.actions, action, fault })?;
        self.actions += 1;
        Ok(())
    }

    /// What was done, after a complete schedule.
    ///
    /// # Errors
    /// Steps that were not pulled back, slots that were not emptied.
    pub fn finish(&self) -> Result<Counts, Violation> {
        if self.adjoint > 0 {
            return Err(Violation::Unfinished { remaining: self.adjoint });
        }
        match self.memory.held + self.disk.held {
            0 => Ok(self.counts),
            held => Err(Violation::LeftBehind { held: held as usize }),
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The step of the working state; `None` once a leaf has used it up.
    pub fn working_step(&self) -> Option<usize> {
        match self.working {
            Working::At(step) => Some(step),
            Working::UsedUp(_) => None,
        }
    }

    /// The step that a slot keeps.
    pub fn held_step(&self, slot: Slot) -> Option<usize> {
        let shelf = match slot.tier {
            Tier::Memory => &self.memory,
            Tier::Disk => &self.disk,
        };
        shelf.slots.get(slot.index).copied().flatten().map(|held| held.step)
    }

    /// The slots that keep something.
    pub fn held_slots(&self) -> impl Iterator<Item = Slot> + '_ {
        let of = |tier, shelf: &'_ Shelf| -> Vec<Slot> {
            let held = shelf.slots.iter().enumerate().filter(|(_, held)| held.is_some());
            held.map(|(index, _)| Slot { tier, index }).collect()
        };
        of(Tier::Memory, &self.memory).into_iter().chain(of(Tier::Disk, &self.disk))
    }

    fn shelf(&mut self, tier: Tier) -> &mut Shelf {
        match tier {
            Tier::Memory => &mut self.memory,
            Tier::Disk => &mut self.disk,
        }
    }

    /// The content of a slot that exists.
    fn content(&mut self, slot: Slot) -> Result<&mut Option<Held>, Fault> {
        let shelf = self.shelf(slot.tier);
        if slot.index >= shelf.limit {
            return Err(Fault::NoSuchSlot { slot, limit: shelf.limit });
        }
        if slot.index >= shelf.slots.len() {
            shelf.slots.resize(slot.index + 1, None);
        }
        Ok(&mut shelf.slots[slot.index])
    }

    fn expect_working(&self, expected: usize) -> Result<(), Fault> {
        match self.working {
            Working::UsedUp(_) => Err(Fault::UsedUp { expected }),
            Working::At(found) if found != expected => Err(Fault::Elsewhere { found, expected }),
            Working::At(_) => Ok(()),
        }
    }

    fn expect_range(&self, from: usize, to: usize) -> Result<(), Fault> {
        if from < to && to <= self.steps { Ok(()) } else { Err(Fault::Range { from, to, steps: self.steps }) }
    }

    fn store(&mut self, step: usize, slot: Slot) -> Result<(), Fault> {
        self.expect_working(step)?;
        let content = self.content(slot)?;
        if let Some(held) = content {
            return Err(Fault::Taken { slot, held: held.step });
        }
        *content = Some(Held { step, used: false });
        let shelf = self.shelf(slot.tier);
        shelf.held += 1;
        let held = shelf.held;
        let peak = self.counts.peak_slots.of(slot.tier);
        *peak = held.max(*peak);
        self.counts.peak_snapshots = self.counts.peak_snapshots.max(self.memory.held + self.disk.held);
        *self.counts.stores.of(slot.tier) += 1;
        self.counts.stores_of_initial += u64::from(step == 0);
        Ok(())
    }

    /// What a slot keeps, which must be that step.
    fn kept(&mut self, step: usize, slot: Slot) -> Result<&mut Held, Fault> {
        let held = self.content(slot)?.as_mut().ok_or(Fault::Empty { slot })?;
        if held.step != step {
            return Err(Fault::OtherStep { slot, held: held.step, expected: step });
        }
        Ok(held)
    }

    fn restore(&mut self, step: usize, slot: Slot) -> Result<(), Fault> {
        self.kept(step, slot)?.used = true;
        self.working = Working::At(step);
        *self.counts.restores.of(slot.tier) += 1;
        Ok(())
    }

    fn advance(&mut self, from: usize, to: usize) -> Result<(), Fault> {
        self.expect_range(from, to)?;
        self.expect_working(from)?;
        self.working = Working::At(to);
        self.counts.advances += (to - from) as u64;
        Ok(())
    }

    fn reverse(&mut self, from: usize, to: usize) -> Result<(), Fault> {
        self.expect_range(from, to)?;
        self.expect_working(from)?;
        if to != self.adjoint {
            return Err(Fault::Order { from, to, adjoint: self.adjoint });
        }
        if to - from > self.records {
            return Err(Fault::LongLeaf { found: to - from, limit: self.records });
        }
        self.working = Working::UsedUp(to);
        self.adjoint = from;
        let steps = (to - from) as u64;
        self.counts.recorded += steps;
        self.counts.pulled_back += steps;
        self.counts.leaves += 1;
        self.counts.peak_records = self.counts.peak_records.max(steps);
        Ok(())
    }

    fn discard(&mut self, slot: Slot) -> Result<(), Fault> {
        let held = self.content(slot)?.take().ok_or(Fault::Empty { slot })?;
        self.shelf(slot.tier).held -= 1;
        // a leaf that starts at the step of a slot is what the slot was kept for, even if the working state was there
        let reversed_from = self.working_step().is_none() && self.adjoint == held.step;
        self.counts.unused_stores += u64::from(!held.used && !reversed_from);
        Ok(())
    }

    fn uncompute(&mut self, step: usize, slot: Slot) -> Result<(), Fault> {
        let (Working::At(found) | Working::UsedUp(found)) = self.working;
        if found != step {
            return Err(Fault::Elsewhere { found, expected: step });
        }
        self.kept(step, slot)?;
        *self.content(slot)? = None;
        self.shelf(slot.tier).held -= 1;
        self.counts.uncomputed += 1;
        Ok(())
    }
}
