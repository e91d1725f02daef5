//! What the parts of a gradient take on this machine, measured.

use std::time::{Duration, Instant};

use treewave_cluster::Failure;
use treewave_core::Model;
use treewave_inversion::{Experiment, wave_failure};
use treewave_reversal::{
    Choice, Evolution, Invertible, MemoryLimit, STEPS_AT_ONCE, Slot, Snapshot, StepCosts, StoreError, Tier,
};
use treewave_wave::{Acoustic, Crew, Fixed, FixedShot, Reach, Scalar, WaveError};

use crate::config::sections::Reversal;
use crate::reversal::{chain, spill};
use crate::study::{misconfigured, unwritable};

/// A part is repeated until it takes so long: a single step can be shorter than what disturbs a clock.
const ROUND_S: f64 = 0.02;
/// Measurements per part; their median counts.
const ROUNDS: usize = 5;
/// No further round is begun after so long.
const LONGEST_S: f64 = 3.0;
/// Bytes of the records that are written and read in turns: more than a cache holds, as in a gradient.
const RECORDS_BYTES: u64 = 32 << 20;

/// How far the waves of a shot in the middle of the survey come on average.
///
/// # Errors
/// A model that is not stable.
pub fn reach_of<T: Scalar>(experiment: &Experiment<T>, model: &Model) -> Result<Reach, Failure> {
    let acoustic = experiment.acoustic(model.vp_m_per_s(), &Crew::CURRENT).map_err(misconfigured)?;
    Ok(experiment.shot(&acoustic, middle_one(experiment)).reach())
}

fn middle_one<T: Scalar>(experiment: &Experiment<T>) -> usize {
    experiment.shots[experiment.shots.len() / 2]
}

/// Times the parts of a gradient on a shot in the middle of the survey, in steps that are computed where its waves are on average, by as many shots at the
/// same time as there are crews: the mean over them. `rank` tells apart the files in the scratch directory.
///
/// # Errors
/// A model that is not stable, a scratch directory that does not work.
pub fn measure<T: Scalar>(
    reversal: &Reversal,
    experiment: &Experiment<T>,
    model: &Model,
    crews: &[Crew],
    rank: usize,
) -> Result<StepCosts, Failure> {
    let acoustic = experiment.acoustic(model.vp_m_per_s(), &crews[0]).map_err(misconfigured)?;
    let measure_on = |crew: &Crew| crew.run(|| measure_on(reversal, experiment, &acoustic, rank));
    let measured = std::thread::scope(|scope| {
        let running: Vec<_> = crews.iter().map(|crew| scope.spawn(|| measure_on(crew))).collect();
        let ended = running.into_iter().map(|thread| thread.join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
        ended.collect::<Result<Vec<StepCosts>, Failure>>()
    })?;
    let mean = |of: fn(&StepCosts) -> f64| measured.iter().map(of).sum::<f64>() / measured.len() as f64;
    Ok(StepCosts {
        advance: mean(|c| c.advance),
        record: mean(|c| c.record),
        pull_back: mean(|c| c.pull_back),
        write: mean(|c| c.write),
        read: mean(|c| c.read),
    })
}

fn measure_on<T: Scalar>(
    reversal: &Reversal,
    experiment: &Experiment<T>,
    acoustic: &Acoustic<T>,
    rank: usize,
) -> Result<StepCosts, Failure> {
    let number = middle_one(experiment);
    let failed = |e: WaveError| wave_failure(number, &e);
    if let Some(program) = T::fixed(acoustic).filter(|_| reversal.strategy == Choice::Inversion) {
        let fixed = Fixed::new(program, experiment.path).map_err(misconfigured)?;
        let shot = FixedShot::new(&fixed, experiment.shot(program, number).on_average());
        let (output, adjoint) = (shot.shot().new_output(), shot.shot().new_adjoint());
        let record_bytes = experiment.options.records.bytes::<f32>(program.layout());
        let timed = Timed { shot: &shot, steps: shot.shot().steps(), output, adjoint, record_bytes };
        return time_inversion(reversal, timed, rank, failed);
    }
    let shot = experiment.shot(acoustic, number).on_average();
    let timed = Timed {
        steps: shot.steps(),
        output: shot.new_output(),
        adjoint: shot.new_adjoint(),
        record_bytes: experiment.options.records.bytes::<T>(acoustic.layout()),
        shot: &shot,
    };
    time_parts(reversal, timed, rank, failed)
}

/// Times the parts of a gradient by inversion.
///
/// # Errors
/// As [`time_parts`].
pub fn time_inversion<E>(
    reversal: &Reversal,
    timed: Timed<E>,
    rank: usize,
    failed: impl Fn(E::Error) -> Failure,
) -> Result<StepCosts, Failure>
where
    E: Invertible<Work: Default, Residue: 'static>,
{
    let Timed { shot, steps, mut output, mut adjoint, record_bytes } = timed;
    let steps = timed_steps(reversal, record_bytes).min(steps);
    let (mut state, mut residue, mut work) = (shot.new_state(), shot.new_residue(steps), E::Work::default());
    let mut records: Vec<_> = (0..STEPS_AT_ONCE).map(|_| shot.new_record()).collect();
    let parts = || (0..steps).step_by(STEPS_AT_ONCE).map(|n| n..steps.min(n + STEPS_AT_ONCE)).rev();
    shot.start(&mut state);
    let mut run = |part: usize| match part {
        0 => shot.advance_keeping(0..steps, &mut state, &mut residue, &mut output, &mut work),
        1 => parts().try_for_each(|part| shot.retreat(part, &mut state, &residue, 0, &mut records, &mut work)),
        _ => parts().try_for_each(|part| {
            let records = &records[..part.len()];
            shot.pull_back(part, records, &mut adjoint, &mut work)
        }),
    };
    let [advance, record, pull_back] = seconds_of_parts(steps, true, &mut run).map_err(failed)?;
    let (write, read) = spill_seconds(reversal, &mut residue, rank)?;
    Ok(StepCosts { advance, record, pull_back, write, read })
}

/// A shot whose parts are timed.
pub struct Timed<'a, E: Evolution> {
    /// The shot.
    pub shot: &'a E,
    /// Its steps.
    pub steps: usize,
    /// What it writes to.
    pub output: E::Output,
    /// Its adjoint state.
    pub adjoint: E::Adjoint,
    /// Bytes of a record.
    pub record_bytes: u64,
}

/// Times the parts of the gradient of a shot by the threads of the calling pool.
///
/// # Errors
/// Those of the evolution by `failed`; a scratch directory that does not work.
pub fn time_parts<E>(
    reversal: &Reversal,
    timed: Timed<E>,
    rank: usize,
    failed: impl Fn(E::Error) -> Failure,
) -> Result<StepCosts, Failure>
where
    E: Evolution<Work: Default, State: 'static>,
{
    let shot = timed.shot;
    let steps = timed_steps(reversal, timed.record_bytes);
    let [advance, record, pull_back] = step_seconds(timed, steps).map_err(failed)?;
    let mut state = shot.new_state();
    let (write, read) = spill_seconds(reversal, &mut state, rank)?;
    Ok(StepCosts { advance, record, pull_back, write, read })
}

/// Seconds of a write and of a read of a snapshot, if the disk may take one.
fn spill_seconds<S: Snapshot + Send + 'static>(
    reversal: &Reversal,
    snapshot: &mut S,
    rank: usize,
) -> Result<(f64, f64), Failure> {
    if reversal.disk_bytes < snapshot.bytes() as u64 {
        return Ok((0.0, 0.0));
    }
    disk_seconds(reversal, snapshot, rank).map_err(|e| unwritable(chain(&e)))
}

/// Steps that are recorded in a row; their records fit the budget, for a run measures too.
fn timed_steps(reversal: &Reversal, record_bytes: u64) -> usize {
    let budget = match reversal.memory {
        MemoryLimit::Bytes(bytes) => bytes / record_bytes,
        MemoryLimit::Snapshots(snapshots) => 2 * snapshots as u64,
    };
    (RECORDS_BYTES / record_bytes).clamp(2, 64).min(budget).max(1) as usize
}

/// Seconds per step forward, recorded, and back.
fn step_seconds<E: Evolution<Work: Default>>(timed: Timed<E>, steps: usize) -> Result<[f64; 3], E::Error> {
    let Timed { shot, mut output, mut adjoint, .. } = timed;
    let steps = steps.min(timed.steps);
    let (mut state, mut work) = (shot.new_state(), E::Work::default());
    let mut records: Vec<_> = (0..steps).map(|_| shot.new_record()).collect();
    shot.start(&mut state);
    let mut run = |part: usize| match part {
        0 => shot.advance(0..steps, &mut state, None, &mut work),
        1 => shot.advance_recording(0..steps, &mut state, &mut records, Some(&mut output), &mut work),
        _ => shot.pull_back(0..steps, &records, &mut adjoint, &mut work),
    };
    seconds_of_parts(steps, false, &mut run)
}

/// Seconds per step of three parts of some steps; `in_turn` if a part can only be repeated after the others.
fn seconds_of_parts<X>(
    steps: usize,
    in_turn: bool,
    run: &mut dyn FnMut(usize) -> Result<(), X>,
) -> Result<[f64; 3], X> {
    let began = Instant::now();
    let mut rounds: [Vec<f64>; 3] = Default::default();
    let mut repeats = [1; 3];
    // The first round touches the memory for the first time; the second tells how often to repeat.
    for round in 0..ROUNDS + 2 {
        if round > 2 && began.elapsed().as_secs_f64() > LONGEST_S {
            break;
        }
        for part in 0..3 {
            let began = Instant::now();
            (0..repeats[part]).try_for_each(|_| run(part))?;
            let seconds = began.elapsed().as_secs_f64();
            match round {
                0 => {}
                1 if !in_turn => repeats[part] = (ROUND_S / seconds.max(1e-6)).ceil() as usize,
                1 => {}
                _ => rounds[part].push(seconds / (repeats[part] * steps) as f64),
            }
        }
    }
    Ok(rounds.map(|seconds| median(&seconds)))
}

/// Seconds that the stencils lose to a write and to a read: the copy to and from a staging buffer. The disk itself works
/// behind them, as long as it keeps up.
fn disk_seconds<S: Snapshot + Send + 'static>(
    reversal: &Reversal,
    state: &mut S,
    rank: usize,
) -> Result<(f64, f64), StoreError> {
    let mut store = spill(&reversal.scratch, "calibration", rank, 1, state)?;
    let slot = Slot { tier: Tier::Disk, index: 0 };
    let (mut writes, mut reads) = (Vec::new(), Vec::new());
    let all_began = Instant::now();
    // The first round touches buffers and file for the first time and does not count.
    for round in 0..ROUNDS + 1 {
        if round > 1 && all_began.elapsed().as_secs_f64() > LONGEST_S {
            break;
        }
        let began = Instant::now();
        store.put(slot, state)?;
        let write = began.elapsed();
        store.get(slot, state)?;
        store.prefetch(slot)?;
        std::thread::sleep((10 * write).min(Duration::from_millis(200)));
        let began = Instant::now();
        store.get(slot, state)?;
        if round > 0 {
            writes.push(write.as_secs_f64());
            reads.push(began.elapsed().as_secs_f64());
        }
        store.discard(slot)?;
    }
    Ok((median(&writes), median(&reads)))
}

/// The value in the middle; of an even count, the mean of the two there.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_there() {
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[5.0, 1.0, 3.0]), 3.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), 3.0);
    }
}
