//! Revolve: the binomial schedule with the least number of advances.
//!
//! With s snapshots (the initial state is one of them) and a working state besides, N steps need at least
//!
//! p(N, s) = t·N − C(s+t, t−1) advances, t the smallest number with C(s+t, s) ≥ N,
//!
//! forward steps inside the single-step adjoints not counted. A span of n steps with s slots is cut at m: advance over
//! m steps, reverse the right n−m steps with s−1 slots, restore, reverse the left m steps with s slots. Any m is optimal
//! that keeps the right part within the reach of t, and the left part within that of t−1, and both at or above the reach
//! that their repetition number starts from.
//!
//! # References
//! Griewank & Walther (2000), *Algorithm 799: Revolve*.

use super::ScheduleError;
use super::segments::{Game, Task};
use crate::action::{Action, Slot, Tier};

/// The smallest t with C(s+t, s) ≥ n, and C(s+t, s) itself; s ≥ 1, n ≥ 1.
pub(crate) fn binomial_reach(n: usize, s: usize) -> (usize, u128) {
    let (n, s) = (n as u128, s as u128);
    if s == 1 {
        return ((n - 1) as usize, n);
    }
    let (mut t, mut reach) = (0u128, 1u128);
    while reach < n {
        t += 1;
        reach = reach * (s + t) / t; // C(s+t, s) from C(s+t−1, s)
    }
    (t as usize, reach)
}

/// The least number of advances that reverse `steps` steps with `snapshots` snapshots, counted with the initial state:
/// p(N, s) of Griewank & Walther (2000). `None` if there is no way (no snapshot and more than one step).
///
/// ```
/// assert_eq!(treewave_reversal::revolve_advances(20, 3), Some(45));
/// ```
pub fn revolve_advances(steps: usize, snapshots: usize) -> Option<u64> {
    if steps <= 1 {
        return Some(0);
    }
    if snapshots == 0 {
        return None;
    }
    let (t, reach) = binomial_reach(steps, snapshots);
    // C(s+t, t−1) = C(s+t, s) · t / (s+1)
    let saved = reach * t as u128 / (snapshots as u128 + 1);
    Some((t as u128 * steps as u128 - saved) as u64)
}

/// How often the optimal schedule advances over its first step; 0 for a single step.
pub(crate) fn first_step_advances(steps: usize, snapshots: usize) -> u64 {
    if snapshots == 1 {
        return steps as u64 - 1;
    }
    let (mut n, mut times) = (steps, 0);
    while n > 1 {
        n = cut_length(n, snapshots);
        times += 1;
    }
    times
}

/// The length of the left part of a span of n ≥ 2 segments with s ≥ 1 slots: the longest among the optimal ones, which
/// leaves the fewest snapshots to be stored.
fn cut_length(n: usize, s: usize) -> usize {
    if s == 1 {
        return n - 1;
    }
    let (t, reach) = binomial_reach(n, s);
    let (t, wide) = (t as u128, s as u128);
    let left_reach = reach * t / (wide + t); // C(s+t−1, s)
    let right_start = left_reach * wide / (wide + t - 1); // C(s+t−2, s−1)
    left_reach.min((n as u128).saturating_sub(right_start)).max(1) as usize
}

/// Which of the optimal cuts is taken, and where the snapshots of the stack are kept.
pub(super) trait Rule {
    /// The length of the left part of a span of n ≥ 2 segments with s ≥ 1 slots.
    fn cut_length(&self, n: usize, s: usize) -> usize;
    /// The slot of a position of the stack of snapshots, the lowest one being 0.
    fn slot(&self, position: usize) -> Slot;
    /// Positions of the stack.
    fn positions(&self) -> usize;
}

/// The longest left part, everything in memory.
pub(super) struct InMemory {
    pub(super) slots: usize,
}

impl Rule for InMemory {
    fn cut_length(&self, n: usize, s: usize) -> usize {
        cut_length(n, s)
    }
    fn slot(&self, position: usize) -> Slot {
        Slot { tier: Tier::Memory, index: position }
    }
    fn positions(&self) -> usize {
        self.slots
    }
}

/// A span of segments that may use `slots` slots; with `held`, the first of them keeps its first state.
/// The working state is at its start.
#[derive(Clone)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) slots: usize,
    pub(super) held: bool,
}

/// The game for a number of segments and of memory slots.
#[derive(Clone)]
pub(super) struct Revolve {
    segments: usize,
    slots: usize,
}

impl Revolve {
    pub(super) fn new(segments: usize, slots: usize) -> Result<Self, ScheduleError> {
        if segments > 1 && slots == 0 {
            return Err(ScheduleError::TooFewSlots { strategy: "revolve", needed: 1, found: 0, segments });
        }
        // more snapshots than segments to be stored before change nothing
        Ok(Revolve { segments, slots: slots.min(segments) })
    }
}

impl Game for Revolve {
    type Span = Span;

    fn whole(&self) -> Span {
        Span { from: 0, to: self.segments, slots: self.slots, held: false }
    }

    fn cut(&self, span: Span, parts: &mut Vec<Task<Span>>) {
        cut(span, &InMemory { slots: self.slots }, parts, |span| span);
    }
}

/// Cuts a span by a rule, for this game and for those that contain it.
pub(super) fn cut<S>(span: Span, rule: &impl Rule, parts: &mut Vec<Task<S>>, as_part: impl Fn(Span) -> S) {
    let Span { from, to, slots, held } = span;
    // slots are taken and given back like a stack; the last segment of all needs none
    let slot = || rule.slot(rule.positions() - slots);
    if to - from == 1 {
        if held {
            parts.push(Task::Act(Action::Discard { slot: slot() }));
        }
        parts.push(Task::Act(Action::Reverse { from, to }));
        return;
    }
    let slot = slot();
    if !held {
        parts.push(Task::Act(Action::Store { step: from, slot }));
    }
    let middle = from + rule.cut_length(to - from, slots);
    parts.push(Task::Act(Action::Advance { from, to: middle }));
    parts.push(Task::Play(as_part(Span { from: middle, to, slots: slots - 1, held: false })));
    parts.push(Task::Act(Action::Restore { step: from, slot }));
    parts.push(Task::Play(as_part(Span { from, to: middle, slots, held: true })));
}
