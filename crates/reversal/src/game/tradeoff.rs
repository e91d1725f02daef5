//! Space against time: how many states a game needs if it may take so much longer than the plain computation.
//!
//! The time overhead T′/T is the number of moves that compute (puts of the checkpoint game, puts and removals of the
//! reversible one) over the number of steps, the space overhead S′/S the states kept at the same time, the initial one
//! counted. With a disk, writing or reading a state counts as a step, and only the states in memory as space.
//!
//! # References
//! Liu & Xu (2021), section 3: the figure of the trade-off, and the table of complexities.

use super::bennett::{BennettCounts, bennett_counts};
use crate::planner::block_numbers;
use crate::schedule::disk_blocks::disk_period;
use crate::schedule::revolve::revolve_advances;
use crate::schedule::treeverse::treeverse_advances;
use crate::schedule::{Costs, MAX_STEPS};

/// Space that each game needs for a number of steps within a time overhead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tradeoff {
    /// States of Treeverse, δ+1.
    pub treeverse: u64,
    /// States of Revolve, the working state besides the snapshots counted.
    pub revolve: u64,
    /// States of Bennett's algorithm, its outermost level not un-computed.
    pub bennett: u64,
    /// The blocks that it takes for this.
    pub bennett_blocks: u64,
    /// States of the periodic two-level scheme in memory, the working state counted, besides those on a disk without limit.
    pub two_level_memory: u64,
}

/// The trade-off of one number of steps at growing time overheads.
#[derive(Clone, Debug)]
pub struct TradeoffCurve {
    steps: usize,
    /// Bennett's games that take less time than all with as few states: states, total moves, blocks.
    bennett: Vec<(u64, u64, u64)>,
}

impl TradeoffCurve {
    /// Prepares the curve of `steps` steps, from 2 to [`MAX_STEPS`].
    pub fn new(steps: usize) -> Self {
        let steps = steps.clamp(2, MAX_STEPS);
        let measure = |blocks| {
            let counts: BennettCounts = bennett_counts(steps, blocks, false);
            (counts.peak_pebbles, counts.total(), blocks as u64)
        };
        let mut all: Vec<_> = block_numbers(steps).map(measure).collect();
        all.sort_unstable();
        let mut fastest = u64::MAX;
        all.retain(|&(_, moves, _)| {
            let faster = moves < fastest;
            fastest = fastest.min(moves);
            faster
        });
        TradeoffCurve { steps, bennett: all }
    }

    /// The space needed within a time overhead; `None` below 2, where Treeverse has one repetition only and every game
    /// nearly stores all.
    pub fn at(&self, time_overhead: f64) -> Option<Tradeoff> {
        if !(2.0..f64::INFINITY).contains(&time_overhead) {
            return None;
        }
        let moves = (time_overhead * self.steps as f64) as u64;
        let revolve = least(1, self.steps, |s| revolve_advances(self.steps, s).is_some_and(|a| a <= moves));
        // δ besides the initial state do no better than as many snapshots and a working state
        let mut delta = revolve;
        while treeverse_advances(self.steps, delta) > moves {
            delta += 1;
        }
        let &(bennett, _, bennett_blocks) = self.bennett.iter().find(|game| game.1 <= moves)?;
        let two_level = least(1, self.steps, |slots| periodic_cost(self.steps, slots) <= time_overhead);
        Some(Tradeoff {
            treeverse: delta as u64 + 1,
            revolve: revolve as u64 + 1,
            bennett,
            bennett_blocks,
            two_level_memory: two_level as u64 + 1,
        })
    }
}

/// The least number from `low` to `high` that is `enough`, if all above it are.
fn least(low: usize, high: usize, enough: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = low + (high - low) / 2;
        if enough(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// Advances, writes and reads per step of the periodic scheme, each write and read as long as a step.
fn periodic_cost(steps: usize, memory_slots: usize) -> f64 {
    let costs = Costs { advance: 1.0, adjoint: 0.0, write: 1.0, read: 1.0 };
    let period = disk_period(memory_slots, costs);
    // one segment more than a period is still reversed in memory
    let blocks = if steps > period + 1 { (steps - 2) / period } else { 0 };
    let within = |n| revolve_advances(n, memory_slots).map_or(f64::INFINITY, |advances| advances as f64);
    let each = 2.0 + period as f64 + within(period);
    (blocks as f64 * each + within(steps - blocks * period)) / steps as f64
}

/// The space of Bennett and of Treeverse by the formulas of the paper, solved for real numbers: l(k−1) with n = k^l and
/// (2−1/k)^(l−1) the time overhead, and δ with C(τ+δ, δ) = n and τ the time overhead.
pub fn space_by_formula(steps: usize, time_overhead: u32) -> (f64, f64) {
    let (n, time) = (steps as f64, f64::from(time_overhead));
    let blocks = |level: f64| n.powf(1.0 / level);
    // from one block for each step to two blocks, the slowest
    let level = root(1.0, n.log2(), |level| (2.0 - 1.0 / blocks(level)).powf(level - 1.0) - time);
    let reach = |delta: f64| (1..=time_overhead).map(|t| (delta + f64::from(t)) / f64::from(t)).product::<f64>();
    (level * (blocks(level) - 1.0), root(0.0, n, |delta| reach(delta) - n))
}

/// Where a growing function is zero, or the end that is nearer to it.
fn root(low: f64, high: f64, of: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (low, high);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if of(middle) < 0.0 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// A power law fitted to measurements: the slope of log y over log x by least squares.
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let logs: Vec<(f64, f64)> = points.iter().map(|&(x, y)| (x.ln(), y.ln())).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let along: f64 = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    along / logs.iter().map(|p| (p.0 - x) * (p.0 - x)).sum::<f64>()
}
