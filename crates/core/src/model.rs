//! Earth models.

use crate::grid::Grid;
use thiserror::Error;

/// The P-wave velocity on a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    grid: Grid,
    vp_m_per_s: Vec<f64>,
}

/// What makes a model unusable.
#[derive(Debug, Error, PartialEq)]
pub enum ModelError {
    #[error("the model has {found} values, its grid has {expected} cells")]
    Length { found: usize, expected: usize },
    #[error("vp is {value} m/s at cell (ix {}, iy {}, iz {}); every value must be positive and finite", cell[0], cell[1], cell[2])]
    Velocity { value: f64, cell: [usize; 3] },
}

impl Model {
    /// A model from velocities in m/s, one per cell in the order of the grid.
    pub fn new(grid: Grid, vp_m_per_s: Vec<f64>) -> Result<Self, ModelError> {
        if vp_m_per_s.len() != grid.len() {
            return Err(ModelError::Length { found: vp_m_per_s.len(), expected: grid.len() });
        }
        if let Some(i) = vp_m_per_s.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
            return Err(ModelError::Velocity { value: vp_m_per_s[i], cell: grid.cell(i) });
        }
        Ok(Model { grid, vp_m_per_s })
    }
    /// The grid.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }
    /// Velocities in m/s, in the order of the grid.
    pub fn vp_m_per_s(&self) -> &[f64] {
        &self.vp_m_per_s
    }
    /// Smallest and largest velocity in m/s.
    pub fn range_m_per_s(&self) -> (f64, f64) {
        self.vp_m_per_s.iter().fold((f64::INFINITY, 0.0), |(lo, hi), &v| (lo.min(v), hi.max(v)))
    }
}
