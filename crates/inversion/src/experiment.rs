//! A survey on a model: shots over ranks, the misfit and gradient of all of them, forward modelling.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use thiserror::Error;
use treewave_cluster::{Cluster, Completion, Failure};
use treewave_core::{Event, Grid, Observer, ReproducibleSum, ShotData, StopFlag, Survey};
use treewave_reversal::{
    Log, MemoryStore, ReversalPlan, ReverseError, SnapshotStore, StoreError, TieredStore, Workspace, reverse,
};
use treewave_wave::{Acoustic, AcousticOptions, AcousticShot, Path, Scalar, State, WaveError, in_thread_pool};

use crate::misfit::Misfit;

/// Makes the store of spilled snapshots of a rank: room for so many states like the given one.
pub type SpillFactory<'a, T> =
    dyn Fn(usize, &State<T>) -> Result<Box<dyn SnapshotStore<State<T>> + Send>, StoreError> + Sync + 'a;

/// Takes the traces of a shot: its number, and samples in Pa, `(trace, time)`.
pub type TraceSink<'a> = dyn FnMut(usize, &[f64]) -> Result<(), Failure> + 'a;

/// Bytes of traces that are brought to rank 0 at a time.
const BATCH_BYTES: usize = 256 << 20;

/// Everything about an experiment but the model; fixed within a stage.
pub struct Experiment<'a, T: Scalar> {
    /// The model's grid.
    pub grid: &'a Grid,
    /// Sources, receivers and sampling.
    pub survey: &'a Survey,
    /// Shots that are used, in increasing order.
    pub shots: &'a [usize],
    /// Source time function in N/m (2-D) or N (3-D), one sample per step.
    pub wavelet: &'a [f64],
    /// Steps per recorded sample.
    pub steps_per_sample: usize,
    /// The discrete program.
    pub options: AcousticOptions,
    /// Instructions of the kernels, the same on all ranks.
    pub path: Path,
    /// The ranks.
    pub cluster: &'a dyn Cluster,
    /// A request to stop.
    pub stop: &'a StopFlag,
    /// Who is told about progress.
    pub observer: &'a dyn Observer,
    /// Makes the store of spilled snapshots, if the plan spills.
    pub spill: &'a SpillFactory<'a, T>,
}

/// What a gradient needs besides the experiment.
pub struct Inverse<'a> {
    /// How traces are compared.
    pub misfit: Misfit,
    /// Observed data.
    pub data: &'a dyn ShotData,
    /// How the history is visited backwards.
    pub plan: &'a ReversalPlan,
}

/// Misfit and gradient of an experiment, the same on all ranks.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// Sum of the misfits of the shots, in the order of the shots.
    pub misfit: f64,
    /// Misfit per shot used.
    pub misfit_per_shot: Vec<f64>,
    /// Derivative with respect to the velocity of each cell, per m/s.
    pub gradient_vp: Vec<f64>,
    /// Source illumination of each cell, see [`AcousticShot::illumination`].
    pub illumination: Vec<f64>,
    /// What the reversals did, all ranks together.
    pub log: Log,
}

/// Why an experiment gave no result; the same on all ranks.
#[derive(Clone, Debug, Error)]
pub enum ExperimentError {
    #[error("stopped on request")]
    Stopped,
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Exit codes of failures.
const DATA_CODE: i32 = 3;
const NUMERICAL_CODE: i32 = 4;
const ENVIRONMENT_CODE: i32 = 5;
const BUG_CODE: i32 = 101;

fn of_shot(shot: usize, code: i32, error: &dyn std::error::Error) -> Failure {
    let mut message = format!("shot {shot}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    Failure::new(code, message)
}

/// The failure of a wave equation on a shot.
pub fn wave_failure(shot: usize, error: &WaveError) -> Failure {
    of_shot(shot, NUMERICAL_CODE, error)
}

impl<T: Scalar> Experiment<'_, T> {
    /// The discrete program for velocities in m/s.
    pub fn acoustic(&self, vp: &[f64]) -> Result<Acoustic<T>, WaveError> {
        let vp: Vec<T> = vp.iter().map(|&v| T::from_f64(v)).collect();
        let kernels = T::kernels(self.options.space_order / 2, self.grid.dims(), self.path);
        in_thread_pool(|| Acoustic::new(self.grid, &vp, self.options.clone(), kernels))
    }

    /// One shot on a discrete program.
    pub fn shot<'b>(&self, acoustic: &'b Acoustic<T>, shot: usize) -> AcousticShot<'b, T> {
        let steps = (self.survey.samples - 1) * self.steps_per_sample;
        AcousticShot::new(acoustic, &self.survey.shots[shot], self.wavelet, steps, self.steps_per_sample)
    }

    /// Misfit and gradient of all shots at a model.
    ///
    /// # Errors
    /// A request to stop on any rank; a failure of this rank's own on a single rank (with more ranks it ends the job).
    pub fn evaluate(&self, vp: &[f64], inverse: &Inverse) -> Result<Evaluated, ExperimentError> {
        let acoustic = self.acoustic(vp).map_err(|e| Failure::new(NUMERICAL_CODE, e.to_string()))?;
        let mut misfits = vec![0.0; self.shots.len()];
        let mut gradient = ReproducibleSum::new(self.grid.len());
        let mut illumination = ReproducibleSum::new(self.grid.len());
        let mut log = Log::default();
        let mut runner = None;
        let interrupted = AtomicBool::new(false);
        let completion = self.each_shot(&mut |place, shot| {
            let result = in_thread_pool(|| {
                let runner = match &mut runner {
                    Some(runner) => runner,
                    None => runner.insert(ShotRunner::new(self, &acoustic, inverse)?),
                };
                runner.run(self, &acoustic, shot, inverse)
            });
            match result {
                Ok(done) => {
                    misfits[place] = done.misfit;
                    log.merge(&done.log);
                    let sums = gradient.add(&done.gradient_vp).and_then(|()| illumination.add(&done.illumination));
                    sums.map_err(|e| of_shot(shot, NUMERICAL_CODE, &e))
                }
                Err(ExperimentError::Stopped) => {
                    interrupted.store(true, Ordering::SeqCst);
                    Ok(())
                }
                Err(ExperimentError::Failed(failure)) => Err(failure),
            }
        })?;
        drop(runner);
        if self.cluster.any(interrupted.load(Ordering::SeqCst)) || completion == Completion::Stopped {
            return Err(ExperimentError::Stopped);
        }
        for sum in [&mut gradient, &mut illumination] {
            self.cluster.sum(sum).map_err(|e| Failure::new(BUG_CODE, e.to_string()))?;
        }
        self.cluster.sum_owned(&mut misfits);
        Ok(Evaluated {
            misfit: misfits.iter().sum(),
            misfit_per_shot: misfits,
            gradient_vp: gradient.values(),
            illumination: illumination.values(),
            log: self.sum_log(log),
        })
    }

    /// Models all shots; `sink` is called on rank 0 with every shot and its traces in Pa, `(trace, time)`, in the order
    /// of the shots.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate); a failure of the sink becomes one of all ranks.
    pub fn simulate(&self, vp: &[f64], sink: &mut TraceSink<'_>) -> Result<(), ExperimentError> {
        let acoustic = self.acoustic(vp).map_err(|e| Failure::new(NUMERICAL_CODE, e.to_string()))?;
        let bytes = |shot: usize| 8 * (2 + self.survey.samples * self.survey.shots[shot].receivers_m.len());
        let mut rest = self.shots;
        let mut done = 0;
        while !rest.is_empty() {
            let mut total = 0;
            let fits = |shot: &&usize| {
                total += bytes(**shot);
                total <= BATCH_BYTES
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (batch, others) = rest.split_at(count);
            self.simulate_batch(&acoustic, batch, done, sink)?;
            done += count;
            rest = others;
        }
        Ok(())
    }

    fn simulate_batch(
        &self,
        acoustic: &Acoustic<T>,
        batch: &[usize],
        before: usize,
        sink: &mut TraceSink<'_>,
    ) -> Result<(), ExperimentError> {
        // Per shot of this rank: its number, the number of samples, the samples.
        let mut packed: Vec<u8> = Vec::new();
        let mut done = 0;
        let completion = self.cluster.for_each_shot(&self.dearest_first(batch), self.stop, &mut |shot| {
            let began = Instant::now();
            let traces = in_thread_pool(|| self.shot(acoustic, shot).simulate());
            let traces = traces.map_err(|e| wave_failure(shot, &e))?;
            packed.extend((shot as u64).to_le_bytes());
            packed.extend((traces.len() as u64).to_le_bytes());
            traces.iter().for_each(|x| packed.extend(x.to_le_bytes()));
            done += 1;
            let (done, total) = (before + done, self.shots.len());
            self.observer.event(Event::Shot { shot, done, total, seconds: began.elapsed().as_secs_f64() });
            Ok(())
        })?;
        if completion == Completion::Stopped {
            return Err(ExperimentError::Stopped);
        }
        let written = match self.cluster.collect(&packed) {
            Some(parts) => unpack(&parts).into_iter().try_for_each(|(shot, traces)| sink(shot, &traces)),
            None => Ok(()),
        };
        Ok(self.cluster.agree(written)?)
    }

    /// Calls `work(place, shot)` for each shot used, on some rank.
    fn each_shot(
        &self,
        work: &mut (dyn FnMut(usize, usize) -> Result<(), Failure> + Send),
    ) -> Result<Completion, ExperimentError> {
        let mut done = 0;
        let completion = self.cluster.for_each_shot(&self.dearest_first(self.shots), self.stop, &mut |shot| {
            let began = Instant::now();
            let place = self.shots.binary_search(&shot).expect("the queue hands out the shots that it was given");
            work(place, shot)?;
            done += 1;
            let seconds = began.elapsed().as_secs_f64();
            self.observer.event(Event::Shot { shot, done, total: self.shots.len(), seconds });
            Ok(())
        })?;
        Ok(completion)
    }

    /// Shots by decreasing number of traces, which is what their costs differ in.
    fn dearest_first(&self, shots: &[usize]) -> Vec<usize> {
        let mut order = shots.to_vec();
        order.sort_by_key(|&shot| std::cmp::Reverse(self.survey.shots[shot].receivers_m.len()));
        order
    }

    /// The logs of all ranks: counts, bytes and seconds are summed, peaks are the highest.
    fn sum_log(&self, log: Log) -> Log {
        let mut total = log;
        let c = &mut total.counts;
        let peaks = [&mut c.peak_slots.memory, &mut c.peak_slots.disk, &mut c.peak_snapshots, &mut c.peak_records];
        for peak in peaks {
            *peak = self.cluster.all_max(*peak as i64) as u64;
        }
        let mut counts = [
            &mut c.advances,
            &mut c.recorded,
            &mut c.pulled_back,
            &mut c.leaves,
            &mut c.stores.memory,
            &mut c.stores.disk,
            &mut c.stores_of_initial,
            &mut c.unused_stores,
            &mut c.restores.memory,
            &mut c.restores.disk,
            &mut total.bytes_written,
            &mut total.bytes_read,
        ];
        let mut sums: Vec<i64> = counts.iter().map(|count| **count as i64).collect();
        self.cluster.all_sum(&mut sums);
        counts.iter_mut().zip(sums).for_each(|(count, sum)| **count = sum as u64);
        let mut seconds = [
            &mut total.seconds_waited,
            &mut total.seconds_advance,
            &mut total.seconds_record,
            &mut total.seconds_pull_back,
            &mut total.seconds_snapshots,
        ];
        let mut sums: Vec<i64> = seconds.iter().map(|s| (**s * 1e9) as i64).collect();
        self.cluster.all_sum(&mut sums);
        seconds.iter_mut().zip(sums).for_each(|(s, sum)| **s = sum as f64 * 1e-9);
        total
    }
}

/// The shots that ranks have packed, in increasing order.
fn unpack(parts: &[Vec<u8>]) -> Vec<(usize, Vec<f64>)> {
    let mut shots = Vec::new();
    for part in parts {
        let mut words = part.chunks_exact(8).map(|word| <[u8; 8]>::try_from(word).expect("a chunk has 8 bytes"));
        while let (Some(shot), Some(len)) = (words.next(), words.next()) {
            let traces = words.by_ref().take(u64::from_le_bytes(len) as usize).map(f64::from_le_bytes).collect();
            shots.push((u64::from_le_bytes(shot) as usize, traces));
        }
    }
    shots.sort_by_key(|(shot, _)| *shot);
    shots
}

/// What one shot gives.
#[derive(Clone, Debug)]
pub struct ShotGradient {
    /// Misfit.
    pub misfit: f64,
    /// Derivative with respect to the velocity of each cell, per m/s.
    pub gradient_vp: Vec<f64>,
    /// Source illumination of each cell.
    pub illumination: Vec<f64>,
    /// What the reversal did.
    pub log: Log,
}

/// The memory of a rank for the gradients of its shots: made once per evaluation.
pub struct ShotRunner<'a, T: Scalar> {
    workspace: Workspace<AcousticShot<'a, T>>,
    store: TieredStore<'a, State<T>>,
    adjoint: Option<treewave_wave::Adjoint<T>>,
}

impl<'a, T: Scalar> ShotRunner<'a, T> {
    /// Allocates the working state, the records, and the store of snapshots.
    ///
    /// # Errors
    /// The scratch directory cannot take the spilled snapshots.
    pub fn new(
        experiment: &Experiment<T>,
        acoustic: &'a Acoustic<T>,
        inverse: &Inverse,
    ) -> Result<Self, ExperimentError> {
        let shot = experiment.shot(acoustic, experiment.shots[0]);
        let mut workspace = Workspace::new(&shot, ());
        workspace.reserve(&shot, inverse.plan.segment_steps);
        let layout = acoustic.layout();
        let mut memory = MemoryStore::new(move || State::new(layout));
        memory.reserve(inverse.plan.memory_slots);
        let disk = match inverse.plan.disk_slots {
            0 => None,
            slots => Some(
                (experiment.spill)(slots, workspace.state_mut())
                    .map_err(|e| Failure::new(ENVIRONMENT_CODE, e.to_string()))?,
            ),
        };
        let disk = disk.map(|disk| disk as Box<dyn SnapshotStore<State<T>> + Send + 'a>);
        Ok(ShotRunner { workspace, store: TieredStore::new(memory, disk), adjoint: None })
    }

    /// Misfit and gradient of one shot.
    ///
    /// # Errors
    /// A request to stop; data that cannot be read, a blow-up, a disk that fails.
    pub fn run(
        &mut self,
        experiment: &Experiment<T>,
        acoustic: &'a Acoustic<T>,
        shot: usize,
        inverse: &Inverse,
    ) -> Result<ShotGradient, ExperimentError> {
        let observed = inverse.data.observed(shot).map_err(|e| of_shot(shot, DATA_CODE, &e))?;
        let expected = (experiment.survey.shots[shot].receivers_m.len(), experiment.survey.samples);
        if observed.dim() != expected {
            let (found, expected) = (observed.dim(), expected);
            let message = format!(
                "shot {shot}: the observed data have {} traces of {} samples, the survey has {} of {}",
                found.0, found.1, expected.0, expected.1
            );
            return Err(Failure::new(DATA_CODE, message).into());
        }
        let observed: Vec<f64> = observed.into_iter().collect();
        let (misfit, record_s) = (inverse.misfit, experiment.survey.record_s);
        let evolution = experiment
            .shot(acoustic, shot)
            .with_misfit(move |predicted, derivative| misfit.evaluate(predicted, &observed, record_s, derivative));
        let mut output = evolution.new_output();
        let adjoint = self.adjoint.get_or_insert_with(|| evolution.new_adjoint());
        evolution.fit(adjoint);
        let schedule = inverse.plan.schedule();
        let stop = || experiment.stop.requested();
        let result = reverse(
            &evolution,
            evolution.steps(),
            schedule,
            &mut self.store,
            &mut self.workspace,
            &mut output,
            adjoint,
            &stop,
        );
        let (value, log) = result.map_err(|error| match error {
            ReverseError::Stopped { .. } => ExperimentError::Stopped,
            ReverseError::Evolution { source, .. } => wave_failure(shot, &source).into(),
            ReverseError::Store(source) => of_shot(shot, ENVIRONMENT_CODE, &source).into(),
            ReverseError::Schedule(source) => of_shot(shot, BUG_CODE, &source).into(),
        })?;
        Ok(ShotGradient {
            misfit: value,
            gradient_vp: evolution.gradient_vp(adjoint),
            illumination: evolution.illumination(adjoint),
            log,
        })
    }
}
