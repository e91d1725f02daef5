//! How an error or a panic on one rank ends all ranks, with its message told once and its exit code kept.

use std::io::Write;
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use crate::{Cluster, ClusterError, launcher, shim};

/// Exit code of a bug of ours, as Rust has it for panics.
pub(crate) const PANIC_CODE: i32 = 101;
/// Exit code of an unfit environment.
pub(crate) const ENVIRONMENT_CODE: i32 = 5;
/// What ranks above 0 wait before they speak: an error that all ranks meet at once is then told by rank 0 alone.
const AFTER_YOU: Duration = Duration::from_secs(1);
/// How long a rank waits for rank 0 to tell a shared failure and end the job.
const RANK_0_SPEAKS: Duration = Duration::from_secs(2);
/// How long a rank takes at most to tell its failure and have MPI end the job. A thread that hangs in writing to standard
/// error may keep it from telling, and MPI may not manage: the end of this process still makes the launcher end the others.
const ENDING_TAKES: Duration = Duration::from_secs(4);

/// What the launcher is given to pass the message on before it is asked to end the ranks: MPICH's throws away what it has not
/// read by then.
const MESSAGE_TRAVELS: Duration = Duration::from_millis(200);

/// An error that is to end the program: a message, complete as it stands, and the exit code.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct Failure {
    code: i32,
    message: String,
    shared: bool,
}

impl Failure {
    /// A failure of this rank. Codes outside 1..=255 cannot be exit codes of a failure and become 101.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        let code = if (1..=255).contains(&code) { code } else { PANIC_CODE };
        Failure { code, message: message.into(), shared: false }
    }
    /// The exit code, 1..=255.
    pub fn code(&self) -> i32 {
        self.code
    }
    /// The message, without a rank.
    pub fn message(&self) -> &str {
        &self.message
    }
    /// Whether all ranks have this failure, so that rank 0 can speak for all.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// The code, then the message.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [&self.code.to_le_bytes()[..], self.message.as_bytes()].concat()
    }
    /// The shared failure of [`to_bytes`](Self::to_bytes).
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let (code, message) = bytes.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let failure = Failure::new(i32::from_le_bytes(*code), String::from_utf8_lossy(message));
        Failure { shared: true, ..failure }
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        // A launcher of another MPI is met by all that it started.
        let shared = matches!(error, ClusterError::Launcher { .. });
        Failure { shared, ..Failure::new(ENVIRONMENT_CODE, error.to_string()) }
    }
}

/// Ends the whole job: writes the message to standard error once, and leaves with the failure's code on all ranks.
///
/// Works before MPI is started, on any thread, and while other ranks compute.
pub fn fail(failure: &Failure) -> ! {
    end_job(failure.code, failure.shared, |place| {
        let place = place.map(|(rank, _)| format!(" on rank {rank}")).filter(|_| !failure.shared);
        say(&format!("error{}: {}\n", place.unwrap_or_default(), failure.message));
    })
}

/// Ends `main`: with an exit code that all ranks have, or with a [`Failure`].
pub fn finish(cluster: Box<dyn Cluster>, outcome: Result<i32, Failure>) -> ! {
    match outcome {
        Ok(code) => {
            // A launcher may kill the others as soon as one leaves with a code other than 0.
            cluster.barrier();
            drop(cluster);
            process::exit(code)
        }
        Err(failure) => fail(&failure),
    }
}

/// Makes a panic on any thread of any rank end the whole job with exit code 101, its message told once.
///
/// Without it a panic on one rank leaves the others waiting for ever, and one on a side thread may go unseen. A panic
/// that would be caught later ends the job as well. Further calls do nothing.
pub fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            end_job(PANIC_CODE, false, |place| {
                if let Some((rank, size)) = place {
                    say(&format!("a bug met on rank {rank} of {size}:\n"));
                }
                print(panic);
            })
        }));
    });
}

/// Ends all ranks; `tell` is given rank and size where there is more than one rank.
fn end_job(code: i32, shared: bool, tell: impl FnOnce(Option<(usize, usize)>)) -> ! {
    static ENDING: AtomicBool = AtomicBool::new(false);
    if ENDING.swap(true, Ordering::SeqCst) {
        // Another thread of this rank is at it.
        loop {
            thread::park();
        }
    }
    let place = place();
    match place {
        None => {
            // What every process of a launcher of another MPI meets is told by the first of them.
            let started_as = || launcher::rank(crate::mpi_library().as_deref(), |name| std::env::var(name).ok());
            match started_as() {
                Some(1..) if shared => thread::sleep(RANK_0_SPEAKS),
                _ => tell(None),
            }
            leave(code)
        }
        Some((rank, size)) => {
            leave_after(ENDING_TAKES, code);
            // The launcher ends the other ranks with SIGTERM: one that is ending anyway obeys at once.
            shim::restore_sigterm();
            if shared && rank > 0 {
                thread::sleep(RANK_0_SPEAKS);
            } else {
                if rank > 0 {
                    thread::sleep(AFTER_YOU);
                }
                tell(Some((rank, size)));
                thread::sleep(MESSAGE_TRAVELS);
            }
            abort_ranks(code)
        }
    }
}

/// Writes to standard error in one piece, so that lines of the launcher do not come between.
fn say(text: &str) {
    // A closed standard error must not keep the job from ending.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Leaves this process. Exit handlers of libraries are skipped: they can wait for locks of threads that still compute.
fn leave(code: i32) -> ! {
    let _ = std::io::stdout().flush();
    shim::exit_now(code)
}

/// Leaves this process soon, whatever becomes of its other threads.
fn leave_after(time: Duration, code: i32) {
    let guard = thread::Builder::new().name("end".into()).spawn(move || {
        thread::sleep(time);
        shim::exit_now(code)
    });
    drop(guard);
}

/// Rank and size, if MPI runs and there is more than one rank.
#[cfg(feature = "mpi")]
fn place() -> Option<(usize, usize)> {
    use mpi::topology::Communicator;
    (mpi::environment::is_initialized() && !mpi::environment::is_finalized())
        .then(mpi::topology::SimpleCommunicator::world)
        .map(|world| (world.rank() as usize, world.size() as usize))
        .filter(|&(_, size)| size > 1)
}

#[cfg(not(feature = "mpi"))]
fn place() -> Option<(usize, usize)> {
    None
}

#[cfg(feature = "mpi")]
fn abort_ranks(code: i32) -> ! {
    use mpi::topology::Communicator;
    mpi::topology::SimpleCommunicator::world().abort(code)
}

#[cfg(not(feature = "mpi"))]
fn abort_ranks(code: i32) -> ! {
    leave(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_travelled_keeps_code_and_message_and_is_shared() {
        let failure = Failure::new(3, "trace 7 of `a.sgy`: NaN — expected finite");
        let arrived = Failure::from_bytes(&failure.to_bytes());
        assert_eq!((arrived.code(), arrived.message()), (3, failure.message()));
        assert!(arrived.is_shared() && !failure.is_shared());
    }

    #[test]
    fn a_failure_never_has_an_exit_code_that_means_success() {
        for code in [0, 256, -1, 512, i32::MIN] {
            assert_eq!(Failure::new(code, "").code(), PANIC_CODE, "{code}");
        }
        assert_eq!(Failure::new(75, "").code(), 75);
        assert_eq!(Failure::from_bytes(&[]).code(), PANIC_CODE);
    }
}
