//! A node: shots that share its disk.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A time in seconds, with an order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Time(pub f64);

impl Eq for Time {}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A shot under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Running {
    /// What the node's clock shows when it ends.
    due: Time,
    pub rank: usize,
    pub shot: usize,
    began: Time,
}

/// A shot that has ended.
pub(super) struct EndedShot {
    pub rank: usize,
    pub shot: usize,
    /// When it began.
    pub began: f64,
}

/// The shots under way on a node, each of which writes and reads `rate` bytes per second while it runs at full speed. As long as `n` of them
/// ask for more than the disk gives, all run at the speed `bandwidth / (n rate)`: the node's clock is slower.
pub(super) struct Node {
    bandwidth: f64,
    rate: f64,
    running: BinaryHeap<Reverse<Running>>,
    /// What its clock showed at some time, and how fast it has gone since.
    clock: f64,
    at: f64,
    speed: f64,
    changes: u64,
}

impl Node {
    pub fn new(bandwidth: f64, rate: f64) -> Self {
        Node { bandwidth, rate, running: BinaryHeap::new(), clock: 0.0, at: 0.0, speed: 1.0, changes: 0 }
    }

    fn set_clock(&mut self, now: f64) {
        self.clock += self.speed * (now - self.at);
        self.at = now;
    }

    fn set_speed(&mut self) {
        let asked = self.running.len() as f64 * self.rate;
        self.speed = if asked > self.bandwidth { self.bandwidth / asked } else { 1.0 };
        self.changes += 1;
    }

    /// A rank begins a shot of so many seconds.
    pub fn begin(&mut self, now: f64, seconds: f64, rank: usize, shot: usize) {
        self.set_clock(now);
        self.running.push(Reverse(Running { due: Time(self.clock + seconds), rank, shot, began: Time(now) }));
        self.set_speed();
    }

    /// When the next shot ends unless something changes, and the number of changes so far.
    pub fn next_end(&self, now: f64) -> Option<(f64, u64)> {
        let Reverse(next) = self.running.peek()?;
        Some((now.max(self.at + (next.due.0 - self.clock) / self.speed), self.changes))
    }

    /// The shot that ends now, if nothing has changed since so many changes.
    pub fn end(&mut self, now: f64, changes: u64) -> Option<EndedShot> {
        if changes != self.changes {
            return None;
        }
        let Reverse(Running { rank, shot, began, .. }) = self.running.pop()?;
        self.set_clock(now);
        self.set_speed();
        Some(EndedShot { rank, shot, began: began.0 })
    }
}
