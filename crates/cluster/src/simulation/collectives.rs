//! What the collective calls of a gradient take, by latency and bandwidth.

use std::time::Duration;

use super::{Gradient, Machine};
use crate::cluster::CHUNK_ELEMENTS;
use crate::patience::meeting_pause;

/// Collective calls on single numbers before the shots of a gradient: whether the ledger could be read, whether it has a
/// part of this gradient, and which one.
pub const SMALL_BEFORE: usize = 3;
/// Those after the shots: whether one was interrupted or bad; per summed array two lengths, the number of summands and the window;
/// whether to keep the sum, and whether that worked; six for the log of the reversals.
pub const SMALL_AFTER: usize = 2 + 4 * ARRAYS + 2 + 6;
/// Arrays that are summed over shots: gradient and illumination.
const ARRAYS: usize = 2;
/// Digits of an element of a sum.
const DIGITS: usize = 3;
/// How much later than asked for Linux wakes a thread that sleeps (its timer slack).
const LATE_S: f64 = 50e-6;
/// Bytes of a digit, or a number.
const WORD: f64 = 8.0;

/// Bytes of the sums of a gradient of so many cells, as they travel and as the ledger keeps them.
pub fn sum_bytes(cells: usize) -> f64 {
    WORD * (DIGITS * ARRAYS * cells) as f64
}

/// Rounds in which every rank has heard of every other one: ⌈log₂ P⌉.
fn rounds(ranks: usize) -> u32 {
    ranks.next_power_of_two().ilog2()
}

/// Seconds until ranks that come at the same time know of each other.
///
/// A barrier by dissemination has ⌈log₂ P⌉ rounds of one message (Hensgen, Finkel & Manber 1988). A rank sleeps between its looks for it,
/// and a round ends at the first look after its message has come.
pub fn barrier_s(machine: &Machine) -> f64 {
    let mut look = 0.0;
    for _ in 0..rounds(machine.ranks) {
        let come = look + machine.latency_s;
        while look < come {
            look += meeting_pause(Duration::from_secs_f64(look)).as_secs_f64() + LATE_S;
        }
    }
    look
}

/// Seconds of a sum of so many bytes over all ranks that have met.
///
/// `2 ⌈log₂ P⌉ α + 2 (P−1)/P n β + (P−1)/P n γ`: reduce-scatter by recursive halving and allgather by recursive doubling (Rabenseifner's
/// algorithm, as in Thakur, Rabenseifner & Gropp 2005), with the latency α, the seconds per byte β of a rank when all ranks of its node
/// send at once, and those per byte of summing γ. Long sums go in pieces of 8 MiB.
pub fn sum_s(machine: &Machine, bytes: f64) -> f64 {
    if machine.ranks == 1 {
        return 0.0;
    }
    let pieces = (bytes / (WORD * CHUNK_ELEMENTS as f64)).ceil().max(1.0);
    let others = (machine.ranks - 1) as f64 / machine.ranks as f64;
    let beta = machine.ranks_per_node.min(machine.ranks) as f64 / machine.bandwidth;
    let latencies = 2.0 * f64::from(rounds(machine.ranks)) * machine.latency_s;
    pieces * latencies + others * bytes * (2.0 * beta + 1.0 / machine.summing_bandwidth)
}

/// Seconds of calls on single numbers.
fn small_s(machine: &Machine, calls: usize) -> f64 {
    calls as f64 * (barrier_s(machine) + sum_s(machine, WORD))
}

/// Seconds of the calls before the shots.
pub(super) fn before_s(machine: &Machine) -> f64 {
    small_s(machine, SMALL_BEFORE)
}

/// Seconds of the calls after the shots: the sums of the gradient's arrays and of the misfits among them.
pub(super) fn after_s(machine: &Machine, gradient: &Gradient) -> f64 {
    let digits = sum_bytes(gradient.cells) / ARRAYS as f64;
    let misfits = WORD * gradient.shot_s.len() as f64;
    let meetings = (ARRAYS + 1) as f64 * barrier_s(machine);
    small_s(machine, SMALL_AFTER) + meetings + ARRAYS as f64 * sum_s(machine, digits) + sum_s(machine, misfits)
}
