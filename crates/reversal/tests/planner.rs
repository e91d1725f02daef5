//! Plans: what they choose, that they keep to their budgets, and that they say what will happen.

mod common;

use common::Random;
use common::lorenz::{Back, Lorenz, Scratch, State};
use std::time::Instant;
use treewave_reversal::game::bennett_counts;
use treewave_reversal::{
    Choice, Log, MemoryLimit, MemoryStore, PlanError, PlanRequest, ReversalPlan, ScheduleError, StepCosts, Strategy,
    Workspace, reverse, revolve_advances,
};

const STATE: u64 = 1000;
const RECORD: u64 = 300;

fn request(steps: usize, memory: u64) -> PlanRequest {
    PlanRequest::new(steps, STATE, RECORD, memory)
}

fn plan(request: &PlanRequest) -> ReversalPlan {
    ReversalPlan::new(request).unwrap_or_else(|error| panic!("{request:?}: {error}"))
}

fn run(plan: &ReversalPlan) -> Log {
    let lorenz = Lorenz::new(plan.steps);
    // both tiers in memory stores; slots of the two tiers must not meet
    let memory = MemoryStore::new(|| State { bytes: vec![0; 24] });
    let disk = MemoryStore::new(|| State { bytes: vec![0; 24] });
    let mut store = treewave_reversal::TieredStore::new(memory, Some(Box::new(disk)));
    let (mut output, mut adjoint) = (lorenz.output(), Back::default());
    let mut workspace = Workspace::new(&lorenz, Scratch::default());
    let result = reverse(
        &lorenz,
        plan.steps,
        plan.schedule().unwrap(),
        &mut store,
        &mut workspace,
        &mut output,
        &mut adjoint,
        &mut || false,
    );
    assert_eq!(workspace.records(), plan.segment_steps);
    result.expect("a legal schedule").1
}

#[test]
fn auto_stores_all_where_the_records_fit() {
    let plan = plan(&request(100, 100 * RECORD));
    assert_eq!(plan.strategy, Strategy::StoreAll);
    assert_eq!((plan.recompute_factor, plan.advances, plan.memory_slots), (1.0, 0, 0));
    assert_eq!(plan.peak_memory_bytes, 100 * RECORD);
}

#[test]
fn auto_revolves_in_memory_without_a_disk() {
    let plan = plan(&request(100, 100 * RECORD - 1));
    assert!(matches!(plan.strategy, Strategy::Revolve { .. }));
    assert!(plan.peak_memory_bytes < 100 * RECORD && plan.recompute_factor > 1.0 && plan.disk_bytes == 0);
}

#[test]
fn auto_goes_to_disk_only_where_that_is_faster() {
    let slow = StepCosts { advance: 1.0, record: 1.0, pull_back: 1.0, write: 1e6, read: 1e6 };
    let fast = StepCosts { write: 0.1, read: 0.1, ..slow };
    let with = |costs| PlanRequest { disk_bytes: 1000 * STATE, costs, ..request(2000, 5 * STATE) };
    let on_disk = plan(&with(fast));
    assert!(matches!(on_disk.strategy, Strategy::TwoLevel { .. }) && on_disk.writes > 0, "{on_disk:?}");
    let in_memory = plan(&with(slow));
    assert!(matches!(in_memory.strategy, Strategy::Revolve { .. }), "{in_memory:?}");
    assert!(on_disk.seconds < in_memory.seconds);
    // the staging states are part of the peak
    let states = 2 + on_disk.memory_slots as u64;
    assert_eq!(on_disk.peak_memory_bytes, states * STATE + on_disk.segment_steps as u64 * RECORD);
}

#[test]
fn the_plan_counts_what_the_driver_logs() {
    for choice in [Choice::Auto, Choice::StoreAll, Choice::Treeverse, Choice::Revolve, Choice::TwoLevel] {
        for steps in [1, 2, 7, 100, 777] {
            for memory in [MemoryLimit::Snapshots(4), MemoryLimit::Bytes(6 * STATE), MemoryLimit::Bytes(40 * STATE)] {
                let request = PlanRequest { choice, memory, disk_bytes: 3 * STATE, ..request(steps, 0) };
                let plan = match ReversalPlan::new(&request) {
                    Err(PlanError::Memory { needed, .. }) if choice == Choice::StoreAll => {
                        assert_eq!(needed, steps as u64 * RECORD);
                        continue;
                    }
                    other => other.unwrap_or_else(|error| panic!("{request:?}: {error}")),
                };
                let log = run(&plan);
                assert_eq!(log.counts, plan.counts, "{request:?}");
                assert_eq!(log.counts.advances, plan.advances);
                assert_eq!((log.counts.stores.disk, log.counts.restores.disk), (plan.writes, plan.reads));
                assert_eq!(log.recompute_factor(), plan.recompute_factor);
                if let MemoryLimit::Bytes(budget) = memory {
                    assert!(plan.peak_memory_bytes <= budget, "{request:?}: {plan:?}");
                }
                assert!(plan.disk_bytes <= 3 * STATE);
            }
        }
    }
}

#[test]
fn counted_snapshots_are_honoured() {
    let counted = |choice, segment_steps| {
        let memory = MemoryLimit::Snapshots(6);
        plan(&PlanRequest { choice, memory, segment_steps, disk_bytes: 9 * STATE, ..request(1000, 0) })
    };
    // the paper's δ leaves the initial state out
    assert_eq!(counted(Choice::Treeverse, None).strategy, Strategy::Treeverse { snapshots: 5 });
    let revolve = counted(Choice::Revolve, None);
    assert_eq!((revolve.strategy, revolve.segment_steps), (Strategy::Revolve { snapshots: 6 }, 1));
    assert_eq!(Some(revolve.advances), revolve_advances(1000, 6));
    assert_eq!(counted(Choice::Revolve, Some(10)).segment_steps, 10);
    let two_level = counted(Choice::TwoLevel, None);
    assert!(matches!(two_level.strategy, Strategy::TwoLevel { memory_slots: 6, disk_slots: Some(9), .. }));
}

#[test]
fn revolve_runs_the_least_forward_steps_that_the_budget_allows() {
    let mut random = Random(3);
    for _ in 0..30 {
        let steps = 1 + random.below(150);
        let budget = STATE + RECORD + random.below(30 * STATE as usize) as u64;
        let best = plan(&PlanRequest { choice: Choice::Revolve, ..request(steps, budget) });
        let mut least = u64::MAX;
        for segment_steps in 1..=steps {
            for snapshots in 0..=steps {
                let bytes = segment_steps as u64 * RECORD + snapshots as u64 * STATE;
                if bytes <= budget {
                    let strategy = Strategy::Revolve { snapshots };
                    if let Ok(schedule) = strategy.schedule_in_segments(steps, segment_steps) {
                        least = least.min(treewave_reversal::Machine::play(steps, schedule).expect("legal").advances);
                    }
                }
            }
        }
        assert_eq!(best.advances, least, "{steps} steps in {budget} bytes: {best:?}");
    }
}

#[test]
fn the_shared_memory_of_two_level_is_nearly_the_best() {
    for (steps, budget, disk) in [(300, 8 * STATE, 10), (500, 20 * STATE, 100), (200, 5 * STATE, 3)] {
        for write in [0.1, 3.0, 30.0] {
            let costs = StepCosts { advance: 1.0, record: 1.0, pull_back: 1.5, write, read: write };
            let request =
                PlanRequest { choice: Choice::TwoLevel, disk_bytes: disk * STATE, costs, ..request(steps, budget) };
            let found = plan(&request).seconds;
            let mut least = f64::INFINITY;
            for segment_steps in 1..=steps {
                let request = PlanRequest { segment_steps: Some(segment_steps), ..request };
                if let Ok(plan) = ReversalPlan::new(&request) {
                    least = least.min(plan.seconds);
                }
            }
            assert!(found <= 1.03 * least, "{steps} steps, wd {write}: {found}, best {least}");
        }
    }
}

#[test]
fn a_budget_that_is_too_small_names_the_least_that_works() {
    for choice in [Choice::Auto, Choice::StoreAll, Choice::Treeverse, Choice::Revolve, Choice::TwoLevel] {
        for steps in [1, 2, 3, 4, 50] {
            for segment_steps in [None, Some(3)] {
                let with = |memory| PlanRequest { choice, segment_steps, disk_bytes: STATE, ..request(steps, memory) };
                let Err(PlanError::Memory { needed, budget: 0, .. }) = ReversalPlan::new(&with(0)) else {
                    panic!("{choice:?} reversed {steps} steps in no memory");
                };
                plan(&with(needed));
                assert!(
                    matches!(ReversalPlan::new(&with(needed - 1)), Err(PlanError::Memory { needed: again, .. }) if again == needed),
                    "{choice:?}, {steps} steps: less than {needed} suffices"
                );
            }
        }
    }
}

#[test]
fn impossible_requests_are_refused() {
    let refused = |request: PlanRequest| ReversalPlan::new(&request).expect_err("refused");
    let two_level = PlanRequest { choice: Choice::TwoLevel, disk_bytes: STATE - 1, ..request(50, 10 * STATE) };
    assert_eq!(refused(two_level), PlanError::Disk { needed: STATE, budget: STATE - 1 });
    assert_eq!(refused(request(0, STATE)), PlanError::Zero { what: "number of steps" });
    let error = refused(PlanRequest { max_recompute_factor: 1.5, ..request(1000, 3 * STATE) });
    assert!(matches!(error, PlanError::Recompute { store_all_bytes: 300_000, .. }), "{error}");
    let nan = StepCosts { write: f64::NAN, ..request(9, 0).costs };
    assert!(matches!(refused(PlanRequest { costs: nan, ..request(9, 9000) }), PlanError::Schedule(_)));
    let none = PlanRequest { choice: Choice::Revolve, memory: MemoryLimit::Snapshots(0), ..request(9, 0) };
    assert!(matches!(refused(none), PlanError::Schedule(_)));
}

#[test]
fn names_and_choices_belong_together() {
    for (name, choice) in Choice::NAMES {
        assert_eq!((Choice::from_name(name), choice.name()), (Some(choice), name));
    }
    assert_eq!(Choice::from_name("revolver"), None);
}

#[test]
fn planning_a_large_shot_takes_seconds() {
    // 3-D, 400³ cells in f32: 3 fields of state, 1 of record
    let field = 4 * 400 * 400 * 400;
    for steps in [3000, 20_000, 1_000_000] {
        let costs = StepCosts { advance: 1.0, record: 1.1, pull_back: 2.5, write: 2.0, read: 1.0 };
        let request =
            PlanRequest { disk_bytes: 200 << 30, costs, ..PlanRequest::new(steps, 3 * field, field, 16 << 30) };
        let began = Instant::now();
        let plan = plan(&request);
        let seconds = began.elapsed().as_secs_f64();
        println!("{steps} steps: {seconds:.2} s, {plan:?}");
        // the limit of 5 s is for a quiet machine
        assert!(seconds < 25.0, "{seconds}");
    }
}

#[test]
fn bennett_takes_the_blocks_with_the_fewest_evaluations_that_fit() {
    for steps in [1, 2, 30, 100] {
        for room in 2..40_u64 {
            let request = PlanRequest { choice: Choice::Bennett, ..request(steps, RECORD + room * STATE) };
            let all = (2..=steps.max(2)).map(|blocks| bennett_counts(steps, blocks, false));
            let fitting = all.filter(|counts| counts.peak_pebbles <= room).map(|counts| counts.total()).min();
            match (ReversalPlan::new(&request), fitting) {
                (Ok(plan), Some(fewest)) => {
                    assert_eq!(plan.counts.total_forward(), 2 * fewest, "{steps} steps, {room} states");
                    assert!(plan.peak_memory_bytes <= RECORD + room * STATE);
                    assert_eq!(plan.peak_memory_bytes, RECORD + plan.memory_slots as u64 * STATE);
                    assert_eq!(run(&plan).counts, plan.counts);
                }
                (Err(PlanError::Memory { strategy: "bennett", needed, .. }), None) => {
                    assert!(ReversalPlan::new(&PlanRequest { memory: MemoryLimit::Bytes(needed), ..request }).is_ok());
                    let less = MemoryLimit::Bytes(needed - 1);
                    assert!(ReversalPlan::new(&PlanRequest { memory: less, ..request }).is_err());
                }
                (plan, fewest) => panic!("{steps} steps, {room} states: {plan:?}, {fewest:?}"),
            }
        }
    }
}

#[test]
fn bennett_takes_the_blocks_and_segments_that_are_asked_for() {
    let asked = |blocks, segment_steps, memory| PlanRequest {
        choice: Choice::Bennett,
        blocks: Some(blocks),
        segment_steps: Some(segment_steps),
        memory,
        ..request(100, 0)
    };
    let found = plan(&asked(5, 4, MemoryLimit::Bytes(1 << 20)));
    assert_eq!(found.strategy, Strategy::Bennett { blocks: 5 });
    assert_eq!((found.segment_steps, found.memory_slots), (4, bennett_counts(25, 5, false).peak_pebbles as usize));
    assert_eq!(found.recompute_factor, 2.0 * bennett_counts(25, 5, false).total() as f64 / 25.0);
    let states = found.memory_slots;
    assert_eq!(
        plan(&asked(5, 4, MemoryLimit::Snapshots(2))).memory_slots,
        states,
        "blocks say how many states there are"
    );
    let enough = MemoryLimit::Bytes(found.peak_memory_bytes);
    assert_eq!(plan(&asked(5, 4, enough)).memory_slots, states);
    let tight = MemoryLimit::Bytes(found.peak_memory_bytes - 1);
    let tight = ReversalPlan::new(&asked(5, 4, tight)).expect_err("too little");
    assert!(matches!(tight, PlanError::Memory { strategy: "bennett", .. }), "{tight}");
    let one = ReversalPlan::new(&asked(1, 4, MemoryLimit::Bytes(1 << 20))).expect_err("no division");
    assert_eq!(one, PlanError::Schedule(ScheduleError::TooFewBlocks { found: 1 }));
}
