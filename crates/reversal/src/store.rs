//! Where snapshots are kept.

mod memory;
mod tiered;

pub use memory::MemoryStore;
pub use tiered::TieredStore;

use crate::action::Slot;
use thiserror::Error;

/// Why a snapshot cannot be kept or brought back.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The medium failed.
    #[error("{context}: {source}")]
    Io {
        /// What was done, on which file.
        context: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The schedule asked for something impossible: a bug of ours.
    #[error("slot {slot:?} {what}")]
    Slot {
        /// The slot.
        slot: Slot,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A state that was computed again differs from the one that was kept: the evolution does not repeat itself.
    #[error(
        "un-computing slot {slot:?} left {bytes} bytes that are not zero: a step computed again gave other bits, \
         which a reversible schedule cannot do with; choose a strategy that keeps its snapshots instead"
    )]
    Residue {
        /// The slot.
        slot: Slot,
        /// Bytes that are not zero.
        bytes: usize,
    },
}

/// What a store did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StoreStatistics {
    /// Bytes written to disk.
    pub bytes_written: u64,
    /// Bytes read from disk.
    pub bytes_read: u64,
    /// Seconds that the caller waited for the disk.
    pub seconds_waited: f64,
}

/// Keeps snapshots in numbered slots.
pub trait SnapshotStore<S> {
    /// Copies a state into an empty slot; may go on writing in the background.
    fn put(&mut self, slot: Slot, state: &S) -> Result<(), StoreError>;
    /// Copies a snapshot into a state; the slot keeps it.
    fn get(&mut self, slot: Slot, state: &mut S) -> Result<(), StoreError>;
    /// Empties a slot.
    fn discard(&mut self, slot: Slot) -> Result<(), StoreError>;
    /// Takes a state away from the snapshot in a slot, bit by bit (exclusive or), which must leave zero; the slot is then empty.
    ///
    /// # Errors
    /// What is left is not zero, or the store keeps its slots where nothing can be computed.
    fn uncompute(&mut self, slot: Slot, _state: &S) -> Result<(), StoreError> {
        Err(StoreError::Slot { slot, what: "is kept where nothing can be un-computed" })
    }
    /// A hint that this slot will be read soon, and before it is discarded.
    fn prefetch(&mut self, slot: Slot) -> Result<(), StoreError>;
    /// What was done so far, over the life of the store.
    fn statistics(&self) -> StoreStatistics;
}
