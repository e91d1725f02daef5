//! What one iteration tells.

use std::fmt;

/// The outcome of one call of [`Lbfgs::step`](super::Lbfgs::step).
#[derive(Clone, Debug, PartialEq)]
pub struct IterationReport {
    /// Iterations accepted so far, this one included.
    pub iteration: u64,
    /// Misfit at the current model.
    pub value: f64,
    /// `√(Σ P_i g_i²)` over the elements that descent moves within their bounds.
    pub projected_gradient_norm: f64,
    /// Length of the step in units of the proposed one (1: taken as proposed; 0: the model was not changed).
    pub step_length: f64,
    /// Largest relative change of a model element, in percent.
    pub step_percent: f64,
    /// Evaluations made by this call.
    pub evaluations: u64,
    /// Remarks for the user: pairs left out, trials rejected, searches that ended early.
    pub messages: Vec<String>,
    /// Set when there is no point in going on.
    pub stopped_because: Option<StopReason>,
}

/// Why the optimisation ends.
#[derive(Clone, Debug, PartialEq)]
pub enum StopReason {
    /// The projected gradient is small enough.
    Gradient { norm: f64, first_norm: f64, tolerance: f64 },
    /// The misfit hardly falls any more.
    Decrease { relative: f64, tolerance: f64 },
    /// The evaluations allowed are used up.
    Evaluations { limit: u64 },
    /// No trial lowered the misfit, along the preconditioned gradient either; the best model is kept.
    NoDecrease { trials: u64 },
}

impl fmt::Display for StopReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopReason::Gradient { norm, first_norm, tolerance } => {
                write!(
                    out,
                    "projected gradient norm {norm:.3e} is at most {tolerance:.1e} of the first, {first_norm:.3e}"
                )
            }
            StopReason::Decrease { relative, tolerance } => {
                write!(out, "the misfit fell by the fraction {relative:.3e}, at most the tolerance {tolerance:.1e}")
            }
            StopReason::Evaluations { limit } => write!(out, "the limit of {limit} evaluations is reached"),
            StopReason::NoDecrease { trials } => {
                write!(out, "none of {trials} trials lowered the misfit; the best model is kept")
            }
        }
    }
}
