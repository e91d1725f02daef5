//! Everything is recorded in the one forward sweep: the fastest reversal, where the records fit.

use super::segments::{Game, Task};
use crate::action::Action;

/// The game of a single segment.
#[derive(Clone)]
pub(super) struct StoreAll;

impl Game for StoreAll {
    type Span = ();

    fn whole(&self) {}

    fn cut(&self, (): (), parts: &mut Vec<Task<()>>) {
        parts.push(Task::Act(Action::Reverse { from: 0, to: 1 }));
    }
}
