//! Run files: the course of an inversion.
//!
//! | dataset | axes | unit |
//! |---|---|---|
//! | `vp`, `gradient` | `(iteration, x, z)` | m/s; misfit per m/s |
//! | `misfit gradient_norm step_percent evaluations stage wall_s model_error` | `(iteration)` | |
//! | `misfit_per_shot` | `(iteration, shot_index)` | Pa² s |
//! | `vp_start`, `vp_true` | `(x, z)` | m/s |
//!
//! Iteration 0 is the start model. A run file is always written whole under another name and renamed. Above a size
//! limit the models and gradients of past iterations stand in files of their own (`iterations/0012.h5`, written once),
//! and the run file keeps the histories and, along an `iteration` axis of one entry, the last model and gradient.

use std::path::{Path, PathBuf};

use treewave_core::{Grid, Model};

use crate::crash::CrashWatch;
use crate::error::StorageError;
use crate::head::Head;
use crate::model::{read_field, read_model};
use crate::public_file::{Label, Precision, PublicFile};
use crate::reader::Reader;

/// One iteration.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEntry {
    /// Velocities in m/s.
    pub vp: Vec<f64>,
    /// Derivative of the misfit with respect to them, per m/s.
    pub gradient: Vec<f64>,
    /// Misfit in Pa² s.
    pub misfit: f64,
    /// Norm of the projected, preconditioned gradient.
    pub gradient_norm: f64,
    /// Largest relative change of a cell in percent.
    pub step_percent: f64,
    /// Gradients computed for this iteration.
    pub evaluations: u64,
    /// Stage, from 0.
    pub stage: u64,
    /// Seconds of computing so far.
    pub wall_s: f64,
    /// Misfit of every shot in Pa² s; not a number for shots that were not used.
    pub misfit_per_shot: Vec<f64>,
    /// Relative L2 difference to the true model, where there is one.
    pub model_error: Option<f64>,
}

/// A run: its models, and its iterations so far.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// The grid of all models.
    pub grid: Grid,
    /// Start model in m/s.
    pub vp_start: Vec<f64>,
    /// True model in m/s, in synthetic studies.
    pub vp_true: Option<Vec<f64>>,
    /// The iterations.
    pub entries: Vec<RunEntry>,
    /// The configuration as TOML text.
    pub config: String,
    /// Further attributes of the file: name and text.
    pub provenance: Vec<(String, String)>,
}

impl RunRecord {
    /// Bytes of the models and gradients in the file.
    fn bytes(&self) -> u64 {
        (self.grid.len() * Precision::F64.bytes() * 2 * self.entries.len()) as u64
    }

    /// The model of an iteration, or of the last.
    ///
    /// # Errors
    /// [`StorageError::Content`] for an iteration that the run has not.
    pub fn model(&self, iteration: Option<usize>) -> Result<Model, StorageError> {
        let last = self.entries.len().saturating_sub(1);
        let iteration = iteration.unwrap_or(last);
        let entry = self.entries.get(iteration).ok_or_else(|| {
            StorageError::content(
                Path::new("run.h5"),
                format!("there is no iteration {iteration}; there are 0 to {last}"),
            )
        })?;
        Model::new(self.grid.clone(), entry.vp.clone())
            .map_err(|source| StorageError::content(Path::new("run.h5"), source.to_string()))
    }
}

/// The file of a past iteration of a large run.
fn iteration_file(run: &Path, iteration: usize) -> PathBuf {
    run.with_file_name("iterations").join(format!("{iteration:04}.h5"))
}

/// Publishes a run; above `limit_bytes` of models and gradients, past iterations go into files of their own.
///
/// # Errors
/// [`StorageError::Io`], [`StorageError::Hdf5`]; the older run file then stays.
pub fn publish_run(path: &Path, run: &RunRecord, head: &Head, limit_bytes: u64) -> Result<(), StorageError> {
    let split = run.bytes() > limit_bytes;
    if split {
        // Written once: only what is not there yet. A file of another run in the same folder is replaced.
        for (i, entry) in run.entries.iter().enumerate() {
            let file = iteration_file(path, i);
            if !holds(&file, entry) {
                publish_iteration(&file, run, entry, head)?;
            }
        }
    }
    let mut file = PublicFile::create(path, "run", head)?;
    file.attribute("config", &run.config)?;
    for (name, text) in &run.provenance {
        file.attribute(name, text)?;
    }
    let grid_axes = file.grid_axes(&run.grid)?;
    let axes: Vec<&str> = grid_axes.iter().map(String::as_str).collect();
    let numbers: Vec<i64> = (0..run.entries.len() as i64).collect();
    file.index_axis("iteration", &numbers, "iteration; 0 is the start model")?;
    let shots = run.entries.first().map_or(0, |entry| entry.misfit_per_shot.len());
    file.index_axis("shot_index", &(0..shots as i64).collect::<Vec<_>>(), "shot, counted from 0")?;
    let velocity = |name, axes| Label { name, axes, units: "m/s", long_name: "P-wave velocity" };
    let start = Label { long_name: "P-wave velocity of the start model", ..velocity("vp_start", &axes) };
    file.write(&start, &run.vp_start, Precision::F64)?;
    if let Some(truth) = &run.vp_true {
        let label = Label { long_name: "P-wave velocity of the true model", ..velocity("vp_true", &axes) };
        file.write(&label, truth, Precision::F64)?;
    }
    let kept = if split {
        file.index_axis("last_iteration", &numbers[numbers.len() - 1..], "the last iteration")?;
        &run.entries[run.entries.len() - 1..]
    } else {
        &run.entries[..]
    };
    let mut with_iteration = vec![if split { "last_iteration" } else { "iteration" }];
    with_iteration.extend_from_slice(&axes);
    file.write_stack(&velocity("vp", &with_iteration), kept.iter().map(|entry| &entry.vp[..]))?;
    let gradient = Label {
        name: "gradient",
        axes: &with_iteration,
        units: "Pa2 s2/m",
        long_name: "derivative of the misfit with respect to the velocity",
    };
    file.write_stack(&gradient, kept.iter().map(|entry| &entry.gradient[..]))?;
    write_histories(&mut file, run)?;
    file.publish()
}

fn write_histories(file: &mut PublicFile, run: &RunRecord) -> Result<(), StorageError> {
    let axes = ["iteration"];
    let mut series = |name, units, long_name, values: Vec<f64>| {
        file.write(&Label { name, axes: &axes, units, long_name }, &values, Precision::F64)
    };
    let all = |of: fn(&RunEntry) -> f64| run.entries.iter().map(of).collect::<Vec<_>>();
    series("misfit", "Pa2 s", "misfit", all(|e| e.misfit))?;
    series("gradient_norm", "1", "norm of the projected, preconditioned gradient", all(|e| e.gradient_norm))?;
    series("step_percent", "percent", "largest relative change of a cell", all(|e| e.step_percent))?;
    series("wall_s", "s", "seconds of computing so far", all(|e| e.wall_s))?;
    if let Some(errors) = run.entries.iter().map(|e| e.model_error).collect::<Option<Vec<f64>>>() {
        series("model_error", "1", "relative L2 difference to the true model", errors)?;
    }
    let whole = |name, long_name| Label { name, axes: &axes, units: "1", long_name };
    let evaluations: Vec<i64> = run.entries.iter().map(|e| e.evaluations as i64).collect();
    file.write_integers(&whole("evaluations", "gradients computed for this iteration"), &evaluations)?;
    let stages: Vec<i64> = run.entries.iter().map(|e| e.stage as i64).collect();
    file.write_integers(&whole("stage", "stage, counted from 0"), &stages)?;
    let per_shot: Vec<f64> = run.entries.iter().flat_map(|e| e.misfit_per_shot.iter().copied()).collect();
    let label = Label {
        name: "misfit_per_shot",
        axes: &["iteration", "shot_index"],
        units: "Pa2 s",
        long_name: "misfit of each shot; not a number where it was not used",
    };
    file.write(&label, &per_shot, Precision::F64)
}

/// Whether a file is of this very iteration: its misfit and its gradient's norm tell runs apart to the last bit.
fn holds(file: &Path, entry: &RunEntry) -> bool {
    let _watch = CrashWatch::over(file);
    let number = |name| {
        let reader = Reader::open(file).ok()?;
        let found = reader.numbers_attribute(reader.root(), name).ok()??;
        found.first().map(|v| v.to_bits())
    };
    number("misfit") == Some(entry.misfit.to_bits()) && number("gradient_norm") == Some(entry.gradient_norm.to_bits())
}

fn publish_iteration(path: &Path, run: &RunRecord, entry: &RunEntry, head: &Head) -> Result<(), StorageError> {
    let mut file = PublicFile::create(path, "iteration", head)?;
    file.number_attribute("misfit", entry.misfit)?;
    file.number_attribute("gradient_norm", entry.gradient_norm)?;
    let axes = file.grid_axes(&run.grid)?;
    let axes: Vec<&str> = axes.iter().map(String::as_str).collect();
    let vp = Label { name: "vp", axes: &axes, units: "m/s", long_name: "P-wave velocity" };
    file.write(&vp, &entry.vp, Precision::F64)?;
    let long_name = "derivative of the misfit with respect to the velocity";
    let gradient = Label { name: "gradient", axes: &axes, units: "Pa2 s2/m", long_name };
    file.write(&gradient, &entry.gradient, Precision::F64)?;
    file.publish()
}

/// Reads a run with all its iterations.
///
/// # Errors
/// Those of opening a file; [`StorageError::Content`] where its datasets do not fit together.
pub fn read_run(path: &Path) -> Result<RunRecord, StorageError> {
    let _watch = CrashWatch::over(path);
    let reader = Reader::open(path)?;
    reader.check_format("run")?;
    let text = |name: &str| Ok::<_, StorageError>(reader.text(reader.root(), name)?.unwrap_or_default());
    let start = read_model(path, "vp_start")?;
    let grid = start.grid().clone();
    let vp_true = if reader.has("vp_true") { Some(read_field(path, "vp_true")?.values) } else { None };
    let series = |name: &str| Ok::<_, StorageError>(reader.read(name)?.1);
    let misfit = series("misfit")?;
    let count = misfit.len();
    let cells = grid.len();
    let (per_shot, evaluations, stages) =
        (series("misfit_per_shot")?, reader.integers("evaluations")?, reader.integers("stage")?);
    let shots = per_shot.len() / count.max(1);
    let errors = if reader.has("model_error") { Some(series("model_error")?) } else { None };
    let (norms, steps, walls) = (series("gradient_norm")?, series("step_percent")?, series("wall_s")?);
    let split = reader.has("last_iteration");
    let (vp, gradient) = if split { (Vec::new(), Vec::new()) } else { (series("vp")?, series("gradient")?) };
    let errors_len = errors.as_ref().map_or(count, Vec::len);
    let lengths = [norms.len(), steps.len(), walls.len(), evaluations.len(), stages.len(), errors_len];
    if lengths.iter().any(|&n| n != count) || (!split && (vp.len() != count * cells || gradient.len() != count * cells))
    {
        return Err(StorageError::content(path, "the histories of the run have different lengths"));
    }
    let mut entries = Vec::with_capacity(count);
    for i in 0..count {
        let (vp, gradient) = if split {
            let file = iteration_file(path, i);
            (read_field(&file, "vp")?.values, read_field(&file, "gradient")?.values)
        } else {
            (vp[i * cells..][..cells].to_vec(), gradient[i * cells..][..cells].to_vec())
        };
        entries.push(RunEntry {
            vp,
            gradient,
            misfit: misfit[i],
            gradient_norm: norms[i],
            step_percent: steps[i],
            evaluations: evaluations[i] as u64,
            stage: stages[i] as u64,
            wall_s: walls[i],
            misfit_per_shot: per_shot[i * shots..][..shots].to_vec(),
            model_error: errors.as_ref().map(|errors| errors[i]),
        });
    }
    Ok(RunRecord {
        grid,
        vp_start: start.vp_m_per_s().to_vec(),
        vp_true,
        entries,
        config: text("config")?,
        provenance: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
