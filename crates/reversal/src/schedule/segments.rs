//! What all strategies share: segments of steps, and a stack of things still to be done that yields actions.

use super::{MAX_STEPS, ScheduleError};
use crate::action::Action;

/// Steps cut into segments of equal length, the first one shorter if they do not fit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segments {
    steps: usize,
    length: usize,
    count: usize,
}

impl Segments {
    pub(super) fn new(steps: usize, length: usize) -> Result<Self, ScheduleError> {
        if steps == 0 {
            return Err(ScheduleError::NoSteps);
        }
        if steps > MAX_STEPS {
            return Err(ScheduleError::TooManySteps { steps, limit: MAX_STEPS });
        }
        if length == 0 {
            return Err(ScheduleError::EmptySegment);
        }
        Ok(Segments { steps, length: length.min(steps), count: steps.div_ceil(length) })
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn longest(&self) -> usize {
        self.length
    }

    /// The step at which a segment starts; the end, for the number of segments.
    fn start(&self, segment: usize) -> usize {
        if segment == 0 { 0 } else { self.steps - (self.count - segment) * self.length }
    }

    /// The same action with segment numbers turned into steps.
    pub(super) fn in_steps(&self, action: Action) -> Action {
        match action {
            Action::Store { step, slot } => Action::Store { step: self.start(step), slot },
            Action::Restore { step, slot } => Action::Restore { step: self.start(step), slot },
            Action::Advance { from, to } => Action::Advance { from: self.start(from), to: self.start(to) },
            Action::Reverse { from, to } => Action::Reverse { from: self.start(from), to: self.start(to) },
            Action::Discard { slot } => Action::Discard { slot },
            Action::Uncompute { step, slot } => Action::Uncompute { step: self.start(step), slot },
        }
    }
}

/// Something still to be done.
#[derive(Clone)]
pub(super) enum Task<S> {
    /// An action, in segments.
    Act(Action),
    /// A part of the game that is to be cut up further.
    Play(S),
}

/// The rules by which a strategy cuts up its game.
pub(super) trait Game {
    /// A part of the game: typically a range of segments with the slots it may use.
    type Span: Clone;
    /// The whole game.
    fn whole(&self) -> Self::Span;
    /// Appends what a part of the game consists of, in the order of doing.
    fn cut(&self, span: Self::Span, parts: &mut Vec<Task<Self::Span>>);
}

/// The actions of a game, generated one by one; the memory is that of the depth of the game.
pub(super) struct Tasks<G: Game> {
    game: G,
    segments: Segments,
    todo: Vec<Task<G::Span>>,
}

impl<G: Game> Tasks<G> {
    pub(super) fn new(game: G, segments: Segments) -> Self {
        let mut todo = Vec::with_capacity(256);
        todo.push(Task::Play(game.whole()));
        Tasks { game, segments, todo }
    }
}

impl<G: Game + Clone> Clone for Tasks<G> {
    fn clone(&self) -> Self {
        // not shorter than that of a new game, so that it need not grow either
        let mut todo = Vec::with_capacity(self.todo.capacity());
        todo.extend_from_slice(&self.todo);
        Tasks { game: self.game.clone(), segments: self.segments, todo }
    }
}

impl<G: Game> Iterator for Tasks<G> {
    type Item = Action;

    fn next(&mut self) -> Option<Action> {
        loop {
            match self.todo.pop()? {
                Task::Act(action) => return Some(self.segments.in_steps(action)),
                Task::Play(span) => {
                    let first = self.todo.len();
                    self.game.cut(span, &mut self.todo);
                    // the stack gives back last things first
                    self.todo[first..].reverse();
                }
            }
        }
    }
}
