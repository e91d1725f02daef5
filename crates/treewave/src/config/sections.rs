//! The validated values that the rest of Treewave works with.

use super::keys::{OptimizerKind, Parameter, Positions, Receivers};
use super::values::Shots;
use std::path::PathBuf;
use treewave_reversal::planner::{Choice, MemoryLimit, StepCosts};

/// Name and place of the results.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Name for titles and temporary files.
    pub name: String,
    /// Directory of the results, absolute.
    pub output: PathBuf,
}

/// A model and what is done to it, in this order: smoothing, then water.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSource {
    /// Where it comes from.
    pub origin: ModelOrigin,
    /// Standard deviation in m of the Gaussian that smooths the slowness; 0: none.
    pub smooth_m: f64,
    /// Whether the water layer is kept from smoothing; `treewave_core::builtin::water_cells` finds it.
    pub keep_water: bool,
    /// Cells with depth below the top of the model less than this, in m, are set to water; 0: none.
    pub water_to_m: f64,
    /// Velocity of that water in m/s.
    pub water_m_per_s: f64,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelOrigin {
    /// A dataset of an HDF5 file.
    File {
        /// The file, absolute.
        path: PathBuf,
        /// The dataset of the P-wave velocity.
        vp: String,
    },
    /// A model made by formula.
    Builtin {
        /// One of [`super::BUILTIN_MODELS`] but `constant`.
        name: String,
        /// Points `[nx, nz]` or `[nx, ny, nz]`; `None`: its own.
        shape: Option<Vec<usize>>,
        /// Spacing in m along all axes; `None`: its own.
        spacing_m: Option<f64>,
    },
    /// The same velocity everywhere.
    Constant {
        /// Velocity in m/s.
        vp_m_per_s: f64,
        /// Grid; `None`: that of the other model of the configuration.
        grid: Option<ConstantGrid>,
    },
    /// An inverted model.
    Run {
        /// The run file, absolute.
        path: PathBuf,
        /// Iteration, 0 is the start model; `None`: the last.
        iteration: Option<usize>,
    },
}

/// The grid of a constant model; its origin is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstantGrid {
    /// Points `[nx, nz]` or `[nx, ny, nz]`.
    pub shape: Vec<usize>,
    /// Spacing in m along all axes.
    pub spacing_m: f64,
}

/// Duration and sampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Time {
    /// Sampling interval of the traces in s.
    pub record_s: f64,
    /// Samples per trace, the one at time 0 included.
    pub samples: usize,
    /// Time step.
    pub step: TimeStep,
}

impl Time {
    /// Time of the last sample in s.
    pub fn duration_s(&self) -> f64 {
        (self.samples - 1) as f64 * self.record_s
    }
}

/// How the time step is chosen; it is a whole fraction of the sampling interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TimeStep {
    /// The longest that is at most this fraction of the stability limit.
    Courant(f64),
    /// This many steps per sample.
    StepsPerSample(usize),
}

/// Sources and receivers.
#[derive(Clone, Debug, PartialEq)]
pub enum SurveySource {
    /// The geometry of a gather file, absolute.
    File(PathBuf),
    /// Lines of positions; see [`super::geometry::build`].
    Lines(Box<SurveyLines>),
}

/// Lines of positions.
#[derive(Clone, Debug, PartialEq)]
pub struct SurveyLines {
    /// One shot each.
    pub sources: Positions,
    /// The receivers of every shot.
    pub receivers: Receivers,
}

/// Source time function.
#[derive(Clone, Debug, PartialEq)]
pub enum WaveletSource {
    /// A Ricker wavelet.
    Ricker {
        /// Peak frequency in Hz.
        peak_frequency_hz: f64,
        /// Time of the peak in s.
        delay_s: f64,
        /// Factor in N/m (2-D) or N (3-D).
        amplitude: f64,
    },
    /// Samples from a file.
    File {
        /// The file, absolute: `.npy`, `.h5` or text.
        path: PathBuf,
        /// Dataset of an HDF5 file.
        dataset: String,
        /// Sampling interval in s.
        dt_s: f64,
        /// Factor of the samples.
        amplitude: f64,
    },
}

/// Observed data.
#[derive(Clone, Debug, PartialEq)]
pub enum DataSource {
    /// A gather file, absolute.
    Observed(PathBuf),
    /// Simulated from the true model.
    Synthetic(Synthetic),
}

/// How observed data are simulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Synthetic {
    /// Order of the space differences.
    pub space_order: usize,
    /// Time step.
    pub step: TimeStep,
    /// Root mean square of added white noise as a fraction of that of the data; 0: none.
    pub noise: f64,
    /// Seed of the noise.
    pub seed: u64,
}

/// How the wavefield history is visited backwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Reversal {
    /// Strategy.
    pub strategy: Choice,
    /// Memory per rank: bytes for snapshots and records, or a number of snapshots.
    pub memory: MemoryLimit,
    /// Disk space per rank in bytes for snapshots; 0 never spills.
    pub disk_bytes: u64,
    /// Directory of the spill file, absolute.
    pub scratch: PathBuf,
    /// Steps between neighbouring states that can be stored; `None`: chosen by the planner.
    pub segment_steps: Option<usize>,
    /// Blocks of bennett; `None`: chosen by the planner.
    pub blocks: Option<usize>,
    /// Costs to plan with; `None`: measured.
    pub costs: Option<StepCosts>,
}

/// What is inverted for, and how, in all stages.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    /// Kind of optimiser.
    pub kind: OptimizerKind,
    /// Parameter that the optimiser works on.
    pub parameter: Parameter,
    /// Number of past steps that shape the next one.
    pub memory: usize,
    /// Bounds of vp in m/s; see [`super::Config::vp_bounds_m_per_s`].
    pub vp_bounds_m_per_s: Option<[f64; 2]>,
    /// Fraction of the stage's first projected gradient norm that ends the stage; 0: never.
    pub gradient_tolerance: f64,
    /// Relative decrease of the misfit in an iteration below which the stage ends; 0: never.
    pub decrease_tolerance: f64,
}

/// Treatment of the gradient in all stages; each stage has its own smoothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Precondition {
    /// Cells with depth below the top of the model less than this, in m, are not updated.
    pub water_bottom_m: f64,
    /// File (absolute) and dataset: 0 where the model is not updated.
    pub mask: Option<(PathBuf, String)>,
    /// Least illumination as a fraction of the largest; `None`: the update is not divided by it.
    pub illumination_floor: Option<f64>,
}

/// One stage of the inversion.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Corner in Hz of the low-pass of wavelet and data; `None`: the full band.
    pub lowpass_hz: Option<f64>,
    /// Iterations.
    pub iterations: usize,
    /// Most gradients, those of the line searches included; `None`: no limit.
    pub max_evaluations: Option<usize>,
    /// Largest relative change of the model in the first trial, in percent.
    pub max_step_percent: f64,
    /// Standard deviation in m of the Gaussian that smooths the update; 0: none.
    pub smooth_m: f64,
    /// Shots used; [`Shots::pick`] gives their numbers.
    pub shots: Shots,
}

impl Stage {
    /// Most gradients that are usual for its iterations, the first one included.
    pub fn evaluations(&self) -> usize {
        self.max_evaluations.unwrap_or(usize::MAX).min(self.iterations + 1)
    }
}
