//! A study: the models, the survey and the bounds that a configuration names, loaded and checked against each other.

use std::path::Path;

use treewave_cluster::Failure;
use treewave_core::builtin::{self, water_cells};
use treewave_core::smooth::smooth_model;
use treewave_core::{Grid, Model, Position, Survey};
use treewave_storage::{GatherFile, StorageError, read_field, read_model, read_run};

use crate::config::sections::{ModelOrigin, ModelSource, SurveySource};
use crate::config::{Config, ConfigError, geometry, keys};
use crate::memory::check_fits;

/// Exit code of a usage or configuration that cannot be.
pub const CONFIGURATION: i32 = 2;
/// Exit code of unusable data.
pub const DATA: i32 = 3;
/// Exit code of a numerical failure.
pub const NUMERICAL: i32 = 4;
/// Exit code of an unfit environment: disk, lock, memory.
pub const ENVIRONMENT: i32 = 5;
/// Exit code of a stop on request.
pub const STOPPED: i32 = 75;
/// Exit code of a bug.
pub const BUG: i32 = 101;

/// Bytes per cell that any use of a model takes at least: a few vectors of the model's size.
const MODEL_BYTES: u64 = 4 * 8;
/// Bytes per sample of a shot that any use of its traces takes at least: recorded and gathered ones.
const TRACE_BYTES: u64 = 4 + 8;

/// A failure of the configuration.
pub fn misconfigured(error: impl std::fmt::Display) -> Failure {
    Failure::new(CONFIGURATION, error.to_string())
}

/// A failure of data that were read.
pub fn bad_data(error: impl std::fmt::Display) -> Failure {
    Failure::new(DATA, error.to_string())
}

/// A failure to write.
pub fn unwritable(error: impl std::fmt::Display) -> Failure {
    Failure::new(ENVIRONMENT, error.to_string())
}

impl From<ConfigError> for StudyError {
    fn from(error: ConfigError) -> Self {
        StudyError(misconfigured(error))
    }
}

/// A failure while a study is loaded.
#[derive(Debug)]
pub struct StudyError(pub Failure);

impl From<StudyError> for Failure {
    fn from(error: StudyError) -> Self {
        error.0
    }
}

/// What a configuration stands for.
#[derive(Clone, Debug)]
pub struct Study {
    /// The configuration.
    pub config: Config,
    /// The model to start from.
    pub start: Model,
    /// The true model of a synthetic study.
    pub truth: Option<Model>,
    /// The survey; all its shots.
    pub survey: Survey,
    /// Lowest and highest velocity of the inversion in m/s; the highest fixes the time step.
    pub bounds_m_per_s: [f64; 2],
    /// Cells that the inversion leaves alone.
    pub frozen: Vec<bool>,
    /// What deserves a word.
    pub notes: Vec<String>,
}

impl Study {
    /// Reads and makes everything, and checks that it fits together.
    ///
    /// # Errors
    /// Code 2 for a configuration that cannot be, code 3 for data that cannot be used.
    pub fn load(config: Config) -> Result<Study, Failure> {
        let mut notes = config.notes.clone();
        let other = |source: &ModelSource| needs_no_grid(source).then(|| grid_of(source)).transpose();
        let truth_grid = config.truth.as_ref().map(&other).transpose()?.flatten();
        let start_grid = other(&config.start)?;
        let start = load_model("model.start", &config.start, truth_grid.as_ref())?;
        let truth = match &config.truth {
            Some(source) => Some(load_model("model.true", source, start_grid.as_ref())?),
            None => None,
        };
        if let Some(truth) = truth.as_ref().filter(|truth| truth.grid() != start.grid()) {
            return Err(bad_data(format!(
                "model.true has the grid {}, model.start has {}; both must have the same points",
                describe(truth.grid()),
                describe(start.grid())
            )));
        }
        let survey = load_survey(&config, start.grid(), &mut notes)?;
        let free_surface = config.boundary.top == keys::Top::FreeSurface;
        survey.check(start.grid(), free_surface).map_err(misconfigured)?;
        let frozen = frozen_cells(&config, start.grid())?;
        let bounds_m_per_s = config.vp_bounds_m_per_s(start.range_m_per_s());
        let study = Study { config, start, truth, survey, bounds_m_per_s, frozen, notes };
        study.check_bounds()?;
        Ok(study)
    }

    /// The grid of the models.
    pub fn grid(&self) -> &Grid {
        self.start.grid()
    }

    /// The true model, which a synthetic study needs.
    pub fn truth(&self) -> Result<&Model, Failure> {
        self.truth.as_ref().ok_or_else(|| misconfigured("this needs [model] true = …, which is missing"))
    }

    /// Cells along z from the top of the model that the inversion leaves alone at every position.
    pub fn frozen_top(&self) -> usize {
        let grid = self.grid();
        let changes = self.frozen.iter().enumerate().filter(|(_, frozen)| !**frozen);
        changes.map(|(i, _)| grid.cell(i)[2]).min().unwrap_or(0)
    }

    fn check_bounds(&self) -> Result<(), Failure> {
        let [low, high] = self.bounds_m_per_s;
        let outside =
            |(i, v): (usize, &f64)| (!self.frozen[i] && !(low..=high).contains(v) || *v > high).then_some((i, *v));
        if let Some((i, v)) = self.start.vp_m_per_s().iter().enumerate().find_map(outside) {
            let [ix, iy, iz] = self.grid().cell(i);
            return Err(misconfigured(format!(
                "the start model has {v} m/s at cell (ix {ix}, iy {iy}, iz {iz}), outside optimizer.bounds.vp_m_per_s = \
                 [{low}, {high}]; widen the bounds or change the model"
            )));
        }
        Ok(())
    }
}

fn describe(grid: &Grid) -> String {
    let numbers = |of: [f64; 3]| grid.axes().iter().map(|&a| of[a].to_string()).collect::<Vec<_>>().join(" × ");
    let shape = grid.dataset_shape().iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
    format!("{shape} points, {} m apart, from {} m", numbers(grid.spacing_m()), numbers(grid.origin_m()))
}

/// Whether the model brings its own grid.
fn needs_no_grid(source: &ModelSource) -> bool {
    !matches!(source.origin, ModelOrigin::Constant { grid: None, .. })
}

/// The grid of a model that brings its own.
fn grid_of(source: &ModelSource) -> Result<Grid, Failure> {
    Ok(origin_model("model", &source.origin, None)?.grid().clone())
}

fn load_model(key: &str, source: &ModelSource, other: Option<&Grid>) -> Result<Model, Failure> {
    let mut model = origin_model(key, &source.origin, other)?;
    if source.smooth_m > 0.0 {
        let water = source.keep_water.then(|| water_cells(&model));
        model = smooth_model(&model, source.smooth_m, water.as_deref()).map_err(misconfigured)?;
    }
    if source.water_to_m > 0.0 {
        let grid = model.grid().clone();
        let shallow = shallower_than(&grid, source.water_to_m);
        let vp = model.vp_m_per_s().iter().zip(shallow);
        let vp = vp.map(|(&v, shallow)| if shallow { source.water_m_per_s } else { v }).collect();
        model = Model::new(grid, vp).map_err(bad_data)?;
    }
    Ok(model)
}

/// Cells with a depth below the top of the model of less than so many metres.
fn shallower_than(grid: &Grid, depth_m: f64) -> Vec<bool> {
    let rows = (depth_m / grid.spacing_m()[2] - 1e-9).ceil().max(0.0) as usize;
    (0..grid.len()).map(|i| grid.cell(i)[2] < rows).collect()
}

fn origin_model(key: &str, origin: &ModelOrigin, other: Option<&Grid>) -> Result<Model, Failure> {
    let uniform = |shape: &[usize], spacing_m: f64| {
        let cells = shape.iter().try_fold(MODEL_BYTES, |bytes, &n| bytes.checked_mul(n as u64));
        check_fits(&format!("{key}: a study of shape {shape:?}"), cells, "use a smaller shape")?;
        Grid::new(shape, &vec![spacing_m; shape.len()], &vec![0.0; shape.len()]).map_err(misconfigured)
    };
    match origin {
        ModelOrigin::File { path, vp } => read_model(path, vp).map_err(bad_data),
        ModelOrigin::Builtin { name, shape, spacing_m } => {
            let dims = shape.as_ref().map_or(2, Vec::len);
            let natural = builtin::default_grid(name, dims).map_err(misconfigured)?;
            let shape = shape.clone().unwrap_or_else(|| natural.dataset_shape());
            let grid = uniform(&shape, spacing_m.unwrap_or(natural.spacing_m()[2]))?;
            builtin::builtin(name, &grid).map_err(misconfigured)
        }
        ModelOrigin::Constant { vp_m_per_s, grid } => {
            let grid = match (grid, other) {
                (Some(grid), _) => uniform(&grid.shape, grid.spacing_m)?,
                (None, Some(other)) => other.clone(),
                (None, None) => {
                    return Err(misconfigured(format!("{key}: a constant model needs shape and spacing_m")));
                }
            };
            let vp = vec![*vp_m_per_s; grid.len()];
            Model::new(grid, vp).map_err(misconfigured)
        }
        ModelOrigin::Run { path, iteration } => inverted_model(path, *iteration).map_err(bad_data),
    }
}

/// A model of a run file.
fn inverted_model(path: &Path, iteration: Option<usize>) -> Result<Model, StorageError> {
    read_run(path)?.model(iteration)
}

fn load_survey(config: &Config, grid: &Grid, notes: &mut Vec<String>) -> Result<Survey, Failure> {
    let mut survey = match &config.survey {
        SurveySource::File(path) => GatherFile::open(path).map_err(bad_data)?.survey().clone(),
        SurveySource::Lines(lines) => {
            let traces = lines.traces().map_err(misconfigured)?;
            let bytes = (traces as u64).checked_mul(size_of::<Position>() as u64);
            check_fits(&format!("survey: {traces} traces"), bytes, "use fewer sources or receivers")?;
            let built = geometry::build(lines, grid, &config.time).map_err(misconfigured)?;
            notes.extend(built.notes);
            built.survey
        }
    };
    (survey.samples, survey.record_s) = (config.time.samples, config.time.record_s);
    let largest = survey.shots.iter().map(|shot| shot.receivers_m.len()).max().unwrap_or(0);
    let bytes =
        (largest as u64).checked_mul(survey.samples as u64).and_then(|samples| samples.checked_mul(TRACE_BYTES));
    let what = format!("survey: a shot of {largest} traces with {} samples", survey.samples);
    check_fits(&what, bytes, "use fewer receivers, a shorter time.duration_s or a longer time.record_s")?;
    Ok(survey)
}

fn frozen_cells(config: &Config, grid: &Grid) -> Result<Vec<bool>, Failure> {
    let mut frozen = shallower_than(grid, config.precondition.water_bottom_m);
    if let Some((path, dataset)) = &config.precondition.mask {
        let mask = read_field(path, dataset).map_err(bad_data)?;
        if mask.values.len() != grid.len() || mask.grid.shape() != grid.shape() {
            let (found, expected) = (mask.grid.dataset_shape(), grid.dataset_shape());
            return Err(bad_data(format!(
                "{}: the mask {dataset:?} has shape {found:?}, the model has {expected:?}",
                path.display()
            )));
        }
        frozen.iter_mut().zip(&mask.values).for_each(|(frozen, &mask)| *frozen |= mask == 0.0);
    }
    if frozen.iter().all(|&frozen| frozen) {
        return Err(misconfigured(
            "[precondition] leaves no cell to be updated; lower water_bottom_m or change the mask",
        ));
    }
    Ok(frozen)
}
