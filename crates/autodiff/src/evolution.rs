//! Long simulations, differentiated step by step.

use std::convert::Infallible;
use std::ops::Range;

use treewave_core::Real;
use treewave_reversal::{Action, Evolution, Log, MemoryStore, ReverseError, Snapshot, TieredStore, Workspace, reverse};

use crate::{Tape, TapeUsage, Var};

/// A simulation of many steps, written once over any scalar: the state is a list of numbers that each step updates in place.
///
/// ```text
/// u[n+1] = step(n, p, u[n]),    J = Σ_{n<N} observe(n, p, u[n]) + finish(p, u[N])
/// ```
///
/// [`run`](Program::run) on `f64` computes J, on dual numbers its directional derivatives; [`Taped`] gives its gradient by
/// reverse mode.
pub trait Program: Sync {
    /// Moves the state over step `n`.
    fn step<R: Real + Send + Sync>(&self, n: usize, parameters: &[R], state: &mut [R]);

    /// What the state before step `n` adds to the objective; nothing unless said otherwise.
    fn observe<R: Real + Send + Sync>(&self, _n: usize, _parameters: &[R], _state: &[R]) -> R {
        R::ZERO
    }

    /// What the last state adds to the objective.
    fn finish<R: Real + Send + Sync>(&self, parameters: &[R], last: &[R]) -> R;

    /// The objective after so many steps; `state` is the initial state before and the last one after.
    fn run<R: Real + Send + Sync>(&self, steps: usize, parameters: &[R], state: &mut [R]) -> R {
        let mut observed = R::ZERO;
        for n in 0..steps {
            observed += self.observe(n, parameters, state);
            self.step(n, parameters, state);
        }
        observed + self.finish(parameters, state)
    }
}

/// A [`Program`] as an [`Evolution`]: its adjoint comes from a tape.
///
/// The record of a step is the state before it. Pulling a step back records the step on a tape, pops it, and throws it away, so
/// that the memory is that of one step's tape and of the schedule's snapshots, however many steps there are.
#[derive(Clone, Debug)]
pub struct Taped<P> {
    /// The program.
    pub program: P,
    /// The initial state.
    pub start: Vec<f64>,
    /// The parameters; the gradient is by these and by the initial state.
    pub parameters: Vec<f64>,
}

/// The state of a [`Program`].
#[derive(Clone, Debug, PartialEq)]
pub struct FlatState(pub Vec<f64>);

impl Snapshot for FlatState {
    fn copy_from(&mut self, other: &Self) {
        self.0.copy_from_slice(&other.0);
    }
    fn parts(&self) -> Vec<&[u8]> {
        vec![bytemuck::cast_slice(&self.0)]
    }
    fn parts_mut(&mut self) -> Vec<&mut [u8]> {
        vec![bytemuck::cast_slice_mut(&mut self.0)]
    }
}

/// The derivatives of the objective, as far as the walk back has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adjoint {
    /// By the state before the step that was pulled back last; in the end, by the initial state.
    pub state: Vec<f64>,
    /// By the parameters.
    pub parameters: Vec<f64>,
}

/// What the tapes of many steps took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TracerUsage {
    /// Tapes made and thrown away.
    pub tapes: u64,
    /// Primitive operations recorded by all of them.
    pub operations: u64,
    /// Bytes of the largest one.
    pub peak_bytes: usize,
}

impl TracerUsage {
    fn add(&mut self, tape: TapeUsage) {
        self.tapes += 1;
        self.operations += tape.operations as u64;
        self.peak_bytes = self.peak_bytes.max(tape.bytes);
    }
}

/// Scratch space of the walk back: the variables of one step, and the count of what all tapes took.
#[derive(Debug, Default)]
pub struct Tracer {
    /// What the tapes took so far.
    pub usage: TracerUsage,
    inputs: Vec<Var<f64>>,
    state: Vec<Var<f64>>,
    seeds: Vec<(Var<f64>, f64)>,
}

impl Tracer {
    /// Differentiates a piece of the program once: `piece` updates the state and returns what it adds to the objective. The adjoint is
    /// that after the piece and becomes that before it.
    fn pull_back(
        &mut self,
        record: &[f64],
        parameters: &[f64],
        adjoint: &mut Adjoint,
        piece: impl FnOnce(&[Var<f64>], &mut [Var<f64>]) -> Var<f64>,
    ) {
        let mut tape = Tape::start();
        self.inputs.clear();
        self.inputs.extend(record.iter().chain(parameters).map(|&value| tape.variable(value)));
        let (before, parameters) = self.inputs.split_at(record.len());
        self.state.clear();
        self.state.extend_from_slice(before);
        let objective = piece(parameters, &mut self.state);
        self.seeds.clear();
        self.seeds.extend(self.state.iter().copied().zip(adjoint.state.iter().copied()));
        self.seeds.push((objective, 1.0));
        self.usage.add(tape.usage());
        let adjoints = tape.pull_back(&self.seeds);
        for (adjoint, &variable) in adjoint.state.iter_mut().zip(before) {
            *adjoint = adjoints.of(variable);
        }
        for (adjoint, &variable) in adjoint.parameters.iter_mut().zip(parameters) {
            *adjoint += adjoints.of(variable);
        }
    }
}

impl<P: Program> Evolution for Taped<P> {
    type State = FlatState;
    /// The state before the step.
    type Record = FlatState;
    /// The observed part of the objective.
    type Output = f64;
    type Adjoint = Adjoint;
    type Work = Tracer;
    type Error = Infallible;

    fn new_state(&self) -> FlatState {
        FlatState(vec![0.0; self.start.len()])
    }

    fn new_record(&self) -> FlatState {
        self.new_state()
    }

    fn start(&self, state: &mut FlatState) {
        state.0.copy_from_slice(&self.start);
    }

    fn advance(
        &self,
        steps: Range<usize>,
        state: &mut FlatState,
        mut output: Option<&mut f64>,
        _: &mut Tracer,
    ) -> Result<(), Infallible> {
        for n in steps {
            if let Some(observed) = output.as_deref_mut() {
                *observed += self.program.observe(n, &self.parameters, &state.0);
            }
            self.program.step(n, &self.parameters, &mut state.0);
        }
        Ok(())
    }

    fn advance_recording(
        &self,
        steps: Range<usize>,
        state: &mut FlatState,
        records: &mut [FlatState],
        mut output: Option<&mut f64>,
        work: &mut Tracer,
    ) -> Result<(), Infallible> {
        for (n, record) in steps.zip(records) {
            record.copy_from(state);
            self.advance(n..n + 1, state, output.as_deref_mut(), work)?;
        }
        Ok(())
    }

    fn turn(&self, last: &FlatState, output: &f64, adjoint: &mut Adjoint) -> Result<f64, Infallible> {
        adjoint.state.clear();
        adjoint.state.resize(self.start.len(), 0.0);
        adjoint.parameters.clear();
        adjoint.parameters.resize(self.parameters.len(), 0.0);
        let mut value = 0.0;
        Tracer::default().pull_back(&last.0, &self.parameters, adjoint, |parameters, state| {
            let finish = self.program.finish(parameters, state);
            value = finish.value;
            finish
        });
        Ok(*output + value)
    }

    fn pull_back(
        &self,
        steps: Range<usize>,
        records: &[FlatState],
        adjoint: &mut Adjoint,
        work: &mut Tracer,
    ) -> Result<(), Infallible> {
        for (n, record) in steps.zip(records).rev() {
            work.pull_back(&record.0, &self.parameters, adjoint, |parameters, state| {
                let observed = self.program.observe(n, parameters, state);
                self.program.step(n, parameters, state);
                observed
            });
        }
        Ok(())
    }
}

/// Objective and gradient of a [`Program`], and what they took.
#[derive(Clone, Debug, PartialEq)]
pub struct TapedGradient {
    /// The objective.
    pub objective: f64,
    /// Its derivatives by the initial state.
    pub start: Vec<f64>,
    /// Its derivatives by the parameters.
    pub parameters: Vec<f64>,
    /// Steps, snapshots, seconds.
    pub log: Log,
    /// Tapes of the steps.
    pub usage: TracerUsage,
}

impl<P: Program> Taped<P> {
    /// Objective and gradient over so many steps, whose states the schedule visits backwards; snapshots of both tiers are
    /// kept in memory.
    ///
    /// # Errors
    /// The schedule is illegal.
    pub fn gradient(
        &self,
        steps: usize,
        schedule: impl IntoIterator<Item = Action>,
    ) -> Result<TapedGradient, ReverseError<Infallible>> {
        let memory = || MemoryStore::new(|| self.new_state());
        let mut store = TieredStore::new(memory(), Some(Box::new(memory())));
        let mut workspace = Workspace::new(self, Tracer::default());
        let (mut observed, mut adjoint) = (0.0, Adjoint::default());
        let (objective, log) =
            reverse(self, steps, schedule, &mut store, &mut workspace, &mut observed, &mut adjoint, &mut || false)?;
        let usage = workspace.work_mut().usage;
        Ok(TapedGradient { objective, start: adjoint.state, parameters: adjoint.parameters, log, usage })
    }
}
