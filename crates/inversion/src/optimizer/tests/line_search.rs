//! The line search: the paper's functions, the limit, rejected trials.

use crate::optimizer::line_search::{MoreThuente, Verdict};

/// Value and slope.
type Function = Box<dyn Fn(f64) -> (f64, f64)>;
/// A function, c₁, c₂, and for each first trial the evaluations and the step found.
type Table = (Function, f64, f64, [(usize, f64); 4]);

fn f1() -> Function {
    Box::new(|a| (-a / (a * a + 2.0), (a * a - 2.0) / (a * a + 2.0).powi(2)))
}
fn f2() -> Function {
    Box::new(|a| {
        let b = a + 0.004;
        (b.powi(5) - 2.0 * b.powi(4), 5.0 * b.powi(4) - 8.0 * b.powi(3))
    })
}
fn f3() -> Function {
    let (beta, l) = (0.01, 39.0);
    let half = 0.5 * l * std::f64::consts::PI;
    Box::new(move |a| {
        let (kink, slope) = if a <= 1.0 - beta {
            (1.0 - a, -1.0)
        } else if a >= 1.0 + beta {
            (a - 1.0, 1.0)
        } else {
            ((a - 1.0).powi(2) / (2.0 * beta) + 0.5 * beta, (a - 1.0) / beta)
        };
        (kink + (1.0 - beta) / half * (half * a).sin(), slope + (1.0 - beta) * (half * a).cos())
    })
}
fn f456(b1: f64, b2: f64) -> Function {
    let gamma = |b: f64| (1.0 + b * b).sqrt() - b;
    let (g1, g2) = (gamma(b1), gamma(b2));
    Box::new(move |a| {
        let (left, right) = ((1.0 - a).hypot(b2), a.hypot(b1));
        (g1 * left + g2 * right, g1 * (a - 1.0) / left + g2 * a / right)
    })
}

/// Searches to the end: the last verdict, the step, the evaluations after the one at 0.
fn search(f: &Function, first: f64, limit: f64, c1: f64, c2: f64) -> (Verdict, f64, usize) {
    let (value, slope) = f(0.0);
    let mut search = MoreThuente::new(value, slope, first, limit, c1, c2);
    for trials in 1..=50 {
        let step = search.trial();
        let (value, slope) = f(step);
        let verdict = search.observe(value, slope);
        if verdict != Verdict::Continue {
            return (verdict, step, trials);
        }
    }
    panic!("no end after 50 trials");
}

#[test]
fn the_six_functions_of_the_paper_take_its_number_of_evaluations() {
    // Moré & Thuente (1994), tables 1 to 6: evaluations and step from the first trials 1e-3, 0.1, 10, 1000.
    let tables: [Table; 6] = [
        (f1(), 1e-3, 0.1, [(6, 1.4), (3, 1.4), (1, 10.0), (4, 37.0)]),
        (f2(), 0.1, 0.1, [(12, 1.6), (8, 1.6), (8, 1.6), (11, 1.6)]),
        (f3(), 0.1, 0.1, [(12, 1.0), (12, 1.0), (10, 1.0), (13, 1.0)]),
        (f456(0.001, 0.001), 1e-3, 1e-3, [(4, 0.085), (1, 0.10), (3, 0.35), (4, 0.83)]),
        (f456(0.01, 0.001), 1e-3, 1e-3, [(6, 0.075), (3, 0.078), (7, 0.073), (8, 0.076)]),
        (f456(0.001, 0.01), 1e-3, 1e-3, [(13, 0.93), (11, 0.93), (8, 0.92), (11, 0.92)]),
    ];
    for (number, (f, c1, c2, rows)) in tables.iter().enumerate() {
        for (&first, &(trials, step)) in [1e-3, 0.1, 10.0, 1000.0].iter().zip(rows) {
            let (verdict, found, count) = search(f, first, 1e10, *c1, *c2);
            let place = format!("function {} from {first}", number + 1);
            assert_eq!((verdict, count), (Verdict::Wolfe, trials), "{place}");
            // The paper gives two digits.
            assert!((found - step).abs() < 0.05 * step, "{place}: {found}");
            let ((value, slope), (value_0, slope_0)) = (f(found), f(0.0));
            assert!(value <= value_0 + c1 * found * slope_0 && slope.abs() <= c2 * slope_0.abs(), "{place}");
        }
    }
}

#[test]
fn a_function_that_still_falls_at_the_limit_ends_the_search_there() {
    let falling: Function = Box::new(|a| (-a, -1.0));
    for (first, limit, trials) in [(1.0, 1.0, 1), (1.0, 3.0, 2), (1.0, 20.0, 3), (0.5, 0.5, 1)] {
        // Extrapolation goes from a to at most 5a: 1, 5, 20 and 1, 3.
        assert_eq!(search(&falling, first, limit, 1e-4, 0.9), (Verdict::AtLimit, limit, trials));
    }
}

#[test]
fn a_long_step_with_too_little_decrease_is_not_extended() {
    // φ = e^(−α) − 1 falls for ever; with c₁ = 0.5 and c₂ = 0.6 only steps between 0.51 and 1.59 will do.
    let flattening: Function = Box::new(|a| ((-a).exp() - 1.0, -(-a).exp()));
    for first in [0.01, 1.0, 3.0, 10.0] {
        let (verdict, step, trials) = search(&flattening, first, 1e10, 0.5, 0.6);
        assert_eq!(verdict, Verdict::Wolfe);
        assert!(step > 0.51 && step < 1.6 && trials <= 6, "{step} after {trials} trials");
    }
}

#[test]
fn no_trial_lies_beyond_the_limit() {
    for f in [f1(), f2(), f3(), f456(0.001, 0.001), f456(0.01, 0.001), f456(0.001, 0.01)] {
        for limit in [0.01, 0.5, 1.0, 1.59, 40.0] {
            let (value, slope) = f(0.0);
            let mut search = MoreThuente::new(value, slope, limit / 3.0, limit, 1e-4, 0.1);
            for _ in 0..40 {
                let step = search.trial();
                assert!(step > 0.0 && step <= limit, "{step} of {limit}");
                let (value, slope) = f(step);
                if search.observe(value, slope) != Verdict::Continue {
                    break;
                }
            }
        }
    }
}

#[test]
fn rejected_trials_shorten_the_step_until_it_is_usable() {
    // φ = (α − 0.3)², not defined from 0.1 on.
    let mut search = MoreThuente::new(0.09, -0.6, 1.0, 5.0, 1e-4, 0.5);
    let mut rejected = 0;
    while search.trial() >= 0.1 {
        assert_eq!(search.reject(), Verdict::Continue);
        rejected += 1;
    }
    assert_eq!(rejected, 2);
    let step = search.trial();
    // The shortened trial is the new limit: nothing beyond is tried, however much the function falls.
    assert_eq!(search.observe((step - 0.3).powi(2), 2.0 * (step - 0.3)), Verdict::AtLimit);
}

#[test]
fn a_rejected_trial_beyond_a_good_step_ends_the_search() {
    let mut search = MoreThuente::new(0.0, -1.0, 1.0, 10.0, 1e-4, 0.5);
    assert_eq!(search.observe(-1.0, -1.0), Verdict::Continue);
    assert_eq!(search.trial(), 5.0);
    assert_eq!(search.reject(), Verdict::Exhausted);
}

#[test]
fn values_near_overflow_end_the_search_without_panic() {
    for (value, slope) in [(f64::MAX, f64::MAX), (f64::MIN, f64::MIN), (-1e300, -1e-300), (0.0, 0.0), (1.0, f64::MIN)] {
        let mut search = MoreThuente::new(0.0, -1e-300, 1.0, f64::INFINITY, 1e-4, 0.9);
        for _ in 0..2000 {
            if search.observe(value, slope) != Verdict::Continue {
                break;
            }
        }
        assert!(!search.trial().is_nan());
    }
}
