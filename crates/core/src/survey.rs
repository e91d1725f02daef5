//! Acquisition geometry.

use crate::grid::{AXIS_NAMES, Grid};
use thiserror::Error;

/// A place in m, `[x, y, z]`; `y` is 0 in 2-D.
pub type Position = [f64; 3];

/// One source and the receivers that listen to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shot {
    /// Place of the source.
    pub source_m: Position,
    /// Places of the receivers, one per trace.
    pub receivers_m: Vec<Position>,
}

/// The shots of an experiment and how their traces are sampled.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// The shots, in the order of the data.
    pub shots: Vec<Shot>,
    /// Samples per trace; the first is at time zero.
    pub samples: usize,
    /// Sampling interval of the traces in s.
    pub record_s: f64,
}

/// What makes a survey impossible on a grid.
#[derive(Debug, Error, PartialEq)]
pub enum SurveyError {
    #[error("the survey has no shots")]
    NoShots,
    #[error("shot {shot}: {what} at {axis} = {found} m is outside the model, which spans {first} to {last} m")]
    Outside { shot: usize, what: String, axis: char, found: f64, first: f64, last: f64 },
    #[error(
        "shot {shot}: {what} lies exactly on the free surface (z = {surface} m), where the pressure is always 0; \
         move it down by a fraction of a cell or use top = \"absorbing\""
    )]
    OnFreeSurface { shot: usize, what: String, surface: f64 },
}

impl Survey {
    /// Checks that every source and receiver lies inside the grid, and below a free surface if there is one.
    pub fn check(&self, grid: &Grid, free_surface: bool) -> Result<(), SurveyError> {
        if self.shots.is_empty() {
            return Err(SurveyError::NoShots);
        }
        for (shot, s) in self.shots.iter().enumerate() {
            let named =
                std::iter::once((None, &s.source_m)).chain(s.receivers_m.iter().enumerate().map(|(i, r)| (Some(i), r)));
            for (receiver, position) in named {
                let what = || receiver.map_or("the source".to_string(), |i| format!("receiver {i}"));
                for &axis in grid.axes() {
                    let (first, last, found) = (grid.origin_m()[axis], grid.end_m(axis), position[axis]);
                    let slack = 1e-9 * grid.spacing_m()[axis];
                    if !(found >= first - slack && found <= last + slack) {
                        return Err(SurveyError::Outside {
                            shot,
                            what: what(),
                            axis: AXIS_NAMES[axis],
                            found,
                            first,
                            last,
                        });
                    }
                }
                let surface = grid.origin_m()[2];
                if free_surface && position[2] - surface < 1e-9 * grid.spacing_m()[2] {
                    return Err(SurveyError::OnFreeSurface { shot, what: what(), surface });
                }
            }
        }
        Ok(())
    }
}
