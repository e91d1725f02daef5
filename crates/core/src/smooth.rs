//! Gaussian smoothing of models, for start models and gradients.

use crate::grid::Grid;
use crate::model::{Model, ModelError};
use thiserror::Error;

/// Why values cannot be smoothed.
#[derive(Debug, Error, PartialEq)]
pub enum SmoothError {
    #[error("there are {found} values to smooth, the grid has {expected} cells")]
    Length { found: usize, expected: usize },
    #[error("the mask has {found} entries, the grid has {expected} cells")]
    MaskLength { found: usize, expected: usize },
    #[error("the smoothing length is {found} m, it must be finite and not negative")]
    SmoothingLength { found: f64 },
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Beyond this many standard deviations the Gaussian (below 4e-4 of its peak) is left out.
const REACH: f64 = 4.0;

/// Smooths values on a grid with a Gaussian, in place.
///
/// `f'(p) = Σ_q g(p - q) m(q) f(q) / Σ_q g(p - q) m(q)`, with `m = 0` in frozen cells and outside the grid, `m = 1`
/// elsewhere. Constants stay constant up to the edges, and the sharp jump at the rim of the frozen part stays sharp:
/// nothing leaks across it. The sums are done axis by axis.
///
/// - `values`: one per cell, in the order of the grid.
/// - `length_m`: standard deviation of the Gaussian in m; 0 changes nothing.
/// - `frozen`: cells that keep their value to the bit, for example
///   [`water_cells`](crate::builtin::water_cells); `None` for no such cell.
///
/// # Errors
/// Lengths that do not match the grid; a `length_m` that is negative or not finite.
///
/// # References
/// Knutsson and Westin (1993), normalised convolution.
pub fn smooth_gaussian(
    grid: &Grid,
    values: &mut [f64],
    length_m: f64,
    frozen: Option<&[bool]>,
) -> Result<(), SmoothError> {
    let expected = grid.len();
    if values.len() != expected {
        return Err(SmoothError::Length { found: values.len(), expected });
    }
    if let Some(mask) = frozen.filter(|m| m.len() != expected) {
        return Err(SmoothError::MaskLength { found: mask.len(), expected });
    }
    if !(length_m >= 0.0 && length_m.is_finite()) {
        return Err(SmoothError::SmoothingLength { found: length_m });
    }
    if length_m == 0.0 {
        return Ok(());
    }
    let is_frozen = |i: usize| frozen.is_some_and(|m| m[i]);
    let mut weights: Vec<f64> = (0..expected).map(|i| if is_frozen(i) { 0.0 } else { 1.0 }).collect();
    let mut sums: Vec<f64> = values.iter().zip(&weights).map(|(v, w)| v * w).collect();
    for &axis in grid.axes() {
        let kernel = kernel(length_m / grid.spacing_m()[axis], grid.shape()[axis]);
        convolve(grid, &mut weights, axis, &kernel);
        convolve(grid, &mut sums, axis, &kernel);
    }
    for (i, value) in values.iter_mut().enumerate() {
        if !is_frozen(i) {
            *value = sums[i] / weights[i];
        }
    }
    Ok(())
}

/// The model with its slowness smoothed, so that vertical travel times are kept; arguments as for
/// [`smooth_gaussian`].
///
/// # Errors
/// As for [`smooth_gaussian`].
pub fn smooth_model(model: &Model, length_m: f64, frozen: Option<&[bool]>) -> Result<Model, SmoothError> {
    let mut values: Vec<f64> = model.vp_m_per_s().iter().map(|v| 1.0 / v).collect();
    smooth_gaussian(model.grid(), &mut values, length_m, frozen)?;
    for (i, value) in values.iter_mut().enumerate() {
        // 1 / (1 / v) is not always v, and frozen cells are promised to the bit.
        let kept = length_m == 0.0 || frozen.is_some_and(|m| m[i]);
        *value = if kept { model.vp_m_per_s()[i] } else { 1.0 / *value };
    }
    Ok(Model::new(model.grid().clone(), values)?)
}

/// One half of a Gaussian, `[g(0), g(1), …]`, no longer than an axis of `points` needs.
fn kernel(cells: f64, points: usize) -> Vec<f64> {
    let reach = ((REACH * cells).ceil() as usize).min(points - 1);
    (0..=reach).map(|k| (-0.5 * (k as f64 / cells).powi(2)).exp()).collect()
}

/// Convolves along one axis; what lies outside counts as 0.
fn convolve(grid: &Grid, values: &mut [f64], axis: usize, kernel: &[f64]) {
    let shape = grid.shape();
    let inner: usize = shape[axis + 1..].iter().product();
    let points = shape[axis];
    let mut out = vec![0.0; points * inner];
    for block in values.chunks_exact_mut(points * inner) {
        out.fill(0.0);
        for to in 0..points {
            let row = &mut out[to * inner..][..inner];
            for from in to.saturating_sub(kernel.len() - 1)..points.min(to + kernel.len()) {
                let g = kernel[from.abs_diff(to)];
                for (sum, value) in row.iter_mut().zip(&block[from * inner..][..inner]) {
                    *sum += g * value;
                }
            }
        }
        block.copy_from_slice(&out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        Grid::new(&[40, 30, 50], &[10.0, 20.0, 5.0], &[0.0; 3]).unwrap()
    }

    #[test]
    fn a_constant_stays_constant_up_to_the_edges() {
        let mut values = vec![2500.0; grid().len()];
        smooth_gaussian(&grid(), &mut values, 60.0, None).unwrap();
        // A quotient of two sums of at most 81³ positive terms, in parallel roundings: a few hundred ulp at most.
        assert!(values.iter().all(|v| (v / 2500.0 - 1.0).abs() < 1e-13));
    }

    #[test]
    fn a_point_becomes_a_gaussian_of_the_asked_length_in_metres_along_every_axis() {
        let grid = Grid::new(&[101, 51, 201], &[10.0, 20.0, 5.0], &[0.0; 3]).unwrap();
        let mut values = vec![0.0; grid.len()];
        let centre = [50, 25, 100];
        values[grid.index(centre)] = 1.0;
        let length = 60.0;
        smooth_gaussian(&grid, &mut values, length, None).unwrap();
        for axis in 0..3 {
            let mut cell = centre;
            cell[axis] += 100 / grid.spacing_m()[axis] as usize;
            let ratio = values[grid.index(cell)] / values[grid.index(centre)];
            assert!((ratio - (-0.5f64 * (100.0f64 / length).powi(2)).exp()).abs() < 1e-12, "axis {axis}: {ratio}");
        }
    }

    #[test]
    fn frozen_cells_keep_their_bits_and_do_not_leak() {
        let grid = Grid::new(&[30, 40], &[10.0, 10.0], &[0.0; 2]).unwrap();
        let frozen: Vec<bool> = (0..grid.len()).map(|i| grid.cell(i)[2] < 8).collect();
        let vp: Vec<f64> = (0..grid.len()).map(|i| if frozen[i] { 1500.0 + 0.37 * i as f64 } else { 2000.0 }).collect();
        let model = Model::new(grid, vp).unwrap();
        let smoothed = smooth_model(&model, 80.0, Some(&frozen)).unwrap();
        for (i, v) in smoothed.vp_m_per_s().iter().enumerate() {
            if frozen[i] {
                assert_eq!(v.to_bits(), model.vp_m_per_s()[i].to_bits());
            } else {
                assert!((v - 2000.0).abs() < 1e-9, "{v}");
            }
        }
    }

    #[test]
    fn slowness_is_smoothed_so_that_the_travel_time_through_a_periodic_stack_is_kept() {
        let grid = Grid::new(&[3, 400], &[10.0, 10.0], &[0.0; 2]).unwrap();
        let vp: Vec<f64> = (0..grid.len()).map(|i| if grid.cell(i)[2] % 10 < 5 { 1500.0 } else { 4500.0 }).collect();
        let smoothed = smooth_model(&Model::new(grid, vp).unwrap(), 100.0, None).unwrap();
        // The harmonic mean of the two; in the middle, far from the edges.
        let v = smoothed.vp_m_per_s()[600];
        assert!((v - 2250.0).abs() < 1.0, "{v}");
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let mut values = vec![1.0; 7];
        let expected = grid().len();
        assert_eq!(smooth_gaussian(&grid(), &mut values, 1.0, None), Err(SmoothError::Length { found: 7, expected }));
        let mut values = vec![1.0; expected];
        let mask = smooth_gaussian(&grid(), &mut values, 1.0, Some(&[true]));
        assert_eq!(mask, Err(SmoothError::MaskLength { found: 1, expected }));
        let negative = smooth_gaussian(&grid(), &mut values, -3.0, None);
        assert_eq!(negative, Err(SmoothError::SmoothingLength { found: -3.0 }));
    }
}
