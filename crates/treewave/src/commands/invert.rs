//! `treewave invert`: the main job.

use treewave_cluster::Failure;
use treewave_core::{Event, Model, Observer};
use treewave_inversion::optimizer::{
    Bounds, Evaluation, EvaluationError, IterationReport, Lbfgs, LbfgsOptions, Objective, StepError, StopReason,
};
use treewave_inversion::{BadShots, Control, Evaluated, ExperimentError, Parameter};
use treewave_reversal::Log;
use treewave_wave::Scalar;

use super::with_precision;
use crate::band::Band;
use crate::cli::InvertOptions;
use crate::config::keys;
use crate::config::sections::Synthetic;
use crate::fingerprint::Fingerprint;
use crate::observed::write_simulated;
use crate::record::{Entry, Record};
use crate::report::{bytes_text, plan_text};
use crate::resume::{Point, Resume, evaluation_files};
use crate::run_lock::RunLock;
use crate::session::Session;
use crate::stage::{StageSetup, check_stages};
use crate::study::{Study, misconfigured};

/// Carries the verb out; exit code 0 also where a line search could go no further.
///
/// # Errors
/// Code 2 if the run in the output directory is another one; those of the set-up and the evaluations; a request to stop.
pub fn run(session: &Session, study: &Study, how: InvertOptions) -> Result<i32, ExperimentError> {
    with_precision!(study, invert(session, study, how))
}

/// The evaluations of a stage, each with its ledger.
struct Evaluations<'a> {
    study: &'a Study,
    session: &'a Session,
    label: String,
    /// What tells the evaluations of this stage from all others.
    identity: Vec<String>,
}

impl Evaluations<'_> {
    fn evaluate<T: Scalar>(
        &self,
        setup: &StageSetup<T>,
        vp: &[f64],
        bad: BadShots,
    ) -> Result<Evaluated, ExperimentError> {
        self.session.progress.begin(&self.label, setup.shots.len());
        let ledger = evaluation_files(self.study, self.session, &self.identity, vp);
        setup.evaluate(vp, bad, Some(&ledger))
    }
}

/// The misfit as the optimiser sees it.
struct Misfit<'a, T: Scalar> {
    setup: &'a StageSetup<'a, T>,
    control: &'a Control,
    evaluations: &'a Evaluations<'a>,
    /// Evaluated points that may become the accepted one: the lowest since the last iteration, and the last.
    lowest: Option<(Vec<f64>, Evaluated)>,
    last: Option<(Vec<f64>, Evaluated)>,
    /// What all reversals of this process did.
    log: &'a mut Log,
}

impl<T: Scalar> Misfit<'_, T> {
    /// The evaluation at a point, if it is at hand.
    fn known(&self, x: &[f64]) -> Option<&Evaluated> {
        let held = [&self.last, &self.lowest].into_iter().flatten();
        held.into_iter().find(|(known, _)| known == x).map(|(_, evaluated)| evaluated)
    }

    fn evaluated(&mut self, x: &[f64]) -> Result<Evaluated, ExperimentError> {
        if let Some(known) = self.known(x) {
            return Ok(known.clone());
        }
        let evaluated = self.evaluations.evaluate(self.setup, &self.control.vp(x), BadShots::Reject)?;
        self.log.merge(&evaluated.log);
        if let Some(previous) = self.last.replace((x.to_vec(), evaluated.clone())) {
            let lower = |(_, held): &(Vec<f64>, Evaluated)| held.misfit <= previous.1.misfit;
            if !self.lowest.as_ref().is_some_and(lower) {
                self.lowest = Some(previous);
            }
        }
        Ok(evaluated)
    }
}

impl<T: Scalar> Objective for Misfit<'_, T> {
    type Failure = ExperimentError;

    fn evaluate(&mut self, x: &[f64]) -> Result<Evaluation, EvaluationError<ExperimentError>> {
        let evaluated = self.evaluated(x).map_err(|error| match error {
            // What blows up on this model may not on one that is nearer.
            ExperimentError::Rejected(failure) => EvaluationError::Rejected(failure.to_string()),
            other => EvaluationError::Fatal(other),
        })?;
        let gradient = self.control.gradient(x, &evaluated.gradient_vp);
        Ok(Evaluation { value: evaluated.misfit, gradient })
    }
}

fn invert<T: Scalar>(session: &Session, study: &Study, how: InvertOptions) -> Result<i32, ExperimentError> {
    let output = &study.config.run.output;
    session.cluster.agree(if session.leads() { RunLock::check(output) } else { Ok(()) })?;
    let fingerprint = Fingerprint::of(study, session.cluster.as_ref())?;
    let resume = session.cluster.agree(Resume::open(study, session, &fingerprint, how.force))?;
    let (mut record, point) = match resume {
        Some((record, point)) => {
            session.progress.line(&format!("going on after iteration {}", record.iteration()));
            (record, Some(point))
        }
        None => (Record::new(study, session), None),
    };
    check_stages::<T>(study, session)?;
    // Not before: a refused configuration writes nothing.
    let lock = if session.leads() { RunLock::take(output).map(Some) } else { Ok(None) };
    let _lock = session.cluster.agree(lock)?;
    let begun = if session.leads() { record.begin(study, &session.progress) } else { Ok(()) };
    session.cluster.agree(begun)?;
    let reason = match run_stages::<T>(session, study, how, &fingerprint, &mut record, point) {
        Ok(reason) => reason.map_or("all iterations were made".to_string(), |reason| reason.to_string()),
        Err(error) => {
            if session.leads() {
                // The error that ended the run is the one to be told.
                let _ = record.write_status(study, &session.progress, "stopped");
            }
            return Err(error);
        }
    };
    if study.config.output.data {
        write_predicted::<T>(session, study, &record)?;
    }
    let finished = if session.leads() { record.finish(study, &session.progress, &reason) } else { Ok(()) };
    session.cluster.agree(finished)?;
    session.progress.line(&format!("done: {reason}; {}", record.summary()));
    Ok(0)
}

/// Runs all stages from a point on; why the last one ended early, if it did.
fn run_stages<T: Scalar>(
    session: &Session,
    study: &Study,
    how: InvertOptions,
    fingerprint: &Fingerprint,
    record: &mut Record,
    mut point: Option<Point>,
) -> Result<Option<StopReason>, ExperimentError> {
    let first = point.as_ref().map_or(0, |point| point.stage);
    let mut stopped_because = None;
    for stage in first..study.config.stages.len() {
        let from = point.take();
        if from.as_ref().is_some_and(|from| from.ended) {
            continue;
        }
        stopped_because = run_stage::<T>(session, study, how, fingerprint, stage, record, from)?;
    }
    Ok(stopped_because)
}

/// Models the shots on the last model into `predicted.h5`, in the full band and without noise.
fn write_predicted<T: Scalar>(session: &Session, study: &Study, record: &Record) -> Result<(), ExperimentError> {
    let model = Model::new(study.grid().clone(), record.last_vp(study)).map_err(misconfigured)?;
    let config = &study.config;
    let band = Band::new(config, study.grid(), &study.survey, None, study.bounds_m_per_s[1])?;
    let plain = Synthetic { space_order: config.physics.space_order, step: config.time.step, noise: 0.0, seed: 0 };
    session.progress.begin("predicted data", study.survey.shots.len());
    let file = config.run.output.join("predicted.h5");
    write_simulated::<T>(study, &model, &band, &plain, &session.simulation(), &file)
}

/// Runs a stage to its end; why it ended early, if it did.
fn run_stage<T: Scalar>(
    session: &Session,
    study: &Study,
    how: InvertOptions,
    fingerprint: &Fingerprint,
    stage: usize,
    record: &mut Record,
    from: Option<Point>,
) -> Result<Option<StopReason>, ExperimentError> {
    let mut setup = StageSetup::<T>::new(study, session, stage, study.frozen_top())?;
    setup.leave_out(record.left_out(stage));
    let options = &study.config.stages[stage];
    let band = options.lowpass_hz.map_or("full band".to_string(), |f| format!("below {f} Hz"));
    session.progress.line(&format!("stage {stage}: {band}, {}", plan_text(&setup.plan.reversal)));
    if let at_once @ 2.. = setup.plan.shots_at_once {
        session.progress.line(&format!("  {at_once} shots side by side on each rank"));
    }
    let base = from.as_ref().map_or_else(|| record.last_vp(study), |from| from.base.clone());
    let control = Control::new(
        parameter(study.config.optimizer.parameter),
        study.grid(),
        &base,
        study.frozen.clone(),
        study.bounds_m_per_s,
        options.smooth_m,
    );
    let label = format!("stage {stage}");
    let evaluations =
        Evaluations { study, session, label, identity: fingerprint.of_stage(stage, session.path.fused()) };
    let mut log = Log::default();
    // The gradient of the start model is the first that the optimiser counts, and the start has it already.
    let mut counted_with_start = 0;
    let (mut point, last) = match from {
        Some(from) => (from, None),
        None => {
            let start = control.start();
            let bad = if how.skip_bad_shots { BadShots::LeaveOut } else { BadShots::Fail };
            let evaluated = evaluations.evaluate(&setup, &control.vp(&start), bad)?;
            log.merge(&evaluated.log);
            leave_out(session, &mut setup, record, stage, &evaluated)?;
            if record.is_empty() {
                record.push(Entry::start(study, &evaluated, stage, session.progress.seconds()));
                counted_with_start = 1;
            }
            let diagonal = preconditioner(study, &control, &evaluated);
            let fresh = optimizer(study, &control, stage, &diagonal)?.start(start.clone()).map_err(misconfigured)?;
            (Point { stage, ended: false, base, preconditioner: diagonal, state: fresh }, Some((start, evaluated)))
        }
    };
    let mut misfit =
        Misfit { setup: &setup, control: &control, evaluations: &evaluations, lowest: None, last, log: &mut log };
    let lbfgs = optimizer(study, &control, stage, &point.preconditioner)?;
    while point.state.iterations() < options.iterations as u64 {
        let report = match lbfgs.step(&mut point.state, &mut misfit) {
            Ok(report) => report,
            Err(StepError::Fatal(error)) => return Err(error),
            Err(error) => return Err(misconfigured(error).into()),
        };
        report.messages.iter().for_each(|message| session.progress.event(Event::Message(format!("  {message}"))));
        let moved = report.step_length > 0.0;
        if moved {
            let evaluated = misfit.known(point.state.x()).cloned();
            let mut entry =
                Entry::iteration(study, &control, &point.state, evaluated, &report, stage, session.progress.seconds());
            entry.evaluations -= std::mem::take(&mut counted_with_start);
            record.push(entry);
            (misfit.lowest, misfit.last) = (None, misfit.last.take().filter(|(x, _)| x == point.state.x()));
        }
        // A limit on the evaluations may be raised when the run goes on; the other reasons are final.
        let is_final = |reason: &StopReason| !matches!(reason, StopReason::Evaluations { .. });
        point.ended = report.stopped_because.as_ref().is_some_and(is_final);
        let saved = if session.leads() { record.save(study, &session.progress, &point, fingerprint) } else { Ok(()) };
        session.cluster.agree(saved)?;
        session.progress.line(&iteration_text(record, &report));
        if report.stopped_because.is_some() {
            say_log(session, misfit.log);
            return Ok(report.stopped_because);
        }
    }
    say_log(session, misfit.log);
    Ok(None)
}

/// Leaves the shots out for the stage that were bad when it began, and says so.
fn leave_out<T: Scalar>(
    session: &Session,
    setup: &mut StageSetup<T>,
    record: &mut Record,
    stage: usize,
    evaluated: &Evaluated,
) -> Result<(), ExperimentError> {
    let bad: Vec<usize> = evaluated.bad_shots.iter().map(|(shot, _)| *shot).collect();
    for (_, failure) in &evaluated.bad_shots {
        session.progress.line(&format!("  left out for this stage: {failure}"));
    }
    if evaluated.shots.is_empty() {
        let (_, failure) = evaluated.bad_shots.first().expect("a stage has shots");
        return Err(Failure::new(failure.code(), format!("every shot is bad; {failure}")).into());
    }
    setup.leave_out(&bad);
    record.leave_out(stage, bad);
    Ok(())
}

fn iteration_text(record: &Record, report: &IterationReport) -> String {
    let error = record.last_model_error().map_or(String::new(), |e| format!(", model error {e:.4}"));
    format!(
        "iteration {:3}  J = {:.6e}  |g| = {:.3e}  step {:.2} %  {} evaluations{error}",
        record.iteration(),
        report.value,
        report.projected_gradient_norm,
        report.step_percent,
        report.evaluations,
    )
}

/// Tells what the reversals of a stage did; to be called by all ranks.
fn say_log(session: &Session, log: &Log) {
    session.progress.line(&format!(
        "  reversal: {:.2} forward steps per step, {} written to disk, {:.1} s waited for it; peak memory of a rank {}",
        log.recompute_factor(),
        bytes_text(log.bytes_written),
        log.seconds_waited,
        bytes_text(session.peak_rss_bytes()),
    ));
}

fn parameter(parameter: keys::Parameter) -> Parameter {
    match parameter {
        keys::Parameter::Vp => Parameter::Vp,
        keys::Parameter::Slowness2 => Parameter::Slowness2,
        keys::Parameter::LogVp => Parameter::LogVp,
    }
}

fn optimizer(study: &Study, control: &Control, stage: usize, diagonal: &[f64]) -> Result<Lbfgs, ExperimentError> {
    let (common, options) = (&study.config.optimizer, &study.config.stages[stage]);
    let (lower, upper) = control.bounds();
    let bounds = Bounds::new(lower, upper).map_err(misconfigured)?;
    let options = LbfgsOptions {
        memory: common.memory,
        max_step_percent: options.max_step_percent,
        gradient_tolerance: common.gradient_tolerance,
        decrease_tolerance: common.decrease_tolerance,
        max_evaluations: options.max_evaluations.map_or(u64::MAX, |n| n as u64),
        ..LbfgsOptions::default()
    };
    Ok(Lbfgs::new(options, bounds, Some(diagonal.to_vec())).map_err(misconfigured)?)
}

/// Diagonal of an approximate inverse Hessian of the controls: one over the source illumination, with a floor; frozen
/// cells, which never move, have 1.
fn preconditioner(study: &Study, control: &Control, evaluated: &Evaluated) -> Vec<f64> {
    let illumination = &evaluated.illumination;
    let cells = illumination.iter().zip(&study.frozen).filter(|(_, frozen)| !**frozen);
    let largest = cells.map(|(i, _)| *i).fold(0.0, f64::max);
    let inverse: Vec<f64> = match study.config.precondition.illumination_floor {
        Some(floor) if largest > 0.0 => illumination.iter().map(|i| 1.0 / (i / largest + floor)).collect(),
        _ => vec![1.0; illumination.len()],
    };
    let mut diagonal = control.inverse_hessian(&inverse);
    diagonal.iter_mut().zip(&study.frozen).filter(|(_, frozen)| **frozen).for_each(|(d, _)| *d = 1.0);
    diagonal
}
