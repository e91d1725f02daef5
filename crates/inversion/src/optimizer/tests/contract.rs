//! Steps, limits, rejected models, restarts, refusals.

use super::problems::*;
use crate::optimizer::*;
use std::fmt;

fn quadratic_setting() -> (Quadratic, Lbfgs, LbfgsState) {
    let n = 20;
    let weights = (0..n).map(|i| 1.0 + (i % 4) as f64).collect();
    let options = LbfgsOptions { memory: 4, ..LbfgsOptions::default() };
    let lbfgs = Lbfgs::new(options, Bounds::uniform(n, 0.7, 1.2).unwrap(), Some(weights)).unwrap();
    let state = lbfgs.start(vec![1.0; n]).unwrap();
    (Quadratic::random(n, 0.2, 41), lbfgs, state)
}

fn owned(saved: SavedState<&[f64]>) -> SavedState<Vec<f64>> {
    let arrays = saved.arrays.into_iter().map(|(name, array)| (name, array.to_vec())).rev().collect();
    SavedState { arrays, counts: saved.counts }
}

#[test]
fn a_run_resumed_after_any_iteration_has_the_same_bits() {
    let (quadratic, lbfgs, start) = quadratic_setting();
    let mut objective = Function::new(|x: &[f64]| quadratic.evaluate(x));
    let mut whole = start.clone();
    let reports: Vec<IterationReport> = (0..10).map(|_| lbfgs.step(&mut whole, &mut objective).unwrap()).collect();
    for stop in 0..10 {
        let mut first = start.clone();
        (0..stop).for_each(|_| drop(lbfgs.step(&mut first, &mut objective).unwrap()));
        let mut resumed = LbfgsState::import(owned(first.export())).unwrap();
        assert_eq!(resumed, first);
        for report in &reports[stop..] {
            assert_eq!(lbfgs.step(&mut resumed, &mut objective).unwrap(), *report);
        }
        for ((name, array), (_, expected)) in resumed.export().arrays.iter().zip(&whole.export().arrays) {
            assert_eq!(bits(array), bits(expected), "`{name}`, resumed after {stop}");
        }
        assert_eq!(resumed.export().counts, whole.export().counts);
    }
    assert_eq!(whole.history(), 4);
}

#[derive(Debug, PartialEq)]
struct Stopped(u64);
impl fmt::Display for Stopped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "stopped before evaluation {}", self.0)
    }
}
impl std::error::Error for Stopped {}

/// Rosenbrock's function that fails at one evaluation.
struct Stopping {
    evaluations: u64,
    fails_at: u64,
}
impl Objective for Stopping {
    type Failure = Stopped;
    fn evaluate(&mut self, x: &[f64]) -> Result<Evaluation, EvaluationError<Stopped>> {
        self.evaluations += 1;
        if self.evaluations == self.fails_at {
            return Err(EvaluationError::Fatal(Stopped(self.evaluations)));
        }
        let (value, gradient) = rosenbrock(x);
        Ok(Evaluation { value, gradient })
    }
}

#[test]
fn a_failure_inside_a_step_comes_out_untouched_and_leaves_the_last_iteration() {
    let lbfgs = Lbfgs::new(free_options(), Bounds::none(2), None).unwrap();
    let start = lbfgs.start(vec![-1.2, 1.0]).unwrap();
    let mut whole = start.clone();
    let mut objective = Stopping { evaluations: 0, fails_at: 0 };
    (0..15).for_each(|_| drop(lbfgs.step(&mut whole, &mut objective).unwrap()));
    let mut failures = 0;
    for fails_at in 1..=objective.evaluations {
        let (mut state, mut objective) = (start.clone(), Stopping { evaluations: 0, fails_at });
        while state.iterations() < 15 {
            let before = state.clone();
            match lbfgs.step(&mut state, &mut objective) {
                Ok(_) => {}
                Err(StepError::Fatal(Stopped(at))) => {
                    assert_eq!(at, fails_at);
                    assert_eq!(bits(state.x()), bits(before.x()));
                    assert_eq!(state.iterations(), before.iterations());
                    failures += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(state, whole, "failure at evaluation {fails_at}");
    }
    assert_eq!(failures, objective.evaluations);
}

#[test]
fn the_first_trial_changes_the_model_by_the_given_percent_and_no_step_exceeds_the_limit() {
    let target = [2000.0, 4000.0, 1500.0];
    let mut objective = Function::new(|x: &[f64]| {
        let gradient: Vec<f64> = x.iter().zip(target).map(|(v, t)| v - t).collect();
        (gradient.iter().map(|g| 0.5 * g * g).sum(), gradient)
    });
    for (percent, factor) in [(3.0, 3.0), (1.0, 1.0), (0.5, 10.0)] {
        let options = LbfgsOptions { max_step_percent: percent, step_limit_factor: factor, ..LbfgsOptions::default() };
        let lbfgs = Lbfgs::new(options, Bounds::none(3), None).unwrap();
        let start = vec![1500.0, 1900.0, 1500.0];
        let mut state = lbfgs.start(start.clone()).unwrap();
        objective.asked.clear();
        let mut before = start.clone();
        for iteration in 0..100 {
            let report = lbfgs.step(&mut state, &mut objective).unwrap();
            let change =
                |x: &[f64]| x.iter().zip(&before).map(|(a, b)| 100.0 * ((a - b) / b).abs()).fold(0.0, f64::max);
            assert!((report.step_percent - change(state.x())).abs() < 1e-9);
            assert!(report.step_percent <= percent * factor * (1.0 + 1e-12), "{report:?}");
            if iteration == 0 {
                assert!((change(&objective.asked[1]) - percent).abs() < 1e-9, "{:?}", objective.asked[1]);
            }
            before = state.x().to_vec();
            if report.stopped_because.is_some() {
                break;
            }
        }
        assert!(largest_difference(state.x(), &target) < 1e-6, "{percent} {factor}: {:?}", state.x());
    }
}

#[test]
fn rejected_trials_are_shortened_and_the_minimum_beside_them_is_found() {
    // Not defined beyond 1.05, as a model with too high velocities; the minimum is at 1.04.
    let mut objective = Function::new(|x: &[f64]| {
        let value =
            if x.iter().any(|&v| v > 1.05) { f64::INFINITY } else { x.iter().map(|v| (v - 1.04).powi(2)).sum() };
        (value, x.iter().map(|v| 2.0 * (v - 1.04)).collect())
    });
    let lbfgs = Lbfgs::new(free_options(), Bounds::none(2), None).unwrap();
    let mut state = lbfgs.start(vec![1.0, 0.9]).unwrap();
    let reports = run(&lbfgs, &mut state, &mut objective, 50);
    assert!(reports[0].messages[0].contains("was rejected: the wavefield blew up"), "{:?}", reports[0].messages);
    assert!(largest_difference(state.x(), &[1.04; 2]) < 1e-7);
}

#[test]
fn values_and_gradients_that_are_no_numbers_reject_the_trial() {
    for spoil in [0, 1] {
        let mut objective = Function::new(|x: &[f64]| {
            let (mut value, mut gradient) = ((x[0] - 3.0).powi(2), vec![2.0 * (x[0] - 3.0)]);
            if x[0] > 2.0 {
                *[&mut value, &mut gradient[0]][spoil] = f64::NAN;
            }
            (value, gradient)
        });
        let lbfgs = Lbfgs::new(free_options(), Bounds::none(1), None).unwrap();
        let mut state = lbfgs.start(vec![1.5]).unwrap();
        let report = lbfgs.step(&mut state, &mut objective).unwrap();
        assert!(report.messages[0].contains("NaN"), "{:?}", report.messages);
        assert!(state.x()[0] > 1.5 && state.x()[0] <= 2.0);
    }
}

#[test]
fn a_search_without_wolfe_point_takes_the_lowest_trial() {
    let options = LbfgsOptions { evaluations_per_search: 2, curvature: 1.1e-4, ..free_options() };
    let lbfgs = Lbfgs::new(options, Bounds::none(2), None).unwrap();
    let mut state = lbfgs.start(vec![-1.2, 1.0]).unwrap();
    let mut objective = Function::new(rosenbrock);
    let report = lbfgs.step(&mut state, &mut objective).unwrap();
    assert!(report.messages[0].contains("the lowest is taken"), "{:?}", report.messages);
    assert_eq!(report.evaluations, 3);
    let lowest = objective.asked.iter().min_by(|a, b| rosenbrock(a).0.total_cmp(&rosenbrock(b).0)).unwrap();
    assert_eq!(bits(state.x()), bits(lowest));
    assert_eq!(report.value, rosenbrock(state.x()).0);
    assert_eq!(state.gradient().unwrap(), rosenbrock(state.x()).1);
}

#[test]
fn a_failed_search_drops_the_history_once_and_then_stops_with_the_best_model() {
    let options = LbfgsOptions { evaluations_per_search: 5, ..free_options() };
    let lbfgs = Lbfgs::new(options, Bounds::none(2), None).unwrap();
    for (rejections, recovers) in [(5, true), (10, false)] {
        let mut to_reject = 0;
        let mut state = lbfgs.start(vec![-1.2, 1.0]).unwrap();
        (0..4).for_each(|_| drop(lbfgs.step(&mut state, &mut Function::new(rosenbrock)).unwrap()));
        let before = state.clone();
        assert!(before.history() > 1);
        let mut objective = Function::new(|x: &[f64]| {
            to_reject += 1;
            if to_reject <= rejections { (f64::INFINITY, vec![0.0; 2]) } else { rosenbrock(x) }
        });
        let report = lbfgs.step(&mut state, &mut objective).unwrap();
        assert!(report.messages[5].contains("the history is dropped"), "{:?}", report.messages);
        assert_eq!(state.evaluations(), before.evaluations() + report.evaluations);
        if recovers {
            assert_eq!(report.stopped_because, None);
            assert!(report.value < before.value().unwrap());
            assert_eq!(state.history(), 1);
        } else {
            assert_eq!(report.stopped_because, Some(StopReason::NoDecrease { trials: 10 }));
            assert_eq!(report.step_length, 0.0);
            assert_eq!(bits(state.x()), bits(before.x()));
            assert_eq!(state.value(), before.value());
            assert_eq!(state.history(), 0);
        }
    }
}

#[test]
fn a_zero_gradient_stops_at_once_and_makes_no_nan() {
    for x in [vec![0.0, 0.0], vec![1.0, 1.0]] {
        let lbfgs = Lbfgs::new(LbfgsOptions::default(), Bounds::none(2), None).unwrap();
        let mut state = lbfgs.start(x.clone()).unwrap();
        let mut objective = Function::new(|_: &[f64]| (0.0, vec![0.0; 2]));
        for evaluations in [1, 0] {
            let report = lbfgs.step(&mut state, &mut objective).unwrap();
            assert!(matches!(report.stopped_because, Some(StopReason::Gradient { norm: 0.0, .. })));
            assert_eq!((report.evaluations, report.step_length, report.step_percent), (evaluations, 0.0, 0.0));
            assert_eq!(bits(state.x()), bits(&x));
        }
    }
}

#[test]
fn elements_with_zero_gradient_or_at_zero_make_no_nan() {
    let lbfgs = Lbfgs::new(free_options(), Bounds::uniform(4, 0.0, 9.0).unwrap(), None).unwrap();
    let mut state = lbfgs.start(vec![0.0, 0.0, 2.0, 3.0]).unwrap();
    let mut objective =
        Function::new(|x: &[f64]| ((x[2] - 2.5).powi(2) + x[0], vec![1.0, 0.0, 2.0 * (x[2] - 2.5), 0.0]));
    run(&lbfgs, &mut state, &mut objective, 20);
    assert_eq!(state.x()[..2], [0.0, 0.0]);
    assert_eq!(state.x()[3], 3.0);
    assert!((state.x()[2] - 2.5).abs() < 1e-7);
}

#[test]
fn forgetting_keeps_the_model_and_starts_as_at_first() {
    let (quadratic, lbfgs, mut state) = quadratic_setting();
    let mut objective = Function::new(|x: &[f64]| quadratic.evaluate(x));
    (0..5).for_each(|_| drop(lbfgs.step(&mut state, &mut objective).unwrap()));
    let x = state.x().to_vec();
    state.forget();
    assert_eq!((state.history(), state.value(), state.gradient()), (0, None, None));
    assert_eq!(bits(state.x()), bits(&x));
    assert_eq!(state.export().arrays, [("x".to_string(), x.as_slice())]);
    let other = Quadratic::random(20, 0.2, 42);
    let mut fresh = lbfgs.start(x).unwrap();
    let mut objective = Function::new(|x: &[f64]| other.evaluate(x));
    let (a, b) = (lbfgs.step(&mut state, &mut objective).unwrap(), lbfgs.step(&mut fresh, &mut objective).unwrap());
    assert_eq!(bits(state.x()), bits(fresh.x()));
    assert_eq!((a.value, a.projected_gradient_norm, a.iteration), (b.value, b.projected_gradient_norm, 6));
}

#[test]
fn the_run_ends_by_evaluations_or_by_a_small_decrease() {
    for max_evaluations in 1..20 {
        let options = LbfgsOptions { max_evaluations, ..free_options() };
        let lbfgs = Lbfgs::new(options, Bounds::none(2), None).unwrap();
        let mut state = lbfgs.start(vec![-1.2, 1.0]).unwrap();
        let mut objective = Function::new(rosenbrock);
        let reports = run(&lbfgs, &mut state, &mut objective, 100);
        assert_eq!(objective.evaluations, max_evaluations);
        assert_eq!(reports.last().unwrap().stopped_because, Some(StopReason::Evaluations { limit: max_evaluations }));
        assert_eq!(state.value().unwrap(), rosenbrock(state.x()).0);
    }
    let options = LbfgsOptions { decrease_tolerance: 0.05, ..free_options() };
    let lbfgs = Lbfgs::new(options, Bounds::none(2), None).unwrap();
    let mut state = lbfgs.start(vec![-1.2, 1.0]).unwrap();
    let reports = run(&lbfgs, &mut state, &mut Function::new(rosenbrock), 100);
    let (last, before) = (&reports[reports.len() - 1], &reports[reports.len() - 2]);
    let relative = (before.value - last.value) / before.value;
    assert_eq!(last.stopped_because, Some(StopReason::Decrease { relative, tolerance: 0.05 }));

    // A decrease that rounding swallows ends the run without any tolerance.
    let lbfgs = Lbfgs::new(free_options(), Bounds::none(1), None).unwrap();
    let mut state = lbfgs.start(vec![1.0]).unwrap();
    let mut objective = Function::new(|x: &[f64]| (1.0, vec![1e-20 * (x[0] - 2.0)]));
    let reports = run(&lbfgs, &mut state, &mut objective, 100);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].stopped_because, Some(StopReason::Decrease { relative: 0.0, tolerance: 0.0 }));
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    let refused = |options: LbfgsOptions| Lbfgs::new(options, Bounds::none(2), None).unwrap_err();
    let default = LbfgsOptions::default;
    let name = |error| match error {
        OptimizerError::Option { name, .. } => name,
        other => panic!("{other}"),
    };
    assert_eq!(name(refused(LbfgsOptions { max_step_percent: f64::NAN, ..default() })), "max_step_percent");
    assert_eq!(name(refused(LbfgsOptions { step_limit_factor: 0.5, ..default() })), "step_limit_factor");
    assert_eq!(name(refused(LbfgsOptions { sufficient_decrease: 0.0, ..default() })), "sufficient_decrease");
    assert_eq!(name(refused(LbfgsOptions { curvature: 1e-5, ..default() })), "curvature");
    assert_eq!(name(refused(LbfgsOptions { evaluations_per_search: 0, ..default() })), "evaluations_per_search");
    assert_eq!(name(refused(LbfgsOptions { pair_tolerance: -1.0, ..default() })), "pair_tolerance");
    assert_eq!(name(refused(LbfgsOptions { gradient_tolerance: 1.0, ..default() })), "gradient_tolerance");
    assert_eq!(name(refused(LbfgsOptions { decrease_tolerance: -0.1, ..default() })), "decrease_tolerance");

    let bounds = |lower: f64, upper: f64| Bounds::new(vec![0.0, lower], vec![1.0, upper]).unwrap_err();
    assert_eq!(bounds(2.0, 1.0), OptimizerError::Bounds { index: 1, lower: 2.0, upper: 1.0 });
    assert!(matches!(bounds(f64::NAN, 1.0), OptimizerError::Bounds { index: 1, .. }));
    assert!(matches!(bounds(f64::INFINITY, f64::INFINITY), OptimizerError::Bounds { index: 1, .. }));
    assert!(matches!(bounds(f64::NEG_INFINITY, f64::NEG_INFINITY), OptimizerError::Bounds { index: 1, .. }));
    assert!(matches!(Bounds::new(vec![0.0], vec![]), Err(OptimizerError::Length { found: 0, expected: 1, .. })));
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let weights = Some(vec![1.0, value]);
        let error = Lbfgs::new(default(), Bounds::none(2), weights).unwrap_err();
        assert!(matches!(error, OptimizerError::Preconditioner { index: 1, .. }), "{error}");
    }

    let lbfgs = Lbfgs::new(default(), Bounds::uniform(2, 1.0, 2.0).unwrap(), None).unwrap();
    let outside = OptimizerError::OutsideBounds { index: 1, value: 2.5, lower: 1.0, upper: 2.0 };
    assert_eq!(lbfgs.start(vec![1.0, 2.5]).unwrap_err(), outside);
    assert!(matches!(lbfgs.start(vec![1.0]), Err(OptimizerError::Length { found: 1, expected: 2, .. })));
    let mut state = lbfgs.start(vec![1.0, 2.0]).unwrap();
    let step = lbfgs.step(&mut state, &mut Function::new(|_: &[f64]| (1.0, vec![1.0; 3])));
    assert!(matches!(step, Err(StepError::Setup(OptimizerError::Length { found: 3, expected: 2, .. }))));
    let step = lbfgs.step(&mut state, &mut Function::new(|_: &[f64]| (f64::INFINITY, vec![1.0; 2])));
    assert!(matches!(step, Err(StepError::StartRejected(reason)) if reason.contains("blew up")));
    assert_eq!(state, lbfgs.start(vec![1.0, 2.0]).unwrap());
}

#[test]
fn a_damaged_saved_state_is_refused_by_name() {
    let (quadratic, lbfgs, mut state) = quadratic_setting();
    let mut objective = Function::new(|x: &[f64]| quadratic.evaluate(x));
    (0..3).for_each(|_| drop(lbfgs.step(&mut state, &mut objective).unwrap()));
    let saved = owned(state.export());
    let required = ["x", "gradient", "y_001"];
    for name in required {
        let mut damaged = saved.clone();
        damaged.arrays.retain(|(n, _)| n != name);
        let error = LbfgsState::import(damaged).unwrap_err();
        assert!(matches!(&error, OptimizerError::SavedMissing { name: n } if n == name), "{error}");
    }
    for name in ["gradient", "value", "first_norm", "s_002"] {
        let mut damaged = saved.clone();
        damaged.arrays.iter_mut().filter(|(n, _)| n == name).for_each(|(_, a)| a.truncate(a.len() - 1));
        let error = LbfgsState::import(damaged).unwrap_err();
        assert!(matches!(&error, OptimizerError::SavedLength { name: n, .. } if n == name), "{error}");
    }
    let mut damaged = saved.clone();
    damaged.arrays.iter_mut().filter(|(n, _)| n == "x").for_each(|(_, a)| a[7] = f64::NAN);
    assert!(matches!(LbfgsState::import(damaged), Err(OptimizerError::SavedNotFinite { index: 7, .. })));
    let mut damaged = saved.clone();
    damaged.counts.remove(0);
    assert!(matches!(LbfgsState::import(damaged), Err(OptimizerError::SavedMissing { name }) if name == "iterations"));
    // A gap in the history leaves later pairs over.
    let mut damaged = saved;
    damaged.arrays.retain(|(n, _)| n != "s_001" && n != "y_001");
    assert!(matches!(LbfgsState::import(damaged), Err(OptimizerError::SavedUnknown { name }) if name == "s_002"));
}
