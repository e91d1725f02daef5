//! The configuration as it is typed: one struct per table of the file, with the default of every key.
//!
//! The comments here become the descriptions of the JSON schema, and the ranges are checked by walking that schema, so
//! that a key is described in one place.

mod experiment;
mod inversion;

pub use experiment::{
    Boundary, Data, Equation, Model, ModelSource, Physics, Positions, Precision, Receivers, Run, Side, Survey,
    Synthetic, SyntheticOptions, Time, Top, Wavelet, WaveletKind,
};
pub use inversion::{
    Bounds, Costs, Inversion, Mask, Misfit, MisfitKind, Optimizer, OptimizerKind, Output, Parallel, Parameter,
    Precondition, Records, Reversal, Stage, Strategy,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of Treewave: SI units, paths relative to the folder of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// Version of the configuration format; 1.
    #[schemars(range(min = 1, max = 1))]
    pub schema: u32,
    /// Name and place of the results.
    #[serde(default)]
    pub run: Run,
    /// Models of the earth.
    pub model: Model,
    /// The wave equation and its discretisation.
    #[serde(default)]
    pub physics: Physics,
    /// Edges of the model.
    #[serde(default)]
    pub boundary: Boundary,
    /// Duration and sampling.
    pub time: Time,
    /// Sources and receivers.
    pub survey: Survey,
    /// Source time function.
    pub wavelet: Wavelet,
    /// Observed data.
    #[serde(default)]
    pub data: Data,
    /// How predicted and observed data are compared.
    #[serde(default)]
    pub misfit: Misfit,
    /// How the wavefield history is visited backwards; never changes a result.
    #[serde(default)]
    pub reversal: Reversal,
    /// What is inverted for, from which shots.
    #[serde(default)]
    pub inversion: Inversion,
    /// Optimiser.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// Treatment of the gradient.
    #[serde(default)]
    pub precondition: Precondition,
    /// Stages of the inversion, one after the other; none means one stage with the full band.
    #[serde(default)]
    pub stage: Vec<Stage>,
    /// Threads.
    #[serde(default)]
    pub parallel: Parallel,
    /// What is written beside the run file.
    #[serde(default)]
    pub output: Output,
}
