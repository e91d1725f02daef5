//! Schedules as games: what the driver does with states, told in pebbles.

use super::checkpoint::CheckpointMove;
use crate::action::{Action, Slot};
use std::collections::{HashMap, VecDeque};

/// The moves of the checkpoint game that a schedule makes.
///
/// The working state is a pebble as the snapshots are: to advance it by a step is to put a pebble on the next square, and to
/// take the one behind unless that is a snapshot. A leaf stands on all of its squares and paints them.
///
/// A schedule that un-computes plays the reversible game rather than this one; here its un-computations are seen as takes.
pub fn checkpoint_moves(actions: impl IntoIterator<Item = Action>) -> impl Iterator<Item = CheckpointMove> {
    let mut actions = actions.into_iter();
    let mut board = Board { held: HashMap::new(), copies: HashMap::new(), working: Some(0), moves: VecDeque::new() };
    std::iter::from_fn(move || {
        while board.moves.is_empty() {
            board.act(actions.next()?);
        }
        board.moves.pop_front()
    })
}

/// What stands where.
struct Board {
    /// The step that a slot keeps.
    held: HashMap<Slot, usize>,
    /// Slots that keep a step.
    copies: HashMap<usize, usize>,
    working: Option<usize>,
    moves: VecDeque<CheckpointMove>,
}

impl Board {
    fn act(&mut self, action: Action) {
        match action {
            Action::Store { step, slot } => {
                self.held.insert(slot, step);
                *self.copies.entry(step).or_default() += 1;
            }
            Action::Restore { step, .. } => self.work_at(Some(step)),
            Action::Advance { from, to } => {
                for square in from + 1..=to {
                    // a snapshot of that step may stand there
                    if !self.stored(square) {
                        self.moves.push_back(CheckpointMove::Put(square));
                    }
                    self.work_at(Some(square));
                }
            }
            Action::Reverse { from, to } => {
                let new: Vec<usize> = (from + 1..to).filter(|&square| !self.stored(square)).collect();
                self.moves.extend(new.iter().map(|&square| CheckpointMove::Put(square)));
                for square in (from..to).rev() {
                    self.moves.push_back(CheckpointMove::Paint(square));
                    if new.contains(&square) {
                        self.moves.push_back(CheckpointMove::Take(square));
                    }
                }
                self.work_at(None);
            }
            Action::Discard { slot } | Action::Uncompute { slot, .. } => {
                let Some(step) = self.held.remove(&slot) else { return };
                let copies = self.copies.get_mut(&step).expect("every slot that holds a step is counted");
                *copies -= 1;
                if *copies == 0 {
                    self.copies.remove(&step);
                    if self.working != Some(step) {
                        self.moves.push_back(CheckpointMove::Take(step));
                    }
                }
            }
        }
    }

    fn stored(&self, step: usize) -> bool {
        self.copies.contains_key(&step)
    }

    /// Takes the pebble of the working state away from where it was, unless a snapshot stands there.
    fn work_at(&mut self, step: Option<usize>) {
        if let Some(before) = self.working.filter(|&before| Some(before) != step && !self.stored(before)) {
            self.moves.push_back(CheckpointMove::Take(before));
        }
        self.working = step;
    }
}
