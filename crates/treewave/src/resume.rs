//! Going on with a stopped run.
//!
//! After every accepted iteration the state of the optimiser and the newest entry of the run are saved; the run file is
//! published after that. A run that goes on takes the state, and the entries of the run file up to it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use treewave_cluster::Failure;
use treewave_inversion::optimizer::{LbfgsState, SavedState};
use treewave_storage::{RunEntry, Sealed, last_number, load_restart, read_run, save_restart};

use crate::config::may_change;
use crate::ledger::EvaluationFiles;
use crate::record::{Record, run_file};
use crate::session::Session;
use crate::study::{BUG, Study, bad_data, misconfigured, unwritable};

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
    pub fn open(study: &Study, session: &Session, force: bool) -> Result<Option<(Record, Point)>, Failure> {
        let directory = restart_directory(study);
        let Some(restart) = load_restart(&directory).map_err(bad_data)? else { return Ok(None) };
        let saved: Value = serde_json::from_str(&restart.text).map_err(bad_data)?;
        match refuse_changes(study, &saved) {
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

/// What defines the result: keys and values of the configuration, and the models that were read.
fn fingerprint(study: &Study) -> Vec<(String, String)> {
    let mut list = study.config.physics_fingerprint();
    let mut hashed = |name: &str, values: &[f64]| {
        let mut hash = Sha256::new();
        values.iter().for_each(|v| hash.update(v.to_le_bytes()));
        let text = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        list.push((name.to_string(), text));
    };
    hashed("contents of model.start", study.start.vp_m_per_s());
    if let Some(truth) = &study.truth {
        hashed("contents of model.true", truth.vp_m_per_s());
    }
    list.push(("version of treewave".into(), env!("CARGO_PKG_VERSION").into()));
    list
}

/// What tells the evaluations of a stage from all others: all that their results depend on besides the velocities.
pub fn identity(study: &Study, session: &Session, stage: usize) -> Vec<String> {
    let list = fingerprint(study).into_iter().map(|(key, value)| format!("{key} = {value}"));
    list.chain([format!("stage {stage}"), format!("fused {}", session.path.fused())]).collect()
}

/// What is kept of the evaluation at velocities in m/s.
pub fn evaluation_files(study: &Study, session: &Session, identity: &[String], vp: &[f64]) -> EvaluationFiles {
    let every = Duration::from_secs_f64(study.config.output.ledger_every_s);
    EvaluationFiles::new(&ledger_directory(study), identity, vp, session.cluster.rank(), every)
}

/// Removes what is kept of evaluations, after the iteration that they belong to was saved.
pub fn forget_evaluations(study: &Study) {
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

fn refuse_changes(study: &Study, saved: &Value) -> Result<(), Failure> {
    let now = fingerprint(study);
    let before = saved["fingerprint"].as_object().ok_or_else(|| bad_data("the restart file has no fingerprint"))?;
    let mut changes = Vec::new();
    for (key, value) in &now {
        match before.get(key).and_then(Value::as_str) {
            Some(old) if old == value => {}
            Some(old) if old.len() > 60 => changes.push(format!("{key} has changed")),
            Some(old) => changes.push(format!("{key} was {old}, is {value}")),
            None => changes.push(format!("{key} = {value} is new")),
        }
    }
    let gone = |key: &&String| !now.iter().any(|(known, _)| known == *key) && !may_change(key);
    changes.extend(before.keys().filter(gone).map(|key| format!("{key} is gone")));
    if changes.is_empty() {
        return Ok(());
    }
    Err(misconfigured(format!(
        "{} holds a run of another configuration, which cannot go on with this one:\n  {}\nuse another --output, or undo \
         the changes (iterations, reversal, parallel and output keys may change); --force goes on all the same",
        study.config.run.output.display(),
        changes.join("\n  ")
    )))
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
    let mut run = Record::new(study, session).into_run();
    if iteration > 0 {
        let held = read_run(&run_file(study)).map_err(bad_data)?;
        check_cells(study, "the run file", held.grid.len())?;
        run.entries = held.entries;
        if run.entries.len() < iteration {
            let (found, file) = (run.entries.len(), run_file(study));
            return Err(bad_data(format!(
                "{}: the run file has {found} iterations, the restart file needs {iteration}",
                file.display()
            )));
        }
        run.entries.truncate(iteration);
    }
    run.entries.push(newest);
    let left_out = serde_json::from_value(saved["left_out"].clone()).map_err(bad_data)?;
    Ok(Record::resumed(run, left_out))
}

/// Saves a point and the newest entry.
///
/// # Errors
/// Code 5 if it cannot be written; the state before is untouched then.
pub fn save_point(
    study: &Study,
    point: &Point,
    entry: &RunEntry,
    iteration: usize,
    left_out: &[(usize, Vec<usize>)],
) -> Result<(), Failure> {
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
        "iteration": iteration,
        "left_out": left_out,
        "optimizer": optimizer.counts.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "entry": { "evaluations": entry.evaluations, "stage": entry.stage },
        "fingerprint": fingerprint(study).into_iter().collect::<std::collections::BTreeMap<_, _>>(),
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
