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
    Store {
        /// Where the working state is.
        step: usize,
        /// Where it is kept.
        slot: Slot,
    },
    /// Copies the snapshot of `step` from a slot into the working state; the slot keeps it.
    Restore {
        /// The step of the snapshot.
        step: usize,
        /// Where it is kept.
        slot: Slot,
    },
    /// Moves the working state from step `from` to step `to`.
    Advance {
        /// Where the working state is.
        from: usize,
        /// Where it will be.
        to: usize,
    },
    /// Moves the working state from `from` to `to`, recording every step, and pulls the adjoint back from `to` to `from`.
    Reverse {
        /// Where the working state is, and the adjoint will be.
        from: usize,
        /// Where the adjoint is.
        to: usize,
    },
    /// Empties a slot.
    Discard {
        /// The slot.
        slot: Slot,
    },
    /// Un-computes a snapshot: takes the working state, computed again up to the same step, away from what the slot keeps.
    /// That must leave zero, bit for bit; the slot is then empty, and nothing was erased to make it so.
    ///
    /// The working state may also be the one that a leaf has just used up: it is at the end of the leaf.
    Uncompute {
        /// The step of the snapshot, and of the working state.
        step: usize,
        /// Where it is kept.
        slot: Slot,
    },
}
