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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_8_has_the_published_weights() {
        let c = second_derivative(4);
        for (k, expected) in [-205.0 / 72.0, 8.0 / 5.0, -1.0 / 5.0, 8.0 / 315.0, -1.0 / 560.0].iter().enumerate() {
            assert!((c[k] - expected).abs() < 1e-15, "{k}: {} {expected}", c[k]);
        }
        let d = first_derivative(4);
        for (k, expected) in [0.0, 4.0 / 5.0, -1.0 / 5.0, 4.0 / 105.0, -1.0 / 280.0].iter().enumerate() {
            assert!((d[k] - expected).abs() < 1e-15, "{k}: {} {expected}", d[k]);
        }
    }

    #[test]
    fn differences_are_exact_for_polynomials_up_to_their_order() {
        for radius in 1..=MAX_RADIUS {
            let (c, d) = (second_derivative(radius), first_derivative(radius));
            for power in 0..=2 * radius {
                let f = |k: i64| (k as f64 / radius as f64).powi(power as i32);
                let second: f64 =
                    c[0] * f(0) + (1..=radius).map(|k| c[k] * (f(k as i64) + f(-(k as i64)))).sum::<f64>();
                let first: f64 = (1..=radius).map(|k| d[k] * (f(k as i64) - f(-(k as i64)))).sum();
                let h = 1.0 / radius as f64;
                let exact_second = if power == 2 { 2.0 } else { 0.0 };
                let exact_first = if power == 1 { 1.0 } else { 0.0 };
                assert!((second / (h * h) - exact_second).abs() < 1e-9, "order {} power {power}", 2 * radius);
                assert!((first / h - exact_first).abs() < 1e-10, "order {} power {power}", 2 * radius);
            }
        }
    }
}
