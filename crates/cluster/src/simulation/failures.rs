//! Nodes that fail: what is lost, and what a gradient takes in the mean.
//!
//! Failures of a node come at random, one after `node_mtbf_s` in the mean (a Poisson process). MPI then ends the job. Shots that
//! the ledger has are kept; the job starts again after `requeue_s`, rank 0 reads what every rank has kept and keeps it as one, and the
//! missing shots are done.

use super::queue::Queue;
use super::{Gradient, Machine, Parts, collectives, sum_bytes};

/// Interrupted gradients are simulated until so many of their shots have been, but so many gradients at least and at most.
const SHOTS: usize = 500_000;
const GRADIENTS: [usize; 2] = [4, 200];
/// A gradient that is interrupted more often is given up.
const HOPELESS: usize = 300;

/// Random numbers that are the same every time (splitmix64: Steele, Lea & Flood 2014).
pub(crate) struct Random(pub u64);

impl Random {
    /// Evenly between 0, which is left out, and 1.
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64 + f64::EPSILON / 4.0
    }

    /// The time until the next event, of which there are `rate` per unit of time.
    fn exponential(&mut self, rate: f64) -> f64 {
        -self.uniform().ln() / rate
    }
}

/// Mean seconds of a gradient, over those that failures interrupt and those that none does.
pub(super) fn mean_seconds(machine: &Machine, gradient: &Gradient, parts: &Parts) -> f64 {
    let [least, most] = GRADIENTS;
    let interrupted = (SHOTS / gradient.shot_s.len().max(1)).clamp(least, most);
    mean_seconds_of(machine, gradient, parts, interrupted, &mut Random(1))
}

/// The same, by simulating so many that are interrupted.
///
/// A gradient of `T` seconds is interrupted with the probability `p = 1 − exp(−λT)` at a rate `λ` of failures, however long none has
/// come, and for the first time at `−ln(1 − up) / λ`, with `u` even between 0 and 1: spread by the golden ratio instead of at random, for
/// less noise.
pub(super) fn mean_seconds_of(
    machine: &Machine,
    gradient: &Gradient,
    parts: &Parts,
    interrupted: usize,
    random: &mut Random,
) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let (rate, clean_s) = (machine.failure_rate(), parts.seconds());
    let probability = -(-rate * clean_s).exp_m1();
    if probability == 0.0 {
        return clean_s;
    }
    let (mut seconds, mut done, mut failures) = (0.0, 0, 0);
    while done < interrupted && failures < interrupted.max(HOPELESS) {
        let first_s = -(-(0.5 + GOLDEN * done as f64).fract() * probability).ln_1p() / rate;
        let Some((took_s, its_failures)) = interrupted_at(machine, gradient, parts, first_s, random) else {
            return f64::INFINITY;
        };
        seconds += took_s;
        failures += its_failures;
        done += 1;
    }
    (1.0 - probability) * clean_s + probability * seconds / done as f64
}

/// Seconds of a gradient whose first failure comes `until` seconds after its begin, and the number of its failures.
fn interrupted_at(
    machine: &Machine,
    gradient: &Gradient,
    parts: &Parts,
    mut until: f64,
    random: &mut Random,
) -> Option<(f64, usize)> {
    let mut left: Vec<usize> = (0..gradient.shot_s.len()).collect();
    let bytes = sum_bytes(gradient.cells);
    let (mut seconds, mut files) = (0.0, 0);
    for failures in 0..HOPELESS {
        // Rank 0 reads what ranks have kept, and keeps it as one.
        let recovery_s = if files > 0 { machine.alone_s(bytes * (files + 1) as f64) } else { 0.0 };
        let before_s = recovery_s + collectives::before_s(machine);
        let after_s = parts.after_s + parts.keep_all_s;
        let queue = Queue::new(machine, gradient, &left, machine.keep_s(bytes));
        let ended = queue.run(until - before_s);
        if let Some(at) = ended.at
            && before_s + at + after_s <= until
        {
            return Some((seconds + before_s + at + after_s, failures));
        }
        let mut kept = vec![false; gradient.shot_s.len()];
        ended.kept.iter().for_each(|&shot| kept[shot] = true);
        left.retain(|&shot| !kept[shot]);
        files = ended.keepers + usize::from(files > 0);
        seconds += until + machine.requeue_s;
        until = random.exponential(machine.failure_rate());
    }
    None
}
