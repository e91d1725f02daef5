//! A study of the seed paper's equation, set up: program, wavelet, shots at points of the grid, target, reversal.
//!
//! Its time axis is that of all studies: sample `n` is the field after `n` steps of `time.record_s`; sample 0 is the state of
//! rest. The paper counts the steps only and leaves sample 0 out, as misfit and adjoint do.

use treewave_cluster::{Cluster, Failure};
use treewave_core::grid::AXIS_NAMES;
use treewave_core::{Model, StopFlag};
use treewave_inversion::{BadShots, ExperimentError, Ledger, ShotLoop, ShotWatch, Summand, Summed, shot_failure};
use treewave_kernels::SeedKernels;
use treewave_reversal::{MemoryStore, ReversalPlan, SnapshotStore, StepCosts, TieredStore, Workspace, reverse};
use treewave_storage::GatherFile;
use treewave_wave::seed_pml::squared_difference;
use treewave_wave::{
    Parallelism, Path as SimdPath, SeedLayer, SeedPml, SeedPmlOptions, SeedPmlShot, SeedState, in_thread_pool,
};

use crate::band::WaveletSamples;
use crate::calibration::{Timed, time_parts};
use crate::config::keys::Side;
use crate::config::sections::{DataSource, Synthetic};
use crate::known_costs::KnownCosts;
use crate::observed::{add_noise, check_geometry};
use crate::reversal::{self, CostsName, UNIT_COSTS, depends_on_costs, plan_bytes, shared_costs};
use crate::session::Session;
use crate::study::{DATA, ENVIRONMENT, NUMERICAL, Study, bad_data, misconfigured};

/// Farther than this fraction of a cell from a point is between points.
const ON_POINT: f64 = 1e-6;

/// Source and receivers of a shot as points `[ix, iz]`.
type Points = ([usize; 2], Vec<[usize; 2]>);

/// A study with all that its modelling and gradients need.
pub struct SeedSetup<'a> {
    study: &'a Study,
    path: SimdPath,
    options: SeedPmlOptions,
    /// One sample per recorded sample; no step uses the last one.
    wavelet: Vec<f64>,
    /// Shots used.
    pub shots: Vec<usize>,
    points: Vec<Points>,
}

/// What the traces are compared with.
pub enum Target {
    /// Traces of another model.
    Simulated(Box<SeedPml<f64>>, Synthetic),
    /// Traces of a file.
    File(GatherFile),
}

impl<'a> SeedSetup<'a> {
    /// Sets a study up.
    ///
    /// # Errors
    /// Code 2 for what this equation cannot compute, code 3 for a wavelet that cannot be read.
    pub fn new(study: &'a Study, path: SimdPath) -> Result<Self, Failure> {
        let (config, grid) = (&study.config, study.grid());
        if grid.dims() != 2 {
            return Err(misconfigured("equation = \"seed-pml\" needs a model of two dimensions; this one has three"));
        }
        let sides = config.boundary.sides.as_deref().unwrap_or_default();
        let layer = SeedLayer {
            width_cells: config.boundary.width_cells,
            reference_vp_m_per_s: config.boundary.reference_vp_m_per_s.unwrap_or(1000.0),
            reflection: config.boundary.reflection.unwrap_or(0.001),
            sides: [[Side::XMin, Side::XMax], [Side::ZMin, Side::ZMax]]
                .map(|axis| axis.map(|side| sides.contains(&side))),
        };
        let options = SeedPmlOptions {
            points: [grid.shape()[0], grid.shape()[2]],
            spacing_m: [grid.spacing_m()[0], grid.spacing_m()[2]],
            dt_s: study.survey.record_s,
            layer,
            parallelism: Parallelism::Threads,
        };
        let wavelet = WaveletSamples::new(config)?.at(0.0, options.dt_s, study.survey.samples);
        let last = config.stages.last().expect("there is at least one stage");
        let shots = last.shots.pick(study.survey.shots.len());
        let shots = shots.map_err(|expected| misconfigured(format!("shots: expected {expected}")))?;
        let points = (0..study.survey.shots.len()).map(|shot| points(study, shot)).collect::<Result<_, _>>()?;
        let setup = SeedSetup { study, path, options, wavelet, shots, points };
        let program = setup.program(&study.start)?;
        for shot in 0..setup.points.len() {
            setup.shot(&program, shot)?;
        }
        Ok(setup)
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.study.survey.samples - 1
    }
    /// The choices that fix the discrete program.
    pub fn options(&self) -> &SeedPmlOptions {
        &self.options
    }
    /// Source time function in Pa/s² at every sample.
    pub fn wavelet(&self) -> &[f64] {
        &self.wavelet
    }

    /// The discrete program for a model.
    ///
    /// # Errors
    /// Code 2 for a model that it is not stable on.
    pub fn program(&self, model: &Model) -> Result<SeedPml<f64>, Failure> {
        let c2: Vec<f64> = model.vp_m_per_s().iter().map(|v| v * v).collect();
        self.program_of(&c2)
    }

    /// The discrete program for squared velocities in m²/s².
    ///
    /// # Errors
    /// As [`program`](Self::program).
    pub fn program_of(&self, c2: &[f64]) -> Result<SeedPml<f64>, Failure> {
        let program = SeedPml::new(self.options.clone(), c2, SeedKernels::on(self.path));
        program.map_err(|e| misconfigured(format!("equation = \"seed-pml\": {e}; see time.record_s and [boundary]")))
    }

    /// One shot on a program.
    ///
    /// # Errors
    /// Code 2 for a source or receiver on the ring.
    pub fn shot<'b>(&self, program: &'b SeedPml<f64>, shot: usize) -> Result<SeedPmlShot<'b, f64>, Failure> {
        self.shot_with(program, shot, &self.wavelet)
    }

    /// The same with another wavelet, and on any scalar.
    ///
    /// # Errors
    /// As [`shot`](Self::shot).
    pub fn shot_with<'b, T: treewave_core::Real + Send + Sync>(
        &self,
        program: &'b SeedPml<T>,
        shot: usize,
        wavelet: &[T],
    ) -> Result<SeedPmlShot<'b, T>, Failure> {
        let (source, receivers) = &self.points[shot];
        SeedPmlShot::new(program, *source, receivers, wavelet, self.steps())
            .map_err(|e| misconfigured(format!("shot {shot}: {e}")))
    }

    /// What the traces are compared with.
    ///
    /// # Errors
    /// Code 2 without data, code 3 for a file that does not fit.
    pub fn target(&self) -> Result<Target, Failure> {
        match &self.study.config.data {
            Some(DataSource::Synthetic(how)) => {
                Ok(Target::Simulated(Box::new(self.program(self.study.truth()?)?), *how))
            }
            Some(DataSource::Observed(path)) => {
                let file = GatherFile::open(path).map_err(bad_data)?;
                let (held, asked) = (file.survey(), &self.study.survey);
                check_geometry(path, held, asked)?;
                let same = (held.record_s - asked.record_s).abs() <= 1e-9 * asked.record_s;
                if !same || held.samples < asked.samples {
                    return Err(bad_data(format!(
                        "{}: {} samples every {} s, the configuration asks for {} every {} s; equation = \"seed-pml\" \
                         does not resample",
                        path.display(),
                        held.samples,
                        held.record_s,
                        asked.samples,
                        asked.record_s
                    )));
                }
                Ok(Target::File(file))
            }
            None => {
                Err(misconfigured("there are no observed data: give [data] observed = \"FILE.h5\" or synthetic = true"))
            }
        }
    }

    /// Traces `(trace, time)` of a shot, one sample per step; nothing if it was asked to stop.
    ///
    /// # Errors
    /// A blow-up, data that cannot be read.
    pub fn traces(&self, target: &Target, shot: usize, stop: &StopFlag) -> Result<Option<Vec<f64>>, Failure> {
        match target {
            Target::Simulated(program, how) => {
                let mut traces = self.simulated(program, shot, stop)?;
                traces.iter_mut().for_each(|traces| add_noise(traces, how.noise, how.seed, shot));
                Ok(traces)
            }
            Target::File(file) => {
                let held = file.read_shot(shot).map_err(|e| shot_failure(shot, DATA, &e))?;
                let traces = held.rows().into_iter();
                let samples = traces
                    .flat_map(|trace| trace.iter().copied().skip(1).take(self.steps()).collect::<Vec<_>>())
                    .collect();
                Ok(Some(samples))
            }
        }
    }

    /// Modelled traces `(trace, time)` of a shot, one sample per step; nothing if it was asked to stop.
    ///
    /// # Errors
    /// A blow-up.
    pub fn simulated(&self, program: &SeedPml<f64>, shot: usize, stop: &StopFlag) -> Result<Option<Vec<f64>>, Failure> {
        let run = self.shot(program, shot)?;
        let modelled = in_thread_pool(|| run.simulate_until(&|| stop.requested()));
        Ok(modelled.map_err(|e| shot_failure(shot, NUMERICAL, &e))?.map(|(traces, _)| traces))
    }

    /// Traces with the sample of the initial state, which is at rest.
    pub fn from_rest(&self, traces: &[f64]) -> Vec<f64> {
        traces.chunks(self.steps()).flat_map(|trace| std::iter::once(0.0).chain(trace.iter().copied())).collect()
    }

    /// The plan of the reversal, and the costs that it was made by. Unless the seconds are asked for, nothing is measured where
    /// no choice depends on it, and the seconds mean nothing.
    ///
    /// # Errors
    /// Code 2 for budgets that no schedule fits; those of measuring.
    pub fn plan(&self, cluster: &dyn Cluster, with_seconds: bool) -> Result<(ReversalPlan, StepCosts), Failure> {
        let reversal = &self.study.config.reversal;
        let program = self.program(&self.study.start)?;
        let matters = with_seconds || depends_on_costs(reversal);
        let costs = if matters { self.measured(&program, cluster)? } else { UNIT_COSTS };
        let bytes = |elements: usize| 8 * elements as u64;
        let (state, record) = (bytes(program.state_elements()), bytes(program.record_elements()));
        Ok((plan_bytes(reversal, state, record, None, self.steps(), costs)?, costs))
    }

    /// The costs of a shot on this machine, known or measured.
    fn measured(&self, program: &SeedPml<f64>, cluster: &dyn Cluster) -> Result<StepCosts, Failure> {
        let reversal = &self.study.config.reversal;
        let name = CostsName {
            equation: "seed-pml".into(),
            points: self.study.grid().shape(),
            simd: self.path,
            side_by_side: cluster.ranks_on_node(),
            threads: rayon::current_num_threads(),
            reversal,
        };
        shared_costs(cluster, &KnownCosts::of_user(false), &name.to_string(), || {
            let shot = self.shot(program, self.shots[0])?;
            let timed = Timed {
                shot: &shot,
                steps: self.steps(),
                output: shot.new_output(),
                adjoint: shot.new_adjoint(),
                record_bytes: 8 * program.record_elements() as u64,
            };
            let failed = |e| shot_failure(self.shots[0], NUMERICAL, &e);
            in_thread_pool(|| time_parts(reversal, timed, cluster.rank(), failed))
        })
    }

    /// The loop over the shots used.
    pub fn shot_loop<'b>(&'b self, session: &'b Session) -> ShotLoop<'b> {
        ShotLoop {
            survey: &self.study.survey,
            shots: &self.shots,
            cluster: session.cluster.as_ref(),
            stop: &session.stop,
            observer: &session.progress,
        }
    }

    /// Misfit and gradients with respect to squared velocity, wavelet and initial field, summed over the shots used.
    ///
    /// # Errors
    /// A request to stop; those of the set-up, data, disk and modelling.
    pub fn evaluate(
        &self,
        session: &Session,
        plan: &ReversalPlan,
        ledger: &dyn Ledger,
    ) -> Result<Summed, ExperimentError> {
        let program = self.program(&self.study.start)?;
        let target = session.cluster.agree(self.target())?;
        let mut store = None;
        let mut workspace = None;
        let points = self.study.grid().len();
        let mut work = |shot| {
            let observed = self.traces(&target, shot, &session.stop)?.ok_or(ExperimentError::Stopped)?;
            let evolution =
                self.shot(&program, shot)?.with_misfit(move |traces, d| squared_difference(traces, &observed, d));
            let store = match &mut store {
                Some(store) => store,
                None => {
                    store.insert(self.store(session, plan, &program).map_err(|e| shot_failure(shot, ENVIRONMENT, &e))?)
                }
            };
            in_thread_pool(|| {
                let workspace = workspace.get_or_insert_with(|| Workspace::new(&evolution, ()));
                workspace.reserve(&evolution, plan.segment_steps);
                let (mut output, mut adjoint) = (evolution.new_output(), evolution.new_adjoint());
                let (all, observer) = (self.steps(), &session.progress);
                let mut watch = ShotWatch::begin(shot, all, &session.stop, Some(ledger), &mut adjoint, observer);
                let steps = watch.steps(all);
                let schedule = plan.schedule_of(steps).into_iter().flatten();
                let run = reverse(&evolution, steps, schedule, store, workspace, &mut output, &mut adjoint, &mut watch);
                let (misfit, log) = run.map_err(|error| watch.failed(error))?;
                let arrays = vec![
                    evolution.gradient_c2(&adjoint),
                    evolution.gradient_wavelet(&adjoint),
                    evolution.gradient_u0(&adjoint),
                ];
                Ok(Summand { misfit, arrays, log })
            })
        };
        self.shot_loop(session).sum(
            &[points, self.wavelet.len(), points],
            BadShots::Fail,
            Some(ledger),
            vec![Box::new(&mut work)],
        )
    }

    /// The places for snapshots.
    ///
    /// # Errors
    /// The scratch directory cannot take them.
    pub fn store<'b>(
        &self,
        session: &Session,
        plan: &ReversalPlan,
        program: &'b SeedPml<f64>,
    ) -> Result<TieredStore<'b, SeedState<f64>>, treewave_reversal::StoreError> {
        let mut memory = MemoryStore::new(move || program.new_state());
        memory.reserve(plan.memory_slots);
        let (config, rank) = (&self.study.config, session.cluster.rank());
        let disk = match plan.disk_slots {
            0 => None,
            slots => {
                let disk =
                    reversal::spill(&config.reversal.scratch, &config.run.name, rank, slots, &program.new_state())?;
                Some(disk as Box<dyn SnapshotStore<SeedState<f64>> + Send + 'b>)
            }
        };
        Ok(TieredStore::new(memory, disk))
    }
}

/// Source and receivers of a shot, which must stand at points of the grid.
fn points(study: &Study, number: usize) -> Result<Points, Failure> {
    let (grid, shot) = (study.grid(), &study.survey.shots[number]);
    let place = |what: &dyn Fn() -> String, position_m: &[f64; 3]| -> Result<[usize; 2], Failure> {
        let mut point = [0; 2];
        for (at, axis) in [(0, 0), (1, 2)] {
            let cells = (position_m[axis] - grid.origin_m()[axis]) / grid.spacing_m()[axis];
            if (cells - cells.round()).abs() > ON_POINT {
                let nearest = grid.origin_m()[axis] + cells.round() * grid.spacing_m()[axis];
                return Err(misconfigured(format!(
                    "shot {number}: {} at {} = {} m lies between points of the grid, which equation = \"seed-pml\" cannot \
                     have; the nearest point is at {nearest} m",
                    what(),
                    AXIS_NAMES[axis],
                    position_m[axis]
                )));
            }
            point[at] = cells.round() as usize;
        }
        Ok(point)
    };
    let source = place(&|| "the source".into(), &shot.source_m)?;
    let receivers = shot.receivers_m.iter().enumerate().map(|(i, r)| place(&|| format!("receiver {i}"), r));
    Ok((source, receivers.collect::<Result<_, _>>()?))
}
