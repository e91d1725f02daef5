//! Bounds and preconditioner: the geometry in which the optimiser works.
//!
//! A positive diagonal preconditioner `P` (an approximate inverse Hessian) is a change of variables `x = √P z`. In `z`
//! everything is the plain method. The vectors stay in `x`; only the inner products carry the weights:
//! `z_aᵀz_b = aᵀP⁻¹b` for models and steps, `aᵀPb` for gradients, and a step paired with a gradient needs none.

use super::{Bounds, OptimizerError, sums};

/// Bounds and preconditioner of one stage.
#[derive(Clone, Debug)]
pub(super) struct Space {
    pub bounds: Bounds,
    preconditioner: Option<Vec<f64>>,
}

impl Space {
    pub fn new(bounds: Bounds, preconditioner: Option<Vec<f64>>) -> Result<Self, OptimizerError> {
        if let Some(p) = &preconditioner {
            if p.len() != bounds.len() {
                let (found, expected) = (p.len(), bounds.len());
                return Err(OptimizerError::Length { what: "the preconditioner", found, expected });
            }
            if let Some(index) = p.iter().position(|&value| !(value.is_finite() && value > 0.0)) {
                return Err(OptimizerError::Preconditioner { index, value: p[index] });
            }
        }
        Ok(Space { bounds, preconditioner })
    }

    /// Number of model elements.
    pub fn len(&self) -> usize {
        self.bounds.len()
    }
    /// The preconditioner's element `P_i`.
    pub fn weight(&self, i: usize) -> f64 {
        self.preconditioner.as_ref().map_or(1.0, |p| p[i])
    }

    /// Where the path `x_i − t P_i g_i` meets a bound: 0 for an element that cannot move, infinite for one that never
    /// gets there.
    pub fn breakpoint(&self, i: usize, x: f64, gradient: f64) -> f64 {
        let speed = self.weight(i) * gradient;
        if self.bounds.frozen(i) {
            0.0
        } else if speed > 0.0 {
            (x - self.bounds.lower()[i]) / speed
        } else if speed < 0.0 {
            (x - self.bounds.upper()[i]) / speed
        } else {
            f64::INFINITY
        }
    }
    /// Whether descent moves the element.
    pub fn moves(&self, i: usize, x: f64, gradient: f64) -> bool {
        gradient != 0.0 && self.breakpoint(i, x, gradient) > 0.0
    }
    /// `√(Σ P_i g_i²)` over the elements that descent moves.
    pub fn projected_norm(&self, x: &[f64], gradient: &[f64]) -> f64 {
        let square =
            |i: usize| if self.moves(i, x[i], gradient[i]) { self.weight(i) * gradient[i].powi(2) } else { 0.0 };
        sums::sum(self.len(), square).sqrt()
    }
}

/// What relative changes of a model are relative to: each element's magnitude, but at least a hundredth of the
/// largest one (1 for a model of zeros), so that an element near zero does not hold up all others.
pub(super) struct Magnitude {
    floor: f64,
}

impl Magnitude {
    pub fn of(x: &[f64]) -> Self {
        let largest = x.iter().fold(0.0_f64, |largest, v| largest.max(v.abs()));
        Magnitude { floor: if largest > 0.0 { 0.01 * largest } else { 1.0 } }
    }
    /// The largest `|change(i)| / magnitude of x_i`.
    pub fn largest_change(&self, x: &[f64], change: impl Fn(usize) -> f64) -> f64 {
        x.iter().enumerate().fold(0.0_f64, |largest, (i, v)| largest.max(change(i).abs() / v.abs().max(self.floor)))
    }
}
