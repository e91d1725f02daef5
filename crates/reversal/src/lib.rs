//! How to visit the states of an evolution backwards: schedules are data, the driver interprets them.
//!
//! - A [`Strategy`] with its parameters gives a [`Schedule`]: a lazily generated sequence of [`Action`]s.
//! - The [`reverse`] driver carries the actions out on an [`Evolution`] with a [`SnapshotStore`], and returns the misfit
//!   and a [`Log`].
//! - The [`Machine`] plays schedules without an evolution, refuses illegal actions, and counts.
//! - The [`game`] module plays the same as pebbles on a row of squares: the two pebble games with their rules, and the
//!   players that are known to be the best.
//! - [`reverse_by_inversion`] needs no schedule: an [`Invertible`] evolution steps backwards itself.
//! - [`ReversalPlan`] chooses strategy and parameters from budgets of memory and disk, and predicts the counts.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod action;
pub mod driver;
pub mod evolution;
pub mod game;
pub mod inversion;
pub mod machine;
pub mod pace;
pub mod planner;
pub mod schedule;
pub mod store;

pub use action::{Action, Slot, Tier};
pub use driver::{Log, ReverseError, Turned, Watch, Workspace, reverse};
pub use evolution::{Evolution, Snapshot};
pub use inversion::{Blocks, InversionWorkspace, Invertible, STEPS_AT_ONCE, reverse_by_inversion};
pub use machine::{Counts, Fault, Machine, PerTier, Violation};
pub use pace::Pace;
pub use planner::{Choice, MemoryLimit, PlanError, PlanRequest, ReversalPlan, StepCosts};
pub use schedule::disk_blocks::disk_period;
pub use schedule::revolve::revolve_advances;
pub use schedule::treeverse::{treeverse_advances, treeverse_repetitions};
pub use schedule::two_level::two_level_cost;
pub use schedule::{Costs, DiskReads, MAX_STEPS, Schedule, ScheduleError, Strategy, Trajectory};
pub use store::{MemoryStore, SnapshotStore, StoreError, StoreStatistics, TieredStore};
