//! What a rank has summed so far within one evaluation of misfit and gradient, kept where a later process finds it.
//!
//! Sums do not depend on the order of the shots, so whoever goes on, on any number of ranks, does the shots that are missing and
//! comes to the same bits.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fail::fail_point;
use treewave_cluster::{Failure, guessed_save, save_is_due};
use treewave_core::{ReproducibleSum, SumError};
use treewave_reversal::Turned;

/// A sum over some of the shots of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    /// Grows whenever an evaluation is taken up again: of two partial sums that share a shot the one with the higher
    /// session has all of the other.
    pub session: u64,
    /// The shots in it and the misfit of each.
    pub shots: Vec<(usize, f64)>,
    /// The arrays that are summed.
    pub sums: Vec<ReproducibleSum>,
}

impl Partial {
    /// Of no shot, for arrays of some lengths.
    pub fn new(session: u64, lengths: &[usize]) -> Self {
        let sums = lengths.iter().map(|&len| ReproducibleSum::new(len)).collect();
        Partial { session, shots: Vec::new(), sums }
    }

    /// Adds a shot.
    ///
    /// # Errors
    /// An array is not finite; the shot then counts for nothing, and the sum must not be used any more.
    pub fn add(&mut self, shot: usize, misfit: f64, arrays: &[Vec<f64>]) -> Result<(), SumError> {
        self.sums.iter_mut().zip(arrays).try_for_each(|(sum, array)| sum.add(array))?;
        self.shots.push((shot, misfit));
        Ok(())
    }

    /// One sum of those that were kept, of arrays of some lengths over some shots: those with the highest session first, and
    /// none that shares a shot with one before it or has others.
    pub fn merged(mut kept: Vec<Partial>, lengths: &[usize], shots: &[usize]) -> Partial {
        let session = kept.iter().map(|partial| partial.session).max().unwrap_or(0);
        let (mut all, mut has) = (Partial::new(session + 1, lengths), HashSet::new());
        kept.sort_by_key(|partial| std::cmp::Reverse(partial.session));
        for partial in kept {
            let fits = partial.sums.iter().map(ReproducibleSum::len).eq(lengths.iter().copied());
            let wanted = |&(shot, _): &(usize, f64)| shots.binary_search(&shot).is_ok() && !has.contains(&shot);
            if fits && partial.shots.iter().all(wanted) {
                let merged = all.sums.iter_mut().zip(&partial.sums).try_for_each(|(sum, more)| sum.merge(more));
                merged.expect("lengths are the same, and shots are fewer than summands that fit");
                has.extend(partial.shots.iter().map(|(shot, _)| *shot));
                all.shots.extend(partial.shots);
            }
        }
        all
    }
}

/// Where partial sums of one evaluation are kept.
pub trait Ledger: Sync {
    /// What all ranks of earlier processes have kept; nothing if the evaluation is a new one.
    ///
    /// # Errors
    /// The place cannot be read.
    fn load(&self) -> Result<Vec<Partial>, Failure>;

    /// Replaces what this rank has kept.
    ///
    /// # Errors
    /// The place cannot be written; what was kept before is still there.
    fn save(&self, partial: &Partial) -> Result<(), Failure>;

    /// Forgets what other ranks have kept; what this rank has kept holds it all.
    fn forget_others(&self);

    /// The least time between two saves of a rank; 0 saves after every shot.
    fn every(&self) -> Duration;

    /// Reads what any rank has kept of a shot under way into the parts of an adjoint state: how far it had come; nothing if there
    /// is nothing that fits.
    fn load_part(&self, shot: usize, adjoint: &mut [&mut [u8]]) -> Option<Turned>;

    /// Keeps how far a shot under way has come, instead of what was kept of it before, until a sum is saved that it is in.
    ///
    /// # Errors
    /// The place cannot be written; what was kept before is still there.
    fn save_part(&self, shot: usize, turned: Turned, adjoint: &[&[u8]]) -> Result<(), Failure>;
}

/// The sum of this rank under way.
pub(crate) struct Keeper<'a> {
    ledger: Option<&'a dyn Ledger>,
    state: Mutex<State>,
}

struct State {
    partial: Partial,
    /// The last save, or the begin.
    last: Instant,
    /// What the last save took; a guess before the first.
    took: Duration,
    /// Shots that were kept.
    kept: usize,
}

impl<'a> Keeper<'a> {
    /// Of one of so many ranks.
    pub fn new(ledger: Option<&'a dyn Ledger>, mut partial: Partial, ranks: usize) -> Self {
        let kept = partial.shots.len();
        let words: usize = partial.sums.iter_mut().map(|sum| sum.digits_mut().len()).sum();
        let took = guessed_save(8.0 * words as f64, ranks);
        Keeper { ledger, state: Mutex::new(State { partial, last: Instant::now(), took, kept }) }
    }

    /// Adds a shot, and keeps the sum if it is time to.
    ///
    /// # Errors
    /// Those of the sum by `failed`; the ledger's.
    pub fn add(
        &self,
        shot: usize,
        misfit: f64,
        arrays: &[Vec<f64>],
        failed: impl FnOnce(SumError) -> Failure,
    ) -> Result<(), Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.partial.add(shot, misfit, arrays).map_err(failed)?;
        fail_point!("shot.summed");
        let due = self.ledger.is_some_and(|ledger| save_is_due(state.last.elapsed(), ledger.every(), state.took));
        if due { self.save(&mut state) } else { Ok(()) }
    }

    /// Keeps what is not kept yet, and gives the sum.
    ///
    /// # Errors
    /// The ledger's.
    pub fn keep(self) -> Result<Partial, Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.partial.shots.len() > state.kept {
            self.save(&mut state)?;
        }
        drop(state);
        Ok(self.into_partial())
    }

    /// The sum as it is.
    pub fn into_partial(self) -> Partial {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).partial
    }

    fn save(&self, state: &mut State) -> Result<(), Failure> {
        let Some(ledger) = self.ledger else { return Ok(()) };
        let began = Instant::now();
        ledger.save(&state.partial)?;
        (state.took, state.last, state.kept) = (began.elapsed(), Instant::now(), state.partial.shots.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const SHOTS: [usize; 5] = [1, 2, 4, 7, 9];

    fn of(session: u64, shots: &[usize]) -> Partial {
        let mut partial = Partial::new(session, &[2, 1]);
        for &shot in shots {
            let x = shot as f64;
            partial.add(shot, x.sqrt(), &[vec![x.sin(), 1e9 * x.cos()], vec![1.0 / x]]).unwrap();
        }
        partial
    }

    fn values(partial: &Partial) -> Vec<u64> {
        partial.sums.iter().flat_map(ReproducibleSum::values).map(f64::to_bits).collect()
    }

    /// Counts saves, and would have one after every nanosecond.
    #[derive(Default)]
    struct Eager(AtomicUsize);

    impl Ledger for Eager {
        fn load(&self) -> Result<Vec<Partial>, Failure> {
            Ok(Vec::new())
        }
        fn save(&self, _: &Partial) -> Result<(), Failure> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
        fn forget_others(&self) {}
        fn every(&self) -> Duration {
            Duration::from_nanos(1)
        }
        fn load_part(&self, _: usize, _: &mut [&mut [u8]]) -> Option<Turned> {
            None
        }
        fn save_part(&self, _: usize, _: Turned, _: &[&[u8]]) -> Result<(), Failure> {
            Ok(())
        }
    }

    #[test]
    fn the_first_save_waits_longer_where_so_many_ranks_save_at_a_time_that_it_takes_long() {
        let saves = |ranks| {
            let ledger = Eager::default();
            let keeper = Keeper::new(Some(&ledger), Partial::new(1, &[1000]), ranks);
            std::thread::sleep(Duration::from_millis(5));
            keeper.add(1, 0.5, &[vec![1.0; 1000]], |_| unreachable!("the numbers are finite")).unwrap();
            ledger.0.into_inner()
        };
        // 24 kB of a rank are 24 µs, of a million ranks 1.2 s.
        assert_eq!((saves(1), saves(1_000_000)), (1, 0));
    }

    #[test]
    fn parts_of_several_ranks_are_one_sum_with_the_same_bits() {
        let merged = Partial::merged(vec![of(1, &[7]), of(1, &[1, 9]), of(1, &[])], &[2, 1], &SHOTS);
        assert_eq!(values(&merged), values(&of(1, &[9, 7, 1])));
        assert_eq!((merged.session, merged.shots.len()), (2, 3));
        assert_eq!(Partial::merged(Vec::new(), &[2, 1], &SHOTS), Partial::new(1, &[2, 1]));
    }

    #[test]
    fn no_shot_counts_twice() {
        // A process was killed after rank 0 had kept all, and before what the others had was removed.
        let merged = Partial::merged(vec![of(1, &[1, 9]), of(2, &[7, 1, 9]), of(2, &[4])], &[2, 1], &SHOTS);
        assert_eq!(values(&merged), values(&of(1, &[1, 4, 7, 9])));
        assert_eq!(merged.session, 3);
    }

    #[test]
    fn what_does_not_belong_to_the_evaluation_is_left_out() {
        let merged = Partial::merged(vec![of(1, &[3]), Partial::new(1, &[2]), of(1, &[2])], &[2, 1], &SHOTS);
        assert_eq!(values(&merged), values(&of(1, &[2])));
    }
}
