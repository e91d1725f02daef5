//! The Lorenz system stepped by Runge and Kutta's method of order 4, observed at every step, with its adjoint.

use std::cell::Cell;
use std::convert::Infallible;
use std::ops::Range;
use treewave_reversal::{Evolution, Snapshot};

const DT: f64 = 0.01;

/// Position, and the number of steps made, so that a wrong restart is noticed.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub bytes: Vec<u8>,
}

impl State {
    fn get(&self) -> [f64; 3] {
        std::array::from_fn(|i| f64::from_le_bytes(self.bytes[8 * i..8 * i + 8].try_into().expect("8 bytes")))
    }

    fn set(&mut self, x: [f64; 3]) {
        for (i, x) in x.into_iter().enumerate() {
            self.bytes[8 * i..8 * i + 8].copy_from_slice(&x.to_le_bytes());
        }
    }
}

impl Snapshot for State {
    fn copy_from(&mut self, other: &Self) {
        self.bytes.copy_from_slice(&other.bytes);
    }
    fn parts(&self) -> Vec<&[u8]> {
        vec![&self.bytes]
    }
    fn parts_mut(&mut self) -> Vec<&mut [u8]> {
        vec![&mut self.bytes]
    }
}

/// What was observed: the first coordinate before each step, and how often each step was shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub x: Vec<f64>,
    pub times: Vec<usize>,
}

/// Adjoint position, gradient with respect to σ, ρ, β, and the derivative of the misfit by each observation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Back {
    pub position: [f64; 3],
    pub parameters: [f64; 3],
    source: Vec<f64>,
    pub turns: usize,
}

/// σ, ρ, β and the start.
pub struct Lorenz {
    pub steps: usize,
    pub parameters: [f64; 3],
    pub start: [f64; 3],
    /// Steps change a little from call to call.
    pub unsteady: bool,
    pub states_made: std::sync::atomic::AtomicUsize,
    pub records_made: std::sync::atomic::AtomicUsize,
}

/// Counts calls, to see that scratch space is handed through.
#[derive(Default)]
pub struct Scratch {
    pub calls: Cell<usize>,
}

impl Lorenz {
    pub fn new(steps: usize) -> Self {
        Lorenz {
            steps,
            parameters: [10.0, 28.0, 8.0 / 3.0],
            start: [1.0, 0.5, 20.0],
            unsteady: false,
            states_made: 0.into(),
            records_made: 0.into(),
        }
    }

    pub fn output(&self) -> Seen {
        Seen { x: vec![0.0; self.steps], times: vec![0; self.steps] }
    }

    fn rate(&self, x: [f64; 3]) -> [f64; 3] {
        let [sigma, rho, beta] = self.parameters;
        [sigma * (x[1] - x[0]), x[0] * (rho - x[2]) - x[1], x[0] * x[1] - beta * x[2]]
    }

    /// The transposed derivative of the rate, applied to `v`; the parameters' share goes to `gradient`.
    fn rate_back(&self, x: [f64; 3], v: [f64; 3], gradient: &mut [f64; 3]) -> [f64; 3] {
        let [sigma, rho, beta] = self.parameters;
        gradient[0] += (x[1] - x[0]) * v[0];
        gradient[1] += x[0] * v[1];
        gradient[2] -= x[2] * v[2];
        [
            -sigma * v[0] + (rho - x[2]) * v[1] + x[1] * v[2],
            sigma * v[0] - v[1] + x[0] * v[2],
            -x[0] * v[1] - beta * v[2],
        ]
    }

    fn stages(&self, x: [f64; 3]) -> [[f64; 3]; 4] {
        let k1 = self.rate(x);
        let k2 = self.rate(along(x, DT / 2.0, k1));
        let k3 = self.rate(along(x, DT / 2.0, k2));
        [k1, k2, k3, self.rate(along(x, DT, k3))]
    }

    pub fn step(&self, x: [f64; 3]) -> [f64; 3] {
        let [k1, k2, k3, k4] = self.stages(x);
        std::array::from_fn(|i| x[i] + DT / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]))
    }

    fn step_back(&self, x: [f64; 3], out: [f64; 3], gradient: &mut [f64; 3]) -> [f64; 3] {
        let [k1, k2, k3, _] = self.stages(x);
        let weighted =
            |w: f64, extra: f64, back: [f64; 3]| std::array::from_fn(|i| DT / 6.0 * w * out[i] + extra * back[i]);
        let b4 = self.rate_back(along(x, DT, k3), weighted(1.0, 0.0, out), gradient);
        let b3 = self.rate_back(along(x, DT / 2.0, k2), weighted(2.0, DT, b4), gradient);
        let b2 = self.rate_back(along(x, DT / 2.0, k1), weighted(2.0, DT / 2.0, b3), gradient);
        let b1 = self.rate_back(x, weighted(1.0, DT / 2.0, b2), gradient);
        std::array::from_fn(|i| out[i] + b1[i] + b2[i] + b3[i] + b4[i])
    }

    /// The misfit by a plain run.
    pub fn misfit(&self) -> f64 {
        let (mut x, mut seen) = (self.start, Vec::new());
        for _ in 0..self.steps {
            seen.push(x[0]);
            x = self.step(x);
        }
        misfit(&seen, x)
    }
}

fn misfit(seen: &[f64], last: [f64; 3]) -> f64 {
    seen.iter().map(|x| 0.5 * x * x).sum::<f64>() + 0.5 * last.iter().map(|x| x * x).sum::<f64>()
}

fn along(x: [f64; 3], dt: f64, k: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|i| x[i] + dt * k[i])
}

impl Evolution for Lorenz {
    type State = State;
    type Record = [f64; 3];
    type Output = Seen;
    type Adjoint = Back;
    type Work = Scratch;
    type Error = Infallible;

    fn new_state(&self) -> State {
        self.states_made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        State { bytes: vec![0; 24] }
    }

    fn new_record(&self) -> [f64; 3] {
        self.records_made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        [0.0; 3]
    }

    fn start(&self, state: &mut State) {
        state.set(self.start);
    }

    fn advance(
        &self,
        steps: Range<usize>,
        state: &mut State,
        mut output: Option<&mut Seen>,
        work: &mut Scratch,
    ) -> Result<(), Infallible> {
        work.calls.set(work.calls.get() + 1);
        for n in steps {
            let x = state.get();
            if let Some(seen) = output.as_deref_mut() {
                seen.x[n] = x[0];
                seen.times[n] += 1;
            }
            let drift = if self.unsteady { 1e-9 * work.calls.get() as f64 } else { 0.0 };
            state.set(self.step(x).map(|x| x + drift));
        }
        Ok(())
    }

    fn advance_recording(
        &self,
        steps: Range<usize>,
        state: &mut State,
        records: &mut [[f64; 3]],
        mut output: Option<&mut Seen>,
        work: &mut Scratch,
    ) -> Result<(), Infallible> {
        assert_eq!(records.len(), steps.len());
        for (n, record) in steps.zip(records) {
            *record = state.get();
            self.advance(n..n + 1, state, output.as_deref_mut(), work)?;
        }
        Ok(())
    }

    fn turn(&self, last: &State, output: &Seen, adjoint: &mut Back) -> Result<f64, Infallible> {
        adjoint.turns += 1;
        adjoint.position = last.get();
        adjoint.source = output.x.clone();
        Ok(misfit(&output.x, last.get()))
    }

    fn pull_back(
        &self,
        steps: Range<usize>,
        records: &[[f64; 3]],
        adjoint: &mut Back,
        _: &mut Scratch,
    ) -> Result<(), Infallible> {
        assert_eq!(records.len(), steps.len());
        for (n, x) in steps.zip(records).rev() {
            adjoint.position = self.step_back(*x, adjoint.position, &mut adjoint.parameters);
            adjoint.position[0] += adjoint.source[n];
        }
        Ok(())
    }
}
