//! The tables that say how the experiment is inverted: misfit, reversal, optimiser, stages, threads, output.

use crate::config::values::{Auto, AutoOr, Bytes, Shots};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use treewave_reversal::planner::Choice;

/// How predicted and observed data are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Misfit {
    /// Kind of misfit.
    pub kind: MisfitKind,
}

/// Kind of misfit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MisfitKind {
    /// Half the squared differences, summed over traces and integrated over time.
    #[default]
    L2,
}

/// How the wavefield history is visited backwards; never changes a result, but that inversion has an arithmetic of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reversal {
    /// Strategy.
    pub strategy: Strategy,
    /// Memory per rank for snapshots and records.
    pub memory: Bytes,
    /// Disk space per rank for snapshots; 0 never spills.
    pub disk: Bytes,
    /// Directory of the spill file; $NAME is replaced by the environment variable ($TMPDIR: or the system's directory).
    pub scratch: String,
    /// Number of snapshots in memory, the initial state included, instead of `memory`; of treeverse, revolve, two-level and bennett.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub snapshots: Option<usize>,
    /// Steps between neighbouring states that can be stored; default: 1 with `snapshots`, for treeverse and for bennett, else what costs least.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub segment_steps: Option<usize>,
    /// Blocks that bennett cuts a span into; default: the number with the fewest evaluations that fits the memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 1_000_000))]
    pub blocks: Option<usize>,
    /// Costs to plan with; default: measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub costs: Option<Costs>,
}

impl Strategy {
    /// The same choice as the planner knows it.
    pub fn choice(self) -> Choice {
        match self {
            Strategy::Auto => Choice::Auto,
            Strategy::StoreAll => Choice::StoreAll,
            Strategy::Treeverse => Choice::Treeverse,
            Strategy::Revolve => Choice::Revolve,
            Strategy::TwoLevel => Choice::TwoLevel,
            Strategy::Bennett => Choice::Bennett,
            Strategy::Inversion => Choice::Inversion,
        }
    }
}

impl Default for Reversal {
    fn default() -> Self {
        Reversal {
            strategy: Strategy::Auto,
            memory: Bytes::Text("4 GiB".into()),
            disk: Bytes::Count(0),
            scratch: "$TMPDIR".into(),
            snapshots: None,
            segment_steps: None,
            blocks: None,
            costs: None,
        }
    }
}

/// Strategy of the reversal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The cheapest for the memory, the disk and the measured costs.
    Auto,
    /// Every step is recorded.
    StoreAll,
    /// Treeverse (Griewank 1992).
    Treeverse,
    /// Revolve (Griewank and Walther 2000), the optimum in memory alone.
    Revolve,
    /// Snapshots in memory and on disk (Herrmann and Pallez 2020).
    TwoLevel,
    /// States are un-computed, never erased (Bennett 1989): more steps than any other, to compare with.
    Bennett,
    /// No snapshots: the field is computed in fixed-point arithmetic, whose steps can be undone. Other last digits than by the others.
    Inversion,
}

/// Costs that a reversal is planned with, in one unit of the user's choice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// One time step forward.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub advance: f64,
    /// One time step forward, recorded for the adjoint; default: advance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub record: Option<f64>,
    /// One time step of the adjoint.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub pull_back: f64,
    /// Writing one snapshot to disk.
    #[schemars(range(min = 0.0))]
    pub write: f64,
    /// Reading one snapshot from disk.
    #[schemars(range(min = 0.0))]
    pub read: f64,
}

/// What is inverted for, from which shots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Inversion {
    /// Parameter that the optimiser works on.
    pub parameter: Parameter,
    /// Shots used: all, a list of numbers from 0, or "first:end:step" such as "0:24:2".
    pub shots: Shots,
    /// How the record of a step, which the gradient is summed from, is kept.
    pub records: Records,
}

/// How records are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Records {
    /// As they are computed.
    #[default]
    Full,
    /// In 16 bits per cell: more steps in the same memory, values rounded to 11 significant bits.
    Half,
}

/// Parameter that the optimiser works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Parameter {
    /// Velocity.
    #[default]
    Vp,
    /// Squared slowness.
    Slowness2,
    /// Logarithm of the velocity.
    LogVp,
}

/// Optimiser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Optimizer {
    /// Kind of optimiser.
    pub kind: OptimizerKind,
    /// Number of past steps that shape the next one.
    #[schemars(range(min = 1, max = 1000))]
    pub memory: usize,
    /// Iterations per stage.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub iterations: usize,
    /// Most gradients per stage, those of the line searches included; default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_evaluations: Option<usize>,
    /// Largest relative change of the model in the first trial, in percent.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 100.0))]
    pub max_step_percent: f64,
    /// Bounds of the model; default: 0.75 times the lowest and 1.25 times the highest velocity of the start model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// Ends a stage when the norm of the projected gradient has fallen to this fraction of the stage's first.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1))]
    pub gradient_tolerance: f64,
    /// Ends a stage when an iteration lowers the misfit by less than this fraction.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1))]
    pub decrease_tolerance: f64,
}

impl Default for Optimizer {
    fn default() -> Self {
        Optimizer {
            kind: OptimizerKind::LBfgs,
            memory: 10,
            iterations: 20,
            max_evaluations: None,
            max_step_percent: 3.0,
            bounds: None,
            gradient_tolerance: 0.0,
            decrease_tolerance: 0.0,
        }
    }
}

/// Kind of optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OptimizerKind {
    /// Bounded L-BFGS (Byrd, Lu, Nocedal and Zhu 1995).
    #[serde(rename = "l-bfgs")]
    LBfgs,
}

/// Bounds of the model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Lowest and highest velocity in m/s; the highest also fixes the time step.
    #[schemars(inner(range(min = 100.0, max = 15000.0)))]
    pub vp_m_per_s: [f64; 2],
}

/// Treatment of the gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Precondition {
    /// Cells less than this far in m below the top of the model are not updated.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub water_bottom_m: f64,
    /// Dataset on the model's grid: 0 where the model is not updated, 1 where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
    /// Standard deviation in m of a Gaussian that smooths the update; 0 does not smooth.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub smooth_m: f64,
    /// Whether the update is divided by the energy that each cell sees from the sources.
    pub illumination: bool,
    /// Least illumination as a fraction of the largest.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1.0))]
    pub illumination_floor: f64,
}

impl Default for Precondition {
    fn default() -> Self {
        Precondition { water_bottom_m: 0.0, mask: None, smooth_m: 0.0, illumination: true, illumination_floor: 0.001 }
    }
}

/// Dataset that says where the model is updated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mask {
    /// HDF5 file.
    pub file: String,
    /// Dataset.
    #[serde(default = "mask")]
    pub dataset: String,
}

fn mask() -> String {
    "mask".into()
}

/// One stage of the inversion; a key left out keeps the value of its table above.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stage {
    /// Corner in Hz of the low-pass of wavelet and data; default: the full band.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1e6))]
    pub lowpass_hz: Option<f64>,
    /// Iterations; overrides optimizer.iterations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub iterations: Option<usize>,
    /// Most gradients; overrides optimizer.max_evaluations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_evaluations: Option<usize>,
    /// Largest relative change of the model in the first trial, in percent; overrides optimizer.max_step_percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 100.0))]
    pub max_step_percent: Option<f64>,
    /// Smoothing of the update in m; overrides precondition.smooth_m.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1e6))]
    pub smooth_m: Option<f64>,
    /// Shots used; overrides inversion.shots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shots: Option<Shots>,
}

/// Threads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parallel {
    /// Threads of each rank, 1 to 1024; auto: the processors of the rank.
    pub threads_per_rank: AutoOr<usize>,
    /// Shots that a rank computes side by side, each with its share of the rank's threads, memory and disk, 1 to 1024; auto:
    /// the fastest by measured costs.
    pub shots_at_once: AutoOr<usize>,
}

impl Default for Parallel {
    fn default() -> Self {
        Parallel { threads_per_rank: AutoOr::Auto(Auto::Auto), shots_at_once: AutoOr::Auto(Auto::Auto) }
    }
}

/// What is written beside the run file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// Whether the run file also holds the predicted data of the last model and the residual.
    pub data: bool,
    /// Least time between two saves of what a rank has summed within a gradient, in s; 0: after every shot.
    #[schemars(range(min = 0.0, max = 86_400.0))]
    pub ledger_every_s: f64,
}

impl Default for Output {
    fn default() -> Self {
        Output { data: false, ledger_every_s: 60.0 }
    }
}
