//! The driver on a chaotic evolution: the same bits whatever the schedule.

mod common;

use common::lorenz::{Back, Lorenz, Scratch, Seen, State};
use common::strategies;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use treewave_reversal::game::bennett_counts;
use treewave_reversal::{
    Action, Log, Machine, MemoryStore, ReverseError, Slot, Snapshot, SnapshotStore, StoreError, StoreStatistics,
    Strategy, Tier, TieredStore, Turned, Violation, Watch, Workspace, reverse,
};

/// A disk that is memory, with a diary of what it was asked.
#[derive(Default)]
struct Diary {
    slots: Vec<Option<Vec<u8>>>,
    entries: Vec<(char, usize)>,
    statistics: StoreStatistics,
}

struct FakeDisk<'a>(&'a Mutex<Diary>);

impl SnapshotStore<State> for FakeDisk<'_> {
    fn put(&mut self, slot: Slot, state: &State) -> Result<(), StoreError> {
        let mut diary = self.0.lock().expect("one thread");
        if diary.slots.len() <= slot.index {
            diary.slots.resize(slot.index + 1, None);
        }
        assert!(diary.slots[slot.index].replace(state.bytes.clone()).is_none());
        diary.entries.push(('w', slot.index));
        diary.statistics.bytes_written += state.bytes() as u64;
        Ok(())
    }
    fn get(&mut self, slot: Slot, state: &mut State) -> Result<(), StoreError> {
        let mut diary = self.0.lock().expect("one thread");
        state.bytes.clone_from(diary.slots[slot.index].as_ref().expect("a full slot"));
        diary.entries.push(('r', slot.index));
        diary.statistics.bytes_read += state.bytes() as u64;
        Ok(())
    }
    fn discard(&mut self, slot: Slot) -> Result<(), StoreError> {
        let mut diary = self.0.lock().expect("one thread");
        diary.slots[slot.index].take().expect("a full slot");
        diary.entries.push(('d', slot.index));
        Ok(())
    }
    fn prefetch(&mut self, slot: Slot) -> Result<(), StoreError> {
        let mut diary = self.0.lock().expect("one thread");
        assert!(diary.slots[slot.index].is_some(), "announced before it was filled");
        diary.entries.push(('p', slot.index));
        Ok(())
    }
    fn statistics(&self) -> StoreStatistics {
        self.0.lock().expect("one thread").statistics
    }
}

struct Outcome {
    misfit: f64,
    log: Log,
    output: Seen,
    adjoint: Back,
    diary: Diary,
}

fn run(lorenz: &Lorenz, workspace: &mut Workspace<Lorenz>, actions: impl IntoIterator<Item = Action>) -> Outcome {
    let diary = Mutex::new(Diary::default());
    let (mut output, mut adjoint) = (lorenz.output(), Back::default());
    let mut store =
        TieredStore::new(MemoryStore::new(|| State { bytes: vec![0; 24] }), Some(Box::new(FakeDisk(&diary))));
    let result =
        reverse(lorenz, lorenz.steps, actions, &mut store, workspace, &mut output, &mut adjoint, &mut || false);
    let (misfit, log) = result.expect("a legal schedule");
    drop(store);
    Outcome { misfit, log, output, adjoint, diary: diary.into_inner().expect("one thread") }
}

fn scheduled(lorenz: &Lorenz, strategy: Strategy, segment_steps: usize) -> Outcome {
    let mut workspace = Workspace::new(lorenz, Scratch::default());
    run(lorenz, &mut workspace, strategy.schedule_in_segments(lorenz.steps, segment_steps).expect("a schedule"))
}

fn bits(result: &Outcome) -> Vec<u64> {
    let Back { position, parameters, .. } = &result.adjoint;
    [result.misfit].iter().chain(position).chain(parameters).map(|x| x.to_bits()).collect()
}

#[test]
fn the_gradient_agrees_with_finite_differences() {
    let lorenz = Lorenz::new(60);
    let result = scheduled(&lorenz, Strategy::Revolve { snapshots: 4 }, 1);
    assert_eq!(result.misfit.to_bits(), lorenz.misfit().to_bits());
    let exact: Vec<f64> = result.adjoint.position.into_iter().chain(result.adjoint.parameters).collect();
    for (i, exact) in exact.into_iter().enumerate() {
        let shifted = |h: f64| {
            let mut lorenz = Lorenz::new(60);
            if i < 3 {
                lorenz.start[i] += h
            } else {
                lorenz.parameters[i - 3] += h
            }
            lorenz.misfit()
        };
        let h = 1e-5;
        // central differences: error of order h² = 1e-10 times the third derivative, about 1e4 times the first here
        let difference = (shifted(h) - shifted(-h)) / (2.0 * h);
        assert!((difference - exact).abs() < 1e-6 * exact.abs().max(1.0), "{i}: {difference} and {exact}");
    }
}

#[test]
fn every_schedule_gives_the_bits_of_store_all() {
    for steps in [1, 2, 3, 17, 50, 173] {
        let lorenz = Lorenz::new(steps);
        let reference = scheduled(&lorenz, Strategy::StoreAll, 1);
        for slots in [1, 2, 3, 7, 20] {
            for segment_steps in [1, 2, 5, 30] {
                for strategy in strategies(slots, 2) {
                    let result = scheduled(&lorenz, strategy, segment_steps);
                    let name = format!("{strategy:?}, {steps} steps in segments of {segment_steps}");
                    assert_eq!(bits(&result), bits(&reference), "{name}");
                    assert_eq!(result.adjoint, reference.adjoint, "{name}");
                    assert_eq!(result.output, reference.output, "{name}");
                    assert!(result.output.times.iter().all(|&times| times == 1), "{name}: observed twice or never");
                    assert_eq!(result.adjoint.turns, 1, "{name}");
                }
            }
        }
    }
}

#[test]
fn bennett_costs_what_its_game_costs_there_and_back() {
    for steps in [1, 2, 17, 64, 100] {
        let lorenz = Lorenz::new(steps);
        for blocks in [2, 3, 10] {
            let log = scheduled(&lorenz, Strategy::Bennett { blocks }, 1).log;
            let game = bennett_counts(steps, blocks, false);
            assert_eq!(log.counts.advances + log.counts.recorded, 2 * game.total());
            assert_eq!(log.counts.recorded, steps as u64);
            // what is computed is un-computed, and no state but the initial one is ever erased
            assert_eq!(log.counts.stores_after_initial(), game.total());
            assert_eq!(log.counts.uncomputed, game.total());
            assert_eq!(log.counts.peak_states(), game.peak_pebbles);
            assert_eq!(log.recompute_factor(), 2.0 * game.total() as f64 / steps as f64);
        }
    }
}

#[test]
fn an_evolution_that_does_not_repeat_itself_is_found_out_by_uncomputing() {
    let mut lorenz = Lorenz::new(30);
    lorenz.unsteady = true;
    let mut store = MemoryStore::new(|| State { bytes: vec![0; 24] });
    let (mut output, mut adjoint) = (lorenz.output(), Back::default());
    let mut workspace = Workspace::new(&lorenz, Scratch::default());
    let schedule = Strategy::Bennett { blocks: 3 }.schedule(30).expect("a schedule");
    let result = reverse(&lorenz, 30, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false);
    let Err(ReverseError::Store(StoreError::Residue { bytes, .. })) = result else { panic!("{result:?}") };
    assert!((1..=24).contains(&bytes), "{bytes}");
    // a schedule with snapshots does not notice; the store is as good as new
    let schedule = Strategy::Revolve { snapshots: 3 }.schedule(30).expect("a schedule");
    let result = reverse(&lorenz, 30, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false);
    assert!(result.is_ok(), "{result:?}");
}

#[test]
fn nothing_is_uncomputed_on_disk() {
    let lorenz = Lorenz::new(10);
    let memory = || MemoryStore::new(|| State { bytes: vec![0; 24] });
    let diary = Mutex::new(Diary::default());
    let mut store = TieredStore::new(memory(), Some(Box::new(FakeDisk(&diary))));
    let (mut output, mut adjoint) = (lorenz.output(), Back::default());
    let mut workspace = Workspace::new(&lorenz, Scratch::default());
    let slot = Slot { tier: Tier::Disk, index: 0 };
    let actions =
        [Action::Store { step: 0, slot }, Action::Uncompute { step: 0, slot }, Action::Reverse { from: 0, to: 10 }];
    let result = reverse(&lorenz, 10, actions, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false);
    assert!(matches!(result, Err(ReverseError::Store(StoreError::Slot { .. }))), "{result:?}");
}

#[test]
fn the_log_says_what_the_machine_says() {
    let lorenz = Lorenz::new(200);
    for strategy in strategies(3, 2) {
        let result = scheduled(&lorenz, strategy, 3);
        let schedule = strategy.schedule_in_segments(200, 3).expect("a schedule");
        assert_eq!(Machine::play(200, schedule), Ok(result.log.counts), "{strategy:?}");
        assert_eq!(result.log.bytes_written, 24 * result.log.counts.stores.disk);
        assert_eq!(result.log.bytes_read, 24 * result.log.counts.restores.disk);
        let factor = result.log.counts.total_forward() as f64 / 200.0;
        assert_eq!(result.log.recompute_factor(), factor);
        let mut twice = result.log;
        twice.merge(&result.log);
        assert_eq!(twice.counts.advances, 2 * result.log.counts.advances);
        assert_eq!(twice.counts.peak_slots, result.log.counts.peak_slots);
        assert_eq!(twice.recompute_factor(), factor);
    }
}

#[test]
fn a_range_that_passes_the_high_water_mark_is_observed_from_there_on() {
    // no strategy does this, but the rules allow it
    let slot = Slot { tier: Tier::Memory, index: 0 };
    let actions = [
        Action::Store { step: 0, slot },
        Action::Advance { from: 0, to: 4 },
        Action::Restore { step: 0, slot },
        Action::Advance { from: 0, to: 6 },
        Action::Restore { step: 0, slot },
        Action::Advance { from: 0, to: 5 },
        Action::Reverse { from: 5, to: 10 },
        Action::Restore { step: 0, slot },
        Action::Reverse { from: 0, to: 5 },
        Action::Discard { slot },
    ];
    let lorenz = Lorenz::new(10);
    let mut workspace = Workspace::new(&lorenz, Scratch::default());
    let result = run(&lorenz, &mut workspace, actions);
    assert_eq!(bits(&result), bits(&scheduled(&lorenz, Strategy::StoreAll, 1)));
    assert_eq!(result.output.times, [1; 10]);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]
    #[test]
    fn a_damaged_schedule_is_refused_or_gives_the_same_bits(
        strategy in 0usize..9, segment_steps in 1usize..4, first in 0usize..200, second in 0usize..200, damage in 0u8..3,
    ) {
        let lorenz = Lorenz::new(25);
        let whole = strategies(3, 2)[1 + strategy].schedule_in_segments(25, segment_steps).expect("a schedule");
        let mut actions: Vec<Action> = whole.collect();
        let (first, second) = (first % actions.len(), second % actions.len());
        match damage {
            0 => drop(actions.remove(first)),
            1 => actions.insert(first, actions[second]),
            _ => actions.swap(first, second),
        }
        let memory = || MemoryStore::new(|| State { bytes: vec![0; 24] });
        let mut store = TieredStore::new(memory(), Some(Box::new(memory())));
        let (mut output, mut adjoint) = (lorenz.output(), Back::default());
        let mut workspace = Workspace::new(&lorenz, Scratch::default());
        match reverse(&lorenz, 25, actions, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false) {
            Err(error) => proptest::prop_assert!(matches!(error, ReverseError::Schedule(_)), "{error}"),
            Ok((misfit, _)) => {
                let reference = scheduled(&lorenz, Strategy::StoreAll, 1);
                proptest::prop_assert_eq!(misfit.to_bits(), reference.misfit.to_bits());
                proptest::prop_assert_eq!(adjoint, reference.adjoint);
                proptest::prop_assert_eq!(output, reference.output);
            }
        }
    }
}

/// Checks that one read at a time is announced, before it, with no change of the slot in between; counts the reads.
fn announced_reads(diary: &Diary) -> u64 {
    let (mut announced, mut reads) = (None, 0);
    for (kind, slot) in &diary.entries {
        match kind {
            'p' => assert_eq!(announced.replace(*slot), None, "two reads announced at a time"),
            'r' => {
                assert_eq!(announced.take(), Some(*slot), "a read that was not announced");
                reads += 1;
            }
            _ => assert_ne!(announced, Some(*slot), "changed after the announcement"),
        }
    }
    assert_eq!(announced, None);
    reads
}

#[test]
fn each_read_from_disk_is_announced_once_before_it() {
    let costs = treewave_reversal::Costs { advance: 1.0, adjoint: 2.0, write: 0.1, read: 0.1 };
    let lorenz = Lorenz::new(300);
    for disk_slots in [Some(1), Some(5), None] {
        let result = scheduled(&lorenz, Strategy::TwoLevel { memory_slots: 1, disk_slots, costs }, 1);
        let reads = announced_reads(&result.diary);
        assert_eq!(reads, result.log.counts.restores.disk);
        assert!(reads > 10);
    }
}

#[test]
fn a_slot_that_is_emptied_and_filled_again_is_announced_after_that() {
    let slot = Slot { tier: Tier::Disk, index: 0 };
    let actions = [
        Action::Store { step: 0, slot },
        Action::Discard { slot },
        Action::Store { step: 0, slot },
        Action::Advance { from: 0, to: 5 },
        Action::Reverse { from: 5, to: 10 },
        Action::Restore { step: 0, slot },
        Action::Discard { slot },
        Action::Reverse { from: 0, to: 5 },
    ];
    let lorenz = Lorenz::new(10);
    let result = run(&lorenz, &mut Workspace::new(&lorenz, Scratch::default()), actions);
    assert_eq!(announced_reads(&result.diary), 1);
}

#[test]
fn a_workspace_allocates_nothing_for_the_second_shot() {
    let lorenz = Lorenz::new(100);
    let mut workspace = Workspace::new(&lorenz, Scratch::default());
    let strategy = Strategy::Revolve { snapshots: 3 };
    let mut store = MemoryStore::new(|| treewave_reversal::Evolution::new_state(&lorenz));
    let mut results = Vec::new();
    for _ in 0..2 {
        let (mut output, mut adjoint) = (lorenz.output(), Back::default());
        let schedule = strategy.schedule_in_segments(100, 4).expect("a schedule");
        let (misfit, log) =
            reverse(&lorenz, 100, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false)
                .expect("a legal schedule");
        results.push((misfit.to_bits(), log.counts, adjoint));
        assert_eq!(lorenz.records_made.load(Relaxed), 4);
        // three snapshots and the working state
        assert_eq!(lorenz.states_made.load(Relaxed), 4);
    }
    assert_eq!(results[0], results[1]);
    assert_eq!((workspace.records(), store.allocated()), (4, 3));
}

#[test]
fn a_stop_or_an_illegal_schedule_ends_the_reversal_and_empties_the_store() {
    let lorenz = Lorenz::new(40);
    let mut workspace = Workspace::new(&lorenz, Scratch::default());
    let mut store = MemoryStore::new(|| State { bytes: vec![0; 24] });
    let strategy = Strategy::Revolve { snapshots: 4 };
    for patience in [0, 1, 5, 30] {
        let (mut output, mut adjoint) = (lorenz.output(), Back::default());
        let asked = std::cell::Cell::new(0);
        let mut stop = || asked.replace(asked.get() + 1) >= patience;
        let schedule = strategy.schedule(40).expect("a schedule");
        let error = reverse(&lorenz, 40, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut stop)
            .expect_err("stopped");
        assert!(matches!(error, ReverseError::Stopped { steps: 40, remaining: 1..=40 }), "{error}");
    }
    let (mut output, mut adjoint) = (lorenz.output(), Back::default());
    let wrong = strategy.schedule(40).expect("a schedule").filter(|action| !matches!(action, Action::Restore { .. }));
    let error = reverse(&lorenz, 40, wrong, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false)
        .expect_err("refused");
    assert!(matches!(error, ReverseError::Schedule(Violation::Action { .. })), "{error}");
    // after all of this, the same store and workspace work as new ones
    let (mut output, mut adjoint) = (lorenz.output(), Back::default());
    let schedule = strategy.schedule(40).expect("a schedule");
    let (misfit, _) =
        reverse(&lorenz, 40, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false)
            .expect("a legal schedule");
    assert_eq!(misfit.to_bits(), lorenz.misfit().to_bits());
}

/// Stops at the look of this number after the turn, and keeps the adjoint state; or goes on with one of this misfit.
struct Stopping {
    looks: usize,
    kept: Option<(Turned, Back)>,
    misfit: Option<f64>,
}

impl Watch<Back> for Stopping {
    fn stop(&mut self, turned: Option<Turned>, adjoint: &Back) -> bool {
        let Some(turned) = turned else { return false };
        assert!(self.misfit.is_none_or(|misfit| misfit == turned.misfit));
        self.looks = self.looks.wrapping_sub(1);
        if self.looks == 0 {
            self.kept = Some((turned, adjoint.clone()));
        }
        self.looks == 0
    }
    fn misfit(&self) -> Option<f64> {
        self.misfit
    }
}

#[test]
fn a_reversal_that_was_stopped_goes_on_to_the_same_bits() {
    let lorenz = Lorenz::new(50);
    let reference = scheduled(&lorenz, Strategy::StoreAll, 1);
    let mut stops = 0;
    for strategy in strategies(3, 2) {
        for (segment_steps, looks) in [(1, 1), (1, 2), (1, 9), (1, 40), (7, 1), (7, 5), (50, 1)] {
            let name = format!("{strategy:?} in segments of {segment_steps}, stopped at look {looks}");
            let mut workspace = Workspace::new(&lorenz, Scratch::default());
            let new_disk = || MemoryStore::new(|| State { bytes: vec![0; 24] });
            let mut store = TieredStore::new(new_disk(), Some(Box::new(new_disk())));
            let schedule = strategy.schedule_in_segments(50, segment_steps).expect("a schedule");
            let (mut output, mut adjoint) = (lorenz.output(), Back::default());
            let mut first = Stopping { looks, kept: None, misfit: None };
            let done =
                reverse(&lorenz, 50, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut first);
            let Some((Turned { remaining, misfit }, mut kept)) = first.kept else {
                done.expect("it came to its end before");
                continue;
            };
            assert!(matches!(done, Err(ReverseError::Stopped { remaining: r, steps: 50 }) if r == remaining), "{name}");
            let left = strategy.schedule_in_segments(remaining, segment_steps);
            let mut again = Stopping { looks: 0, kept: None, misfit: Some(misfit) };
            let mut nothing = lorenz.output();
            let done = reverse(
                &lorenz,
                remaining,
                left.into_iter().flatten(),
                &mut store,
                &mut workspace,
                &mut nothing,
                &mut kept,
                &mut again,
            );
            assert_eq!(done.expect("a legal schedule").0, reference.misfit, "{name}");
            assert_eq!(kept, reference.adjoint, "{name}");
            assert!(nothing.times.iter().all(|&times| times == 0), "{name}: observed again");
            stops += usize::from(remaining > 0);
        }
    }
    assert!(stops > 40, "{stops} stops");
}

#[test]
fn a_disk_slot_without_a_disk_is_refused() {
    let lorenz = Lorenz::new(5);
    let mut store = TieredStore::new(MemoryStore::new(|| State { bytes: vec![0; 24] }), None);
    let (mut output, mut adjoint) = (lorenz.output(), Back::default());
    let strategy = Strategy::TwoLevel { memory_slots: 0, disk_slots: Some(1), costs: common::COSTS };
    let schedule = strategy.schedule(5).expect("a schedule");
    let mut workspace = Workspace::new(&lorenz, Scratch::default());
    let error = reverse(&lorenz, 5, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false);
    assert!(matches!(error, Err(ReverseError::Store(StoreError::Slot { .. }))), "{error:?}");
}
