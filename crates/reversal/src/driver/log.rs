//! What a reversal did and what it took.

use crate::machine::Counts;
use crate::store::StoreStatistics;

/// The log of one reversal, or of several merged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Log {
    /// Steps, snapshots, peaks.
    pub counts: Counts,
    /// Bytes written to disk.
    pub bytes_written: u64,
    /// Bytes read from disk.
    pub bytes_read: u64,
    /// Seconds that the reversal waited for the disk.
    pub seconds_waited: f64,
    /// Seconds in steps forward outside the leaves.
    pub seconds_advance: f64,
    /// Seconds in steps forward inside the leaves.
    pub seconds_record: f64,
    /// Seconds in adjoint steps.
    pub seconds_pull_back: f64,
    /// Seconds in storing and restoring snapshots, waiting included.
    pub seconds_snapshots: f64,
}

impl Log {
    /// Forward steps per step of the evolution; 1 if nothing was recomputed.
    pub fn recompute_factor(&self) -> f64 {
        self.counts.total_forward() as f64 / (self.counts.pulled_back as f64).max(1.0)
    }

    /// Adds another log: counts, bytes and seconds are summed, peaks are the higher ones.
    pub fn merge(&mut self, other: &Log) {
        self.counts.merge(&other.counts);
        self.bytes_written += other.bytes_written;
        self.bytes_read += other.bytes_read;
        self.seconds_waited += other.seconds_waited;
        self.seconds_advance += other.seconds_advance;
        self.seconds_record += other.seconds_record;
        self.seconds_pull_back += other.seconds_pull_back;
        self.seconds_snapshots += other.seconds_snapshots;
    }

    /// Takes over what a store did between two moments of its life.
    pub(crate) fn add_store(&mut self, before: &StoreStatistics, after: &StoreStatistics) {
        self.bytes_written += after.bytes_written - before.bytes_written;
        self.bytes_read += after.bytes_read - before.bytes_read;
        self.seconds_waited += after.seconds_waited - before.seconds_waited;
    }
}
