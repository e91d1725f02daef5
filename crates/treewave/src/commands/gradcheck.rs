//! `treewave gradcheck`: is the gradient of this very set-up the derivative of its misfit?
//!
//! On the first shot of the last stage, in f64: dot products of modelling and Born modelling with the adjoint, Taylor
//! remainders of the misfit, and on small cases the tangent by dual numbers.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde_json::{Value, json};
use treewave_autodiff::Dual;
use treewave_cluster::Failure;
use treewave_inversion::{ExperimentError, wave_failure};
use treewave_reversal::{MemoryStore, TieredStore, Workspace, reverse};
use treewave_wave::{Acoustic, AcousticShot, Crew, RowKernels, Scratch, State, WaveError, in_thread_pool};

use super::print_json;
use crate::reversal::{chain, spill};
use crate::session::Session;
use crate::stage::StageSetup;
use crate::study::{NUMERICAL, Study};

/// Largest relative difference of two dot products.
const DOT_TOLERANCE: f64 = 1e-11;
/// Largest deviation of a Taylor slope.
const SLOPE_TOLERANCE: f64 = 0.1;
/// Cells times steps up to which dual numbers are tried.
const SMALL: usize = 20_000_000;
/// Relative size of the model perturbation at the largest Taylor step.
pub(super) const PERTURBATION: f64 = 0.01;

/// Share of the second-order term in the change of the misfit at the largest Taylor step.
const LARGEST_SHARE: f64 = 0.1;
/// The largest Taylor step is at least this share of [`PERTURBATION`]: below, round-off would be what is measured.
const SMALLEST_STEP: f64 = 1e-3;

/// One check: a name, what was measured, what is allowed, and whether it holds.
pub(super) struct Check {
    name: &'static str,
    measured: f64,
    allowed: String,
    passed: bool,
}

/// Carries the verb out: exit code 0 if all checks pass, else 4.
///
/// # Errors
/// Those of the set-up; a blow-up.
pub fn run(session: &Session, study: &Study, as_json: bool) -> Result<i32, ExperimentError> {
    let stage = study.config.stages.len() - 1;
    let setup = StageSetup::<f64>::new(study, session, stage, 0)?;
    let checks = if session.leads() { checks(session, study, &setup).map(Some) } else { Ok(None) };
    tell(session, checks, as_json)
}

/// Prints the checks of rank 0; exit code 0 if all pass, else 4.
pub(super) fn tell(
    session: &Session,
    checks: Result<Option<Vec<Check>>, Failure>,
    as_json: bool,
) -> Result<i32, ExperimentError> {
    let Some(checks) = session.cluster.agree(checks)? else {
        let failed = session.cluster.any(false);
        return Ok(if failed { NUMERICAL } else { 0 });
    };
    let failed = checks.iter().any(|check| !check.passed);
    session.cluster.any(failed);
    if as_json {
        let list: Vec<Value> = checks
            .iter()
            .map(|c| json!({"name": c.name, "measured": c.measured, "allowed": c.allowed, "passed": c.passed}))
            .collect();
        print_json(&json!({"passed": !failed, "checks": list}));
    } else {
        for check in &checks {
            let verdict = if check.passed { "pass" } else { "FAIL" };
            println!("{verdict}  {:44} {:>12.3e}   {}", check.name, check.measured, check.allowed);
        }
        println!("{}", if failed { "the gradient is NOT the derivative of the misfit" } else { "all checks pass" });
    }
    Ok(if failed { NUMERICAL } else { 0 })
}

fn checks(session: &Session, study: &Study, setup: &StageSetup<f64>) -> Result<Vec<Check>, Failure> {
    let experiment = setup.experiment();
    let number = setup.shots[0];
    let failed = |e: WaveError| wave_failure(number, &e);
    let vp = study.start.vp_m_per_s();
    let acoustic = experiment.acoustic(vp, &Crew::CURRENT).map_err(failed)?;
    let shot = experiment.shot(&acoustic, number);
    let samples = shot.samples() * study.survey.shots[number].receivers_m.len();
    let mut random = Pcg64::seed_from_u64(1);
    let mut noise = |n: usize| -> Vec<f64> { (0..n).map(|_| random.random_range(-1.0..1.0)).collect() };
    let weights = noise(samples);
    let high = study.bounds_m_per_s[1];
    let dvp: Vec<f64> = noise(vp.len()).iter().zip(vp).map(|(x, v)| x * (PERTURBATION * v).min(high - v)).collect();
    let wavelet = noise(shot.steps());
    let mut checks = Vec::new();

    let functional = |traces: &[f64], derivative: &mut [f64]| {
        derivative.copy_from_slice(&weights);
        dot(traces, &weights)
    };
    let (_, gradient, gradient_wavelet) = gradient(session, study, setup, &acoustic, functional)?;
    let modelled = in_thread_pool(|| {
        AcousticShot::new(&acoustic, &study.survey.shots[number], &wavelet, shot.steps(), setup.band.steps_per_sample)
            .simulate()
    });
    let modelled = modelled.map_err(failed)?;
    checks.push(dot_check(
        "sources to data, <F w, y> = <w, F' y>",
        dot(&modelled, &weights),
        dot(&wavelet, &gradient_wavelet),
    ));
    let born = in_thread_pool(|| shot.born(&dvp)).map_err(failed)?;
    checks.push(dot_check("model to data, <J m, y> = <m, J' y>", dot(&born, &weights), dot(&dvp, &gradient)));

    if acoustic.layout().points() * shot.steps() <= SMALL {
        let dual = dual_tangent(study, setup, &acoustic, number, &dvp).map_err(failed)?;
        checks.push(dot_check("tangent by dual numbers, <J m, y>", dot(&dual, &weights), dot(&dvp, &gradient)));
    }
    checks.extend(taylor(session, study, setup, &acoustic, &dvp)?);
    Ok(checks)
}

pub(super) fn dot_check(name: &'static str, left: f64, right: f64) -> Check {
    let measured = (left - right).abs() / left.abs().max(right.abs()).max(f64::MIN_POSITIVE);
    Check { name, measured, allowed: format!("at most {DOT_TOLERANCE:e}"), passed: measured <= DOT_TOLERANCE }
}

/// First- and second-order Taylor remainders of the misfit of the shot, by changes as large as those of `dvp`.
fn taylor(
    session: &Session,
    study: &Study,
    setup: &StageSetup<f64>,
    acoustic: &Acoustic<f64>,
    dvp: &[f64],
) -> Result<Vec<Check>, Failure> {
    let (experiment, number) = (setup.experiment(), setup.shots[0]);
    let inverse = setup.inverse(None);
    let observed = inverse.data.observed(number).map_err(|e| Failure::new(crate::study::DATA, e.to_string()))?;
    let observed: Vec<f64> = observed.into_iter().collect();
    let record_s = study.survey.record_s;
    let misfit =
        |predicted: &[f64], derivative: &mut [f64]| inverse.misfit.evaluate(predicted, &observed, record_s, derivative);
    let (at_start, gradient, _) = gradient(session, study, setup, acoustic, misfit)?;
    // Uphill everywhere: along a random direction the first derivative nearly cancels, and the second-order term would
    // hide it.
    let dvp: Vec<f64> = dvp.iter().zip(&gradient).map(|(d, g)| d.abs().copysign(*g)).collect();
    let slope = dot(&gradient, &dvp);
    let vp = study.start.vp_m_per_s();
    let remainders_at = |h: f64| -> Result<(f64, f64), Failure> {
        let moved: Vec<f64> = vp.iter().zip(&dvp).map(|(v, d)| v + h * d).collect();
        let moved = experiment.acoustic(&moved, &Crew::CURRENT).map_err(|e| wave_failure(number, &e))?;
        let traces =
            in_thread_pool(|| experiment.shot(&moved, number).simulate()).map_err(|e| wave_failure(number, &e))?;
        let difference = misfit(&traces, &mut vec![0.0; traces.len()]) - at_start;
        Ok((difference.abs(), (difference - h * slope).abs()))
    };
    taylor_checks(&remainders_at, slope)
}

/// The slopes of the first- and second-order remainders `remainders_at(h)` of a functional whose derivative is `slope`.
pub(super) fn taylor_checks(
    remainders_at: &dyn Fn(f64) -> Result<(f64, f64), Failure>,
    slope: f64,
) -> Result<Vec<Check>, Failure> {
    // Near a minimum the second order is large; the share of it falls with h, and shall be small in all octaves.
    let share = remainders_at(0.5)?.1 / (0.5 * slope);
    let largest = (0.5 * (LARGEST_SHARE / share).min(1.0)).max(SMALLEST_STEP);
    let remainders =
        (0..5).map(|octave| remainders_at(largest * 0.5f64.powi(octave))).collect::<Result<Vec<_>, _>>()?;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| {
        let (first, last) = (of(&remainders[0]), of(&remainders[remainders.len() - 1]));
        (first / last).log2() / (remainders.len() - 1) as f64
    };
    let check = |name, measured: f64, expected: f64| Check {
        name,
        measured,
        allowed: format!("{expected} within {SLOPE_TOLERANCE}"),
        passed: (measured - expected).abs() <= SLOPE_TOLERANCE,
    };
    Ok(vec![
        check("Taylor slope of J(m + h dm) - J(m)", mean(&|r| r.0), 1.0),
        check("Taylor slope of the rest without h <g, dm>", mean(&|r| r.1), 2.0),
    ])
}

/// Value, gradient with respect to the model and to the wavelet of a functional of the traces, by the planned reversal.
fn gradient(
    session: &Session,
    study: &Study,
    setup: &StageSetup<f64>,
    acoustic: &Acoustic<f64>,
    functional: impl Fn(&[f64], &mut [f64]) -> f64 + Send + Sync,
) -> Result<(f64, Vec<f64>, Vec<f64>), Failure> {
    let plan = &setup.plan.reversal;
    let shot = setup.experiment().shot(acoustic, setup.shots[0]).with_misfit(functional);
    let layout = acoustic.layout();
    let scratch = &study.config.reversal.scratch;
    let disk = match plan.disk_slots {
        0 => None,
        slots => {
            let store = spill(scratch, "gradcheck", session.cluster.rank(), slots, &State::new(layout));
            Some(store.map_err(|e| crate::study::unwritable(chain(&e)))?)
        }
    };
    let result = in_thread_pool(|| {
        let mut store = TieredStore::new(MemoryStore::new(move || State::new(layout)), disk.map(|d| d as _));
        let mut workspace = Workspace::new(&shot, Scratch::default());
        let (mut output, mut adjoint) = (shot.new_output(), shot.new_adjoint());
        let mut stop = || session.stop.requested();
        let schedule = plan.schedule().into_iter().flatten();
        let run =
            reverse(&shot, shot.steps(), schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut stop);
        run.map(|(value, _)| (value, shot.gradient_vp(&adjoint), shot.gradient_wavelet(&adjoint)))
    });
    result.map_err(|e| Failure::new(NUMERICAL, chain(&e)))
}

/// The tangent of the traces along `dvp` by forward-mode differentiation of the very same program.
fn dual_tangent(
    study: &Study,
    setup: &StageSetup<f64>,
    acoustic: &Acoustic<f64>,
    number: usize,
    dvp: &[f64],
) -> Result<Vec<f64>, WaveError> {
    type D = Dual<f64, 1>;
    let vp = study.start.vp_m_per_s().iter().zip(dvp);
    let vp: Vec<D> = vp.map(|(&value, &tangent)| Dual { value, tangent: [tangent] }).collect();
    let options = acoustic.options().clone();
    let kernels = RowKernels::<D>::baseline(options.space_order / 2, study.grid().dims());
    let (band, shot) = (&setup.band, &study.survey.shots[number]);
    let traces = in_thread_pool(|| {
        let acoustic = Acoustic::new(study.grid(), &vp, options, kernels)?;
        AcousticShot::new(&acoustic, shot, &band.wavelet, band.steps(), band.steps_per_sample).simulate_scalars()
    })?;
    Ok(traces.iter().map(|trace| trace.tangent[0]).collect())
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
