//! Multistage: the binomial schedule with its snapshots partly on disk.
//!
//! The snapshots of the binomial schedule are a stack. Each position of the stack is written and read a number of times
//! that is known beforehand; the positions that are used most are kept in memory, the others on disk. The number of
//! steps is the optimum for all slots together; the traffic is what it comes to. The [two-level](super::two_level)
//! schedule minimises both at once.
//!
//! The optimal cuts of a span are many, and the traffic depends on which is taken, see [`Trajectory`].
//!
//! # References
//! - Stumm & Walther (2009), *MultiStage approaches for optimal offline checkpointing*.
//! - Griewank & Walther (2000), figure 4 and the cut on page 34.

use super::ScheduleError;
use super::revolve::{self, Rule, binomial_reach};
use super::segments::{Game, Task};
use crate::action::{Slot, Tier};
use std::sync::Arc;

/// Which of the optimal cuts of a span is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trajectory {
    /// The longest left part in the region that Griewank & Walther (2000) draw.
    #[default]
    Maximum,
    /// The cut of the program that they publish.
    Revolve,
}

impl Trajectory {
    /// With β(s, t) = C(s+t, s), and t such that β(s, t−1) < n ≤ β(s, t).
    fn cut_length(self, n: usize, s: usize) -> usize {
        let s = s.min(n - 1);
        if s == 1 {
            return n - 1;
        }
        if s == n - 1 {
            return 1;
        }
        let (t, reach) = binomial_reach(n, s);
        let (wide_n, wide, t) = (n as u128, s as u128, t as u128);
        let whole = reach * t / (wide + t); // β(s, t−1)
        let right = whole * wide / (wide + t - 1); // β(s−1, t−1)
        let left = whole - right; // β(s, t−2)
        let upper = right * (wide - 1) / (wide + t - 2); // β(s−2, t−1)
        let lower = right - upper; // β(s−1, t−2)
        let length = match self {
            Trajectory::Maximum if wide_n <= whole + lower => wide_n - right,
            Trajectory::Maximum if wide_n <= whole + upper + lower => left + lower,
            Trajectory::Maximum if wide_n <= whole + right + upper => wide_n - right - upper,
            Trajectory::Revolve if wide_n <= whole + upper => left,
            Trajectory::Revolve if wide_n < whole + right + upper => wide_n - right - upper,
            _ => whole,
        };
        length as usize
    }
}

/// The game for a number of segments and slots.
#[derive(Clone)]
pub(super) struct Multistage {
    segments: usize,
    trajectory: Trajectory,
    stack: Arc<Vec<Slot>>,
}

impl Multistage {
    pub(super) fn new(
        segments: usize,
        memory_slots: usize,
        disk_slots: usize,
        trajectory: Trajectory,
    ) -> Result<Self, ScheduleError> {
        // more slots than there are states to be stored change nothing
        let positions = memory_slots.saturating_add(disk_slots).min(segments - 1);
        if segments > 1 && positions == 0 {
            return Err(ScheduleError::TooFewSlots { strategy: "multistage", needed: 1, found: 0, segments });
        }
        let uses = uses(segments, positions, trajectory);
        let mut by_use: Vec<usize> = (0..positions).collect();
        // of positions that are used as often, the lowest come first
        by_use.sort_by_key(|&position| std::cmp::Reverse(uses[position]));
        let mut stack = vec![Slot { tier: Tier::Disk, index: 0 }; positions];
        for (rank, position) in by_use.into_iter().enumerate() {
            stack[position] = match rank.checked_sub(memory_slots) {
                None => Slot { tier: Tier::Memory, index: rank },
                Some(index) => Slot { tier: Tier::Disk, index },
            };
        }
        Ok(Multistage { segments, trajectory, stack: Arc::new(stack) })
    }

    /// Slots in use on a tier.
    pub(super) fn slots(&self, tier: Tier) -> usize {
        self.stack.iter().filter(|slot| slot.tier == tier).count()
    }
}

/// How often each position of the stack is written and read.
fn uses(segments: usize, positions: usize, trajectory: Trajectory) -> Vec<u64> {
    let mut uses = vec![0; positions];
    let mut todo = vec![(segments, positions, false)];
    while let Some((n, s, held)) = todo.pop() {
        if n > 1 {
            uses[positions - s] += if held { 1 } else { 2 };
            let left = trajectory.cut_length(n, s);
            todo.extend([(left, s, true), (n - left, s - 1, false)]);
        }
    }
    uses
}

impl Rule for Multistage {
    fn cut_length(&self, n: usize, s: usize) -> usize {
        self.trajectory.cut_length(n, s)
    }
    fn slot(&self, position: usize) -> Slot {
        self.stack[position]
    }
    fn positions(&self) -> usize {
        self.stack.len()
    }
}

impl Game for Multistage {
    type Span = revolve::Span;

    fn whole(&self) -> revolve::Span {
        revolve::Span { from: 0, to: self.segments, slots: self.stack.len(), held: false }
    }

    fn cut(&self, span: revolve::Span, parts: &mut Vec<Task<revolve::Span>>) {
        revolve::cut(span, self, parts, |span| span);
    }
}
