//! Snapshots in memory and, where there is one, in a second store on disk.

use super::{MemoryStore, SnapshotStore, StoreError, StoreStatistics};
use crate::action::{Slot, Tier};
use crate::evolution::Snapshot;

/// Sends each slot to the store of its tier.
pub struct TieredStore<'a, S> {
    memory: MemoryStore<'a, S>,
    disk: Option<Box<dyn SnapshotStore<S> + Send + 'a>>,
}

impl<'a, S: Snapshot + 'a> TieredStore<'a, S> {
    /// A store of both tiers; without a disk store, a schedule that uses disk slots is refused.
    pub fn new(memory: MemoryStore<'a, S>, disk: Option<Box<dyn SnapshotStore<S> + Send + 'a>>) -> Self {
        TieredStore { memory, disk }
    }

    /// The memory tier.
    pub fn memory(&mut self) -> &mut MemoryStore<'a, S> {
        &mut self.memory
    }

    fn tier(&mut self, slot: Slot) -> Result<&mut (dyn SnapshotStore<S> + 'a), StoreError> {
        match (slot.tier, &mut self.disk) {
            (Tier::Memory, _) => Ok(&mut self.memory),
            (Tier::Disk, Some(disk)) => Ok(disk.as_mut()),
            (Tier::Disk, None) => Err(StoreError::Slot { slot, what: "is on disk, but there is no disk store" }),
        }
    }
}

impl<'a, S: Snapshot + 'a> SnapshotStore<S> for TieredStore<'a, S> {
    fn put(&mut self, slot: Slot, state: &S) -> Result<(), StoreError> {
        self.tier(slot)?.put(slot, state)
    }

    fn get(&mut self, slot: Slot, state: &mut S) -> Result<(), StoreError> {
        self.tier(slot)?.get(slot, state)
    }

    fn discard(&mut self, slot: Slot) -> Result<(), StoreError> {
        self.tier(slot)?.discard(slot)
    }

    fn uncompute(&mut self, slot: Slot, state: &S) -> Result<(), StoreError> {
        self.tier(slot)?.uncompute(slot, state)
    }

    fn prefetch(&mut self, slot: Slot) -> Result<(), StoreError> {
        self.tier(slot)?.prefetch(slot)
    }

    fn statistics(&self) -> StoreStatistics {
        self.disk.as_ref().map_or_else(StoreStatistics::default, |disk| disk.statistics())
    }
}
