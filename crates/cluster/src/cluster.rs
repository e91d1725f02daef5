//! What every kind of cluster can do.

use treewave_core::{ReproducibleSum, StopFlag, SumError};

use crate::Failure;

/// Elements of one sum over ranks (8 MiB): counts of MPI are 32-bit integers, and the buffer beside the data stays small.
pub(crate) const CHUNK_ELEMENTS: usize = 1 << 20;

/// A worker: does one shot, called with the number of the shot.
pub type Work<'a> = dyn FnMut(usize) -> Result<(), Failure> + Send + 'a;

/// Told on rank 0, from the thread that came to the queue, how many shots all ranks have finished, whenever there are more.
pub type Progress<'a> = dyn FnMut(usize) + 'a;

/// How a queue of shots came to its end, the same on all ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Every shot was done.
    Completed,
    /// A stop was requested before every shot was done. The stop flag is then set on every rank.
    Stopped,
}

/// The processes (ranks) of a job.
///
/// All methods but [`rank`](Self::rank), [`size`](Self::size) and [`ranks_on_node`](Self::ranks_on_node) are
/// collective: every rank calls the same methods in the same order, from the thread that started the cluster. A rank
/// that waits for others sleeps, so that the threads of other ranks have its core.
///
/// # Errors
/// A rank that leaves this order because of an error must end the job with [`fail`](crate::fail); a rank that meets an
/// error where all ranks pass uses [`agree`](#method.agree).
pub trait Cluster: Sync {
    /// Number of this rank, from 0.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn size(&self) -> usize;

    /// Number of ranks that run on the same node as this one, itself included.
    fn ranks_on_node(&self) -> usize;

    /// Returns when all ranks have come here.
    fn barrier(&self);

    /// Replaces `bytes` by those of rank 0.
    fn broadcast(&self, bytes: &mut Vec<u8>);

    /// The bytes of all ranks, in the order of ranks: at rank 0, `None` elsewhere.
    fn collect(&self, bytes: &[u8]) -> Option<Vec<Vec<u8>>>;

    /// The bytes of all ranks of this rank's node, in the order of ranks, on every rank.
    fn collect_on_node(&self, bytes: &[u8]) -> Vec<Vec<u8>>;

    /// The largest of the values of all ranks.
    fn all_max(&self, value: i64) -> i64;

    /// Replaces every element by its sum over the ranks, modulo 2⁶⁴. The length must be the same on all ranks.
    fn all_sum(&self, values: &mut [i64]);

    /// Has every shot of `order` done once, by some worker of some rank, and returns on all ranks together.
    ///
    /// Shots are handed out in the given order, one by one, to the rank that is free, so the dearest should come first.
    /// The order of rank 0 counts. A rank computes as many shots side by side as it has workers; all ranks have the same
    /// number. Where there are several ranks or workers, each worker runs on a thread of its own while the calling
    /// thread carries messages. On rank 0 `progress` is told how far all ranks
    /// are. A stop requested on any rank is a stop on all: no more shots are begun, and those under way end as their work
    /// sees fit.
    ///
    /// # Errors
    /// On a single rank the first failure of a worker, as soon as no other one is in a shot. Where there are more ranks,
    /// such a failure ends the job through [`fail`](crate::fail), since the others may be deep in a shot and could not come
    /// to an agreement soon.
    fn for_each_shot_by(
        &self,
        order: &[usize],
        stop: &StopFlag,
        workers: Vec<Box<Work<'_>>>,
        progress: &mut Progress<'_>,
    ) -> Result<Completion, Failure>;

    /// The same with one worker per rank, telling nobody.
    ///
    /// # Errors
    /// As [`for_each_shot_by`](Self::for_each_shot_by).
    fn for_each_shot(&self, order: &[usize], stop: &StopFlag, work: &mut Work<'_>) -> Result<Completion, Failure> {
        self.for_each_shot_by(order, stop, vec![Box::new(work)], &mut |_| ())
    }

    /// Whether the condition holds on any rank.
    fn any(&self, condition: bool) -> bool {
        self.all_max(i64::from(condition)) != 0
    }

    /// Replaces `sum` by the sum over all ranks. The result has the same bits for any spread of the summands.
    ///
    /// # Errors
    /// The same on all ranks: [`SumError::Length`] if the lengths differ between ranks (the shortest is `found`, the
    /// longest `expected`), [`SumError::TooMany`] if the summands of all ranks could overflow the accumulator.
    fn sum(&self, sum: &mut ReproducibleSum) -> Result<(), SumError> {
        let len = sum.len() as i64;
        let (expected, found) = (self.all_max(len), -self.all_max(-len));
        if found != expected {
            return Err(SumError::Length { found: found as usize, expected: expected as usize });
        }
        // Before the digits: it is this number that keeps them from overflowing.
        let mut summands = [sum.summands() as i64];
        self.all_sum(&mut summands);
        sum.set_summands(summands[0] as u64)?;
        sum.raise(self.all_max(sum.top()));
        self.all_sum(sum.digits_mut());
        Ok(())
    }

    /// Brings together values that each have one owner: an element must be set by one rank and be +0.0 on all others.
    /// The bits are kept, those of −0.0 and NaN too.
    fn sum_owned(&self, values: &mut [f64]) {
        let mut bits: Vec<i64> = values.iter().map(|v| v.to_bits() as i64).collect();
        self.all_sum(&mut bits);
        for (value, bits) in values.iter_mut().zip(bits) {
            *value = f64::from_bits(bits as u64);
        }
    }
}

impl dyn Cluster + '_ {
    /// Makes one result of the results of all ranks: each keeps its own `Ok` if all have one, else all get the failure
    /// of the lowest rank that failed, with its exit code. Such a failure is [shared](Failure::is_shared): [`fail`]
    /// tells it on rank 0 only.
    ///
    /// [`fail`]: crate::fail
    pub fn agree<T>(&self, own: Result<T, Failure>) -> Result<T, Failure> {
        if !self.any(own.is_err()) {
            return own;
        }
        let bytes = own.as_ref().err().map(Failure::to_bytes).unwrap_or_default();
        let mut first = match self.collect(&bytes) {
            Some(all) => all.into_iter().find(|bytes| !bytes.is_empty()).unwrap_or_default(),
            None => Vec::new(),
        };
        self.broadcast(&mut first);
        Err(Failure::from_bytes(&first))
    }
}
