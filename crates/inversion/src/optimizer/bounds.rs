//! The interval in which each model element may move.

use super::OptimizerError;

/// Lower and upper bounds of every model element, in the element's unit. Infinite bounds are none; equal bounds freeze
/// the element.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    lower: Vec<f64>,
    upper: Vec<f64>,
}

impl Bounds {
    /// Bounds element by element.
    ///
    /// # Errors
    /// Refuses lengths that differ, NaN, `lower > upper`, and an interval that holds no finite number.
    pub fn new(lower: Vec<f64>, upper: Vec<f64>) -> Result<Self, OptimizerError> {
        if lower.len() != upper.len() {
            return Err(OptimizerError::Length {
                what: "the list of upper bounds",
                found: upper.len(),
                expected: lower.len(),
            });
        }
        for (index, (&lower, &upper)) in lower.iter().zip(&upper).enumerate() {
            // Written so that NaN fails.
            let usable = lower <= upper && lower < f64::INFINITY && upper > f64::NEG_INFINITY;
            if !usable {
                return Err(OptimizerError::Bounds { index, lower, upper });
            }
        }
        Ok(Bounds { lower, upper })
    }

    /// The same bounds for all of `n` elements.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn uniform(n: usize, lower: f64, upper: f64) -> Result<Self, OptimizerError> {
        Self::new(vec![lower; n], vec![upper; n])
    }

    /// No bounds for `n` elements.
    pub fn none(n: usize) -> Self {
        Bounds { lower: vec![f64::NEG_INFINITY; n], upper: vec![f64::INFINITY; n] }
    }

    /// Freezes an element at `value`; out-of-range indices are a caller's bug and panic.
    pub fn freeze(&mut self, index: usize, value: f64) -> Result<(), OptimizerError> {
        if !value.is_finite() {
            return Err(OptimizerError::Bounds { index, lower: value, upper: value });
        }
        self.lower[index] = value;
        self.upper[index] = value;
        Ok(())
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.lower.len()
    }
    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.lower.is_empty()
    }
    /// Lower bounds.
    pub fn lower(&self) -> &[f64] {
        &self.lower
    }
    /// Upper bounds.
    pub fn upper(&self) -> &[f64] {
        &self.upper
    }

    /// Whether element `i` cannot move at all.
    pub(super) fn frozen(&self, i: usize) -> bool {
        self.lower[i] == self.upper[i]
    }
    /// The value nearest to `value` that element `i` may take.
    pub(super) fn clamp(&self, i: usize, value: f64) -> f64 {
        value.clamp(self.lower[i], self.upper[i])
    }
    /// Whether `value` lies strictly between the bounds of element `i`.
    pub(super) fn inside(&self, i: usize, value: f64) -> bool {
        self.lower[i] < value && value < self.upper[i]
    }
    /// Refuses a model that has another length or leaves the bounds.
    pub(super) fn admit(&self, x: &[f64]) -> Result<(), OptimizerError> {
        if x.len() != self.len() {
            return Err(OptimizerError::Length { what: "the model", found: x.len(), expected: self.len() });
        }
        let refused = (0..x.len()).find(|&i| !(x[i].is_finite() && self.lower[i] <= x[i] && x[i] <= self.upper[i]));
        refused.map_or(Ok(()), |index| {
            let (lower, upper) = (self.lower[index], self.upper[index]);
            Err(OptimizerError::OutsideBounds { index, value: x[index], lower, upper })
        })
    }
}
