//! Problems whose solution lies on bounds.

use super::problems::*;
use crate::optimizer::*;

#[test]
fn box_constrained_quadratics_agree_with_brute_force_and_keep_the_bounds_to_the_bit() {
    for (n, seed) in [(1, 21), (2, 22), (5, 23), (12, 24), (40, 25), (40, 26)] {
        let quadratic = Quadratic::random(n, 0.3, seed);
        let mut random = Random(seed + 100);
        // A third has narrow bounds, a third one side only, a third wide ones; every seventh element is frozen.
        let mut lower: Vec<f64> = (0..n).map(|i| [-0.1, f64::NEG_INFINITY, -5.0][i % 3]).collect();
        let mut upper: Vec<f64> = (0..n).map(|i| [0.1, 0.05, 5.0][i % 3] + 0.01 * random.next()).collect();
        let start: Vec<f64> = (0..n).map(|i| (0.1 * random.next()).clamp(lower[i], upper[i])).collect();
        for i in (3..n).step_by(7) {
            (lower[i], upper[i]) = (start[i], start[i]);
        }
        let expected = quadratic.minimum_by_brute_force(&lower, &upper, &start);
        for weights in [None, Some((0..n).map(|i| 0.5 + (i % 5) as f64).collect::<Vec<f64>>())] {
            let bounds = Bounds::new(lower.clone(), upper.clone()).unwrap();
            let lbfgs = Lbfgs::new(free_options(), bounds, weights).unwrap();
            let mut state = lbfgs.start(start.clone()).unwrap();
            let mut objective = Function::new(|x: &[f64]| quadratic.evaluate(x));
            let reports = run(&lbfgs, &mut state, &mut objective, 200);
            assert!(largest_difference(state.x(), &expected) < 1e-7, "n = {n}, seed {seed}: {:?}", reports.last());
            assert!(reports.len() <= 40, "n = {n}, seed {seed}: {} iterations", reports.len());
            for x in &objective.asked {
                assert!((0..n).all(|i| lower[i] <= x[i] && x[i] <= upper[i]), "n = {n}, seed {seed}");
            }
            // What is on a bound is exactly there, not nearly.
            for i in 0..n {
                for bound in [lower[i], upper[i]] {
                    if expected[i] == bound {
                        assert_eq!(state.x()[i].to_bits(), bound.to_bits(), "n = {n}, seed {seed}, element {i}");
                    }
                }
            }
        }
    }
}

struct Known {
    name: &'static str,
    f: fn(&[f64]) -> (f64, Vec<f64>),
    lower: Vec<f64>,
    upper: Vec<f64>,
    start: Vec<f64>,
    minimum: f64,
    at: Vec<f64>,
}

/// Problems of Hock & Schittkowski (1981), "Test examples for nonlinear programming codes", that have bounds only.
fn hock_schittkowski() -> Vec<Known> {
    use std::f64::consts::PI;
    let inf = f64::INFINITY;
    let a = (598.0f64 / 1200.0).sqrt();
    let x1 = 2.0 * a * ((1.0 / (400.0 * a.powi(3))).acos() / 3.0).cos();
    vec![
        Known {
            name: "1",
            f: rosenbrock,
            lower: vec![-inf, -1.5],
            upper: vec![inf; 2],
            start: vec![-2.0, 1.0],
            minimum: 0.0,
            at: vec![1.0, 1.0],
        },
        Known {
            name: "2",
            f: rosenbrock,
            lower: vec![-inf, 1.5],
            upper: vec![inf; 2],
            start: vec![2.0, 2.0],
            minimum: 100.0 * (1.5 - x1 * x1).powi(2) + (1.0 - x1).powi(2),
            at: vec![x1, 1.5],
        },
        Known {
            name: "4",
            f: |x| ((x[0] + 1.0).powi(3) / 3.0 + x[1], vec![(x[0] + 1.0).powi(2), 1.0]),
            lower: vec![1.0, 0.0],
            upper: vec![inf; 2],
            start: vec![1.125, 0.125],
            minimum: 8.0 / 3.0,
            at: vec![1.0, 0.0],
        },
        Known {
            name: "5",
            f: |x| {
                let (sum, difference) = (x[0] + x[1], x[0] - x[1]);
                let value = sum.sin() + difference * difference - 1.5 * x[0] + 2.5 * x[1] + 1.0;
                (value, vec![sum.cos() + 2.0 * difference - 1.5, sum.cos() - 2.0 * difference + 2.5])
            },
            lower: vec![-1.5, -3.0],
            upper: vec![4.0, 3.0],
            start: vec![0.0, 0.0],
            minimum: -3f64.sqrt() / 2.0 - PI / 3.0,
            at: vec![-PI / 3.0 + 0.5, -PI / 3.0 - 0.5],
        },
        Known {
            name: "45",
            f: |x| {
                let product: f64 = x.iter().product();
                (2.0 - product / 120.0, x.iter().map(|v| -product / v / 120.0).collect())
            },
            lower: vec![0.0; 5],
            upper: vec![1.0, 2.0, 3.0, 4.0, 5.0],
            start: vec![0.5, 1.0, 1.5, 2.0, 2.5],
            minimum: 1.0,
            at: vec![1.0, 2.0, 3.0, 4.0, 5.0],
        },
        Known {
            name: "110",
            f: |x| {
                let product = x.iter().product::<f64>().powf(0.2);
                let logs: f64 = x.iter().map(|v| (v - 2.0).ln().powi(2) + (10.0 - v).ln().powi(2)).sum();
                let slope =
                    |v: f64| 2.0 * (v - 2.0).ln() / (v - 2.0) - 2.0 * (10.0 - v).ln() / (10.0 - v) - 0.2 * product / v;
                (logs - product, x.iter().map(|&v| slope(v)).collect())
            },
            lower: vec![2.001; 10],
            upper: vec![9.999; 10],
            start: vec![9.0; 10],
            minimum: -45.778_469_71,
            at: vec![9.350_266; 10],
        },
    ]
}

#[test]
fn the_bounded_problems_of_hock_and_schittkowski_are_solved() {
    for problem in hock_schittkowski() {
        let bounds = Bounds::new(problem.lower.clone(), problem.upper.clone()).unwrap();
        let lbfgs = Lbfgs::new(free_options(), bounds, None).unwrap();
        let mut state = lbfgs.start(problem.start.clone()).unwrap();
        let mut objective = Function::new(problem.f);
        let reports = run(&lbfgs, &mut state, &mut objective, 200);
        let place = format!("problem {}: {:?}", problem.name, reports.last());
        assert!((state.value().unwrap() - problem.minimum).abs() < 1e-8, "{place}");
        assert!(largest_difference(state.x(), &problem.at) < 1e-4, "{place}");
        assert!(objective.evaluations <= 70, "{place}: {} evaluations", objective.evaluations);
        for x in &objective.asked {
            assert!((0..x.len()).all(|i| problem.lower[i] <= x[i] && x[i] <= problem.upper[i]), "{place}");
        }
    }
}

#[test]
fn a_misfit_that_falls_to_the_bound_ends_on_the_bound() {
    // Concave: no pair tells a curvature, the search extrapolates to the limit each time.
    let lbfgs = Lbfgs::new(LbfgsOptions::default(), Bounds::uniform(3, 1.0, 1.7).unwrap(), None).unwrap();
    let mut state = lbfgs.start(vec![1.2, 1.3, 1.4]).unwrap();
    let mut objective =
        Function::new(|x: &[f64]| (-0.5 * x.iter().map(|v| v * v).sum::<f64>(), x.iter().map(|v| -v).collect()));
    let reports = run(&lbfgs, &mut state, &mut objective, 40);
    assert_eq!(bits(state.x()), bits(&[1.7; 3]));
    assert!(matches!(reports.last().unwrap().stopped_because, Some(StopReason::Gradient { norm: 0.0, .. })));
    assert_eq!(state.history(), 0);
    let left_out = reports.iter().flat_map(|r| &r.messages).filter(|m| m.contains("the pair is left out")).count();
    assert_eq!(left_out as u64, state.iterations());
}

#[test]
fn frozen_elements_never_move_and_do_not_change_the_path_of_the_others() {
    let quadratic = Quadratic::random(12, 0.3, 31);
    let path = |steepness: f64| {
        let mut bounds = Bounds::uniform(13, 0.5, 1.5).unwrap();
        bounds.freeze(6, 1.1).unwrap();
        let lbfgs = Lbfgs::new(LbfgsOptions::default(), bounds, None).unwrap();
        let mut start = vec![1.0; 13];
        start[6] = 1.1;
        let mut state = lbfgs.start(start).unwrap();
        let mut objective = Function::new(|x: &[f64]| {
            let others: Vec<f64> = x[..6].iter().chain(&x[7..]).copied().collect();
            let (value, mut gradient) = quadratic.evaluate(&others);
            // A huge gradient that changes from step to step, as under sources that are masked out.
            gradient.insert(6, steepness * others[0].powi(3));
            (value, gradient)
        });
        let reports = run(&lbfgs, &mut state, &mut objective, 8);
        assert!(objective.asked.iter().all(|x| x[6] == 1.1));
        assert!(reports.len() == 8);
        bits(state.x())
    };
    assert_eq!(path(0.0), path(1e9));
}

#[test]
fn trials_keep_the_bounds_to_the_bit_and_a_full_step_arrives_exactly() {
    let n = 3000;
    let mut random = Random(51);
    // Divided, so that the digits are not all multiples of one small number, whose differences would be exact.
    let mut vector = || (0..n).map(|_| random.next() / 3.0).collect::<Vec<f64>>();
    let (a, b, c) = (vector(), vector(), vector());
    let lower: Vec<f64> = (0..n).map(|i| a[i].min(b[i])).collect();
    let upper: Vec<f64> = (0..n).map(|i| a[i].max(b[i])).collect();
    let x: Vec<f64> = (0..n).map(|i| c[i].clamp(lower[i], upper[i])).collect();
    let lbfgs = Lbfgs::new(LbfgsOptions::default(), Bounds::new(lower, upper.clone()).unwrap(), None).unwrap();
    let mut trial = vec![0.0; n];
    lbfgs.place(&x, &upper, 1.0, &mut trial);
    assert_eq!(bits(&trial), bits(&upper));
    // Three times a third of the way: rounding takes some elements beyond, were it not for the bounds.
    let third: Vec<f64> = x.iter().zip(&upper).map(|(x, u)| x + (u - x) / 3.0).collect();
    lbfgs.place(&x, &third, 3.0, &mut trial);
    assert!(trial.iter().zip(&upper).all(|(t, u)| t <= u));
    assert!(largest_difference(&trial, &upper) < 1e-15);
    assert!(x.iter().zip(&third).zip(&upper).any(|((x, t), u)| x + 3.0 * (t - x) > *u));
}
