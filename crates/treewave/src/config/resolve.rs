//! What was typed → validated values. Defaults that depend on other keys are filled in, paths become absolute, and all
//! contradictions between keys are reported.

mod experiment;
mod inversion;

use super::keys::FileConfig;
use super::report::Report;
use super::{Config, sections};
use std::path::{Path, PathBuf};

/// Where the configuration lives and what surrounds it.
pub(super) struct Surroundings<'a> {
    /// Folder that paths are relative to, absolute.
    pub folder: &'a Path,
    /// Name of a run that has none.
    pub name: &'a str,
    /// Looks up an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Surroundings<'_> {
    /// Makes a path absolute, in place, and returns it.
    fn path(&self, key: &str, text: &mut String, report: &mut Report) -> PathBuf {
        if text.is_empty() {
            report.rule(key, "an empty path", "a path", "name a file or directory, relative to the configuration");
        }
        let path = self.folder.join(&*text);
        *text = path.to_string_lossy().into_owned();
        path
    }
}

/// Validates and fills in; `None` if a value needed to go on is missing.
pub(super) fn resolve(mut typed: FileConfig, around: &Surroundings, report: &mut Report) -> Option<Config> {
    let run = experiment::run(&mut typed, around, report);
    let start = experiment::model("model.start", &mut typed.model.start, around, report);
    let truth = match &mut typed.model.truth {
        Some(truth) => experiment::model("model.true", truth, around, report).map(Some),
        None => Some(None),
    };
    experiment::grids(&typed, report);
    let mut notes = Vec::new();
    experiment::physics(&typed, report);
    experiment::layer(&mut typed, report);
    let time = experiment::time(&typed, report);
    let survey = experiment::survey(&mut typed, around, report);
    let wavelet = experiment::wavelet(&mut typed, around, report);
    let data = experiment::data(&mut typed, time, around, report, &mut notes);
    let reversal = inversion::reversal(&mut typed, around, report);
    let optimizer = inversion::optimizer(&typed, report);
    let precondition = inversion::precondition(&mut typed, around, report);
    let stages = inversion::stages(&mut typed, report, &mut notes);
    inversion::parallel(&typed, report);
    Some(Config {
        run,
        start: start?,
        truth: truth?,
        physics: typed.physics,
        boundary: typed.boundary.clone(),
        time: time?,
        survey: survey?,
        wavelet: wavelet?,
        data,
        misfit: typed.misfit.kind,
        reversal: reversal?,
        records: typed.inversion.records,
        optimizer,
        precondition,
        stages,
        threads_per_rank: typed.parallel.threads_per_rank.value(),
        shots_at_once: typed.parallel.shots_at_once.value(),
        output: typed.output,
        notes,
        resolved: typed,
    })
}

/// Most samples of a trace and most time steps: a slip of the pen in an interval must not fill the memory.
pub const MOST_STEPS: usize = 1 << 24;

/// The number of times `part` goes into `whole`, if that is a whole number within 1e-6, of steps that can
/// be meant.
fn whole_multiple(whole: f64, part: f64) -> Option<usize> {
    let times = whole / part;
    let nearest = times.round();
    ((1.0..=MOST_STEPS as f64).contains(&nearest) && (times - nearest).abs() <= 1e-6 * nearest.max(1.0))
        .then_some(nearest as usize)
}

/// The time step: given, or from a fraction of the stability limit.
fn time_step(
    key: &str,
    dt_s: Option<f64>,
    courant: f64,
    record_s: f64,
    report: &mut Report,
) -> Option<sections::TimeStep> {
    let Some(dt_s) = dt_s else { return Some(sections::TimeStep::Courant(courant)) };
    let steps = if dt_s > 0.0 { whole_multiple(record_s, dt_s) } else { None };
    if steps.is_none() {
        let expected = format!("a positive step that divides time.record_s = {record_s} a whole number of times");
        let advice = "choose record_s divided by a whole number, or \"auto\"";
        report.rule(key, format!("dt_s = {dt_s}"), expected, advice);
    }
    steps.map(sections::TimeStep::StepsPerSample)
}
