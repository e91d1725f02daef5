//! Models by formula: for first runs, tests and examples that need no file.
//!
//! A built-in model is a function of the *relative* position in the grid: `(x, z) = (0, 0)` is its first point and
//! `(1, 1)` its last one. So every grid shows the whole picture, and a finer grid of the same extent samples the same
//! function. The 2-D model is the slice through the middle of the 3-D one. Only `three-layers` counts cells, as the paper
//! that it comes from does.

mod beds;
mod faults;
mod foldbelt;
mod noise;
mod salt;

use crate::grid::{Grid, GridError};
use crate::model::{Model, ModelError};
use foldbelt::Foldbelt;
use thiserror::Error;

/// Names of the built-in models.
pub const BUILTIN_NAMES: [&str; 5] = ["layers", "lens", "circle", "three-layers", "foldbelt"];

/// P-wave velocity of sea water in m/s, exactly as the models with a water layer have it.
pub const WATER_VP_M_PER_S: f64 = 1500.0;

/// Why a built-in model cannot be made.
#[derive(Debug, Error, PartialEq)]
pub enum BuiltinError {
    #[error("there is no built-in model `{found}`; there are {}", BUILTIN_NAMES.join(", "))]
    Unknown { found: String },
    #[error(transparent)]
    Grid(#[from] GridError),
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// The built-in model `name`, sampled at the points of `grid`; velocities in m/s.
///
/// | name | picture |
/// |---|---|
/// | `layers` | water of 1500 m/s over five flat layers of 1800 to 4000 m/s |
/// | `lens` | velocity growing with depth from 2000 to 3000 m/s, with a smooth fast lens (+25 %) in the middle |
/// | `circle` | a fast disc of 3000 m/s in 2500 m/s, a standard test of tutorials |
/// | `three-layers` | 1650, 2475 and 3300 m/s, each of a third of the cells in depth (rounded up): Liu & Xu (2021) |
/// | `foldbelt` | sea floor, channels, an unconformity, thrust and folded beds, normal faults, a salt body; 1500 to 4500 m/s |
///
/// # Assumptions
/// `foldbelt` is drawn for an extent of 6 × 6 × 2.4 km; other proportions stretch the structures with the grid.
///
/// # Errors
/// An unknown name.
pub fn builtin(name: &str, grid: &Grid) -> Result<Model, BuiltinError> {
    let vp: Vec<f64> = match name {
        "layers" => sample(grid, |p| layers(p[2])),
        "lens" => sample(grid, lens),
        "circle" => sample(grid, circle),
        "three-layers" => three_layers(grid),
        "foldbelt" => {
            let foldbelt = Foldbelt::new();
            sample(grid, |p| foldbelt.vp_m_per_s(p))
        }
        _ => return Err(BuiltinError::Unknown { found: name.to_string() }),
    };
    Ok(Model::new(grid.clone(), vp)?)
}

/// The grid on which a built-in model has its natural size: 6 km × 2.4 km every 20 m for `foldbelt` (every 30 m and
/// 6 km along `y` in 3-D), 202 m × 202 m every 1 m for `three-layers`, 2 km × 1 km every 10 m for the others (every 20 m
/// and 2 km along `y`).
///
/// # Errors
/// An unknown name, or `dims` other than 2 and 3.
pub fn default_grid(name: &str, dims: usize) -> Result<Grid, BuiltinError> {
    let (extent_m, spacing_m): ([f64; 3], f64) = match (name, dims) {
        ("foldbelt", 3) => ([6000.0, 6000.0, 2400.0], 30.0),
        ("foldbelt", _) => ([6000.0, 6000.0, 2400.0], 20.0),
        ("three-layers", _) => ([202.0, 202.0, 202.0], 1.0),
        ("circle", _) => ([1000.0, 1000.0, 1000.0], 10.0),
        ("layers" | "lens", 3) => ([2000.0, 2000.0, 1000.0], 20.0),
        ("layers" | "lens", _) => ([2000.0, 2000.0, 1000.0], 10.0),
        _ => return Err(BuiltinError::Unknown { found: name.to_string() }),
    };
    let axes: &[usize] = match dims {
        2 => &[0, 2],
        3 => &[0, 1, 2],
        _ => return Err(GridError::Dimensions(dims).into()),
    };
    let shape: Vec<usize> = axes.iter().map(|&a| (extent_m[a] / spacing_m).round() as usize + 1).collect();
    Ok(Grid::new(&shape, &vec![spacing_m; dims], &vec![0.0; dims])?)
}

/// A disc, in 3-D a ball, about the middle. On 101 points per axis it is the set of cells with
/// `(i − 50.5)² + (j − 50.5)² ≤ 225`, which is how a much used tutorial draws it.
fn circle(p: [f64; 3]) -> f64 {
    let squares = [100.0 * p[0] - 50.5, 100.0 * (p[1] - 0.5), 100.0 * p[2] - 50.5].map(|d| d * d);
    let distance: f64 = squares.iter().sum();
    if distance <= 225.0 { 3000.0 } else { 2500.0 }
}

/// Velocities in m/s of three layers, `ceil(nz / 3)` cells thick but for the last.
fn three_layers(grid: &Grid) -> Vec<f64> {
    let thickness = grid.shape()[2].div_ceil(3);
    (0..grid.len()).map(|i| 3300.0 * [0.5, 0.75, 1.0][grid.cell(i)[2] / thickness]).collect()
}

/// The cells of the water layer: from the top of each column down, as long as the velocity is `WATER_VP_M_PER_S`
/// to within 1 %. One entry per cell, in the order of the grid; all `false` where there is no water.
pub fn water_cells(model: &Model) -> Vec<bool> {
    let nz = model.grid().shape()[2];
    let mut water = Vec::with_capacity(model.grid().len());
    for column in model.vp_m_per_s().chunks_exact(nz) {
        let bottom = column.iter().position(|v| (v / WATER_VP_M_PER_S - 1.0).abs() > 0.01).unwrap_or(column.len());
        water.extend((0..nz).map(|iz| iz < bottom));
    }
    water
}

/// Values of a function of the relative position `[x, y, z]` in `[0, 1]` at every cell.
fn sample(grid: &Grid, f: impl Fn([f64; 3]) -> f64) -> Vec<f64> {
    let shape = grid.shape();
    let relative = |axis: usize, i: usize| match shape[axis] {
        1 => 0.5,
        n => i as f64 / (n - 1) as f64,
    };
    let mut values = Vec::with_capacity(grid.len());
    for ix in 0..shape[0] {
        for iy in 0..shape[1] {
            for iz in 0..shape[2] {
                values.push(f([relative(0, ix), relative(1, iy), relative(2, iz)]));
            }
        }
    }
    values
}

/// Relative depth of the top and velocity of each layer of `layers`.
const LAYERS: [(f64, f64); 6] = [
    (f64::NEG_INFINITY, WATER_VP_M_PER_S),
    (0.14, 1800.0),
    (0.28, 2200.0),
    (0.45, 2700.0),
    (0.62, 3300.0),
    (0.80, 4000.0),
];

fn layers(z: f64) -> f64 {
    LAYERS[LAYERS.partition_point(|&(top, _)| top <= z) - 1].1
}

fn lens([x, y, z]: [f64; 3]) -> f64 {
    let r2 = ((x - 0.5) / 0.14).powi(2) + ((y - 0.5) / 0.14).powi(2) + ((z - 0.5) / 0.12).powi(2);
    (2000.0 + 1000.0 * z) * (1.0 + 0.25 * (-r2).exp())
}

#[cfg(test)]
mod tests;
