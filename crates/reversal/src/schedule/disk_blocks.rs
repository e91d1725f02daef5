//! Disk without limit, each state on it read once: simpler schedules than the optimum of [`two_level`](super::two_level).
//!
//! The steps are cut into blocks. On the way forward the first state of each block but the last is written to disk; the last
//! block is reversed in memory by [`revolve`], then the state of the block before is read, that block reversed, and so
//! on. With M(n) the cost of reversing n segments in memory with R slots:
//!
//! - by [`DiskReads::Once`] the blocks are the best ones: O(n) = min( M(n), min over 0 < m < n of
//!   wd + m·uf + O(n−m) + rd + M(m) );
//! - by [`DiskReads::Periodic`] all blocks are of β(R, t) segments, t the smallest with β(R+1, t) > (wd+rd)/uf, where
//!   β(s, t) = C(s+t, t), as long as more than one segment more is left. It needs no table, and nearly reaches the optimum
//!   for long chains.
//!
//! # References
//! Aupy, Herrmann, Hovland & Robert (2016), *Optimal multistage algorithm for adjoint computation*; Aupy & Herrmann (2017),
//! *Periodicity in optimal hierarchical checkpointing schemes for adjoint computations*.

use super::revolve::{self, InMemory, revolve_advances};
use super::segments::{Game, Task};
use super::{Costs, MAX_STEPS, ScheduleError};
use crate::action::{Action, Slot, Tier};
use std::sync::Arc;

/// Most segments for which the best blocks are searched: some seconds' worth.
const MOST_SEGMENTS: usize = 50_000;

/// How often the states on a disk without limit may be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskReads {
    /// As often as is useful: the optimum.
    #[default]
    Many,
    /// Once each, with the best blocks.
    Once,
    /// Once each, with blocks of equal length.
    Periodic,
}

/// The segments of the blocks of the periodic scheme.
///
/// ```
/// use treewave_reversal::{Costs, disk_period};
/// let costs = Costs { advance: 1.0, adjoint: 1.0, write: 2.0, read: 2.0 };
/// assert_eq!(disk_period(2, costs), 6);
/// ```
pub fn disk_period(memory_slots: usize, costs: Costs) -> usize {
    period_up_to(MAX_STEPS, memory_slots, costs)
}

fn period_up_to(most: usize, memory_slots: usize, costs: Costs) -> usize {
    let limit = (costs.write + costs.read) / costs.advance;
    if memory_slots == 0 {
        return 1;
    }
    // β(R, t) and β(R+1, t), from t = 0 on
    let (slots, mut t, mut period, mut reach) = (memory_slots as u128, 0, 1, 1);
    while reach as f64 <= limit && period < most as u128 {
        t += 1;
        period = period * (slots + t) / t;
        reach = reach * (slots + 1 + t) / t;
    }
    period.min(most as u128) as usize
}

/// A part of the game; the working state is at its start.
#[derive(Clone)]
pub(super) enum Span {
    /// The blocks from here on.
    From(usize),
    /// A block, within memory.
    Block(revolve::Span),
}

/// The game of given blocks.
#[derive(Clone)]
pub(super) struct DiskBlocks {
    memory_slots: usize,
    /// Where the blocks start, and where the last one ends.
    starts: Arc<Vec<usize>>,
}

impl DiskBlocks {
    pub(super) fn new(
        segments: usize,
        memory_slots: usize,
        costs: Costs,
        reads: DiskReads,
    ) -> Result<Self, ScheduleError> {
        costs.check()?;
        let lengths = match reads {
            DiskReads::Periodic => equal_lengths(segments, memory_slots, period_up_to(segments, memory_slots, costs)),
            DiskReads::Many | DiskReads::Once => best_lengths(segments, memory_slots, &costs)?,
        };
        let mut starts = vec![0];
        for length in lengths {
            starts.push(starts[starts.len() - 1] + length);
        }
        Ok(DiskBlocks { memory_slots: memory_slots.min(segments), starts: Arc::new(starts) })
    }

    /// States on disk at most.
    pub(super) fn disk_slots(&self) -> usize {
        self.starts.len() - 2
    }

    fn block(&self, index: usize) -> Task<Span> {
        let (from, to) = (self.starts[index], self.starts[index + 1]);
        Task::Play(Span::Block(revolve::Span { from, to, slots: self.memory_slots, held: false }))
    }
}

fn equal_lengths(segments: usize, memory_slots: usize, period: usize) -> Vec<usize> {
    if memory_slots == 0 {
        return vec![1; segments];
    }
    let mut lengths = Vec::new();
    let mut left = segments;
    while left > period + 1 {
        lengths.push(period);
        left -= period;
    }
    lengths.push(left);
    lengths
}

fn best_lengths(segments: usize, memory_slots: usize, costs: &Costs) -> Result<Vec<usize>, ScheduleError> {
    if segments > MOST_SEGMENTS {
        return Err(ScheduleError::TooManySteps { steps: segments, limit: MOST_SEGMENTS });
    }
    // the adjoint steps cost the same whatever the blocks
    let within = |n: usize| revolve_advances(n, memory_slots).map_or(f64::INFINITY, |a| costs.advance * a as f64);
    let within: Vec<f64> = (0..=segments).map(within).collect();
    let mut best = vec![(0.0, 0); segments + 1];
    for n in 1..=segments {
        best[n] = (within[n], n);
        for m in 1..n {
            let cost = costs.write + costs.advance * m as f64 + best[n - m].0 + costs.read + within[m];
            if cost < best[n].0 {
                best[n] = (cost, m);
            }
        }
    }
    let mut lengths = Vec::new();
    let mut left = segments;
    while left > 0 {
        lengths.push(best[left].1);
        left -= best[left].1;
    }
    Ok(lengths)
}

impl Game for DiskBlocks {
    type Span = Span;

    fn whole(&self) -> Span {
        Span::From(0)
    }

    fn cut(&self, span: Span, parts: &mut Vec<Task<Span>>) {
        match span {
            Span::Block(span) => revolve::cut(span, &InMemory { slots: self.memory_slots }, parts, Span::Block),
            Span::From(index) if index + 2 == self.starts.len() => parts.push(self.block(index)),
            Span::From(index) => {
                let (from, to) = (self.starts[index], self.starts[index + 1]);
                let slot = Slot { tier: Tier::Disk, index };
                parts.push(Task::Act(Action::Store { step: from, slot }));
                parts.push(Task::Act(Action::Advance { from, to }));
                parts.push(Task::Play(Span::From(index + 1)));
                parts.push(Task::Act(Action::Restore { step: from, slot }));
                parts.push(Task::Act(Action::Discard { slot }));
                parts.push(self.block(index));
            }
        }
    }
}
