//! One process on its own.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use treewave_core::StopFlag;

use crate::workers::{self, News};
use crate::{Cluster, ClusterError, Completion, Failure, Progress, Work, launcher};

/// A cluster of one rank, without MPI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoloCluster;

impl SoloCluster {
    /// The cluster of one rank, if no launcher started this process as one of many.
    ///
    /// # Errors
    /// [`ClusterError::Launcher`]: each of the processes would do the whole job.
    pub fn start() -> Result<Self, ClusterError> {
        launcher::check(1, None, |name| std::env::var(name).ok())?;
        Ok(SoloCluster)
    }
}

impl Cluster for SoloCluster {
    fn rank(&self) -> usize {
        0
    }
    fn size(&self) -> usize {
        1
    }
    fn ranks_on_node(&self) -> usize {
        1
    }
    fn barrier(&self) {}
    fn broadcast(&self, _: &mut Vec<u8>) {}
    fn collect(&self, bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        Some(vec![bytes.to_vec()])
    }
    fn collect_on_node(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        vec![bytes.to_vec()]
    }
    fn all_max(&self, value: i64) -> i64 {
        value
    }
    fn all_sum(&self, _: &mut [i64]) {}

    fn for_each_shot_by(
        &self,
        order: &[usize],
        stop: &StopFlag,
        mut workers: Vec<Box<Work<'_>>>,
        progress: &mut Progress<'_>,
    ) -> Result<Completion, Failure> {
        let [work] = &mut workers[..] else { return side_by_side(order, stop, workers, progress) };
        for (done, &shot) in order.iter().enumerate() {
            if stop.requested() {
                return Ok(Completion::Stopped);
            }
            work(shot)?;
            progress(done + 1);
        }
        Ok(Completion::Completed)
    }
}

/// Several shots at the same time.
fn side_by_side(
    order: &[usize],
    stop: &StopFlag,
    workers: Vec<Box<Work<'_>>>,
    progress: &mut Progress<'_>,
) -> Result<Completion, Failure> {
    let most = workers.len();
    let (shots, to_do) = channel();
    let to_do = Mutex::new(to_do);
    thread::scope(|scope| {
        // Gone at the end of this body, which lets the workers end.
        let shots = shots;
        let news = workers::start(scope, workers, stop, &to_do)?;
        let (mut left, mut under_way, mut finished, mut failure) = (order.iter(), 0, 0, None);
        loop {
            while under_way < most
                && failure.is_none()
                && !stop.requested()
                && let Some(&shot) = left.next()
            {
                // It is taken: a worker ends only after a failure.
                let _ = shots.send(shot);
                under_way += 1;
            }
            // Without a worker, one has panicked, and the scope will say so.
            let Some(news) = (under_way > 0).then(|| news.recv().ok()).flatten() else { break };
            under_way -= 1;
            match news {
                News::Finished => {
                    finished += 1;
                    progress(finished);
                }
                News::Dropped => {}
                News::Failed(first) => failure = failure.or(Some(first)),
            }
        }
        let completion = if finished == order.len() { Completion::Completed } else { Completion::Stopped };
        failure.map_or(Ok(completion), Err)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use treewave_core::ReproducibleSum;

    use super::*;

    const SOLO: &dyn Cluster = &SoloCluster;

    #[test]
    fn one_rank_does_every_shot_once_in_the_given_order() {
        let mut seen = Vec::new();
        let order = [4, 0, 7, 2];
        let mut work = |shot| {
            seen.push(shot);
            Ok(())
        };
        assert_eq!(SOLO.for_each_shot(&order, &StopFlag::default(), &mut work), Ok(Completion::Completed));
        assert_eq!(seen, order);
        assert_eq!(SOLO.for_each_shot(&[], &StopFlag::default(), &mut |_| Ok(())), Ok(Completion::Completed));
    }

    #[test]
    fn progress_is_told_after_every_shot() {
        let mut told = Vec::new();
        let completion =
            SOLO.for_each_shot_by(&[4, 0, 7], &StopFlag::default(), vec![Box::new(|_| Ok(()))], &mut |n| told.push(n));
        assert_eq!((completion, told), (Ok(Completion::Completed), vec![1, 2, 3]));
    }

    /// Workers that do the same.
    fn workers<'a>(count: usize, work: &'a (dyn Fn(usize) -> Result<(), Failure> + Sync)) -> Vec<Box<Work<'a>>> {
        (0..count).map(|_| Box::new(work) as Box<Work<'a>>).collect()
    }

    #[test]
    fn several_workers_do_every_shot_once_at_the_same_time() {
        let (done, both) = (Mutex::new(Vec::new()), Barrier::new(2));
        let work = |shot| {
            // Nobody passes alone.
            both.wait();
            done.lock().unwrap().push(shot);
            Ok(())
        };
        let (order, mut told): (Vec<usize>, _) = ((0..10).collect(), Vec::new());
        let progress = &mut |finished| told.push(finished);
        let completion = SOLO.for_each_shot_by(&order, &StopFlag::default(), workers(2, &work), progress);
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        assert_eq!((completion, done, told), (Ok(Completion::Completed), order, (1..11).collect()));
    }

    #[test]
    fn a_failure_of_one_of_several_workers_is_returned_and_no_shot_begun_after_it() {
        let begun = AtomicUsize::new(0);
        let work = |shot| {
            begun.fetch_add(1, Ordering::SeqCst);
            if shot == 2 { Err(Failure::new(4, "shot 2 blew up")) } else { Ok(()) }
        };
        let order: Vec<usize> = (0..50).collect();
        let done = SOLO.for_each_shot_by(&order, &StopFlag::default(), workers(3, &work), &mut |_| ());
        assert_eq!(done.unwrap_err().message(), "shot 2 blew up");
        assert!(begun.into_inner() < 50);
    }

    #[test]
    fn a_stop_lets_the_shots_of_several_workers_finish() {
        let (stop, done) = (StopFlag::default(), AtomicUsize::new(0));
        let work = |_| {
            stop.request();
            done.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        let order: Vec<usize> = (0..50).collect();
        assert_eq!(SOLO.for_each_shot_by(&order, &stop, workers(3, &work), &mut |_| ()), Ok(Completion::Stopped));
        assert!((1..4).contains(&done.into_inner()));
    }

    #[test]
    fn a_stop_lets_the_shot_under_way_finish_and_begins_no_other() {
        let (stop, mut seen) = (StopFlag::default(), Vec::new());
        let mut work = |shot| {
            stop.request();
            seen.push(shot);
            Ok(())
        };
        assert_eq!(SOLO.for_each_shot(&[3, 1], &stop, &mut work), Ok(Completion::Stopped));
        assert_eq!(seen, [3]);
    }

    #[test]
    fn a_stop_during_the_last_shot_leaves_nothing_undone() {
        let stop = StopFlag::default();
        let mut work = |_| {
            stop.request();
            Ok(())
        };
        assert_eq!(SOLO.for_each_shot(&[3], &stop, &mut work), Ok(Completion::Completed));
    }

    #[test]
    fn the_failure_of_a_shot_is_returned_at_once() {
        let mut seen = Vec::new();
        let mut work = |shot| {
            seen.push(shot);
            Err(Failure::new(4, format!("shot {shot} blew up")))
        };
        let failure = SOLO.for_each_shot(&[5, 6], &StopFlag::default(), &mut work).unwrap_err();
        assert_eq!((failure.code(), failure.message(), seen.len()), (4, "shot 5 blew up", 1));
    }

    #[test]
    fn one_rank_agrees_with_itself() {
        assert_eq!(SOLO.agree(Ok(3)), Ok(3));
        let failure = SOLO.agree::<()>(Err(Failure::new(2, "no such key"))).unwrap_err();
        assert_eq!((failure.code(), failure.message(), failure.is_shared()), (2, "no such key", true));
    }

    #[test]
    fn sums_over_one_rank_change_nothing() {
        let mut sum = ReproducibleSum::new(2);
        sum.add(&[1.0, -3e-7]).unwrap();
        let before = sum.clone();
        SOLO.sum(&mut sum).unwrap();
        assert_eq!(sum, before);
        let mut values = [-0.0, f64::from_bits(0x7ff8_0000_0000_1234), 5e-324];
        let bits = values.map(f64::to_bits);
        SOLO.sum_owned(&mut values);
        assert_eq!(values.map(f64::to_bits), bits);
    }
}
