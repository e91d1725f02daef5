//! What a schedule did, in numbers.

use crate::action::Tier;
use crate::schedule::Costs;

/// A number for each tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerTier {
    /// In memory.
    pub memory: u64,
    /// On disk.
    pub disk: u64,
}

impl PerTier {
    /// Both tiers together.
    pub fn total(&self) -> u64 {
        self.memory + self.disk
    }

    pub(super) fn of(&mut self, tier: Tier) -> &mut u64 {
        match tier {
            Tier::Memory => &mut self.memory,
            Tier::Disk => &mut self.disk,
        }
    }
}

/// What a schedule did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Forward steps outside the leaves.
    pub advances: u64,
    /// Forward steps inside the leaves, recorded.
    pub recorded: u64,
    /// Steps pulled back.
    pub pulled_back: u64,
    /// Leaves.
    pub leaves: u64,
    /// Snapshots stored, the initial state included where it was stored.
    pub stores: PerTier,
    /// Snapshots stored of the initial state.
    pub stores_of_initial: u64,
    /// Snapshots stored and then discarded without having been restored or reversed from.
    pub unused_stores: u64,
    /// Snapshots restored.
    pub restores: PerTier,
    /// Snapshots un-computed, each by computing its last segment again.
    pub uncomputed: u64,
    /// Slots in use at the same time, at most.
    pub peak_slots: PerTier,
    /// Slots of both tiers in use at the same time, at most.
    pub peak_snapshots: u64,
    /// Records in use at the same time, at most.
    pub peak_records: u64,
}

impl Counts {
    /// Evaluations of the forward step: the advances and those inside the leaves.
    pub fn total_forward(&self) -> u64 {
        self.advances + self.recorded
    }

    /// Snapshots stored, that of the initial state not counted.
    pub fn stores_after_initial(&self) -> u64 {
        self.stores.total() - self.stores_of_initial
    }

    /// States kept at the same time, at most; the initial state counts even where no snapshot was needed.
    pub fn peak_states(&self) -> u64 {
        self.peak_snapshots.max(1)
    }

    /// uf·advances + ub·steps + wd·writes + rd·reads.
    pub fn cost(&self, costs: &Costs) -> f64 {
        costs.advance * self.advances as f64
            + costs.adjoint * self.pulled_back as f64
            + costs.write * self.stores.disk as f64
            + costs.read * self.restores.disk as f64
    }

    /// Adds what another reversal did; peaks are the higher ones.
    pub fn merge(&mut self, other: &Counts) {
        self.advances += other.advances;
        self.recorded += other.recorded;
        self.pulled_back += other.pulled_back;
        self.leaves += other.leaves;
        self.stores.memory += other.stores.memory;
        self.stores.disk += other.stores.disk;
        self.stores_of_initial += other.stores_of_initial;
        self.unused_stores += other.unused_stores;
        self.restores.memory += other.restores.memory;
        self.restores.disk += other.restores.disk;
        self.uncomputed += other.uncomputed;
        self.peak_slots.memory = self.peak_slots.memory.max(other.peak_slots.memory);
        self.peak_slots.disk = self.peak_slots.disk.max(other.peak_slots.disk);
        self.peak_snapshots = self.peak_snapshots.max(other.peak_snapshots);
        self.peak_records = self.peak_records.max(other.peak_records);
    }
}
