//! What derivatives cost: the Lorenz system of `examples/lorenz.rs`, plain, in forward mode, in reverse mode.
//!
//! `cargo bench --bench differentiation` prints the tables of `docs/theory/differentiation.md`. Times are the smallest of many runs, taken in
//! turns, so that a busy machine disturbs all of them alike.

#[path = "../examples/lorenz.rs"]
#[allow(dead_code, reason = "the pictures are drawn by the example")]
mod example;

use example::{Lorenz, PARAMETERS, START, STEPS, STRATEGIES};
use std::hint::black_box;
use std::time::Instant;
use treewave_autodiff::{Dual, Program, Taped, Var, gradient};
use treewave_core::Real;

const ROUNDS: usize = 200;

fn plain() -> f64 {
    run(|x| x)
}

/// Forward mode in N directions; which ones makes no difference to the time.
fn directions<const N: usize>() -> f64 {
    run(|x| Dual::<f64, N> { value: x, tangent: std::array::from_fn(|i| 1.0 + i as f64) })
}

fn run<R: Real + Send + Sync>(number: impl Fn(f64) -> R) -> f64 {
    let (mut state, parameters) = (black_box(START).map(&number), black_box(PARAMETERS).map(&number));
    black_box(Lorenz.run(STEPS, &parameters, &mut state)).value()
}

/// The smallest time of each in seconds.
fn fastest(programs: &[&dyn Fn() -> f64], rounds: usize) -> Vec<f64> {
    let mut best = vec![f64::INFINITY; programs.len()];
    for _ in 0..rounds {
        for (best, program) in best.iter_mut().zip(programs) {
            let began = Instant::now();
            black_box(program());
            *best = best.min(began.elapsed().as_secs_f64());
        }
    }
    best
}

fn main() {
    let counts = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32];
    let programs: [&dyn Fn() -> f64; 11] = [
        &plain,
        &directions::<1>,
        &directions::<2>,
        &directions::<3>,
        &directions::<4>,
        &directions::<6>,
        &directions::<8>,
        &directions::<12>,
        &directions::<16>,
        &directions::<24>,
        &directions::<32>,
    ];
    let times = fastest(&programs, ROUNDS);
    println!("| directions N | ms | × plain |\n|---|---|---|");
    for (count, time) in counts.iter().zip(&times) {
        println!("| {count} | {:.2} | {:.2} |", 1e3 * time, time / times[0]);
    }

    let taped = Taped { program: Lorenz, start: START.to_vec(), parameters: PARAMETERS.to_vec() };
    let stepwise = |strategy: treewave_reversal::Strategy| {
        taped.gradient(STEPS, strategy.schedule(STEPS).expect("enough slots")).expect("a legal schedule")
    };
    let whole = || {
        let program = |v: &[Var<f64>]| Lorenz.run(STEPS, &v[3..], &mut v[..3].to_vec());
        gradient(program, &[START, PARAMETERS].concat())
    };
    println!(
        "\n| reverse mode | ms | × plain | forward steps per step | bytes of tape | bytes of states and records |\n|---|---|---|---|---|---|"
    );
    let time = fastest(&[&|| whole().value], ROUNDS / 10)[0];
    println!(
        "| one tape of all steps | {:.1} | {:.1} | 1 | {} | 0 |",
        1e3 * time,
        time / times[0],
        whole().usage.bytes
    );
    for strategy in STRATEGIES {
        let time = fastest(&[&|| stepwise(strategy).objective], ROUNDS / 10)[0];
        let result = stepwise(strategy);
        let counts = result.log.counts;
        let states = counts.peak_snapshots + counts.peak_records;
        println!(
            "| step by step, {strategy:?} | {:.1} | {:.1} | {:.2} | {} | {} |",
            1e3 * time,
            time / times[0],
            result.log.recompute_factor(),
            result.usage.peak_bytes,
            24 * states,
        );
    }
}
