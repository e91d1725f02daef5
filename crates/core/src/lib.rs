//! Numbers, grids, models, surveys, wavelets and gathers: data with invariants, and the small contracts that several
//! crates share.
#![forbid(unsafe_code)]

pub mod builtin;
pub mod gather;
pub mod grid;
pub mod model;
pub mod observe;
pub mod real;
pub mod reproducible;
pub mod signal;
pub mod smooth;
pub mod survey;
pub mod wavelet;

pub use gather::{DataError, Gather, ShotData};
pub use grid::{Grid, GridError};
pub use model::{Model, ModelError};
pub use observe::{Event, Observer, Silent, StopFlag};
pub use real::Real;
pub use reproducible::{ReproducibleSum, SumError};
pub use survey::{Position, Shot, Survey, SurveyError};
pub use wavelet::Wavelet;
