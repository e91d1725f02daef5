//! How to visit the states of an evolution backwards: schedules are data, the driver interprets them.
#![forbid(unsafe_code)]

pub mod action;
pub mod evolution;
pub mod store;

pub use action::{Action, Slot, Tier};
pub use evolution::{Evolution, Snapshot};
pub use store::{SnapshotStore, StoreError, StoreStatistics};
