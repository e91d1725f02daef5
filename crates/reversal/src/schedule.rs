//! When to store, advance, restore, pull back and discard: the strategies, as a table.
//!
//! A strategy is a set of parameters; [`Strategy::schedule`] turns it into a lazily generated sequence of
//! [`Action`]s. All strategies play their game on *segments* of `segment_steps` steps: a leaf
//! [`Action::Reverse`] covers one segment and keeps one record for each of its steps. With one step per segment the
//! games are those of the literature.
//!
//! If the steps do not fill the segments, the **first** segment is the shorter one: it is the segment that is
//! recomputed again and again, while the last one is never advanced over at all.
//!
//! To add a strategy, write `schedule/<name>.rs` with a type that implements `segments::Game`, and add its
//! variant here.

mod bennett;
pub mod disk_blocks;
pub mod multistage;
pub mod revolve;
mod segments;
mod store_all;
pub mod treeverse;
pub mod two_level;

use crate::action::{Action, Tier};
use segments::{Segments, Tasks};
use thiserror::Error;

pub use disk_blocks::DiskReads;
pub use multistage::Trajectory;
pub use two_level::Costs;

/// Why a strategy has no schedule.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
pub enum ScheduleError {
    /// There is nothing to reverse.
    #[error("there are no steps to reverse; give at least 1")]
    NoSteps,
    /// More steps than the counts can hold.
    #[error("{steps} steps are more than the {limit} that a schedule can count")]
    TooManySteps {
        /// Steps asked for.
        steps: usize,
        /// Steps possible.
        limit: usize,
    },
    /// A segment must hold a step.
    #[error("segment_steps is 0; give at least 1")]
    EmptySegment,
    /// The slots do not suffice for any schedule.
    #[error("{strategy} needs at least {needed} slot(s) to reverse {segments} segments, found {found}")]
    TooFewSlots {
        /// Name of the strategy.
        strategy: &'static str,
        /// Slots needed.
        needed: usize,
        /// Slots given.
        found: usize,
        /// Segments to reverse.
        segments: usize,
    },
    /// Fewer blocks than 2 are no division.
    #[error("bennett needs at least 2 blocks, found {found}")]
    TooFewBlocks {
        /// Blocks given.
        found: usize,
    },
    /// The evolution steps backwards itself.
    #[error("a reversal by inversion follows no schedule")]
    Unscheduled,
    /// A cost is negative, infinite or not a number.
    #[error("the cost of {what} is {found}; give a finite number of at least 0")]
    BadCost {
        /// Which cost.
        what: &'static str,
        /// Its value.
        found: f64,
    },
}

/// Most steps that a schedule can have: even N(N−1)/2 advances then fit 64 bits.
pub const MAX_STEPS: usize = u32::MAX as usize;

/// The strategies and their parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Strategy {
    /// Records every step of the only sweep; no snapshot.
    StoreAll,
    /// Treeverse as in the paper (Griewank 1992), every visited state kept until it is reversed.
    Treeverse {
        /// The paper's δ: snapshots besides the initial state.
        snapshots: usize,
    },
    /// Binomial schedule with the least number of advances (Griewank & Walther 2000).
    Revolve {
        /// Snapshots, counted with the initial state.
        snapshots: usize,
    },
    /// Memory slots that cost nothing and disk slots with costs, at the least total cost (Herrmann & Pallez 2020).
    TwoLevel {
        /// Snapshots in memory, counted with the initial state if it is there.
        memory_slots: usize,
        /// Snapshots on disk; `None` if there is room for as many as are useful.
        disk_slots: Option<usize>,
        /// What a step, a write and a read cost.
        costs: Costs,
    },
    /// The binomial schedule with the less used positions of its stack of snapshots on disk (Stumm & Walther 2009).
    Multistage {
        /// Snapshots in memory.
        memory_slots: usize,
        /// Snapshots on disk.
        disk_slots: usize,
        /// Which of the optimal cuts are taken.
        trajectory: Trajectory,
    },
    /// Disk without limit (Aupy, Herrmann, Hovland & Robert 2016).
    DiskRevolve {
        /// Snapshots in memory.
        memory_slots: usize,
        /// What a step, a write and a read cost.
        costs: Costs,
        /// How often a state on disk may be read.
        reads: DiskReads,
    },
    /// Bennett's algorithm (1989): states are un-computed, never erased.
    Bennett {
        /// Blocks that a span is cut into, at least 2.
        blocks: usize,
    },
    /// The evolution steps backwards itself: no schedule, see [`inversion`](crate::inversion).
    Inversion,
}

impl Strategy {
    /// The name used in configuration files and on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Strategy::StoreAll => "store-all",
            Strategy::Treeverse { .. } => "treeverse",
            Strategy::Revolve { .. } => "revolve",
            Strategy::TwoLevel { .. } => "two-level",
            Strategy::Multistage { .. } => "multistage",
            Strategy::DiskRevolve { .. } => "disk-revolve",
            Strategy::Bennett { .. } => "bennett",
            Strategy::Inversion => "inversion",
        }
    }

    /// The schedule of an evolution of `steps` steps, one step per leaf.
    ///
    /// # Errors
    /// See [`Strategy::schedule_in_segments`].
    pub fn schedule(&self, steps: usize) -> Result<Schedule, ScheduleError> {
        self.schedule_in_segments(steps, 1)
    }

    /// The schedule of an evolution of `steps` steps in segments of `segment_steps` steps, the first one shorter if
    /// they do not fit. Store-all has one segment whatever is asked for.
    ///
    /// # Errors
    /// No step, too many steps, an empty segment, too few slots or blocks, or an impossible cost.
    pub fn schedule_in_segments(&self, steps: usize, segment_steps: usize) -> Result<Schedule, ScheduleError> {
        let segments = Segments::new(steps, if *self == Strategy::StoreAll { steps } else { segment_steps })?;
        let count = segments.count();
        let (actions, memory_slots, disk_slots): (Box<dyn Actions>, usize, usize) = match *self {
            Strategy::StoreAll => (Box::new(Tasks::new(store_all::StoreAll, segments)), 0, 0),
            Strategy::Treeverse { snapshots } => {
                let game = treeverse::Treeverse::new(count, snapshots)?;
                (Box::new(Tasks::new(game, segments)), (snapshots + 1).min(count), 0)
            }
            Strategy::Revolve { snapshots } => {
                let game = revolve::Revolve::new(count, snapshots)?;
                (Box::new(Tasks::new(game, segments)), snapshots.min(count - 1), 0)
            }
            Strategy::TwoLevel { memory_slots, disk_slots, costs } => {
                // a segment costs what its steps cost
                let costs = costs.of_segments(segment_steps);
                let game = two_level::TwoLevel::new(count, memory_slots, disk_slots, costs)?;
                let disk = game.disk_slots();
                (Box::new(Tasks::new(game, segments)), memory_slots.min(count - 1), disk)
            }
            Strategy::Multistage { memory_slots, disk_slots, trajectory } => {
                let game = multistage::Multistage::new(count, memory_slots, disk_slots, trajectory)?;
                let (memory, disk) = (game.slots(Tier::Memory), game.slots(Tier::Disk));
                (Box::new(Tasks::new(game, segments)), memory, disk)
            }
            Strategy::DiskRevolve { memory_slots, costs, reads: DiskReads::Many } => {
                let any = Strategy::TwoLevel { memory_slots, disk_slots: None, costs };
                return any.schedule_in_segments(steps, segment_steps);
            }
            Strategy::DiskRevolve { memory_slots, costs, reads } => {
                let costs = costs.of_segments(segment_steps);
                let game = disk_blocks::DiskBlocks::new(count, memory_slots, costs, reads)?;
                let disk = game.disk_slots();
                (Box::new(Tasks::new(game, segments)), memory_slots.min(count - 1), disk)
            }
            Strategy::Bennett { blocks } => {
                let slots = bennett::Bennett::slots(&segments, blocks);
                (Box::new(bennett::Bennett::new(segments, blocks)?), slots, 0)
            }
            Strategy::Inversion => return Err(ScheduleError::Unscheduled),
        };
        Ok(Schedule { actions, steps, records: segments.longest(), memory_slots, disk_slots })
    }
}

/// The actions of a reversal, in order, with what is known about them beforehand.
///
/// A clone goes on from the same action and shares the tables: clones of a new schedule serve many reversals at the
/// price of one.
#[derive(Clone)]
pub struct Schedule {
    actions: Box<dyn Actions>,
    steps: usize,
    records: usize,
    memory_slots: usize,
    disk_slots: usize,
}

impl Schedule {
    /// Steps of the evolution.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Records that the longest leaf keeps.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Memory slots: every memory slot number of the schedule is below.
    pub fn memory_slots(&self) -> usize {
        self.memory_slots
    }

    /// Disk slots: every disk slot number of the schedule is below.
    pub fn disk_slots(&self) -> usize {
        self.disk_slots
    }
}

/// Actions that can be cloned behind a box.
trait Actions: Iterator<Item = Action> + Send + Sync {
    fn boxed(&self) -> Box<dyn Actions>;
}

impl<I: Iterator<Item = Action> + Clone + Send + Sync + 'static> Actions for I {
    fn boxed(&self) -> Box<dyn Actions> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Actions> {
    fn clone(&self) -> Self {
        // of what is in the box: the box implements `Actions` itself
        (**self).boxed()
    }
}

impl Iterator for Schedule {
    type Item = Action;

    fn next(&mut self) -> Option<Action> {
        self.actions.next()
    }
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schedule")
            .field("steps", &self.steps)
            .field("records", &self.records)
            .field("memory_slots", &self.memory_slots)
            .field("disk_slots", &self.disk_slots)
            .finish_non_exhaustive()
    }
}
