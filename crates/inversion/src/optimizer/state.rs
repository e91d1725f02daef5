//! What changes from iteration to iteration, and how it is saved.

use super::compact::Pair;
use super::{Evaluation, OptimizerError};
use std::collections::{HashMap, VecDeque};

/// Model, misfit, gradient and history after an accepted iteration.
#[derive(Clone, Debug, PartialEq)]
pub struct LbfgsState {
    pub(super) x: Vec<f64>,
    /// Misfit and gradient at `x`, unless the objective has changed since.
    pub(super) evaluation: Option<Evaluation>,
    /// Oldest first.
    pub(super) pairs: VecDeque<Pair>,
    /// Projected gradient norm at the first evaluation of the current objective.
    pub(super) first_norm: Option<f64>,
    pub(super) iterations: u64,
    pub(super) evaluations: u64,
}

/// A saved state: named arrays and named counts, to be written by the storage as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedState<A> {
    /// `x`; if evaluated, `value` (1 element) and `gradient`; `first_norm` (1 element) once a step was made; for each
    /// pair of the history, oldest first, `s_000`, `y_000`, `s_001` …
    pub arrays: Vec<(String, A)>,
    /// `iterations` and `evaluations` from the start.
    pub counts: Vec<(String, u64)>,
}

impl LbfgsState {
    pub(super) fn new(x: Vec<f64>) -> Self {
        LbfgsState { x, evaluation: None, pairs: VecDeque::new(), first_norm: None, iterations: 0, evaluations: 0 }
    }

    /// The model.
    pub fn x(&self) -> &[f64] {
        &self.x
    }
    /// The misfit at the model; `None` before the first step and after [`forget`](Self::forget).
    pub fn value(&self) -> Option<f64> {
        self.evaluation.as_ref().map(|e| e.value)
    }
    /// The gradient at the model; `None` when there is no [`value`](Self::value).
    pub fn gradient(&self) -> Option<&[f64]> {
        self.evaluation.as_ref().map(|e| e.gradient.as_slice())
    }
    /// Iterations accepted since the start.
    pub fn iterations(&self) -> u64 {
        self.iterations
    }
    /// Evaluations since the start; those of a step that failed are not counted.
    pub fn evaluations(&self) -> u64 {
        self.evaluations
    }
    /// Number of pairs in the history.
    pub fn history(&self) -> usize {
        self.pairs.len()
    }

    /// Misfit and gradient inside a step, which evaluates before all else.
    pub(super) fn current(&self) -> &Evaluation {
        self.evaluation.as_ref().expect("a step evaluates first")
    }

    /// Keeps the model and drops what belongs to the old objective: value, gradient, history, first gradient norm. To be
    /// called when a stage changes the objective.
    pub fn forget(&mut self) {
        self.evaluation = None;
        self.pairs.clear();
        self.first_norm = None;
    }

    /// The state as named arrays, borrowed, and counts.
    pub fn export(&self) -> SavedState<&[f64]> {
        let mut arrays = vec![("x".to_string(), self.x.as_slice())];
        if let Some(evaluation) = &self.evaluation {
            arrays.push(("value".to_string(), std::slice::from_ref(&evaluation.value)));
            arrays.push(("gradient".to_string(), &evaluation.gradient));
        }
        if let Some(norm) = &self.first_norm {
            arrays.push(("first_norm".to_string(), std::slice::from_ref(norm)));
        }
        for (j, pair) in self.pairs.iter().enumerate() {
            arrays.push((format!("s_{j:03}"), &pair.s));
            arrays.push((format!("y_{j:03}"), &pair.y));
        }
        let counts = vec![("iterations".to_string(), self.iterations), ("evaluations".to_string(), self.evaluations)];
        SavedState { arrays, counts }
    }

    /// The state that [`export`](Self::export) gave; the order of the entries does not matter.
    ///
    /// # Errors
    /// Refuses entries that are missing, unknown, of the wrong length or not finite.
    pub fn import(saved: SavedState<Vec<f64>>) -> Result<Self, OptimizerError> {
        let mut arrays: HashMap<String, Vec<f64>> = saved.arrays.into_iter().collect();
        let mut counts: HashMap<String, u64> = saved.counts.into_iter().collect();
        let mut count =
            |name: &str| counts.remove(name).ok_or_else(|| OptimizerError::SavedMissing { name: name.to_string() });
        let (iterations, evaluations) = (count("iterations")?, count("evaluations")?);
        let n = arrays.get("x").map_or(0, Vec::len);
        let x = required(&mut arrays, "x", n)?;
        let value = optional(&mut arrays, "value", 1)?.map(|v| v[0]);
        let evaluation = match value {
            Some(value) => Some(Evaluation { value, gradient: required(&mut arrays, "gradient", n)? }),
            None => None,
        };
        let first_norm = optional(&mut arrays, "first_norm", 1)?.map(|v| v[0]);
        let mut pairs = VecDeque::new();
        while let Some(s) = optional(&mut arrays, &format!("s_{:03}", pairs.len()), n)? {
            let y = required(&mut arrays, &format!("y_{:03}", pairs.len()), n)?;
            pairs.push_back(Pair { s, y });
        }
        match arrays.into_keys().chain(counts.into_keys()).min() {
            Some(name) => Err(OptimizerError::SavedUnknown { name }),
            None => Ok(LbfgsState { x, evaluation, pairs, first_norm, iterations, evaluations }),
        }
    }
}

fn required(arrays: &mut HashMap<String, Vec<f64>>, name: &str, expected: usize) -> Result<Vec<f64>, OptimizerError> {
    optional(arrays, name, expected)?.ok_or_else(|| OptimizerError::SavedMissing { name: name.to_string() })
}

fn optional(
    arrays: &mut HashMap<String, Vec<f64>>,
    name: &str,
    expected: usize,
) -> Result<Option<Vec<f64>>, OptimizerError> {
    let Some(array) = arrays.remove(name) else { return Ok(None) };
    let (name, found) = (name.to_string(), array.len());
    if found != expected {
        return Err(OptimizerError::SavedLength { name, found, expected });
    }
    match array.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(OptimizerError::SavedNotFinite { name, index, value: array[index] }),
        None => Ok(Some(array)),
    }
}
