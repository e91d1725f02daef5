//! What a rank needs, in bytes: a model of what is allocated, part by part.

use treewave_cluster::Failure;
use treewave_inversion::BATCH_BYTES;
use treewave_reversal::Strategy;
use treewave_wave::{FixedLayout, Layout, RecordForm, Scalar};

use crate::band::Band;
use crate::config::sections::DataSource;
use crate::gradient_plan::GradientPlan;
use crate::report::bytes_text;
use crate::reversal::state_bytes;
use crate::stage::layout;
use crate::study::{Study, unwritable};

/// A rank that computes next to nothing: program, libraries, buffers of HDF5 and MPI. Measured on 1 to 3 ranks with 1 and 2
/// threads: 31.7 to 32.9 MiB, whatever their number; 11.6 MiB less without MPI.
pub(crate) const PROGRAM_BYTES: u64 = if cfg!(feature = "mpi") { 65 << 19 } else { 42 << 19 };
/// The allocator keeps one byte in this many besides, of small arrays that were freed.
const FREED_SHARE: u64 = 50;
/// What a shot that spills takes beside the arrays that are counted. Fitted, not traced to its allocations: with one and two shots side by
/// side on a section, 0 to 4.3 MB a shot more than was planned without it.
const SPILL_FILE_BYTES: u64 = 2 << 20;
/// Bytes of a number of a model vector, a trace that was read, or an accumulator.
const WIDE: u64 = 8;

/// Bytes that a process may have: the machine's memory, or less where a batch system or a shell has set a limit.
pub fn limit_bytes() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    // The number in the column of the line that begins so.
    let number = |text: &str, begin: &str, factor: u64| -> Option<u64> {
        let rest = text.lines().find_map(|line| line.strip_prefix(begin))?;
        rest.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(factor)
    };
    let machine = number(&read("/proc/meminfo"), "MemTotal:", 1024);
    let address_space = number(&read("/proc/self/limits"), "Max address space", 1);
    let group = number(&read("/sys/fs/cgroup/memory.max"), "", 1);
    [machine, address_space, group].into_iter().flatten().min().unwrap_or(u64::MAX)
}

/// Refuses what takes more bytes than this process may have; what cannot be counted takes more than that.
///
/// # Errors
/// Code 5 with what it is and both numbers.
pub fn check_fits(what: &str, bytes: Option<u64>, advice: &str) -> Result<(), Failure> {
    let limit = limit_bytes();
    if bytes.is_some_and(|bytes| bytes <= limit) {
        return Ok(());
    }
    let needed = bytes.map_or("more than can be counted".into(), bytes_text);
    Err(unwritable(format!("{what} takes {needed} of memory, there is {}; {advice}", bytes_text(limit))))
}

/// Peak memory of the rank that needs most, which is rank 0, by parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// The program and the models of the study, held throughout.
    pub program: u64,
    /// What an inversion holds besides: the optimiser with its history, and the iterations made so far.
    pub inversion: u64,
    /// Records, snapshots in memory, staging buffers of a gradient of an inversion.
    pub reversal: u64,
    /// The same of a gradient alone, which is wanted in every cell.
    pub reversal_alone: u64,
    /// Working state, adjoint state, model and images on the padded grid.
    pub fields: u64,
    /// Sums over shots, and what a shot adds to them.
    pub sums: u64,
    /// Traces of a shot.
    pub traces: u64,
    /// Instead of all but the program: simulating data and gathering them on rank 0.
    pub simulating: u64,
}

/// What the memory of a stage depends on.
pub struct Needs<'a> {
    /// The study.
    pub study: &'a Study,
    /// The stage.
    pub stage: usize,
    /// Its band.
    pub band: &'a Band,
    /// The plan of its gradients.
    pub plan: &'a GradientPlan,
    /// Bytes of the reversal of a gradient of every cell.
    pub reversal_alone: u64,
    /// Bytes of its largest shot, see [`treewave_wave::AcousticShot::bytes`].
    pub shot_bytes: usize,
    /// Number of ranks.
    pub ranks: usize,
}

impl Memory {
    /// The memory of a stage.
    pub fn new<T: Scalar>(needs: &Needs) -> Self {
        let Needs { study, stage, band, plan, shot_bytes, .. } = *needs;
        let scalar = size_of::<T>() as u64;
        let cells = study.grid().len() as u64;
        let vector = WIDE * cells;
        let models = 1 + u64::from(study.truth.is_some());
        let samples = largest_shot(band) * band.survey.samples as u64;
        // Recorded and adjoint samples in the field's scalar; observed and predicted traces and the derivative in f64.
        let turning = samples * (2 * scalar + 3 * WIDE);
        // Later the gradient and the illumination of the shot stand beside the observed traces.
        let adding = samples * (2 * scalar + WIDE) + 2 * vector;
        let grid = layout(study, band);
        let state = state_bytes::<T>(&grid);
        let working = match plan.reversal.strategy {
            Strategy::Inversion => {
                FixedLayout::new(study.grid(), &band.options).map_or(state, |fixed| fixed.state_bytes())
            }
            _ => state,
        };
        // Side by side every shot has its own, apart from the model and the sums.
        let shots = plan.shots_at_once as u64;
        // The adjoint state has room for one more memory variable of the axes x and y.
        let spare = scalar * (grid.memory_len(0) + grid.memory_len(1)) as u64;
        let images = RecordForm::default().bytes::<T>(&grid);
        let file = if plan.reversal.writes > 0 { SPILL_FILE_BYTES } else { 0 };
        Memory {
            program: PROGRAM_BYTES + models * vector + cells,
            inversion: inversion(study, stage, models, vector) + cells,
            reversal: shots * (plan.reversal.peak_memory_bytes + file),
            reversal_alone: shots * (needs.reversal_alone + file),
            fields: discrete_program::<T>(&grid, cells) + shots * (working + state + spare + 2 * images),
            sums: 2 * 3 * vector + shots * adding.saturating_sub(turning),
            traces: shots * (turning + shot_bytes as u64),
            simulating: simulating::<T>(needs),
        }
    }

    /// The memory of `treewave gradient`.
    pub fn of_gradient(&self) -> u64 {
        self.peak((self.reversal_alone + self.evaluating()).max(self.simulating))
    }
    /// The memory of `treewave invert`.
    pub fn of_inversion(&self) -> u64 {
        self.peak((self.inversion + self.reversal + self.evaluating()).max(self.simulating))
    }

    fn peak(&self, arrays: u64) -> u64 {
        self.program + arrays + arrays / FREED_SHARE
    }

    /// What evaluating takes apart from the reversal.
    fn evaluating(&self) -> u64 {
        self.fields + self.sums + self.traces
    }
}

/// Bytes of `c² Δt²` as a field and of the velocities.
fn discrete_program<T: Scalar>(layout: &Layout, cells: u64) -> u64 {
    (layout.len as u64 + cells) * size_of::<T>() as u64
}

/// Receivers of the shot that has most.
fn largest_shot(band: &Band) -> u64 {
    band.survey.shots.iter().map(|shot| shot.receivers_m.len()).max().unwrap_or(0) as u64
}

/// Iterations that the run has after a stage, the start among them.
fn entries(study: &Study, stage: usize) -> u64 {
    let stages = study.config.stages[..=stage].iter();
    1 + stages.map(|s| s.iterations.min(s.max_evaluations.unwrap_or(usize::MAX)) as u64).sum::<u64>()
}

/// Bytes of the optimiser and of the record of a run, from its models and the bytes of a model vector.
fn inversion(study: &Study, stage: usize, models: u64, vector: u64) -> u64 {
    let pairs = study.config.optimizer.memory.min(study.config.stages[stage].iterations) as u64;
    // The control's and the point's base; bounds and preconditioner, the latter in the point too.
    let stage_vectors = 2 + 2 + 2;
    // Point, gradient, proposal, trial and its velocities.
    let optimiser = 5 + 2 * pairs;
    // Point, gradient and illumination of the last evaluation, and of the lowest one before.
    let kept = 2 * 3;
    let record = models + 2 * entries(study, stage);
    vector * (stage_vectors + optimiser + kept + record)
}

/// Bytes of simulating the synthetic data, on rank 0: first its share of a batch beside the fields, then all of it.
fn simulating<T: Scalar>(needs: &Needs) -> u64 {
    let Needs { study, ranks, .. } = *needs;
    let Some(DataSource::Synthetic(how)) = &study.config.data else { return 0 };
    let Ok(truth) = study.truth() else { return 0 };
    let vp_max = truth.range_m_per_s().1;
    let Ok(band) = Band::synthetic(&study.config, study.grid(), &study.survey, vp_max, how) else { return 0 };
    let scalar = size_of::<T>() as u64;
    let shot = WIDE * largest_shot(&band) * band.survey.samples as u64;
    let all: u64 =
        WIDE * band.survey.samples as u64 * band.survey.shots.iter().map(|s| s.receivers_m.len() as u64).sum::<u64>();
    let batch = all.min(BATCH_BYTES as u64).max(shot);
    let grid = layout(study, &band);
    let program = discrete_program::<T>(&grid, study.grid().len() as u64);
    // Recorded samples, and those in Pa.
    let modelling = state_bytes::<T>(&grid) + shot + shot / WIDE * scalar + needs.shot_bytes as u64;
    let share = batch.div_ceil(ranks as u64);
    // A shot unpacked, with noise, and as it is written.
    let writing = 2 * shot + shot / WIDE * scalar;
    program + (share + modelling).max(batch + writing)
}

/// Peak resident memory of this process in bytes; 0 where the system does not tell.
pub fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse::<u64>().ok());
    kib.map_or(0, |kib| kib * 1024)
}
