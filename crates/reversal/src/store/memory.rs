//! Snapshots in memory.

use super::{SnapshotStore, StoreError, StoreStatistics};
use crate::action::Slot;
use crate::evolution::Snapshot;

/// Keeps each slot in a state of its own, allocated when the slot is first used and reused from then on.
///
/// The tier of a slot is ignored: all are kept in memory.
pub struct MemoryStore<'a, S> {
    new_state: Box<dyn Fn() -> S + Send + 'a>,
    slots: Vec<Place<S>>,
}

/// A slot: its state, once it was used, and whether that is a snapshot now.
struct Place<S> {
    state: Option<S>,
    full: bool,
}

impl<'a, S: Snapshot> MemoryStore<'a, S> {
    /// A store without slots; `new_state` makes the state of a slot when it is first used.
    pub fn new(new_state: impl Fn() -> S + Send + 'a) -> Self {
        MemoryStore { new_state: Box::new(new_state), slots: Vec::new() }
    }

    /// Makes the states of the slots below `slots` now, so that nothing is allocated later.
    pub fn reserve(&mut self, slots: usize) {
        while self.slots.len() < slots {
            self.slots.push(Place { state: None, full: false });
        }
        for place in &mut self.slots[..slots] {
            place.state.get_or_insert_with(&self.new_state);
        }
    }

    /// States allocated so far.
    pub fn allocated(&self) -> usize {
        self.slots.iter().filter(|place| place.state.is_some()).count()
    }

    fn kept(&mut self, slot: Slot) -> Result<&mut Place<S>, StoreError> {
        self.slots.get_mut(slot.index).filter(|place| place.full).ok_or(StoreError::Slot { slot, what: "is empty" })
    }
}

impl<S: Snapshot> SnapshotStore<S> for MemoryStore<'_, S> {
    fn put(&mut self, slot: Slot, state: &S) -> Result<(), StoreError> {
        while self.slots.len() <= slot.index {
            self.slots.push(Place { state: None, full: false });
        }
        let place = &mut self.slots[slot.index];
        if place.full {
            return Err(StoreError::Slot { slot, what: "is taken" });
        }
        place.state.get_or_insert_with(&self.new_state).copy_from(state);
        place.full = true;
        Ok(())
    }

    fn get(&mut self, slot: Slot, state: &mut S) -> Result<(), StoreError> {
        if let Some(kept) = &self.kept(slot)?.state {
            state.copy_from(kept);
        }
        Ok(())
    }

    fn discard(&mut self, slot: Slot) -> Result<(), StoreError> {
        self.kept(slot)?.full = false;
        Ok(())
    }

    fn uncompute(&mut self, slot: Slot, state: &S) -> Result<(), StoreError> {
        let place = self.kept(slot)?;
        place.full = false;
        let mut left = 0;
        if let Some(kept) = &place.state {
            for (kept, again) in kept.parts().into_iter().zip(state.parts()) {
                // What would be left is the exclusive or; it is counted only if there is something to count.
                if kept != again {
                    left += kept.iter().zip(again).filter(|(kept, again)| kept != again).count();
                }
            }
        }
        if left == 0 { Ok(()) } else { Err(StoreError::Residue { slot, bytes: left }) }
    }

    fn prefetch(&mut self, slot: Slot) -> Result<(), StoreError> {
        self.kept(slot).map(|_| ())
    }

    fn statistics(&self) -> StoreStatistics {
        StoreStatistics::default()
    }
}
