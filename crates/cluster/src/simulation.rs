//! How long a gradient takes on a machine that is not there: the queue of shots with rank 0's own decisions, event by event; the
//! sums by a latency–bandwidth model; node-local disks; nodes that fail, and jobs that are queued again.
//!
//! `docs/scaling.md` has the equations, where the defaults come from, and how far this is from real runs.

mod collectives;
mod failures;
mod node;
mod queue;

use std::time::Duration;

pub use collectives::{SMALL_AFTER, SMALL_BEFORE, barrier_s, sum_bytes, sum_s};
#[cfg(test)]
pub(crate) use failures::Random;
use queue::{Account, Queue};

/// Bytes per second that one process writes to or reads from a shared file system at best.
pub const PROCESS_STORAGE_BANDWIDTH: f64 = 1e9;

/// A machine, and how a job lies on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// Ranks of the job, at least 1.
    pub ranks: usize,
    /// Ranks on each node but the last, at least 1.
    pub ranks_per_node: usize,
    /// Shots that a rank computes side by side, at least 1.
    pub workers: usize,
    /// Seconds from the begin of a short message on one rank to its end on another.
    pub latency_s: f64,
    /// Seconds of rank 0 for each message that it receives or sends.
    pub message_s: f64,
    /// Bytes per second of a node's network in each direction, shared by its ranks.
    pub bandwidth: f64,
    /// Bytes per second that a rank adds to others.
    pub summing_bandwidth: f64,
    /// Bytes per second of a node's disk, written and read together.
    pub disk_bandwidth: f64,
    /// Bytes per second of the shared file system, all ranks together.
    pub storage_bandwidth: f64,
    /// Mean seconds between failures of a node; infinite if none fails.
    pub node_mtbf_s: f64,
    /// Seconds from a failure until the job has started again.
    pub requeue_s: f64,
}

impl Machine {
    /// So many ranks, one of a kind that was usual in 2025: a node has one rank, 2 µs latency, 10 GB/s to the others and 1 GB/s to its
    /// disk, and fails every five years; the shared file system gives 20 GB/s; a job starts again ten minutes after a failure.
    pub fn of_ranks(ranks: usize) -> Self {
        Machine {
            ranks,
            ranks_per_node: 1,
            workers: 1,
            latency_s: 2e-6,
            message_s: 1e-6,
            bandwidth: 10e9,
            summing_bandwidth: 4e9,
            disk_bandwidth: 1e9,
            storage_bandwidth: 20e9,
            node_mtbf_s: 5.0 * 365.25 * 86400.0,
            requeue_s: 600.0,
        }
    }

    /// Nodes of the job.
    pub fn nodes(&self) -> usize {
        self.ranks.div_ceil(self.ranks_per_node)
    }

    /// Failures of any node per second.
    fn failure_rate(&self) -> f64 {
        self.nodes() as f64 / self.node_mtbf_s
    }

    /// Seconds in which every rank saves so many bytes, all at the same time.
    fn keep_s(&self, bytes: f64) -> f64 {
        bytes / PROCESS_STORAGE_BANDWIDTH.min(self.storage_bandwidth / self.ranks as f64)
    }

    /// Seconds in which rank 0 alone saves or reads so many bytes.
    fn alone_s(&self, bytes: f64) -> f64 {
        bytes / PROCESS_STORAGE_BANDWIDTH.min(self.storage_bandwidth)
    }
}

/// What is to be computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gradient<'a> {
    /// Seconds of each shot, as many at the same time as a rank does side by side, in the order in which they are handed out.
    pub shot_s: &'a [f64],
    /// Bytes that a mean shot writes to the disk of its node and reads from there.
    pub spilled_bytes: f64,
    /// Cells of the model.
    pub cells: usize,
    /// The least time between two saves of a rank's ledger; `None` if there is no ledger.
    pub ledger_every: Duration,
}

impl Gradient<'_> {
    /// Bytes per second that a shot under way asks its disk for.
    fn disk_rate(&self) -> f64 {
        let seconds: f64 = self.shot_s.iter().sum();
        if seconds > 0.0 { self.spilled_bytes * self.shot_s.len() as f64 / seconds } else { 0.0 }
    }
}

/// Where the time of all workers goes: shares of ranks × workers × seconds that add up to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shares {
    /// In shots: the parallel efficiency.
    pub computing: f64,
    /// In shots that wait for the disk of the node.
    pub disk: f64,
    /// Until the first shot.
    pub begin: f64,
    /// Between shots.
    pub answers: f64,
    /// At the end of the queue, while others still have shots.
    pub end: f64,
    /// In sums and other collective calls.
    pub sum: f64,
    /// In saves of the ledger.
    pub ledger: f64,
    /// Lost to failures: shots in hand, waits in the queue, starts.
    pub failures: f64,
}

impl Shares {
    /// With their names.
    pub fn named(&self) -> [(&'static str, f64); 8] {
        [
            ("computing", self.computing),
            ("disk", self.disk),
            ("begin", self.begin),
            ("answers", self.answers),
            ("end", self.end),
            ("sum", self.sum),
            ("ledger", self.ledger),
            ("failures", self.failures),
        ]
    }
}

/// What a gradient takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Seconds, in the mean over gradients with failures and without; infinite if failures come so fast that none is ever done.
    pub seconds: f64,
    /// Seconds if no node fails.
    pub seconds_without_failures: f64,
    /// Where they go.
    pub shares: Shares,
}

/// The parts of a gradient that no failure interrupts.
struct Parts {
    before_s: f64,
    queue_s: f64,
    after_s: f64,
    /// Rank 0 saves the sum of all, if the shots took so long that this is worth it.
    keep_all_s: f64,
    account: Account,
}

impl Parts {
    fn of(machine: &Machine, gradient: &Gradient) -> Self {
        let order: Vec<usize> = (0..gradient.shot_s.len()).collect();
        let bytes = sum_bytes(gradient.cells);
        let ended = Queue::new(machine, gradient, &order, machine.keep_s(bytes)).run(f64::INFINITY);
        let queue_s = ended.at.expect("nothing cut the queue off");
        let worth_it = queue_s >= gradient.ledger_every.as_secs_f64();
        Parts {
            before_s: collectives::before_s(machine),
            queue_s,
            after_s: collectives::after_s(machine, gradient),
            keep_all_s: if worth_it { machine.alone_s(bytes) } else { 0.0 },
            account: ended.account,
        }
    }

    fn seconds(&self) -> f64 {
        self.before_s + self.queue_s + self.after_s + self.keep_all_s
    }
}

/// Seconds of a gradient on a machine, and where they go. The same input gives the same result.
pub fn predict(machine: &Machine, gradient: &Gradient) -> Prediction {
    let parts = Parts::of(machine, gradient);
    let clean_s = parts.seconds();
    let seconds = failures::mean_seconds(machine, gradient, &parts);
    let workers = (machine.ranks * machine.workers) as f64;
    // Without shots there is nothing to share out.
    let whole = workers * seconds;
    let share = |worker_s: f64| if whole > 0.0 { worker_s / whole } else { 0.0 };
    let Account { computing, disk, ledger, begin, answers, end } = parts.account;
    let shares = Shares {
        computing: share(computing),
        disk: share(disk),
        begin: share(begin),
        answers: share(answers),
        end: share(end),
        sum: share(workers * (parts.before_s + parts.after_s)),
        ledger: share(ledger + workers * parts.keep_all_s),
        failures: if seconds.is_finite() { share(workers * (seconds - clean_s)) } else { 1.0 },
    };
    Prediction { seconds, seconds_without_failures: clean_s, shares }
}

#[cfg(test)]
mod tests;
