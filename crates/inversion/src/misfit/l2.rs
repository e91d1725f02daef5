//! Least squares.

/// `½ Σ (p − d)² Δt`, and `(p − d) Δt`.
pub(super) fn evaluate(predicted: &[f64], observed: &[f64], record_s: f64, derivative: &mut [f64]) -> f64 {
    let mut sum = 0.0;
    for ((p, d), out) in predicted.iter().zip(observed).zip(derivative) {
        let residual = p - d;
        sum += residual * residual;
        *out = residual * record_s;
    }
    0.5 * record_s * sum
}
