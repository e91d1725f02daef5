//! How to share a memory budget between the records of a segment and the snapshots.

use super::PlanRequest;
use crate::game::{BennettCounts, bennett_counts};
use crate::schedule::revolve::{binomial_reach, first_step_advances, revolve_advances};
use crate::schedule::two_level::rough_cost;

/// Bytes of states and records; sums that do not fit 64 bits stay at the highest number, which no budget reaches.
pub(super) struct Share {
    state_bytes: u64,
    record_bytes: u64,
}

impl Share {
    pub(super) fn new(request: &PlanRequest) -> Self {
        Share { state_bytes: request.state_bytes, record_bytes: request.record_bytes }
    }

    pub(super) fn records(&self, records: usize) -> u64 {
        self.record_bytes.saturating_mul(records as u64)
    }

    pub(super) fn states(&self, states: u64) -> u64 {
        self.state_bytes.saturating_mul(states)
    }

    /// Snapshots that fit beside the records of a segment and `staging` states.
    pub(super) fn snapshots(&self, budget: u64, segment_steps: usize, staging: usize) -> usize {
        let taken = self.records(segment_steps).saturating_add(self.states(staging as u64));
        usize::try_from(budget.saturating_sub(taken) / self.state_bytes).unwrap_or(usize::MAX)
    }

    /// Steps of the longest segment whose records fit beside `snapshots` and `staging` states; 0 if none fits.
    fn segment_steps(&self, budget: u64, snapshots: usize, staging: usize) -> usize {
        let taken = self.states(snapshots as u64).saturating_add(self.states(staging as u64));
        match budget.checked_sub(taken) {
            None => 0,
            Some(left) => {
                left.checked_div(self.record_bytes).map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX))
            }
        }
    }
}

/// Segment length and snapshots with the least number of advances in the budget, which suffices for one record and,
/// unless one segment is enough, one snapshot.
///
/// For every segment length the highest number of snapshots is the best one, so that all lengths are compared.
pub(super) fn revolve(request: &PlanRequest, budget: u64) -> (usize, usize) {
    let (share, steps) = (Share::new(request), request.steps);
    let longest = share.segment_steps(budget, 0, 0).min(steps);
    let lengths = match request.segment_steps {
        Some(length) => length.min(steps)..=length.min(steps),
        None => 1..=longest,
    };
    let mut best = (u64::MAX, 1, 0);
    for length in lengths {
        let segments = steps.div_ceil(length);
        let snapshots = share.snapshots(budget, length, 0).min(segments - 1);
        let Some(advances) = revolve_advances(segments, snapshots) else { continue };
        let all = advances.saturating_mul(length as u64);
        // the first segment is shorter by what the segments have too much; how often that is saved takes a while to
        // find out, but it is not more often than any segment is advanced over
        let missing = (segments * length - steps) as u64;
        let most = if segments > 1 { binomial_reach(segments, snapshots).0 as u64 } else { 0 };
        if all.saturating_sub(missing.saturating_mul(most)) >= best.0 {
            continue;
        }
        let saved = if segments > 1 { missing * first_step_advances(segments, snapshots) } else { 0 };
        if all - saved < best.0 {
            best = (all - saved, length, snapshots);
        }
    }
    (best.1, best.2)
}

/// The number of blocks with the fewest evaluations among those that need at most `room` states; where none does, the one
/// with the fewest states.
pub(super) fn bennett(segments: usize, room: u64) -> usize {
    let measured = block_numbers(segments).map(|blocks| (bennett_counts(segments, blocks, false), blocks));
    let order = |(counts, blocks): &(BennettCounts, usize)| {
        let states = counts.peak_pebbles;
        (states.max(room), if states <= room { counts.total() } else { 0 }, *blocks)
    };
    measured.min_by_key(order).map_or(2, |(_, blocks)| blocks)
}

/// The numbers of blocks that make a difference: all small ones, and of the others one for each length of block.
pub(crate) fn block_numbers(segments: usize) -> impl Iterator<Item = usize> {
    let root = segments.isqrt();
    let large = (1..=root).map(move |length| segments.div_ceil(length));
    (2..=root + 1).chain(large.filter(move |&blocks| blocks > root + 1))
}

/// Numbers of memory slots that are compared for the two-level game.
const TRIALS: usize = 24;

/// Segment length and memory slots with about the least cost in the budget, which suffices for one record and the
/// staging states.
///
/// Compared are numbers of memory slots spaced geometrically, and then those between the best one's neighbours, each
/// with the longest segments that fit beside it, by a coarsely sampled cost table.
pub(super) fn two_level(request: &PlanRequest, budget: u64, disk_slots: usize) -> (usize, usize) {
    let (share, steps) = (Share::new(request), request.steps);
    if let Some(length) = request.segment_steps {
        return (length, share.snapshots(budget, length.min(steps), request.staging_states).min(steps));
    }
    let most = share.snapshots(budget, 1, request.staging_states).min(steps);
    let costs = request.costs.game();
    let trial = |slots: usize| {
        let longest = share.segment_steps(budget, slots, request.staging_states).min(steps);
        // where shorter segments are as many, they take fewer records
        let length = steps.div_ceil(steps.div_ceil(longest));
        let cost = rough_cost(steps.div_ceil(length), slots, disk_slots, costs.of_segments(length));
        Trial { cost, length, slots }
    };
    let coarse: Vec<Trial> = spaced(0, most).into_iter().map(trial).collect();
    let best = (0..coarse.len()).min_by(|&a, &b| coarse[a].cost.total_cmp(&coarse[b].cost)).unwrap_or(0);
    let below = coarse[best.saturating_sub(1)].slots;
    let above = coarse[(best + 1).min(coarse.len() - 1)].slots;
    let fine = (below..=above).step_by(((above - below) / 8).max(1)).map(trial);
    let best = coarse.iter().copied().chain(fine).min_by(|a, b| a.cost.total_cmp(&b.cost));
    best.map_or((1, 0), |trial| (trial.length, trial.slots))
}

/// A way to share the memory, with its cost.
#[derive(Clone, Copy)]
struct Trial {
    cost: f64,
    length: usize,
    slots: usize,
}

/// Whole numbers from `first` to `last`, closer at the start.
fn spaced(first: usize, last: usize) -> Vec<usize> {
    let span = (last - first) as f64 + 1.0;
    let at = |trial: usize| first + (span.powf(trial as f64 / (TRIALS - 1) as f64) - 1.0).round() as usize;
    let mut numbers: Vec<usize> = (0..TRIALS).map(|trial| at(trial).min(last)).collect();
    numbers.dedup();
    numbers
}
