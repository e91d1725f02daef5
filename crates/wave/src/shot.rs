//! One shot as an evolution: forward modelling, its misfit, and the gradient by the exact adjoint.

use std::ops::Range;
use std::time::Instant;

use bytemuck::Pod;
use treewave_core::{Real, Shot};
use treewave_reversal::{Evolution, Pace, Snapshot};

use crate::acoustic::{Acoustic, Exchange, WaveError};
use crate::field::Field;
use crate::front::{Extent, Front};
use crate::points::Points;
use crate::reach::Reach;
use crate::record::{Record, RecordForm, Scratch};
use crate::state::State;

/// Steps between two looks for a blow-up.
const LOOK_EVERY: usize = 64;

/// Misfit of synthetic traces: takes them as `(trace, time)` in Pa, writes the derivative with respect to every sample,
/// returns the value.
pub type MisfitFunction<'a> = dyn Fn(&[f64], &mut [f64]) -> f64 + Send + Sync + 'a;

/// Recorded traces of one shot.
#[derive(Clone, Debug)]
pub struct Traces<T> {
    /// Scaled samples, `(time, trace)`.
    samples: Vec<T>,
    /// The cells of the receivers at some steps.
    pub(crate) taken: Vec<T>,
}

/// Adjoint state of a shot and what it gathers on the way back.
#[derive(Clone, Debug)]
pub struct Adjoint<T> {
    /// Field `v = m λ` and the adjoint memories.
    state: State<T>,
    /// Room for the memory `Z` of the axes x and y.
    spare: [Field<T>; 2],
    /// `Σ v · record` per padded cell.
    gradient: Field<T>,
    /// `Σ record²` per padded cell.
    illumination: Field<T>,
    /// Derivative of the misfit with respect to the wavelet, scaled, per step.
    wavelet: Vec<T>,
    /// Scaled adjoint source, `(time, trace)`.
    residual: Vec<T>,
    /// The cells of the source at some steps.
    taken: Vec<T>,
    /// Power of two by which everything above must be multiplied.
    exponent: i32,
    /// Where the field and the memories may not be zero, if that is known.
    reached: Option<Extent>,
}

/// All of it but what a step back leaves of its own.
impl<T: Real + Pod + Send + Sync> Snapshot for Adjoint<T> {
    fn copy_from(&mut self, other: &Self) {
        let from = other.parts();
        self.parts_mut().into_iter().zip(from).for_each(|(to, from)| to.copy_from_slice(from));
        self.reached.clone_from(&other.reached);
    }
    fn parts(&self) -> Vec<&[u8]> {
        let mut parts = self.state.parts();
        let fields = self.spare.iter().chain([&self.gradient, &self.illumination]);
        parts.extend(fields.map(|field| bytemuck::cast_slice::<T, u8>(field)));
        parts.extend([&self.wavelet, &self.residual].map(|values| bytemuck::cast_slice::<T, u8>(values)));
        parts.push(bytemuck::bytes_of(&self.exponent));
        parts
    }
    fn parts_mut(&mut self) -> Vec<&mut [u8]> {
        self.reached = None;
        let mut parts = self.state.parts_mut();
        let fields = self.spare.iter_mut().chain([&mut self.gradient, &mut self.illumination]);
        parts.extend(fields.map(|field| bytemuck::cast_slice_mut::<T, u8>(field)));
        parts.extend([&mut self.wavelet, &mut self.residual].map(|v| bytemuck::cast_slice_mut::<T, u8>(v)));
        parts.push(bytemuck::bytes_of_mut(&mut self.exponent));
        parts
    }
}

/// One shot: source, wavelet and receivers on the padded grid of a discrete program.
///
/// In the step `n → n+1`: `p[n]` is recorded at the receivers if `n` is a multiple of the steps per sample, the field
/// moves on, and the wavelet's sample `n` is injected into `p[n+1]`. The last state is recorded too.
///
/// The wavelet is scaled by a power of two such that the field is of order one, and so is the adjoint source; results
/// are scaled back. So no amplitude is too small or too large for the arithmetic, and the digits do not depend on it.
pub struct AcousticShot<'a, T> {
    pub(crate) acoustic: &'a Acoustic<T>,
    pub(crate) source: Points<T>,
    pub(crate) receivers: Points<T>,
    /// Strength per cell volume, scaled, per step.
    pub(crate) wavelet: Vec<T>,
    steps: usize,
    steps_per_sample: usize,
    /// Power of two of the field's scale: physical = scaled · 2^exponent.
    exponent: i32,
    misfit: Option<Box<MisfitFunction<'a>>>,
    pub(crate) front: Front,
    /// Where an adjoint state may not be zero at first, if that is known.
    heard: Option<Extent>,
}

/// Exponent `e` with `2^e` near a positive number; 0 for 0.
fn exponent_of(x: f64) -> i32 {
    if x > 0.0 && x.is_finite() { x.log2().round() as i32 } else { 0 }
}

/// `2^exponent`, in two factors so that neither over- nor underflows too early.
pub(crate) fn scaled(x: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    x * 2f64.powi(half) * 2f64.powi(exponent - half)
}

impl<'a, T: Real + Send + Sync> AcousticShot<'a, T> {
    /// A shot with `wavelet` sampled at every step (in N/m or N, one sample per step), recorded every
    /// `steps_per_sample` steps.
    ///
    /// The shot's positions must lie inside the model (see [`treewave_core::Survey::check`]).
    pub fn new(acoustic: &'a Acoustic<T>, shot: &Shot, wavelet: &[f64], steps: usize, steps_per_sample: usize) -> Self {
        assert!(wavelet.len() >= steps, "the wavelet has {} samples for {steps} steps", wavelet.len());
        let points = |positions: &[[f64; 3]]| Points::new(&acoustic.layout, &acoustic.grid, positions);
        let per_volume = 1.0 / acoustic.grid.cell_volume();
        let m = (acoustic.options.vp_max_m_per_s * acoustic.options.dt_s).powi(2);
        let peak = wavelet[..steps].iter().fold(0.0_f64, |peak, w| peak.max(w.abs()));
        let exponent = exponent_of(peak * per_volume * m);
        let (source, receivers) = (points(&[shot.source_m]), points(&shot.receivers_m));
        AcousticShot {
            acoustic,
            front: Front::of(&source, steps),
            source,
            heard: Some(Extent::of(&receivers)),
            receivers,
            wavelet: wavelet[..steps].iter().map(|w| T::from_f64(scaled(w * per_volume, -exponent))).collect(),
            steps,
            steps_per_sample,
            exponent,
            misfit: None,
        }
    }

    /// The same shot with a misfit, which the gradient needs.
    pub fn with_misfit(mut self, misfit: impl Fn(&[f64], &mut [f64]) -> f64 + Send + Sync + 'a) -> Self {
        self.misfit = Some(Box::new(misfit));
        self
    }

    /// The same shot, computed on the whole grid from the first step on, also where no wave can have arrived. The bits are the
    /// same.
    pub fn everywhere(self) -> Self {
        AcousticShot { front: Front::everywhere(), heard: None, ..self }
    }

    /// How far its waves come on average.
    pub fn reach(&self) -> Reach {
        Reach::new(self.acoustic, &self.source, &self.receivers, self.steps)
    }

    /// The same shot, computed in each step as far as its waves come on average: only to see what a step takes, its results are wrong.
    pub fn on_average(self) -> Self {
        let Reach { forward, back, .. } = self.reach();
        AcousticShot { front: Front::standing(forward, self.steps), heard: Some(back), ..self }
    }

    /// Bytes of the shot itself: the cells and weights of its points, what is taken from them, its wavelet, its front.
    pub fn bytes(&self) -> usize {
        let samples = self.taken_len(&self.source) + self.taken_len(&self.receivers) + self.wavelet.len();
        self.source.bytes() + self.receivers.bytes() + samples * size_of::<T>() + Front::bytes(self.steps)
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.steps
    }
    /// Samples per trace.
    pub fn samples(&self) -> usize {
        self.steps / self.steps_per_sample + 1
    }
    /// Traces to write to.
    pub fn new_output(&self) -> Traces<T> {
        let samples = vec![T::ZERO; self.samples() * self.receivers.count()];
        Traces { samples, taken: vec![T::ZERO; self.taken_len(&self.receivers)] }
    }
    /// Elements of what is taken from the cells of points in a group of steps.
    fn taken_len(&self, points: &Points<T>) -> usize {
        self.acoustic.tiling.levels() * points.cells().len()
    }
    /// An adjoint state to write to; it is reset by [`Evolution::turn`].
    pub fn new_adjoint(&self) -> Adjoint<T> {
        let layout = &self.acoustic.layout;
        let cells = Field::zeros(layout.cells());
        Adjoint {
            state: State::new(layout),
            spare: [0, 1].map(|axis| Field::zeros(layout.memory_len(axis))),
            gradient: cells.clone(),
            illumination: cells,
            wavelet: vec![T::ZERO; self.steps],
            residual: vec![T::ZERO; self.samples() * self.receivers.count()],
            taken: vec![T::ZERO; self.taken_len(&self.source)],
            exponent: 0,
            reached: self.heard.clone(),
        }
    }
    /// Makes an adjoint state of another shot on the same program fit this one.
    pub fn fit(&self, adjoint: &mut Adjoint<T>) {
        adjoint.wavelet.resize(self.steps, T::ZERO);
        adjoint.residual.resize(self.samples() * self.receivers.count(), T::ZERO);
        adjoint.taken.resize(self.taken_len(&self.source), T::ZERO);
    }

    /// Models the shot: traces in Pa, `(trace, time)`.
    pub fn simulate(&self) -> Result<Vec<f64>, WaveError> {
        let traces = self.simulate_until(&|| false)?;
        Ok(traces.expect("nobody asks to stop"))
    }

    /// The same, or nothing as soon as `stop` says so, which is asked about every second.
    pub fn simulate_until(&self, stop: &dyn Fn() -> bool) -> Result<Option<Vec<f64>>, WaveError> {
        // Scaled back in f64: what the wavelet makes tiny or huge would not fit into an f32.
        Ok(self.record_all(stop)?.map(|output| self.physical_traces(&output)))
    }

    /// Models the shot on any scalar: traces in Pa with their derivatives, `(trace, time)`.
    pub fn simulate_scalars(&self) -> Result<Vec<T>, WaveError> {
        let output = self.record_all(&|| false)?.expect("nobody asks to stop");
        let half = self.exponent / 2;
        let scale = [half, self.exponent - half].map(|e| T::from_f64(2f64.powi(e)));
        Ok(self.by_trace(&output).map(|p| p * scale[0] * scale[1]).collect())
    }

    /// Runs all steps from rest, unless it is asked to stop.
    fn record_all(&self, stop: &dyn Fn() -> bool) -> Result<Option<Traces<T>>, WaveError> {
        let (mut state, mut output) = (State::new(&self.acoustic.layout), self.new_output());
        let (mut rest, mut pace) = (0..self.steps, Pace::default());
        loop {
            if stop() {
                return Ok(None);
            }
            let (part, began) = (pace.first(&rest), Instant::now());
            self.run(part.clone(), &mut state, None, Some(&mut output), &mut Scratch::default())?;
            pace.learn(&part, began);
            rest.start = part.end;
            if rest.is_empty() {
                return Ok(Some(output));
            }
        }
    }

    /// Scaled samples in the order `(trace, time)`.
    fn by_trace<'b>(&self, output: &'b Traces<T>) -> impl Iterator<Item = T> + use<'b, T> {
        let (traces, samples) = (self.receivers.count(), self.samples());
        (0..traces).flat_map(move |trace| (0..samples).map(move |sample| output.samples[sample * traces + trace]))
    }

    /// Traces in Pa, `(trace, time)`.
    pub fn physical_traces(&self, output: &Traces<T>) -> Vec<f64> {
        self.by_trace(output).map(|p| scaled(p.value(), self.exponent)).collect()
    }

    /// The field of a state in Pa on the model's grid.
    pub fn physical_field(&self, state: &State<T>) -> Vec<f64> {
        self.physical(|cell| state.now[self.acoustic.layout.index(cell)].value())
    }

    /// Scaled values of padded cells, in Pa on the model's grid.
    pub(crate) fn physical(&self, value: impl Fn([usize; 3]) -> f64) -> Vec<f64> {
        let layout = &self.acoustic.layout;
        let grid = &self.acoustic.grid;
        (0..grid.len())
            .map(|i| {
                let cell = grid.cell(i);
                scaled(value([0, 1, 2].map(|a| cell[a] + layout.lo[a])), self.exponent)
            })
            .collect()
    }

    /// The loop of the field over a range of steps.
    pub(crate) fn run(
        &self,
        steps: Range<usize>,
        state: &mut State<T>,
        mut records: Option<&mut [Record<T>]>,
        mut output: Option<&mut Traces<T>>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), WaveError> {
        let mut n = steps.start;
        while n < steps.end {
            let levels = self.acoustic.tiling.levels().min(steps.end - n);
            let exchange = Exchange {
                sources: &self.source,
                injected: &|level| Some(&self.wavelet[n + level..][..1]),
                receivers: output.is_some().then_some(&self.receivers),
                taken: output.as_deref_mut().map_or(&mut [], |output| &mut output.taken),
            };
            let records = records.as_deref_mut().map_or(&mut [][..], |all| &mut all[n - steps.start..][..levels]);
            let reached = self.front.at(n, &self.acoustic.layout);
            let depth = self.acoustic.advance(levels, state, records, exchange, &reached, scratch);
            let is_silent = |part: Range<usize>| state.is_silent(part);
            self.front.learn(n, levels, self.acoustic.reach, depth, is_silent, &self.acoustic.layout);
            if let Some(output) = output.as_deref_mut() {
                (0..levels).for_each(|level| self.sample(n + level, level, output));
            }
            let looked_at = n / LOOK_EVERY;
            n += levels;
            if n / LOOK_EVERY != looked_at || n == self.steps {
                self.acoustic.blown_up(&state.now, n)?;
            }
        }
        if let Some(output) = output.filter(|_| steps.end == self.steps) {
            self.record(self.steps, &state.now, output);
        }
        Ok(())
    }

    /// Samples the receivers in the field at step `n`, if this is a recorded one.
    fn record(&self, n: usize, field: &[T], output: &mut Traces<T>) {
        self.acoustic.take(&self.receivers, field, &mut output.taken);
        self.sample(n, 0, output);
    }

    /// Samples the receivers in what was taken at step `n`, if this is a recorded one.
    pub(crate) fn sample(&self, n: usize, level: usize, output: &mut Traces<T>) {
        if n.is_multiple_of(self.steps_per_sample) {
            let (traces, cells) = (self.receivers.count(), self.receivers.cells().len());
            let samples = &mut output.samples[n / self.steps_per_sample * traces..][..traces];
            self.receivers.gather(&output.taken[level * cells..][..cells], samples);
        }
    }

    /// The adjoint source of step `n`, if this is a recorded one.
    fn residual<'b>(&self, n: usize, residual: &'b [T]) -> Option<&'b [T]> {
        let traces = self.receivers.count();
        n.is_multiple_of(self.steps_per_sample).then(|| &residual[n / self.steps_per_sample * traces..][..traces])
    }

    /// Sets the adjoint state to the derivative of a functional of the traces: `residual` is its derivative with respect
    /// to each sample in Pa, `(trace, time)`.
    pub fn start_adjoint(&self, residual: &[f64], adjoint: &mut Adjoint<T>) {
        let (traces, samples) = (self.receivers.count(), self.samples());
        let m = (self.acoustic.options.vp_max_m_per_s * self.acoustic.options.dt_s).powi(2);
        let peak = residual.iter().fold(0.0_f64, |peak, r| peak.max(r.abs()));
        let exponent = exponent_of(peak * m);
        for trace in 0..traces {
            for sample in 0..samples {
                let value = scaled(residual[trace * samples + sample], -exponent);
                adjoint.residual[sample * traces + trace] = T::from_f64(value);
            }
        }
        // Sums in the adjoint are of scaled traces; the derivative with respect to them is 2^exponent times larger.
        adjoint.exponent = exponent + self.exponent;
        adjoint.state.clear();
        let [spare_x, spare_y] = &mut adjoint.spare;
        for gathered in [&mut adjoint.gradient, &mut adjoint.illumination, spare_x, spare_y] {
            gathered.set_all(T::ZERO);
        }
        adjoint.wavelet.fill(T::ZERO);
        adjoint.reached.clone_from(&self.heard);
        if let Some(values) = self.residual(self.steps, &adjoint.residual) {
            self.acoustic.inject(&self.receivers, values, &mut adjoint.state.now);
        }
    }

    /// The misfit of traces; the adjoint state is set to its derivative.
    pub(crate) fn turn_with(&self, output: &Traces<T>, adjoint: &mut Adjoint<T>) -> f64 {
        let misfit = self.misfit.as_ref().expect("a gradient needs a misfit");
        let synthetic = self.physical_traces(output);
        let mut residual = vec![0.0; synthetic.len()];
        let value = misfit(&synthetic, &mut residual);
        self.start_adjoint(&residual, adjoint);
        value
    }

    /// One range of the adjoint loop.
    pub(crate) fn run_back(
        &self,
        steps: Range<usize>,
        records: &[Record<T>],
        adjoint: &mut Adjoint<T>,
        scratch: &mut Scratch<T>,
    ) {
        let Adjoint { state, spare, gradient, illumination, wavelet, residual, taken, reached, .. } = adjoint;
        let layout = &self.acoustic.layout;
        let cells = self.source.cells().len();
        let mut end = steps.end;
        while end > steps.start {
            let levels = self.acoustic.tiling.levels().min(end - steps.start);
            let exchange = Exchange {
                sources: &self.receivers,
                injected: &|level| self.residual(end - 1 - level, residual),
                receivers: Some(&self.source),
                taken,
            };
            let records = &records[end - levels - steps.start..][..levels];
            let image = (&mut gradient[..], &mut illumination[..]);
            let lit = self.acoustic.lit(&self.front.at(end - 1, layout));
            let extent = reached.clone().unwrap_or_else(|| Extent::all(layout));
            let depth =
                self.acoustic.step_back(levels, (state, spare, &extent), (records, &lit), image, exchange, scratch);
            if let Some(reached) = reached {
                *reached = extent.after(levels * self.acoustic.reach, depth, |part| state.is_silent(part), layout);
            }
            for level in 0..levels {
                let taken = &taken[level * cells..][..cells];
                self.source.gather(taken, &mut wavelet[end - 1 - level..][..1]);
            }
            end -= levels;
        }
    }

    /// Sums an array of the padded cells onto the model's cells: the transpose of continuing the model into the layer.
    fn fold(&self, cells: &[T], mut weight: impl FnMut(usize) -> f64) -> Vec<f64> {
        let (layout, grid) = (&self.acoustic.layout, &self.acoustic.grid);
        let [nx, ny, nz] = layout.n;
        let mut folded = vec![0.0; grid.len()];
        for ix in 0..nx {
            for iy in 0..ny {
                for iz in 0..nz {
                    folded[grid.index(layout.model_cell([ix, iy, iz]))] += cells[layout.cell([ix, iy, iz])].value();
                }
            }
        }
        folded.iter_mut().enumerate().for_each(|(i, x)| *x *= weight(i));
        folded
    }

    /// Derivative of the misfit with respect to the velocity of each model cell, per m/s.
    pub fn gradient_vp(&self, adjoint: &Adjoint<T>) -> Vec<f64> {
        self.fold(&adjoint.gradient, |i| scaled(2.0 / self.acoustic.vp[i].value(), adjoint.exponent))
    }

    /// Source illumination of each model cell: the sum over the steps of (2/c · p_tt/c²)², what a change of the velocity by
    /// 1 m/s would radiate; the diagonal of the source side of the Hessian with respect to the velocity (Shin, Jang & Min
    /// 2001), up to a factor that is the same for all cells.
    pub fn illumination(&self, adjoint: &Adjoint<T>) -> Vec<f64> {
        let slope = |i: usize| 2.0 / self.acoustic.vp[i].value();
        self.fold(&adjoint.illumination, |i| scaled(slope(i).powi(2), 2 * self.exponent))
    }

    /// Derivative of the misfit with respect to each sample of the wavelet, per N/m or N.
    pub fn gradient_wavelet(&self, adjoint: &Adjoint<T>) -> Vec<f64> {
        let per_volume = 1.0 / self.acoustic.grid.cell_volume();
        let exponent = adjoint.exponent - self.exponent;
        adjoint.wavelet.iter().map(|w| scaled(w.value() * per_volume, exponent)).collect()
    }

    /// Born modelling: the derivative of the traces along a model perturbation `dvp` in m/s, `(trace, time)` in Pa.
    pub fn born(&self, dvp: &[f64]) -> Result<Vec<f64>, WaveError> {
        let (acoustic, layout) = (self.acoustic, &self.acoustic.layout);
        let [nx, ny, nz] = layout.n;
        let dt2 = acoustic.options.dt_s * acoustic.options.dt_s;
        let (mut state, mut tangent) = (State::new(layout), State::new(layout));
        let mut output = self.new_output();
        let (mut records, mut scratch) = ([Record::new(RecordForm::default(), layout)], Scratch::default());
        for n in 0..self.steps {
            self.record(n, &tangent.now, &mut output);
            self.run(n..n + 1, &mut state, Some(&mut records), None, &mut scratch)?;
            acoustic.run_freely(1, &mut tangent, &mut []);
            let record = records[0].whole().expect("this form keeps all");
            for (ix, iy) in (0..nx).flat_map(|ix| (0..ny).map(move |iy| (ix, iy))) {
                let start = layout.index([ix, iy, 0]);
                for iz in 0..nz {
                    let i = acoustic.grid.index(layout.model_cell([ix, iy, iz]));
                    let dm = T::from_f64(2.0 * acoustic.vp[i].value() * dvp[i] * dt2);
                    tangent.now[start + iz] += dm * record[layout.cell([ix, iy, iz])];
                }
                if layout.free_surface {
                    (1..=layout.radius).for_each(|k| tangent.now[start - k] = -tangent.now[start + k]);
                }
            }
        }
        self.record(self.steps, &tangent.now, &mut output);
        Ok(self.physical_traces(&output))
    }
}

impl<T: Real + Send + Sync + Pod> Evolution for AcousticShot<'_, T> {
    type State = State<T>;
    type Record = Record<T>;
    type Output = Traces<T>;
    type Adjoint = Adjoint<T>;
    type Work = Scratch<T>;
    type Error = WaveError;

    fn new_state(&self) -> State<T> {
        State::new(&self.acoustic.layout)
    }
    fn new_record(&self) -> Record<T> {
        Record::new(self.acoustic.options.records, &self.acoustic.layout)
    }
    fn start(&self, state: &mut State<T>) {
        state.clear();
    }
    fn advance(
        &self,
        steps: Range<usize>,
        state: &mut State<T>,
        output: Option<&mut Traces<T>>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), WaveError> {
        self.run(steps, state, None, output, scratch)
    }
    fn advance_recording(
        &self,
        steps: Range<usize>,
        state: &mut State<T>,
        records: &mut [Record<T>],
        output: Option<&mut Traces<T>>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), WaveError> {
        self.run(steps, state, Some(records), output, scratch)
    }
    fn turn(&self, _: &State<T>, output: &Traces<T>, adjoint: &mut Adjoint<T>) -> Result<f64, WaveError> {
        Ok(self.turn_with(output, adjoint))
    }
    fn pull_back(
        &self,
        steps: Range<usize>,
        records: &[Record<T>],
        adjoint: &mut Adjoint<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), WaveError> {
        self.run_back(steps, records, adjoint, scratch);
        Ok(())
    }
}
