//! Counts and costs against the reference numbers of the literature.

mod common;

use common::{golden, number};
use treewave_reversal::{
    Action, Costs, Counts, Machine, Strategy, revolve_advances, treeverse_repetitions, two_level_cost,
};

fn play(strategy: Strategy, steps: usize) -> Counts {
    let schedule = strategy.schedule(steps).unwrap_or_else(|error| panic!("{strategy:?}, {steps} steps: {error}"));
    Machine::play(steps, schedule).unwrap_or_else(|error| panic!("{strategy:?}, {steps} steps: {error}"))
}

#[test]
fn treeverse_makes_the_calls_of_the_paper_in_their_order() {
    let Some(rows) = golden("treeverse_log_n20_delta3.csv") else { return };
    let expected: Vec<(String, usize)> = rows.iter().map(|row| (row["action"].clone(), number(row, "step"))).collect();
    let mut slots = std::collections::HashMap::new();
    let mut found = Vec::new();
    let treeverse = Strategy::Treeverse { snapshots: 3 };
    for action in treeverse.schedule(20).expect("a schedule") {
        match action {
            Action::Advance { from, to } => found.extend((from..to).map(|step| ("call".to_string(), step))),
            Action::Reverse { from, .. } => found.push(("grad".into(), from)),
            Action::Store { step, slot } => {
                slots.insert(slot, step);
                // the paper does not count the initial state
                found.extend((step > 0).then(|| ("store".into(), step)));
            }
            Action::Discard { slot } => {
                let step = slots.remove(&slot).expect("a full slot");
                found.extend((step > 0).then(|| ("drop".into(), step)));
            }
            Action::Restore { .. } => {}
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn treeverse_counts_equal_those_of_the_paper() {
    let Some(rows) = golden("treeverse_counts.csv") else { return };
    for row in &rows {
        let (steps, delta) = (number(row, "n_steps"), number(row, "delta"));
        let counts = play(Strategy::Treeverse { snapshots: delta }, steps);
        assert_eq!(treeverse_repetitions(steps, delta), number::<usize>(row, "tau"), "{row:?}");
        assert_eq!(counts.advances, number::<u64>(row, "forward_calls"), "{row:?}");
        assert_eq!(counts.leaves, number::<u64>(row, "grad_calls"), "{row:?}");
        assert_eq!(counts.total_forward(), number::<u64>(row, "forward_plus_grad"), "{row:?}");
        assert_eq!(counts.stores_after_initial(), number::<u64>(row, "stores"), "{row:?}");
        assert_eq!(counts.peak_states(), number::<u64>(row, "peak_states_incl_initial"), "{row:?}");
    }
    assert_eq!(rows.len(), 456);
}

#[test]
fn treeverse_is_optimal_where_the_steps_are_a_binomial() {
    let Some(rows) = golden("treeverse_exact_binomial.csv") else { return };
    for row in rows {
        let (steps, delta) = (number(&row, "n_steps_eta"), number(&row, "delta"));
        let counts = play(Strategy::Treeverse { snapshots: delta }, steps);
        assert_eq!(counts.advances, number::<u64>(&row, "forward_calls"), "{row:?}");
        assert_eq!(Some(counts.advances), revolve_advances(steps, delta), "{row:?}");
        assert_eq!(counts.peak_states(), number::<u64>(&row, "peak_states_incl_initial"), "{row:?}");
    }
}

#[test]
fn revolve_counts_equal_the_published_optimum() {
    let Some(rows) = golden("revolve_optimum.csv") else { return };
    for row in &rows {
        let (steps, snapshots) = (number(row, "n_steps"), number(row, "snapshots_incl_initial"));
        let counts = play(Strategy::Revolve { snapshots }, steps);
        assert_eq!(counts.advances, number::<u64>(row, "advances_p"), "{row:?}");
        assert_eq!(counts.total_forward(), number::<u64>(row, "total_forward_p_plus_n"), "{row:?}");
        assert_eq!(revolve_advances(steps, snapshots), Some(number(row, "advances_p")), "{row:?}");
        assert!(counts.peak_states() <= snapshots as u64, "{row:?}");
    }
    assert_eq!(rows.len(), 456);
}

fn costs(row: &std::collections::HashMap<String, String>) -> Costs {
    Costs { advance: number(row, "uf"), adjoint: number(row, "ub"), write: number(row, "wd"), read: number(row, "rd") }
}

#[test]
fn two_level_costs_equal_the_true_optimum() {
    let Some(rows) = golden("twolevel_hrevolve_optimal.csv") else { return };
    for row in &rows {
        let steps = number(row, "n_steps");
        let (memory_slots, disk) = (number(row, "ram_slots"), number(row, "disk_slots"));
        let (costs, optimum) = (costs(row), number::<f64>(row, "optimal_cost"));
        assert_eq!(two_level_cost(steps, memory_slots, Some(disk), costs), Ok(optimum), "{row:?}");
        let counts = play(Strategy::TwoLevel { memory_slots, disk_slots: Some(disk), costs }, steps);
        assert_eq!(counts.cost(&costs), optimum, "{row:?}");
        assert!(counts.peak_slots.memory <= memory_slots as u64 && counts.peak_slots.disk <= disk as u64, "{row:?}");
        assert_eq!(counts.unused_stores, 0, "{row:?}");
    }
    assert_eq!(rows.len(), 1080);
}

#[test]
fn two_level_with_unlimited_disk_costs_the_true_optimum() {
    let Some(rows) = golden("twolevel_unlimited_disk.csv") else { return };
    for row in &rows {
        let (steps, memory_slots) = (number(row, "n_steps"), number(row, "ram_slots"));
        let (costs, optimum) = (costs(row), number::<f64>(row, "disk_revolve_cost"));
        for disk_slots in [None, Some(steps)] {
            let counts = play(Strategy::TwoLevel { memory_slots, disk_slots, costs }, steps);
            assert_eq!(counts.cost(&costs), optimum, "{row:?}");
            assert_eq!(two_level_cost(steps, memory_slots, disk_slots, costs), Ok(optimum), "{row:?}");
        }
    }
    assert_eq!(rows.len(), 180);
}
