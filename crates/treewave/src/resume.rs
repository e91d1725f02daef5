//! Going on with a stopped run.
//!
//! After every accepted iteration the state of the optimiser and the newest entry of the run are saved; the run file is
//! published after that. A run that goes on takes the state, and the entries of the run file up to it.

use std::path::PathBuf;
use std::time::Duration;

use fail::fail_point;
use serde_json::{Value, json};
use treewave_cluster::Failure;
use treewave_inversion::optimizer::{LbfgsState, SavedState};
use treewave_storage::{RunEntry, Sealed, last_number, load_restart, read_run, save_restart};

use crate::fingerprint::Fingerprint;
use crate::ledger::EvaluationFiles;
use crate::record::{Record, run_file};
use crate::session::Session;
use crate::study::{BUG, Study, bad_data, unwritable};

/// Where a run stands within its stages.
pub struct Point {
    /// Stage, from 0.
    pub stage: usize,
    /// Whether the stage has ended before its iterations were made.
    pub ended: bool,
    /// Velocities at the start of the stage in m/s.
    pub base: Vec<f64>,
    /// Diagonal of the preconditioner of the stage.
    pub preconditioner: Vec<f64>,
    /// The optimiser.
    pub state: LbfgsState,
}

/// Finds the run in the output directory.
pub struct Resume;

impl Resume {
    /// The run and its point, if there is one to go on with; with `force` also if what defines the result has changed.
    ///
    /// # Errors
    /// Code 2 if it is a run of another configuration, with the keys that differ; code 3 if its files are damaged.
    pub fn open(
        study: &Study,
        session: &Session,
        fingerprint: &Fingerprint,
        force: bool,
    ) -> Result<Option<(Record, Point)>, Failure> {
        let directory = restart_directory(study);
        let Some(restart) = load_restart(&directory).map_err(bad_data)? else { return Ok(None) };
        let saved: Value = serde_json::from_str(&restart.text).map_err(bad_data)?;
        match fingerprint.refuse_changes(&saved["fingerprint"], &study.config.run.output) {
            Err(refusal) if force => session.progress.line(&format!("going on all the same (--force): {refusal}")),
            other => other?,
        }
        let record = resumed_record(study, session, &restart, &saved)?;
        Ok(Some((record, point(study, &restart, &saved)?)))
    }
}

fn restart_directory(study: &Study) -> PathBuf {
    study.config.run.output.join("restart")
}

/// What is kept of the evaluation at velocities in m/s.
pub fn evaluation_files(study: &Study, session: &Session, identity: &[String], vp: &[f64]) -> EvaluationFiles {
    let every = Duration::from_secs_f64(study.config.output.ledger_every_s);
    EvaluationFiles::new(&ledger_directory(study), identity, vp, session.cluster.rank(), every)
}

/// Removes what is kept of evaluations, after the iteration that they belong to was saved.
pub fn forget_evaluations(study: &Study) {
    fail_point!("ledger.remove");
    let directory = ledger_directory(study);
    if let Err(error) = std::fs::remove_dir_all(&directory)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        // It takes room, and is never used again.
        log::warn!("{}: {error}", directory.display());
    }
}

fn ledger_directory(study: &Study) -> PathBuf {
    restart_directory(study).join("ledger")
}

fn array<'a>(restart: &'a Sealed, name: &str) -> Result<&'a Vec<f64>, Failure> {
    let found = restart.arrays.iter().find(|(known, _)| known == name).map(|(_, values)| values);
    found.ok_or_else(|| bad_data(format!("the restart file has no array {name:?}")))
}

/// An array with a value for every cell of the model.
fn cells<'a>(study: &Study, restart: &'a Sealed, name: &str) -> Result<&'a Vec<f64>, Failure> {
    let values = array(restart, name)?;
    check_cells(study, &format!("array {name:?}"), values.len())?;
    Ok(values)
}

/// Refuses a saved state of another number of cells than the model has: even `--force` cannot go on with it.
fn check_cells(study: &Study, what: &str, found: usize) -> Result<(), Failure> {
    let expected = study.grid().len();
    if found == expected {
        return Ok(());
    }
    Err(bad_data(format!(
        "{}: {what} of the saved state has {found} cells, the model has {expected}; use another --output",
        restart_directory(study).display()
    )))
}

fn point(study: &Study, restart: &Sealed, saved: &Value) -> Result<Point, Failure> {
    let prefix = "optimizer/";
    let arrays = restart
        .arrays
        .iter()
        .filter_map(|(name, values)| name.strip_prefix(prefix).map(|name| (name.to_string(), values.clone())));
    let counts = saved["optimizer"].as_object().into_iter().flatten();
    let counts = counts.map(|(name, value)| (name.clone(), value.as_u64().unwrap_or(0)));
    let state = SavedState { arrays: arrays.collect(), counts: counts.collect() };
    let state = LbfgsState::import(state).map_err(bad_data)?;
    check_cells(study, "the optimiser", state.x().len())?;
    Ok(Point {
        stage: saved["stage"].as_u64().unwrap_or(0) as usize,
        ended: saved["ended"].as_bool().unwrap_or(false),
        base: cells(study, restart, "base")?.clone(),
        preconditioner: cells(study, restart, "preconditioner")?.clone(),
        state,
    })
}

/// The entries up to the saved iteration: those of the run file, and the newest from the restart file itself.
fn resumed_record(study: &Study, session: &Session, restart: &Sealed, saved: &Value) -> Result<Record, Failure> {
    let iteration = saved["iteration"].as_u64().unwrap_or(0) as usize;
    let number = |key: &str| saved["entry"][key].as_f64().unwrap_or(f64::NAN);
    let &[misfit, gradient_norm, step_percent, wall_s] = &array(restart, "entry/misfit")?[..] else {
        return Err(bad_data("the array \"entry/misfit\" of the restart file has not four values"));
    };
    let newest = RunEntry {
        vp: cells(study, restart, "entry/vp")?.clone(),
        gradient: cells(study, restart, "entry/gradient")?.clone(),
        misfit,
        gradient_norm,
        step_percent,
        wall_s,
        evaluations: number("evaluations") as u64,
        stage: number("stage") as u64,
        misfit_per_shot: array(restart, "entry/misfit_per_shot")?.clone(),
        model_error: array(restart, "entry/model_error")?.first().copied(),
    };
    let file = run_file(study);
    let lost = |reason: String| {
        bad_data(format!(
            "{}: {reason}; the iterations before {iteration} are in this file alone: put a copy of it back, or choose \
             another --output; nothing was changed",
            file.display()
        ))
    };
    let mut run = Record::new(study, session).into_run();
    let mut published = 0;
    if iteration > 0 {
        let held = read_run(&file).map_err(|e| lost(e.to_string()))?;
        check_cells(study, "the run file", held.grid.len())?;
        run.entries = held.entries;
        let found = run.entries.len();
        if found < iteration {
            return Err(lost(format!("the run file has {found} iterations, the restart file needs {iteration}")));
        }
        // An entry of the newest iteration may be that of a process that made it before this restart file.
        published = iteration + usize::from(run.entries.get(iteration) == Some(&newest));
        run.entries.truncate(iteration);
    }
    run.entries.push(newest);
    let left_out = serde_json::from_value(saved["left_out"].clone()).map_err(bad_data)?;
    let record = Record::resumed(run, left_out, published);
    match saved["past"].as_str() {
        Some(past) if past != record.past_digest() => Err(lost("it is damaged, or of another run".into())),
        _ => Ok(record),
    }
}

/// Saves a point and the newest entry of the run.
///
/// # Errors
/// Code 5 if it cannot be written; the state before is untouched then.
pub fn save_point(study: &Study, point: &Point, record: &Record, fingerprint: &Fingerprint) -> Result<(), Failure> {
    let entry = record.newest()?;
    let optimizer = point.state.export();
    let mut arrays: Vec<(String, &[f64])> =
        optimizer.arrays.iter().map(|&(ref name, values)| (format!("optimizer/{name}"), values)).collect();
    let scalars = [entry.misfit, entry.gradient_norm, entry.step_percent, entry.wall_s];
    arrays.extend([
        ("base".to_string(), &point.base[..]),
        ("preconditioner".to_string(), &point.preconditioner[..]),
        ("entry/vp".to_string(), &entry.vp[..]),
        ("entry/gradient".to_string(), &entry.gradient[..]),
        ("entry/misfit".to_string(), &scalars[..]),
        ("entry/misfit_per_shot".to_string(), &entry.misfit_per_shot[..]),
        ("entry/model_error".to_string(), entry.model_error.as_slice()),
    ]);
    let text = json!({
        "stage": point.stage,
        "ended": point.ended,
        "iteration": record.iteration(),
        "past": record.past_digest(),
        "left_out": record.all_left_out(),
        "optimizer": optimizer.counts.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "entry": { "evaluations": entry.evaluations, "stage": entry.stage },
        "fingerprint": fingerprint.to_json(),
    });
    let directory = restart_directory(study);
    std::fs::create_dir_all(&directory).map_err(|e| unwritable(format!("{}: {e}", directory.display())))?;
    let restart = Sealed { number: last_number(&directory) + 1, text: text.to_string(), arrays };
    save_restart(&directory, &restart).map_err(unwritable)
}

/// A run without a start model cannot be saved: a bug of ours.
pub fn no_entry() -> Failure {
    Failure::new(BUG, "a run is saved before its start model was evaluated")
}
