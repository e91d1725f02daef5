//! Coefficients of the absorbing layer.

use std::f64::consts::PI;
use treewave_core::Real;

/// Amplitude reflected at normal incidence by a layer with this profile, in theory.
const REFLECTION: f64 = 1e-4;
/// Exponent of the damping profile.
const POWER: i32 = 2;
/// Largest frequency shift, as a share of `π f`: what is slower than it goes unabsorbed, and in a closed box rings.
const ALPHA: f64 = 0.25;
/// Smallest share of the largest frequency shift, at the outer edge.
const ALPHA_FLOOR: f64 = 0.05;

/// Filter coefficients per cell of the layer of one axis: `a` and `b` of the recursive convolution.
///
/// With damping `d` and frequency shift `α`, `b = exp(−(d + α) Δt)` and `a = d / (d + α) (b − 1)` (Komatitsch & Martin
/// 2007, eq. 25, κ = 1). `d` grows with the square of the depth into the layer, such that a wave at normal incidence
/// comes back with 1e-4 of its amplitude; more damping on 20 cells reflects more where the differences are of order 2.
/// `α` falls linearly from `π f / 4` to a twentieth of that and stays positive, which keeps long runs stable.
/// Damping, shift and exponent were chosen by a scan; the figures are in `docs/verification.md`.
#[derive(Clone, Debug)]
pub struct Profile<T> {
    /// `a`, first the cells before the model, then those behind it.
    pub a: Vec<T>,
    /// `b`.
    pub b: Vec<T>,
}

impl<T: Real> Profile<T> {
    /// A layer of `lo` cells before and `hi` behind the model.
    ///
    /// `vp_m_per_s` is an upper bound of the velocity and `frequency_hz` the dominant frequency of the source.
    pub fn new(lo: usize, hi: usize, spacing_m: f64, vp_m_per_s: f64, frequency_hz: f64, dt_s: f64) -> Self {
        let depth = |i: usize| if i < lo { (lo - i) as f64 / lo as f64 } else { (i - lo + 1) as f64 / hi as f64 };
        let width = |i: usize| if i < lo { lo as f64 } else { hi as f64 } * spacing_m;
        let alpha_max = ALPHA * PI * frequency_hz;
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for i in 0..lo + hi {
            let x = depth(i);
            let largest = -(POWER as f64 + 1.0) * vp_m_per_s * REFLECTION.ln() / (2.0 * width(i));
            let damping = largest * x.powi(POWER);
            let alpha = alpha_max * (1.0 - (1.0 - ALPHA_FLOOR) * x);
            let decay = (-(damping + alpha) * dt_s).exp();
            a.push(T::from_f64(damping / (damping + alpha) * (decay - 1.0)));
            b.push(T::from_f64(decay));
        }
        Profile { a, b }
    }
}
