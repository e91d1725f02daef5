//! The machines of the games refuse what their rules forbid: a test per rule.

use treewave_reversal::game::{
    CheckpointFault, CheckpointGame, CheckpointMove, MixedFault, MixedMachine, MixedMove, ReversibleFault,
    ReversibleGame, ReversibleMove,
};

/// The fault that the last of the moves on 4 squares with 1 pebble besides the first is refused for.
fn checkpoint(moves: &[CheckpointMove]) -> CheckpointFault {
    let mut game = CheckpointGame::new(4, 1);
    let (last, before) = moves.split_last().expect("a move");
    before.iter().for_each(|&one| game.apply(one).expect("only the last move is illegal"));
    let unchanged = format!("{game:?}");
    let fault = game.apply(*last).expect_err("the last move is illegal");
    assert_eq!(format!("{game:?}"), unchanged, "a refused move changed the board");
    fault
}

use CheckpointMove::{Paint, Put, Take};

#[test]
fn a_checkpoint_pebble_is_put_only_next_to_another_one() {
    assert_eq!(checkpoint(&[Put(2)]), CheckpointFault::NothingBefore { square: 2 });
    assert_eq!(checkpoint(&[Put(1), Take(1), Put(2)]), CheckpointFault::NothingBefore { square: 2 });
    assert_eq!(checkpoint(&[Take(0), Put(0)]), CheckpointFault::NothingBefore { square: 0 });
}

#[test]
fn a_checkpoint_pebble_is_put_only_on_an_empty_square() {
    assert_eq!(checkpoint(&[Put(1), Put(1)]), CheckpointFault::Occupied { square: 1 });
}

#[test]
fn a_checkpoint_pebble_is_put_only_from_the_pile() {
    assert_eq!(checkpoint(&[Put(1), Put(2)]), CheckpointFault::EmptyPile { square: 2 });
    // the first pebble may go to the pile too
    let counts = CheckpointGame::play(2, 1, [Put(1), Take(0), Paint(1)]);
    assert_eq!(counts, Err(CheckpointFault::Unfinished { remaining: 1 }));
    let mut game = CheckpointGame::new(4, 1);
    [Put(1), Take(0), Put(2)].into_iter().try_for_each(|one| game.apply(one)).expect("two pebbles in all");
}

#[test]
fn only_a_checkpoint_pebble_that_is_there_is_taken() {
    assert_eq!(checkpoint(&[Take(1)]), CheckpointFault::Empty { square: 1 });
    assert_eq!(checkpoint(&[Take(0), Take(0)]), CheckpointFault::Empty { square: 0 });
}

#[test]
fn squares_are_painted_from_the_last_to_the_first_each_once() {
    assert_eq!(checkpoint(&[Paint(0)]), CheckpointFault::PaintOrder { square: 0, next: 3 });
    let walk = [Put(1), Take(0), Put(2), Take(1), Put(3)];
    assert_eq!(checkpoint(&[&walk[..], &[Paint(2)]].concat()), CheckpointFault::PaintOrder { square: 2, next: 3 });
    assert_eq!(
        checkpoint(&[&walk[..], &[Paint(3), Paint(3)]].concat()),
        CheckpointFault::PaintOrder { square: 3, next: 2 }
    );
}

#[test]
fn a_square_is_painted_only_with_a_pebble_on_it() {
    assert_eq!(checkpoint(&[Paint(3)]), CheckpointFault::Empty { square: 3 });
}

#[test]
fn there_are_no_checkpoint_squares_beyond_the_board() {
    for one in [Put(4), Take(4), Paint(4)] {
        assert_eq!(checkpoint(&[one]), CheckpointFault::OffBoard { square: 4, squares: 4 });
    }
}

#[test]
fn a_checkpoint_game_ends_when_all_is_painted() {
    let moves = [Put(1), Paint(1)];
    assert_eq!(CheckpointGame::play(2, 1, moves), Err(CheckpointFault::Unfinished { remaining: 1 }));
    let counts = CheckpointGame::play(2, 1, [Put(1), Paint(1), Take(1), Paint(0)]).expect("a whole game");
    assert_eq!((counts.puts, counts.takes, counts.paints, counts.peak_pebbles), (1, 1, 2, 2));
}

fn put(square: usize) -> ReversibleMove {
    ReversibleMove { square, put: true }
}

fn remove(square: usize) -> ReversibleMove {
    ReversibleMove { square, put: false }
}

/// The fault that the last of the moves on the squares 0 to 4 with 2 pebbles is refused for.
fn reversible(moves: &[ReversibleMove]) -> ReversibleFault {
    let mut game = ReversibleGame::new(4, 2);
    let (last, before) = moves.split_last().expect("a move");
    before.iter().for_each(|&one| game.apply(one).expect("only the last move is illegal"));
    let unchanged = format!("{game:?}");
    let fault = game.apply(*last).expect_err("the last move is illegal");
    assert_eq!(format!("{game:?}"), unchanged, "a refused move changed the board");
    fault
}

#[test]
fn a_reversible_pebble_is_put_only_next_to_another_one() {
    assert_eq!(reversible(&[put(2)]), ReversibleFault::NothingBefore { square: 2 });
}

#[test]
fn a_reversible_pebble_is_removed_only_next_to_another_one() {
    let moves = [put(1), put(2), remove(1), remove(2)];
    assert_eq!(reversible(&moves), ReversibleFault::NothingBefore { square: 2 });
}

#[test]
fn a_reversible_pebble_is_put_only_on_an_empty_square() {
    assert_eq!(reversible(&[put(1), put(1)]), ReversibleFault::Occupied { square: 1 });
}

#[test]
fn only_a_reversible_pebble_that_is_there_is_removed() {
    assert_eq!(reversible(&[remove(1)]), ReversibleFault::Empty { square: 1 });
}

#[test]
fn a_reversible_pebble_is_put_only_from_the_pile() {
    assert_eq!(reversible(&[put(1), put(2), put(3)]), ReversibleFault::EmptyPile { square: 3 });
}

#[test]
fn the_first_square_and_those_beyond_the_board_are_left_alone() {
    for one in [put(0), remove(0), put(5), remove(5)] {
        assert_eq!(reversible(&[one]), ReversibleFault::OffBoard { square: one.square, last: 4 });
    }
}

#[test]
fn a_reversible_game_ends_with_a_pebble_on_the_last_square_and_a_clean_one_with_no_other() {
    assert_eq!(ReversibleGame::play(2, 2, false, [put(1)]), Err(ReversibleFault::Unfinished { last: 2 }));
    assert_eq!(ReversibleGame::play(2, 2, true, [put(1), put(2)]), Err(ReversibleFault::Unclean { left: 1 }));
    let counts = ReversibleGame::play(2, 2, true, [put(1), put(2), remove(1)]).expect("a clean game");
    assert_eq!((counts.forward, counts.reverse, counts.peak_pebbles, counts.until_reached), (2, 1, 3, Some(2)));
}

/// The fault that the last of the moves of 4 steps with 1 unit is refused for.
fn mixed(moves: &[MixedMove]) -> MixedFault {
    let mut machine = MixedMachine::new(4, 1);
    let (last, before) = moves.split_last().expect("a move");
    before.iter().for_each(|&one| machine.apply(one).expect("only the last move is illegal"));
    let unchanged = format!("{machine:?}");
    let fault = machine.apply(*last).expect_err("the last move is illegal");
    assert_eq!(format!("{machine:?}"), unchanged, "a refused move changed the machine");
    fault
}

use MixedMove::{Advance, Free, KeepData, KeepState, PullBack, Restore, Reverse};

#[test]
fn the_working_state_of_the_mixed_game_is_where_it_is() {
    let elsewhere = MixedFault::Elsewhere { expected: 1 };
    assert_eq!(mixed(&[KeepState { step: 1, unit: 0 }]), elsewhere);
    assert_eq!(mixed(&[KeepData { step: 1, unit: 0 }]), elsewhere);
    assert_eq!(mixed(&[Advance { from: 1, to: 2 }]), elsewhere);
    assert_eq!(mixed(&[Reverse { step: 1 }]), elsewhere);
    let used_up = [Advance { from: 0, to: 3 }, Reverse { step: 3 }, Advance { from: 3, to: 4 }];
    assert_eq!(mixed(&used_up), MixedFault::Elsewhere { expected: 3 });
}

#[test]
fn ranges_of_the_mixed_game_stay_within_the_evolution() {
    assert_eq!(mixed(&[Advance { from: 0, to: 5 }]), MixedFault::Range { from: 0, to: 5 });
    assert_eq!(mixed(&[Advance { from: 0, to: 0 }]), MixedFault::Range { from: 0, to: 0 });
    assert_eq!(mixed(&[Advance { from: 0, to: 4 }, Reverse { step: 4 }]), MixedFault::Range { from: 4, to: 5 });
}

#[test]
fn a_mixed_unit_holds_one_thing() {
    let full = [KeepState { step: 0, unit: 0 }, KeepState { step: 0, unit: 0 }];
    assert_eq!(mixed(&full), MixedFault::Taken { unit: 0 });
    assert_eq!(mixed(&[full[0], KeepData { step: 0, unit: 0 }]), MixedFault::Taken { unit: 0 });
    assert_eq!(mixed(&[KeepState { step: 0, unit: 1 }]), MixedFault::NoSuchUnit { unit: 1 });
    assert_eq!(mixed(&[Free { unit: 0 }]), MixedFault::OtherContent { unit: 0 });
}

#[test]
fn a_mixed_unit_gives_back_only_what_it_holds() {
    let (state, data) = (KeepState { step: 0, unit: 0 }, KeepData { step: 0, unit: 0 });
    assert_eq!(mixed(&[state, Restore { step: 1, unit: 0 }]), MixedFault::OtherContent { unit: 0 });
    assert_eq!(mixed(&[data, Restore { step: 0, unit: 0 }]), MixedFault::OtherContent { unit: 0 });
    assert_eq!(mixed(&[state, PullBack { step: 0, unit: 0 }]), MixedFault::OtherContent { unit: 0 });
}

#[test]
fn mixed_steps_are_pulled_back_from_the_last_to_the_first() {
    assert_eq!(mixed(&[Reverse { step: 0 }]), MixedFault::Order { step: 0, adjoint: 4 });
    let data = [KeepData { step: 0, unit: 0 }, PullBack { step: 0, unit: 0 }];
    assert_eq!(mixed(&data), MixedFault::Order { step: 0, adjoint: 4 });
}

#[test]
fn a_mixed_game_ends_with_nothing_left() {
    assert_eq!(MixedMachine::play(1, 1, []), Err(MixedFault::Unfinished { remaining: 1, held: 0 }));
    let left = [KeepState { step: 0, unit: 0 }, Reverse { step: 0 }];
    assert_eq!(MixedMachine::play(1, 1, left), Err(MixedFault::Unfinished { remaining: 0, held: 1 }));
}
