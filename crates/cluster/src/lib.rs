//! Ranks: how shots are spread over processes and their results brought together.
//!
//! A [`Cluster`] is what the inversion knows about the machine. [`SoloCluster`] is one process on its own; `MpiCluster`
//! (feature `mpi`) is a job under `mpirun` or `srun`. Both do the same, so that an inversion gives the same bits on any
//! number of ranks.
//!
//! | question | answer |
//! |---|---|
//! | who computes which shot | [`Cluster::for_each_shot`]: handed out on demand, the dearest first |
//! | how gradients are added | [`Cluster::sum`]: as integers, whose order does not matter |
//! | how an error ends a job | [`agree`](trait.Cluster.html#method.agree) where all ranks arrive, [`fail()`] where one stands alone, [`finish`] at the end of `main` |
//! | how many threads a rank has | [`threads_per_rank`] |
//! | how long a gradient takes on another machine | [`simulation`] |
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod cluster;
mod dispatch;
mod error;
mod failure;
mod launcher;
mod ledger_pace;
#[cfg(feature = "mpi")]
mod mpi_cluster;
#[cfg(feature = "mpi")]
mod mpi_queue;
mod patience;
#[allow(unsafe_code)]
mod shim;
pub mod simulation;
mod solo;
mod threads;
mod workers;

pub use cluster::{Cluster, Completion, Progress, Work};
pub use error::ClusterError;
pub use failure::{Failure, fail, finish, install_panic_hook};
pub use ledger_pace::{guessed_save, save_is_due};
#[cfg(feature = "mpi")]
pub use mpi_cluster::MpiCluster;
pub use shim::return_freed_memory;
pub use solo::SoloCluster;
pub use threads::{Threads, threads_per_rank};

/// The ranks this process belongs to: `MpiCluster` where this build has MPI, [`SoloCluster`] where it has not.
///
/// # Errors
/// Those of `MpiCluster::start` and [`SoloCluster::start`].
pub fn start() -> Result<Box<dyn Cluster>, ClusterError> {
    #[cfg(feature = "mpi")]
    return Ok(Box::new(MpiCluster::start()?));
    #[cfg(not(feature = "mpi"))]
    return Ok(Box::new(SoloCluster::start()?));
}

/// Name and version of the MPI library this build uses, `None` in a build without MPI. Does not start MPI.
pub fn mpi_library() -> Option<String> {
    #[cfg(feature = "mpi")]
    return mpi_cluster::library();
    #[cfg(not(feature = "mpi"))]
    return None;
}
