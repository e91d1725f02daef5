//! The plan of the reversal: budgets of the configuration, sizes of states, measured costs.

use std::path::Path;
use std::time::Instant;

use treewave_cluster::{Cluster, Failure};
use treewave_core::Model;
use treewave_inversion::{Experiment, wave_failure};
use treewave_reversal::{
    Evolution, PlanError, PlanRequest, ReversalPlan, Slot, Snapshot, SnapshotStore, StepCosts, StoreError, Tier,
};
use treewave_storage::{STAGING_STATES, SpillStore};
use treewave_wave::{Layout, Scalar, State, in_thread_pool};

use crate::config::sections::Reversal;
use crate::study::{misconfigured, unwritable};

/// Steps that are timed, after one that is not.
const TIMED_STEPS: usize = 6;

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

/// Finds the plan for `steps` steps.
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
        costs,
        max_recompute_factor: f64::INFINITY,
    };
    ReversalPlan::new(&request).map_err(|error| {
        let advice = match error {
            PlanError::Memory { strategy: "bennett", .. } => "; see [reversal] memory, snapshots and blocks",
            PlanError::Memory { .. } => "; see [reversal] memory and snapshots",
            PlanError::Disk { .. } => "; see [reversal] disk",
            _ => "",
        };
        misconfigured(format!("reversal: {error}{advice}"))
    })
}

/// The costs to plan with: those of the configuration, or measured on rank 0 for all.
///
/// # Errors
/// The same on all ranks: a model that is not stable, a scratch directory that does not work.
pub fn costs<T: Scalar>(
    reversal: &Reversal,
    experiment: &Experiment<T>,
    model: &Model,
    cluster: &dyn Cluster,
) -> Result<StepCosts, Failure> {
    shared_costs(reversal, cluster, || measure(reversal, experiment, model))
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
    let measured = match cluster.rank() {
        0 => measure().map(Some),
        _ => Ok(None),
    };
    let measured = cluster.agree(measured)?;
    let list = measured.map_or([0.0; 5], |c| [c.advance, c.record, c.pull_back, c.write, c.read]);
    let mut shared = list;
    cluster.sum_owned(&mut shared);
    let [advance, record, pull_back, write, read] = shared;
    Ok(StepCosts { advance, record, pull_back, write, read })
}

/// Times the parts of a gradient on the first shot.
fn measure<T: Scalar>(reversal: &Reversal, experiment: &Experiment<T>, model: &Model) -> Result<StepCosts, Failure> {
    let acoustic = experiment.acoustic(model.vp_m_per_s()).map_err(misconfigured)?;
    let shot = experiment.shot(&acoustic, experiment.shots[0]);
    let failed = |e| wave_failure(experiment.shots[0], &e);
    time_parts(reversal, &shot, shot.steps(), shot.new_adjoint(), failed)
}

/// Times the parts of the gradient of an evolution.
///
/// # Errors
/// Those of the evolution by `failed`; a scratch directory that does not work.
pub fn time_parts<E: Evolution<Work = ()>>(
    reversal: &Reversal,
    shot: &E,
    steps: usize,
    mut adjoint: E::Adjoint,
    failed: impl Fn(E::Error) -> Failure,
) -> Result<StepCosts, Failure>
where
    E::State: 'static,
    E::Adjoint: Send,
    E::Error: Send,
{
    let steps = TIMED_STEPS.min(steps);
    let mut state = shot.new_state();
    let timed = in_thread_pool(|| {
        let mut records: Vec<_> = (0..steps).map(|_| shot.new_record()).collect();
        shot.start(&mut state);
        let mut seconds = [0.0; 3];
        // The first round touches the memory for the first time and does not count.
        for _ in 0..2 {
            let began = Instant::now();
            shot.advance(0..steps, &mut state, None, &mut ())?;
            seconds[0] = began.elapsed().as_secs_f64();
            let began = Instant::now();
            shot.advance_recording(0..steps, &mut state, &mut records, None, &mut ())?;
            seconds[1] = began.elapsed().as_secs_f64();
            let began = Instant::now();
            shot.pull_back(0..steps, &records, &mut adjoint, &mut ())?;
            seconds[2] = began.elapsed().as_secs_f64();
        }
        Ok(seconds.map(|s| s / steps as f64))
    });
    let [advance, record, pull_back] = timed.map_err(failed)?;
    let (write, read) = if reversal.disk_bytes >= state.bytes() as u64 {
        disk_seconds(reversal, &mut state).map_err(|e| unwritable(chain(&e)))?
    } else {
        (0.0, 0.0)
    };
    Ok(StepCosts { advance, record, pull_back, write, read })
}

/// Seconds that the stencils lose to a write and to a read: the copy to and from a staging buffer. The disk itself works
/// behind them, as long as it keeps up.
fn disk_seconds<S: Snapshot + Send + 'static>(reversal: &Reversal, state: &mut S) -> Result<(f64, f64), StoreError> {
    let mut store = spill(&reversal.scratch, "calibration", 0, 1, state)?;
    let slot = Slot { tier: Tier::Disk, index: 0 };
    let mut seconds = [0.0; 2];
    // The first round touches buffers and file for the first time and does not count.
    for _ in 0..2 {
        let began = Instant::now();
        store.put(slot, state)?;
        seconds[0] = began.elapsed().as_secs_f64();
        store.get(slot, state)?;
        store.prefetch(slot)?;
        std::thread::sleep(std::time::Duration::from_secs_f64(10.0 * seconds[0]));
        let began = Instant::now();
        store.get(slot, state)?;
        seconds[1] = began.elapsed().as_secs_f64();
    }
    Ok((seconds[0], seconds[1]))
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
