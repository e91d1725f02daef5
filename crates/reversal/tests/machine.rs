//! Every schedule obeys the rules of the machine, for all small games and for large ones.

mod common;

use common::{COSTS, Random, strategies};
use std::time::Instant;
use treewave_reversal::{
    Action, Costs, Counts, Fault, Machine, Schedule, ScheduleError, Slot, Strategy, Tier, Violation, revolve_advances,
};

/// Plays a schedule on a machine that has exactly what the schedule says it needs.
fn play(schedule: Schedule) -> Result<Counts, Violation> {
    let steps = schedule.steps();
    let mut machine = Machine::with_limits(steps, schedule.memory_slots(), schedule.disk_slots(), schedule.records());
    for action in schedule {
        machine.apply(action)?;
    }
    machine.finish()
}

fn played(strategy: Strategy, steps: usize, segment_steps: usize) -> Counts {
    let name = || format!("{strategy:?}, {steps} steps in segments of {segment_steps}");
    let schedule = strategy.schedule_in_segments(steps, segment_steps).unwrap_or_else(|e| panic!("{}: {e}", name()));
    let counts = play(schedule).unwrap_or_else(|error| panic!("{}: {error}", name()));
    assert_eq!(counts.pulled_back, steps as u64, "{}", name());
    assert_eq!(counts.recorded, steps as u64, "{}", name());
    assert_eq!(counts.unused_stores, 0, "{}", name());
    counts
}

#[test]
fn every_small_game_is_legal_and_stores_nothing_in_vain() {
    for steps in 1..=64 {
        for slots in 1..=12 {
            for segment_steps in [1, 2, 3, 5, 8, 64, 100] {
                for strategy in strategies(slots, 3) {
                    played(strategy, steps, segment_steps);
                }
            }
        }
    }
}

#[test]
fn two_level_is_legal_on_every_small_grid_of_slots() {
    for steps in 1..=64 {
        for memory_slots in 0..=6 {
            for disk in 0..=6 {
                for (write, read) in [(0.0, 0.0), (0.5, 0.5), (3.0, 2.0), (40.0, 1.0)] {
                    let costs = Costs { write, read, ..COSTS };
                    let strategy = Strategy::TwoLevel { memory_slots, disk_slots: Some(disk), costs };
                    if memory_slots + disk == 0 && steps > 1 {
                        let expected =
                            ScheduleError::TooFewSlots { strategy: "two-level", needed: 1, found: 0, segments: steps };
                        assert_eq!(strategy.schedule(steps).err(), Some(expected));
                        continue;
                    }
                    for segment_steps in [1, 3] {
                        let counts = played(strategy, steps, segment_steps);
                        assert!(counts.peak_slots.memory <= memory_slots as u64);
                        assert!(counts.peak_slots.disk <= disk as u64);
                    }
                }
            }
        }
    }
}

#[test]
fn large_random_games_are_legal() {
    let mut random = Random(7);
    for _ in 0..40 {
        let steps = 1 + random.below(20_000);
        let (memory, disk) = (2 + random.below(60), 1 + random.below(60));
        let segment_steps = 1 + random.below(20);
        for strategy in strategies(memory, disk) {
            played(strategy, steps, segment_steps);
        }
    }
}

#[test]
fn revolve_stays_optimal_for_a_million_steps() {
    for snapshots in [5, 30, 1000] {
        let counts = played(Strategy::Revolve { snapshots }, 1_000_000, 1);
        assert_eq!(Some(counts.advances), revolve_advances(1_000_000, snapshots));
        assert!(counts.peak_slots.memory <= snapshots as u64);
    }
    // whatever the number of segments, their advances are those of the game on segments
    let counts = played(Strategy::Revolve { snapshots: 10 }, 1_000_000, 100);
    assert_eq!(Some(counts.advances), revolve_advances(10_000, 10).map(|advances| 100 * advances));
}

#[test]
fn the_first_segment_is_the_short_one() {
    let schedule = Strategy::Revolve { snapshots: 2 }.schedule_in_segments(10, 4).expect("a schedule");
    let leaves: Vec<_> = schedule.filter(|action| matches!(action, Action::Reverse { .. })).collect();
    let expected = [(6, 10), (2, 6), (0, 2)].map(|(from, to)| Action::Reverse { from, to });
    assert_eq!(leaves, expected);
}

#[test]
fn store_all_is_one_recorded_sweep() {
    let schedule = Strategy::StoreAll.schedule_in_segments(1000, 7).expect("a schedule");
    assert_eq!((schedule.records(), schedule.memory_slots(), schedule.disk_slots()), (1000, 0, 0));
    assert_eq!(schedule.collect::<Vec<_>>(), [Action::Reverse { from: 0, to: 1000 }]);
}

#[test]
fn planning_takes_seconds_and_an_action_less_than_a_microsecond() {
    for strategy in strategies(30, 200) {
        let began = Instant::now();
        let schedule = strategy.schedule_in_segments(1_000_000, 5).expect("a schedule");
        let planned = began.elapsed();
        let began = Instant::now();
        let actions = schedule.count();
        let nanoseconds = began.elapsed().as_secs_f64() * 1e9 / actions as f64;
        println!("{}: planned in {planned:.1?}, {actions} actions of {nanoseconds:.0} ns", strategy.name());
        // generous: the machine may be busy with other things
        assert!(planned.as_secs_f64() < 20.0, "{strategy:?}: {planned:.1?}");
        assert!(actions == 1 || nanoseconds < 5000.0, "{strategy:?}: {nanoseconds} ns");
    }
}

#[test]
fn a_clone_of_a_schedule_goes_on_from_the_same_action() {
    for strategy in strategies(4, 3) {
        let mut schedule = strategy.schedule_in_segments(100, 3).expect("a schedule");
        let whole: Vec<_> = schedule.clone().collect();
        assert_eq!(schedule.clone().collect::<Vec<_>>(), whole);
        schedule.nth(9);
        assert!(schedule.clone().eq(whole.into_iter().skip(10)), "{strategy:?}");
    }
}

#[test]
fn impossible_parameters_are_refused() {
    let revolve = Strategy::Revolve { snapshots: 3 };
    assert_eq!(revolve.schedule(0).err(), Some(ScheduleError::NoSteps));
    assert_eq!(revolve.schedule_in_segments(5, 0).err(), Some(ScheduleError::EmptySegment));
    assert!(matches!(revolve.schedule(usize::MAX).err(), Some(ScheduleError::TooManySteps { .. })));
    for strategy in [Strategy::Revolve { snapshots: 0 }, Strategy::Treeverse { snapshots: 0 }] {
        assert!(matches!(strategy.schedule(2).err(), Some(ScheduleError::TooFewSlots { needed: 1, found: 0, .. })));
        assert!(strategy.schedule(1).is_ok());
    }
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        let costs = Costs { read: bad, ..COSTS };
        let error = Strategy::TwoLevel { memory_slots: 1, disk_slots: None, costs }.schedule(9).err();
        assert!(matches!(error, Some(ScheduleError::BadCost { what: "a read", .. })), "{error:?}");
    }
}

/// The fault that a sequence of actions on 4 steps, 1 memory slot, no disk and 2 records ends in.
fn fault(actions: &[Action]) -> Fault {
    let mut machine = Machine::with_limits(4, 1, 0, 2);
    let last = actions.len() - 1;
    for (i, action) in actions.iter().enumerate() {
        match machine.apply(*action) {
            Ok(()) => assert!(i < last, "the last action must be refused"),
            Err(Violation::Action { index, action: refused, fault }) => {
                assert_eq!((i, index, refused), (last, last as u64, *action));
                return fault;
            }
            Err(other) => panic!("{other}"),
        }
    }
    unreachable!("no action was refused")
}

#[test]
fn the_machine_refuses_every_illegal_action() {
    let slot = Slot { tier: Tier::Memory, index: 0 };
    let disk = Slot { tier: Tier::Disk, index: 0 };
    let store = |step| Action::Store { step, slot };
    let restore = |step| Action::Restore { step, slot };
    let advance = |from, to| Action::Advance { from, to };
    let reverse = |from, to| Action::Reverse { from, to };
    let discard = Action::Discard { slot };
    let uncompute = |step| Action::Uncompute { step, slot };
    assert_eq!(fault(&[store(1)]), Fault::Elsewhere { found: 0, expected: 1 });
    assert_eq!(fault(&[store(0), store(0)]), Fault::Taken { slot, held: 0 });
    assert_eq!(fault(&[Action::Store { step: 0, slot: disk }]), Fault::NoSuchSlot { slot: disk, limit: 0 });
    assert_eq!(fault(&[restore(0)]), Fault::Empty { slot });
    assert_eq!(fault(&[store(0), restore(2)]), Fault::OtherStep { slot, held: 0, expected: 2 });
    assert_eq!(fault(&[discard]), Fault::Empty { slot });
    assert_eq!(fault(&[advance(1, 2)]), Fault::Elsewhere { found: 0, expected: 1 });
    assert_eq!(fault(&[advance(0, 5)]), Fault::Range { from: 0, to: 5, steps: 4 });
    assert_eq!(fault(&[advance(0, 0)]), Fault::Range { from: 0, to: 0, steps: 4 });
    assert_eq!(fault(&[reverse(0, 3)]), Fault::Order { from: 0, to: 3, adjoint: 4 });
    assert_eq!(fault(&[reverse(0, 4)]), Fault::LongLeaf { found: 4, limit: 2 });
    assert_eq!(fault(&[advance(0, 2), reverse(2, 4), advance(2, 3)]), Fault::UsedUp { expected: 2 });
    assert_eq!(fault(&[uncompute(0)]), Fault::Empty { slot });
    assert_eq!(fault(&[store(0), advance(0, 2), uncompute(0)]), Fault::Elsewhere { found: 2, expected: 0 });
    assert_eq!(fault(&[store(0), advance(0, 2), uncompute(2)]), Fault::OtherStep { slot, held: 0, expected: 2 });
    let leaf = [advance(0, 2), store(2), reverse(2, 4), uncompute(2)];
    assert_eq!(fault(&leaf), Fault::Elsewhere { found: 4, expected: 2 });
    assert_eq!(fault(&[store(0), advance(0, 2), restore(0), uncompute(0), restore(0)]), Fault::Empty { slot });
    let twice = [store(0), advance(0, 2), reverse(2, 4), restore(0), advance(0, 2), reverse(2, 4)];
    assert_eq!(fault(&twice), Fault::Order { from: 2, to: 4, adjoint: 2 });
}

#[test]
fn the_machine_notices_what_is_left_undone() {
    let slot = Slot { tier: Tier::Memory, index: 0 };
    let reverse = Action::Reverse { from: 0, to: 3 };
    assert_eq!(Machine::play(3, []), Err(Violation::Unfinished { remaining: 3 }));
    assert_eq!(Machine::play(3, [Action::Store { step: 0, slot }, reverse]), Err(Violation::LeftBehind { held: 1 }));
    let vain = [Action::Store { step: 0, slot }, Action::Discard { slot }, reverse];
    assert_eq!(Machine::play(3, vain).map(|counts| counts.unused_stores), Ok(1));
}
