//! Chooses a strategy and its parameters from budgets of memory and disk.
//!
//! `auto` takes, in this order: store-all, if a record of every step fits the memory; without a disk budget, revolve;
//! with one, whichever of revolve and two-level is predicted to take less time. In all of them the memory is shared
//! between the records of one segment and the snapshots, and the length of the segments is chosen with the number of
//! snapshots: for revolve, the pair with the least number of forward steps.
//!
//! The counts of a plan are not estimates: the schedule is played on the [`Machine`], so they are what the log of the
//! driver will say.

mod search;

use crate::game::bennett_counts;
use crate::inversion::{Blocks, STEPS_AT_ONCE};
use crate::machine::{Counts, Machine, Violation};
use crate::schedule::{Costs, Schedule, ScheduleError, Strategy};
use search::Share;
pub(crate) use search::block_numbers;
use thiserror::Error;

/// Which strategy to plan for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The fastest that fits.
    #[default]
    Auto,
    /// A record of every step.
    StoreAll,
    /// Treeverse as in the paper, one step per segment unless asked otherwise.
    Treeverse,
    /// Binomial schedule in memory.
    Revolve,
    /// Snapshots in memory and on disk.
    TwoLevel,
    /// Bennett's algorithm, one step per segment unless asked otherwise.
    Bennett,
    /// The evolution's own steps back.
    Inversion,
}

impl Choice {
    /// All choices with the names used in configuration files.
    pub const NAMES: [(&'static str, Choice); 7] = [
        ("auto", Choice::Auto),
        ("store-all", Choice::StoreAll),
        ("treeverse", Choice::Treeverse),
        ("revolve", Choice::Revolve),
        ("two-level", Choice::TwoLevel),
        ("bennett", Choice::Bennett),
        ("inversion", Choice::Inversion),
    ];

    /// The choice of that name.
    pub fn from_name(name: &str) -> Option<Choice> {
        Choice::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, choice)| choice)
    }

    /// The name of the choice.
    pub fn name(self) -> &'static str {
        // every choice is in the table
        Choice::NAMES.into_iter().find(|(_, choice)| *choice == self).map_or("", |(name, _)| name)
    }
}

/// What limits the use of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// Bytes for records, snapshots and staging buffers together; the working state is not among them.
    Bytes(u64),
    /// So many snapshots in memory, counted with the initial state, whatever their bytes.
    Snapshots(usize),
}

/// What the parts of a reversal take, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepCosts {
    /// One step forward.
    pub advance: f64,
    /// One step forward, recorded.
    pub record: f64,
    /// One adjoint step.
    pub pull_back: f64,
    /// One snapshot written to disk, as far as the reversal waits for it.
    pub write: f64,
    /// One snapshot read from disk, as far as the reversal waits for it.
    pub read: f64,
}

impl StepCosts {
    /// The same costs as the two-level game counts them.
    pub fn game(&self) -> Costs {
        Costs { advance: self.advance, adjoint: self.record + self.pull_back, write: self.write, read: self.read }
    }

    /// The costs in units of a step forward, each rounded to the nearest of ten values per decade (1, 1.26, 1.58, …).
    ///
    /// Measured costs are never the same twice. A schedule chosen by rounded ones mostly is, and loses next to nothing:
    /// around the optimum the time depends little on the parameters.
    pub fn rounded(&self) -> Self {
        let round = |cost: f64| {
            let ratio = cost / self.advance;
            if ratio > 0.0 { 10f64.powf((10.0 * ratio.log10()).round() / 10.0) } else { 0.0 }
        };
        StepCosts {
            advance: 1.0,
            record: round(self.record),
            pull_back: round(self.pull_back),
            write: round(self.write),
            read: round(self.read),
        }
    }
}

/// What is to be planned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanRequest {
    /// Steps of the evolution.
    pub steps: usize,
    /// Bytes of one state.
    pub state_bytes: u64,
    /// Bytes of one record.
    pub record_bytes: u64,
    /// Bytes that a step forgets, of an evolution that can be inverted.
    pub residue_bytes: Option<u64>,
    /// The strategy, or `Auto`.
    pub choice: Choice,
    /// The memory budget.
    pub memory: MemoryLimit,
    /// The disk budget in bytes; 0 to use none.
    pub disk_bytes: u64,
    /// Steps per segment; `None` to have them chosen (1 for treeverse, bennett, and where snapshots are counted).
    pub segment_steps: Option<usize>,
    /// Blocks of bennett, with as many snapshots as they need where snapshots are counted; `None` for the number with the
    /// fewest evaluations among those that fit the memory.
    pub blocks: Option<usize>,
    /// States that the disk store keeps in memory as buffers.
    pub staging_states: usize,
    /// What steps, writes and reads take.
    pub costs: StepCosts,
    /// The highest number of forward steps per step that is acceptable; infinite to accept any.
    pub max_recompute_factor: f64,
}

impl PlanRequest {
    /// A request for `auto` in `memory_bytes` of memory and no disk, with two staging states and every cost of a step 1.
    pub fn new(steps: usize, state_bytes: u64, record_bytes: u64, memory_bytes: u64) -> Self {
        PlanRequest {
            steps,
            state_bytes,
            record_bytes,
            residue_bytes: None,
            choice: Choice::Auto,
            memory: MemoryLimit::Bytes(memory_bytes),
            disk_bytes: 0,
            segment_steps: None,
            blocks: None,
            staging_states: 2,
            costs: StepCosts { advance: 1.0, record: 1.0, pull_back: 2.0, write: 1.0, read: 1.0 },
            max_recompute_factor: f64::INFINITY,
        }
    }
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
pub enum PlanError {
    /// The memory does not suffice.
    #[error(
        "reversing {steps} steps by {strategy} needs at least {needed} bytes of memory, the budget is {budget}; \
         raise it, or choose a strategy that needs less"
    )]
    Memory {
        /// Name of the strategy, or `auto`.
        strategy: &'static str,
        /// Steps to reverse.
        steps: usize,
        /// Least budget that works.
        needed: u64,
        /// Budget given.
        budget: u64,
    },
    /// The disk cannot hold a single state.
    #[error(
        "two-level needs at least {needed} bytes of disk for one state, the budget is {budget}; raise it, or choose revolve"
    )]
    Disk {
        /// Bytes of a state.
        needed: u64,
        /// Budget given.
        budget: u64,
    },
    /// What steps forget does not fit memory and disk.
    #[error(
        "inversion keeps {needed} bytes of what steps forget; {memory} fit the memory beside its records, {disk} the disk; raise \
         one of them"
    )]
    Residue {
        /// Bytes to keep.
        needed: u64,
        /// Bytes that the memory takes.
        memory: u64,
        /// Bytes that the disk takes.
        disk: u64,
    },
    /// The evolution has no exact inverse.
    #[error("this simulation cannot be inverted: its steps have no exact inverse; choose another strategy")]
    NoInverse,
    /// The plan recomputes more than is acceptable.
    #[error(
        "{strategy} would run {factor:.2} forward steps per step, the limit is {limit}; raise the memory or disk budget \
         (no step is recomputed with {store_all_bytes} bytes of memory)"
    )]
    Recompute {
        /// Name of the strategy.
        strategy: &'static str,
        /// Forward steps per step.
        factor: f64,
        /// The limit given.
        limit: f64,
        /// Memory with which nothing is recomputed.
        store_all_bytes: u64,
    },
    /// Something in the request is impossible.
    #[error("the {what} in a plan must be above 0")]
    Zero {
        /// What is 0.
        what: &'static str,
    },
    /// The strategy refuses its parameters.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The schedule is illegal: a bug of ours.
    #[error("the planned schedule is wrong")]
    Violation(#[from] Violation),
}

/// A strategy with parameters, and what it will do.
#[derive(Clone, Debug)]
pub struct ReversalPlan {
    /// The strategy.
    pub strategy: Strategy,
    /// Steps to reverse.
    pub steps: usize,
    /// Steps per segment, which is the number of records.
    pub segment_steps: usize,
    /// Snapshots in memory at the same time.
    pub memory_slots: usize,
    /// Snapshots on disk at the same time.
    pub disk_slots: usize,
    /// Bytes of records, snapshots and staging buffers; the working state comes on top.
    pub peak_memory_bytes: u64,
    /// Bytes of the snapshots on disk.
    pub disk_bytes: u64,
    /// Forward steps outside the leaves.
    pub advances: u64,
    /// Snapshots written to disk.
    pub writes: u64,
    /// Snapshots read from disk.
    pub reads: u64,
    /// Forward steps per step; 1 if nothing is recomputed.
    pub recompute_factor: f64,
    /// Predicted seconds for one reversal, with the costs of the request.
    pub seconds: f64,
    /// All counts, as the log of the driver will report them.
    pub counts: Counts,
    /// Strategies that `auto` compared, with their counts; the strategy itself where there was nothing to compare.
    pub compared: Vec<(Strategy, Counts)>,
    schedule: Option<Schedule>,
}

impl ReversalPlan {
    /// Finds the plan for a request.
    ///
    /// # Errors
    /// A budget that no parameters fit, with the least one that works; a recomputation factor above the limit.
    pub fn new(request: &PlanRequest) -> Result<Self, PlanError> {
        for (what, value) in [("number of steps", request.steps as u64), ("size of a state", request.state_bytes)] {
            if value == 0 {
                return Err(PlanError::Zero { what });
            }
        }
        if request.segment_steps == Some(0) {
            return Err(PlanError::Zero { what: "number of steps per segment" });
        }
        request.costs.game().check()?;
        let plan = match request.choice {
            Choice::Auto => auto(request),
            Choice::StoreAll => store_all(request),
            Choice::Treeverse => treeverse(request),
            Choice::Revolve => revolve(request),
            Choice::TwoLevel => two_level(request),
            Choice::Bennett => bennett(request),
            Choice::Inversion => inversion(request),
        }?;
        if plan.recompute_factor > request.max_recompute_factor {
            return Err(PlanError::Recompute {
                strategy: plan.strategy.name(),
                factor: plan.recompute_factor,
                limit: request.max_recompute_factor,
                store_all_bytes: Share::new(request).records(request.steps),
            });
        }
        Ok(plan)
    }

    /// The schedule of the plan, anew for each reversal, which costs next to nothing; none if it is by inversion.
    pub fn schedule(&self) -> Option<Schedule> {
        self.schedule.clone()
    }

    /// The schedule for the first `steps` steps, to go on with a reversal of which the others were pulled back; none if it is by
    /// inversion or nothing is left.
    pub fn schedule_of(&self, steps: usize) -> Option<Schedule> {
        if steps == self.steps {
            return self.schedule();
        }
        self.strategy.schedule_in_segments(steps, self.segment_steps.min(steps)).ok()
    }

    /// The blocks of a reversal by inversion of the first `steps` steps.
    pub fn blocks_of(&self, steps: usize) -> Blocks {
        Blocks { steps, each: self.segment_steps, in_memory: self.memory_slots }
    }
}

/// Plays the schedule and takes down what it does.
fn played(request: &PlanRequest, strategy: Strategy, segment_steps: usize) -> Result<ReversalPlan, PlanError> {
    let schedule = strategy.schedule_in_segments(request.steps, segment_steps)?;
    let counts = Machine::play(request.steps, schedule.clone())?;
    let costs = &request.costs;
    let staging = if counts.peak_slots.disk > 0 { request.staging_states as u64 } else { 0 };
    let share = Share::new(request);
    let kept = share.states(counts.peak_slots.memory.saturating_add(staging));
    Ok(ReversalPlan {
        strategy,
        steps: request.steps,
        segment_steps: counts.peak_records as usize,
        memory_slots: counts.peak_slots.memory as usize,
        disk_slots: counts.peak_slots.disk as usize,
        peak_memory_bytes: share.records(counts.peak_records as usize).saturating_add(kept),
        disk_bytes: share.states(counts.peak_slots.disk),
        advances: counts.advances,
        writes: counts.stores.disk,
        reads: counts.restores.disk,
        recompute_factor: counts.total_forward() as f64 / request.steps as f64,
        seconds: counts.cost(&costs.game()),
        counts,
        compared: vec![(strategy, counts)],
        schedule: Some(schedule),
    })
}

fn auto(request: &PlanRequest) -> Result<ReversalPlan, PlanError> {
    if let (MemoryLimit::Bytes(_), Ok(plan)) = (request.memory, store_all(request)) {
        return Ok(plan);
    }
    let in_memory = revolve(request);
    // revolve needs the least memory of all, so its refusal is that of auto
    let in_memory = in_memory.map_err(|error| match error {
        PlanError::Memory { steps, needed, budget, .. } => {
            let needed = needed.min(Share::new(request).records(request.steps));
            PlanError::Memory { strategy: "auto", steps, needed, budget }
        }
        other => other,
    });
    if request.disk_bytes < request.state_bytes {
        return in_memory;
    }
    match (in_memory, two_level(request)) {
        (Ok(memory), Ok(disk)) => {
            let compared = vec![(memory.strategy, memory.counts), (disk.strategy, disk.counts)];
            let cheaper = if disk.seconds < memory.seconds { disk } else { memory };
            Ok(ReversalPlan { compared, ..cheaper })
        }
        (Ok(plan), Err(_)) | (Err(_), Ok(plan)) => Ok(plan),
        (Err(error), Err(_)) => Err(error),
    }
}

fn store_all(request: &PlanRequest) -> Result<ReversalPlan, PlanError> {
    let needed = Share::new(request).records(request.steps);
    if let MemoryLimit::Bytes(budget) = request.memory {
        enough(Strategy::StoreAll.name(), request, needed, budget)?;
    }
    played(request, Strategy::StoreAll, request.steps)
}

fn treeverse(request: &PlanRequest) -> Result<ReversalPlan, PlanError> {
    let segment_steps = request.segment_steps.unwrap_or(1).min(request.steps);
    let segments = request.steps.div_ceil(segment_steps);
    let snapshots = match request.memory {
        MemoryLimit::Snapshots(snapshots) => snapshots,
        MemoryLimit::Bytes(budget) => {
            let share = Share::new(request);
            let least = if segments == 1 { 0 } else { 2 };
            enough("treeverse", request, share.records(segment_steps).saturating_add(share.states(least)), budget)?;
            share.snapshots(budget, segment_steps, 0).min(segments)
        }
    };
    // the paper's δ leaves the initial state out
    played(request, Strategy::Treeverse { snapshots: snapshots.saturating_sub(1) }, segment_steps)
}

fn revolve(request: &PlanRequest) -> Result<ReversalPlan, PlanError> {
    let (segment_steps, snapshots) = match request.memory {
        MemoryLimit::Snapshots(snapshots) => (request.segment_steps.unwrap_or(1), snapshots),
        MemoryLimit::Bytes(budget) => {
            let share = Share::new(request);
            let segment_steps = request.segment_steps.unwrap_or(1).min(request.steps);
            let least = u64::from(segment_steps < request.steps);
            enough("revolve", request, share.records(segment_steps).saturating_add(share.states(least)), budget)?;
            search::revolve(request, budget)
        }
    };
    played(request, Strategy::Revolve { snapshots }, segment_steps)
}

fn two_level(request: &PlanRequest) -> Result<ReversalPlan, PlanError> {
    let disk_slots = usize::try_from(request.disk_bytes / request.state_bytes).unwrap_or(usize::MAX);
    if disk_slots == 0 {
        return Err(PlanError::Disk { needed: request.state_bytes, budget: request.disk_bytes });
    }
    let (segment_steps, memory_slots) = match request.memory {
        MemoryLimit::Snapshots(snapshots) => (request.segment_steps.unwrap_or(1), snapshots),
        MemoryLimit::Bytes(budget) => {
            let share = Share::new(request);
            let segment_steps = request.segment_steps.unwrap_or(1).min(request.steps);
            let staging = share.states(request.staging_states as u64);
            enough("two-level", request, share.records(segment_steps).saturating_add(staging), budget)?;
            search::two_level(request, budget, disk_slots)
        }
    };
    let costs = request.costs.game();
    played(request, Strategy::TwoLevel { memory_slots, disk_slots: Some(disk_slots), costs }, segment_steps)
}

fn bennett(request: &PlanRequest) -> Result<ReversalPlan, PlanError> {
    let share = Share::new(request);
    let segment_steps = request.segment_steps.unwrap_or(1).min(request.steps);
    let segments = request.steps.div_ceil(segment_steps);
    let (records, budget) = match request.memory {
        MemoryLimit::Bytes(budget) => (share.records(segment_steps), budget),
        // blocks that are given say how many states there are
        MemoryLimit::Snapshots(_) if request.blocks.is_some() => (0, u64::MAX),
        // counted in states, records come on top
        MemoryLimit::Snapshots(snapshots) => (0, share.states(snapshots as u64)),
    };
    let room = budget.saturating_sub(records) / request.state_bytes;
    let blocks = request.blocks.unwrap_or_else(|| search::bennett(segments, room));
    let states = bennett_counts(segments, blocks, false).peak_pebbles;
    enough("bennett", request, records.saturating_add(share.states(states)), budget)?;
    played(request, Strategy::Bennett { blocks }, segment_steps)
}

fn inversion(request: &PlanRequest) -> Result<ReversalPlan, PlanError> {
    let each = request.segment_steps.unwrap_or(1).min(request.steps);
    let block_bytes = request.residue_bytes.ok_or(PlanError::NoInverse)?.saturating_mul(each as u64).max(1);
    let share = Share::new(request);
    // The residue that is worked with, too.
    let working = share.records(each.min(STEPS_AT_ONCE)).saturating_add(block_bytes);
    let count = request.steps.div_ceil(each);
    let fit = |bytes: u64| usize::try_from(bytes / block_bytes).unwrap_or(usize::MAX).min(count);
    let MemoryLimit::Bytes(budget) = request.memory else {
        return Ok(inverted(request, Blocks { steps: request.steps, each, in_memory: count }, block_bytes));
    };
    enough("inversion", request, working, budget)?;
    let left = budget - working;
    let staging = block_bytes.saturating_mul(request.staging_states as u64);
    let in_memory = if fit(left) == count { count } else { fit(left.saturating_sub(staging)) };
    let on_disk = if staging <= left { fit(request.disk_bytes) } else { 0 };
    if in_memory + on_disk < count {
        let [memory, disk] = [in_memory, on_disk].map(|blocks| block_bytes.saturating_mul(blocks as u64));
        return Err(PlanError::Residue { needed: block_bytes.saturating_mul(count as u64), memory, disk });
    }
    Ok(inverted(request, Blocks { steps: request.steps, each, in_memory }, block_bytes))
}

/// The plan of a reversal by inversion.
fn inverted(request: &PlanRequest, blocks: Blocks, block_bytes: u64) -> ReversalPlan {
    let counts = blocks.counts();
    let staging = if counts.peak_slots.disk > 0 { request.staging_states as u64 } else { 0 };
    let residues = (counts.peak_slots.memory + staging + 1).saturating_mul(block_bytes);
    ReversalPlan {
        strategy: Strategy::Inversion,
        steps: request.steps,
        segment_steps: blocks.each,
        memory_slots: counts.peak_slots.memory as usize,
        disk_slots: counts.peak_slots.disk as usize,
        peak_memory_bytes: Share::new(request).records(counts.peak_records as usize).saturating_add(residues),
        disk_bytes: block_bytes.saturating_mul(counts.peak_slots.disk),
        advances: counts.advances,
        writes: counts.stores.disk,
        reads: counts.restores.disk,
        recompute_factor: counts.total_forward() as f64 / request.steps as f64,
        seconds: counts.cost(&request.costs.game()),
        counts,
        compared: vec![(Strategy::Inversion, counts)],
        schedule: None,
    }
}

fn enough(strategy: &'static str, request: &PlanRequest, needed: u64, budget: u64) -> Result<(), PlanError> {
    if needed <= budget {
        return Ok(());
    }
    Err(PlanError::Memory { strategy, steps: request.steps, needed, budget })
}
