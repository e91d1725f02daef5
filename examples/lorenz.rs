//! How a chaotic system depends on where it starts: the Lorenz equations and the gradient of their future.
//!
//! `cargo run --release --example lorenz -- FOLDER` prints gradients of x after 10⁴ steps (t = 30) by the start and the parameters,
//! all from the same lines of physics, and draws two pictures. Reference: Liu & Xu, Acta Phys. Sin. 70, 149402 (2021), §4.1.

use ndarray::Array2;
use rayon::prelude::*;
use std::{array::from_fn, error::Error, time::Instant};
use treewave::plot::*;
use treewave_autodiff::{Dual, Program, Taped};
use treewave_core::Real;
use treewave_reversal::Strategy::{self, Bennett, Revolve, StoreAll, Treeverse};

pub const STEPS: usize = 10_000;
pub const START: [f64; 3] = [1.0, 0.0, 0.0];
pub const PARAMETERS: [f64; 3] = [10.0, 27.0, 8.0 / 3.0];
pub const STRATEGIES: [Strategy; 4] =
    [StoreAll, Treeverse { snapshots: 20 }, Revolve { snapshots: 20 }, Bennett { blocks: 20 }];

/// The equations: ẋ = σ (y − x), ẏ = x (ρ − z) − y, ż = x y − β z.
pub fn rate<R: Real>([x, y, z]: [R; 3], [sigma, rho, beta]: [R; 3]) -> [R; 3] {
    [sigma * (y - x), x * (rho - z) - y, x * y - beta * z]
}

/// One step of the classical Runge–Kutta method for u̇ = f(u).
pub fn rk4<R: Real, const M: usize>(f: impl Fn([R; M]) -> [R; M], u: [R; M], dt: f64) -> [R; M] {
    let [dt, two, three, six] = [dt, 2.0, 3.0, 6.0].map(R::from_f64);
    let k1 = f(u);
    let k2 = f(from_fn(|i| u[i] + dt / two * k1[i]));
    let k3 = f(from_fn(|i| u[i] + dt / two * k2[i]));
    let k4 = f(from_fn(|i| u[i] + dt * k3[i]));
    from_fn(|i| u[i] + dt * k1[i] / six + dt * k2[i] / three + dt * k3[i] / three + dt * k4[i] / six)
}

/// From time n to n + 1, on a grid of 3/1000.
pub fn dt(n: usize) -> f64 {
    (3 * (n + 1)) as f64 / 1000.0 - (3 * n) as f64 / 1000.0
}

/// The system as a program over any scalar: state (x, y, z), parameters (σ, ρ, β), objective x at the end.
#[derive(Clone)]
pub struct Lorenz;

impl Program for Lorenz {
    fn step<R: Real>(&self, n: usize, parameters: &[R], state: &mut [R]) {
        let parameters = from_fn(|i| parameters[i]);
        state.copy_from_slice(&rk4(|u| rate(u, parameters), from_fn(|i| state[i]), dt(n)));
    }
    fn finish<R: Real>(&self, _: &[R], last: &[R]) -> R {
        last[0]
    }
}

/// Forward mode: every number carries its derivatives in six directions along.
pub fn forward(program: &impl Program, steps: usize, parameters: [f64; 3]) -> [f64; 6] {
    let mut state: [Dual<f64, 6>; 3] = from_fn(|i| Dual::variable(START[i], i));
    let parameters: [Dual<f64, 6>; 3] = from_fn(|i| Dual::variable(parameters[i], 3 + i));
    program.run(steps, &parameters, &mut state).tangent
}

/// Reverse mode: a step is taped, pulled back, forgotten; the strategy says which states are kept and which computed again.
pub fn reverse(program: &(impl Program + Clone), strategy: Strategy, steps: usize, parameters: [f64; 3]) -> [f64; 6] {
    let taped = Taped { program: program.clone(), start: START.to_vec(), parameters: parameters.to_vec() };
    let schedule = strategy.schedule(steps).expect("the strategies have slots");
    let gradient = taped.gradient(steps, schedule).expect("nothing can fail in memory");
    from_fn(|i| if i < 3 { gradient.start[i] } else { gradient.parameters[i - 3] })
}

/// The adjoint state method: u̇ = f(u, p) goes back in time, with ȧ = −(∂f/∂u)ᵀ a from a = ∂x/∂u on, and ġ = −(∂f/∂p)ᵀ a from 0.
/// Nothing is remembered but every `restart`-th state, where u is put back on its path. In a chaotic system it soon loses its way,
/// and the result is the gradient of the equation, not of the program.
pub fn adjoint_state(path: &[[f64; 3]], restart: usize) -> [f64; 6] {
    let backward = |v: [f64; 9]| -> [f64; 9] {
        let p: [Dual<f64, 6>; 3] = from_fn(|i| Dual::variable(PARAMETERS[i], 3 + i));
        let f = rate(from_fn(|i| Dual::variable(v[i], i)), p);
        let pulled = |i: usize| -(0..3).map(|k| v[3 + k] * f[k].tangent[i]).sum::<f64>();
        from_fn(|i| if i < 3 { f[i].value } else { pulled(i - 3) })
    };
    let mut v = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    for n in (1..path.len()).rev() {
        if n % restart == 0 || n == path.len() - 1 {
            v[..3].copy_from_slice(&path[n]);
        }
        v = rk4(backward, v, -dt(n - 1));
    }
    from_fn(|i| v[3 + i])
}

/// The states from the start to the end.
pub fn path(steps: usize) -> Vec<[f64; 3]> {
    let mut path = vec![START];
    for n in 0..steps {
        path.push(rk4(|u| rate(u, PARAMETERS), path[n], dt(n)));
    }
    path
}

/// Distance of two gradients over the length of the second.
pub fn error(found: &[f64], exact: &[f64]) -> f64 {
    let square = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>();
    (square(&mut found.iter().zip(exact).map(|(f, e)| f - e)) / square(&mut exact.iter().copied())).sqrt()
}

/// Mean |∂x/∂(x₀, y₀, z₀, σ, ρ, β)| at the end.
pub fn sensitivity(sigma: f64, rho: f64) -> f64 {
    forward(&Lorenz, STEPS, [sigma, rho, 8.0 / 3.0]).iter().map(|g| g.abs()).sum::<f64>() / 6.0
}

/// Sensitivity against σ and ρ, all cores at work, and the line above which both fixed points of the butterfly are unstable.
fn heat_map() -> Result<Picture, Box<dyn Error>> {
    let cell = |i: usize| sensitivity(0.2 * (i / 101) as f64, 0.5 * (i % 101) as f64).log10();
    let values = Array2::from_shape_vec((101, 101), (0..101 * 101).into_par_iter().map(cell).collect())?;
    let critical = |s: f64| s * (s + 8.0 / 3.0 + 3.0) / (s - 8.0 / 3.0 - 1.0);
    let curve = (370..2000).map(|i| 0.01 * i as f64).map(|s| [s, critical(s)]).collect();
    let label = "log₁₀ mean |∂x(30) / ∂(x₀, y₀, z₀, σ, ρ, β)|".to_string();
    let scale = ColourScale { limits: Limits::Given(-5.0, 20.0), label, ..ColourScale::velocity() };
    let axes = [Axis::plain("σ", 0.0, 0.2), Axis::plain("ρ", 0.0, 0.5)];
    let title = "Sensitivity of the Lorenz system, and ρ = σ (σ + β + 3) / (σ − β − 1)";
    Ok(panels(&[Panel { curves: vec![curve], ..Panel::map(title, values.view(), axes, scale) }])?)
}

/// The error of the adjoint state method against the number of steps between restarts.
fn error_growth(path: &[[f64; 3]], exact: &[f64; 6]) -> Result<Picture, PlotError> {
    let point = |k: usize| [k as f64, error(&adjoint_state(path, k)[..3], &exact[..3])];
    let points = (0..=50).into_par_iter().map(|i| point((10 * i).max(1))).collect();
    let title = "Adjoint state method on the Lorenz system, 10⁴ steps".to_string();
    let x = LineAxis::linear("Steps between restarts");
    let y = LineAxis::logarithmic("Relative error of ∂x(30) / ∂(x₀, y₀, z₀)");
    lines(&Lines { title, x, y, series: vec![Series { name: String::new(), points, marked: true }] })
}

pub fn main() -> Result<(), Box<dyn Error>> {
    let (path, exact) = (path(STEPS), forward(&Lorenz, STEPS, PARAMETERS));
    println!("{:<40}{:>14}{:>12}   ∂x/∂x₀", "gradient by", "time", "difference");
    let report = |name: &str, gradient: &dyn Fn() -> [f64; 6]| {
        let (began, found) = (Instant::now(), gradient());
        println!("{name:<40}{:>14.1?}{:>12.1e}   {:.9}", began.elapsed(), error(&found, &exact), found[0]);
    };
    report("forward mode", &|| forward(&Lorenz, STEPS, PARAMETERS));
    for strategy in STRATEGIES {
        report(&format!("tape, {strategy:?}"), &|| reverse(&Lorenz, strategy, STEPS, PARAMETERS));
    }
    for (restart, what) in [(1, "at every step"), (200, "every 200 steps"), (usize::MAX, "none")] {
        report(&format!("adjoint state, restarts {what}"), &|| adjoint_state(&path, restart));
    }
    let folder = std::path::PathBuf::from(std::env::args().nth(1).unwrap_or_default());
    heat_map()?.save(&folder.join("lorenz-sensitivity.png"))?;
    Ok(error_growth(&path, &exact)?.save(&folder.join("lorenz-adjoint-state.png"))?)
}
