//! The verbs on the seed paper's equation.

use std::path::Path;

use ndarray::ArrayView2;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use treewave_autodiff::Dual;
use treewave_cluster::{Failure, SoloCluster};
use treewave_core::{Real, StopFlag};
use treewave_inversion::{ExperimentError, shot_failure};
use treewave_kernels::SeedKernels;
use treewave_reversal::{ReversalPlan, Workspace, reverse};
use treewave_storage::{GatherWriter, Precision, SeedGradientRecord, write_seed_gradient};
use treewave_wave::seed_pml::squared_difference;
use treewave_wave::{Path as SimdPath, SeedPml, in_thread_pool};

use super::Outcome;
use super::check::ENOUGH_POINTS;
use super::gradcheck::{Check, PERTURBATION, dot, dot_check, taylor_checks, tell};
use super::plan::{Planned, disk_bandwidth};
use crate::band::frequencies;
use crate::cli::WhichModel;
use crate::gradient_plan::{GradientPlan, Weighed};
use crate::kept_gradient::KeptGradient;
use crate::memory::{Memory, PROGRAM_BYTES};
use crate::provenance;
use crate::report::log_json;
use crate::reversal::{UNIT_COSTS, chain, check_scratch, plan_bytes};
use crate::seed_pml::SeedSetup;
use crate::session::Session;
use crate::study::{ENVIRONMENT, NUMERICAL, Study, misconfigured, unwritable};

/// Points times steps up to which dual numbers are tried.
const SMALL: usize = 200_000_000;

/// The refusal of `invert`.
pub fn no_inversion() -> Failure {
    misconfigured(
        "invert does not know equation = \"seed-pml\", which serves verification: it gives gradients only \
         (`treewave gradient`); use equation = \"acoustic\" to invert",
    )
}

/// `treewave check`.
///
/// # Errors
/// Code 2 for a configuration that cannot be, 3 for data that cannot be used.
pub fn check(study: &Study) -> Outcome {
    let setup = SeedSetup::new(study, SimdPath::detect())?;
    let (slowest, fastest) = study.start.range_m_per_s();
    let options = setup.options();
    println!("model     {:?} points, {slowest} to {fastest} m/s", study.grid().dataset_shape());
    let traces: usize = study.survey.shots.iter().map(|shot| shot.receivers_m.len()).sum();
    let (shots, samples) = (study.survey.shots.len(), study.survey.samples);
    println!("survey    {shots} shots, {traces} traces of {samples} samples every {} s", options.dt_s);
    let (_, highest_hz) = frequencies(setup.wavelet(), options.dt_s);
    let spacing_m = options.spacing_m[0].max(options.spacing_m[1]);
    let points = slowest / highest_hz / spacing_m;
    println!(
        "time      {} steps of {:.6} s (limit {:.6} s), up to {highest_hz:.1} Hz, {points:.1} points per shortest wavelength",
        setup.steps(),
        options.dt_s,
        options.stable_dt_s(fastest)
    );
    if points < ENOUGH_POINTS {
        println!(
            "warning: {points:.1} points per shortest wavelength at {highest_hz:.1} Hz, fewer than {ENOUGH_POINTS}: expect \
             numerical dispersion; use a finer model or a lower frequency"
        );
    }
    let program = setup.program(&study.start)?;
    let bytes = |elements: usize| 8 * elements as u64;
    let (state, record) = (bytes(program.state_elements()), bytes(program.record_elements()));
    plan_bytes(&study.config.reversal, state, record, None, setup.steps(), UNIT_COSTS)?;
    if study.config.data.is_some() {
        setup.target()?;
    }
    study.notes.iter().for_each(|note| println!("note: {note}"));
    println!("fine");
    Ok(0)
}

/// `treewave plan`.
///
/// # Errors
/// Code 2 for a configuration or budget that cannot be, 5 for a scratch directory that does not work.
pub(super) fn plan(study: &Study, ranks: usize) -> Result<Planned, Failure> {
    let setup = SeedSetup::new(study, SimdPath::detect())?;
    let (plan, costs) = setup.plan(&SoloCluster::start()?, true)?;
    let program = setup.program(&study.start)?;
    let (points, wavelet) = (study.grid().len() as u64, setup.wavelet().len() as u64);
    let largest = study.survey.shots.iter().map(|shot| shot.receivers_m.len()).max().unwrap_or(0) as u64;
    let (state, field) = (8 * program.state_elements() as u64, 8 * points);
    let memory = Memory {
        // The models: start and true one, what is read and squared of them.
        program: PROGRAM_BYTES + 8 * 4 * points,
        inversion: 0,
        reversal: plan.peak_memory_bytes,
        reversal_alone: plan.peak_memory_bytes,
        // Working and adjoint state, the squared velocity of both models, the gradient.
        fields: 2 * state + 3 * field,
        // Results and their sums in three digits.
        sums: 8 * 5 * (2 * points + wavelet),
        // Recorded, predicted, observed samples and residual, twice.
        traces: 5 * 8 * largest * study.survey.samples as u64,
        simulating: 0,
    };
    let shots = setup.shots.len();
    let shots_per_rank = shots.div_ceil(ranks);
    let (strategy, seconds) = (plan.strategy.name(), shots_per_rank as f64 * plan.seconds);
    let tile = None;
    let weighed = vec![Weighed { shots_at_once: 1, tile, strategy, seconds }];
    let gradient = GradientPlan { reversal: plan, costs, shots_at_once: 1, tile, seconds, weighed };
    let disk_bandwidth = disk_bandwidth(&gradient.reversal, &gradient.costs, 1);
    let (steps, cells) = (setup.steps(), study.grid().len());
    let (lowpass_hz, shares) = (None, None);
    Ok(Planned { stage: 0, shots, gradient, memory, shots_per_rank, lowpass_hz, steps, cells, disk_bandwidth, shares })
}

/// `treewave simulate`.
///
/// # Errors
/// Code 2 without the model asked for, 5 if the file cannot be written, and those of the modelling.
pub fn simulate(
    session: &Session,
    study: &Study,
    to: Option<&Path>,
    which: WhichModel,
) -> Result<i32, ExperimentError> {
    let setup = SeedSetup::new(study, session.path)?;
    let model = match which {
        WhichModel::Start => &study.start,
        WhichModel::True => study.truth()?,
    };
    let program = setup.program(model)?;
    let file = to.map_or_else(|| study.config.run.output.join("simulated.h5"), Path::to_path_buf);
    let head = provenance::head(&format!("{}: simulated data", study.config.run.name));
    let writer = if session.leads() {
        let ready = directory(&file, to)
            .and_then(|()| GatherWriter::create(&file, &study.survey, Precision::F64, &head).map_err(unwritable));
        ready.map(Some)
    } else {
        Ok(None)
    };
    let mut writer = session.cluster.agree(writer)?;
    let shots: Vec<usize> = (0..study.survey.shots.len()).collect();
    session.progress.begin("modelling", shots.len());
    let all = treewave_inversion::ShotLoop { shots: &shots, ..setup.shot_loop(session) };
    let model = |shot: usize| {
        let traces = setup.simulated(&program, shot, &session.stop)?;
        Ok(traces.map(|traces| setup.from_rest(&traces)))
    };
    all.simulate(&model, &mut |shot, traces| {
        let shape = (study.survey.shots[shot].receivers_m.len(), study.survey.samples);
        let view = ArrayView2::from_shape(shape, traces).expect("traces fill the shot");
        writer.as_mut().expect("the sink is called on rank 0").write_shot(shot, view).map_err(unwritable)
    })?;
    let finished = writer.map_or(Ok(()), |writer| writer.finish().map_err(unwritable));
    session.cluster.agree(finished)?;
    session.progress.line(&format!("{}: {} shots", file.display(), shots.len()));
    Ok(0)
}

/// Makes the output directory, unless the file was named.
fn directory(file: &Path, to: Option<&Path>) -> Result<(), Failure> {
    let directory = file.parent().filter(|_| to.is_none());
    let made = directory.map_or(Ok(()), std::fs::create_dir_all);
    made.map_err(|e| unwritable(format!("{}: {e}", file.display())))
}

/// `treewave gradient`.
///
/// # Errors
/// Those of the set-up and the evaluation; code 5 if the file cannot be written.
pub fn gradient(session: &Session, study: &Study, to: Option<&Path>) -> Result<i32, ExperimentError> {
    let setup = SeedSetup::new(study, session.path)?;
    session.cluster.agree(check_scratch(&study.config.reversal))?;
    let (plan, _) = setup.plan(session.cluster.as_ref(), false)?;
    let file = to.map_or_else(|| study.config.run.output.join("gradient.h5"), Path::to_path_buf);
    let kept = KeptGradient::of(study, session, 0, &file)?;
    session.progress.begin("gradient", setup.shots.len());
    let summed = setup.evaluate(session, &plan, &kept.files)?;
    let peak_rss_bytes = session.peak_rss_bytes();
    let written = if session.leads() {
        let [c2, wavelet, u0] = &summed.arrays[..] else { unreachable!("three arrays are summed") };
        let record = SeedGradientRecord {
            grid: study.grid(),
            gradient_c2: c2,
            gradient_wavelet: wavelet,
            record_s: study.survey.record_s,
            gradient_u0: u0,
            misfit: summed.misfit,
            shots: &setup.shots,
            misfit_per_shot: &summed.misfit_per_shot,
            log: log_json(&summed.log, &plan, peak_rss_bytes).to_string(),
            provenance: provenance::layout(session.cluster.as_ref(), session.threads, session.path),
        };
        let head = provenance::head(&format!("{}: gradient", study.config.run.name));
        directory(&file, to).and_then(|()| write_seed_gradient(&file, &record, &head).map_err(unwritable))
    } else {
        Ok(())
    };
    session.cluster.agree(written)?;
    if session.leads() {
        kept.remove();
    }
    session.progress.line(&format!("misfit {:.6e}; {}", summed.misfit, file.display()));
    Ok(0)
}

/// `treewave gradcheck`, on the first shot: exit code 0 if all checks pass, else 4.
///
/// # Errors
/// Those of the set-up; a blow-up.
pub fn gradcheck(session: &Session, study: &Study, as_json: bool) -> Result<i32, ExperimentError> {
    let setup = SeedSetup::new(study, session.path)?;
    let (plan, _) = setup.plan(session.cluster.as_ref(), false)?;
    let checks = if session.leads() { checks(session, study, &setup, &plan).map(Some) } else { Ok(None) };
    tell(session, checks, as_json)
}

fn checks(session: &Session, study: &Study, setup: &SeedSetup, plan: &ReversalPlan) -> Result<Vec<Check>, Failure> {
    let number = setup.shots[0];
    let program = setup.program(&study.start)?;
    let c2: Vec<f64> = study.start.vp_m_per_s().iter().map(|v| v * v).collect();
    let samples = setup.steps() * study.survey.shots[number].receivers_m.len();
    let mut random = Pcg64::seed_from_u64(1);
    let mut noise = |n: usize| -> Vec<f64> { (0..n).map(|_| random.random_range(-1.0..1.0)).collect() };
    let weights = noise(samples);
    // No change makes the time step unstable.
    let most = (setup.options().stable_dt_s(1.0) / setup.options().dt_s).powi(2);
    let change: Vec<f64> = noise(c2.len()).iter().zip(&c2).map(|(x, c)| x * (PERTURBATION * c).min(most - c)).collect();
    let (wavelet, field) = (noise(setup.wavelet().len()), noise(c2.len()));
    let functional = |traces: &[f64], derivative: &mut [f64]| {
        derivative.copy_from_slice(&weights);
        dot(traces, &weights)
    };
    let gradient = gradients(session, setup, plan, &program, functional)?;
    let failed = |e| shot_failure(number, NUMERICAL, &e);

    let shot = setup.shot_with(&program, number, &wavelet)?;
    let (modelled, _) = in_thread_pool(|| shot.simulate()).map_err(failed)?;
    let mut checks = vec![dot_check(
        "sources to data, <F w, y> = <w, F' y>",
        dot(&modelled, &weights),
        dot(&wavelet[..setup.steps()], &gradient.wavelet[..setup.steps()]),
    )];
    let silent = vec![0.0; wavelet.len()];
    let shot = setup.shot_with(&program, number, &silent)?;
    let (mut state, mut output) = (program.new_state(), shot.new_output());
    let [nx, nz] = setup.options().points;
    for (i, k) in (1..nx - 1).flat_map(|i| (1..nz - 1).map(move |k| (i, k))) {
        state.now[program.index([i, k])] = field[i * nz + k];
    }
    in_thread_pool(|| shot.run(0..setup.steps(), &mut state, None, Some(&mut output))).map_err(failed)?;
    checks.push(dot_check(
        "initial field to data, <F u, y> = <u, F' y>",
        dot(&shot.by_trace(&output), &weights),
        dot(&field, &gradient.u0),
    ));
    if c2.len() * setup.steps() <= SMALL {
        type D = Dual<f64, 1>;
        let c2: Vec<D> = c2.iter().zip(&change).map(|(&value, &t)| Dual { value, tangent: [t] }).collect();
        let program = SeedPml::new(setup.options().clone(), &c2, SeedKernels::baseline());
        let program = program.map_err(|e| misconfigured(e.to_string()))?;
        let wavelet: Vec<D> = setup.wavelet().iter().map(|&w| D::from_f64(w)).collect();
        let shot = setup.shot_with(&program, number, &wavelet)?;
        let (traces, _) = in_thread_pool(|| shot.simulate()).map_err(failed)?;
        let tangent: Vec<f64> = traces.iter().map(|trace| trace.tangent[0]).collect();
        let name = "model to data by dual numbers, <J m, y>";
        checks.push(dot_check(name, dot(&tangent, &weights), dot(&change, &gradient.c2)));
    }
    checks.extend(taylor(session, setup, plan, &program, &c2, &change)?);
    Ok(checks)
}

/// First- and second-order Taylor remainders of the misfit of the shot.
fn taylor(
    session: &Session,
    setup: &SeedSetup,
    plan: &ReversalPlan,
    program: &SeedPml<f64>,
    c2: &[f64],
    change: &[f64],
) -> Result<Vec<Check>, Failure> {
    let number = setup.shots[0];
    let (stop, asked) = (StopFlag::default(), "nobody asks to stop");
    let observed = setup.traces(&setup.target()?, number, &stop)?.expect(asked);
    let misfit = |traces: &[f64], derivative: &mut [f64]| squared_difference(traces, &observed, derivative);
    let gradient = gradients(session, setup, plan, program, misfit)?;
    // Uphill everywhere, so that the first order leads.
    let change: Vec<f64> = change.iter().zip(&gradient.c2).map(|(d, g)| d.abs().copysign(*g)).collect();
    let slope = dot(&gradient.c2, &change);
    let remainders_at = |h: f64| -> Result<(f64, f64), Failure> {
        let moved: Vec<f64> = c2.iter().zip(&change).map(|(c, d)| c + h * d).collect();
        let traces = setup.simulated(&setup.program_of(&moved)?, number, &stop)?.expect(asked);
        let difference = misfit(&traces, &mut vec![0.0; traces.len()]) - gradient.value;
        Ok((difference.abs(), (difference - h * slope).abs()))
    };
    taylor_checks(&remainders_at, slope)
}

/// A functional of the traces of the first shot and its gradients.
struct Gradients {
    value: f64,
    c2: Vec<f64>,
    wavelet: Vec<f64>,
    u0: Vec<f64>,
}

/// By the planned reversal.
fn gradients(
    session: &Session,
    setup: &SeedSetup,
    plan: &ReversalPlan,
    program: &SeedPml<f64>,
    functional: impl Fn(&[f64], &mut [f64]) -> f64 + Send + Sync,
) -> Result<Gradients, Failure> {
    let shot = setup.shot(program, setup.shots[0])?.with_misfit(functional);
    let mut store = setup.store(session, plan, program).map_err(|e| shot_failure(setup.shots[0], ENVIRONMENT, &e))?;
    let run = in_thread_pool(|| {
        let mut workspace = Workspace::new(&shot, ());
        let (mut output, mut adjoint) = (shot.new_output(), shot.new_adjoint());
        let (steps, schedule) = (setup.steps(), plan.schedule().into_iter().flatten());
        let mut stop = || session.stop.requested();
        let run = reverse(&shot, steps, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut stop);
        run.map(|(value, _)| Gradients {
            value,
            c2: shot.gradient_c2(&adjoint),
            wavelet: shot.gradient_wavelet(&adjoint),
            u0: shot.gradient_u0(&adjoint),
        })
    });
    run.map_err(|e| Failure::new(NUMERICAL, chain(&e)))
}
