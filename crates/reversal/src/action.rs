//! The instructions of a reversal schedule.

/// Where a snapshot is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// In memory.
    Memory,
    /// On disk.
    Disk,
}

/// A place for one snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// Memory or disk.
    pub tier: Tier,
    /// Number within the tier, from 0.
    pub index: usize,
}

/// One instruction. There is one *working state*; it starts at step 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Copies the working state, which is at `step`, into an empty slot.
    Store { step: usize, slot: Slot },
    /// Copies the snapshot of `step` from a slot into the working state; the slot keeps it.
    Restore { step: usize, slot: Slot },
    /// Moves the working state from step `from` to step `to`.
    Advance { from: usize, to: usize },
    /// Moves the working state from `from` to `to`, recording every step, and pulls the adjoint back from `to` to `from`.
    Reverse { from: usize, to: usize },
    /// Empties a slot.
    Discard { slot: Slot },
}
