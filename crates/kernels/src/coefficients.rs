//! Weights of central differences.
//!
//! # References
//! Fornberg (1988), "Generation of finite difference formulas on arbitrarily spaced grids"; the closed forms for
//! regular grids follow from the Lagrange polynomial through `2r + 1` points.

/// Largest stencil radius: order 16.
pub const MAX_RADIUS: usize = 8;

/// `(r!)² / ((r − k)! (r + k)!)`.
fn ratio(radius: usize, k: usize) -> f64 {
    (0..k).map(|i| (radius - i) as f64 / (radius + i + 1) as f64).product()
}

/// Weights `c[0..=r]` of the second derivative of order `2r`: `f″ h² ≈ c[0] f(0) + Σ c[k] (f(k) + f(−k))`.
pub fn second_derivative(radius: usize) -> [f64; MAX_RADIUS + 1] {
    let mut c = [0.0; MAX_RADIUS + 1];
    for k in 1..=radius {
        let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
        c[k] = sign * 2.0 / (k * k) as f64 * ratio(radius, k);
    }
    c[0] = -2.0 * c[1..].iter().sum::<f64>();
    c
}

/// Weights `d[1..=r]` of the first derivative of order `2r`: `f′ h ≈ Σ d[k] (f(k) − f(−k))`; `d[0]` is 0.
pub fn first_derivative(radius: usize) -> [f64; MAX_RADIUS + 1] {
    let mut d = [0.0; MAX_RADIUS + 1];
    for k in 1..=radius {
        let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
        d[k] = sign / k as f64 * ratio(radius, k);
    }
    d
}
