use std::cell::RefCell;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use treewave_cluster::{SoloCluster, simulation};
use treewave_core::{Shot, Silent};
use treewave_reversal::Turned;

use super::*;

const LENGTHS: [usize; 2] = [3, 1];

fn survey(shots: usize) -> Survey {
    let shot = Shot { source_m: [0.0; 3], receivers_m: vec![[1.0, 0.0, 0.0]] };
    Survey { shots: vec![shot; shots], samples: 2, record_s: 1.0 }
}

fn result(shot: usize) -> Summand {
    let x = shot as f64 + 0.1;
    Summand { misfit: x.sqrt(), arrays: vec![vec![x.sin(), 1e7 * x.cos(), 1.0 / x], vec![-x]], log: Log::default() }
}

/// A ledger in memory, which keeps after every shot.
#[derive(Default)]
struct InMemory(Mutex<RefCell<Vec<Partial>>>);

impl Ledger for InMemory {
    fn load(&self) -> Result<Vec<Partial>, Failure> {
        Ok(self.0.lock().unwrap().borrow().clone())
    }
    fn save(&self, partial: &Partial) -> Result<(), Failure> {
        self.0.lock().unwrap().replace(vec![partial.clone()]);
        Ok(())
    }
    fn forget_others(&self) {}
    fn every(&self) -> Duration {
        Duration::ZERO
    }
    fn load_part(&self, _: usize, _: &mut [&mut [u8]]) -> Option<Turned> {
        None
    }
    fn save_part(&self, _: usize, _: Turned, _: &[&[u8]]) -> Result<(), Failure> {
        Ok(())
    }
}

/// Sums the results of `work` over five shots, by one or two workers.
fn sum(
    bad: BadShots,
    ledger: Option<&dyn Ledger>,
    workers: usize,
    work: &(dyn Fn(usize) -> Result<Summand, ExperimentError> + Sync),
) -> Result<Summed, ExperimentError> {
    let (survey, stop) = (survey(5), StopFlag::default());
    let shots = [0, 1, 2, 3, 4];
    let all = ShotLoop { survey: &survey, shots: &shots, cluster: &SoloCluster, stop: &stop, observer: &Silent };
    let workers = (0..workers).map(|_| Box::new(work) as Box<GradientWork<'_>>).collect();
    all.sum(&LENGTHS, bad, ledger, workers)
}

fn values(summed: &Summed) -> Vec<u64> {
    summed.arrays.iter().flatten().chain(&summed.misfit_per_shot).map(|x| x.to_bits()).collect()
}

/// One rank that counts its collective calls.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Counting {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Cluster for Counting {
    fn rank(&self) -> usize {
        0
    }
    fn size(&self) -> usize {
        1
    }
    fn ranks_on_node(&self) -> usize {
        1
    }
    fn barrier(&self) {
        self.count();
    }
    fn broadcast(&self, _: &mut Vec<u8>) {
        self.count();
    }
    fn collect(&self, bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        self.count();
        Some(vec![bytes.to_vec()])
    }
    fn collect_on_node(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.count();
        vec![bytes.to_vec()]
    }
    fn all_max(&self, value: i64) -> i64 {
        self.count();
        value
    }
    fn all_sum(&self, _: &mut [i64]) {
        self.count();
    }
    fn for_each_shot_by(
        &self,
        order: &[usize],
        stop: &StopFlag,
        workers: Vec<Box<Work<'_>>>,
        progress: &mut treewave_cluster::Progress<'_>,
    ) -> Result<Completion, Failure> {
        SoloCluster.for_each_shot_by(order, stop, workers, progress)
    }
}

#[test]
fn a_gradient_makes_as_many_collective_calls_as_the_simulation_of_scale_counts() {
    let (survey, stop, cluster) = (survey(5), StopFlag::default(), Counting::default());
    let all = ShotLoop { survey: &survey, shots: &[0, 1, 2, 3, 4], cluster: &cluster, stop: &stop, observer: &Silent };
    let work: Box<GradientWork<'_>> = Box::new(|shot| Ok(result(shot)));
    all.sum(&LENGTHS, BadShots::Fail, Some(&InMemory::default()), vec![work]).unwrap();
    // Beside those on single numbers: the sums of two arrays and of the misfits.
    assert_eq!(cluster.0.into_inner(), simulation::SMALL_BEFORE + simulation::SMALL_AFTER + 3);
}

#[test]
fn shots_that_the_ledger_knows_are_not_done_again() {
    let whole = sum(BadShots::Fail, None, 1, &|shot| Ok(result(shot))).unwrap();
    for fails_at in 0..5 {
        let ledger = InMemory::default();
        let failing = |shot: usize| {
            if shot == fails_at { Err(Failure::new(5, "the disk is full").into()) } else { Ok(result(shot)) }
        };
        let failed = sum(BadShots::Fail, Some(&ledger), 1, &failing);
        assert!(matches!(failed, Err(ExperimentError::Failed(_))));
        let done = Mutex::new(Vec::new());
        let counting = |shot: usize| {
            done.lock().unwrap().push(shot);
            Ok(result(shot))
        };
        for expected in [(fails_at..5).collect(), Vec::<usize>::new()] {
            let summed = sum(BadShots::Fail, Some(&ledger), 1, &counting).unwrap();
            assert_eq!(std::mem::take(&mut *done.lock().unwrap()), expected, "failed at {fails_at}");
            assert_eq!(values(&summed), values(&whole));
        }
    }
}

#[test]
fn a_stop_keeps_what_is_done() {
    for workers in [1, 2] {
        let ledger = InMemory::default();
        let stopping = |shot: usize| if shot == 3 { Err(ExperimentError::Stopped) } else { Ok(result(shot)) };
        assert!(matches!(sum(BadShots::Fail, Some(&ledger), workers, &stopping), Err(ExperimentError::Stopped)));
        let kept = ledger.load().unwrap();
        assert_eq!(kept[0].shots.len(), 4);
        let summed = sum(BadShots::Fail, Some(&ledger), workers, &|shot| {
            assert_eq!(shot, 3);
            Ok(result(shot))
        });
        let whole = sum(BadShots::Fail, None, 1, &|shot| Ok(result(shot))).unwrap();
        assert_eq!(values(&summed.unwrap()), values(&whole));
    }
}

#[test]
fn a_model_that_blows_up_is_rejected_and_bad_shots_are_left_out_where_asked() {
    let blows_up = |shot: usize| match shot {
        1 => Err(Failure::new(NUMERICAL_CODE, "shot 1: it blew up").into()),
        3 => Ok(Summand { arrays: vec![vec![0.0, f64::NAN, 0.0], vec![0.0]], ..result(3) }),
        shot => Ok(result(shot)),
    };
    for workers in [1, 2] {
        let Err(ExperimentError::Rejected(failure)) = sum(BadShots::Reject, None, workers, &blows_up) else {
            panic!("the model was not rejected")
        };
        assert!(failure.message().starts_with("shot "), "{failure}");
        assert!(matches!(sum(BadShots::Fail, None, workers, &blows_up), Err(ExperimentError::Failed(_))));
        let summed = sum(BadShots::LeaveOut, None, workers, &blows_up).unwrap();
        let bad: Vec<usize> = summed.bad_shots.iter().map(|(shot, _)| *shot).collect();
        assert_eq!((bad, &summed.shots[..]), (vec![1, 3], &[0, 2, 4][..]));
        assert_eq!(summed.misfit, [0, 2, 4].iter().map(|&shot| result(shot).misfit).sum::<f64>());
        assert!((summed.arrays[1][0] + 0.1 + 2.1 + 4.1).abs() < 1e-12);
    }
}

#[test]
fn bad_data_and_a_bad_disk_are_told_apart() {
    let failing =
        |code: i32| move |shot: usize| if shot == 2 { Err(Failure::new(code, "").into()) } else { Ok(result(shot)) };
    for (code, reject, leave_out) in [(DATA_CODE, false, true), (NUMERICAL_CODE, true, true), (5, false, false)] {
        let rejected = sum(BadShots::Reject, None, 1, &failing(code));
        assert_eq!(matches!(rejected, Err(ExperimentError::Rejected(_))), reject, "{code}");
        assert_eq!(sum(BadShots::LeaveOut, None, 1, &failing(code)).is_ok(), leave_out, "{code}");
    }
}
