//! Every player of the pebble games obeys the rules on all boards of up to 64 squares, and does what it promises.

mod common;

use common::{COSTS, strategies};
use treewave_reversal::game::{
    BennettMoves, CheckpointGame, GameError, MixedGame, MixedMachine, OptimalCheckpoint, OptimalReversible,
    ReversibleGame, ReversibleMove, bennett_counts, checkpoint_moves,
};
use treewave_reversal::{Action, DiskReads, Machine, Strategy, Trajectory, revolve_advances, treeverse_repetitions};

const LARGEST: usize = 64;

#[test]
fn every_schedule_is_a_legal_checkpoint_game_with_a_put_for_every_step_computed() {
    for steps in 1..=LARGEST {
        for slots in 1..=8 {
            let mut all = strategies(slots, 3);
            all.push(Strategy::DiskRevolve { memory_slots: slots, costs: COSTS, reads: DiskReads::Once });
            for strategy in all.into_iter().filter(|strategy| !matches!(strategy, Strategy::Bennett { .. })) {
                let name = format!("{strategy:?}, {steps} steps");
                let schedule = strategy.schedule(steps).unwrap_or_else(|error| panic!("{name}: {error}"));
                let counts = Machine::play(steps, schedule.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
                // the working state is a pebble, and stands on two squares while it moves
                let pebbles = counts.peak_snapshots as usize + 1;
                let pebbles = if strategy == Strategy::StoreAll { steps - 1 } else { pebbles };
                let game = CheckpointGame::play(steps, pebbles, checkpoint_moves(schedule));
                let game = game.unwrap_or_else(|fault| panic!("{name}: {fault}"));
                assert_eq!(game.paints, steps as u64, "{name}");
                // a leaf computes its last step without a square for the result
                let puts = counts.advances + counts.recorded - counts.leaves;
                assert_eq!(game.puts, puts, "{name}");
            }
        }
    }
}

#[test]
fn treeverse_leaves_the_snapshots_of_the_paper_on_the_board() {
    for steps in 1..=LARGEST {
        for delta in 1..=8 {
            let schedule = Strategy::Treeverse { snapshots: delta }.schedule(steps).expect("a schedule");
            // δ snapshots, the initial state, and one pebble more while another one walks
            CheckpointGame::play(steps, delta + 1, checkpoint_moves(schedule)).expect("a legal game");
        }
    }
}

#[test]
fn the_optimal_checkpoint_game_is_legal_and_no_schedule_beats_it() {
    for squares in 1..=LARGEST {
        for pebbles in 0..=10 {
            let player = match OptimalCheckpoint::new(squares, pebbles) {
                Ok(player) => player,
                Err(error) => {
                    let needed = squares.min(3) - 1;
                    assert_eq!(error, GameError::TooFewPebbles { squares, needed, found: pebbles });
                    assert!(pebbles < needed);
                    continue;
                }
            };
            let counts = CheckpointGame::play(squares, pebbles, player.moves());
            let counts = counts.unwrap_or_else(|fault| panic!("{squares} squares, {pebbles} pebbles: {fault}"));
            assert_eq!((counts.puts, counts.paints), (player.puts(), squares as u64));
            // as many snapshots as pebbles in all, and a working state besides, is more to play with
            let with_working_state = revolve_advances(squares, pebbles + 1).expect("there is a way");
            assert!(player.puts() >= with_working_state, "{squares} squares, {pebbles} pebbles");
            for snapshots in 1..pebbles {
                // a schedule with so many snapshots needs two pebbles more for the working state, one is the first
                let puts = revolve_advances(squares, snapshots).expect("there is a way");
                assert!(player.puts() <= puts, "{squares} squares, {pebbles} pebbles, {snapshots} snapshots");
            }
        }
    }
}

#[test]
fn bennett_is_legal_and_does_what_its_counts_say() {
    for last in 1..=LARGEST {
        for blocks in 2..=17 {
            for clean in [true, false] {
                let name = format!("{last} squares by {blocks} blocks, clean: {clean}");
                let expected = bennett_counts(last, blocks, clean);
                let pebbles = expected.peak_pebbles as usize - 1;
                let game = ReversibleGame::play(last, pebbles, clean, BennettMoves::new(last, blocks, clean));
                let game = game.unwrap_or_else(|fault| panic!("{name}: {fault}"));
                assert_eq!((game.forward, game.reverse), (expected.forward, expected.reverse), "{name}");
                assert_eq!(game.peak_pebbles as u64, expected.peak_pebbles, "{name}");
                assert_eq!(game.until_reached, Some(expected.until_reached), "{name}");
            }
        }
    }
}

#[test]
fn the_optimal_reversible_game_is_legal_and_bennett_never_beats_it() {
    for last in 1..=LARGEST {
        for pebbles in 1..=9 {
            let player = match OptimalReversible::new(last, pebbles) {
                Ok(player) => player,
                Err(error) => {
                    assert!(last >= 1 << pebbles, "{error}");
                    assert!(OptimalReversible::new((1 << pebbles) - 1, pebbles).is_ok());
                    continue;
                }
            };
            for clean in [true, false] {
                let name = format!("{last} squares, {pebbles} pebbles, clean: {clean}");
                let moves = match player.moves(clean) {
                    Ok(moves) => moves,
                    Err(GameError::TooFewPebbles { needed, .. }) => {
                        assert!(clean && needed > pebbles && last > 1 << (pebbles - 1), "{name}");
                        assert!(last <= 1 << (needed - 1) && last > 1 << (needed - 2), "{name}: {needed}");
                        continue;
                    }
                    Err(error) => panic!("{name}: {error}"),
                };
                let game = ReversibleGame::play(last, pebbles, clean, moves);
                let game = game.unwrap_or_else(|fault| panic!("{name}: {fault}"));
                let least = if clean { player.moves_clean() } else { Some(player.moves_until_reached()) };
                assert_eq!(Some(game.total()), least, "{name}");
                for blocks in 2..=9 {
                    let bennett = bennett_counts(last, blocks, clean);
                    if bennett.peak_pebbles as usize <= pebbles + 1 {
                        assert!(game.total() <= if clean { bennett.total() } else { bennett.until_reached }, "{name}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_mixed_game_is_legal_and_as_good_as_it_says_in_both_machines() {
    for steps in 1..=LARGEST {
        for units in 0..=10 {
            let player = match MixedGame::new(steps, units) {
                Ok(player) => player,
                Err(error) => {
                    assert_eq!(error, GameError::TooFewPebbles { squares: steps, needed: 1, found: 0 });
                    assert!(units == 0 && steps > 1);
                    continue;
                }
            };
            let name = format!("{steps} steps, {units} units");
            let counts = MixedMachine::play(steps, units, player.moves());
            let counts = counts.unwrap_or_else(|fault| panic!("{name}: {fault}"));
            assert_eq!((counts.total_forward(), counts.pulled_back), (player.total_forward(), steps as u64), "{name}");
            let game = CheckpointGame::play(steps, units + 2, player.checkpoint_moves());
            let game = game.unwrap_or_else(|fault| panic!("{name}: {fault}"));
            assert_eq!(game.paints, steps as u64, "{name}");
        }
    }
}

#[test]
fn multistage_uses_all_its_slots_at_the_cost_of_revolve() {
    for steps in 2..=LARGEST {
        for memory_slots in 0..=4 {
            for disk_slots in 0..=4 {
                for trajectory in [Trajectory::Maximum, Trajectory::Revolve] {
                    let strategy = Strategy::Multistage { memory_slots, disk_slots, trajectory };
                    let name = format!("{strategy:?}, {steps} steps");
                    let slots = memory_slots + disk_slots;
                    if slots == 0 {
                        assert!(strategy.schedule(steps).is_err(), "{name}");
                        continue;
                    }
                    let counts = Machine::play(steps, strategy.schedule(steps).expect("a schedule"));
                    let counts = counts.unwrap_or_else(|error| panic!("{name}: {error}"));
                    assert_eq!(Some(counts.advances), revolve_advances(steps, slots), "{name}");
                    assert!(counts.peak_slots.memory <= memory_slots as u64, "{name}");
                    assert!(counts.peak_slots.disk <= disk_slots as u64, "{name}");
                }
            }
        }
    }
}

/// At n = η(τ, δ): T = τn evaluations in all where τ = δ+1, no step advanced over more than τ times, S = δ snapshots.
#[test]
fn treeverse_has_the_complexity_of_the_paper_where_that_is_exact() {
    let (mut exact, mut boards) = (0, 0);
    for delta in 1..=8_usize {
        for tau in 1..=8_usize {
            let steps = (1..=delta).fold(1, |reach, d| reach * (tau + d) / d);
            let schedule = Strategy::Treeverse { snapshots: delta }.schedule(steps).expect("a schedule");
            let mut visits = vec![0; steps];
            for action in schedule.clone() {
                if let Action::Advance { from, to } = action {
                    visits[from..to].iter_mut().for_each(|visit| *visit += 1);
                }
            }
            let counts = Machine::play(steps, schedule).expect("a legal schedule");
            assert_eq!(treeverse_repetitions(steps, delta), tau);
            assert_eq!(counts.peak_states() as usize, delta + 1, "S = δ besides the initial state");
            assert_eq!(visits.iter().max(), Some(&tau), "τ = {tau}, δ = {delta}");
            let bound = (tau * steps) as u64;
            assert!(counts.advances <= bound);
            // τn·δ/(δ+1) advances
            assert_eq!(counts.advances * (delta as u64 + 1), bound * delta as u64);
            if tau == delta + 1 {
                assert_eq!(counts.total_forward(), bound, "T = τn");
                exact += 1;
            }
            boards += 1;
        }
    }
    assert_eq!((exact, boards), (7, 64));
}

/// At n = k^l: T = (2k−1)^l moves, S = l(k−1) pebbles besides those on the first and the last square.
#[test]
fn bennett_has_the_complexity_of_the_paper_where_that_is_exact() {
    let mut boards = 0;
    for blocks in 2..=20_usize {
        for level in 1..=12_u32 {
            let last = blocks.pow(level);
            if last > 5000 {
                break;
            }
            let game = ReversibleGame::play(last, last, true, BennettMoves::new(last, blocks, true)).expect("legal");
            assert_eq!(game.total(), (2 * blocks as u64 - 1).pow(level), "{blocks}^{level}");
            assert_eq!(game.peak_pebbles, level as usize * (blocks - 1) + 2, "{blocks}^{level}");
            // the paper's figure: the game ends when the last square is reached
            assert_eq!(game.until_reached, Some(game.total().div_ceil(2)), "{blocks}^{level}");
            boards += 1;
        }
    }
    assert!(boards > 60, "{boards}");
}

#[test]
fn boards_that_cannot_be_played_are_refused() {
    assert_eq!(OptimalCheckpoint::new(0, 1).err(), Some(GameError::NoSquares));
    assert_eq!(OptimalReversible::new(0, 1).err(), Some(GameError::NoSquares));
    assert_eq!(MixedGame::new(0, 1).err(), Some(GameError::NoSquares));
    assert!(matches!(OptimalCheckpoint::new(1_000_000, 3).err(), Some(GameError::TooLarge { .. })));
    assert!(matches!(OptimalReversible::new(usize::MAX, usize::MAX).err(), Some(GameError::TooLarge { .. })));
    assert_eq!(BennettMoves::new(0, 2, true).next(), None::<ReversibleMove>);
}
