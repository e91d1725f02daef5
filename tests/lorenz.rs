//! The Lorenz system of the seed paper, by the code of `examples/lorenz.rs`: every gradient against reference numbers.

#[path = "../crates/reversal/tests/common/lorenz.rs"]
#[allow(dead_code, reason = "the instruments of that crate's tests are not needed here")]
mod by_hand;
#[path = "../examples/lorenz.rs"]
#[allow(dead_code, reason = "the pictures are drawn by the example")]
mod example;

use example::{Lorenz, PARAMETERS, START, STEPS, STRATEGIES, adjoint_state, error, forward, path, rate, reverse, rk4};
use rayon::prelude::*;
use serde_json::Value;
use std::array::from_fn;
use std::path::Path;
use treewave_autodiff::{Dual, Program, Taped};
use treewave_core::Real;
use treewave_reversal::{MemoryStore, Strategy, Workspace};

/// A golden file; `None`, with a message, where the shared folder is absent.
fn golden(name: &str) -> Option<String> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if !shared.exists() {
        println!("skipped: ../shared is absent");
        return None;
    }
    let file = shared.join("golden").join(name);
    Some(std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}

/// The rows of a golden table below its header.
fn rows(text: &str) -> Vec<Vec<f64>> {
    let number = |cell: &str| cell.parse().unwrap_or_else(|_| panic!("`{cell}` is no number"));
    text.lines().skip(1).map(|line| line.split(',').map(number).collect()).collect()
}

/// A list of numbers, which stand in JSON as such or, with more digits than a number keeps, as strings.
fn numbers(value: &Value) -> Vec<f64> {
    let number = |v: &Value| match v {
        Value::String(digits) => match digits.split_once('/') {
            Some((num, den)) => num.parse::<f64>().expect("a number") / den.parse::<f64>().expect("a number"),
            None => digits.parse().expect("a number"),
        },
        other => other.as_f64().expect("a number"),
    };
    value.as_array().expect("a list").iter().map(number).collect()
}

/// The same system with the same step everywhere; on a grid of times it changes in the last digit.
#[derive(Clone)]
struct ConstantStep;

impl Program for ConstantStep {
    fn step<R: Real>(&self, _: usize, parameters: &[R], state: &mut [R]) {
        let parameters = from_fn(|i| parameters[i]);
        state.copy_from_slice(&rk4(|u| rate(u, parameters), from_fn(|i| state[i]), 0.003));
    }
    fn finish<R: Real>(&self, _: &[R], last: &[R]) -> R {
        last[0]
    }
}

/// The cases of `lorenz.json` with their steps and parameters.
fn cases() -> Vec<(String, Value, usize, [f64; 3])> {
    let Some(text) = golden("lorenz.json") else { return Vec::new() };
    let Value::Object(cases) = serde_json::from_str(&text).expect("JSON") else { panic!("cases by name") };
    let case = |(name, case): (String, Value)| {
        assert_eq!((numbers(&case["y0"]), case["dt"].as_str()), (START.to_vec(), Some("3/1000")), "{name}");
        let steps = case["n_steps"].as_u64().expect("a number of steps") as usize;
        let parameters = numbers(&case["sigma_rho_beta"]);
        (name, case, steps, from_fn(|i| parameters[i]))
    };
    cases.into_iter().map(case).collect()
}

/// Compares one program with its reference in double precision, and with the 60-digit one.
fn assert_case(
    program: &(impl Program + Clone),
    key: &str,
    (name, case, steps, parameters): &(String, Value, usize, [f64; 3]),
) {
    let reference = &case[key];
    let what = format!("{name}, {key}");
    // The reference does the same operations in the same order; in another order the chaos of 10⁴ steps makes 1e-7 of the last digit.
    let mut state = START;
    let x = program.run(*steps, parameters, &mut state);
    assert!(error(&state, &numbers(&reference["final_y"])) < 1e-13, "{what}: {state:?}");
    assert_eq!(x, state[0]);
    let exact = numbers(&case["grad_final_x_exact"]);
    let rounding = reference["rel_l2_error"].as_f64().expect("a number");
    let by_mode = [("forward", forward(program, *steps, *parameters))]
        .into_iter()
        .chain(STRATEGIES.into_iter().map(|strategy| ("reverse", reverse(program, strategy, *steps, *parameters))));
    for (mode, gradient) in by_mode {
        assert!(error(&gradient, &numbers(&reference["grad_final_x"])) < 1e-12, "{what}, {mode}: {gradient:?}");
        // the reference's own distance from the exact gradient, and the roundings of another order of summation
        assert!(error(&gradient, &exact) < 1.001 * rounding + 1e-12, "{what}, {mode}: {gradient:?}");
    }
    // all derivatives of the last state at once
    let mut state: [Dual<f64, 6>; 3] = from_fn(|i| Dual::variable(START[i], i));
    program.run(*steps, &from_fn::<_, 3, _>(|i| Dual::variable(parameters[i], 3 + i)), &mut state);
    for (row, exact) in state.iter().zip(case["jacobian_exact_f64"].as_array().expect("rows")) {
        let (exact, found) = (numbers(exact), error(&row.tangent, &numbers(exact)));
        // rounding moves the end along the trajectory, where the derivatives of z change a hundred times faster than those of x
        assert!(found < 200.0 * rounding + 1e-12, "{what}: row {exact:?} is off by {found}");
    }
}

#[test]
fn states_gradients_and_jacobians_equal_the_reference_by_forward_and_by_reverse_mode() {
    let cases = cases();
    for case in &cases {
        assert_case(&Lorenz, "f64_grid_difference_dt", case);
        assert_case(&ConstantStep, "f64_const_dt", case);
    }
    let names: Vec<&str> = cases.iter().map(|case| case.0.as_str()).collect();
    assert!(names.is_empty() || names == ["seed", "short_1000", "short_126", "stable_rho15"], "{names:?}");
}

#[test]
fn the_trajectories_are_those_of_the_reference() {
    for (name, case, _, parameters) in cases() {
        let Some(points) = case["trajectory_f64_grid_difference_dt"].as_object() else { continue };
        assert_eq!(points.len(), 21, "{name}");
        for (n, expected) in points {
            let mut state = START;
            Lorenz.run(n.parse().expect("a step"), &parameters, &mut state);
            assert!(error(&state, &numbers(expected)) < 1e-13, "{name}, step {n}: {state:?}");
        }
    }
}

#[test]
fn the_gradient_printed_by_the_seed_comes_out_again() {
    for (name, case, steps, parameters) in cases().into_iter().filter(|case| case.0 == "seed") {
        let gradient = forward(&Lorenz, steps, parameters);
        assert!(error(&gradient, &numbers(&case["readme_forwarddiff"])) < 1e-12, "{name}: {gradient:?}");
        // the seed's reverse mode un-computes each step, and loses digits by that
        assert!(error(&gradient, &numbers(&case["readme_nilang"])) < 1e-10, "{name}: {gradient:?}");
    }
}

#[test]
fn every_strategy_gives_the_same_bits() {
    for steps in [1, 126, 1000] {
        let reference = reverse(&Lorenz, Strategy::StoreAll, steps, PARAMETERS).map(f64::to_bits);
        for strategy in
            STRATEGIES.into_iter().chain([Strategy::Treeverse { snapshots: 2 }, Strategy::Revolve { snapshots: 2 }])
        {
            let found = reverse(&Lorenz, strategy, steps, PARAMETERS).map(f64::to_bits);
            assert_eq!(found, reference, "{strategy:?}, {steps} steps");
        }
    }
}

#[test]
fn the_adjoint_state_method_errs_as_in_the_paper() {
    let Some(text) = golden("lorenz_fig4b_adjoint_state.csv") else { return };
    let (path, exact) = (path(STEPS), forward(&Lorenz, STEPS, PARAMETERS));
    for row in rows(&text) {
        let [restart, paper, by_start, by_all] = from_fn(|i| row[i]);
        let found = adjoint_state(&path, restart as usize);
        let found = [error(&found[..3], &exact[..3]), error(&found, &exact)];
        for (found, expected) in found.into_iter().zip([by_start, by_all]) {
            assert!((found - expected).abs() < 1e-6 * expected, "restart {restart}: {found} instead of {expected}");
        }
        // the paper's run rounds differently, which 10⁴ chaotic steps show in the fifth digit of the error
        assert!((found[0] - paper).abs() < 5e-5 * paper, "restart {restart}: {} instead of {paper}", found[0]);
    }
}

#[test]
fn the_adjoint_state_method_without_restarts_is_of_no_use_in_chaos_but_good_where_there_is_none() {
    let exact = forward(&Lorenz, STEPS, PARAMETERS);
    let lost = error(&adjoint_state(&path(STEPS), usize::MAX), &exact);
    assert!(lost.is_nan() || lost > 1.0, "{lost}");
    // t = 0.3: what remains is the difference between the equation and its discretisation, of order Δt⁴
    let short = error(&adjoint_state(&path(100), usize::MAX), &forward(&Lorenz, 100, PARAMETERS));
    assert!((1e-9..1e-5).contains(&short), "{short}");
}

#[test]
fn the_heat_map_is_that_of_the_reference_wherever_rounding_allows_to_compare() {
    let Some(text) = golden("lorenz_fig3_heatmap.csv") else { return };
    let cells = rows(&text);
    assert_eq!(cells.len(), 21 * 21);
    let compared: usize = cells
        .par_iter()
        .map(|cell| {
            let [sigma, rho, expected, critical, rounding] = from_fn(|i| cell[i]);
            let found = example::sensitivity(sigma, rho);
            let formula = sigma * (sigma + 8.0 / 3.0 + 3.0) / (sigma - 8.0 / 3.0 - 1.0);
            assert!((critical - formula).abs() <= 1e-12 * formula.abs(), "σ = {sigma}: {critical}, not {formula}");
            // the reference's own change under another rounding; it is one draw, ours another
            let tolerance = 2.0 * rounding + 1e-14;
            let what = format!("σ = {sigma}, ρ = {rho}: {found}, not {expected}");
            if tolerance >= 0.5 {
                // where rounding decides about the digits, the decade still says how chaotic it is
                assert!((found / expected).log10().abs() < 1.0, "{what}");
                return 0;
            }
            assert!((found - expected).abs() <= tolerance * expected, "{what}");
            1
        })
        .sum();
    assert_eq!(compared, 355, "as many cells have digits that survive rounding");
}

/// The program that the tests of crate reversal differentiate by hand.
struct Observed;

impl Program for Observed {
    fn step<R: Real>(&self, _: usize, parameters: &[R], state: &mut [R]) {
        let parameters = from_fn(|i| parameters[i]);
        state.copy_from_slice(&rk4(|u| rate(u, parameters), from_fn(|i| state[i]), 0.01));
    }
    fn observe<R: Real>(&self, _: usize, _: &[R], state: &[R]) -> R {
        R::from_f64(0.5) * state[0] * state[0]
    }
    fn finish<R: Real>(&self, _: &[R], last: &[R]) -> R {
        R::from_f64(0.5) * (last[0] * last[0] + last[1] * last[1] + last[2] * last[2])
    }
}

#[test]
fn tape_duals_and_the_adjoint_by_hand_agree() {
    let steps = 200;
    let schedule = || Strategy::Revolve { snapshots: 5 }.schedule(steps).expect("a schedule");
    let hand = by_hand::Lorenz::new(steps);
    let (mut output, mut adjoint) = (hand.output(), by_hand::Back::default());
    let mut store = MemoryStore::new(|| treewave_reversal::Evolution::new_state(&hand));
    let mut workspace = Workspace::new(&hand, by_hand::Scratch::default());
    let (misfit, _) = treewave_reversal::reverse(
        &hand,
        steps,
        schedule(),
        &mut store,
        &mut workspace,
        &mut output,
        &mut adjoint,
        &mut || false,
    )
    .expect("a legal schedule");
    let taped = Taped { program: Observed, start: hand.start.to_vec(), parameters: hand.parameters.to_vec() };
    let tape = taped.gradient(steps, schedule()).expect("a legal schedule");
    let mut state: [Dual<f64, 6>; 3] = from_fn(|i| Dual::variable(hand.start[i], i));
    let dual = Observed.run(steps, &from_fn::<_, 3, _>(|i| Dual::variable(hand.parameters[i], 3 + i)), &mut state);
    let by_hand = [adjoint.position, adjoint.parameters].concat();
    let by_tape = [tape.start, tape.parameters].concat();
    for (what, found) in [("tape", by_tape), ("dual", dual.tangent.to_vec())] {
        assert!(error(&found, &by_hand) < 1e-12, "{what}: {found:?} instead of {by_hand:?}");
    }
    assert!((tape.objective - misfit).abs() < 1e-12 * misfit && (dual.value - misfit).abs() < 1e-12 * misfit);
}
