//! The ranks of an MPI job.

use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::{self, ThreadId};
use std::time::Instant;

use fail::fail_point;
use mpi::collective::SystemOperation;
use mpi::environment::{self, Threading, Universe};
use mpi::point_to_point::{Destination, Source};
use mpi::topology::{Communicator, SimpleCommunicator};
use mpi::traits::{CommunicatorCollectives, Root};
use treewave_core::StopFlag;

use crate::cluster::CHUNK_ELEMENTS;
use crate::patience::meeting_pause;
use crate::{
    Cluster, ClusterError, Completion, Failure, Progress, SoloCluster, Work, install_panic_hook, launcher, mpi_queue,
};

/// Bytes of one call to MPI.
const CHUNK_BYTES: usize = 1 << 26;
/// Tag of collected bytes.
const COLLECT: mpi::Tag = 1;

/// A cluster of MPI processes; a process without launcher is one rank.
///
/// MPI is called from the thread that started it alone (`MPI_THREAD_FUNNELED`); any other use is a bug and panics. To
/// end the program drop it on all ranks, best through [`finish`](crate::finish): leaving without is an error to the
/// launcher.
pub struct MpiCluster {
    rank: usize,
    size: usize,
    ranks_on_node: usize,
    /// Number of the next queue of shots, to tell late messages of one queue from those of the next.
    queue: AtomicI64,
    caller: ThreadId,
    /// Ends MPI when dropped.
    _universe: Universe,
}

impl MpiCluster {
    /// Starts MPI, once in a process, and [makes panics end the job](install_panic_hook). Takes about 0.3 s.
    ///
    /// # Errors
    /// [`ClusterError`]: another number of ranks than the launcher started (it belongs to another MPI), no thread
    /// support, or started already.
    pub fn start() -> Result<Self, ClusterError> {
        let (universe, provided) =
            environment::initialize_with_threading(Threading::Funneled).ok_or(ClusterError::AlreadyStarted)?;
        if provided < Threading::Funneled {
            return Err(ClusterError::Threading { provided: format!("{provided:?}").to_lowercase() });
        }
        let world = universe.world();
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        launcher::check(size, library().as_deref(), |name| std::env::var(name).ok())?;
        install_panic_hook();
        let ranks_on_node = world.split_shared(world.rank()).size() as usize;
        let (queue, caller) = (AtomicI64::new(0), thread::current().id());
        Ok(MpiCluster { rank, size, ranks_on_node, queue, caller, _universe: universe })
    }

    /// All ranks.
    fn world(&self) -> SimpleCommunicator {
        assert_eq!(thread::current().id(), self.caller, "MPI is called from the thread that started it alone");
        SimpleCommunicator::world()
    }

    /// All ranks, once they have all come. A collective call of MPI spins while it waits; this wait does not.
    fn gathered_world(&self) -> SimpleCommunicator {
        let world = self.world();
        await_all(&world);
        world
    }
}

impl Cluster for MpiCluster {
    fn rank(&self) -> usize {
        self.rank
    }
    fn size(&self) -> usize {
        self.size
    }
    fn ranks_on_node(&self) -> usize {
        self.ranks_on_node
    }

    fn barrier(&self) {
        await_all(&self.world());
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) {
        broadcast_from(&self.gathered_world(), 0, bytes);
    }

    fn collect(&self, bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let world = self.gathered_world();
        if self.rank > 0 {
            let root = world.process_at_rank(0);
            root.send_with_tag(&(bytes.len() as u64), COLLECT);
            bytes.chunks(CHUNK_BYTES).for_each(|chunk| root.send_with_tag(chunk, COLLECT));
            return None;
        }
        let mut all = vec![bytes.to_vec()];
        for rank in 1..self.size {
            let source = world.process_at_rank(rank as i32);
            let (len, _) = source.receive_with_tag::<u64>(COLLECT);
            let mut bytes = vec![0u8; len as usize];
            for chunk in bytes.chunks_mut(CHUNK_BYTES) {
                source.receive_into_with_tag(chunk, COLLECT);
            }
            all.push(bytes);
        }
        Some(all)
    }

    fn collect_on_node(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let world = self.gathered_world();
        let node = world.split_shared(world.rank());
        let from = |rank| {
            let mut bytes = if rank == node.rank() { bytes.to_vec() } else { Vec::new() };
            broadcast_from(&node, rank, &mut bytes);
            bytes
        };
        (0..node.size()).map(from).collect()
    }

    fn all_max(&self, value: i64) -> i64 {
        let mut largest = value;
        self.gathered_world().all_reduce_into(&value, &mut largest, SystemOperation::max());
        largest
    }

    fn all_sum(&self, values: &mut [i64]) {
        let world = self.gathered_world();
        let mut own = Vec::with_capacity(values.len().min(CHUNK_ELEMENTS));
        for chunk in values.chunks_mut(CHUNK_ELEMENTS) {
            own.clear();
            own.extend_from_slice(chunk);
            world.all_reduce_into(&own[..], chunk, SystemOperation::sum());
        }
    }

    fn for_each_shot_by(
        &self,
        order: &[usize],
        stop: &StopFlag,
        workers: Vec<Box<Work<'_>>>,
        progress: &mut Progress<'_>,
    ) -> Result<Completion, Failure> {
        if self.size == 1 {
            return SoloCluster.for_each_shot_by(order, stop, workers, progress);
        }
        let queue = self.queue.fetch_add(1, Ordering::Relaxed);
        Ok(mpi_queue::run(&self.world(), queue, order, stop, workers, progress))
    }
}

/// Name and version of the MPI library.
pub(crate) fn library() -> Option<String> {
    let text = environment::library_version().ok()?;
    Some(text.trim_end_matches('\0').lines().next().unwrap_or_default().trim().replace('\t', " "))
}

/// Returns when all ranks have come here; sleeps between looks, short at first.
fn await_all(world: &SimpleCommunicator) {
    fail_point!("message.collective");
    let began = Instant::now();
    let mut request = world.immediate_barrier();
    while let Err(pending) = request.test() {
        request = pending;
        thread::sleep(meeting_pause(began.elapsed()));
    }
}

/// Replaces `bytes` by those of the rank `root`.
fn broadcast_from(ranks: &SimpleCommunicator, root: mpi::Rank, bytes: &mut Vec<u8>) {
    let process = ranks.process_at_rank(root);
    let mut len = bytes.len() as u64;
    process.broadcast_into(&mut len);
    bytes.resize(len as usize, 0);
    bytes.chunks_mut(CHUNK_BYTES).for_each(|chunk| process.broadcast_into(chunk));
}
