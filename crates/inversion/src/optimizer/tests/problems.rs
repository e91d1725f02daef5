//! Objectives with known solutions.

use crate::optimizer::*;
use std::convert::Infallible;

/// A function given as a closure, with a log. An infinite value is a rejected model.
pub(super) struct Function<F> {
    f: F,
    pub evaluations: u64,
    /// Every model that was asked for.
    pub asked: Vec<Vec<f64>>,
}

impl<F: FnMut(&[f64]) -> (f64, Vec<f64>)> Function<F> {
    pub fn new(f: F) -> Self {
        Function { f, evaluations: 0, asked: Vec::new() }
    }
}

impl<F: FnMut(&[f64]) -> (f64, Vec<f64>)> Objective for Function<F> {
    type Failure = Infallible;
    fn evaluate(&mut self, x: &[f64]) -> Result<Evaluation, EvaluationError<Infallible>> {
        self.evaluations += 1;
        self.asked.push(x.to_vec());
        let (value, gradient) = (self.f)(x);
        if value.is_infinite() {
            return Err(EvaluationError::Rejected("the wavefield blew up".to_string()));
        }
        Ok(Evaluation { value, gradient })
    }
}

/// Rosenbrock's function in pairs of elements; minimum 0 at (1, 1, …).
pub(super) fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
    let mut gradient = vec![0.0; x.len()];
    let mut value = 0.0;
    for (pair, g) in x.chunks_exact(2).zip(gradient.chunks_exact_mut(2)) {
        let (valley, slope) = (pair[1] - pair[0] * pair[0], 1.0 - pair[0]);
        value += 100.0 * valley * valley + slope * slope;
        g[0] = -400.0 * valley * pair[0] - 2.0 * slope;
        g[1] = 200.0 * valley;
    }
    (value, gradient)
}

/// `½ xᵀAx − bᵀx` with a dense symmetric `A`.
#[derive(Clone)]
pub(super) struct Quadratic {
    pub a: Vec<Vec<f64>>,
    pub b: Vec<f64>,
}

impl Quadratic {
    /// `A = MMᵀ/n + diagonal`, everything from a fixed linear congruential generator.
    pub fn random(n: usize, diagonal: f64, seed: u64) -> Self {
        let mut random = Random(seed);
        let m: Vec<Vec<f64>> = (0..n).map(|_| (0..n).map(|_| random.next()).collect()).collect();
        let dot = |u: &[f64], v: &[f64]| u.iter().zip(v).map(|(x, y)| x * y).sum::<f64>();
        let a = (0..n)
            .map(|i| (0..n).map(|j| dot(&m[i], &m[j]) / n as f64 + if i == j { diagonal } else { 0.0 }).collect())
            .collect();
        Quadratic { a, b: (0..n).map(|_| random.next()).collect() }
    }
    pub fn evaluate(&self, x: &[f64]) -> (f64, Vec<f64>) {
        let ax: Vec<f64> = self.a.iter().map(|row| row.iter().zip(x).map(|(a, v)| a * v).sum()).collect();
        let value = x.iter().zip(&ax).zip(&self.b).map(|((v, av), b)| v * (0.5 * av - b)).sum();
        (value, ax.iter().zip(&self.b).map(|(av, b)| av - b).collect())
    }
    /// The minimum within bounds by many small projected gradient steps: slow, simple, sure.
    pub fn minimum_by_brute_force(&self, lower: &[f64], upper: &[f64], start: &[f64]) -> Vec<f64> {
        let largest_row = self.a.iter().map(|row| row.iter().map(|v| v.abs()).sum::<f64>()).fold(0.0, f64::max);
        let mut x = start.to_vec();
        for _ in 0..20_000 {
            let gradient = self.evaluate(&x).1;
            for i in 0..x.len() {
                x[i] = (x[i] - gradient[i] / largest_row).clamp(lower[i], upper[i]);
            }
        }
        x
    }
}

/// Numbers in [−1, 1).
pub(super) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// Options for functions that are no seismic models: large steps, no limit, long searches.
pub(super) fn free_options() -> LbfgsOptions {
    LbfgsOptions {
        max_step_percent: 50.0,
        step_limit_factor: f64::INFINITY,
        evaluations_per_search: 30,
        gradient_tolerance: 1e-9,
        ..LbfgsOptions::default()
    }
}

/// Steps until there is a reason to stop; at most `iterations` times.
pub(super) fn run<O: Objective>(
    lbfgs: &Lbfgs,
    state: &mut LbfgsState,
    objective: &mut O,
    iterations: usize,
) -> Vec<IterationReport> {
    let mut reports = Vec::new();
    for _ in 0..iterations {
        let report = lbfgs.step(state, objective).unwrap();
        let stop = report.stopped_because.is_some();
        reports.push(report);
        if stop {
            break;
        }
    }
    reports
}

pub(super) fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|v| v.to_bits()).collect()
}

pub(super) fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}
