//! What the optimiser varies, and how the velocity follows from it.
//!
//! The controls `x` are one number per cell: the velocity, its logarithm, or the squared slowness. With smoothing, the
//! change of the velocity is smoothed before it is applied,
//!
//! ```text
//! vp = clamp(v₀ + M S M (v(x) − v₀)),
//! ```
//!
//! with `v₀` the model at the start of the stage, `M` the mask of the cells that may change, and `S` a Gaussian with
//! mirrored edges. `S` is symmetric, so the transpose that the gradient needs is the same operator.

use treewave_core::Grid;

/// Beyond this many standard deviations the Gaussian is cut off.
const REACH: f64 = 4.0;

/// The parameter that the optimiser works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// Velocity in m/s.
    Vp,
    /// Squared slowness in s²/km²: of order one.
    Slowness2,
    /// Natural logarithm of the velocity in m/s.
    LogVp,
}

impl Parameter {
    /// The control of a velocity in m/s.
    pub fn of_vp(self, vp: f64) -> f64 {
        match self {
            Parameter::Vp => vp,
            Parameter::Slowness2 => 1e6 / (vp * vp),
            Parameter::LogVp => vp.ln(),
        }
    }
    /// The velocity in m/s of a control.
    pub fn vp(self, x: f64) -> f64 {
        match self {
            Parameter::Vp => x,
            Parameter::Slowness2 => 1e3 / x.sqrt(),
            Parameter::LogVp => x.exp(),
        }
    }
    /// Derivative of the velocity with respect to the control, at a velocity.
    pub fn slope(self, vp: f64) -> f64 {
        match self {
            Parameter::Vp => 1.0,
            Parameter::Slowness2 => -0.5e-6 * vp * vp * vp,
            Parameter::LogVp => vp,
        }
    }
}

/// The map from controls to velocities, fixed within a stage.
#[derive(Clone, Debug)]
pub struct Control {
    parameter: Parameter,
    grid: Grid,
    /// Velocities at the start of the stage in m/s.
    base: Vec<f64>,
    /// Cells that never change.
    frozen: Vec<bool>,
    bounds_m_per_s: [f64; 2],
    /// Normalised Gaussian per axis in use, centre first; empty without smoothing.
    kernels: Vec<(usize, Vec<f64>)>,
}

impl Control {
    /// The map around a model `base` (m/s), which lies within the bounds where it is not frozen.
    pub fn new(
        parameter: Parameter,
        grid: &Grid,
        base: &[f64],
        frozen: Vec<bool>,
        bounds_m_per_s: [f64; 2],
        smooth_m: f64,
    ) -> Self {
        assert!(base.len() == grid.len() && frozen.len() == grid.len(), "one value per cell");
        let gaussian = |axis: usize| {
            let sigma = smooth_m / grid.spacing_m()[axis];
            let half: Vec<f64> =
                (0..=(REACH * sigma).ceil() as usize).map(|k| (-0.5 * (k as f64 / sigma).powi(2)).exp()).collect();
            let sum = half[0] + 2.0 * half[1..].iter().sum::<f64>();
            (axis, half.iter().map(|w| w / sum).collect())
        };
        let kernels =
            if smooth_m > 0.0 { grid.axes().iter().map(|&axis| gaussian(axis)).collect() } else { Vec::new() };
        Control { parameter, grid: grid.clone(), base: base.to_vec(), frozen, bounds_m_per_s, kernels }
    }

    /// The controls of the model at the start of the stage.
    pub fn start(&self) -> Vec<f64> {
        self.base.iter().map(|&v| self.parameter.of_vp(v)).collect()
    }

    /// Lower and upper bounds of the controls; frozen cells have their value as both.
    pub fn bounds(&self) -> (Vec<f64>, Vec<f64>) {
        let ends = self.bounds_m_per_s.map(|v| self.parameter.of_vp(v));
        let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let bound = |end: f64| {
            let of_cell = move |(&v, &frozen): (&f64, &bool)| if frozen { self.parameter.of_vp(v) } else { end };
            self.base.iter().zip(&self.frozen).map(of_cell).collect()
        };
        (bound(low), bound(high))
    }

    /// Velocities in m/s of the controls; within the bounds to the bit where not frozen.
    pub fn vp(&self, x: &[f64]) -> Vec<f64> {
        let [low, high] = self.bounds_m_per_s;
        let mut change: Vec<f64> = x.iter().zip(&self.base).map(|(&x, v)| self.parameter.vp(x) - v).collect();
        self.smooth(&mut change);
        let cells = change.iter().zip(&self.base).zip(&self.frozen);
        cells.map(|((change, &v), &frozen)| if frozen { v } else { (v + change).clamp(low, high) }).collect()
    }

    /// The gradient with respect to the controls from the one with respect to the velocities at `vp(x)`.
    pub fn gradient(&self, x: &[f64], gradient_vp: &[f64]) -> Vec<f64> {
        let [low, high] = self.bounds_m_per_s;
        let mut gradient = gradient_vp.to_vec();
        if !self.kernels.is_empty() {
            // Where the clamp holds the velocity, the controls have no effect.
            let mut change: Vec<f64> = x.iter().zip(&self.base).map(|(&x, v)| self.parameter.vp(x) - v).collect();
            self.smooth(&mut change);
            for ((g, change), v) in gradient.iter_mut().zip(&change).zip(&self.base) {
                if v + change < low || v + change > high {
                    *g = 0.0;
                }
            }
        }
        self.smooth(&mut gradient);
        for (i, g) in gradient.iter_mut().enumerate() {
            *g = if self.frozen[i] { 0.0 } else { *g * self.parameter.slope(self.parameter.vp(x[i])) };
        }
        gradient
    }

    /// Diagonal of an approximate inverse Hessian of the controls, from that of the velocities.
    pub fn inverse_hessian(&self, inverse_hessian_vp: &[f64]) -> Vec<f64> {
        inverse_hessian_vp.iter().zip(&self.base).map(|(h, &v)| h / self.parameter.slope(v).powi(2)).collect()
    }

    /// `M S M` in place; nothing without smoothing.
    fn smooth(&self, values: &mut [f64]) {
        if self.kernels.is_empty() {
            return;
        }
        self.mask(values);
        for (axis, kernel) in &self.kernels {
            convolve_mirrored(&self.grid, values, *axis, kernel);
        }
        self.mask(values);
    }

    fn mask(&self, values: &mut [f64]) {
        for (value, &frozen) in values.iter_mut().zip(&self.frozen) {
            if frozen {
                *value = 0.0;
            }
        }
    }
}

/// Convolves with a symmetric kernel along one axis; beyond its ends the series is mirrored, edge cell included, which
/// keeps the operator symmetric and constants constant.
fn convolve_mirrored(grid: &Grid, values: &mut [f64], axis: usize, kernel: &[f64]) {
    let n = grid.shape()[axis] as i64;
    let stride: usize = grid.shape()[axis + 1..].iter().product();
    let mirrored = |i: i64| {
        let i = i.rem_euclid(2 * n);
        (if i < n { i } else { 2 * n - 1 - i }) as usize
    };
    let mut line = vec![0.0; n as usize];
    for start in (0..values.len()).filter(|i| (i / stride).is_multiple_of(n as usize)) {
        for (i, to) in line.iter_mut().enumerate() {
            *to = values[start + i * stride];
        }
        for i in 0..n {
            let mut sum = kernel[0] * line[i as usize];
            for (k, weight) in kernel.iter().enumerate().skip(1) {
                sum += weight * (line[mirrored(i - k as i64)] + line[mirrored(i + k as i64)]);
            }
            values[start + i as usize * stride] = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(parameter: Parameter, smooth_m: f64) -> Control {
        let grid = Grid::new(&[9, 7], &[10.0, 12.0], &[0.0, 0.0]).unwrap();
        let base: Vec<f64> = (0..grid.len()).map(|i| 2000.0 + 300.0 * (i as f64 * 0.7).sin()).collect();
        let frozen = (0..grid.len()).map(|i| grid.cell(i)[2] < 2).collect();
        Control::new(parameter, &grid, &base, frozen, [1500.0, 2600.0], smooth_m)
    }

    #[test]
    fn the_start_is_the_base_and_frozen_cells_and_bounds_hold_to_the_bit() {
        for parameter in [Parameter::Vp, Parameter::Slowness2, Parameter::LogVp] {
            for smooth_m in [0.0, 15.0] {
                let control = control(parameter, smooth_m);
                for (vp, base) in control.vp(&control.start()).iter().zip(&control.base) {
                    assert!((vp - base).abs() < 1e-9);
                }
                let wild: Vec<f64> = (0..63).map(|i| parameter.of_vp(2000.0 + 900.0 * (i as f64).cos())).collect();
                for (i, vp) in control.vp(&wild).into_iter().enumerate() {
                    assert!((1500.0..=2600.0).contains(&vp));
                    assert!(!control.frozen[i] || vp == control.base[i]);
                }
            }
        }
    }

    #[test]
    fn the_gradient_is_the_transposed_derivative_of_the_map() {
        for parameter in [Parameter::Vp, Parameter::Slowness2, Parameter::LogVp] {
            for smooth_m in [0.0, 15.0, 200.0] {
                let control = control(parameter, smooth_m);
                let x: Vec<f64> = control
                    .base
                    .iter()
                    .enumerate()
                    .map(|(i, v)| parameter.of_vp(v * (1.0 + 0.02 * (i as f64).cos())))
                    .collect();
                let weights: Vec<f64> = (0..63).map(|i| (1.3 * i as f64).sin()).collect();
                let gradient = control.gradient(&x, &weights);
                let value = |x: &[f64]| control.vp(x).iter().zip(&weights).map(|(v, w)| v * w).sum::<f64>();
                for i in [0, 3, 20, 62] {
                    let h = 1e-5 * x[i];
                    let moved = |sign: f64| {
                        let mut x = x.clone();
                        x[i] += sign * h;
                        value(&x)
                    };
                    let numeric = if control.frozen[i] { 0.0 } else { (moved(1.0) - moved(-1.0)) / (2.0 * h) };
                    let error = (numeric - gradient[i]).abs();
                    assert!(
                        error < 1e-5 * gradient[i].abs().max(1e-3),
                        "{parameter:?} {smooth_m} {i}: {numeric} {}",
                        gradient[i]
                    );
                }
            }
        }
    }
}
