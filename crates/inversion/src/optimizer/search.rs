//! Trials along a line: what connects the line search with bounds, step limit and objective.

use super::line_search::{MoreThuente, Verdict};
use super::space::Magnitude;
use super::subspace::largest_fraction;
use super::{Evaluation, EvaluationError, Lbfgs, LbfgsState, Objective, OptimizerError, StepError, sums};
use std::cmp::Ordering;

/// The trials of one call of [`Lbfgs::step`] and what there is to say about them.
#[derive(Default)]
pub(super) struct Tally {
    pub trials: u64,
    pub messages: Vec<String>,
}

/// How a search ends.
pub(super) enum SearchEnd {
    /// A lower misfit, at `step` from the model towards the proposed point.
    Found { step: f64, evaluation: Evaluation },
    /// No trial was lower.
    Nothing,
    /// The evaluations allowed are used up, and no trial was lower.
    OutOfEvaluations,
}

impl Lbfgs {
    /// Searches the line from the model to `point` and beyond; `trial` is overwritten.
    pub(super) fn search<O: Objective>(
        &self,
        state: &LbfgsState,
        objective: &mut O,
        point: &[f64],
        trial: &mut [f64],
        tally: &mut Tally,
    ) -> Result<SearchEnd, StepError<O::Failure>> {
        let (x, current) = (&state.x, state.current());
        let slope_of = |gradient: &[f64]| sums::sum(x.len(), |i| gradient[i] * (point[i] - x[i]));
        let slope = slope_of(&current.gradient);
        if slope.partial_cmp(&0.0) != Some(Ordering::Less) {
            tally.messages.push(format!("the proposed point does not lie downhill (slope {slope:.1e})"));
            return Ok(SearchEnd::Nothing);
        }
        let limit = self.step_limit(x, point);
        let (c1, c2) = (self.options.sufficient_decrease, self.options.curvature);
        let mut search = MoreThuente::new(current.value, slope, limit.min(1.0), limit, c1, c2);
        let mut best: Option<(f64, Evaluation)> = None;
        for _ in 0..self.options.evaluations_per_search {
            if self.evaluations_stop(state.evaluations + tally.trials).is_some() {
                return Ok(best.map_or(SearchEnd::OutOfEvaluations, found));
            }
            let step = search.trial();
            self.place(x, point, step, trial);
            tally.trials += 1;
            let verdict = match self.evaluate(objective, trial)? {
                Err(reason) => {
                    tally.messages.push(format!("the trial at step {step:.3e} was rejected: {reason}"));
                    search.reject()
                }
                Ok(evaluation) => {
                    let verdict = search.observe(evaluation.value, slope_of(&evaluation.gradient));
                    if matches!(verdict, Verdict::Wolfe | Verdict::AtLimit) {
                        return Ok(SearchEnd::Found { step, evaluation });
                    }
                    if evaluation.value < best.as_ref().map_or(current.value, |(_, e)| e.value) {
                        best = Some((step, evaluation));
                    }
                    verdict
                }
            };
            if verdict == Verdict::Exhausted {
                break;
            }
        }
        if let Some((step, _)) = &best {
            tally
                .messages
                .push(format!("no trial satisfies the Wolfe conditions: the lowest is taken, at step {step:.3e}"));
        }
        Ok(best.map_or(SearchEnd::Nothing, found))
    }

    /// The longest step towards `point` that bounds and the largest change allowed permit.
    fn step_limit(&self, x: &[f64], point: &[f64]) -> f64 {
        let direction = |i: usize| point[i] - x[i];
        let largest_change = 0.01 * self.options.max_step_percent * self.options.step_limit_factor;
        let cap = largest_change / Magnitude::of(x).largest_change(x, direction);
        // The proposed point is within the bounds: what rounding takes from 1 is given back.
        largest_fraction(&self.space, x, direction).max(1.0).min(cap)
    }

    /// Writes the model at `step` on the line from `x` to `point` into `trial`, within the bounds to the bit.
    pub(super) fn place(&self, x: &[f64], point: &[f64], step: f64, trial: &mut [f64]) {
        if step == 1.0 {
            // Elements that the proposal puts on a bound get there exactly.
            trial.copy_from_slice(point);
            return;
        }
        for (i, t) in trial.iter_mut().enumerate() {
            *t = self.space.bounds.clamp(i, x[i] + step * (point[i] - x[i]));
        }
    }

    /// Asks the objective; the inner error is the reason why the model was rejected.
    pub(super) fn evaluate<O: Objective>(
        &self,
        objective: &mut O,
        x: &[f64],
    ) -> Result<Result<Evaluation, String>, StepError<O::Failure>> {
        let evaluation = match objective.evaluate(x) {
            Ok(evaluation) => evaluation,
            Err(EvaluationError::Rejected(reason)) => return Ok(Err(reason)),
            Err(EvaluationError::Fatal(failure)) => return Err(StepError::Fatal(failure)),
        };
        let (found, expected) = (evaluation.gradient.len(), x.len());
        if found != expected {
            return Err(OptimizerError::Length { what: "the gradient", found, expected }.into());
        }
        if !evaluation.value.is_finite() {
            return Ok(Err(format!("the misfit is {}", evaluation.value)));
        }
        Ok(match evaluation.gradient.iter().position(|v| !v.is_finite()) {
            Some(index) => Err(format!("element {index} of the gradient is {}", evaluation.gradient[index])),
            None => Ok(evaluation),
        })
    }
}

fn found((step, evaluation): (f64, Evaluation)) -> SearchEnd {
    SearchEnd::Found { step, evaluation }
}
