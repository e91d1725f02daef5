//! One iteration of the bounded L-BFGS method.

use super::cauchy::cauchy_point;
use super::compact::{Compact, Pair};
use super::search::{SearchEnd, Tally};
use super::space::{Magnitude, Space};
use super::subspace::minimise;
use super::{
    Bounds, Evaluation, IterationReport, LbfgsOptions, LbfgsState, Objective, OptimizerError, StepError, StopReason,
    sums,
};
use std::cmp::Ordering;

/// Bounded L-BFGS with a diagonal preconditioner: what stays fixed within a stage.
///
/// An iteration models the misfit by a quadratic whose Hessian comes from the last pairs of steps `s` and gradient
/// changes `y`, starting from the inverse Hessian `γP` with `γ = sᵀy / yᵀPy`; goes to the first minimum along the
/// projected path of steepest descent (the generalised Cauchy point); minimises the model in the elements that are then
/// between their bounds; and searches the line to that point, with the true gradient, for the strong Wolfe conditions.
/// The search ends at the longest step that bounds and `step_limit_factor` allow if the misfit still falls there.
/// Without history the path is one of steepest descent in the metric of `P`, scaled by `max_step_percent`.
///
/// Memory: bounds and preconditioner, `2 · memory` history vectors, model and gradient, and at most five vectors while
/// a step is made. Nothing runs in parallel; results depend on the arguments alone.
///
/// # Assumptions
/// The misfit is continuously differentiable between the bounds, and its gradient is exact.
///
/// # References
/// Byrd, Lu, Nocedal & Zhu (1995), "A limited memory algorithm for bound constrained optimization"; Moré & Thuente
/// (1994), "Line search algorithms with guaranteed sufficient decrease"; Morales & Nocedal (2011), "Remark on
/// Algorithm 778".
#[derive(Clone, Debug)]
pub struct Lbfgs {
    pub(super) options: LbfgsOptions,
    pub(super) space: Space,
}

impl Lbfgs {
    /// An optimiser for models of `bounds.len()` elements.
    ///
    /// `preconditioner` is the diagonal of an approximate inverse Hessian up to a factor, in squared units of the
    /// elements; `None` is the identity.
    ///
    /// # Errors
    /// Refuses options out of range, a preconditioner of another length, and elements of it that are not positive and
    /// finite.
    pub fn new(
        options: LbfgsOptions,
        bounds: Bounds,
        preconditioner: Option<Vec<f64>>,
    ) -> Result<Self, OptimizerError> {
        options.check()?;
        Ok(Lbfgs { options, space: Space::new(bounds, preconditioner)? })
    }

    /// The options.
    pub fn options(&self) -> &LbfgsOptions {
        &self.options
    }
    /// The bounds.
    pub fn bounds(&self) -> &Bounds {
        &self.space.bounds
    }

    /// The state before the first iteration, at the model `x`.
    ///
    /// # Errors
    /// Refuses a model of another length or outside the bounds.
    pub fn start(&self, x: Vec<f64>) -> Result<LbfgsState, OptimizerError> {
        self.space.bounds.admit(&x)?;
        Ok(LbfgsState::new(x))
    }

    /// Makes one accepted iteration, or finds that there is none to make (`stopped_because` in the report).
    ///
    /// # Errors
    /// A state or gradient that does not fit, a start that is rejected, and the objective's own failure. The state then
    /// is that of the last accepted iteration, so that the step can be made again with the same bits.
    pub fn step<O: Objective>(
        &self,
        state: &mut LbfgsState,
        objective: &mut O,
    ) -> Result<IterationReport, StepError<O::Failure>> {
        self.space.bounds.admit(&state.x)?;
        let mut evaluations = 0;
        if state.evaluation.is_none() {
            let first = self.evaluate(objective, &state.x)?.map_err(StepError::StartRejected)?;
            state.evaluation = Some(first);
            evaluations += 1;
            state.evaluations += 1;
        }
        let current = state.current();
        let norm = self.space.projected_norm(&state.x, &current.gradient);
        let mut report = IterationReport {
            iteration: state.iterations,
            value: current.value,
            projected_gradient_norm: norm,
            step_length: 0.0,
            step_percent: 0.0,
            evaluations,
            messages: Vec::new(),
            stopped_because: None,
        };
        let first_norm = *state.first_norm.get_or_insert(norm);
        report.stopped_because = self.gradient_stop(norm, first_norm).or(self.evaluations_stop(state.evaluations));
        if report.stopped_because.is_none() {
            let mut tally = Tally::default();
            self.iterate(state, objective, &mut tally, &mut report)?;
            state.evaluations += tally.trials;
            report.evaluations += tally.trials;
            report.messages = tally.messages;
        }
        Ok(report)
    }

    fn gradient_stop(&self, norm: f64, first_norm: f64) -> Option<StopReason> {
        let tolerance = self.options.gradient_tolerance;
        (norm <= tolerance * first_norm).then_some(StopReason::Gradient { norm, first_norm, tolerance })
    }

    pub(super) fn evaluations_stop(&self, evaluations: u64) -> Option<StopReason> {
        let limit = self.options.max_evaluations;
        (evaluations >= limit).then_some(StopReason::Evaluations { limit })
    }

    /// Proposes a point, searches the line to it, and accepts what the search found; if it found nothing, once more
    /// without history.
    fn iterate<O: Objective>(
        &self,
        state: &mut LbfgsState,
        objective: &mut O,
        tally: &mut Tally,
        report: &mut IterationReport,
    ) -> Result<(), StepError<O::Failure>> {
        let surplus = state.pairs.len().saturating_sub(self.options.memory);
        state.pairs.drain(..surplus);
        let (mut point, mut trial) = (vec![0.0; state.x.len()], vec![0.0; state.x.len()]);
        let mut history = !state.pairs.is_empty();
        loop {
            if history && !self.propose(state, &mut point, &mut trial) {
                tally.messages.push("rounding has spoilt the history: it is dropped".to_string());
                history = false;
            }
            if !history {
                self.propose_steepest(state, &mut point);
            }
            match self.search(state, objective, &point, &mut trial, tally)? {
                SearchEnd::Nothing if history => {
                    tally.messages.push("no trial lowered the misfit: the history is dropped".to_string());
                    history = false;
                    continue;
                }
                SearchEnd::Nothing => {
                    state.pairs.clear();
                    report.stopped_because = Some(StopReason::NoDecrease { trials: tally.trials });
                }
                SearchEnd::OutOfEvaluations => {
                    report.stopped_because = Some(StopReason::Evaluations { limit: self.options.max_evaluations });
                }
                SearchEnd::Found { step, evaluation } => {
                    if !history {
                        state.pairs.clear();
                    }
                    self.place(&state.x, &point, step, &mut trial);
                    report.step_length = step;
                    self.accept(state, evaluation, trial, tally, report);
                }
            }
            return Ok(());
        }
    }

    /// Writes the minimum of the quadratic model within the bounds into `point`; false if the history is unusable.
    fn propose(&self, state: &LbfgsState, point: &mut [f64], scratch: &mut [f64]) -> bool {
        let (x, g) = (&state.x, &state.current().gradient);
        let Some(hessian) = Compact::new(&self.space, &state.pairs, x, g) else { return false };
        let displacement = cauchy_point(&self.space, &hessian, x, g, point);
        minimise(&self.space, &hessian, x, g, &displacement, point, scratch);
        true
    }

    /// Writes the projected step of steepest descent into `point`, scaled to the largest relative change allowed.
    fn propose_steepest(&self, state: &LbfgsState, point: &mut [f64]) {
        let (x, g, space) = (&state.x, &state.current().gradient, &self.space);
        let speed = |i: usize| if space.moves(i, x[i], g[i]) { space.weight(i) * g[i] } else { 0.0 };
        let gamma = 0.01 * self.options.max_step_percent / Magnitude::of(x).largest_change(x, speed);
        for (i, p) in point.iter_mut().enumerate() {
            *p = space.bounds.clamp(i, x[i] - gamma * speed(i));
        }
    }

    /// Makes `trial` the model, extends the history, and completes the report.
    fn accept(
        &self,
        state: &mut LbfgsState,
        evaluation: Evaluation,
        trial: Vec<f64>,
        tally: &mut Tally,
        report: &mut IterationReport,
    ) {
        let old_value = state.current().value;
        report.step_percent = 100.0 * Magnitude::of(&state.x).largest_change(&state.x, |i| trial[i] - state.x[i]);
        self.remember(state, &trial, &evaluation.gradient, tally);
        let value = evaluation.value;
        state.x = trial;
        state.evaluation = Some(evaluation);
        state.iterations += 1;
        let norm = self.space.projected_norm(&state.x, &state.current().gradient);
        let first_norm = *state.first_norm.get_or_insert(norm);
        report.iteration = state.iterations;
        report.value = value;
        report.projected_gradient_norm = norm;
        let largest = value.abs().max(old_value.abs());
        let relative = if largest > 0.0 { (old_value - value) / largest } else { 0.0 };
        let tolerance = self.options.decrease_tolerance;
        report.stopped_because = self
            .gradient_stop(norm, first_norm)
            .or((relative <= tolerance).then_some(StopReason::Decrease { relative, tolerance }))
            .or(self.evaluations_stop(state.evaluations + tally.trials));
    }

    /// Puts the step to `x` and the change of the gradient into the history, if they tell a curvature.
    fn remember(&self, state: &mut LbfgsState, x: &[f64], gradient: &[f64], tally: &mut Tally) {
        let (n, memory, tolerance) = (x.len(), self.options.memory, self.options.pair_tolerance);
        let LbfgsState { x: old_x, evaluation: Some(old), pairs, .. } = state else { return };
        let step = |i: usize| x[i] - old_x[i];
        // Frozen elements are no part of the problem: their gradients must not shape the Hessian of the others.
        let bend = |i: usize| if self.space.bounds.frozen(i) { 0.0 } else { gradient[i] - old.gradient[i] };
        let curvature = sums::sum(n, |i| step(i) * bend(i));
        let step_norm = sums::sum(n, |i| step(i) / self.space.weight(i) * step(i)).sqrt();
        let bend_norm = sums::sum(n, |i| bend(i) * self.space.weight(i) * bend(i)).sqrt();
        let cosine = curvature / step_norm / bend_norm;
        // Compared so that NaN, from 0/0 or overflow, leaves the pair out.
        if cosine.partial_cmp(&tolerance) != Some(Ordering::Greater) {
            tally.messages.push(format!(
                "the pair is left out: the cosine of step and gradient change is {cosine:.1e}, not above {tolerance:.1e}"
            ));
            return;
        }
        if memory == 0 {
            return;
        }
        // The memory of the oldest pair is used again.
        let oldest = if pairs.len() < memory { None } else { pairs.pop_front() };
        let mut pair = oldest.unwrap_or_else(|| Pair { s: vec![0.0; n], y: vec![0.0; n] });
        for i in 0..n {
            (pair.s[i], pair.y[i]) = (step(i), bend(i));
        }
        pairs.push_back(pair);
    }
}
