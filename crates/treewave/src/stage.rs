//! One stage of a study, set up: band, shots, data, the plan of its reversal.

use std::collections::BTreeSet;

use treewave_cluster::Failure;
use treewave_inversion::{
    BadShots, Evaluated, Experiment, ExperimentError, Inverse, Ledger, Misfit, SpillFactories, SpillFactory,
};
use treewave_reversal::{Choice, ReversalPlan};
use treewave_wave::{Crew, Layout, Reach, Residue, Scalar, State, TileShape};

use crate::band::Band;
use crate::calibration::{measure, reach_of};
use crate::config::keys::MisfitKind;
use crate::config::sections::{DataSource, Reversal};
use crate::gradient_plan::{GradientPlan, Job, crews, share};
use crate::known_costs::KnownCosts;
use crate::observed::{Observed, Simulation, no_data, observed_file};
use crate::reversal::{self, CostsName, UNIT_COSTS, shared_costs};
use crate::session::Session;
use crate::study::{Study, misconfigured};

/// A stage with all that its evaluations need.
pub struct StageSetup<'a, T: Scalar> {
    study: &'a Study,
    session: &'a Session,
    /// Time axis, wavelet and discrete program.
    pub band: Band,
    /// Shots used.
    pub shots: Vec<usize>,
    observed: Observed,
    /// How gradients are computed.
    pub plan: GradientPlan,
    crews: Vec<Crew>,
    spill: Box<SpillFactory<'a, State<T>>>,
    spill_residues: Box<SpillFactory<'a, Residue>>,
}

impl<'a, T: Scalar> StageSetup<'a, T> {
    /// Sets a stage up: simulates synthetic data if they are not there yet, and plans the reversal. The gradient of so many cells
    /// from the top of the model is not needed.
    ///
    /// # Errors
    /// The same on all ranks: a configuration, data or environment that does not fit, or a request to stop.
    pub fn new(
        study: &'a Study,
        session: &'a Session,
        stage: usize,
        skipped_cells: usize,
    ) -> Result<Self, ExperimentError> {
        session.cluster.agree(check_stage::<T>(study, stage))?;
        let mut band = stage_band(study, stage)?;
        band.options.records.skipped_cells = skipped_cells;
        let shots = picked_shots(study, stage)?;
        let simulation = session.simulation();
        session.progress.begin("observed data", study.survey.shots.len());
        let file = observed_file::<T>(study, &simulation)?;
        let observed = session.cluster.agree(Observed::open(&file, &study.survey, &band))?;
        observed.notes().iter().for_each(|note| session.progress.line(note));
        let (scratch, name, rank) = (&study.config.reversal.scratch, &study.config.run.name, session.cluster.rank());
        let spill = Box::new(move |slots: usize, state: &State<T>| reversal::spill(scratch, name, rank, slots, state));
        let spill_residues =
            Box::new(move |slots: usize, residue: &Residue| reversal::spill(scratch, name, rank, slots, residue));
        let cluster = session.cluster.as_ref();
        let job = Job {
            steps: band.steps(),
            shots: shots.len(),
            evaluations: study.config.stages[stage].evaluations(),
            ranks: cluster.size(),
            threads: -cluster.all_max(-(session.threads as i64)) as usize,
        };
        let layout = layout(study, &band);
        let mut setup = StageSetup {
            study,
            session,
            band,
            shots,
            observed,
            plan: trivial_plan(),
            crews: Vec::new(),
            spill,
            spill_residues,
        };
        let mut experiment = setup.experiment();
        let mut costs = |shots_at_once: usize, tile: TileShape, share: &Reversal| {
            experiment.options.tile = Some(tile);
            let reach = reach_of(&experiment, &study.start)?;
            let name =
                costs_name::<T>(&experiment, &layout, &reach, job, shots_at_once, cluster.ranks_on_node(), share);
            shared_costs(cluster, &KnownCosts::of_user(false), &name.to_string(), || {
                let crews = crews(shots_at_once, session.threads)?;
                measure(share, &experiment, &study.start, &crews, cluster.rank())
            })
        };
        let options = &setup.band.options;
        setup.plan = GradientPlan::new::<T>(&study.config, study.grid(), options, job, false, &mut costs)?;
        setup.band.options.tile = setup.plan.tile;
        setup.crews = cluster.agree(crews(setup.plan.shots_at_once, session.threads))?;
        Ok(setup)
    }

    /// Leaves shots out from now on.
    pub fn leave_out(&mut self, shots: &[usize]) {
        self.shots.retain(|shot| !shots.contains(shot));
    }

    /// The experiment of this stage.
    pub fn experiment(&self) -> Experiment<'_, T> {
        Experiment {
            grid: self.study.grid(),
            survey: &self.band.survey,
            shots: &self.shots,
            wavelet: &self.band.wavelet,
            steps_per_sample: self.band.steps_per_sample,
            options: self.band.options.clone(),
            path: self.session.path,
            cluster: self.session.cluster.as_ref(),
            stop: &self.session.stop,
            observer: &self.session.progress,
            spill: SpillFactories { states: self.spill.as_ref(), residues: self.spill_residues.as_ref() },
        }
    }

    /// What a gradient needs besides; the ledger keeps partial sums.
    pub fn inverse<'b>(&'b self, ledger: Option<&'b dyn Ledger>) -> Inverse<'b> {
        let plan = &self.plan.reversal;
        Inverse { misfit: misfit(self.study), data: &self.observed, plan, crews: &self.crews, ledger }
    }

    /// Misfit and gradient at velocities in m/s; the ledger keeps partial sums.
    ///
    /// # Errors
    /// As [`Experiment::evaluate`].
    pub fn evaluate(
        &self,
        vp: &[f64],
        bad: BadShots,
        ledger: Option<&dyn Ledger>,
    ) -> Result<Evaluated, ExperimentError> {
        self.experiment().evaluate(vp, bad, &self.inverse(ledger))
    }
}

/// The misfit of a study.
fn misfit(study: &Study) -> Misfit {
    match study.config.misfit {
        MisfitKind::L2 => Misfit::L2,
    }
}

/// The band of a stage.
///
/// # Errors
/// As [`Band::new`].
pub fn stage_band(study: &Study, stage: usize) -> Result<Band, Failure> {
    let lowpass_hz = study.config.stages[stage].lowpass_hz;
    Band::new(&study.config, study.grid(), &study.survey, lowpass_hz, study.bounds_m_per_s[1])
}

/// The padded grid of a band.
pub fn layout(study: &Study, band: &Band) -> Layout {
    Layout::new(study.grid(), band.options.boundary, band.options.space_order / 2)
}

/// What the costs of shots side by side on every rank of this machine depend on.
pub fn costs_name<'a, T: Scalar>(
    experiment: &Experiment<T>,
    layout: &Layout,
    reach: &Reach,
    job: Job,
    shots_at_once: usize,
    ranks_on_node: usize,
    reversal: &'a Reversal,
) -> CostsName<'a> {
    let options = &experiment.options;
    let scalar = 8 * size_of::<T>();
    let boundary = options.boundary;
    CostsName {
        equation: format!(
            "acoustic of order {}, {}, {boundary:?}, {:?}, {:?}, as far as {reach}",
            options.space_order,
            if reversal.strategy == Choice::Inversion { "fixed point".to_string() } else { format!("f{scalar}") },
            options.records,
            options.tile
        ),
        points: layout.n,
        simd: experiment.path,
        side_by_side: ranks_on_node * shots_at_once,
        threads: (job.threads / shots_at_once).max(1),
        reversal,
    }
}

/// Refuses budgets that no schedule fits, without measuring anything.
///
/// # Errors
/// Code 2, naming the least budget that works.
pub fn check_budget<T: Scalar>(study: &Study, band: &Band) -> Result<(), Failure> {
    let share = share(&study.config.reversal, study.config.shots_at_once.unwrap_or(1));
    reversal::plan::<T>(&share, study.grid(), &band.options, band.steps(), UNIT_COSTS).map(|_| ())
}

/// Refuses what would stop a run later on, before anything is computed or written.
///
/// # Errors
/// The same on all ranks: budgets and shots (code 2), data (code 3) or a scratch directory (code 5) that cannot be used
/// in one of the stages.
pub fn check_stages<T: Scalar>(study: &Study, session: &Session) -> Result<(), Failure> {
    session.cluster.agree((0..study.config.stages.len()).try_for_each(|stage| check_stage::<T>(study, stage)))
}

fn check_stage<T: Scalar>(study: &Study, stage: usize) -> Result<(), Failure> {
    let band = stage_band(study, stage)?;
    picked_shots(study, stage)?;
    check_budget::<T>(study, &band)?;
    match &study.config.data {
        Some(DataSource::Observed(file)) => drop(Observed::open(file, &study.survey, &band)?),
        Some(DataSource::Synthetic(_)) => {}
        None => return Err(no_data()),
    }
    reversal::check_scratch(&study.config.reversal)
}

/// The shots that some stage uses, in increasing order.
///
/// # Errors
/// Code 2 for a stage that asks for shots that are not there.
pub fn used_shots(study: &Study) -> Result<Vec<usize>, Failure> {
    let stages = 0..study.config.stages.len();
    let shots: BTreeSet<usize> =
        stages.map(|stage| picked_shots(study, stage)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    Ok(shots.into_iter().collect())
}

fn picked_shots(study: &Study, stage: usize) -> Result<Vec<usize>, Failure> {
    let shots = study.config.stages[stage].shots.pick(study.survey.shots.len());
    shots.map_err(|expected| misconfigured(format!("stage {stage}: shots: expected {expected}")))
}

/// A plan of one step, until the real one is made.
fn trivial_plan() -> GradientPlan {
    let request = treewave_reversal::PlanRequest::new(1, 1, 1, u64::MAX);
    let reversal = ReversalPlan::new(&request).expect("one step fits any memory");
    GradientPlan { reversal, costs: UNIT_COSTS, shots_at_once: 1, tile: None, seconds: 0.0, weighed: Vec::new() }
}

impl Session {
    /// What modelling needs.
    pub fn simulation(&self) -> Simulation<'_> {
        Simulation { cluster: self.cluster.as_ref(), stop: &self.stop, observer: &self.progress, path: self.path }
    }
}
