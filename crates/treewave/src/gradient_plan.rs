//! How the gradients of a stage are computed: how many shots a rank does side by side, and the reversal of each, by measured
//! costs.

use treewave_cluster::Failure;
use treewave_core::Grid;
use treewave_reversal::{Choice, MemoryLimit, ReversalPlan, StepCosts};
use treewave_wave::{AcousticOptions, Crew, Layout, Scalar, TileShape};

use crate::config::Config;
use crate::config::sections::Reversal;
use crate::reversal::{self, UNIT_COSTS};
use crate::study::unwritable;

/// A stage whose gradients take less than so many seconds in all is not worth measuring ways to compute it.
const WORTH_MEASURING_S: f64 = 20.0;
/// Seconds per point and step of a gradient, about, for that judgement.
const POINT_S: f64 = 4e-9;
/// More shots side by side take more memory: they must save so much.
const WORTH_MORE_SHOTS: f64 = 0.97;

/// What there is to do, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Steps of a shot.
    pub steps: usize,
    /// Shots of a gradient.
    pub shots: usize,
    /// Gradients, at most.
    pub evaluations: usize,
    /// Ranks.
    pub ranks: usize,
    /// Threads of the rank that has fewest.
    pub threads: usize,
}

impl Job {
    /// How often a rank does so many shots side by side.
    fn rounds(&self, shots_at_once: usize) -> f64 {
        self.shots.div_ceil(self.ranks * shots_at_once) as f64
    }
}

/// How a gradient is computed.
#[derive(Clone, Debug)]
pub struct GradientPlan {
    /// The reversal of a shot.
    pub reversal: ReversalPlan,
    /// What its parts take, with so many shots side by side.
    pub costs: StepCosts,
    /// Shots that a rank does side by side.
    pub shots_at_once: usize,
    /// How steps are cut into tiles, where the equation has a choice.
    pub tile: Option<TileShape>,
    /// Seconds of a gradient.
    pub seconds: f64,
    /// What was compared.
    pub weighed: Vec<Weighed>,
}

/// A way to compute a gradient, and what it takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighed {
    /// Shots that a rank does side by side.
    pub shots_at_once: usize,
    /// How steps are cut into tiles, where the equation has a choice.
    pub tile: Option<TileShape>,
    /// Strategy of the reversal.
    pub strategy: &'static str,
    /// Seconds of a gradient.
    pub seconds: f64,
}

impl GradientPlan {
    /// Finds the fastest way; `measure` gives the costs with so many shots side by side, each in its [share], and some tiles. Unless the
    /// seconds are asked for, nothing is measured where no choice depends on it, and the seconds mean nothing.
    ///
    /// # Errors
    /// Code 2 for budgets that no schedule fits; those of measuring.
    pub fn new<T: Scalar>(
        config: &Config,
        grid: &Grid,
        options: &AcousticOptions,
        job: Job,
        with_seconds: bool,
        measure: &mut dyn FnMut(usize, TileShape, &Reversal) -> Result<StepCosts, Failure>,
    ) -> Result<Self, Failure> {
        let layout = &Layout::new(grid, options.boundary, options.space_order / 2);
        let likely_and_other = TileShape::candidates(layout, size_of::<T>());
        let ways = ways(config, layout, job, likely_and_other);
        let mut weighed = Vec::new();
        let mut best: Option<GradientPlan> = None;
        for &(shots_at_once, shape) in &ways {
            let tile = Some(shape);
            let share = share(&config.reversal, shots_at_once);
            let matters = with_seconds || ways.len() > 1 || reversal::depends_on_costs(&share);
            // Before anything is measured for it: it may not fit.
            let fits = reversal::plan::<T>(&share, grid, options, job.steps, UNIT_COSTS);
            let costs = match fits {
                Err(_) if best.is_some() => continue,
                Err(refusal) => return Err(refusal),
                Ok(_) if matters => measure(shots_at_once, shape, &share)?,
                Ok(_) => UNIT_COSTS,
            };
            let plan = reversal::plan::<T>(&share, grid, options, job.steps, costs)?;
            let rounds = job.rounds(shots_at_once);
            weighed.extend(plan.compared.iter().map(|(strategy, counts)| Weighed {
                shots_at_once,
                tile,
                strategy: strategy.name(),
                seconds: rounds * counts.cost(&costs.game()),
            }));
            let seconds = rounds * plan.seconds;
            if best.as_ref().is_none_or(|best| seconds < WORTH_MORE_SHOTS * best.seconds) {
                best = Some(GradientPlan { reversal: plan, costs, shots_at_once, tile, seconds, weighed: Vec::new() });
            }
        }
        if with_seconds && config.reversal.strategy == Choice::Auto && T::HAS_FIXED {
            weighed.extend(inversions::<T>(config, grid, options, job, &ways, measure)?);
        }
        let best = best.expect("the first way gave a plan or an error");
        Ok(GradientPlan { weighed, ..best })
    }
}

/// What a gradient by inversion would take, where it fits. Nothing is chosen by that: its last digits are its own.
fn inversions<T: Scalar>(
    config: &Config,
    grid: &Grid,
    options: &AcousticOptions,
    job: Job,
    ways: &[(usize, TileShape)],
    measure: &mut dyn FnMut(usize, TileShape, &Reversal) -> Result<StepCosts, Failure>,
) -> Result<Vec<Weighed>, Failure> {
    let mut weighed = Vec::new();
    // Steps in fixed-point arithmetic are not cut into tiles.
    for of_number in ways.chunk_by(|a, b| a.0 == b.0) {
        let (shots_at_once, shape) = of_number[0];
        let reversal = Reversal { strategy: Choice::Inversion, ..share(&config.reversal, shots_at_once) };
        if reversal::plan::<T>(&reversal, grid, options, job.steps, UNIT_COSTS).is_err() {
            continue;
        }
        let costs = measure(shots_at_once, shape, &reversal)?;
        let plan = reversal::plan::<T>(&reversal, grid, options, job.steps, costs)?;
        let seconds = job.rounds(shots_at_once) * plan.seconds;
        weighed.push(Weighed { shots_at_once, tile: None, strategy: plan.strategy.name(), seconds });
    }
    Ok(weighed)
}

/// The budgets of one of several shots that are done side by side.
pub fn share(reversal: &Reversal, shots_at_once: usize) -> Reversal {
    let n = shots_at_once as u64;
    let memory = match reversal.memory {
        MemoryLimit::Bytes(bytes) => MemoryLimit::Bytes(bytes / n),
        // They are counted for each shot.
        snapshots @ MemoryLimit::Snapshots(_) => snapshots,
    };
    Reversal { memory, disk_bytes: reversal.disk_bytes / n, ..reversal.clone() }
}

/// The crews of this rank of so many threads, which does so many shots side by side.
///
/// # Errors
/// Code 5 if the threads cannot be started.
pub fn crews(shots_at_once: usize, threads: usize) -> Result<Vec<Crew>, Failure> {
    if shots_at_once == 1 { Ok(vec![Crew::CURRENT]) } else { crews_of_own(shots_at_once, threads) }
}

/// The same with threads of their own for a single shot, too.
///
/// # Errors
/// As [`crews`].
pub fn crews_of_own(shots_at_once: usize, threads: usize) -> Result<Vec<Crew>, Failure> {
    let each = (threads / shots_at_once).max(1);
    (0..shots_at_once).map(|_| Crew::of_threads(each).map_err(|e| unwritable(reversal::chain(&e)))).collect()
}

/// Numbers of shots side by side and tiles that are compared, the least shots and the likely best tiles first.
fn ways(config: &Config, layout: &Layout, job: Job, tiles: [TileShape; 2]) -> Vec<(usize, TileShape)> {
    // Snapshots that are counted take memory that nobody has limited.
    let fixed = config.reversal.costs.is_some() || matches!(config.reversal.memory, MemoryLimit::Snapshots(_));
    let threads = (job.ranks * job.threads) as f64;
    let gradient_s = POINT_S * layout.points() as f64 * (job.steps * job.shots) as f64 / threads;
    if fixed || gradient_s * (job.evaluations as f64) < WORTH_MEASURING_S {
        return vec![(config.shots_at_once.unwrap_or(1), tiles[0])];
    }
    let numbers = config.shots_at_once.map_or_else(|| numbers_of_shots(job), |number| vec![number]);
    numbers.into_iter().flat_map(|shots| tiles.map(|tile| (shots, tile))).collect()
}

/// Numbers of shots that the threads of a rank can be shared among evenly.
fn numbers_of_shots(job: Job) -> Vec<usize> {
    let most = job.threads.min(job.shots.div_ceil(job.ranks));
    let doubled = std::iter::successors(Some(1), |n| Some(2 * n)).take_while(|&n| n < job.threads);
    let shared_evenly = doubled.filter(|n| job.threads.is_multiple_of(*n)).chain([job.threads]);
    shared_evenly.filter(|&n| n <= most).collect()
}
