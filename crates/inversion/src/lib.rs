//! From shots to a better model: misfits, parameters, preconditioning, the distributed objective, optimisers.
#![forbid(unsafe_code)]

pub mod control;
pub mod experiment;
pub mod misfit;
pub mod optimizer;
pub mod shots;

pub use control::{Control, Parameter};
pub use experiment::{Evaluated, Experiment, ExperimentError, Inverse, SpillFactory, wave_failure};
pub use misfit::Misfit;
pub use shots::{BATCH_BYTES, ShotLoop, Summand, Summed, TraceSink, reversal_failure, shot_failure};
