//! Minimisation of a misfit over a model with bounds: pure numerics on `&[f64]`.
//!
//! The caller owns an [`Objective`] (value and gradient of the misfit at a model), a [`Lbfgs`] (what is fixed within a
//! stage: options, bounds, preconditioner) and a [`LbfgsState`] (what changes: model, value, gradient, history). One call
//! of [`Lbfgs::step`] makes one accepted iteration. A state can be saved after any iteration; the run that goes on from
//! the saved state has the same bits as the one that was never stopped.
//!
//! ```
//! use std::convert::Infallible;
//! use treewave_inversion::optimizer::{Bounds, Evaluation, EvaluationError, Lbfgs, LbfgsOptions, Objective};
//!
//! struct Parabola;
//! impl Objective for Parabola {
//!     type Failure = Infallible;
//!     fn evaluate(&mut self, x: &[f64]) -> Result<Evaluation, EvaluationError<Infallible>> {
//!         Ok(Evaluation { value: (x[0] - 3.0).powi(2), gradient: vec![2.0 * (x[0] - 3.0)] })
//!     }
//! }
//!
//! let lbfgs = Lbfgs::new(LbfgsOptions::default(), Bounds::uniform(1, 1.0, 2.0)?, None)?;
//! let mut state = lbfgs.start(vec![1.5])?;
//! while lbfgs.step(&mut state, &mut Parabola)?.stopped_because.is_none() {}
//! assert_eq!(state.x(), [2.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bounds;
mod cauchy;
mod compact;
mod lbfgs;
mod line_search;
mod options;
mod report;
mod search;
mod space;
mod state;
mod subspace;
mod sums;
#[cfg(test)]
mod tests;

pub use bounds::Bounds;
pub use lbfgs::Lbfgs;
pub use options::LbfgsOptions;
pub use report::{IterationReport, StopReason};
pub use state::{LbfgsState, SavedState};

use thiserror::Error;

/// A misfit and its gradient at one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The misfit, in the objective's own unit.
    pub value: f64,
    /// Its derivative with respect to each model element, in units of the misfit per unit of the element.
    pub gradient: Vec<f64>,
}

/// Something to be minimised.
pub trait Objective {
    /// What ends the optimisation from inside an evaluation: a request to stop, a full disk, a lost rank.
    type Failure: std::error::Error + 'static;

    /// The misfit and its gradient at `x`. The same `x` must give the same bits, or a resumed run is another run.
    ///
    /// # Errors
    /// [`EvaluationError::Rejected`] if there is no misfit at this `x` (the line search then tries a shorter step),
    /// [`EvaluationError::Fatal`] for all else (it comes out of [`Lbfgs::step`] as [`StepError::Fatal`]).
    fn evaluate(&mut self, x: &[f64]) -> Result<Evaluation, EvaluationError<Self::Failure>>;
}

/// Why an evaluation gave no misfit.
#[derive(Debug, Error)]
pub enum EvaluationError<E: std::error::Error + 'static> {
    /// The model is not usable, for instance because the wavefield blew up; the reason goes into the report.
    #[error("the model was rejected: {0}")]
    Rejected(String),
    /// Nothing more can be evaluated.
    #[error(transparent)]
    Fatal(E),
}

/// Options, bounds, a preconditioner, a model or a saved state that do not fit.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum OptimizerError {
    #[error("option {name} is {value}; expected {expected}")]
    Option { name: &'static str, value: f64, expected: &'static str },
    #[error("{what} has {found} elements, expected {expected}")]
    Length { what: &'static str, found: usize, expected: usize },
    #[error(
        "element {index} has the bounds [{lower}, {upper}]; they must be numbers with lower <= upper, not the same infinity"
    )]
    Bounds { index: usize, lower: f64, upper: f64 },
    #[error(
        "element {index} of the preconditioner is {value}; every element must be positive and finite, masked ones too"
    )]
    Preconditioner { index: usize, value: f64 },
    #[error(
        "model element {index} is {value}, outside its bounds [{lower}, {upper}]; change the model or widen the bounds"
    )]
    OutsideBounds { index: usize, value: f64, lower: f64, upper: f64 },
    #[error("the saved optimiser state lacks `{name}`")]
    SavedMissing { name: String },
    #[error("the saved optimiser state holds `{name}`, which is not expected; was it written by another version?")]
    SavedUnknown { name: String },
    #[error("`{name}` of the saved optimiser state has {found} elements, expected {expected}")]
    SavedLength { name: String, found: usize, expected: usize },
    #[error("element {index} of `{name}` in the saved optimiser state is {value}; only finite values can be used")]
    SavedNotFinite { name: String, index: usize, value: f64 },
}

/// Why an iteration could not be made; the state is that of the last accepted iteration.
#[derive(Debug, Error)]
pub enum StepError<E: std::error::Error + 'static> {
    /// The state does not fit the optimiser, or the gradient does not fit the model.
    #[error(transparent)]
    Setup(#[from] OptimizerError),
    /// There is no misfit at the point to start from, so there is nothing to improve.
    #[error("the model to start from was rejected: {0}")]
    StartRejected(String),
    /// The objective's own failure, untouched.
    #[error(transparent)]
    Fatal(E),
}
