//! Convergence without bounds, and what preconditioner and units do to it.

use super::problems::*;
use crate::optimizer::*;

#[test]
fn a_quadratic_takes_few_iterations_and_hardly_more_evaluations() {
    for (n, seed, iterations) in [(1, 1, 3), (3, 2, 9), (8, 3, 14), (40, 4, 20)] {
        let quadratic = Quadratic::random(n, 0.5, seed);
        let lbfgs = Lbfgs::new(free_options(), Bounds::none(n), None).unwrap();
        let mut state = lbfgs.start(vec![1.0; n]).unwrap();
        let mut objective = Function::new(|x: &[f64]| quadratic.evaluate(x));
        let reports = run(&lbfgs, &mut state, &mut objective, 60);
        let unbounded = vec![f64::INFINITY; n];
        let x = quadratic.minimum_by_brute_force(&unbounded.iter().map(|v| -v).collect::<Vec<_>>(), &unbounded, &x0(n));
        assert!(largest_difference(state.x(), &x) < 1e-7, "n = {n}");
        assert!(reports.len() <= iterations, "n = {n}: {} iterations", reports.len());
        assert!(objective.evaluations as usize <= reports.len() + 3, "n = {n}: {} evaluations", objective.evaluations);
        assert_eq!(objective.evaluations, reports.iter().map(|r| r.evaluations).sum::<u64>());
        assert_eq!(objective.evaluations, state.evaluations());
    }
}

fn x0(n: usize) -> Vec<f64> {
    vec![1.0; n]
}

#[test]
fn the_exact_inverse_diagonal_as_preconditioner_makes_a_diagonal_quadratic_one_line() {
    // The first iteration finds the scale, the next one the minimum: at most one more for the scale's rounding.
    let curvature = |i: usize| 10f64.powf(i as f64 / 10.0);
    let n = 60;
    let mut evaluate = Function::new(|x: &[f64]| {
        let gradient: Vec<f64> = x.iter().enumerate().map(|(i, v)| curvature(i) * (v - 2.0)).collect();
        (x.iter().zip(&gradient).map(|(v, g)| 0.5 * g * (v - 2.0)).sum(), gradient)
    });
    let weights = (0..n).map(|i| 7.0 / curvature(i)).collect();
    let lbfgs = Lbfgs::new(free_options(), Bounds::none(n), Some(weights)).unwrap();
    let mut state = lbfgs.start(x0(n)).unwrap();
    let reports = run(&lbfgs, &mut state, &mut evaluate, 20);
    assert!(reports.len() <= 3, "{} iterations", reports.len());
    assert!(largest_difference(state.x(), &vec![2.0; n]) < 1e-7);
}

#[test]
fn rosenbrock_in_2_and_100_dimensions_is_solved() {
    let mut random = Random(5);
    let starts = [vec![-1.2, 1.0], (0..100).map(|_| 2.0 * random.next()).collect::<Vec<f64>>()];
    for (start, most) in starts.into_iter().zip([60, 330]) {
        let n = start.len();
        let options = LbfgsOptions { gradient_tolerance: 1e-10, ..free_options() };
        let lbfgs = Lbfgs::new(options, Bounds::none(n), None).unwrap();
        let mut state = lbfgs.start(start).unwrap();
        let mut objective = Function::new(rosenbrock);
        let reports = run(&lbfgs, &mut state, &mut objective, 500);
        assert!(state.value().unwrap() < 1e-10, "n = {n}: {:?}", reports.last());
        assert!(largest_difference(state.x(), &vec![1.0; n]) < 1e-5, "n = {n}");
        assert!(objective.evaluations <= most, "n = {n}: {} evaluations", objective.evaluations);
        assert!(reports.windows(2).all(|pair| pair[1].value <= pair[0].value));
    }
}

#[test]
fn other_units_with_a_matching_preconditioner_give_the_same_path_to_the_bit() {
    // x → Dx with powers of two: every product is exact, so nothing may differ. Elements stay above a hundredth of the
    // largest, where relative changes are relative to the element itself.
    let n = 30;
    let quadratic = Quadratic::random(n, 0.2, 11);
    let unit = |i: usize| 2f64.powi(i as i32 % 3 - 1);
    let weights: Vec<f64> = (0..n).map(|i| 1.0 + 0.05 * i as f64).collect();
    let mut bounds = Bounds::uniform(n, 0.9, 1.3).unwrap();
    bounds.freeze(4, 1.0).unwrap();
    let scaled = |values: &[f64]| values.iter().enumerate().map(|(i, v)| unit(i) * v).collect::<Vec<f64>>();
    let scaled_bounds = Bounds::new(scaled(bounds.lower()), scaled(bounds.upper())).unwrap();
    let scaled_weights = scaled(&scaled(&weights));

    let plain = Lbfgs::new(LbfgsOptions::default(), bounds, Some(weights)).unwrap();
    let other = Lbfgs::new(LbfgsOptions::default(), scaled_bounds, Some(scaled_weights)).unwrap();
    let mut plain_state = plain.start(x0(n)).unwrap();
    let mut other_state = other.start(scaled(&x0(n))).unwrap();
    let mut plain_objective = Function::new(|x: &[f64]| quadratic.evaluate(x));
    let mut other_objective = Function::new(|x: &[f64]| {
        let original: Vec<f64> = x.iter().enumerate().map(|(i, v)| v / unit(i)).collect();
        let (value, gradient) = quadratic.evaluate(&original);
        (value, gradient.iter().enumerate().map(|(i, g)| g / unit(i)).collect())
    });
    for iteration in 0..12 {
        let report = plain.step(&mut plain_state, &mut plain_objective).unwrap();
        assert_eq!(report, other.step(&mut other_state, &mut other_objective).unwrap());
        assert_eq!(bits(&scaled(plain_state.x())), bits(other_state.x()), "iteration {iteration}");
    }
}

#[test]
fn the_unit_of_the_misfit_does_not_change_the_path() {
    let quadratic = Quadratic::random(20, 0.2, 12);
    let path = |unit: f64| {
        let lbfgs = Lbfgs::new(LbfgsOptions::default(), Bounds::uniform(20, 0.8, 1.2).unwrap(), None).unwrap();
        let mut state = lbfgs.start(x0(20)).unwrap();
        let mut objective = Function::new(|x: &[f64]| {
            let (value, gradient) = quadratic.evaluate(x);
            (unit * value, gradient.iter().map(|g| unit * g).collect())
        });
        run(&lbfgs, &mut state, &mut objective, 10);
        bits(state.x())
    };
    for exponent in [-200, -30, 10, 200] {
        assert_eq!(path(2f64.powi(exponent)), path(1.0), "2^{exponent}");
    }
}

#[test]
fn a_short_memory_still_converges_and_none_is_steepest_descent() {
    let quadratic = Quadratic::random(10, 1.0, 13);
    let lengths: Vec<usize> = [0, 1, 3, 10]
        .into_iter()
        .map(|memory| {
            let options = LbfgsOptions { memory, gradient_tolerance: 1e-3, ..free_options() };
            let lbfgs = Lbfgs::new(options, Bounds::none(10), None).unwrap();
            let mut state = lbfgs.start(x0(10)).unwrap();
            let reports = run(&lbfgs, &mut state, &mut Function::new(|x: &[f64]| quadratic.evaluate(x)), 300);
            assert!(state.history() <= memory);
            let stop = reports.last().and_then(|r| r.stopped_because.clone());
            assert!(matches!(stop, Some(StopReason::Gradient { .. })), "memory {memory}: {stop:?}");
            reports.iter().map(|r| r.evaluations as usize).sum()
        })
        .collect();
    assert!(lengths[3] < lengths[0], "{lengths:?}");
}
