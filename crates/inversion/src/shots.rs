//! The loop over the shots of a survey on all ranks, the same for every wave equation: who works on which shot, sums that
//! do not depend on it, traces brought to rank 0.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use fail::fail_point;
use treewave_cluster::{Cluster, Completion, Failure, Work};
use treewave_core::{Event, Observer, ReproducibleSum, StopFlag, SumError, Survey};
use treewave_reversal::{Log, ReverseError};

use crate::experiment::ExperimentError;
use crate::ledger::{Keeper, Ledger, Partial};

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

/// Models a shot, called with its number: samples in Pa, `(trace, time)`; nothing if it was asked to stop.
pub type ModelShot<'a> = dyn Fn(usize) -> Result<Option<Vec<f64>>, Failure> + Sync + 'a;

/// Does a shot, called with its number: what it adds to a gradient.
pub type GradientWork<'a> = dyn FnMut(usize) -> Result<Summand, ExperimentError> + Send + 'a;

/// What is done about a shot that gives no result because of its data or its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadShots {
    /// It ends the job.
    Fail,
    /// Where its numbers blow up, the model is rejected: [`ExperimentError::Rejected`]; bad data end the job.
    Reject,
    /// It is left out.
    LeaveOut,
}

impl BadShots {
    /// Whether a failure with this exit code is no failure of the job.
    fn accepts(self, code: i32) -> bool {
        match self {
            BadShots::Fail => false,
            BadShots::Reject => code == NUMERICAL_CODE,
            BadShots::LeaveOut => code == NUMERICAL_CODE || code == DATA_CODE,
        }
    }
}

/// Refuses what cannot be summed.
fn finite(shot: usize, done: Summand) -> Result<Summand, ExperimentError> {
    let all = |values: &Vec<f64>| values.iter().all(|x| x.is_finite());
    if done.misfit.is_finite() && done.arrays.iter().all(all) {
        return Ok(done);
    }
    let message = format!("shot {shot}: the misfit ({:e}) or a value of its gradient is not finite", done.misfit);
    Err(Failure::new(NUMERICAL_CODE, message).into())
}

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

/// What is known of an evaluation before it begins.
struct Known {
    /// On rank 0 the sum over the shots that are known.
    partial: Partial,
    /// These shots, on every rank.
    shots: Vec<usize>,
}

/// Sums over all shots, the same on all ranks.
#[derive(Clone, Debug)]
pub struct Summed {
    /// Sum of the misfits of the shots, in the order of the shots.
    pub misfit: f64,
    /// Shots in the sums, in increasing order.
    pub shots: Vec<usize>,
    /// Misfit of each of them.
    pub misfit_per_shot: Vec<f64>,
    /// Shots that were left out, and why.
    pub bad_shots: Vec<(usize, Failure)>,
    /// The arrays summed over shots, the same bits for any order.
    pub arrays: Vec<Vec<f64>>,
    /// What the reversals did, all ranks together.
    pub log: Log,
}

impl ShotLoop<'_> {
    /// Sums misfits and arrays of the given lengths over the shots, each done by some worker of some rank. A rank does as many
    /// shots side by side as it has workers. Shots that the ledger knows are not done again; it learns what is done. Bad shots
    /// are treated as asked, and told.
    ///
    /// # Errors
    /// A request to stop on any rank; a failure of this rank's own on a single rank (with more ranks it ends the job).
    pub fn sum(
        &self,
        lengths: &[usize],
        bad: BadShots,
        ledger: Option<&dyn Ledger>,
        workers: Vec<Box<GradientWork<'_>>>,
    ) -> Result<Summed, ExperimentError> {
        let known = self.known(lengths, ledger)?;
        let has: HashSet<usize> = known.shots.iter().copied().collect();
        let missing: Vec<usize> = self.shots.iter().copied().filter(|shot| !has.contains(shot)).collect();
        let keeper = Keeper::new(ledger, known.partial, self.cluster.size());
        let log = Mutex::new(Log::default());
        let (interrupted, rejected) = (AtomicBool::new(false), AtomicBool::new(false));
        let own_bad = Mutex::new(Vec::new());
        let add =
            |shot: usize, result: Result<Summand, ExperimentError>| match result.and_then(|done| finite(shot, done)) {
                Ok(done) => {
                    log.lock().unwrap_or_else(PoisonError::into_inner).merge(&done.log);
                    let failed = |e: SumError| shot_failure(shot, BUG_CODE, &e);
                    keeper.add(shot, done.misfit, &done.arrays, failed)
                }
                Err(ExperimentError::Stopped) => {
                    interrupted.store(true, Ordering::SeqCst);
                    Ok(())
                }
                Err(ExperimentError::Failed(failure) | ExperimentError::Rejected(failure))
                    if bad.accepts(failure.code()) =>
                {
                    rejected.store(bad == BadShots::Reject, Ordering::SeqCst);
                    own_bad.lock().unwrap_or_else(PoisonError::into_inner).push((shot, failure));
                    Ok(())
                }
                Err(ExperimentError::Failed(failure) | ExperimentError::Rejected(failure)) => Err(failure),
            };
        let (add, rejected) = (&add, &rejected);
        let workers = workers.into_iter().map(|mut work| {
            let adding = move |shot| {
                // The model is of no use: why do the others?
                if rejected.load(Ordering::SeqCst) {
                    return Ok(());
                }
                let began = Instant::now();
                fail_point!("shot.begin");
                add(shot, work(shot))?;
                fail_point!("shot.end");
                self.observer.event(Event::Shot { shot, seconds: began.elapsed().as_secs_f64() });
                Ok(())
            };
            Box::new(adding) as Box<Work<'_>>
        });
        let began = Instant::now();
        let completion = self.queue(&missing, known.shots.len(), workers.collect())?;
        if self.cluster.any(interrupted.load(Ordering::SeqCst)) || completion == Completion::Stopped {
            self.cluster.agree(keeper.keep())?;
            return Err(ExperimentError::Stopped);
        }
        let bad_shots = self.all_bad(own_bad.into_inner().unwrap_or_else(PoisonError::into_inner));
        if bad == BadShots::Reject
            && let Some((_, failure)) = bad_shots.first()
        {
            return Err(ExperimentError::Rejected(failure.clone()));
        }
        let Partial { session, shots, mut sums } = keeper.into_partial();
        fail_point!("gradient.sum");
        for sum in &mut sums {
            self.cluster.sum(sum).map_err(|e| Failure::new(BUG_CODE, e.to_string()))?;
        }
        let mut misfits = vec![0.0; self.shots.len()];
        for (shot, misfit) in shots {
            misfits[self.shots.binary_search(&shot).expect("only shots of this loop are summed")] = misfit;
        }
        self.cluster.sum_owned(&mut misfits);
        let is_good = |shot: &usize| bad_shots.iter().all(|(bad, _)| bad != shot);
        let good: Vec<(usize, f64)> =
            self.shots.iter().copied().zip(misfits).filter(|(shot, _)| is_good(shot)).collect();
        // Short evaluations are sooner done again.
        if let Some(ledger) = ledger.filter(|_| !missing.is_empty())
            && self.cluster.any(began.elapsed() >= ledger.every())
        {
            self.replace(ledger, &Partial { session: session + 1, shots: good.clone(), sums: sums.clone() })?;
        }
        fail_point!("gradient.done");
        let (shots, misfit_per_shot): (Vec<usize>, Vec<f64>) = good.into_iter().unzip();
        Ok(Summed {
            misfit: misfit_per_shot.iter().sum(),
            shots,
            misfit_per_shot,
            bad_shots,
            arrays: sums.iter().map(ReproducibleSum::values).collect(),
            log: self.sum_log(log.into_inner().unwrap_or_else(PoisonError::into_inner)),
        })
    }

    /// The bad shots of all ranks, in the order of their numbers; the same on all ranks.
    fn all_bad(&self, own: Vec<(usize, Failure)>) -> Vec<(usize, Failure)> {
        if !self.cluster.any(!own.is_empty()) {
            return Vec::new();
        }
        let mut bytes = Vec::new();
        for (shot, failure) in own {
            let text = failure.message().as_bytes();
            [shot as u64, failure.code() as u64, text.len() as u64].iter().for_each(|w| bytes.extend(w.to_le_bytes()));
            bytes.extend(text);
        }
        let mut all = self.cluster.collect(&bytes).unwrap_or_default().concat();
        self.cluster.broadcast(&mut all);
        let (mut rest, mut bad) = (&all[..], Vec::new());
        while let Some((head, after)) = rest.split_at_checked(24) {
            let [shot, code, len] = [0, 1, 2].map(|i| u64::from_le_bytes(head.as_chunks().0[i]));
            let (text, others) = after.split_at(len as usize);
            bad.push((shot as usize, Failure::new(code as i32, String::from_utf8_lossy(text))));
            rest = others;
        }
        bad.sort_by_key(|(shot, _)| *shot);
        bad
    }

    /// What the ledger has of an evaluation: rank 0 takes it over, all know the shots.
    fn known(&self, lengths: &[usize], ledger: Option<&dyn Ledger>) -> Result<Known, ExperimentError> {
        let Some(ledger) = ledger else {
            return Ok(Known { partial: Partial::new(1, lengths), shots: Vec::new() });
        };
        let kept = if self.cluster.rank() == 0 { ledger.load() } else { Ok(Vec::new()) };
        let kept = self.cluster.agree(kept)?;
        let partial = Partial::merged(kept, lengths, self.shots);
        let begun = !partial.shots.is_empty() && partial.shots.len() < self.shots.len();
        // Before any rank keeps anything new under a name that holds something old.
        if self.cluster.any(begun) {
            self.replace(ledger, &partial)?;
        }
        let shots = partial.shots.iter().map(|(shot, _)| *shot as u64);
        let mut words: Vec<u8> = std::iter::once(partial.session).chain(shots).flat_map(u64::to_le_bytes).collect();
        self.cluster.broadcast(&mut words);
        let (session, shots) = words.as_chunks().0.split_first().expect("rank 0 sent its session");
        let shots: Vec<usize> = shots.iter().map(|&word| u64::from_le_bytes(word) as usize).collect();
        if !shots.is_empty() {
            let (known, all) = (shots.len(), self.shots.len());
            self.observer.event(Event::Message(format!("  {known} of {all} shots are known from before")));
        }
        Ok(Known { partial: Partial { session: u64::from_le_bytes(*session), ..partial }, shots })
    }

    /// Has rank 0 keep the sum of all ranks, instead of what each has kept.
    fn replace(&self, ledger: &dyn Ledger, all: &Partial) -> Result<(), ExperimentError> {
        let saved = if self.cluster.rank() == 0 { ledger.save(all) } else { Ok(()) };
        self.cluster.agree(saved)?;
        if self.cluster.rank() == 0 {
            ledger.forget_others();
        }
        Ok(())
    }

    /// Models all shots by `model(shot)`; `sink` is called on rank 0 with every shot and its traces in Pa, `(trace, time)`,
    /// in the order of the shots.
    ///
    /// # Errors
    /// As [`sum`](Self::sum); a failure of the sink becomes one of all ranks.
    pub fn simulate(&self, model: &ModelShot<'_>, sink: &mut TraceSink<'_>) -> Result<(), ExperimentError> {
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
        model: &ModelShot<'_>,
        batch: &[usize],
        before: usize,
        sink: &mut TraceSink<'_>,
    ) -> Result<(), ExperimentError> {
        // Per shot of this rank: its number, the number of samples, the samples.
        let (mut packed, mut interrupted): (Vec<u8>, _) = (Vec::new(), false);
        let mut work = |shot: usize| -> Result<(), Failure> {
            let began = Instant::now();
            fail_point!("shot.begin");
            let Some(traces) = model(shot)? else {
                interrupted = true;
                return Ok(());
            };
            packed.extend((shot as u64).to_le_bytes());
            packed.extend((traces.len() as u64).to_le_bytes());
            traces.iter().for_each(|x| packed.extend(x.to_le_bytes()));
            self.observer.event(Event::Shot { shot, seconds: began.elapsed().as_secs_f64() });
            Ok(())
        };
        let completion = self.queue(batch, before, vec![Box::new(&mut work)])?;
        if self.cluster.any(interrupted) || completion == Completion::Stopped {
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
        fail_point!("shots.order", |_| shots.iter().rev().copied().collect());
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

#[cfg(test)]
mod tests;
