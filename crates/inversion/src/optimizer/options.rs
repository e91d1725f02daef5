//! The options of the optimiser and what they must satisfy.

use super::OptimizerError;

/// Options of [`Lbfgs`](super::Lbfgs).
#[derive(Clone, Debug, PartialEq)]
pub struct LbfgsOptions {
    /// Pairs of steps and gradient changes kept; 0 is steepest descent.
    pub memory: usize,
    /// Largest relative change of a model element, in percent, in the first trial when there is no history.
    pub max_step_percent: f64,
    /// No iteration changes an element by more than this factor times `max_step_percent`; may be infinite.
    pub step_limit_factor: f64,
    /// Sufficient decrease of the Wolfe conditions, c₁.
    pub sufficient_decrease: f64,
    /// Curvature of the strong Wolfe conditions, c₂.
    pub curvature: f64,
    /// Evaluations that one line search may use.
    pub evaluations_per_search: usize,
    /// A pair enters the history only if the cosine between step and gradient change exceeds this.
    pub pair_tolerance: f64,
    /// Stop when the projected gradient norm falls below this fraction of its first value; 0: only at zero gradient.
    pub gradient_tolerance: f64,
    /// Stop when an iteration lowers the misfit by no more than this fraction of it.
    pub decrease_tolerance: f64,
    /// Evaluations allowed altogether, counted from the start of the state.
    pub max_evaluations: u64,
}

impl Default for LbfgsOptions {
    fn default() -> Self {
        LbfgsOptions {
            memory: 10,
            max_step_percent: 3.0,
            step_limit_factor: 3.0,
            sufficient_decrease: 1e-4,
            curvature: 0.9,
            evaluations_per_search: 10,
            pair_tolerance: 1e-10,
            gradient_tolerance: 0.0,
            decrease_tolerance: 0.0,
            max_evaluations: u64::MAX,
        }
    }
}

impl LbfgsOptions {
    /// Refuses what the method cannot work with.
    pub(super) fn check(&self) -> Result<(), OptimizerError> {
        let c1 = self.sufficient_decrease;
        let searches = self.evaluations_per_search as f64;
        let rules: [(&'static str, f64, bool, &'static str); 8] = [
            (
                "max_step_percent",
                self.max_step_percent,
                self.max_step_percent > 0.0 && self.max_step_percent.is_finite(),
                "a positive finite number",
            ),
            ("step_limit_factor", self.step_limit_factor, self.step_limit_factor >= 1.0, "at least 1"),
            ("sufficient_decrease", c1, c1 > 0.0 && c1 < 1.0, "between 0 and 1"),
            (
                "curvature",
                self.curvature,
                self.curvature >= c1 && self.curvature < 1.0,
                "between sufficient_decrease and 1",
            ),
            ("evaluations_per_search", searches, searches >= 1.0, "at least 1"),
            ("pair_tolerance", self.pair_tolerance, (0.0..1.0).contains(&self.pair_tolerance), "at least 0, below 1"),
            (
                "gradient_tolerance",
                self.gradient_tolerance,
                (0.0..1.0).contains(&self.gradient_tolerance),
                "at least 0, below 1",
            ),
            (
                "decrease_tolerance",
                self.decrease_tolerance,
                (0.0..1.0).contains(&self.decrease_tolerance),
                "at least 0, below 1",
            ),
        ];
        match rules.into_iter().find(|rule| !rule.2) {
            Some((name, value, _, expected)) => Err(OptimizerError::Option { name, value, expected }),
            None => Ok(()),
        }
    }
}
