//! Treeverse: the binary-tree walk that first reached logarithmic growth of both memory and recomputation.
//!
//! With δ snapshots besides the initial state and at most τ recomputations of a step, up to η(τ, δ) = C(τ+δ, δ) steps
//! can be reversed; τ is the smallest number that suffices. A span of steps σ … φ whose first state is kept is cut at
//!
//! κ = ⌈(δσ + τφ) / (τ + δ)⌉, or max(σ+1, φ−1) where that is no cut and δ > 0;
//!
//! the right part is walked with δ−1 and τ, the left one with δ and τ−1. The number of advances is
//! τN − C(τ+δ, τ−1), the optimum, where N = η(τ, δ), and may lie above the optimum elsewhere.
//!
//! Every state that the walk stops at is kept until its step is reversed, also that of a single step, which a driver
//! with a working state could do without: counts and peak are those of the algorithm as published.
//! [`revolve`](super::revolve) is the schedule that goes without.
//!
//! # References
//! Griewank (1992), *Achieving logarithmic growth of temporal and spatial complexity in reverse automatic
//! differentiation*.

use super::ScheduleError;
use super::revolve::binomial_reach;
use super::segments::{Game, Task};
use crate::action::{Action, Slot, Tier};
use std::collections::HashMap;

/// The smallest number of repetitions τ ≥ 1 with η(τ, δ) ≥ `steps`, for `snapshots` = δ ≥ 1 besides the initial state.
///
/// For δ = 0, where only η = 1 can be reached, τ = 1.
pub fn treeverse_repetitions(steps: usize, snapshots: usize) -> usize {
    if snapshots == 0 { 1 } else { binomial_reach(steps, snapshots).0.max(1) }
}

/// The number of advances of the walk over `steps` steps with `snapshots` = δ ≥ 1 besides the initial state, without
/// walking.
///
/// ```
/// assert_eq!(treewave_reversal::treeverse_advances(20, 3), 45);
/// ```
pub fn treeverse_advances(steps: usize, snapshots: usize) -> u64 {
    let snapshots = snapshots.clamp(1, steps.max(1));
    let repetitions = treeverse_repetitions(steps, snapshots);
    span_advances(steps, snapshots, repetitions, &mut HashMap::new())
}

/// The advances of a span, by its length, δ and τ.
fn span_advances(
    length: usize,
    snapshots: usize,
    repetitions: usize,
    known: &mut HashMap<(usize, usize, usize), u64>,
) -> u64 {
    if repetitions == 1 && length <= snapshots + 1 {
        // every cut is after one step
        return length.saturating_sub(1) as u64;
    }
    if snapshots == 1 {
        // every cut is before the last step
        return (length * (length - 1) / 2) as u64;
    }
    if let Some(&advances) = known.get(&(length, snapshots, repetitions)) {
        return advances;
    }
    // the parts on one side one after the other, those on the other side by themselves: as deep as the smaller of δ and τ
    let (mut advances, mut part, mut delta, mut tau) = (0, length, snapshots, repetitions);
    loop {
        let span = Span { from: 0, to: part, snapshots: delta, repetitions: tau, depth: 0, fresh: true };
        let middle = cut_position(&span);
        if middle >= part {
            break;
        }
        advances += middle as u64;
        if snapshots < repetitions {
            advances += span_advances(part - middle, delta - 1, tau, known);
            (part, tau) = (middle, tau - 1);
        } else {
            advances += span_advances(middle, delta, tau - 1, known);
            (part, delta) = (part - middle, delta - 1);
        }
    }
    known.insert((length, snapshots, repetitions), advances);
    advances
}

/// A span of segments whose first state is the working state (`fresh`) or is kept in the slot `depth`.
#[derive(Clone)]
pub(super) struct Span {
    from: usize,
    to: usize,
    /// Snapshots left (δ).
    snapshots: usize,
    /// Repetitions left (τ).
    repetitions: usize,
    depth: usize,
    fresh: bool,
}

/// The game for a number of segments and δ.
#[derive(Clone)]
pub(super) struct Treeverse {
    segments: usize,
    snapshots: usize,
}

impl Treeverse {
    pub(super) fn new(segments: usize, snapshots: usize) -> Result<Self, ScheduleError> {
        if segments > 1 && snapshots == 0 {
            return Err(ScheduleError::TooFewSlots { strategy: "treeverse", needed: 1, found: 0, segments });
        }
        // more snapshots than segments change nothing
        Ok(Treeverse { segments, snapshots: snapshots.min(segments) })
    }
}

/// Where a span is cut; its end if it is not.
fn cut_position(span: &Span) -> usize {
    let Span { from, to, snapshots, repetitions, .. } = *span;
    if repetitions == 0 {
        return to;
    }
    // relative to `from`, so that the product stays small
    let middle =
        from + (repetitions as u128 * (to - from) as u128).div_ceil((repetitions + snapshots) as u128) as usize;
    if middle >= to && snapshots > 0 { (from + 1).max(to - 1) } else { middle }
}

impl Game for Treeverse {
    type Span = Span;

    fn whole(&self) -> Span {
        let repetitions = treeverse_repetitions(self.segments, self.snapshots);
        Span { from: 0, to: self.segments, snapshots: self.snapshots, repetitions, depth: 0, fresh: true }
    }

    fn cut(&self, span: Span, parts: &mut Vec<Task<Span>>) {
        let slot = |depth| Slot { tier: Tier::Memory, index: depth };
        let Span { from, to, snapshots, repetitions, depth, fresh } = span;
        let kept = self.segments > 1;
        if !fresh {
            parts.push(Task::Act(Action::Restore { step: from, slot: slot(depth) }));
        } else if kept && from == 0 {
            parts.push(Task::Act(Action::Store { step: 0, slot: slot(0) }));
        }
        let middle = cut_position(&span);
        if middle < to {
            parts.push(Task::Act(Action::Advance { from, to: middle }));
            parts.push(Task::Act(Action::Store { step: middle, slot: slot(depth + 1) }));
            let right = Span { from: middle, to, snapshots: snapshots - 1, repetitions, depth: depth + 1, fresh: true };
            parts.push(Task::Play(right));
            let left = Span { from, to: middle, snapshots, repetitions: repetitions - 1, depth, fresh: false };
            parts.push(Task::Play(left));
        } else {
            parts.push(Task::Act(Action::Reverse { from, to }));
            if kept {
                parts.push(Task::Act(Action::Discard { slot: slot(depth) }));
            }
        }
    }
}
