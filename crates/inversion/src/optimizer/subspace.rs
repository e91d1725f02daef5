//! The minimum of the quadratic model over the elements that the Cauchy point leaves between their bounds.
//!
//! # References
//! Byrd, Lu, Nocedal & Zhu (1995), direct primal method; Morales & Nocedal (2011), "Remark on Algorithm 778", for the
//! projection of the minimum onto the bounds instead of a shortened step wherever that descends.

use super::compact::Compact;
use super::space::Space;
use super::sums;
use nalgebra::DVector;

/// Moves `point`, the Cauchy point, to the minimum in the free elements. `displacement` is `Wᵀ(point − x)`; `scratch`
/// is overwritten. If the small system cannot be solved the Cauchy point stays.
pub(super) fn minimise(
    space: &Space,
    hessian: &Compact<'_>,
    x: &[f64],
    g: &[f64],
    displacement: &DVector<f64>,
    point: &mut [f64],
    scratch: &mut [f64],
) {
    let theta = hessian.theta;
    let gamma = 1.0 / theta;
    let free = |i: usize, value: f64| space.bounds.inside(i, value);
    let (gram, linear) = hessian.reduced(
        |i| free(i, point[i]),
        |i| {
            let root = space.weight(i).sqrt();
            root * g[i] + theta * (point[i] - x[i]) / root
        },
    );
    // Woodbury: B_F⁻¹ = γP + γP W (M⁻¹ − γWᵀPW)⁻¹ Wᵀ γP, applied to the model's gradient at the Cauchy point.
    let middle_displacement = &hessian.middle * displacement;
    let right = linear - &gram * &middle_displacement;
    let Some(solution) = (&hessian.middle_inverse - gamma * gram).lu().solve(&right) else { return };
    let k = gamma * solution - middle_displacement;
    if !k.iter().all(|v| v.is_finite()) {
        return;
    }
    hessian.preconditioned(&k, g, scratch);
    for i in 0..x.len() {
        scratch[i] = if free(i, point[i]) { x[i] - gamma * scratch[i] } else { point[i] };
    }
    let slope = sums::sum(x.len(), |i| g[i] * (space.bounds.clamp(i, scratch[i]) - x[i]));
    if slope < 0.0 {
        for (i, p) in point.iter_mut().enumerate() {
            *p = space.bounds.clamp(i, scratch[i]);
        }
    } else {
        shorten(space, point, scratch);
    }
}

/// Moves `point` towards `goal` until the first bound.
fn shorten(space: &Space, point: &mut [f64], goal: &[f64]) {
    let fraction = largest_fraction(space, point, |i| goal[i] - point[i]).min(1.0);
    for (i, p) in point.iter_mut().enumerate() {
        *p = space.bounds.clamp(i, *p + fraction * (goal[i] - *p));
    }
}

/// The largest `α` for which `from + α·direction` keeps the bounds.
pub(super) fn largest_fraction(space: &Space, from: &[f64], direction: impl Fn(usize) -> f64) -> f64 {
    let (lower, upper) = (space.bounds.lower(), space.bounds.upper());
    (0..from.len()).fold(f64::INFINITY, |fraction, i| {
        let d = direction(i);
        if d > 0.0 {
            fraction.min((upper[i] - from[i]) / d)
        } else if d < 0.0 {
            fraction.min((lower[i] - from[i]) / d)
        } else {
            fraction
        }
    })
}
