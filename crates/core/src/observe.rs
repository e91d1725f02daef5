//! What a long computation tells, and how it is asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A shot was finished by this rank.
    Shot { shot: usize, seconds: f64 },
    /// So many of the shots under way are finished, by all ranks together; told on rank 0 only.
    Progress { done: usize, total: usize },
    /// A line for the user.
    Message(String),
}

/// Receives events; passed down by the application.
pub trait Observer: Sync {
    /// Takes note of an event.
    fn event(&self, event: Event);
}

/// An observer that ignores everything.
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event) {}
}

/// A request to stop at the next safe point, shared by signal handlers and loops.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Asks to stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
    /// Whether someone asked to stop.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
    /// The flag itself, for signal handlers.
    pub fn shared(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}
