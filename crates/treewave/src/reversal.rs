//! The plan of the reversal: budgets of the configuration, sizes of states, measured costs.

use std::path::Path;

use treewave_cluster::{Cluster, Failure};
use treewave_core::Model;
use treewave_inversion::Experiment;
use treewave_reversal::{Choice, PlanError, PlanRequest, ReversalPlan, Snapshot, SnapshotStore, StepCosts, StoreError};
use treewave_storage::{STAGING_STATES, SpillStore};
use treewave_wave::{Layout, Scalar, State};

use crate::calibration::measure;
use crate::config::sections::Reversal;
use crate::study::{misconfigured, unwritable};

/// Costs for plans that do not depend on them.
pub const UNIT_COSTS: StepCosts = StepCosts { advance: 1.0, record: 1.0, pull_back: 2.0, write: 1.0, read: 1.0 };

/// Bytes of a state.
pub fn state_bytes<T: Scalar>(layout: &Layout) -> u64 {
    (State::<T>::elements(layout) * size_of::<T>()) as u64
}

/// Bytes of a record.
pub fn record_bytes<T: Scalar>(layout: &Layout) -> u64 {
    (layout.cells() * size_of::<T>()) as u64
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
    layout: &Layout,
    steps: usize,
    costs: StepCosts,
) -> Result<ReversalPlan, Failure> {
    plan_bytes(reversal, state_bytes::<T>(layout), record_bytes::<T>(layout), steps, costs)
}

/// The same for states and records of so many bytes.
///
/// # Errors
/// As [`plan`].
pub fn plan_bytes(
    reversal: &Reversal,
    state_bytes: u64,
    record_bytes: u64,
    steps: usize,
    costs: StepCosts,
) -> Result<ReversalPlan, Failure> {
    let request = PlanRequest {
        steps,
        state_bytes,
        record_bytes,
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
            _ => "",
        };
        misconfigured(format!("reversal: {error}{advice}"))
    })?;
    plan.seconds = plan.counts.cost(&costs.game());
    Ok(plan)
}

/// The costs to plan a run with: those of the configuration, or measured on all ranks at once, since ranks of a node share
/// its memory; the mean over the ranks. Where no choice depends on costs nothing is measured.
///
/// # Errors
/// The same on all ranks: a model that is not stable, a scratch directory that does not work.
pub fn costs<T: Scalar>(
    reversal: &Reversal,
    experiment: &Experiment<T>,
    model: &Model,
    cluster: &dyn Cluster,
) -> Result<StepCosts, Failure> {
    shared_costs(reversal, cluster, || measure(reversal, experiment, model, cluster.rank()))
}

/// The same with a way to measure.
///
/// # Errors
/// Those of measuring, the same on all ranks.
pub fn shared_costs(
    reversal: &Reversal,
    cluster: &dyn Cluster,
    measure: impl FnOnce() -> Result<StepCosts, Failure>,
) -> Result<StepCosts, Failure> {
    if let Some(costs) = reversal.costs {
        return Ok(costs);
    }
    if reversal.disk_bytes == 0 || !matches!(reversal.strategy, Choice::Auto | Choice::TwoLevel) {
        return Ok(UNIT_COSTS);
    }
    let own = cluster.agree(measure())?;
    // As whole picoseconds, so that the sum has the same bits on all ranks.
    let mut sums = [own.advance, own.record, own.pull_back, own.write, own.read].map(|s| (1e12 * s) as i64);
    cluster.all_sum(&mut sums);
    let [advance, record, pull_back, write, read] = sums.map(|sum| 1e-12 * sum as f64 / cluster.size() as f64);
    Ok(StepCosts { advance, record, pull_back, write, read })
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
