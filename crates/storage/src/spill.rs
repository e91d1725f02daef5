//! Snapshots on disk: one HDF5 file per rank in the scratch directory.
//!
//! Slots are rows of one contiguous dataset, allocated at the start and never filled with zeros. A thread of its own
//! writes and reads while the stencils run; between it and the caller stand a few staging buffers, allocated once. The
//! file has no name any more as soon as it is open, so no end of the program leaves it behind.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};
use hdf5::Dataset;
use hdf5::plist::dataset_create::{AllocTime, FillTime};
use ndarray::{ArrayView1, ArrayViewMut1, s};
use treewave_reversal::{Slot, Snapshot, SnapshotStore, StoreError, StoreStatistics};

use crate::ffi::free_bytes;

/// Staging buffers, each of one state.
pub const STAGING_STATES: usize = 2;

/// What the thread is asked for.
enum Job {
    Write { slot: usize, buffer: Vec<u8> },
    Read { slot: usize, buffer: Vec<u8> },
}

/// What the thread has done: the buffer comes back.
struct Done {
    /// The slot, if this was a read.
    read: Option<usize>,
    buffer: Vec<u8>,
    result: Result<(), String>,
}

/// A prefetched slot.
enum Prefetched {
    Underway,
    Ready(Vec<u8>),
}

/// Keeps snapshots in an HDF5 file.
pub struct SpillStore<S> {
    path: PathBuf,
    state_bytes: usize,
    slots: usize,
    jobs: Option<Sender<Job>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
    free: Vec<Vec<u8>>,
    prefetched: HashMap<usize, Prefetched>,
    statistics: StoreStatistics,
    state: PhantomData<fn() -> S>,
}

impl<S: Snapshot> SpillStore<S> {
    /// A file `treewave-<name>-<rank>.h5` in `scratch` with room for `slots` states like `state`.
    ///
    /// # Errors
    /// The directory does not exist or cannot be written, or has too little room.
    pub fn create(scratch: &Path, name: &str, rank: usize, slots: usize, state: &S) -> Result<Self, StoreError> {
        let safe: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
        let path = scratch.join(format!("treewave-{safe}-{rank}-{}.h5", std::process::id()));
        let state_bytes = state.bytes();
        let needed = (state_bytes as u64).saturating_mul(slots as u64);
        let failed = |what: String, source: io::Error| StoreError::Io {
            context: format!("{}: {what}; choose another directory with reversal.scratch", scratch.display()),
            source,
        };
        let free = free_bytes(scratch).map_err(|e| failed("the scratch directory cannot be used".into(), e))?;
        if free < needed {
            let what = format!("{needed} bytes are needed for snapshots, {free} are free");
            return Err(failed(what, io::ErrorKind::StorageFull.into()));
        }
        // The system says why a file cannot be made, which HDF5 does not.
        fs::File::create(&path).map_err(|e| failed("the spill file cannot be made".into(), e))?;
        let dataset = create_dataset(&path, slots, state_bytes);
        let removed = fs::remove_file(&path);
        let hdf5 = |e: hdf5::Error| failed("the spill file cannot be made".into(), io::Error::other(e.to_string()));
        let dataset = dataset.map_err(hdf5)?;
        removed.map_err(|e| failed("the name of the spill file cannot be removed".into(), e))?;
        let (jobs, inbox) = unbounded();
        let (outbox, done) = unbounded();
        let thread = std::thread::Builder::new().name("spill".into()).spawn(move || work(&dataset, &inbox, &outbox));
        let thread = thread.map_err(|e| failed("the writing thread cannot be started".into(), e))?;
        Ok(SpillStore {
            path,
            state_bytes,
            slots,
            jobs: Some(jobs),
            done,
            thread: Some(thread),
            free: (0..STAGING_STATES).map(|_| vec![0; state_bytes]).collect(),
            prefetched: HashMap::new(),
            statistics: StoreStatistics::default(),
            state: PhantomData,
        })
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let alive = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if alive { Ok(()) } else { Err(self.broken("the writing thread has ended".into())) }
    }

    fn broken(&self, reason: String) -> StoreError {
        let free = self.path.parent().and_then(|scratch| free_bytes(scratch).ok());
        let free =
            free.map_or(String::new(), |free| format!(" ({} bytes per snapshot, {free} bytes free)", self.state_bytes));
        StoreError::Io { context: format!("{}{free}", self.path.display()), source: io::Error::other(reason) }
    }

    /// Takes back a buffer that the thread is through with.
    fn take_back(&mut self, done: Done) -> Result<(), StoreError> {
        let result = done.result;
        match done.read.filter(|slot| self.prefetched.contains_key(slot) && result.is_ok()) {
            Some(slot) => _ = self.prefetched.insert(slot, Prefetched::Ready(done.buffer)),
            None => self.free.push(done.buffer),
        }
        result.map_err(|reason| self.broken(reason))
    }

    /// Takes back what is there without waiting.
    fn poll(&mut self) -> Result<(), StoreError> {
        while let Ok(done) = self.done.try_recv() {
            self.take_back(done)?;
        }
        Ok(())
    }

    /// Waits for the thread to be through with something.
    fn wait(&mut self) -> Result<(), StoreError> {
        let began = Instant::now();
        let done = self.done.recv().map_err(|_| self.broken("the writing thread has ended".into()))?;
        self.statistics.seconds_waited += began.elapsed().as_secs_f64();
        self.take_back(done)
    }

    /// An empty buffer: a free one, the next that becomes free, or that of a prefetched slot that nobody asked for yet.
    fn buffer(&mut self) -> Result<Vec<u8>, StoreError> {
        self.poll()?;
        loop {
            if let Some(buffer) = self.free.pop() {
                return Ok(buffer);
            }
            let ready = self.prefetched.iter().find(|(_, p)| matches!(p, Prefetched::Ready(_))).map(|(&slot, _)| slot);
            match ready.and_then(|slot| self.prefetched.remove(&slot)) {
                Some(Prefetched::Ready(buffer)) => return Ok(buffer),
                _ => self.wait()?,
            }
        }
    }

    /// Forgets a prefetched slot.
    fn forget(&mut self, slot: usize) {
        if let Some(Prefetched::Ready(buffer)) = self.prefetched.remove(&slot) {
            self.free.push(buffer);
        }
    }

    fn check(&self, slot: Slot) -> Result<usize, StoreError> {
        if slot.index < self.slots {
            return Ok(slot.index);
        }
        Err(StoreError::Slot { slot, what: "is beyond the slots of the spill file" })
    }

    fn read(&mut self, slot: usize) -> Result<(), StoreError> {
        let buffer = self.buffer()?;
        self.prefetched.insert(slot, Prefetched::Underway);
        self.send(Job::Read { slot, buffer })
    }
}

fn create_dataset(path: &Path, slots: usize, state_bytes: usize) -> hdf5::Result<Dataset> {
    // The file closes with its last object, which is the dataset.
    let file = hdf5::File::create(path)?;
    file.new_dataset_builder()
        .empty::<u8>()
        .shape((slots, state_bytes))
        .no_chunk()
        .alloc_time(Some(AllocTime::Early))
        .fill_time(FillTime::Never)
        .create("snapshots")
}

/// The thread: jobs in the order they come, so a read sees the writes before it.
fn work(dataset: &Dataset, inbox: &Receiver<Job>, outbox: &Sender<Done>) {
    for job in inbox {
        let (read, buffer, result) = match job {
            Job::Write { slot, buffer } => {
                let result = dataset.write_slice(ArrayView1::from(&buffer[..]), s![slot, ..]);
                (None, buffer, result)
            }
            Job::Read { slot, mut buffer } => {
                let result = read_into(dataset, slot, &mut buffer);
                (Some(slot), buffer, result)
            }
        };
        let result = result.map_err(|e| e.to_string());
        if outbox.send(Done { read, buffer, result }).is_err() {
            return;
        }
    }
}

fn read_into(dataset: &Dataset, slot: usize, buffer: &mut [u8]) -> hdf5::Result<()> {
    let row: ndarray::Array1<u8> = dataset.read_slice_1d(s![slot, ..])?;
    ArrayViewMut1::from(buffer).assign(&row);
    Ok(())
}

impl<S: Snapshot> SnapshotStore<S> for SpillStore<S> {
    fn put(&mut self, slot: Slot, state: &S) -> Result<(), StoreError> {
        let index = self.check(slot)?;
        self.forget(index);
        let mut buffer = self.buffer()?;
        let mut rest = &mut buffer[..];
        for part in state.parts() {
            let (to, behind) = rest.split_at_mut(part.len());
            to.copy_from_slice(part);
            rest = behind;
        }
        self.statistics.bytes_written += self.state_bytes as u64;
        self.send(Job::Write { slot: index, buffer })
    }

    fn get(&mut self, slot: Slot, state: &mut S) -> Result<(), StoreError> {
        let index = self.check(slot)?;
        self.poll()?;
        if !self.prefetched.contains_key(&index) {
            self.read(index)?;
        }
        while !matches!(self.prefetched.get(&index), Some(Prefetched::Ready(_))) {
            self.wait()?;
        }
        if let Some(Prefetched::Ready(buffer)) = self.prefetched.remove(&index) {
            let mut rest = &buffer[..];
            for part in state.parts_mut() {
                let (from, behind) = rest.split_at(part.len());
                part.copy_from_slice(from);
                rest = behind;
            }
            self.free.push(buffer);
        }
        self.statistics.bytes_read += self.state_bytes as u64;
        Ok(())
    }

    fn discard(&mut self, slot: Slot) -> Result<(), StoreError> {
        let index = self.check(slot)?;
        self.poll()?;
        self.forget(index);
        Ok(())
    }

    fn prefetch(&mut self, slot: Slot) -> Result<(), StoreError> {
        let index = self.check(slot)?;
        self.poll()?;
        // A hint: without a free buffer the slot is read when it is asked for.
        if self.prefetched.contains_key(&index) || self.free.is_empty() {
            return Ok(());
        }
        self.read(index)
    }

    fn statistics(&self) -> StoreStatistics {
        self.statistics
    }
}

impl<S> Drop for SpillStore<S> {
    fn drop(&mut self) {
        // The thread ends when its inbox is closed.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use treewave_reversal::Tier;

    #[derive(Clone, Debug, PartialEq)]
    struct State(Vec<u8>, Vec<u8>);

    impl Snapshot for State {
        fn copy_from(&mut self, other: &Self) {
            self.clone_from(other);
        }
        fn parts(&self) -> Vec<&[u8]> {
            vec![&self.0, &self.1]
        }
        fn parts_mut(&mut self) -> Vec<&mut [u8]> {
            vec![&mut self.0, &mut self.1]
        }
    }

    fn state(seed: u64, bytes: usize) -> State {
        let byte = |i: usize| (seed.wrapping_mul(31).wrapping_add(i as u64 * 7) >> 1) as u8;
        State((0..bytes).map(byte).collect(), (0..bytes / 2).map(|i| byte(i + 3)).collect())
    }

    fn on_disk(index: usize) -> Slot {
        Slot { tier: Tier::Disk, index }
    }

    #[test]
    fn random_use_agrees_with_a_map_in_memory() {
        let scratch = tempfile::tempdir().unwrap();
        for bytes in [1, 100, 300_000] {
            let slots = 5;
            let mut store = SpillStore::create(scratch.path(), "a b/c", 3, slots, &state(0, bytes)).unwrap();
            let mut model: HashMap<usize, State> = HashMap::new();
            let mut random = 12345_u64;
            for round in 0..2000 {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let (action, slot) = ((random >> 33) % 4, (random >> 40) as usize % slots);
                match (action, model.contains_key(&slot)) {
                    (0, false) => {
                        store.put(on_disk(slot), &state(round, bytes)).unwrap();
                        model.insert(slot, state(round, bytes));
                    }
                    (1, true) => {
                        let mut read = state(0, bytes);
                        store.get(on_disk(slot), &mut read).unwrap();
                        assert!(read == model[&slot], "round {round}, slot {slot}, {bytes} bytes");
                    }
                    (2, true) => store.prefetch(on_disk(slot)).unwrap(),
                    (3, true) => {
                        store.discard(on_disk(slot)).unwrap();
                        model.remove(&slot);
                    }
                    _ => {}
                }
            }
            assert!(store.statistics().bytes_written > 0 && store.statistics().bytes_read > 0);
        }
    }

    #[test]
    fn the_file_has_no_name_while_it_is_used_and_is_gone_afterwards() {
        let scratch = tempfile::tempdir().unwrap();
        let mut store = SpillStore::create(scratch.path(), "run", 0, 2, &state(0, 1000)).unwrap();
        store.put(on_disk(1), &state(9, 1000)).unwrap();
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
        let mut read = state(0, 1000);
        store.get(on_disk(1), &mut read).unwrap();
        assert_eq!(read, state(9, 1000));
        drop(store);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn scratch_that_is_missing_too_small_or_not_a_directory_is_refused_with_its_name() {
        let scratch = tempfile::tempdir().unwrap();
        let missing = scratch.path().join("nowhere");
        let file = scratch.path().join("file");
        fs::write(&file, "x").unwrap();
        for (place, slots) in [(&missing, 1), (&file, 1), (&scratch.path().to_path_buf(), usize::MAX / 2000)] {
            let error = SpillStore::create(place, "run", 0, slots, &state(0, 1000)).err().unwrap();
            assert!(error.to_string().contains(&place.display().to_string()), "{error}");
        }
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn a_slot_beyond_the_last_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let mut store = SpillStore::create(scratch.path(), "run", 0, 2, &state(0, 10)).unwrap();
        assert!(matches!(store.put(on_disk(2), &state(0, 10)), Err(StoreError::Slot { .. })));
    }
}
