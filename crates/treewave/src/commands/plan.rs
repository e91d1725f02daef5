//! `treewave plan`: what a run will need, and how long a gradient takes.

use std::time::Duration;

use serde_json::{Value, json};
use treewave_cluster::{Failure, SoloCluster};
use treewave_core::{Silent, StopFlag};
use treewave_inversion::{Experiment, SpillFactories};
use treewave_reversal::{ReversalPlan, StepCosts, Strategy};
use treewave_wave::{AcousticOptions, Crew, Path as SimdPath, Scalar, TileShape};

use super::scaling::Scaling;
use super::{Outcome, print_json, with_precision};
use crate::band::Band;
use crate::calibration::{measure, reach_of};
use crate::cli::{Common, Plan};
use crate::config::keys::Equation;
use crate::config::sections::Reversal;
use crate::gradient_plan::{GradientPlan, Job, Weighed, crews_of_own, share};
use crate::known_costs::KnownCosts;
use crate::memory::{Memory, Needs};
use crate::report::{bytes_text, plan_text};
use crate::reversal::{self, shared_costs};
use crate::session::load_config;
use crate::stage::{costs_name, layout, stage_band};
use crate::study::{Study, misconfigured, unwritable};

/// What was found for a stage.
pub(super) struct Planned {
    pub(super) stage: usize,
    pub(super) shots: usize,
    pub(super) gradient: GradientPlan,
    pub(super) memory: Memory,
    /// Shots of the rank that has most.
    pub(super) shots_per_rank: usize,
    pub(super) lowpass_hz: Option<f64>,
    pub(super) steps: usize,
    /// Cells of the model.
    pub(super) cells: usize,
    /// Bytes per second of the disk, as measured; infinite where nothing is spilled.
    pub(super) disk_bandwidth: f64,
    /// Parts of the grid that steps are computed on forward and back, on average, where that is known.
    pub(super) shares: Option<[f64; 2]>,
}

impl Planned {
    /// Bytes on the disk of a rank at a time.
    fn disk_bytes(&self) -> u64 {
        self.gradient.shots_at_once as u64 * self.gradient.reversal.disk_bytes
    }
    /// Bytes that a shot writes to disk.
    fn spilled_bytes(&self) -> u64 {
        let plan = &self.gradient.reversal;
        plan.writes * snapshot_bytes(plan)
    }
    /// Bytes that a shot writes to disk and reads from there.
    pub(super) fn moved_bytes(&self) -> f64 {
        let plan = &self.gradient.reversal;
        ((plan.writes + plan.reads) * snapshot_bytes(plan)) as f64
    }
}

/// Bytes of a snapshot on disk.
fn snapshot_bytes(plan: &ReversalPlan) -> u64 {
    plan.disk_bytes / (plan.disk_slots.max(1) as u64)
}

/// Bytes per second of the disk when so many shots spill at the same time, each as fast as was measured; infinite without spill.
pub(super) fn disk_bandwidth(plan: &ReversalPlan, costs: &StepCosts, shots: usize) -> f64 {
    let seconds = costs.write.max(costs.read);
    if plan.disk_slots == 0 || seconds == 0.0 {
        return f64::INFINITY;
    }
    shots as f64 * snapshot_bytes(plan) as f64 / seconds
}

/// Carries the verb out.
///
/// # Errors
/// Code 2 for a configuration or budget that cannot be, 3 for data, 5 for a scratch directory that does not work.
pub fn run(arguments: &Plan, common: &Common) -> Outcome {
    let (ranks, measure_anew) = (arguments.ranks as usize, arguments.measure);
    let study = Study::load(load_config(&arguments.config, common)?)?;
    let threads = study.config.threads_per_rank.unwrap_or_else(|| (processors() / ranks).max(1));
    let stages = plan_stages(&study, [ranks, threads], measure_anew)?;
    let every = Duration::from_secs_f64(study.config.output.ledger_every_s);
    let scale = |planned| (Scaling::new(planned, ranks, every, &arguments.machine), planned);
    let scaled: Vec<(Scaling, &Planned)> = stages.iter().map(scale).collect();
    let largest = |of: &dyn Fn(&Planned) -> u64| stages.iter().map(of).max().unwrap_or(0);
    let memory_bytes = largest(&|p| p.memory.of_inversion());
    let gradient_bytes = largest(&|p| p.memory.of_gradient());
    let disk_bytes = largest(&Planned::disk_bytes);
    if arguments.json {
        let (scaling, last) = scaled.last().expect("there is at least one stage");
        print_json(&json!({
            "ranks": ranks,
            "threads_per_rank": threads,
            "memory_bytes_per_rank": memory_bytes,
            "gradient_memory_bytes_per_rank": gradient_bytes,
            "disk_bytes_per_rank": disk_bytes,
            "strategy": last.gradient.reversal.strategy.name(),
            "snapshots": last.gradient.reversal.memory_slots + last.gradient.reversal.disk_slots,
            "recompute_factor": last.gradient.reversal.recompute_factor,
            "shots_at_once": last.gradient.shots_at_once,
            "seconds": scaling.prediction.seconds,
            "stages": scaled.iter().map(stage_json).collect::<Vec<Value>>(),
        }));
        return Ok(0);
    }
    println!("{ranks} ranks of {threads} threads");
    for (scaling, p) in &scaled {
        let band = p.lowpass_hz.map_or("full band".to_string(), |f| format!("below {f} Hz"));
        println!("\nstage {} ({band}, {} shots, {} steps)", p.stage, p.shots, p.steps);
        let GradientPlan { reversal, costs, shots_at_once, tile, weighed, .. } = &p.gradient;
        let threads_each = (threads / shots_at_once).max(1);
        println!("  shots      {shots_at_once} at a time on a rank, each by {threads_each} threads");
        if let Some(tile) = tile {
            println!("  tiles      {}", tile_text(*tile));
        }
        println!("  reversal   {}", plan_text(reversal));
        println!(
            "  spill      {} on disk at a time, {} written per shot",
            bytes_text(p.disk_bytes()),
            bytes_text(p.spilled_bytes())
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
            1e3 * costs.advance,
            1e3 * costs.record,
            1e3 * costs.pull_back,
            1e3 * costs.write,
            1e3 * costs.read
        );
        if let Some([forward, back]) = p.shares.map(|shares| shares.map(|share| 100.0 * share)) {
            println!("             where waves are on average: {forward:.0} % of the grid forward, {back:.0} % back");
        }
        let ways = weighed.iter().map(|w| {
            let tile = w.tile.map_or(String::new(), |tile| format!(", {}", tile_text(tile)));
            format!("{} ({} at a time{tile}) {:.1} s", w.strategy, w.shots_at_once, w.seconds)
        });
        let ways: Vec<String> = ways.collect();
        println!("  weighed    {}", ways.join(", "));
        if reversal.strategy != Strategy::Inversion && weighed.iter().any(|w| w.strategy == Strategy::Inversion.name())
        {
            println!("             inversion only where it is asked for: its last digits are its own");
        }
        scaling.text().iter().for_each(|line| println!("  {line}"));
    }
    println!(
        "\nmemory per rank {} (gradient alone: {}), disk per rank {}",
        bytes_text(memory_bytes),
        bytes_text(gradient_bytes),
        bytes_text(disk_bytes)
    );
    Ok(0)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Plans all stages for so many ranks of so many threads, as many of which as this machine has are used to measure.
pub(super) fn plan_stages(
    study: &Study,
    [ranks, threads]: [usize; 2],
    measure_anew: bool,
) -> Result<Vec<Planned>, Failure> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    pool.map_err(|e| unwritable(format!("cannot start {threads} threads: {e}")))?;
    let known = KnownCosts::of_user(measure_anew);
    match study.config.physics.equation {
        Equation::SeedPml => Ok(vec![super::seed_pml::plan(study, ranks)?]),
        Equation::Acoustic => (0..study.config.stages.len())
            .map(|stage| with_precision!(study, plan_stage(study, stage, [ranks, threads], &known)))
            .collect(),
    }
}

fn stage_json((scaling, p): &(Scaling, &Planned)) -> Value {
    let plan = &p.gradient.reversal;
    let weighed = p.gradient.weighed.iter();
    let weighed = weighed.map(|w| {
        let Weighed { shots_at_once, tile, strategy, seconds } = w;
        json!({"shots_at_once": shots_at_once, "tile": tile.map(tile_json), "strategy": strategy, "seconds": seconds})
    });
    json!({
        "stage": p.stage,
        "shots": p.shots,
        "steps": p.steps,
        "strategy": plan.strategy.name(),
        "segment_steps": plan.segment_steps,
        "memory_slots": plan.memory_slots,
        "disk_slots": plan.disk_slots,
        "recompute_factor": plan.recompute_factor,
        "spilled_bytes_per_shot": p.spilled_bytes(),
        "memory_bytes_per_rank": p.memory.of_inversion(),
        "gradient_memory_bytes_per_rank": p.memory.of_gradient(),
        "disk_bytes_per_rank": p.disk_bytes(),
        "shots_per_rank": p.shots_per_rank,
        "shots_at_once": p.gradient.shots_at_once,
        "tile": p.gradient.tile.map(tile_json),
        "seconds_per_shot": plan.seconds,
        "seconds": scaling.prediction.seconds,
        "scaling": scaling.json(),
        "weighed": weighed.collect::<Vec<Value>>(),
    })
}

fn tile_text(tile: TileShape) -> String {
    format!("{} steps together in tiles of {} rows", tile.levels, tile.rows)
}

fn tile_json(tile: TileShape) -> Value {
    json!({"levels": tile.levels, "rows": tile.rows})
}

fn plan_stage<T: Scalar>(
    study: &Study,
    stage: usize,
    [ranks, threads]: [usize; 2],
    known: &KnownCosts,
) -> Result<Planned, Failure> {
    let mut band: Band = stage_band(study, stage)?;
    let every_cell = band.options.records;
    band.options.records.skipped_cells = study.frozen_top();
    let shots = study.config.stages[stage].shots.pick(study.survey.shots.len());
    let shots = shots.map_err(|expected| misconfigured(format!("stage {stage}: shots: expected {expected}")))?;
    let (cluster, stop) = (SoloCluster::start()?, StopFlag::default());
    let config = &study.config;
    let mut experiment = Experiment::<T> {
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
        spill: SpillFactories {
            states: &|slots, state| reversal::spill(&config.reversal.scratch, &config.run.name, 0, slots, state),
            residues: &|slots, residue| reversal::spill(&config.reversal.scratch, &config.run.name, 0, slots, residue),
        },
    };
    // As many ranks at once as this machine has processors for.
    let together = ranks.min(processors() / threads).max(1);
    let job = Job {
        steps: band.steps(),
        shots: shots.len(),
        evaluations: config.stages[stage].evaluations(),
        ranks,
        threads,
    };
    let (layout, reach) = (layout(study, &band), reach_of(&experiment, &study.start)?);
    let mut costs = |shots_at_once: usize, tile: TileShape, share: &Reversal| {
        experiment.options.tile = Some(tile);
        let name = costs_name::<T>(&experiment, &layout, &reach, job, shots_at_once, together, share).to_string();
        shared_costs(&cluster, known, &name, || {
            let crews = (0..together).map(|_| crews_of_own(shots_at_once, threads)).collect::<Result<Vec<_>, _>>()?;
            let crews: Vec<Crew> = crews.into_iter().flatten().collect();
            measure(share, &experiment, &study.start, &crews, 0)
        })
    };
    let gradient = GradientPlan::new::<T>(config, study.grid(), &band.options, job, true, &mut costs)?;
    let share = share(&config.reversal, gradient.shots_at_once);
    let of_every_cell = AcousticOptions { records: every_cell, ..band.options.clone() };
    let alone = reversal::plan::<T>(&share, study.grid(), &of_every_cell, job.steps, gradient.costs);
    let reversal_alone = alone.map_or(gradient.reversal.peak_memory_bytes, |plan| plan.peak_memory_bytes);
    let acoustic = experiment.acoustic(study.start.vp_m_per_s(), &Crew::CURRENT).map_err(misconfigured)?;
    let shot_bytes = shots.iter().map(|&shot| experiment.shot(&acoustic, shot).bytes()).max().unwrap_or(0);
    let needs = Needs { study, stage, band: &band, plan: &gradient, reversal_alone, shot_bytes, ranks };
    let memory = Memory::new::<T>(&needs);
    let shots_per_rank = shots.len().div_ceil(ranks);
    let lowpass_hz = config.stages[stage].lowpass_hz;
    let disk_bandwidth = disk_bandwidth(&gradient.reversal, &gradient.costs, together * gradient.shots_at_once);
    let (shots, steps, cells) = (shots.len(), band.steps(), study.grid().len());
    let shares = Some(reach.shares());
    Ok(Planned { stage, shots, gradient, memory, shots_per_rank, lowpass_hz, steps, cells, disk_bandwidth, shares })
}
