//! A shot under way: how far its reversal has come is kept where a later process finds it.
//!
//! The adjoint state and the number of steps that are left are enough: whoever goes on moves the field forward over these steps
//! once more, and backwards with the adjoint from there.

use std::time::{Duration, Instant};

use fail::fail_point;
use treewave_cluster::{Failure, save_is_due};
use treewave_core::{Event, Observer, StopFlag};
use treewave_reversal::{ReverseError, Snapshot, Turned, Watch};

use crate::experiment::ExperimentError;
use crate::ledger::Ledger;
use crate::shots::reversal_failure;

/// The least time between two saves of a shot under way.
const EVERY: Duration = Duration::from_secs(60);
/// What has been computed in less time is not saved on a stop: it is sooner computed again.
const WORTH: Duration = Duration::from_secs(10);

/// Watches over the reversal of a shot.
pub struct ShotWatch<'a> {
    shot: usize,
    stop: &'a StopFlag,
    ledger: Option<&'a dyn Ledger>,
    /// How far it had come before.
    begun: Option<Turned>,
    every: Duration,
    worth: Duration,
    /// The last save, or the begin.
    last: Instant,
    /// What the last save took.
    took: Duration,
    failure: Option<Failure>,
}

impl<'a> ShotWatch<'a> {
    /// Of a shot of `steps` steps; what was kept of it is read into the adjoint state.
    pub fn begin(
        shot: usize,
        steps: usize,
        stop: &'a StopFlag,
        ledger: Option<&'a dyn Ledger>,
        adjoint: &mut impl Snapshot,
        observer: &dyn Observer,
    ) -> Self {
        let begun = ledger.and_then(|ledger| ledger.load_part(shot, &mut adjoint.parts_mut()));
        let begun = begun.filter(|turned| turned.remaining <= steps);
        if let Some(Turned { remaining, .. }) = begun {
            let text = format!("  shot {shot} goes on: {remaining} of {steps} steps are left");
            observer.event(Event::Message(text));
        }
        let (every, worth) = pauses();
        ShotWatch { shot, stop, ledger, begun, every, worth, last: Instant::now(), took: Duration::ZERO, failure: None }
    }

    /// The steps that are left, of so many.
    pub fn steps(&self, all: usize) -> usize {
        self.begun.map_or(all, |turned| turned.remaining)
    }

    /// Why the reversal gave no result.
    pub fn failed<X: std::error::Error + 'static>(self, error: ReverseError<X>) -> ExperimentError {
        self.failure.map_or_else(|| reversal_failure(self.shot, error), ExperimentError::Failed)
    }

    fn save(&mut self, turned: Turned, adjoint: &impl Snapshot) -> Result<(), Failure> {
        let Some(ledger) = self.ledger else { return Ok(()) };
        let began = Instant::now();
        ledger.save_part(self.shot, turned, &adjoint.parts())?;
        fail_point!("part.saved");
        (self.took, self.last) = (began.elapsed(), Instant::now());
        Ok(())
    }
}

/// Time between saves, and what is worth one on a stop.
fn pauses() -> (Duration, Duration) {
    fail_point!("part.always", |_| (Duration::ZERO, Duration::ZERO));
    (EVERY, WORTH)
}

impl<A: Snapshot> Watch<A> for ShotWatch<'_> {
    fn stop(&mut self, turned: Option<Turned>, adjoint: &A) -> bool {
        let stop = self.stop.requested();
        let since = self.last.elapsed();
        let due = if stop { since >= self.worth } else { save_is_due(since, self.every, self.took) };
        if let Some(turned) = turned.filter(|_| due) {
            self.failure = self.save(turned, adjoint).err();
        }
        stop || self.failure.is_some()
    }

    fn misfit(&self) -> Option<f64> {
        self.begun.map(|turned| turned.misfit)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use treewave_core::Silent;

    use super::*;
    use crate::ledger::Partial;

    /// A ledger in memory, of one shot; it is full after some saves.
    #[derive(Default)]
    struct Kept {
        part: Mutex<Option<(Turned, Vec<u8>)>>,
        saves: Mutex<usize>,
        room: usize,
    }

    impl Ledger for Kept {
        fn load(&self) -> Result<Vec<Partial>, Failure> {
            Ok(Vec::new())
        }
        fn save(&self, _: &Partial) -> Result<(), Failure> {
            Ok(())
        }
        fn forget_others(&self) {}
        fn every(&self) -> Duration {
            Duration::ZERO
        }
        fn load_part(&self, _: usize, adjoint: &mut [&mut [u8]]) -> Option<Turned> {
            let part = self.part.lock().unwrap();
            let (turned, bytes) = part.as_ref()?;
            adjoint[0].copy_from_slice(bytes);
            Some(*turned)
        }
        fn save_part(&self, shot: usize, turned: Turned, adjoint: &[&[u8]]) -> Result<(), Failure> {
            let mut saves = self.saves.lock().unwrap();
            if *saves == self.room {
                return Err(Failure::new(5, format!("shot {shot}: the disk is full")));
            }
            *saves += 1;
            *self.part.lock().unwrap() = Some((turned, adjoint.concat()));
            Ok(())
        }
    }

    struct Bytes(Vec<u8>);

    impl Snapshot for Bytes {
        fn copy_from(&mut self, other: &Self) {
            self.0.copy_from_slice(&other.0);
        }
        fn parts(&self) -> Vec<&[u8]> {
            vec![&self.0]
        }
        fn parts_mut(&mut self) -> Vec<&mut [u8]> {
            vec![&mut self.0]
        }
    }

    fn watch<'a>(ledger: &'a Kept, stop: &'a StopFlag, adjoint: &mut Bytes) -> ShotWatch<'a> {
        ShotWatch::begin(7, 100, stop, Some(ledger), adjoint, &Silent)
    }

    const TURNED: Turned = Turned { remaining: 40, misfit: 0.5 };

    #[test]
    fn a_shot_is_kept_when_it_is_time_to_and_goes_on_from_there() {
        let (kept, stop) = (Kept { room: 9, ..Kept::default() }, StopFlag::default());
        let mut first = watch(&kept, &stop, &mut Bytes(vec![0; 2]));
        assert_eq!((first.steps(100), Watch::<Bytes>::misfit(&first)), (100, None));
        assert!(!first.stop(Some(TURNED), &Bytes(vec![1, 2])), "nobody asked");
        assert_eq!(*kept.saves.lock().unwrap(), 0, "a minute has not passed");
        first.every = Duration::ZERO;
        assert!(!first.stop(None, &Bytes(vec![1, 2])));
        assert_eq!(*kept.saves.lock().unwrap(), 0, "it has not turned");
        assert!(!first.stop(Some(TURNED), &Bytes(vec![3, 4])));
        let mut adjoint = Bytes(vec![0; 2]);
        let second = watch(&kept, &stop, &mut adjoint);
        assert_eq!((second.steps(100), Watch::<Bytes>::misfit(&second)), (40, Some(0.5)));
        assert_eq!(adjoint.0, [3, 4]);
    }

    #[test]
    fn a_stop_keeps_what_is_worth_it() {
        let (kept, stop) = (Kept { room: 9, ..Kept::default() }, StopFlag::default());
        stop.request();
        let mut first = watch(&kept, &stop, &mut Bytes(vec![0; 2]));
        assert!(first.stop(Some(TURNED), &Bytes(vec![1, 2])));
        assert_eq!(*kept.saves.lock().unwrap(), 0, "it has just begun");
        first.worth = Duration::ZERO;
        assert!(first.stop(Some(TURNED), &Bytes(vec![1, 2])));
        assert_eq!(*kept.saves.lock().unwrap(), 1);
    }

    #[test]
    fn a_shot_that_cannot_be_kept_ends_with_the_reason() {
        let (kept, stop) = (Kept::default(), StopFlag::default());
        let mut first = watch(&kept, &stop, &mut Bytes(vec![0; 2]));
        first.every = Duration::ZERO;
        assert!(first.stop(Some(TURNED), &Bytes(vec![1, 2])));
        let stopped = ReverseError::<std::convert::Infallible>::Stopped { remaining: 40, steps: 100 };
        assert_eq!(first.failed(stopped).to_string(), "shot 7: the disk is full");
    }
}
