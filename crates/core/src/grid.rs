//! Regular grids.

use thiserror::Error;

/// A regular grid of 2 or 3 dimensions; `z` is depth, positive down, and varies fastest.
///
/// A 2-D grid is a 3-D one with a single point along `y`: shape `[nx, 1, nz]`. Cell `(ix, iy, iz)` has index
/// `(ix * ny + iy) * nz + iz` and position `origin_m + i * spacing_m`.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    dims: usize,
    shape: [usize; 3],
    spacing_m: [f64; 3],
    origin_m: [f64; 3],
}

/// What makes a grid impossible.
#[derive(Debug, Error, PartialEq)]
pub enum GridError {
    #[error("a grid has 2 or 3 axes, found {0}")]
    Dimensions(usize),
    #[error("axis {axis} has {found} points, at least {least} are needed")]
    TooFewPoints { axis: char, found: usize, least: usize },
    #[error("the spacing of axis {axis} is {found} m, it must be positive and finite")]
    Spacing { axis: char, found: f64 },
    #[error("the origin of axis {axis} is {found} m, it must be finite")]
    Origin { axis: char, found: f64 },
}

/// Names of the axes in storage order.
pub const AXIS_NAMES: [char; 3] = ['x', 'y', 'z'];

impl Grid {
    /// A grid from its points per axis, spacing and origin in m: `(x, z)` or `(x, y, z)`.
    pub fn new(shape: &[usize], spacing_m: &[f64], origin_m: &[f64]) -> Result<Self, GridError> {
        let dims = shape.len();
        if !(dims == 2 || dims == 3) || spacing_m.len() != dims || origin_m.len() != dims {
            return Err(GridError::Dimensions(dims));
        }
        let axes: &[usize] = if dims == 2 { &[0, 2] } else { &[0, 1, 2] };
        let mut grid = Grid { dims, shape: [1; 3], spacing_m: [1.0; 3], origin_m: [0.0; 3] };
        for (i, &axis) in axes.iter().enumerate() {
            let name = AXIS_NAMES[axis];
            if shape[i] < 1 {
                return Err(GridError::TooFewPoints { axis: name, found: shape[i], least: 1 });
            }
            if !(spacing_m[i] > 0.0 && spacing_m[i].is_finite()) {
                return Err(GridError::Spacing { axis: name, found: spacing_m[i] });
            }
            if !origin_m[i].is_finite() {
                return Err(GridError::Origin { axis: name, found: origin_m[i] });
            }
            grid.shape[axis] = shape[i];
            grid.spacing_m[axis] = spacing_m[i];
            grid.origin_m[axis] = origin_m[i];
        }
        Ok(grid)
    }

    /// Number of dimensions, 2 or 3.
    pub fn dims(&self) -> usize {
        self.dims
    }
    /// The axes in use: `[0, 2]` or `[0, 1, 2]`.
    pub fn axes(&self) -> &'static [usize] {
        if self.dims == 2 { &[0, 2] } else { &[0, 1, 2] }
    }
    /// Points along `[x, y, z]`; `y` is 1 in 2-D.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }
    /// Spacing in m along `[x, y, z]`; `y` is meaningless in 2-D.
    pub fn spacing_m(&self) -> [f64; 3] {
        self.spacing_m
    }
    /// Position of the first point in m along `[x, y, z]`; `y` is 0 in 2-D.
    pub fn origin_m(&self) -> [f64; 3] {
        self.origin_m
    }
    /// Number of cells.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
    /// Never true: a grid has at least one cell.
    pub fn is_empty(&self) -> bool {
        false
    }
    /// Index of cell `(ix, iy, iz)`.
    pub fn index(&self, cell: [usize; 3]) -> usize {
        (cell[0] * self.shape[1] + cell[1]) * self.shape[2] + cell[2]
    }
    /// Cell `(ix, iy, iz)` of an index.
    pub fn cell(&self, index: usize) -> [usize; 3] {
        let row = index / self.shape[2];
        [row / self.shape[1], row % self.shape[1], index % self.shape[2]]
    }
    /// Position of the last point along an axis, in m.
    pub fn end_m(&self, axis: usize) -> f64 {
        self.origin_m[axis] + (self.shape[axis] - 1) as f64 * self.spacing_m[axis]
    }
    /// Volume of a cell in m² (2-D) or m³ (3-D).
    pub fn cell_volume(&self) -> f64 {
        self.axes().iter().map(|&a| self.spacing_m[a]).product()
    }
    /// Positions of the points of one axis, in m.
    pub fn axis_m(&self, axis: usize) -> Vec<f64> {
        (0..self.shape[axis]).map(|i| self.origin_m[axis] + i as f64 * self.spacing_m[axis]).collect()
    }
    /// The shape that datasets on this grid have: `[nx, nz]` or `[nx, ny, nz]`.
    pub fn dataset_shape(&self) -> Vec<usize> {
        self.axes().iter().map(|&a| self.shape[a]).collect()
    }
}
