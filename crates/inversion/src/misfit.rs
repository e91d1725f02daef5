//! How predicted and observed traces are compared.
//!
//! To add a misfit, write `misfit/<name>.rs` and add its variant here.

mod l2;

/// The misfits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Least squares, see [`Misfit::evaluate`].
    L2,
}

impl Misfit {
    /// Value of the misfit of one shot, and its derivative with respect to every predicted sample.
    ///
    /// `L2`: `J = ½ Σ (p − d)² Δt` in Pa² s (Tarantola 1984), with `Δt = record_s`.
    ///
    /// All slices hold the same samples, `(trace, time)` in Pa; the derivative is in units of the misfit per Pa.
    pub fn evaluate(self, predicted: &[f64], observed: &[f64], record_s: f64, derivative: &mut [f64]) -> f64 {
        match self {
            Misfit::L2 => l2::evaluate(predicted, observed, record_s, derivative),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derivative_is_that_of_the_value_and_equal_data_have_none() {
        let observed: Vec<f64> = (0..40).map(|i| (i as f64).sin()).collect();
        let predicted: Vec<f64> = (0..40).map(|i| (i as f64 * 1.1).cos()).collect();
        for misfit in [Misfit::L2] {
            let mut derivative = vec![1.0; 40];
            assert_eq!(misfit.evaluate(&observed, &observed, 0.004, &mut derivative), 0.0);
            assert!(derivative.iter().all(|&d| d == 0.0));
            misfit.evaluate(&predicted, &observed, 0.004, &mut derivative);
            for i in [0, 7, 39] {
                let value = |h: f64| {
                    let mut moved = predicted.clone();
                    moved[i] += h;
                    misfit.evaluate(&moved, &observed, 0.004, &mut vec![0.0; 40])
                };
                let numeric = (value(1e-4) - value(-1e-4)) / 2e-4;
                assert!((numeric - derivative[i]).abs() < 1e-9, "{misfit:?} {i}: {numeric} {}", derivative[i]);
            }
        }
    }
}
