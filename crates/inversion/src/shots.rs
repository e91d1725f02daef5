//! The loop over the shots of a survey on all ranks, the same for every wave equation: who works on which shot, sums that
//! do not depend on it, traces brought to rank 0.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use treewave_cluster::{Cluster, Completion, Failure, Work};
use treewave_core::{Event, Observer, ReproducibleSum, StopFlag, Survey};
use treewave_reversal::{Log, ReverseError};

use crate::experiment::ExperimentError;

/// Takes the traces of a shot: its number, and samples in Pa, `(trace, time)`.
pub type TraceSink<'a> = dyn FnMut(usize, &[f64]) -> Result<(), Failure> + 'a;

/// Bytes of traces that are brought to rank 0 at a time: they are in its memory then.
pub const BATCH_BYTES: usize = 64 << 20;

/// Exit codes of failures.
pub(crate) const DATA_CODE: i32 = 3;
pub(crate) const NUMERICAL_CODE: i32 = 4;
pub(crate) const ENVIRONMENT_CODE: i32 = 5;
pub(crate) const BUG_CODE: i32 = 101;

/// The failure of a shot, with its causes.
pub fn shot_failure(shot: usize, code: i32, error: &dyn std::error::Error) -> Failure {
    let mut message = format!("shot {shot}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    Failure::new(code, message)
}

/// Why the reversal of a shot gave no result.
pub fn reversal_failure<X: std::error::Error + 'static>(shot: usize, error: ReverseError<X>) -> ExperimentError {
    match error {
        ReverseError::Stopped { .. } => ExperimentError::Stopped,
        ReverseError::Evolution { source, .. } => shot_failure(shot, NUMERICAL_CODE, &source).into(),
        ReverseError::Store(source) => shot_failure(shot, ENVIRONMENT_CODE, &source).into(),
        ReverseError::Schedule(source) => shot_failure(shot, BUG_CODE, &source).into(),
    }
}

/// Shots over ranks.
#[derive(Clone, Copy)]
pub struct ShotLoop<'a> {
    /// Sources, receivers and sampling.
    pub survey: &'a Survey,
    /// Shots that are used, in increasing order.
    pub shots: &'a [usize],
    /// The ranks.
    pub cluster: &'a dyn Cluster,
    /// A request to stop.
    pub stop: &'a StopFlag,
    /// Who is told about progress.
    pub observer: &'a dyn Observer,
}

/// Does a shot, called with its number: what it adds to a gradient.
pub type GradientWork<'a> = dyn FnMut(usize) -> Result<Summand, ExperimentError> + Send + 'a;

/// What one shot adds to a gradient.
#[derive(Clone, Debug)]
pub struct Summand {
    /// Misfit.
    pub misfit: f64,
    /// The arrays that are summed over shots.
    pub arrays: Vec<Vec<f64>>,
    /// What the reversal did.
    pub log: Log,
}

/// Sums over all shots, the same on all ranks.
#[derive(Clone, Debug)]
pub struct Summed {
    /// Sum of the misfits of the shots, in the order of the shots.
    pub misfit: f64,
    /// Misfit per shot used.
    pub misfit_per_shot: Vec<f64>,
    /// The arrays summed over shots, the same bits for any order.
    pub arrays: Vec<Vec<f64>>,
    /// What the reversals did, all ranks together.
    pub log: Log,
}

impl ShotLoop<'_> {
    /// Sums misfits and arrays of the given lengths over the shots, each done by some worker of some rank. A rank does as many
    /// shots side by side as it has workers.
    ///
    /// # Errors
    /// A request to stop on any rank; a failure of this rank's own on a single rank (with more ranks it ends the job).
    pub fn sum(&self, lengths: &[usize], workers: Vec<Box<GradientWork<'_>>>) -> Result<Summed, ExperimentError> {
        let mut misfits = vec![0.0; self.shots.len()];
        let mut sums: Vec<ReproducibleSum> = lengths.iter().map(|&len| ReproducibleSum::new(len)).collect();
        let mut log = Log::default();
        let interrupted = AtomicBool::new(false);
        let so_far = Mutex::new((&mut misfits, &mut sums, &mut log));
        let add = |shot: usize, result: Result<Summand, ExperimentError>| match result {
            Ok(done) => {
                let place = self.shots.binary_search(&shot).expect("the queue hands out the shots that it was given");
                let mut so_far = so_far.lock().unwrap_or_else(PoisonError::into_inner);
                let (misfits, sums, log) = &mut *so_far;
                misfits[place] = done.misfit;
                log.merge(&done.log);
                let added = sums.iter_mut().zip(&done.arrays).try_for_each(|(sum, array)| sum.add(array));
                added.map_err(|e| shot_failure(shot, NUMERICAL_CODE, &e))
            }
            Err(ExperimentError::Stopped) => {
                interrupted.store(true, Ordering::SeqCst);
                Ok(())
            }
            Err(ExperimentError::Failed(failure)) => Err(failure),
        };
        let add = &add;
        let workers = workers.into_iter().map(|mut work| {
            let adding = move |shot| {
                let began = Instant::now();
                add(shot, work(shot))?;
                self.observer.event(Event::Shot { shot, seconds: began.elapsed().as_secs_f64() });
                Ok(())
            };
            Box::new(adding) as Box<Work<'_>>
        });
        let completion = self.queue(self.shots, 0, workers.collect())?;
        if self.cluster.any(interrupted.load(Ordering::SeqCst)) || completion == Completion::Stopped {
            return Err(ExperimentError::Stopped);
        }
        for sum in &mut sums {
            self.cluster.sum(sum).map_err(|e| Failure::new(BUG_CODE, e.to_string()))?;
        }
        self.cluster.sum_owned(&mut misfits);
        Ok(Summed {
            misfit: misfits.iter().sum(),
            misfit_per_shot: misfits,
            arrays: sums.iter().map(ReproducibleSum::values).collect(),
            log: self.sum_log(log),
        })
    }

    /// Models all shots by `model(shot)`; `sink` is called on rank 0 with every shot and its traces in Pa, `(trace, time)`,
    /// in the order of the shots.
    ///
    /// # Errors
    /// As [`sum`](Self::sum); a failure of the sink becomes one of all ranks.
    pub fn simulate(
        &self,
        model: &(dyn Fn(usize) -> Result<Vec<f64>, Failure> + Sync),
        sink: &mut TraceSink<'_>,
    ) -> Result<(), ExperimentError> {
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
            self.simulate_batch(model, batch, done, sink)?;
            done += count;
            rest = others;
        }
        Ok(())
    }

    fn simulate_batch(
        &self,
        model: &(dyn Fn(usize) -> Result<Vec<f64>, Failure> + Sync),
        batch: &[usize],
        before: usize,
        sink: &mut TraceSink<'_>,
    ) -> Result<(), ExperimentError> {
        // Per shot of this rank: its number, the number of samples, the samples.
        let mut packed: Vec<u8> = Vec::new();
        let mut work = |shot: usize| -> Result<(), Failure> {
            let began = Instant::now();
            let traces = model(shot)?;
            packed.extend((shot as u64).to_le_bytes());
            packed.extend((traces.len() as u64).to_le_bytes());
            traces.iter().for_each(|x| packed.extend(x.to_le_bytes()));
            self.observer.event(Event::Shot { shot, seconds: began.elapsed().as_secs_f64() });
            Ok(())
        };
        let completion = self.queue(batch, before, vec![Box::new(&mut work)])?;
        if completion == Completion::Stopped {
            return Err(ExperimentError::Stopped);
        }
        // Rank 0 sends nothing to itself: its shots would be in its memory twice.
        let sent: &[u8] = if self.cluster.rank() == 0 { &[] } else { &packed[..] };
        let written = match self.cluster.collect(sent) {
            Some(mut parts) => {
                parts[0] = packed;
                unpack(&parts, sink)
            }
            None => Ok(()),
        };
        Ok(self.cluster.agree(written)?)
    }

    /// Spreads some of the shots over the ranks, `before` of all having been done before.
    fn queue(
        &self,
        shots: &[usize],
        before: usize,
        workers: Vec<Box<Work<'_>>>,
    ) -> Result<Completion, ExperimentError> {
        let total = self.shots.len();
        let mut tell = |done: usize| self.observer.event(Event::Progress { done: before + done, total });
        Ok(self.cluster.for_each_shot_by(&self.dearest_first(shots), self.stop, workers, &mut tell)?)
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
            &mut c.uncomputed,
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

/// Hands the shots that ranks have packed to `sink`, in increasing order and one by one: unpacked, all would take as much
/// memory again.
fn unpack(parts: &[Vec<u8>], sink: &mut TraceSink<'_>) -> Result<(), Failure> {
    let mut shots: Vec<(u64, &[u8])> = Vec::new();
    for mut rest in parts.iter().map(Vec::as_slice) {
        while let Some((head, after)) = rest.split_at_checked(16) {
            let [shot, len] = [0, 1].map(|i| head.as_chunks::<8>().0[i]);
            let (traces, others) = after.split_at(8 * u64::from_le_bytes(len) as usize);
            shots.push((u64::from_le_bytes(shot), traces));
            rest = others;
        }
    }
    shots.sort_by_key(|(shot, _)| *shot);
    shots.into_iter().try_for_each(|(shot, bytes)| {
        let traces: Vec<f64> = bytes.as_chunks().0.iter().map(|&word| f64::from_le_bytes(word)).collect();
        sink(shot as usize, &traces)
    })
}
