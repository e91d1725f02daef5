//! A survey on a model: shots over ranks, the misfit and gradient of all of them, forward modelling.

use thiserror::Error;
use treewave_cluster::{Cluster, Failure};
use treewave_core::{Grid, Observer, ShotData, StopFlag, Survey};
use treewave_reversal::{
    InversionWorkspace, Log, MemoryStore, ReversalPlan, Snapshot, SnapshotStore, StoreError, Strategy, TieredStore,
    Workspace, reverse, reverse_by_inversion,
};
use treewave_wave::{
    Acoustic, AcousticOptions, AcousticShot, Adjoint, Crew, Fixed, FixedShot, Path, Residue, Scalar, Scratch, State,
    WaveError,
};

use crate::ledger::Ledger;
use crate::misfit::Misfit;
use crate::part::ShotWatch;
use crate::shots::{
    BadShots, DATA_CODE, ENVIRONMENT_CODE, GradientWork, NUMERICAL_CODE, ShotLoop, Summand, TraceSink, shot_failure,
};

/// Makes the store of spilled snapshots of a rank: room for so many like the given one.
pub type SpillFactory<'a, S> = dyn Fn(usize, &S) -> Result<Box<dyn SnapshotStore<S> + Send>, StoreError> + Sync + 'a;

/// Those of states, and of what steps forget.
pub struct SpillFactories<'a, T: Scalar> {
    /// For schedules.
    pub states: &'a SpillFactory<'a, State<T>>,
    /// For reversal by inversion.
    pub residues: &'a SpillFactory<'a, Residue>,
}

impl<T: Scalar> Clone for SpillFactories<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Scalar> Copy for SpillFactories<'_, T> {}

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
    pub spill: SpillFactories<'a, T>,
}

/// What a gradient needs besides the experiment.
pub struct Inverse<'a> {
    /// How traces are compared.
    pub misfit: Misfit,
    /// Observed data.
    pub data: &'a dyn ShotData,
    /// How the history is visited backwards.
    pub plan: &'a ReversalPlan,
    /// Threads for each of the shots that a rank does side by side.
    pub crews: &'a [Crew],
    /// Where partial sums are kept, if they are.
    pub ledger: Option<&'a dyn Ledger>,
}

/// Misfit and gradient of an experiment, the same on all ranks.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// Sum of the misfits of the shots, in the order of the shots.
    pub misfit: f64,
    /// Shots that were used, in increasing order.
    pub shots: Vec<usize>,
    /// Misfit of each of them.
    pub misfit_per_shot: Vec<f64>,
    /// Shots that were left out, and why.
    pub bad_shots: Vec<(usize, Failure)>,
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
    /// The numbers of a shot blow up on this model.
    #[error("{0}")]
    Rejected(Failure),
}

/// The failure of a wave equation on a shot.
pub fn wave_failure(shot: usize, error: &WaveError) -> Failure {
    shot_failure(shot, NUMERICAL_CODE, error)
}

impl<T: Scalar> Experiment<'_, T> {
    /// The discrete program for velocities in m/s, for shots that are computed by crews like this one.
    pub fn acoustic(&self, vp: &[f64], crew: &Crew) -> Result<Acoustic<T>, WaveError> {
        let vp: Vec<T> = vp.iter().map(|&v| T::from_f64(v)).collect();
        let kernels = T::kernels(self.options.space_order / 2, self.grid.dims(), self.path);
        crew.run(|| Acoustic::new(self.grid, &vp, self.options.clone(), kernels))
    }

    /// One shot on a discrete program.
    pub fn shot<'b, S: Scalar>(&self, acoustic: &'b Acoustic<S>, shot: usize) -> AcousticShot<'b, S> {
        let steps = (self.survey.samples - 1) * self.steps_per_sample;
        AcousticShot::new(acoustic, &self.survey.shots[shot], self.wavelet, steps, self.steps_per_sample)
    }

    /// Misfit and gradient of all shots at a model; bad shots are treated as asked.
    ///
    /// # Errors
    /// A request to stop on any rank; a failure of this rank's own on a single rank (with more ranks it ends the job).
    pub fn evaluate(&self, vp: &[f64], bad: BadShots, inverse: &Inverse) -> Result<Evaluated, ExperimentError> {
        let acoustic = self.acoustic(vp, &inverse.crews[0]).map_err(|e| Failure::new(NUMERICAL_CODE, e.to_string()))?;
        let (acoustic, fixed) = (&acoustic, self.fixed(&acoustic, inverse.plan)?);
        let fixed = fixed.as_ref();
        let workers = inverse.crews.iter().map(|crew| {
            // Made by this thread, always the same one: freed memory stays with the thread that asked for it, and a pool
            // whose threads took turns would keep it once per thread. A rank that gets no shot does not fail.
            let mut runner = ShotRunner::new(self, acoustic, fixed, inverse);
            let work = move |shot| {
                let runner = runner.as_mut().map_err(|error| error.clone())?;
                let done = crew.run(|| runner.run(self, acoustic, shot, inverse))?;
                Ok(Summand { misfit: done.misfit, arrays: vec![done.gradient_vp, done.illumination], log: done.log })
            };
            Box::new(work) as Box<GradientWork<'_>>
        });
        let mut summed = self.shot_loop().sum(&[self.grid.len(); 2], bad, inverse.ledger, workers.collect())?;
        let illumination = summed.arrays.pop().unwrap_or_default();
        Ok(Evaluated {
            misfit: summed.misfit,
            shots: summed.shots,
            misfit_per_shot: summed.misfit_per_shot,
            bad_shots: summed.bad_shots,
            gradient_vp: summed.arrays.pop().unwrap_or_default(),
            illumination,
            log: summed.log,
        })
    }

    /// The program in fixed-point arithmetic, if the plan needs it.
    ///
    /// # Errors
    /// Scalars or a layer that have none.
    pub fn fixed<'b>(&self, acoustic: &'b Acoustic<T>, plan: &ReversalPlan) -> Result<Option<Fixed<'b>>, Failure> {
        if plan.strategy != Strategy::Inversion {
            return Ok(None);
        }
        let program = T::fixed(acoustic).ok_or_else(|| {
            Failure::new(
                NUMERICAL_CODE,
                "a reversal by inversion is computed in fixed-point arithmetic: use precision f32",
            )
        })?;
        Fixed::new(program, self.path).map(Some).map_err(|e| Failure::new(NUMERICAL_CODE, e.to_string()))
    }

    /// Models all shots; `sink` is called on rank 0 with every shot and its traces in Pa, `(trace, time)`, in the order
    /// of the shots.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate); a failure of the sink becomes one of all ranks.
    pub fn simulate(&self, vp: &[f64], sink: &mut TraceSink<'_>) -> Result<(), ExperimentError> {
        let acoustic = self.acoustic(vp, &Crew::CURRENT).map_err(|e| Failure::new(NUMERICAL_CODE, e.to_string()))?;
        let model = |shot: usize| {
            let stop = || self.stop.requested();
            let traces = Crew::CURRENT.run(|| self.shot(&acoustic, shot).simulate_until(&stop));
            traces.map_err(|e| wave_failure(shot, &e))
        };
        self.shot_loop().simulate(&model, sink)
    }

    /// Watches over the reversal of a shot.
    fn watch<'b>(&'b self, shot: usize, inverse: &Inverse<'b>, adjoint: &mut impl Snapshot) -> ShotWatch<'b> {
        let steps = (self.survey.samples - 1) * self.steps_per_sample;
        ShotWatch::begin(shot, steps, self.stop, inverse.ledger, adjoint, self.observer)
    }

    /// The loop over its shots.
    pub fn shot_loop(&self) -> ShotLoop<'_> {
        let &Experiment { survey, shots, cluster, stop, observer, .. } = self;
        ShotLoop { survey, shots, cluster, stop, observer }
    }
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
pub enum ShotRunner<'a, T: Scalar> {
    /// By a schedule.
    Scheduled {
        /// Working state and records.
        workspace: Box<Workspace<AcousticShot<'a, T>>>,
        /// Snapshots.
        store: TieredStore<'a, State<T>>,
        /// Adjoint state.
        adjoint: Adjoint<T>,
    },
    /// By inversion.
    Inverted {
        /// The program.
        fixed: &'a Fixed<'a>,
        /// Working state, records and residue.
        workspace: Box<InversionWorkspace<FixedShot<'a>>>,
        /// What steps forget.
        store: TieredStore<'a, Residue>,
        /// Adjoint state.
        adjoint: Adjoint<f32>,
    },
}

/// The store of a disk, if the plan spills.
fn disk<'a, S>(
    spill: &SpillFactory<S>,
    plan: &ReversalPlan,
    like: &S,
) -> Result<Option<Box<dyn SnapshotStore<S> + Send + 'a>>, Failure> {
    match plan.disk_slots {
        0 => Ok(None),
        slots => Ok(Some(spill(slots, like).map_err(|e| Failure::new(ENVIRONMENT_CODE, e.to_string()))?)),
    }
}

impl<'a, T: Scalar> ShotRunner<'a, T> {
    /// Allocates the working state, the adjoint state, the records, and the store of snapshots.
    ///
    /// # Errors
    /// The scratch directory cannot take the spilled snapshots.
    pub fn new(
        experiment: &Experiment<T>,
        acoustic: &'a Acoustic<T>,
        fixed: Option<&'a Fixed<'a>>,
        inverse: &Inverse,
    ) -> Result<Self, ExperimentError> {
        let (plan, first) = (inverse.plan, experiment.shots[0]);
        if let Some(fixed) = fixed {
            let each = plan.segment_steps;
            let shot = FixedShot::new(fixed, experiment.shot(fixed.acoustic(), first));
            let workspace = Box::new(InversionWorkspace::new(&shot, each, Scratch::default()));
            let mut memory = MemoryStore::new(move || Residue::new(fixed, each));
            memory.reserve(plan.memory_slots);
            let disk = disk(experiment.spill.residues, plan, workspace.residue())?;
            let adjoint = shot.shot().new_adjoint();
            return Ok(ShotRunner::Inverted { fixed, workspace, store: TieredStore::new(memory, disk), adjoint });
        }
        let shot = experiment.shot(acoustic, first);
        let mut workspace = Box::new(Workspace::new(&shot, Scratch::default()));
        workspace.reserve(&shot, plan.segment_steps);
        let layout = acoustic.layout();
        let mut memory = MemoryStore::new(move || State::new(layout));
        memory.reserve(plan.memory_slots);
        let disk = disk(experiment.spill.states, plan, workspace.state_mut())?;
        Ok(ShotRunner::Scheduled { workspace, store: TieredStore::new(memory, disk), adjoint: shot.new_adjoint() })
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
        let observed = inverse.data.observed(shot).map_err(|e| shot_failure(shot, DATA_CODE, &e))?;
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
        let misfit = move |predicted: &[f64], derivative: &mut [f64]| {
            misfit.evaluate(predicted, &observed, record_s, derivative)
        };
        match self {
            ShotRunner::Scheduled { workspace, store, adjoint } => {
                let own = experiment.shot(acoustic, shot).with_misfit(misfit);
                let mut output = own.new_output();
                own.fit(adjoint);
                let mut watch = experiment.watch(shot, inverse, adjoint);
                let steps = watch.steps(own.steps());
                let schedule = inverse.plan.schedule_of(steps).into_iter().flatten();
                let done = reverse(&own, steps, schedule, store, workspace, &mut output, adjoint, &mut watch);
                let (misfit, log) = done.map_err(|error| watch.failed(error))?;
                Ok(ShotGradient::new(misfit, log, &own, adjoint))
            }
            ShotRunner::Inverted { fixed, workspace, store, adjoint } => {
                let own = FixedShot::new(fixed, experiment.shot(fixed.acoustic(), shot).with_misfit(misfit));
                let mut output = own.shot().new_output();
                own.shot().fit(adjoint);
                let mut watch = experiment.watch(shot, inverse, adjoint);
                let blocks = inverse.plan.blocks_of(watch.steps(own.shot().steps()));
                let done = reverse_by_inversion(&own, blocks, store, workspace, &mut output, adjoint, &mut watch);
                let (misfit, log) = done.map_err(|error| watch.failed(error))?;
                Ok(ShotGradient::new(misfit, log, own.shot(), adjoint))
            }
        }
    }
}

impl ShotGradient {
    fn new<S: Scalar>(misfit: f64, log: Log, shot: &AcousticShot<S>, adjoint: &Adjoint<S>) -> Self {
        let (gradient_vp, illumination) = (shot.gradient_vp(adjoint), shot.illumination(adjoint));
        ShotGradient { misfit, gradient_vp, illumination, log }
    }
}
