//! The plan of the reversal: budgets of the configuration, sizes of states, measured costs.

use std::path::Path;

use treewave_cluster::{Cluster, Failure};
use treewave_core::Grid;
use treewave_reversal::{Choice, PlanError, PlanRequest, ReversalPlan, Snapshot, SnapshotStore, StepCosts, StoreError};
use treewave_storage::{STAGING_STATES, SpillStore};
use treewave_wave::{AcousticOptions, FixedLayout, Layout, Path as SimdPath, Scalar, State};

use crate::config::sections::Reversal;
use crate::known_costs::KnownCosts;
use crate::provenance;
use crate::study::{misconfigured, unwritable};

/// Costs for plans that do not depend on them.
pub const UNIT_COSTS: StepCosts = StepCosts { advance: 1.0, record: 1.0, pull_back: 2.0, write: 1.0, read: 1.0 };

/// Steps of a block of a reversal by inversion in 2-D and 3-D: its adjoint steps are computed together, in tiles.
const BLOCK_STEPS: [usize; 2] = [8, 1];

/// Bytes of a state.
pub fn state_bytes<T: Scalar>(layout: &Layout) -> u64 {
    (State::<T>::elements(layout) * size_of::<T>()) as u64
}

/// The store of spilled snapshots of a rank.
///
/// # Errors
/// The scratch directory cannot take them.
pub fn spill<S: Snapshot + Send + 'static>(
    scratch: &Path,
    name: &str,
    rank: usize,
    slots: usize,
    state: &S,
) -> Result<Box<dyn SnapshotStore<S> + Send>, StoreError> {
    Ok(Box::new(SpillStore::create(scratch, name, rank, slots, state)?))
}

/// Makes a file in the scratch directory, if the disk may be used, and removes it.
///
/// # Errors
/// Code 5 if that does not work.
pub fn check_scratch(reversal: &Reversal) -> Result<(), Failure> {
    if reversal.disk_bytes == 0 {
        return Ok(());
    }
    let made = tempfile::tempfile_in(&reversal.scratch);
    made.map(drop).map_err(|error| {
        unwritable(format!(
            "{}: the scratch directory cannot be used: {error}; choose another one with reversal.scratch, or set \
             reversal.disk = 0",
            reversal.scratch.display()
        ))
    })
}

/// Finds the plan for `steps` steps. The schedule is chosen by the costs of the configuration, else by the measured ones,
/// [rounded](StepCosts::rounded) so that it is mostly the same in the next run. The seconds are those of the measured ones.
///
/// # Errors
/// Code 2 for budgets that no schedule fits.
pub fn plan<T: Scalar>(
    reversal: &Reversal,
    grid: &Grid,
    options: &AcousticOptions,
    steps: usize,
    costs: StepCosts,
) -> Result<ReversalPlan, Failure> {
    let layout = Layout::new(grid, options.boundary, options.space_order / 2);
    let (state, record) = (state_bytes::<T>(&layout), options.records.bytes::<T>(&layout));
    if reversal.strategy == Choice::Inversion && T::HAS_FIXED {
        let fixed = FixedLayout::new(grid, options).map_err(misconfigured)?;
        let segment_steps = Some(reversal.segment_steps.unwrap_or(BLOCK_STEPS[layout.dims - 2]));
        let reversal = Reversal { segment_steps, ..reversal.clone() };
        return plan_bytes(&reversal, state, record, Some(fixed.residue_bytes()), steps, costs);
    }
    plan_bytes(reversal, state, record, None, steps, costs)
}

/// The same for states and records of so many bytes, and of what steps forget of a simulation that can be inverted.
///
/// # Errors
/// As [`plan`].
pub fn plan_bytes(
    reversal: &Reversal,
    state_bytes: u64,
    record_bytes: u64,
    residue_bytes: Option<u64>,
    steps: usize,
    costs: StepCosts,
) -> Result<ReversalPlan, Failure> {
    let request = PlanRequest {
        steps,
        state_bytes,
        record_bytes,
        residue_bytes,
        choice: reversal.strategy,
        memory: reversal.memory,
        disk_bytes: reversal.disk_bytes,
        segment_steps: reversal.segment_steps,
        blocks: reversal.blocks,
        staging_states: STAGING_STATES,
        costs: reversal.costs.unwrap_or_else(|| costs.rounded()),
        max_recompute_factor: f64::INFINITY,
    };
    let mut plan = ReversalPlan::new(&request).map_err(|error| {
        let advice = match error {
            PlanError::Memory { strategy: "bennett", .. } => "; see [reversal] memory, snapshots and blocks",
            PlanError::Memory { .. } => "; see [reversal] memory and snapshots",
            PlanError::Disk { .. } => "; see [reversal] disk",
            PlanError::Residue { .. } => "; see [reversal] memory and disk",
            _ => "",
        };
        misconfigured(format!("reversal: {error}{advice}"))
    })?;
    plan.seconds = plan.counts.cost(&costs.game());
    Ok(plan)
}

/// Whether the schedule that is chosen depends on costs that the configuration does not give.
pub fn depends_on_costs(reversal: &Reversal) -> bool {
    let weighs = reversal.disk_bytes > 0 && matches!(reversal.strategy, Choice::Auto | Choice::TwoLevel);
    reversal.costs.is_none() && weighs
}

/// Costs to plan with, the same on all ranks: those that were kept under this name, else measured on all ranks at once, since
/// ranks of a node share its memory, the mean over them; these are kept.
///
/// # Errors
/// Those of measuring, the same on all ranks.
pub fn shared_costs(
    cluster: &dyn Cluster,
    known: &KnownCosts,
    name: &str,
    measure: impl FnOnce() -> Result<StepCosts, Failure>,
) -> Result<StepCosts, Failure> {
    let fields = |c: StepCosts| [c.advance, c.record, c.pull_back, c.write, c.read];
    let leads = cluster.rank() == 0;
    let kept = if leads { known.find(name) } else { None };
    let mut bytes: Vec<u8> = kept.into_iter().flat_map(fields).flat_map(f64::to_le_bytes).collect();
    cluster.broadcast(&mut bytes);
    if let (words, []) = bytes.as_chunks()
        && let Ok(words) = <[[u8; 8]; 5]>::try_from(words)
    {
        let [advance, record, pull_back, write, read] = words.map(f64::from_le_bytes);
        return Ok(StepCosts { advance, record, pull_back, write, read });
    }
    let own = cluster.agree(measure())?;
    // As whole picoseconds, so that the sum has the same bits on all ranks.
    let mut sums = fields(own).map(|s| (1e12 * s) as i64);
    cluster.all_sum(&mut sums);
    let [advance, record, pull_back, write, read] = sums.map(|sum| 1e-12 * sum as f64 / cluster.size() as f64);
    let costs = StepCosts { advance, record, pull_back, write, read };
    if leads {
        known.keep(name, costs);
    }
    Ok(costs)
}

/// What measured costs depend on, in words.
pub struct CostsName<'a> {
    /// The equation, its order and boundary, and the scalar.
    pub equation: String,
    /// Padded points per axis.
    pub points: [usize; 3],
    /// Instructions of the kernels.
    pub simd: SimdPath,
    /// Shots that are computed at the same time on this machine.
    pub side_by_side: usize,
    /// Threads of each.
    pub threads: usize,
    /// Whether snapshots may be spilled.
    pub reversal: &'a Reversal,
}

impl std::fmt::Display for CostsName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let points: Vec<String> = self.points.iter().map(usize::to_string).collect();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // Which disk does not matter: costs are those of the copies to and from the buffers.
        let spilled = if self.reversal.disk_bytes > 0 { "spilled" } else { "not spilled" };
        write!(
            f,
            "{}; {}, {processors} processors, {}; {}, {} points, {} shots of {} threads at a time, {spilled}",
            provenance::program(),
            processor(),
            self.simd.name(),
            self.equation,
            points.join(" × "),
            self.side_by_side,
            self.threads,
        )
    }
}

/// The kind of processor, where the system tells.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    line.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_string()
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
