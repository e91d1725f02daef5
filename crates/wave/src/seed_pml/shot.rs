//! One shot as an evolution: forward modelling, its misfit, and the gradient by the exact adjoint.

use std::ops::Range;

use bytemuck::Pod;
use treewave_core::Real;
use treewave_reversal::{Evolution, Snapshot};

use super::SeedPmlError;
use super::program::SeedPml;
use super::rows::Point;
use super::state::{SeedRecord, SeedState};
use super::steps::{BackExchange, Exchange};
use super::wavefront::MAX_STEPS;
use crate::field::Field;
use crate::shot::MisfitFunction;

/// Steps between two looks for a blow-up.
const LOOK_EVERY: usize = 64;
/// Magnitude, relative to what is injected in a step, that no stable run reaches.
const BLOW_UP: f64 = 1e15;

/// Recorded traces of one shot: sample `n` is taken after step `n`, its source included.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedTraces<T> {
    /// `(receiver, time)`, receivers in the order of the shot's list.
    samples: Vec<T>,
}

/// Adjoint state of a shot and what it gathers on the way back.
#[derive(Clone, Debug)]
pub struct SeedAdjoint<T> {
    state: SeedState<T>,
    /// `c²` times the derivative with respect to it, stored as a field.
    gradient: Field<T>,
    wavelet: Vec<T>,
    /// Derivative of the misfit with respect to every sample, `(receiver, time)`, receivers in the order of the shot's list.
    residual: Vec<T>,
}

impl<T> SeedAdjoint<T> {
    /// The adjoint fields; see [`SeedState`].
    pub fn state(&self) -> &SeedState<T> {
        &self.state
    }
}

/// All of it.
impl<T: Real + Pod + Send + Sync> Snapshot for SeedAdjoint<T> {
    fn copy_from(&mut self, other: &Self) {
        let from = other.parts();
        self.parts_mut().into_iter().zip(from).for_each(|(to, from)| to.copy_from_slice(from));
    }
    fn parts(&self) -> Vec<&[u8]> {
        let mut parts = self.state.parts();
        let rest = [&self.gradient[..], &self.wavelet, &self.residual];
        parts.extend(rest.map(|v| bytemuck::cast_slice::<T, u8>(v)));
        parts
    }
    fn parts_mut(&mut self) -> Vec<&mut [u8]> {
        let mut parts = self.state.parts_mut();
        let rest = [&mut self.gradient[..], &mut self.wavelet, &mut self.residual];
        parts.extend(rest.map(|v| bytemuck::cast_slice_mut::<T, u8>(v)));
        parts
    }
}

/// The paper's misfit: `Σ (target − trace)²` over all samples; writes its derivative.
pub fn squared_difference(traces: &[f64], target: &[f64], derivative: &mut [f64]) -> f64 {
    assert!(traces.len() == target.len() && traces.len() == derivative.len(), "as many samples in all");
    let mut sum = 0.0;
    for ((trace, target), derivative) in traces.iter().zip(target).zip(derivative) {
        let residual = trace - target;
        *derivative = 2.0 * residual;
        sum += residual * residual;
    }
    sum
}

/// One shot: a source and receivers at points of the grid.
///
/// In the step `n`: the field moves on, `Δt²` times the wavelet's sample `n` is added at the source, and the receivers are
/// sampled. The initial state is at rest.
pub struct SeedPmlShot<'a, T> {
    program: &'a SeedPml<T>,
    source: Point,
    /// Sorted by rows.
    receivers: Vec<Point>,
    /// The trace of each.
    traces: Vec<usize>,
    wavelet: Vec<T>,
    steps: usize,
    misfit: Option<Box<MisfitFunction<'a>>>,
}

impl<'a, T: Real + Send + Sync> SeedPmlShot<'a, T> {
    /// A shot of `steps` steps; points are `[ix, iz]` with the ring at 0, the wavelet in units of the field per s².
    ///
    /// # Errors
    /// A source or receiver on the ring or outside.
    pub fn new(
        program: &'a SeedPml<T>,
        source: [usize; 2],
        receivers: &[[usize; 2]],
        wavelet: &[T],
        steps: usize,
    ) -> Result<Self, SeedPmlError> {
        assert!(wavelet.len() >= steps, "the wavelet has {} samples for {steps} steps", wavelet.len());
        let inside = program.inside();
        let place = |point: [usize; 2]| {
            let fits = (0..2).all(|axis| (1..=inside[axis]).contains(&point[axis]));
            let [row, column] = point;
            if fits { Ok(Point { row, column }) } else { Err(SeedPmlError::Outside { point, inside }) }
        };
        let receivers = receivers.iter().map(|&point| place(point)).collect::<Result<Vec<_>, _>>()?;
        let mut traces: Vec<usize> = (0..receivers.len()).collect();
        traces.sort_by_key(|&trace| receivers[trace].row);
        Ok(SeedPmlShot {
            program,
            source: place(source)?,
            receivers: traces.iter().map(|&trace| receivers[trace]).collect(),
            traces,
            wavelet: wavelet.to_vec(),
            steps,
            misfit: None,
        })
    }

    /// The same shot with a misfit of the traces, which the gradient needs: it takes them as `(trace, time)`, writes the
    /// derivative with respect to every sample, and returns the value.
    pub fn with_misfit(mut self, misfit: impl Fn(&[f64], &mut [f64]) -> f64 + Send + Sync + 'a) -> Self {
        self.misfit = Some(Box::new(misfit));
        self
    }

    /// Number of steps, which is also the number of samples of a trace.
    pub fn steps(&self) -> usize {
        self.steps
    }
    /// Traces to write to.
    pub fn new_output(&self) -> SeedTraces<T> {
        SeedTraces { samples: vec![T::ZERO; self.steps * self.receivers.len()] }
    }
    /// An adjoint state to write to; it is reset by [`Evolution::turn`].
    pub fn new_adjoint(&self) -> SeedAdjoint<T> {
        SeedAdjoint {
            state: self.program.new_state(),
            gradient: self.program.new_field(),
            wavelet: vec![T::ZERO; self.wavelet.len()],
            residual: vec![T::ZERO; self.steps * self.receivers.len()],
        }
    }
    /// Samples in the order `(trace, time)`.
    pub fn by_trace(&self, output: &SeedTraces<T>) -> Vec<T> {
        let mut samples = output.samples.clone();
        for (&trace, from) in self.traces.iter().zip(output.samples.chunks(self.steps.max(1))) {
            samples[trace * self.steps..][..self.steps].copy_from_slice(from);
        }
        samples
    }

    /// Models the shot from rest: traces `(trace, time)` with their derivatives, and the final state.
    ///
    /// # Errors
    /// A blow-up.
    pub fn simulate(&self) -> Result<(Vec<T>, SeedState<T>), SeedPmlError> {
        Ok(self.simulate_until(&|| false)?.expect("nobody asks to stop"))
    }

    /// The same, or nothing as soon as `stop` says so, which is asked every few steps.
    ///
    /// # Errors
    /// As [`simulate`](Self::simulate).
    #[allow(clippy::type_complexity, reason = "that of `simulate`, or nothing")]
    pub fn simulate_until(&self, stop: &dyn Fn() -> bool) -> Result<Option<(Vec<T>, SeedState<T>)>, SeedPmlError> {
        let (mut state, mut output) = (self.program.new_state(), self.new_output());
        for first in (0..self.steps).step_by(LOOK_EVERY) {
            if stop() {
                return Ok(None);
            }
            self.run(first..self.steps.min(first + LOOK_EVERY), &mut state, None, Some(&mut output))?;
        }
        Ok(Some((self.by_trace(&output), state)))
    }

    /// The loop of the field over a range of steps.
    ///
    /// # Errors
    /// A blow-up.
    pub fn run(
        &self,
        steps: Range<usize>,
        state: &mut SeedState<T>,
        mut records: Option<&mut [SeedRecord<T>]>,
        mut output: Option<&mut SeedTraces<T>>,
    ) -> Result<(), SeedPmlError> {
        let dt2 = self.dt2();
        let mut n = steps.start;
        while n < steps.end {
            let together = MAX_STEPS.min(steps.end - n).min(LOOK_EVERY - n % LOOK_EVERY);
            let mut injected = [T::ZERO; MAX_STEPS];
            injected.iter_mut().zip(&self.wavelet[n..n + together]).for_each(|(to, &w)| *to = dt2 * w);
            let records = match records.as_deref_mut() {
                Some(records) => &mut records[n - steps.start..][..together],
                None => &mut [],
            };
            let exchange = Exchange {
                source: self.source,
                injected: &injected[..together],
                receivers: &self.receivers,
                samples: output.as_deref_mut().map(|output| (&mut output.samples[..], n)),
                each: self.steps,
            };
            self.program.advance(state, records, exchange);
            n += together;
            if n.is_multiple_of(LOOK_EVERY) || n == self.steps {
                self.check(&state.now, n)?;
            }
        }
        Ok(())
    }

    fn dt2(&self) -> T {
        let dt_s = self.program.options().dt_s;
        T::from_f64(dt_s * dt_s)
    }

    /// Refuses a field that is beyond reason or not a number.
    fn check(&self, field: &[T], step: usize) -> Result<(), SeedPmlError> {
        let peak = self.wavelet.iter().fold(0.0_f64, |peak, w| peak.max(w.value().abs()));
        let injected = peak * self.dt2().value();
        let bound = if injected > 0.0 { BLOW_UP * injected } else { f64::MAX };
        let bad = |u: &T| u.value().abs() > bound || u.value().is_nan();
        let Some(place) = field.iter().position(bad) else { return Ok(()) };
        let stride = self.program.index([1, 0]);
        Err(SeedPmlError::BlowUp { step, point: [place / stride, place % stride], value: field[place].value() })
    }

    /// Sets the adjoint state to the derivative of a functional of the traces: `residual` is its derivative with respect
    /// to each sample, `(trace, time)`.
    pub fn start_adjoint(&self, residual: &[T], adjoint: &mut SeedAdjoint<T>) {
        for (&trace, to) in self.traces.iter().zip(adjoint.residual.chunks_mut(self.steps.max(1))) {
            to.copy_from_slice(&residual[trace * self.steps..][..self.steps]);
        }
        adjoint.state.clear();
        adjoint.gradient.fill(T::ZERO);
        adjoint.wavelet.fill(T::ZERO);
    }

    /// Adds the derivative of a functional of the final field, all points `(x, z)`, to an adjoint state that has just
    /// been started; that of the ring has no effect.
    pub fn add_final(&self, derivative: &[T], adjoint: &mut SeedAdjoint<T>) {
        let [nx, nz] = self.program.options().points;
        for (i, k) in (1..nx - 1).flat_map(|i| (1..nz - 1).map(move |k| (i, k))) {
            let place = self.program.index([i, k]);
            adjoint.state.now[place] += self.program.m()[place] * derivative[i * nz + k];
        }
    }

    /// The adjoint loop over a range of steps, last first.
    pub fn run_back(&self, steps: Range<usize>, records: &[SeedRecord<T>], adjoint: &mut SeedAdjoint<T>) {
        let dt2 = self.dt2();
        let mut end = steps.end;
        while end > steps.start {
            let first = end - MAX_STEPS.min(end - steps.start);
            let exchange = BackExchange {
                source: self.source,
                injected: &mut adjoint.wavelet[first..end],
                receivers: &self.receivers,
                residual: &adjoint.residual,
                each: self.steps,
                first,
            };
            let records = &records[first - steps.start..end - steps.start];
            self.program.pull_back(&mut adjoint.state, records, &mut adjoint.gradient, exchange);
            adjoint.wavelet[first..end].iter_mut().for_each(|w| *w = dt2 * *w);
            end = first;
        }
    }

    /// Derivative with respect to the squared velocity of every point `(x, z)`, per m²/s²; 0 on the ring.
    pub fn gradient_c2(&self, adjoint: &SeedAdjoint<T>) -> Vec<T> {
        let [nx, nz] = self.program.inside();
        let mut points = vec![T::ZERO; (nx + 2) * (nz + 2)];
        for (i, k) in (1..=nx).flat_map(|i| (1..=nz).map(move |k| (i, k))) {
            let place = self.program.index([i, k]);
            points[i * (nz + 2) + k] = adjoint.gradient[place] / self.program.m()[place];
        }
        points
    }
    /// Derivative with respect to every sample of the wavelet; 0 for samples that no step uses.
    pub fn gradient_wavelet(&self, adjoint: &SeedAdjoint<T>) -> Vec<T> {
        adjoint.wavelet.clone()
    }
    /// Derivative with respect to the initial field at every point `(x, z)`, once all steps were pulled back.
    pub fn gradient_u0(&self, adjoint: &SeedAdjoint<T>) -> Vec<T> {
        let field = adjoint.state.now.iter().zip(self.program.m()).map(|(&q, &m)| q / m);
        self.program.points(&field.collect::<Vec<_>>())
    }
    /// Derivative with respect to the field one step before the initial one at every point `(x, z)`, once all steps were
    /// pulled back.
    pub fn gradient_before0(&self, adjoint: &SeedAdjoint<T>) -> Vec<T> {
        let [nx, nz] = self.program.options().points;
        let mut points = vec![T::ZERO; nx * nz];
        for (i, k) in (1..nx - 1).flat_map(|i| (1..nz - 1).map(move |k| (i, k))) {
            let place = self.program.index([i, k]);
            let weight = self.program.weight_before([i, k]) / self.program.m()[place];
            points[i * nz + k] = -(weight * adjoint.state.before[place]);
        }
        points
    }
}

impl<T: Real + Send + Sync + Pod> Evolution for SeedPmlShot<'_, T> {
    type State = SeedState<T>;
    type Record = SeedRecord<T>;
    type Output = SeedTraces<T>;
    type Adjoint = SeedAdjoint<T>;
    type Work = ();
    type Error = SeedPmlError;

    fn new_state(&self) -> SeedState<T> {
        self.program.new_state()
    }
    fn new_record(&self) -> SeedRecord<T> {
        self.program.new_record()
    }
    fn start(&self, state: &mut SeedState<T>) {
        state.clear();
    }
    fn advance(
        &self,
        steps: Range<usize>,
        state: &mut SeedState<T>,
        output: Option<&mut SeedTraces<T>>,
        (): &mut (),
    ) -> Result<(), SeedPmlError> {
        self.run(steps, state, None, output)
    }
    fn advance_recording(
        &self,
        steps: Range<usize>,
        state: &mut SeedState<T>,
        records: &mut [SeedRecord<T>],
        output: Option<&mut SeedTraces<T>>,
        (): &mut (),
    ) -> Result<(), SeedPmlError> {
        self.run(steps, state, Some(records), output)
    }
    fn turn(
        &self,
        _: &SeedState<T>,
        output: &SeedTraces<T>,
        adjoint: &mut SeedAdjoint<T>,
    ) -> Result<f64, SeedPmlError> {
        let misfit = self.misfit.as_ref().expect("a gradient needs a misfit");
        let traces: Vec<f64> = self.by_trace(output).into_iter().map(T::value).collect();
        let mut residual = vec![0.0; traces.len()];
        let value = misfit(&traces, &mut residual);
        self.start_adjoint(&residual.into_iter().map(T::from_f64).collect::<Vec<_>>(), adjoint);
        Ok(value)
    }
    fn pull_back(
        &self,
        steps: Range<usize>,
        records: &[SeedRecord<T>],
        adjoint: &mut SeedAdjoint<T>,
        (): &mut (),
    ) -> Result<(), SeedPmlError> {
        self.run_back(steps, records, adjoint);
        Ok(())
    }
}
