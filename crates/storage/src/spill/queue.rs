//! The staging buffers between the caller and the disk, and the thread that works on them.
//!
//! A buffer goes round: free → filled by the caller → queued → writing → free; or free → reading → ready → copied by
//! the caller → free. Whoever works on the bytes of a buffer takes them out of the table, so that nobody holds the lock
//! while copying or while waiting for the disk.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hdf5::{Dataset, File};
use treewave_reversal::StoreError;

use crate::ffi::free_bytes;
use crate::publish::{reach, tells_of_no_room};

/// The open file, which has no name any more.
#[derive(Debug)]
pub(super) struct Disk {
    pub path: PathBuf,
    pub slots: Vec<Dataset>,
    // Declared last: datasets are closed before their file.
    pub _file: File,
}

impl Disk {
    /// An error with all that helps to put it right.
    pub fn failure(&self, verb: &str, slot: usize, bytes: usize, source: &io::Error) -> Failure {
        let folder = self.path.parent().unwrap_or(&self.path);
        let free = free_bytes(folder).unwrap_or(0);
        let context = format!(
            "{}: cannot {verb} the {bytes} bytes of slot {slot}, {free} bytes are free in the scratch folder",
            self.path.display()
        );
        let kind = if tells_of_no_room(&source.to_string()) { io::ErrorKind::StorageFull } else { source.kind() };
        Failure { context, kind, reason: source.to_string() }
    }
}

/// An error that can be told more than once.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    context: String,
    kind: io::ErrorKind,
    reason: String,
}

impl Failure {
    pub fn into_store_error(self) -> StoreError {
        StoreError::Io { context: self.context, source: io::Error::new(self.kind, self.reason) }
    }
}

/// Where the bytes of a slot were found.
pub(super) enum Staged {
    /// In a buffer; they have been copied.
    Copied,
    /// On disk and in no buffer.
    OnDisk,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Free,
    /// In the hands of the caller.
    Busy,
    /// Waits for the disk; the lowest `order` goes first. `keep` asks to become ready afterwards.
    Queued {
        slot: usize,
        order: u64,
        keep: bool,
    },
    /// On its way to the disk; no slot once it was discarded.
    Writing {
        slot: Option<usize>,
        keep: bool,
    },
    /// On its way from the disk; no slot once it was discarded.
    Reading {
        slot: Option<usize>,
    },
    /// Waits for the caller.
    Ready {
        slot: usize,
    },
}

impl Stage {
    fn slot(self) -> Option<usize> {
        match self {
            Stage::Queued { slot, .. } | Stage::Ready { slot } => Some(slot),
            Stage::Writing { slot, .. } | Stage::Reading { slot } => slot,
            Stage::Free | Stage::Busy => None,
        }
    }
    fn goes_to_disk(self) -> bool {
        matches!(self, Stage::Queued { .. } | Stage::Writing { .. })
    }
    fn is_prefetch(self) -> bool {
        matches!(
            self,
            Stage::Reading { .. }
                | Stage::Ready { .. }
                | Stage::Queued { keep: true, .. }
                | Stage::Writing { keep: true, .. }
        )
    }
}

#[derive(Debug)]
struct Buffer {
    /// Empty while somebody works on them.
    bytes: Vec<u8>,
    stage: Stage,
}

#[derive(Debug)]
struct State {
    buffers: Vec<Buffer>,
    /// Slots to be prefetched when a buffer is free, first come first served.
    hints: VecDeque<usize>,
    next_order: u64,
    failure: Option<Failure>,
    closing: bool,
}

impl State {
    fn find(&self, matches: impl Fn(Stage) -> bool) -> Option<usize> {
        self.buffers.iter().position(|buffer| matches(buffer.stage))
    }
    fn of_slot(&self, slot: usize) -> Option<usize> {
        self.find(|stage| stage.slot() == Some(slot))
    }
    fn take(&mut self, buffer: usize, stage: Stage) -> Vec<u8> {
        self.buffers[buffer].stage = stage;
        std::mem::take(&mut self.buffers[buffer].bytes)
    }
    fn give_back(&mut self, buffer: usize, bytes: Vec<u8>, stage: Stage) {
        self.buffers[buffer] = Buffer { bytes, stage };
    }
    fn check(&self) -> Result<(), Failure> {
        self.failure.clone().map_or(Ok(()), Err)
    }
    /// What the thread does next: writes go first, because they free buffers.
    fn next_task(&mut self) -> Option<Task> {
        let queued = |(i, buffer): (usize, &Buffer)| match buffer.stage {
            Stage::Queued { slot, order, keep } => Some((order, i, slot, keep)),
            _ => None,
        };
        if let Some((_, buffer, slot, keep)) = self.buffers.iter().enumerate().filter_map(queued).min() {
            let bytes = self.take(buffer, Stage::Writing { slot: Some(slot), keep });
            return Some(Task { buffer, slot, bytes, write: true });
        }
        // One buffer stays for writing, so that a prefetch nobody fetches cannot stop the caller.
        let prefetches = self.buffers.iter().filter(|buffer| buffer.stage.is_prefetch()).count();
        if prefetches >= (self.buffers.len() - 1).max(1) {
            return None;
        }
        let buffer = self.find(|stage| stage == Stage::Free)?;
        let slot = self.hints.pop_front()?;
        let bytes = self.take(buffer, Stage::Reading { slot: Some(slot) });
        Some(Task { buffer, slot, bytes, write: false })
    }
}

/// A transfer between a buffer and a slot.
struct Task {
    buffer: usize,
    slot: usize,
    bytes: Vec<u8>,
    write: bool,
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    pub fn new(buffers: usize, bytes: usize) -> Self {
        let buffer = || Buffer { bytes: vec![0; bytes], stage: Stage::Free };
        let state = State {
            buffers: (0..buffers).map(|_| buffer()).collect(),
            hints: VecDeque::new(),
            next_order: 0,
            failure: None,
            closing: false,
        };
        Queue { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something changes, and adds the seconds to `waited`.
    fn wait<'a>(&self, state: MutexGuard<'a, State>, waited: &mut f64) -> MutexGuard<'a, State> {
        let start = Instant::now();
        let state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        *waited += start.elapsed().as_secs_f64();
        state
    }

    /// Lets the caller fill a buffer and queues it for writing.
    pub fn put(&self, slot: usize, fill: impl FnOnce(&mut [u8]), waited: &mut f64) -> Result<(), Failure> {
        let mut state = self.lock();
        let buffer = loop {
            state.check()?;
            if let Some(free) = state.find(|stage| stage == Stage::Free) {
                break free;
            }
            // A prefetch is given up only where no write is about to free a buffer.
            let ready = state.find(|stage| matches!(stage, Stage::Ready { .. }));
            match ready.filter(|_| state.find(Stage::goes_to_disk).is_none()) {
                Some(ready) => break ready,
                None => state = self.wait(state, waited),
            }
        };
        let mut bytes = state.take(buffer, Stage::Busy);
        drop(state);
        fill(&mut bytes);
        let mut state = self.lock();
        let order = state.next_order;
        state.next_order += 1;
        state.give_back(buffer, bytes, Stage::Queued { slot, order, keep: false });
        self.changed.notify_all();
        Ok(())
    }

    /// Lets the caller copy the bytes of a slot, if they are in a buffer or on their way to or from one.
    pub fn get(&self, slot: usize, copy: impl FnOnce(&[u8]), waited: &mut f64) -> Result<Staged, Failure> {
        let mut state = self.lock();
        state.hints.retain(|&hint| hint != slot);
        loop {
            state.check()?;
            let Some(buffer) = state.of_slot(slot) else { return Ok(Staged::OnDisk) };
            match state.buffers[buffer].stage {
                Stage::Queued { .. } => {
                    copy(&state.buffers[buffer].bytes);
                    return Ok(Staged::Copied);
                }
                Stage::Ready { .. } => {
                    let bytes = state.take(buffer, Stage::Busy);
                    drop(state);
                    copy(&bytes);
                    self.lock().give_back(buffer, bytes, Stage::Free);
                    self.changed.notify_all();
                    return Ok(Staged::Copied);
                }
                Stage::Writing { slot, .. } => {
                    state.buffers[buffer].stage = Stage::Writing { slot, keep: true };
                    state = self.wait(state, waited);
                }
                Stage::Reading { .. } | Stage::Free | Stage::Busy => state = self.wait(state, waited),
            }
        }
    }

    /// Asks for the bytes of a slot to be in a buffer soon.
    pub fn prefetch(&self, slot: usize) -> Result<(), Failure> {
        let mut state = self.lock();
        state.check()?;
        match state.of_slot(slot) {
            Some(buffer) => {
                if let Stage::Queued { keep, .. } | Stage::Writing { keep, .. } = &mut state.buffers[buffer].stage {
                    *keep = true;
                }
            }
            None if !state.hints.contains(&slot) => state.hints.push_back(slot),
            None => {}
        }
        self.changed.notify_all();
        Ok(())
    }

    /// Forgets the bytes of a slot; a write that has not begun is saved.
    pub fn discard(&self, slot: usize) -> Result<(), Failure> {
        let mut state = self.lock();
        state.check()?;
        state.hints.retain(|&hint| hint != slot);
        if let Some(buffer) = state.of_slot(slot) {
            let stage = &mut state.buffers[buffer].stage;
            *stage = match *stage {
                Stage::Writing { .. } => Stage::Writing { slot: None, keep: false },
                Stage::Reading { .. } => Stage::Reading { slot: None },
                _ => Stage::Free,
            };
        }
        self.changed.notify_all();
        Ok(())
    }

    /// Asks the thread to end; what is queued is not written, as nobody can read it any more.
    pub fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// The background thread: transfers until the store is closed or the disk fails.
    pub fn work(&self, disk: &Disk) {
        let _last_words = LastWords(self);
        loop {
            let mut state = self.lock();
            let mut task = loop {
                if state.closing {
                    return;
                }
                match state.next_task() {
                    Some(task) => break task,
                    None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(state);
            let (verb, place) = if task.write { ("write", "spill.write") } else { ("read", "spill.read") };
            let slot = &disk.slots[task.slot];
            let transferred = |done: hdf5::Result<()>| done.map_err(|e| io::Error::other(e.to_string()));
            let done = reach(place).and_then(|()| match task.write {
                true => transferred(slot.write_raw(&task.bytes[..])),
                false => transferred(slot.read_into_raw(&mut task.bytes).map(|_| ())),
            });
            let failure = done.err().map(|e| disk.failure(verb, task.slot, task.bytes.len(), &e));
            self.finish(task, failure);
        }
    }

    fn finish(&self, task: Task, failure: Option<Failure>) {
        let mut state = self.lock();
        let next = match state.buffers[task.buffer].stage {
            Stage::Writing { slot: Some(slot), keep: true } | Stage::Reading { slot: Some(slot) } => {
                Stage::Ready { slot }
            }
            _ => Stage::Free,
        };
        state.give_back(task.buffer, task.bytes, next);
        if failure.is_some() {
            state.failure = failure;
        }
        self.changed.notify_all();
    }
}

/// Tells the caller that nobody will answer any more, however the thread ends.
struct LastWords<'a>(&'a Queue);

impl Drop for LastWords<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if !state.closing && state.failure.is_none() {
            state.failure = Some(Failure {
                context: "the background thread of the spill file ended".into(),
                kind: io::ErrorKind::Other,
                reason: "it panicked".into(),
            });
        }
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The thread takes its next task, and is slow at it.
    fn begin(queue: &Queue) -> Task {
        queue.lock().next_task().expect("there is something to do")
    }

    fn put(queue: &Queue, slot: usize, byte: u8) {
        queue.put(slot, |bytes| bytes.fill(byte), &mut 0.0).expect("no failure");
    }

    fn get(queue: &Queue, slot: usize) -> Option<u8> {
        let mut found = None;
        queue.get(slot, |bytes| found = Some(bytes[0]), &mut 0.0).expect("no failure");
        found
    }

    #[test]
    fn a_prefetch_of_a_discarded_snapshot_is_not_served_for_its_successor() {
        let queue = Queue::new(2, 4);
        queue.prefetch(1).expect("no failure");
        let mut reading = begin(&queue);
        reading.bytes.fill(7);
        queue.discard(1).expect("no failure");
        put(&queue, 1, 8);
        queue.finish(reading, None);
        assert_eq!(get(&queue, 1), Some(8));
    }

    #[test]
    fn a_write_of_a_discarded_snapshot_is_not_kept_for_its_successor() {
        let queue = Queue::new(2, 4);
        put(&queue, 1, 7);
        queue.prefetch(1).expect("no failure");
        let writing = begin(&queue);
        queue.discard(1).expect("no failure");
        put(&queue, 1, 8);
        queue.finish(writing, None);
        assert_eq!(get(&queue, 1), Some(8));
        // Both writes went the same way, the later one last.
        let second = begin(&queue);
        assert_eq!((second.slot, second.write, second.bytes[0]), (1, true, 8));
    }

    #[test]
    fn writes_go_in_the_order_they_came_and_before_prefetches() {
        let queue = Queue::new(3, 4);
        queue.prefetch(9).expect("no failure");
        put(&queue, 5, 1);
        put(&queue, 4, 2);
        let order: Vec<(usize, bool)> = (0..3).map(|_| begin(&queue)).map(|task| (task.slot, task.write)).collect();
        assert_eq!(order, [(5, true), (4, true), (9, false)]);
    }

    #[test]
    fn a_write_that_has_not_begun_is_saved_by_a_discard() {
        let queue = Queue::new(2, 4);
        put(&queue, 1, 7);
        queue.discard(1).expect("no failure");
        assert!(queue.lock().next_task().is_none());
    }
}
