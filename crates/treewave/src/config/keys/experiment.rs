//! The tables that define the experiment: model, physics, time, survey, wavelet, data.

use crate::config::values::{Auto, AutoOr, Line};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name and place of the results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Name used in titles and temporary files; letters, digits, `-`, `_` and `.`; default: the name of the file without its ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Directory of the results; default: `runs/` and the name, beside the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// Models of the earth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Model that the inversion starts from, and that `simulate` uses unless data are synthetic.
    pub start: ModelSource,
    /// True model, of synthetic studies only.
    #[serde(rename = "true", default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<ModelSource>,
}

/// Where a model comes from, one of `file`, `builtin` and `run`, and what is done to it: first `smooth_m`, then `water_to_m`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSource {
    /// HDF5 file with the model, z fastest, with axes or the attributes spacing_m and origin_m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Dataset of the P-wave velocity in `file`; default: vp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vp: Option<String>,
    /// Model made by formula: foldbelt, layers, lens, circle, three-layers or constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<String>,
    /// Points of a built-in model, [nx, nz] or [nx, ny, nz]; default: its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 3), inner(range(min = 1, max = 1_000_000)))]
    pub shape: Option<Vec<usize>>,
    /// Spacing in m of a built-in model, the same along all axes; default: its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub spacing_m: Option<f64>,
    /// Velocity in m/s of the built-in model constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100.0, max = 15000.0))]
    pub vp_m_per_s: Option<f64>,
    /// Run file (run.h5) to take an inverted model from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Iteration of `run`, 0 is its start model; default: the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iteration: Option<usize>,
    /// Standard deviation in m of a Gaussian that smooths the slowness; 0 leaves the model as it is.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1e6))]
    pub smooth_m: f64,
    /// Whether the water layer on top of the model is kept from smoothing, neither changed nor mixed into what lies below.
    #[serde(default)]
    pub keep_water: bool,
    /// Cells less than this far in m below the top of the model are set to water.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1e6))]
    pub water_to_m: f64,
    /// Velocity of that water in m/s; default: 1500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1000.0, max = 2000.0))]
    pub water_m_per_s: Option<f64>,
}

/// The wave equation and its discretisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Physics {
    /// Wave equation.
    pub equation: Equation,
    /// Order of the space differences, even.
    #[schemars(range(min = 2, max = 16), extend("multipleOf" = 2))]
    pub space_order: usize,
    /// Numbers the wavefields are kept in.
    pub precision: Precision,
}

impl Default for Physics {
    fn default() -> Self {
        Physics { equation: Equation::Acoustic, space_order: 8, precision: Precision::F32 }
    }
}

/// Wave equation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Equation {
    /// Acoustic waves at constant density.
    Acoustic,
    /// The two-dimensional scalar equation with the absorbing layer of Grote and Sim (2010), of order 2.
    SeedPml,
}

/// Numbers the wavefields are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Single precision.
    F32,
    /// Double precision.
    F64,
}

/// Edges of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Boundary {
    /// Cells of the absorbing layer outside each absorbing edge (of seed-pml inside the model); 0 leaves the edges reflecting.
    #[schemars(range(min = 0, max = 200))]
    pub width_cells: usize,
    /// Top edge.
    pub top: Top,
    /// Edges of seed-pml that have a layer, the others reflect; default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sides: Option<Vec<Side>>,
    /// Reflection coefficient that the layer of seed-pml is made for; default: 0.001.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 0.99))]
    pub reflection: Option<f64>,
    /// Velocity in m/s that the layer of seed-pml is made for; default: 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1.0, max = 1e6))]
    pub reference_vp_m_per_s: Option<f64>,
}

impl Default for Boundary {
    fn default() -> Self {
        Boundary { width_cells: 20, top: Top::Absorbing, sides: None, reflection: None, reference_vp_m_per_s: None }
    }
}

/// An edge of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The first x.
    XMin,
    /// The last x.
    XMax,
    /// The top.
    ZMin,
    /// The bottom.
    ZMax,
}

/// Top edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Top {
    /// Waves leave the model as at the other edges.
    Absorbing,
    /// The pressure is 0: the sea surface.
    FreeSurface,
}

/// Duration and sampling.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// Length of the traces in s, a whole multiple of record_s.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1e5))]
    pub duration_s: f64,
    /// Time step in s, a whole fraction of record_s; auto: the longest that courant allows.
    #[serde(default = "auto")]
    pub dt_s: AutoOr<f64>,
    /// Largest time step as a fraction of the stability limit.
    #[serde(default = "one")]
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1.0))]
    pub courant: f64,
    /// Sampling interval of the traces in s.
    #[serde(default = "four_milliseconds")]
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1e3))]
    pub record_s: f64,
}

fn auto() -> AutoOr<f64> {
    AutoOr::Auto(Auto::Auto)
}
fn one() -> f64 {
    1.0
}
fn four_milliseconds() -> f64 {
    0.004
}

/// Sources and receivers: a gather file, or lines of positions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Survey {
    /// Gather file that gives the geometry, and the observed data unless `[data]` says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Positions of the sources, one shot each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Positions>,
    /// Positions of the receivers, the same for all shots or relative to the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receivers: Option<Receivers>,
}

/// Positions in m: without `y_m` coordinates go together one by one; with it `x_m` and `y_m` span a grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Positions {
    /// Distance along x: a number, a list, { start, stop, count } or { start, stop, step }.
    pub x_m: Line,
    /// Distance along y, of three-dimensional models only; each x is combined with each y.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y_m: Option<Line>,
    /// Depth, positive down.
    pub z_m: Line,
}

/// Positions of receivers in m, see `Positions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receivers {
    /// Distance along x: a number, a list, { start, stop, count } or { start, stop, step }.
    pub x_m: Line,
    /// Distance along y, of three-dimensional models only; each x is combined with each y.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y_m: Option<Line>,
    /// Depth, positive down; never relative to the source.
    pub z_m: Line,
    /// Whether x_m and y_m are offsets from the source; receivers outside the model are then left out.
    #[serde(default)]
    pub relative: bool,
}

/// Source time function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wavelet {
    /// Kind of wavelet.
    #[serde(default = "ricker")]
    pub kind: WaveletKind,
    /// Peak frequency in Hz of a Ricker wavelet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1e6))]
    pub peak_frequency_hz: Option<f64>,
    /// Time in s of the peak of a Ricker wavelet; default: 1.5 / peak_frequency_hz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1e5))]
    pub delay_s: Option<f64>,
    /// Width a of the wavelet ricker-samples, in samples of record_s: it crosses zero a samples beside its peak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1e9))]
    pub width_samples: Option<f64>,
    /// Number of the sample, counted from 1, at which the wavelet ricker-samples peaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1.0, max = 1e9))]
    pub shift_samples: Option<f64>,
    /// Factor of the wavelet, in N/m (2-D) or N (3-D), of seed-pml in Pa/s².
    #[serde(default = "one")]
    pub amplitude: f64,
    /// File with the samples, from time 0: .npy, .h5 or text with one number a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Dataset of an HDF5 file; default: wavelet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// Sampling interval in s of the samples in `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub dt_s: Option<f64>,
}

fn ricker() -> WaveletKind {
    WaveletKind::Ricker
}

/// Kind of wavelet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WaveletKind {
    /// The second derivative of a Gaussian, with sign changed.
    Ricker,
    /// The same with width and shift in samples, of unit energy for continuous time in samples: amplitude is a factor.
    RickerSamples,
    /// Samples from a file.
    File,
}

/// Observed data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Gather file with the observed data; default: `survey.file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// Data simulated from `model.true`: true, or a table of how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synthetic: Option<Synthetic>,
}

/// Whether, or how, observed data are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Synthetic {
    /// Simulated with the defaults, or not.
    Switch(bool),
    /// Simulated in this way.
    Options(SyntheticOptions),
}

/// How observed data are simulated: by default with another order and time step than the inversion's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticOptions {
    /// Order of the space differences; default: that of the inversion plus 4, or minus 4 above 12.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 16), extend("multipleOf" = 2))]
    pub space_order: Option<usize>,
    /// Time step in s, a whole fraction of time.record_s; default: the longest that courant allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dt_s: Option<AutoOr<f64>>,
    /// Largest time step as a fraction of the stability limit; default: 0.6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1.0))]
    pub courant: Option<f64>,
    /// Root mean square of added white noise in percent of that of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1e4))]
    pub noise_percent: Option<f64>,
    /// The same as a ratio of signal to noise in dB: 20 dB are 10 percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -40.0, max = 200.0))]
    pub snr_db: Option<f64>,
    /// Seed of the noise; default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = i64::MAX))]
    pub seed: Option<u64>,
}
