//! Lines of positions → the shots of a survey on a grid.

use super::keys::{Positions, Receivers};
use super::report::Report;
use super::sections::{SurveyLines, Time};
use super::values::{Line, MOST_COORDINATES};
use thiserror::Error;
use treewave_core::{Grid, Position, Shot, Survey};

/// Why lines of positions make no survey on this grid.
#[derive(Debug, Error, PartialEq)]
pub enum GeometryError {
    /// `y_m` does not go with the dimensions of the model.
    #[error("survey.{which}: y_m {found} although the model has {dims} dimensions; {advice}")]
    Dimensions {
        /// `sources` or `receivers`.
        which: &'static str,
        /// `is given` or `is missing`.
        found: &'static str,
        /// Dimensions of the model.
        dims: usize,
        /// What to do.
        advice: &'static str,
    },
    /// The lines do not fit together.
    #[error("survey.{which}: {found}, expected {expected}")]
    Lines {
        /// `sources` or `receivers`.
        which: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// All receivers of a shot, relative to its source, lie outside the model.
    #[error(
        "survey.receivers: none of the {receivers} receivers of shot {shot} lies inside the model; their x_m and y_m are \
         offsets from the source at x = {} m, y = {} m: check them, or set relative = false", source_m[0], source_m[1]
    )]
    NoReceivers {
        /// The shot, from 0.
        shot: usize,
        /// Receivers before any was left out.
        receivers: usize,
        /// Place of its source in m.
        source_m: Position,
    },
}

/// A survey, and what should be told about it.
#[derive(Clone, Debug, PartialEq)]
pub struct BuiltSurvey {
    /// The survey.
    pub survey: Survey,
    /// For instance how many receivers were left out.
    pub notes: Vec<String>,
}

impl SurveyLines {
    /// The number of traces before any is left out.
    ///
    /// # Errors
    /// [`GeometryError::Lines`].
    pub fn traces(&self) -> Result<usize, GeometryError> {
        let unfit = |which| move |(found, expected)| GeometryError::Lines { which, found, expected };
        let sources = self.sources.positions_m().map_err(unfit("sources"))?.len();
        let receivers = self.receivers.positions().positions_m().map_err(unfit("receivers"))?.len();
        Ok(sources.saturating_mul(receivers))
    }
}

/// Makes the shots: one per source, in the order of the lines (x slowest, then y).
///
/// Receivers at offsets from the source that fall outside the grid are left out, with a note; sources and fixed receivers
/// outside it are left to [`Survey::check`].
///
/// # Errors
/// [`GeometryError`] if the lines do not fit each other or the dimensions of the grid, or leave a shot without receivers.
pub fn build(lines: &SurveyLines, grid: &Grid, time: &Time) -> Result<BuiltSurvey, GeometryError> {
    let SurveyLines { sources, receivers } = lines;
    let three = grid.dims() == 3;
    let dims = grid.dims();
    for (which, line, needed) in
        [("sources", &sources.y_m, three), ("receivers", &receivers.y_m, three && !receivers.relative)]
    {
        if line.is_some() && !three {
            let advice = "remove y_m";
            return Err(GeometryError::Dimensions { which, found: "is given", dims, advice });
        }
        if line.is_none() && needed {
            let advice = "add y_m, a number for a line along x";
            return Err(GeometryError::Dimensions { which, found: "is missing", dims, advice });
        }
    }
    let unfit = |which| move |(found, expected)| GeometryError::Lines { which, found, expected };
    let sources = sources.positions_m().map_err(unfit("sources"))?;
    let spread = receivers.positions().positions_m().map_err(unfit("receivers"))?;
    let (mut shots, mut left_out) = (Vec::with_capacity(sources.len()), 0);
    for (shot, &source_m) in sources.iter().enumerate() {
        let receivers_m: Vec<Position> = match receivers.relative {
            false => spread.clone(),
            true => {
                let moved = spread.iter().map(|r| [source_m[0] + r[0], source_m[1] + r[1], r[2]]);
                moved.filter(|position| inside(grid, position)).collect()
            }
        };
        if receivers_m.is_empty() {
            return Err(GeometryError::NoReceivers { shot, receivers: spread.len(), source_m });
        }
        left_out += spread.len() - receivers_m.len();
        shots.push(Shot { source_m, receivers_m });
    }
    let traces = shots.len() * spread.len();
    let notes = match left_out {
        0 => Vec::new(),
        _ => vec![format!("{left_out} of {traces} traces have their receiver outside the model and are left out")],
    };
    Ok(BuiltSurvey { survey: Survey { shots, samples: time.samples, record_s: time.record_s }, notes })
}

/// Inside with the same slack as [`Survey::check`].
fn inside(grid: &Grid, position: &Position) -> bool {
    grid.axes().iter().all(|&axis| {
        let slack = 1e-9 * grid.spacing_m()[axis];
        (grid.origin_m()[axis] - slack..=grid.end_m(axis) + slack).contains(&position[axis])
    })
}

impl Receivers {
    /// The positions alone.
    pub fn positions(&self) -> Positions {
        Positions { x_m: self.x_m.clone(), y_m: self.y_m.clone(), z_m: self.z_m.clone() }
    }
}

impl Positions {
    /// The positions in m, x slowest, then y; `y` is 0 without `y_m`. On failure what was found and expected.
    pub fn positions_m(&self) -> Result<Vec<Position>, (String, String)> {
        let x = self.x_m.coordinates_m()?;
        let z = self.z_m.coordinates_m()?;
        let flat: Vec<[f64; 2]> = match &self.y_m {
            None => {
                // A single x beside many z is a borehole.
                let count = if x.len() == 1 { z.len() } else { x.len() };
                (0..count).map(|i| [pick(&x, i), 0.0]).collect()
            }
            Some(y) => {
                let y = y.coordinates_m()?;
                if x.len().saturating_mul(y.len()) > MOST_COORDINATES {
                    let found = format!("{} times {} positions", x.len(), y.len());
                    return Err((found, format!("at most {MOST_COORDINATES}")));
                }
                x.iter().flat_map(|&x| y.iter().map(move |&y| [x, y])).collect()
            }
        };
        // A single place beside many z, in 3-D, is a borehole as well.
        let count = if flat.len() == 1 { z.len() } else { flat.len() };
        if z.len() != 1 && z.len() != count {
            let found = format!("{} depths for {count} positions", z.len());
            return Err((found, "one depth for all, or one for each position".into()));
        }
        let at = |i: usize| {
            let [x, y] = pick(&flat, i);
            [x, y, pick(&z, i)]
        };
        Ok((0..count).map(at).collect())
    }

    /// Reports what is wrong with the lines; the number of positions if nothing is.
    pub(super) fn check(&self, key: &str, report: &mut Report) -> Option<usize> {
        let axes = [("x_m", Some(&self.x_m)), ("y_m", self.y_m.as_ref()), ("z_m", Some(&self.z_m))];
        let before = report.problems().len();
        for (name, line) in axes {
            if let Some(Err((found, expected))) = line.map(Line::coordinates_m) {
                report.rule(&format!("{key}.{name}"), found, expected, "correct the line of positions");
            }
        }
        if report.problems().len() > before || !report.clean(&[key]) {
            return None;
        }
        match self.positions_m() {
            Ok(positions) => Some(positions.len()),
            Err((found, expected)) => {
                report.rule(key, found, expected, "correct the lines of positions");
                None
            }
        }
    }
}

/// The entry at `i`, or the only one.
fn pick<T: Copy>(list: &[T], i: usize) -> T {
    if list.len() == 1 { list[0] } else { list[i] }
}
