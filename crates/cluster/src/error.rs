//! Why the ranks cannot be set up.

use thiserror::Error;

/// Why the ranks cannot be set up.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ClusterError {
    /// The launcher started another number of processes than this process can see.
    #[error(
        "the launcher started {launched} processes ({variable}={launched}), but this process sees {seen}: {advice}"
    )]
    Launcher {
        /// The variable that tells the number of processes.
        variable: &'static str,
        /// How many processes the launcher started.
        launched: usize,
        /// How many this process sees.
        seen: usize,
        /// Why that may be, and what to do.
        advice: String,
    },
    /// MPI runs already.
    #[error("MPI was started before in this process; it can be started only once")]
    AlreadyStarted,
    /// The MPI library does not allow threads beside the one that calls it.
    #[error(
        "the MPI library offers thread support `{provided}`, but `funneled` is needed; use an MPI built with threads"
    )]
    Threading {
        /// The level offered.
        provided: String,
    },
}
