//! The gradient of a shot: with a record of every step in memory, or in a budget of memory and disk.

use std::time::Instant;

use serde_json::{Value, json};
use treewave_cluster::Failure;
use treewave_reversal::{
    Choice, Evolution, InversionWorkspace, Log, MemoryLimit, MemoryStore, ReversalPlan, TieredStore, Workspace,
    reverse, reverse_by_inversion,
};
use treewave_wave::{
    Acoustic, AcousticShot, Fixed, FixedShot, Path, Residue, Scalar, Scratch, State, WaveError, in_thread_pool,
};

use super::shot;
use crate::calibration::{Timed, median, time_inversion, time_parts};
use crate::cli::Bench;
use crate::config::sections::Reversal;
use crate::reversal::{self, chain};
use crate::study::{misconfigured, unwritable};

/// Gradients of one shot. The memory has been used before, as it has in all shots of a run but the first.
pub(super) enum Gradient {
    /// Seconds of modelling with records, and of the way back.
    Stored(Vec<[f64; 2]>),
    /// By a schedule in a budget.
    Planned(Box<Planned>),
}

pub(super) struct Planned {
    plan: ReversalPlan,
    /// Seconds, and what was done in them.
    runs: Vec<(f64, Log)>,
}

impl Gradient {
    /// Times gradients of so many steps.
    ///
    /// # Errors
    /// Code 2 for a budget that no schedule fits, 5 for a disk that does not work.
    pub(super) fn measure<T: Scalar>(
        acoustic: &Acoustic<T>,
        steps: usize,
        arguments: &Bench,
    ) -> Result<Gradient, Failure> {
        let repetitions = arguments.repetitions.max(1);
        // A new one for each gradient: how far its wave has come is not known yet.
        let shot = || {
            let shot = shot(acoustic, steps).with_misfit(functional);
            if arguments.everywhere { shot.everywhere() } else { shot }
        };
        match arguments.memory {
            None => Ok(Gradient::Stored(stored(&shot, repetitions).map_err(misconfigured)?)),
            Some(memory) => {
                let budget = Reversal {
                    strategy: arguments.strategy,
                    memory: MemoryLimit::Bytes(memory),
                    disk_bytes: arguments.disk.unwrap_or(0),
                    scratch: std::env::temp_dir(),
                    segment_steps: None,
                    blocks: None,
                    costs: None,
                };
                let planned = match T::fixed(acoustic).filter(|_| budget.strategy == Choice::Inversion) {
                    Some(program) => in_thread_pool(|| inverted(program, steps, arguments, &budget)),
                    None => in_thread_pool(|| planned(acoustic, &shot, &budget, (repetitions, arguments.everywhere))),
                };
                planned.map(|planned| Gradient::Planned(Box::new(planned)))
            }
        }
    }

    /// Adds what was found.
    pub(super) fn tell(&self, object: &mut Value) {
        match self {
            Gradient::Stored(runs) => {
                let of = |f: fn(&[f64; 2]) -> f64| json!(median(&runs.iter().map(f).collect::<Vec<_>>()));
                object["gradient_seconds"] = of(|[recorded, back]| recorded + back);
                object["recording_seconds"] = of(|[recorded, _]| *recorded);
                object["pull_back_seconds"] = of(|[_, back]| *back);
            }
            Gradient::Planned(planned) => {
                let Planned { plan, runs } = &**planned;
                let of = |f: &dyn Fn(&(f64, Log)) -> f64| json!(median(&runs.iter().map(f).collect::<Vec<_>>()));
                object["gradient_seconds"] = of(&|(seconds, _)| *seconds);
                object["planned_seconds"] = json!(plan.seconds);
                object["strategy"] = json!(plan.strategy.name());
                object["segment_steps"] = json!(plan.segment_steps);
                object["memory_slots"] = json!(plan.memory_slots);
                object["disk_slots"] = json!(plan.disk_slots);
                object["recompute_factor"] = json!(plan.recompute_factor);
                object["reversal_memory_bytes"] = json!(plan.peak_memory_bytes);
                object["bytes_written"] = of(&|(_, log)| log.bytes_written as f64);
                object["seconds_waited"] = of(&|(_, log)| log.seconds_waited);
                object["seconds_snapshots"] = of(&|(_, log)| log.seconds_snapshots);
                object["seconds_advance"] = of(&|(_, log)| log.seconds_advance);
                object["recording_seconds"] = of(&|(_, log)| log.seconds_record);
                object["pull_back_seconds"] = of(&|(_, log)| log.seconds_pull_back);
            }
        }
    }
}

/// Half the sum of squares of the traces.
fn functional(traces: &[f64], derivative: &mut [f64]) -> f64 {
    derivative.copy_from_slice(traces);
    0.5 * traces.iter().map(|p| p * p).sum::<f64>()
}

/// With a record of every step in memory.
fn stored<'a, T: Scalar>(
    new_shot: &(dyn Fn() -> AcousticShot<'a, T> + Sync),
    repetitions: usize,
) -> Result<Vec<[f64; 2]>, WaveError> {
    in_thread_pool(|| {
        let shot = new_shot();
        let steps = shot.steps();
        let (mut state, mut output) = (shot.new_state(), shot.new_output());
        let mut adjoint = shot.new_adjoint();
        let mut records: Vec<_> = (0..steps).map(|_| shot.new_record()).collect();
        let mut work = Scratch::default();
        let mut run = || {
            let shot = new_shot();
            let began = Instant::now();
            shot.start(&mut state);
            shot.advance_recording(0..steps, &mut state, &mut records, Some(&mut output), &mut work)?;
            let recorded = began.elapsed().as_secs_f64();
            shot.turn(&state, &output, &mut adjoint)?;
            shot.pull_back(0..steps, &records, &mut adjoint, &mut work)?;
            std::hint::black_box(shot.gradient_vp(&adjoint));
            Ok([recorded, began.elapsed().as_secs_f64() - recorded])
        };
        run()?;
        (0..repetitions).map(|_| run()).collect()
    })
}

/// By the schedule that suits the budget.
fn planned<'a, T: Scalar>(
    acoustic: &Acoustic<T>,
    new_shot: &(dyn Fn() -> AcousticShot<'a, T> + Sync),
    budget: &Reversal,
    (repetitions, everywhere): (usize, bool),
) -> Result<Planned, Failure> {
    let (shot, layout) = (new_shot(), acoustic.layout());
    let shot = if everywhere { shot } else { shot.on_average() };
    let steps = shot.steps();
    let timed = Timed {
        shot: &shot,
        steps,
        output: shot.new_output(),
        adjoint: shot.new_adjoint(),
        record_bytes: acoustic.options().records.bytes::<T>(layout),
    };
    let costs = time_parts(budget, timed, 0, misconfigured)?;
    let plan = reversal::plan::<T>(budget, acoustic.grid(), acoustic.options(), steps, costs)?;
    let mut workspace = Workspace::new(&shot, Scratch::default());
    workspace.reserve(&shot, plan.segment_steps);
    let mut memory = MemoryStore::new(move || State::new(layout));
    memory.reserve(plan.memory_slots);
    let disk = (plan.disk_slots > 0)
        .then(|| reversal::spill(&budget.scratch, "bench", 0, plan.disk_slots, workspace.state_mut()))
        .transpose()
        .map_err(|e| unwritable(chain(&e)))?;
    let mut store = TieredStore::new(memory, disk.map(|disk| disk as Box<_>));
    let (mut output, mut adjoint) = (shot.new_output(), shot.new_adjoint());
    let mut run = || {
        let shot = new_shot();
        let began = Instant::now();
        let schedule = plan.schedule().into_iter().flatten();
        let done =
            reverse(&shot, steps, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false);
        let (_, log) = done.map_err(|e| unwritable(chain(&e)))?;
        std::hint::black_box(shot.gradient_vp(&adjoint));
        Ok((began.elapsed().as_secs_f64(), log))
    };
    run()?;
    let runs = (0..repetitions).map(|_| run()).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Planned { plan, runs })
}

/// By inversion, in the budget.
fn inverted(acoustic: &Acoustic<f32>, steps: usize, arguments: &Bench, budget: &Reversal) -> Result<Planned, Failure> {
    let fixed = Fixed::new(acoustic, Path::detect()).map_err(misconfigured)?;
    let new_shot = || {
        let shot = shot(acoustic, steps).with_misfit(functional);
        if arguments.everywhere { shot.everywhere() } else { shot }
    };
    let first = new_shot();
    let first = FixedShot::new(&fixed, if arguments.everywhere { first } else { first.on_average() });
    let (mut output, mut adjoint) = (first.shot().new_output(), first.shot().new_adjoint());
    let record_bytes = acoustic.options().records.bytes::<f32>(acoustic.layout());
    let timed = Timed { shot: &first, steps, output: output.clone(), adjoint: adjoint.clone(), record_bytes };
    let costs = time_inversion(budget, timed, 0, misconfigured)?;
    let plan = reversal::plan::<f32>(budget, acoustic.grid(), acoustic.options(), steps, costs)?;
    let each = plan.segment_steps;
    let mut workspace = InversionWorkspace::new(&first, each, Scratch::default());
    let mut memory = MemoryStore::new(|| Residue::new(&fixed, each));
    memory.reserve(plan.memory_slots);
    let disk = (plan.disk_slots > 0)
        .then(|| reversal::spill(&budget.scratch, "bench", 0, plan.disk_slots, workspace.residue()))
        .transpose()
        .map_err(|e| unwritable(chain(&e)))?;
    let mut store = TieredStore::new(memory, disk.map(|disk| disk as Box<_>));
    let mut run = || {
        let shot = FixedShot::new(&fixed, new_shot());
        let began = Instant::now();
        let blocks = plan.blocks_of(steps);
        let done =
            reverse_by_inversion(&shot, blocks, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false);
        let (_, log) = done.map_err(|e| unwritable(chain(&e)))?;
        std::hint::black_box(shot.shot().gradient_vp(&adjoint));
        Ok((began.elapsed().as_secs_f64(), log))
    };
    run()?;
    let runs = (0..arguments.repetitions.max(1)).map(|_| run()).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Planned { plan, runs })
}
