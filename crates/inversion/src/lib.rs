//! From shots to a better model: misfits, parameters, preconditioning, the distributed objective, optimisers.
#![forbid(unsafe_code)]

pub mod control;
pub mod experiment;
pub mod ledger;
pub mod misfit;
pub mod optimizer;
pub mod part;
pub mod shots;

pub use control::{Control, Parameter};
pub use experiment::{Evaluated, Experiment, ExperimentError, Inverse, SpillFactories, SpillFactory, wave_failure};
pub use ledger::{Ledger, Partial};
pub use misfit::Misfit;
pub use part::ShotWatch;
pub use shots::{
    BATCH_BYTES, BadShots, ModelShot, ShotLoop, Summand, Summed, TraceSink, reversal_failure, shot_failure,
};
