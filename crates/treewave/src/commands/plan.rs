//! `treewave plan`: what a run will need, and how long a gradient takes.

use std::path::Path;

use serde_json::{Value, json};
use treewave_cluster::{Failure, SoloCluster};
use treewave_core::{Silent, StopFlag};
use treewave_inversion::Experiment;
use treewave_reversal::{ReversalPlan, StepCosts};
use treewave_wave::{Path as SimdPath, Scalar};

use super::{Outcome, print_json, with_precision};
use crate::band::Band;
use crate::calibration::measure_together;
use crate::cli::Common;
use crate::config::keys::Equation;
use crate::memory::{Memory, Needs};
use crate::report::{bytes_text, plan_text};
use crate::reversal;
use crate::session::load_config;
use crate::stage::{layout, stage_band};
use crate::study::{Study, misconfigured, unwritable};

/// What was found for a stage.
pub(super) struct Planned {
    pub(super) stage: usize,
    pub(super) shots: usize,
    pub(super) costs: StepCosts,
    pub(super) plan: ReversalPlan,
    pub(super) memory: Memory,
    /// Shots of the rank that has most.
    pub(super) shots_per_rank: usize,
    pub(super) lowpass_hz: Option<f64>,
    pub(super) steps: usize,
}

impl Planned {
    /// Seconds of a gradient.
    fn seconds(&self) -> f64 {
        self.shots_per_rank as f64 * self.plan.seconds
    }
}

/// Carries the verb out.
///
/// # Errors
/// Code 2 for a configuration or budget that cannot be, 3 for data, 5 for a scratch directory that does not work.
pub fn run(config: &Path, ranks: usize, as_json: bool, common: &Common) -> Outcome {
    let study = Study::load(load_config(config, common)?)?;
    let threads = study.config.threads_per_rank.unwrap_or_else(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        (processors / ranks).max(1)
    });
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    pool.map_err(|e| unwritable(format!("cannot start {threads} threads: {e}")))?;
    let stages: Vec<Planned> = match study.config.physics.equation {
        Equation::SeedPml => vec![super::seed_pml::plan(&study, ranks)?],
        Equation::Acoustic => (0..study.config.stages.len())
            .map(|stage| with_precision!(study, plan_stage(&study, stage, ranks, threads)))
            .collect::<Result<_, _>>()?,
    };
    let largest = |of: &dyn Fn(&Planned) -> u64| stages.iter().map(of).max().unwrap_or(0);
    let memory_bytes = largest(&|p| p.memory.of_inversion());
    let gradient_bytes = largest(&|p| p.memory.of_gradient());
    let disk_bytes = largest(&|p| p.plan.disk_bytes);
    if as_json {
        let last = stages.last().expect("there is at least one stage");
        print_json(&json!({
            "ranks": ranks,
            "threads_per_rank": threads,
            "memory_bytes_per_rank": memory_bytes,
            "gradient_memory_bytes_per_rank": gradient_bytes,
            "disk_bytes_per_rank": disk_bytes,
            "strategy": last.plan.strategy.name(),
            "snapshots": last.plan.memory_slots + last.plan.disk_slots,
            "recompute_factor": last.plan.recompute_factor,
            "seconds": last.seconds(),
            "stages": stages.iter().map(stage_json).collect::<Vec<Value>>(),
        }));
        return Ok(0);
    }
    println!("{ranks} ranks of {threads} threads");
    for p in &stages {
        let band = p.lowpass_hz.map_or("full band".to_string(), |f| format!("below {f} Hz"));
        println!("\nstage {} ({band}, {} shots, {} steps)", p.stage, p.shots, p.steps);
        println!("  reversal   {}", plan_text(&p.plan));
        let spilled = p.plan.writes * p.plan.disk_bytes / (p.plan.disk_slots.max(1) as u64);
        println!(
            "  spill      {} on disk at a time, {} written per shot",
            bytes_text(p.plan.disk_bytes),
            bytes_text(spilled)
        );
        let m = &p.memory;
        let parts = [
            ("program", m.program),
            ("inversion", m.inversion),
            ("reversal", m.reversal),
            ("fields", m.fields),
            ("sums", m.sums),
            ("traces", m.traces),
            ("or, instead of all but the program, simulating", m.simulating),
        ];
        let parts = parts.map(|(name, bytes)| format!("{name} {}", bytes_text(bytes))).join(", ");
        println!("  memory     {} per rank: {parts}", bytes_text(m.of_inversion()));
        println!(
            "  costs      step {:.3} ms, recorded {:.3} ms, adjoint {:.3} ms, write {:.3} ms, read {:.3} ms",
            1e3 * p.costs.advance,
            1e3 * p.costs.record,
            1e3 * p.costs.pull_back,
            1e3 * p.costs.write,
            1e3 * p.costs.read
        );
        println!("  gradient   {:.1} s", p.seconds());
    }
    println!(
        "\nmemory per rank {} (gradient alone: {}), disk per rank {}",
        bytes_text(memory_bytes),
        bytes_text(gradient_bytes),
        bytes_text(disk_bytes)
    );
    Ok(0)
}

fn stage_json(p: &Planned) -> Value {
    let state_bytes = p.plan.disk_bytes / p.plan.disk_slots.max(1) as u64;
    json!({
        "stage": p.stage,
        "shots": p.shots,
        "steps": p.steps,
        "strategy": p.plan.strategy.name(),
        "segment_steps": p.plan.segment_steps,
        "memory_slots": p.plan.memory_slots,
        "disk_slots": p.plan.disk_slots,
        "recompute_factor": p.plan.recompute_factor,
        "spilled_bytes_per_shot": p.plan.writes * state_bytes,
        "memory_bytes_per_rank": p.memory.of_inversion(),
        "gradient_memory_bytes_per_rank": p.memory.of_gradient(),
        "disk_bytes_per_rank": p.plan.disk_bytes,
        "shots_per_rank": p.shots_per_rank,
        "seconds_per_shot": p.plan.seconds,
        "seconds": p.seconds(),
    })
}

fn plan_stage<T: Scalar>(study: &Study, stage: usize, ranks: usize, threads: usize) -> Result<Planned, Failure> {
    let band: Band = stage_band(study, stage)?;
    let shots = study.config.stages[stage].shots.pick(study.survey.shots.len());
    let shots = shots.map_err(|expected| misconfigured(format!("stage {stage}: shots: expected {expected}")))?;
    let (cluster, stop) = (SoloCluster::start()?, StopFlag::default());
    let config = &study.config;
    let experiment = Experiment::<T> {
        grid: study.grid(),
        survey: &band.survey,
        shots: &shots,
        wavelet: &band.wavelet,
        steps_per_sample: band.steps_per_sample,
        options: band.options.clone(),
        path: SimdPath::detect(),
        cluster: &cluster,
        stop: &stop,
        observer: &Silent,
        spill: &|slots, state| reversal::spill(&config.reversal.scratch, &config.run.name, 0, slots, state),
    };
    // As many ranks at once as this machine has processors for.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let together = ranks.min(processors / threads).max(1);
    let costs = measure_together(&config.reversal, &experiment, &study.start, together, threads)?;
    let layout = layout(study, &band);
    let plan = reversal::plan::<T>(&config.reversal, &layout, band.steps(), costs)?;
    let acoustic = experiment.acoustic(study.start.vp_m_per_s()).map_err(misconfigured)?;
    let shot_bytes = shots.iter().map(|&shot| experiment.shot(&acoustic, shot).bytes()).max().unwrap_or(0);
    let memory = Memory::new::<T>(&Needs { study, stage, band: &band, plan: &plan, shot_bytes, ranks });
    let shots_per_rank = shots.len().div_ceil(ranks);
    let lowpass_hz = config.stages[stage].lowpass_hz;
    Ok(Planned { stage, shots: shots.len(), costs, plan, memory, shots_per_rank, lowpass_hz, steps: band.steps() })
}
