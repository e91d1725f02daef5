//! Two levels: memory slots that cost nothing to use, disk slots whose every write and read has a cost.
//!
//! The cost of a schedule is uf·advances + ub·N + wd·writes + rd·reads. With R memory slots the cheapest reversal of n
//! segments *without* disk is that of [`revolve`]: M(n) = uf·p(n, R) + ub·n. With d disk slots,
//!
//! - a span whose first state is on disk (one of the d slots) costs
//!   K(d, n) = min( M(n), min over 0 < j < n of  j·uf + F(d−1, n−j) + rd + K(d, j) ):
//!   go j segments further, reverse what lies behind, read the first state again, reverse the j segments;
//! - a span whose first state is only the working state costs F(d, n) = min( M(n), wd + K(d, n) ).
//!
//! M inside K means that the state is moved into memory and its disk slot becomes free. A state on disk can be read
//! as often as is useful. F(D, N) is the optimum.
//!
//! # References
//! Herrmann & Pallez (2020), *H-Revolve: a framework for adjoint computation on synchronous hierarchical platforms*.
//! The tests compare the recurrences above with a search through all games (disk inside memory spans, states kept on
//! both tiers, anything) for short chains.

mod grid;
mod table;

use super::revolve;
use super::segments::{Game, Task};
use super::{ScheduleError, Strategy};
use crate::action::{Action, Slot, Tier};
use crate::machine::Machine;
use std::sync::Arc;
use table::{Effort, Table};

/// What the parts of a reversal cost, in any common unit (seconds, say).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// One step forward (uf).
    pub advance: f64,
    /// One single-step adjoint with its own forward step (ub).
    pub adjoint: f64,
    /// One snapshot written to disk (wd).
    pub write: f64,
    /// One snapshot read from disk (rd).
    pub read: f64,
}

impl Costs {
    pub(crate) fn check(&self) -> Result<(), ScheduleError> {
        let all = [
            ("an advance", self.advance),
            ("an adjoint step", self.adjoint),
            ("a write", self.write),
            ("a read", self.read),
        ];
        match all.into_iter().find(|(_, cost)| !(cost.is_finite() && *cost >= 0.0)) {
            Some((what, found)) => Err(ScheduleError::BadCost { what, found }),
            None => Ok(()),
        }
    }

    /// The same costs where one step of the game stands for `length` steps.
    pub(crate) fn of_segments(&self, length: usize) -> Costs {
        Costs { advance: self.advance * length as f64, adjoint: self.adjoint * length as f64, ..*self }
    }
}

/// The least cost of reversing `steps` steps one by one: uf·advances + ub·N + wd·writes + rd·reads.
///
/// The optimum up to 3,000 steps (with up to 500 disk slots, or with more than are useful), and above while
/// steps² × slots / 2 is below 2.5e9; beyond, the cost of a schedule within 1 % of it.
///
/// # Errors
/// No step, too few slots or an impossible cost.
pub fn two_level_cost(
    steps: usize,
    memory_slots: usize,
    disk_slots: Option<usize>,
    costs: Costs,
) -> Result<f64, ScheduleError> {
    let schedule = Strategy::TwoLevel { memory_slots, disk_slots, costs }.schedule(steps)?;
    // the game below makes no illegal action
    Ok(Machine::play(steps, schedule).map_or(f64::NAN, |counts| counts.cost(&costs)))
}

/// A quick estimate of the least cost for comparing parameters, where reversal is possible at all.
pub(crate) fn rough_cost(segments: usize, memory_slots: usize, disk_slots: usize, costs: Costs) -> f64 {
    let table = Table::new(segments, memory_slots, Some(disk_slots), &costs, Effort::Rough);
    table.cost(0, segments) + costs.adjoint * segments as f64
}

/// A part of the game; the working state is at its start.
#[derive(Clone)]
pub(super) enum Span {
    /// Nothing is kept of it yet; `depth` disk slots are taken.
    Free { from: usize, to: usize, depth: usize },
    /// Its first state is in the disk slot `depth`.
    OnDisk { from: usize, to: usize, depth: usize },
    /// It is reversed within memory.
    InMemory(revolve::Span),
}

/// The game for a number of segments and of slots.
#[derive(Clone)]
pub(super) struct TwoLevel {
    segments: usize,
    memory_slots: usize,
    table: Arc<Table>,
}

impl TwoLevel {
    pub(super) fn new(
        segments: usize,
        memory_slots: usize,
        disk_slots: Option<usize>,
        costs: Costs,
    ) -> Result<Self, ScheduleError> {
        costs.check()?;
        if segments > 1 && memory_slots == 0 && disk_slots == Some(0) {
            return Err(ScheduleError::TooFewSlots { strategy: "two-level", needed: 1, found: 0, segments });
        }
        let memory_slots = memory_slots.min(segments);
        let table = Arc::new(Table::new(segments, memory_slots, disk_slots, &costs, Effort::Full));
        Ok(TwoLevel { segments, memory_slots, table })
    }

    /// Disk slots in use at most.
    pub(super) fn disk_slots(&self) -> usize {
        self.table.disk_slots_used(self.segments)
    }
}

impl Game for TwoLevel {
    type Span = Span;

    fn whole(&self) -> Span {
        Span::Free { from: 0, to: self.segments, depth: 0 }
    }

    fn cut(&self, span: Span, parts: &mut Vec<Task<Span>>) {
        let slot = |depth| Slot { tier: Tier::Disk, index: depth };
        let in_memory =
            |from, to| Task::Play(Span::InMemory(revolve::Span { from, to, slots: self.memory_slots, held: false }));
        match span {
            Span::InMemory(span) => {
                revolve::cut(span, &revolve::InMemory { slots: self.memory_slots }, parts, Span::InMemory);
            }
            Span::Free { from, to, depth } => {
                if self.table.writes(depth, to - from) {
                    parts.push(Task::Act(Action::Store { step: from, slot: slot(depth) }));
                    parts.push(Task::Play(Span::OnDisk { from, to, depth }));
                } else {
                    parts.push(in_memory(from, to));
                }
            }
            Span::OnDisk { from, to, depth } => match self.table.cut_length(depth, to - from) {
                None => {
                    parts.push(Task::Act(Action::Discard { slot: slot(depth) }));
                    parts.push(in_memory(from, to));
                }
                Some(length) => {
                    let middle = from + length;
                    parts.push(Task::Act(Action::Advance { from, to: middle }));
                    parts.push(Task::Play(Span::Free { from: middle, to, depth: depth + 1 }));
                    parts.push(Task::Act(Action::Restore { step: from, slot: slot(depth) }));
                    parts.push(Task::Play(Span::OnDisk { from, to: middle, depth }));
                }
            },
        }
    }
}
