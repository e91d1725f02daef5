//! Counts and costs against the reference numbers of the literature.

mod common;

use common::{golden, number};
use treewave_reversal::game::{
    BennettMoves, CheckpointGame, MixedGame, MixedMachine, OptimalCheckpoint, OptimalReversible, ReversibleGame,
    ReversibleMove, bennett_counts,
};
use treewave_reversal::{
    Action, Costs, Counts, DiskReads, Machine, Strategy, Trajectory, disk_period, revolve_advances, treeverse_advances,
    treeverse_repetitions, two_level_cost,
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
            Action::Restore { .. } | Action::Uncompute { .. } => {}
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
        assert_eq!(treeverse_advances(steps, delta), counts.advances, "{row:?}");
        let optima = ["optimal_advances_s_eq_delta", "optimal_advances_s_eq_delta_plus_1"];
        for (snapshots, optimum) in [delta, delta + 1].into_iter().zip(optima) {
            assert_eq!(revolve_advances(steps, snapshots), Some(number(row, optimum)), "{row:?}");
        }
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

#[test]
fn disk_revolve_and_its_simpler_kinds_cost_what_they_should() {
    let Some(rows) = golden("twolevel_unlimited_disk.csv") else { return };
    for row in &rows {
        let (steps, memory_slots) = (number(row, "n_steps"), number(row, "ram_slots"));
        let costs = costs(row);
        let played = |reads| play(Strategy::DiskRevolve { memory_slots, costs, reads }, steps);
        let expected = ["disk_revolve_cost", "disk_revolve_one_read_cost", "periodic_cost"];
        for (reads, column) in [DiskReads::Many, DiskReads::Once, DiskReads::Periodic].into_iter().zip(expected) {
            assert_eq!(played(reads).cost(&costs), number::<f64>(row, column), "{reads:?}: {row:?}");
        }
        let periodic = played(DiskReads::Periodic);
        assert_eq!(disk_period(memory_slots, costs), number::<usize>(row, "periodic_period"), "{row:?}");
        assert_eq!(periodic.stores.disk, number::<u64>(row, "periodic_disk_writes"), "{row:?}");
        for reads in [DiskReads::Once, DiskReads::Periodic] {
            assert_eq!(played(reads).stores.disk, played(reads).restores.disk, "{reads:?}: {row:?}");
        }
    }
    assert_eq!(rows.len(), 180);
}

#[test]
fn multistage_writes_and_reads_as_much_as_published() {
    let Some(rows) = golden("multistage_disk_traffic.csv") else { return };
    for row in &rows {
        let (memory_slots, disk_slots) = (number(row, "ram_slots"), number(row, "disk_slots"));
        for (trajectory, name) in [(Trajectory::Revolve, "revolve"), (Trajectory::Maximum, "maximum")] {
            let counts = play(Strategy::Multistage { memory_slots, disk_slots, trajectory }, number(row, "n_steps"));
            assert_eq!(counts.total_forward(), number::<u64>(row, "total_forward_steps"), "{row:?}");
            let written = number::<u64>(row, &format!("disk_writes_trajectory_{name}"));
            let read = number::<u64>(row, &format!("disk_reads_trajectory_{name}"));
            assert_eq!((counts.stores.disk, counts.restores.disk), (written, read), "{trajectory:?}: {row:?}");
        }
    }
    assert_eq!(rows.len(), 180);
}

#[test]
fn bennett_counts_equal_those_of_the_paper_s_program() {
    let Some(rows) = golden("bennett_counts.csv") else { return };
    for row in &rows {
        let (last, blocks) = (number(row, "n_steps"), number(row, "k"));
        let run = ReversibleGame::play(last, last, false, BennettMoves::new(last, blocks, false)).expect("legal");
        assert_eq!(run.forward, number::<u64>(row, "forward_steps"), "{row:?}");
        assert_eq!(run.reverse, number::<u64>(row, "reverse_steps"), "{row:?}");
        assert_eq!(run.total(), number::<u64>(row, "total_steps"), "{row:?}");
        assert_eq!(run.peak_pebbles, number::<usize>(row, "peak_states_incl_initial"), "{row:?}");
        assert_eq!(run.until_reached, Some(number(row, "steps_until_n_first_reached")), "{row:?}");
        let clean = ReversibleGame::play(last, last, true, BennettMoves::new(last, blocks, true)).expect("legal");
        assert_eq!(clean.total(), number::<u64>(row, "clean_total_steps"), "{row:?}");
        assert_eq!(clean.peak_pebbles, number::<usize>(row, "clean_peak_states_incl_initial"), "{row:?}");
    }
    assert_eq!(rows.len(), 318);
}

#[test]
fn bennett_moves_as_the_paper_s_program_does() {
    let Some(rows) = golden("bennett_log_n16_k2_clean.csv") else { return };
    let sign = |row| number::<i32>(row, "sign") > 0;
    let expected: Vec<_> =
        rows.iter().map(|row| ReversibleMove { square: number(row, "square"), put: sign(row) }).collect();
    assert_eq!(BennettMoves::new(16, 2, true).collect::<Vec<_>>(), expected);
    assert_eq!(expected.len(), 81);
}

/// Figure 5 of the paper: what its two programs did on 9999 steps.
#[test]
fn the_runs_of_the_paper_s_figure_did_as_many_steps() {
    let (Some(treeverse), Some(bennett)) = (golden("fig5_treeverse.csv"), golden("fig5_bennett.csv")) else { return };
    for row in &treeverse {
        let (steps, delta) = (number(row, "n_steps"), number(row, "delta"));
        let counts = play(Strategy::Treeverse { snapshots: delta }, steps);
        assert_eq!(treeverse_repetitions(steps, delta), number::<usize>(row, "tau"), "{row:?}");
        assert_eq!(counts.advances, number::<u64>(row, "forward_calls"), "{row:?}");
        assert_eq!(counts.leaves, number::<u64>(row, "grad_calls"), "{row:?}");
        assert_eq!(counts.total_forward(), number::<u64>(row, "forward_plus_grad"), "{row:?}");
        assert_eq!(counts.peak_states(), number::<u64>(row, "peak_states_incl_initial"), "{row:?}");
        assert_eq!(revolve_advances(steps, delta), Some(number(row, "optimal_advances_s_eq_delta")), "{row:?}");
    }
    for row in &bennett {
        let (steps, blocks) = (number(row, "n_steps"), number(row, "k"));
        let game = bennett_counts(steps, blocks, false);
        assert_eq!((game.forward, game.reverse), (number(row, "forward_steps"), number(row, "reverse_steps")));
        assert_eq!(game.total(), number::<u64>(row, "total_forward_pass"), "{row:?}");
        assert_eq!(game.peak_pebbles, number::<u64>(row, "peak_states_incl_initial"), "{row:?}");
        // the gradient: there, and back the same way
        let counts = play(Strategy::Bennett { blocks }, steps);
        let both = game.total() + number::<u64>(row, "total_gradient_pass");
        assert_eq!(counts.total_forward(), both, "{row:?}");
        assert_eq!(counts.peak_states(), number::<u64>(row, "peak_states_incl_initial"), "{row:?}");
    }
    assert_eq!((treeverse.len(), bennett.len()), (7, 6));
}

/// A cell that is empty where there is no way.
fn cell(row: &std::collections::HashMap<String, String>, column: &str) -> Option<u64> {
    (!row[column].is_empty()).then(|| number(row, column))
}

#[test]
fn the_checkpoint_game_is_played_at_the_proven_minimum() {
    let Some(rows) = golden("pebble_checkpoint_optimal.csv") else { return };
    for row in &rows {
        let (squares, pebbles) = (number(row, "n_squares"), number(row, "pebbles_excl_initial"));
        let played = OptimalCheckpoint::new(squares, pebbles).ok().map(|player| {
            CheckpointGame::play(squares, pebbles, player.moves()).unwrap_or_else(|fault| panic!("{row:?}: {fault}"))
        });
        assert_eq!(played.map(|counts| counts.puts), cell(row, "min_put_steps"), "{row:?}");
    }
    assert_eq!(rows.len(), 224);
}

#[test]
fn the_reversible_game_is_played_at_the_proven_minimum() {
    let Some(rows) = golden("pebble_reversible_optimal.csv") else { return };
    for row in &rows {
        let (last, pebbles) = (number(row, "n_squares"), number(row, "pebbles_excl_initial"));
        let player = OptimalReversible::new(last, pebbles).ok();
        for (clean, column) in [(false, "min_moves_until_n_first_occupied"), (true, "min_moves_clean")] {
            let moves = player.as_ref().and_then(|player| player.moves(clean).ok());
            let played = moves.map(|moves| {
                let counts = ReversibleGame::play(last, pebbles, clean, moves);
                counts.unwrap_or_else(|fault| panic!("{row:?}: {fault}")).total()
            });
            assert_eq!(played, cell(row, column), "{row:?}");
        }
    }
    assert_eq!(rows.len(), 224);
}

#[test]
fn the_mixed_game_evaluates_as_few_steps_as_published() {
    let Some(rows) = golden("mixed_optimal_steps.csv") else { return };
    for row in &rows {
        let (steps, units) = (number(row, "n_steps"), number(row, "units"));
        let player = MixedGame::new(steps, units).expect("there is a way");
        let counts = MixedMachine::play(steps, units, player.moves()).expect("a legal game");
        assert_eq!(counts.total_forward(), number::<u64>(row, "mixed_total_forward_steps"), "{row:?}");
        let binomial = play(Strategy::Revolve { snapshots: units }, steps);
        assert_eq!(binomial.total_forward(), number::<u64>(row, "binomial_total_forward_steps"), "{row:?}");
    }
    assert_eq!(rows.len(), 72);
}
