//! Long programs differentiated step by step: the right gradient, in bounded memory, with the same bits for every schedule.

use treewave_autodiff::{Dual, Program, Taped, Var, gradient};
use treewave_core::Real;
use treewave_reversal::Strategy;

/// A driven pendulum with friction that sets in above some speed, stepped by leapfrog; the objective is the energy at the end
/// and the squared excursion on the way.
struct Pendulum;

impl Program for Pendulum {
    /// State: angle, speed. Parameters: stiffness, friction.
    fn step<R: Real>(&self, n: usize, parameters: &[R], state: &mut [R]) {
        let dt = R::from_f64(0.05);
        let drive = R::from_f64((0.3 * n as f64).sin());
        state[1] += dt * (drive - parameters[0] * state[0].sin());
        if state[1].abs() > R::from_f64(0.5) {
            state[1] -= dt * parameters[1] * state[1];
        }
        state[0] = dt.mul_add(state[1], state[0]);
    }

    fn observe<R: Real>(&self, n: usize, parameters: &[R], state: &[R]) -> R {
        if n.is_multiple_of(3) { parameters[0] * state[0] * state[0] } else { R::ZERO }
    }

    fn finish<R: Real>(&self, parameters: &[R], last: &[R]) -> R {
        last[1] * last[1] - parameters[0] * last[0].cos()
    }
}

const START: [f64; 2] = [0.4, -0.9];
const PARAMETERS: [f64; 2] = [1.3, 0.2];

fn taped() -> Taped<Pendulum> {
    Taped { program: Pendulum, start: START.to_vec(), parameters: PARAMETERS.to_vec() }
}

/// Objective and gradient by start and parameters, by forward mode.
fn forward(steps: usize) -> (f64, [f64; 4]) {
    let variable = |i: usize| Dual::<f64, 4>::variable([START, PARAMETERS].concat()[i], i);
    let mut state = [variable(0), variable(1)];
    let objective = Pendulum.run(steps, &[variable(2), variable(3)], &mut state);
    (objective.value, objective.tangent)
}

fn strategies() -> [Strategy; 5] {
    [
        Strategy::StoreAll,
        Strategy::Treeverse { snapshots: 3 },
        Strategy::Revolve { snapshots: 1 },
        Strategy::Revolve { snapshots: 5 },
        Strategy::TwoLevel {
            memory_slots: 2,
            disk_slots: Some(2),
            costs: treewave_reversal::Costs { advance: 1.0, adjoint: 3.0, write: 1.0, read: 1.0 },
        },
    ]
}

#[test]
fn the_gradient_step_by_step_is_that_of_forward_mode_and_of_one_long_tape() {
    for steps in [1, 2, 40, 300] {
        let schedule = Strategy::Revolve { snapshots: 4 }.schedule(steps).expect("a schedule");
        let stepwise = taped().gradient(steps, schedule).expect("a legal schedule");
        let (objective, tangent) = forward(steps);
        assert_eq!(stepwise.objective.to_bits(), objective.to_bits());
        let whole = gradient(
            |v: &[Var<f64>]| Pendulum.run(steps, &v[2..], &mut v[..2].to_vec()),
            &[START, PARAMETERS].concat(),
        );
        let found = [stepwise.start, stepwise.parameters].concat();
        for (i, exact) in tangent.into_iter().enumerate() {
            // some hundred steps of a stable program: round-off grows like their number
            let tolerance = 1e-12 * exact.abs().max(1.0);
            assert!((found[i] - exact).abs() < tolerance, "{steps} steps, {i}: {} and {exact}", found[i]);
            assert!((whole.gradient[i] - exact).abs() < tolerance, "{steps} steps, {i}: one tape");
        }
    }
}

#[test]
fn every_schedule_gives_the_same_bits() {
    for steps in [1, 7, 100] {
        let results = strategies().map(|strategy| {
            let result = taped().gradient(steps, strategy.schedule(steps).expect("a schedule")).expect("legal");
            let numbers = [vec![result.objective], result.start, result.parameters].concat();
            numbers.into_iter().map(f64::to_bits).collect::<Vec<_>>()
        });
        assert!(results.iter().all(|bits| *bits == results[0]), "{steps} steps: {results:?}");
    }
}

#[test]
fn the_memory_of_the_tapes_does_not_grow_with_the_number_of_steps() {
    let used = |steps: usize| {
        let schedule = Strategy::Revolve { snapshots: 6 }.schedule(steps).expect("a schedule");
        taped().gradient(steps, schedule).expect("a legal schedule").usage
    };
    let (short, long) = (used(30), used(3000));
    assert_eq!(short.peak_bytes, long.peak_bytes);
    assert_eq!((short.tapes, long.tapes), (30, 3000));
    // at most eleven operations in a step
    assert!(long.operations <= 11 * 3000, "{long:?}");
    let whole =
        gradient(|v: &[Var<f64>]| Pendulum.run(3000, &v[2..], &mut v[..2].to_vec()), &[START, PARAMETERS].concat());
    // the same operations and the sum of the objective, all of them at once
    assert!(whole.usage.operations as u64 >= long.operations);
    assert!(whole.usage.bytes > 1000 * long.peak_bytes, "{} and {}", whole.usage.bytes, long.peak_bytes);
}

#[test]
fn an_evolution_without_steps_has_the_gradient_of_its_end() {
    let result = taped().gradient(0, []).expect("nothing to do");
    let (objective, tangent) = forward(0);
    assert_eq!(result.objective, objective);
    assert_eq!([result.start, result.parameters].concat(), tangent);
}
