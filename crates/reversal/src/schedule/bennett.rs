//! Bennett's algorithm as a reversal: nothing is erased that was not un-computed.
//!
//! The squares of the reversible pebble game are the starts of the segments. A pebble is put by computing the segment
//! before it from a snapshot and storing the result in an empty slot, that is, by adding it to zero; it is removed by
//! computing the same once more and taking it away, which must leave zero. The game is played until the last state is
//! there, and then backwards; where it first leaves a square for good, the adjoint goes along, so that the step that
//! un-computes is the recorded one.
//!
//! The way there takes as many steps as the game ([`bennett_counts`], the outermost level not un-computed), and
//! so does the way back. That is more than any schedule with snapshots needs: this one is here to be measured.
//!
//! # References
//! Bennett (1989), *Time/space trade-offs for reversible computation*; Liu & Xu (2021), section 3.

use super::ScheduleError;
use super::segments::Segments;
use crate::action::{Action, Slot, Tier};
use crate::game::bennett::{BennettMoves, Round, ThereAndBack};
use crate::game::{ReversibleMove, bennett_counts};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

/// The actions, generated one by one.
#[derive(Clone)]
pub(super) struct Bennett {
    segments: Segments,
    rounds: ThereAndBack,
    /// The slot of each square with a pebble.
    slots: HashMap<usize, Slot>,
    /// Empty slots, the lowest on top.
    free: BinaryHeap<Reverse<usize>>,
    /// The square whose state the working state is, unless a leaf has used it up.
    working: Option<usize>,
    actions: VecDeque<Action>,
}

impl Bennett {
    pub(super) fn new(segments: Segments, blocks: usize) -> Result<Self, ScheduleError> {
        if blocks < 2 {
            return Err(ScheduleError::TooFewBlocks { found: blocks });
        }
        let slots = Bennett::slots(&segments, blocks);
        let mut bennett = Bennett {
            segments,
            rounds: BennettMoves::there_and_back(segments.count(), blocks),
            slots: HashMap::with_capacity(slots),
            free: (0..slots).map(Reverse).collect(),
            working: Some(0),
            actions: VecDeque::with_capacity(4),
        };
        bennett.store(0);
        Ok(bennett)
    }

    /// Slots in use at most.
    pub(super) fn slots(segments: &Segments, blocks: usize) -> usize {
        bennett_counts(segments.count(), blocks, false).peak_pebbles as usize
    }

    fn store(&mut self, square: usize) {
        let Reverse(index) = self.free.pop().expect("there are as many slots as the game has pebbles");
        let slot = Slot { tier: Tier::Memory, index };
        self.slots.insert(square, slot);
        self.actions.push_back(Action::Store { step: square, slot });
    }

    fn uncompute(&mut self, square: usize) {
        let slot = self.slots.remove(&square).expect("the game removes pebbles that are there");
        self.free.push(Reverse(slot.index));
        self.actions.push_back(Action::Uncompute { step: square, slot });
    }

    /// Has the working state at a square with a pebble.
    fn work_at(&mut self, square: usize) {
        if self.working != Some(square) {
            self.actions.push_back(Action::Restore { step: square, slot: self.slots[&square] });
        }
    }

    fn play(&mut self, round: Round) {
        match round {
            Round::Move(ReversibleMove { square, put }) => {
                self.work_at(square - 1);
                self.actions.push_back(Action::Advance { from: square - 1, to: square });
                self.working = Some(square);
                if put { self.store(square) } else { self.uncompute(square) }
            }
            Round::Adjoint(square) => {
                self.work_at(square - 1);
                self.actions.push_back(Action::Reverse { from: square - 1, to: square });
                self.working = None;
                self.uncompute(square);
            }
        }
    }
}

impl Iterator for Bennett {
    type Item = Action;

    fn next(&mut self) -> Option<Action> {
        while self.actions.is_empty() {
            match self.rounds.next() {
                Some(round) => self.play(round),
                // the input is given back as it was given
                None => self.actions.push_back(Action::Discard { slot: self.slots.remove(&0)? }),
            }
        }
        self.actions.pop_front().map(|action| self.segments.in_steps(action))
    }
}
