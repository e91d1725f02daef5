//! Weights of the difference operators.

use treewave_core::Real;

use crate::coefficients::{MAX_RADIUS, first_derivative, second_derivative};
use crate::layer::radius_beside;

/// Weights of the difference operators of one space order on one grid, divided by the spacing.
#[derive(Clone, Debug)]
pub struct Stencil<T> {
    /// Half the space order.
    pub radius: usize,
    /// Weight of the centre point in the Laplacian, summed over the axes, in 1/m².
    pub centre: T,
    /// Weights of the second derivative per axis `[x, y, z]`, in 1/m²; index 0 is the centre.
    pub second: [[T; MAX_RADIUS + 1]; 3],
    /// What turns the weights of axis z into those of an axis; 0 for an axis not in use.
    pub ratio: [T; 3],
    /// Weights of the first derivative per axis, in 1/m, as the [layer](crate::layer) uses it; index 0 is 0.
    pub first: [[T; MAX_RADIUS + 1]; 3],
}

impl<T: Real> Stencil<T> {
    /// Central second differences of order `2 radius` along `axes` with the given spacing.
    pub fn new(radius: usize, axes: &[usize], spacing_m: [f64; 3]) -> Self {
        let zero = [[T::ZERO; MAX_RADIUS + 1]; 3];
        let (c, d) = (second_derivative(radius), first_derivative(radius_beside(radius)));
        let mut stencil = Stencil { radius, centre: T::ZERO, second: zero, ratio: [T::ZERO; 3], first: zero };
        for &axis in axes {
            let h = spacing_m[axis];
            stencil.ratio[axis] = T::from_f64(spacing_m[2] * spacing_m[2] / (h * h));
            stencil.second[axis] = c.map(|c| T::from_f64(c / (h * h)));
            stencil.first[axis] = d.map(|d| T::from_f64(d / h));
        }
        // The centre makes up for the neighbours' weights as they are rounded, so that a field that is the same everywhere has no
        // Laplacian.
        let neighbours: f64 = stencil.second[2][1..].iter().map(|weight| 2.0 * weight.value()).sum();
        let centre: f64 = stencil.ratio.iter().map(|ratio| -ratio.value() * neighbours).sum();
        stencil.centre = T::from_f64(centre);
        stencil
    }

    /// Sum over axes and weights of `|weight| / h²`: the largest eigenvalue of the negative Laplacian is not above it.
    pub fn norm(radius: usize, axes: &[usize], spacing_m: [f64; 3]) -> f64 {
        let c = second_derivative(radius);
        let sum = c[0].abs() + 2.0 * c[1..].iter().map(|c| c.abs()).sum::<f64>();
        axes.iter().map(|&axis| sum / (spacing_m[axis] * spacing_m[axis])).sum()
    }
}
