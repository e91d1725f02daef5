//! The threads of a rank that compute its shots, several side by side where there are several workers.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, Scope};

use treewave_core::StopFlag;

use crate::failure::ENVIRONMENT_CODE;
use crate::{Failure, Work};

/// Stack of a computing thread: that of a main thread.
const STACK_BYTES: usize = 8 << 20;

/// What a worker did with a shot.
pub(crate) enum News {
    Finished,
    /// A stop was requested before it began.
    Dropped,
    Failed(Failure),
}

/// Starts a thread per worker. They take shots from the sender until it is gone, and tell what they did with each. After a
/// failure a worker takes no other shot.
///
/// # Errors
/// A thread cannot be started.
pub(crate) fn start<'scope, 'work: 'scope>(
    scope: &'scope Scope<'scope, '_>,
    workers: Vec<Box<Work<'work>>>,
    stop: &'scope StopFlag,
    to_do: &'scope Mutex<Receiver<usize>>,
) -> Result<Receiver<News>, Failure> {
    let (tell, news) = channel();
    for work in workers {
        let tell = tell.clone();
        let thread = Builder::new().name("shots".into()).stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, move || compute(to_do, &tell, stop, work)).map_err(|error| {
            let what = "no thread could be started to compute shots";
            Failure::new(ENVIRONMENT_CODE, format!("{what}: {error}; look at the limits (ulimit -u)"))
        })?;
    }
    Ok(news)
}

fn compute(to_do: &Mutex<Receiver<usize>>, tell: &Sender<News>, stop: &StopFlag, mut work: Box<Work<'_>>) {
    // Whoever has nothing to do waits here, one of them for the next shot and the others for their turn.
    let next = || to_do.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(shot) = next() {
        let news =
            if stop.requested() { News::Dropped } else { work(shot).map_or_else(News::Failed, |()| News::Finished) };
        let failed = matches!(news, News::Failed(_));
        if tell.send(news).is_err() || failed {
            return;
        }
    }
}
