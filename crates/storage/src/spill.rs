//! Snapshots on disk.
//!
//! One HDF5 file per rank, one contiguous dataset of bytes per slot, reserved at once and never filled. The file loses
//! its name as soon as it is open: whatever end the job takes, the system frees the space.
//!
//! A thread writes and prefetches in the background through a bounded number of staging buffers. The caller copies a
//! state into a buffer and goes on; it waits only where all buffers are taken, or for a state that is not in memory.

mod queue;

use std::io::{self, Read};
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use hdf5::dataset::{AllocTime, FillTime};
use hdf5::{Dataset, File};
use treewave_reversal::{Slot, Snapshot, SnapshotStore, StoreError, StoreStatistics, Tier};

use crate::ffi::free_bytes;
use crate::publish::reach;
use crate::reader::unlocked;
use queue::{Disk, Failure, Queue, Staged};

/// Makes the names of the files of this process differ.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Staging buffers, each of one state: writing and prefetching go on at once.
pub const STAGING_STATES: usize = 2;

/// Keeps snapshots on disk, in the slots of [`Tier::Disk`]; lives over many shots. A slot that is filled again, as after
/// a shot that ended half-way, is replaced.
///
/// After an error of the background thread every call returns that error: a state may be lost.
#[derive(Debug)]
pub struct SpillStore<S> {
    state_bytes: usize,
    disk: Arc<Disk>,
    queue: Arc<Queue>,
    worker: Option<JoinHandle<()>>,
    filled: Vec<bool>,
    statistics: StoreStatistics,
    state: PhantomData<fn(S)>,
}

impl<S: Snapshot> SpillStore<S> {
    /// A file `treewave-<name>-<host>-<rank>-….h5` in `scratch` with room for `slots` states like `state`.
    ///
    /// # Errors
    /// [`StoreError::Io`] with the folder and the bytes needed where the scratch folder cannot be written or has too
    /// little room (kind [`StorageFull`](io::ErrorKind::StorageFull), with the bytes that are free).
    pub fn create(scratch: &Path, name: &str, rank: usize, slots: usize, state: &S) -> Result<Self, StoreError> {
        let state_bytes = state.bytes();
        let needed = (state_bytes as u64).saturating_mul(slots as u64);
        let free = free_bytes(scratch);
        let failed = |source: io::Error| StoreError::Io {
            context: format!(
                "{}: a spill file of {needed} bytes cannot be made, {} bytes are free; lower `disk` in [reversal] or choose \
                 another `scratch`",
                scratch.display(),
                free.as_ref().unwrap_or(&0)
            ),
            source,
        };
        if *free.as_ref().map_err(|e| failed(e.kind().into()))? < needed {
            return Err(failed(io::ErrorKind::StorageFull.into()));
        }
        let plain = |text: &str| text.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect::<String>();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let beginning = format!("treewave-{}-{}-", plain(name), plain(host.trim()));
        remove_left_overs(scratch, &beginning);
        // Neither two stores of one process nor two jobs of one name may take each other's file.
        let (process, count) = (std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let path = scratch.join(format!("{beginning}{rank}-{process}-{count}.h5"));
        let file = create_unlinked(&path).map_err(failed)?;
        let datasets = reserve(&file, slots, state_bytes).map_err(|e| failed(io::Error::other(e.to_string())))?;
        let disk = Arc::new(Disk { path, slots: datasets, _file: file });
        let queue = Arc::new(Queue::new(STAGING_STATES, state_bytes));
        let (worker_queue, worker_disk) = (queue.clone(), disk.clone());
        let worker = std::thread::Builder::new()
            .name("spill".into())
            .spawn(move || worker_queue.work(&worker_disk))
            .map_err(failed)?;
        Ok(SpillStore {
            state_bytes,
            disk,
            queue,
            worker: Some(worker),
            filled: vec![false; slots],
            statistics: StoreStatistics::default(),
            state: PhantomData,
        })
    }

    fn index(&self, slot: Slot) -> Result<usize, StoreError> {
        match slot.tier {
            Tier::Disk if slot.index < self.filled.len() => Ok(slot.index),
            Tier::Disk => Err(StoreError::Slot { slot, what: "is beyond the slots of the spill file" }),
            Tier::Memory => Err(StoreError::Slot { slot, what: "is in memory, the spill file has slots on disk" }),
        }
    }

    fn filled(&self, slot: Slot) -> Result<usize, StoreError> {
        let index = self.index(slot)?;
        if self.filled[index] { Ok(index) } else { Err(StoreError::Slot { slot, what: "is empty" }) }
    }

    fn check_size(&self, slot: Slot, bytes: usize) -> Result<(), StoreError> {
        match bytes == self.state_bytes {
            true => Ok(()),
            false => Err(StoreError::Slot { slot, what: "was asked for a state of another size than the store's" }),
        }
    }

    fn read_directly(&mut self, index: usize, state: &mut S) -> Result<(), StoreError> {
        let start = Instant::now();
        let mut read = || -> io::Result<()> {
            reach("spill.read")?;
            let mut reader = self.disk.slots[index].as_byte_reader()?;
            state.parts_mut().into_iter().try_for_each(|part| reader.read_exact(part))
        };
        let done = read();
        self.statistics.seconds_waited += start.elapsed().as_secs_f64();
        done.map_err(|e| self.disk.failure("read", index, self.state_bytes, &e).into_store_error())
    }
}

impl<S: Snapshot> SnapshotStore<S> for SpillStore<S> {
    fn put(&mut self, slot: Slot, state: &S) -> Result<(), StoreError> {
        let index = self.index(slot)?;
        let parts = state.parts();
        self.check_size(slot, parts.iter().map(|p| p.len()).sum())?;
        if self.filled[index] {
            self.queue.discard(index).map_err(Failure::into_store_error)?;
        }
        let copy = |buffer: &mut [u8]| {
            let mut rest = buffer;
            for part in &parts {
                let (head, tail) = rest.split_at_mut(part.len());
                head.copy_from_slice(part);
                rest = tail;
            }
        };
        self.queue.put(index, copy, &mut self.statistics.seconds_waited).map_err(Failure::into_store_error)?;
        self.filled[index] = true;
        self.statistics.bytes_written += self.state_bytes as u64;
        Ok(())
    }

    fn get(&mut self, slot: Slot, state: &mut S) -> Result<(), StoreError> {
        let index = self.filled(slot)?;
        self.check_size(slot, state.bytes())?;
        let copy = |buffer: &[u8]| {
            let mut rest = buffer;
            for part in state.parts_mut() {
                let (head, tail) = rest.split_at(part.len());
                part.copy_from_slice(head);
                rest = tail;
            }
        };
        let staged = self.queue.get(index, copy, &mut self.statistics.seconds_waited);
        if let Staged::OnDisk = staged.map_err(Failure::into_store_error)? {
            self.read_directly(index, state)?;
        }
        self.statistics.bytes_read += self.state_bytes as u64;
        Ok(())
    }

    fn discard(&mut self, slot: Slot) -> Result<(), StoreError> {
        let index = self.filled(slot)?;
        self.filled[index] = false;
        self.queue.discard(index).map_err(Failure::into_store_error)
    }

    fn prefetch(&mut self, slot: Slot) -> Result<(), StoreError> {
        let index = self.filled(slot)?;
        self.queue.prefetch(index).map_err(Failure::into_store_error)
    }

    /// Bytes count with the call that hands them over, so that every run of a schedule counts the same, although a
    /// snapshot that is discarded or fetched at once may never reach the disk.
    fn statistics(&self) -> StoreStatistics {
        self.statistics
    }
}

impl<S> Drop for SpillStore<S> {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(worker) = self.worker.take() {
            // A panic of the thread was reported through the queue; there is nobody left to tell here.
            let _ = worker.join();
        }
    }
}

/// Creates the file and removes its name.
fn create_unlinked(path: &Path) -> io::Result<File> {
    reach("spill.create")?;
    let file = unlocked().create_excl(path).map_err(|e| system_error(path, &e))?;
    reach("spill.unlink")?;
    std::fs::remove_file(path)?;
    Ok(file)
}

/// Removes files of this host that processes killed between the two have left: after a beginning their names have rank,
/// process and count.
fn remove_left_overs(scratch: &Path, beginning: &str) {
    for entry in std::fs::read_dir(scratch).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let numbers = name.to_str().and_then(|name| name.strip_prefix(beginning)?.strip_suffix(".h5"));
        let numbers: Option<Vec<u64>> = numbers.and_then(|text| text.split('-').map(|n| n.parse().ok()).collect());
        let Some([_, process, _]) = numbers.as_deref() else { continue };
        if Path::new("/proc/self").exists() && !Path::new(&format!("/proc/{process}")).exists() {
            // Of no account: it takes room, and the next one tries again.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The system's own word on why a file cannot be made, which HDF5 wraps in many of its own.
fn system_error(path: &Path, error: &hdf5::Error) -> io::Error {
    match std::fs::OpenOptions::new().write(true).create_new(true).open(path) {
        Err(e) => e,
        Ok(_) => {
            let _ = std::fs::remove_file(path);
            io::Error::other(error.to_string())
        }
    }
}

/// One contiguous dataset per slot. The flush writes what describes them, so that nothing but states is written later.
fn reserve(file: &File, slots: usize, state_bytes: usize) -> hdf5::Result<Vec<Dataset>> {
    let slot = |index: usize| {
        file.new_dataset::<u8>()
            .no_chunk()
            .alloc_time(Some(AllocTime::Early))
            .fill_time(FillTime::Never)
            .shape([state_bytes])
            .create(format!("slot_{index:06}").as_str())
    };
    let slots = (0..slots).map(slot).collect::<hdf5::Result<Vec<_>>>()?;
    file.flush()?;
    Ok(slots)
}

#[cfg(test)]
mod tests;
