//! Recorded traces.

use ndarray::Array2;
use thiserror::Error;

use crate::survey::Shot;

/// The traces of one shot.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// Source and receivers, one receiver per trace.
    pub shot: Shot,
    /// Pressure in Pa, `(trace, time)`.
    pub data: Array2<f64>,
    /// Sampling interval in s; the first sample is at time zero.
    pub record_s: f64,
}

/// Why the data of a shot cannot be had.
#[derive(Clone, Debug, Error)]
#[error("{0}")]
pub struct DataError(pub String);

/// Gives the observed data of a shot; each rank asks only for the shots that it works on.
pub trait ShotData: Sync {
    /// Observed traces of shot `shot`, `(trace, time)`, sampled like the survey.
    fn observed(&self, shot: usize) -> Result<Array2<f64>, DataError>;
}
