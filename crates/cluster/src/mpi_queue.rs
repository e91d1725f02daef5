//! The queue of shots over MPI: on every rank threads compute while the calling thread carries messages.
//!
//! Each rank reports to rank 0 after every change, rank 0 answers with shots, a stop, and the end (see
//! [`dispatch`](crate::dispatch)). The carriers sleep between looks at the mail, so they cost the computing threads
//! next to nothing, and rank 0 answers soon even while it computes.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use fail::fail_point;
use mpi::point_to_point::{Destination, Source};
use mpi::topology::{Communicator, SimpleCommunicator};
use treewave_core::StopFlag;

use crate::dispatch::{Answer, Dispatcher, Report};
use crate::failure::PANIC_CODE;
use crate::patience::{PAUSE, next_pause};
use crate::workers::{self, News};
use crate::{Completion, Failure, Progress, Work, fail};

/// Tag of reports: number of the queue, received, finished, dropped, stop.
const REPORT: mpi::Tag = 2;
/// Tag of answers: kind, shot.
const ANSWER: mpi::Tag = 3;
// Kinds of answers, as they travel.
const SHOT: i64 = 0;
const STOP: i64 = 1;
const COMPLETED: i64 = 2;
const STOPPED: i64 = 3;

/// Runs the queue on this rank, one of several. A failure of `work` ends the job.
pub(crate) fn run(
    world: &SimpleCommunicator,
    queue: i64,
    order: &[usize],
    stop: &StopFlag,
    workers: Vec<Box<Work<'_>>>,
    progress: &mut Progress<'_>,
) -> Completion {
    let side_by_side = workers.len();
    let (shots, to_do) = channel();
    let to_do = Mutex::new(to_do);
    thread::scope(|scope| {
        // Gone at the end of this body, which lets the workers end.
        let shots = shots;
        let news = workers::start(scope, workers, stop, &to_do).unwrap_or_else(|failure| fail(&failure));
        let dispatcher = (world.rank() == 0).then(|| Dispatcher::new(order, world.size() as usize, side_by_side));
        Carrier { world, queue, dispatcher, stop }.carry(&shots, &news, progress)
    })
}

/// Carries messages between the workers and rank 0.
struct Carrier<'a> {
    world: &'a SimpleCommunicator,
    queue: i64,
    /// On rank 0.
    dispatcher: Option<Dispatcher<'a>>,
    stop: &'a StopFlag,
}

impl Carrier<'_> {
    fn carry(mut self, shots: &Sender<usize>, news: &Receiver<News>, progress: &mut Progress<'_>) -> Completion {
        let (mut report, mut told, mut finished) = (Report::default(), None, 0);
        let mut pause = PAUSE;
        loop {
            report.stop = self.stop.requested();
            if told != Some(report) {
                self.tell(report);
                (told, pause) = (Some(report), PAUSE);
            }
            let answers = self.answers();
            let known = self.dispatcher.as_ref().map_or(0, Dispatcher::finished);
            if known > finished {
                finished = known;
                progress(finished);
            }
            for answer in answers {
                match answer {
                    Answer::Shot(shot) => {
                        report.received += 1;
                        // It is gone only if a shot failed, and then its news is there.
                        let _ = shots.send(shot);
                    }
                    Answer::Stop => self.stop.request(),
                    Answer::End(completion) => return completion,
                }
            }
            if told != Some(report) {
                continue;
            }
            match news.recv_timeout(pause) {
                Ok(News::Finished) => report.finished += 1,
                Ok(News::Dropped) => report.dropped += 1,
                Ok(News::Failed(failure)) => fail(&failure),
                Err(RecvTimeoutError::Timeout) => {
                    pause = next_pause(pause, report.in_hand());
                }
                Err(RecvTimeoutError::Disconnected) => {
                    fail(&Failure::new(PANIC_CODE, "the threads that compute shots ended by themselves"))
                }
            }
        }
    }

    /// Tells rank 0 how far this rank is.
    fn tell(&mut self, report: Report) {
        match &mut self.dispatcher {
            Some(dispatcher) => dispatcher.report(0, report),
            None => {
                let Report { received, finished, dropped, stop } = report;
                let letter = [self.queue, received as i64, finished as i64, dropped as i64, i64::from(stop)];
                fail_point!("message.report");
                self.world.process_at_rank(0).send_with_tag(&letter[..], REPORT);
            }
        }
    }

    /// What rank 0 has answered to this rank; on rank 0, answers all.
    fn answers(&mut self) -> Vec<Answer> {
        let Some(dispatcher) = &mut self.dispatcher else {
            let rank_0 = self.world.process_at_rank(0);
            return std::iter::from_fn(|| receive::<2>(&rank_0, ANSWER)).map(|(_, letter)| open(letter)).collect();
        };
        let mail = std::iter::from_fn(|| receive::<5>(&self.world.any_process(), REPORT));
        for (rank, [queue, received, finished, dropped, stop]) in mail {
            // A rank that met a stop when the last queue had just ended still said so; it will say it again.
            if queue == self.queue {
                let [received, finished, dropped] = [received, finished, dropped].map(|count| count as usize);
                dispatcher.report(rank, Report { received, finished, dropped, stop: stop != 0 });
            }
        }
        let mut own = Vec::new();
        while let Some((rank, answer)) = dispatcher.answer() {
            if rank == 0 {
                own.push(answer);
            } else {
                fail_point!("message.answer");
                self.world.process_at_rank(rank as i32).send_with_tag(&close(answer)[..], ANSWER);
            }
        }
        own
    }
}

/// A letter that has come, with the rank it comes from.
fn receive<const N: usize>(source: &impl Source, tag: mpi::Tag) -> Option<(usize, [i64; N])> {
    let (message, status) = source.immediate_matched_probe_with_tag(tag)?;
    let mut letter = [0; N];
    message.matched_receive_into(&mut letter[..]);
    Some((status.source_rank() as usize, letter))
}

/// An answer as it travels.
fn close(answer: Answer) -> [i64; 2] {
    match answer {
        Answer::Shot(shot) => [SHOT, shot as i64],
        Answer::Stop => [STOP, 0],
        Answer::End(Completion::Completed) => [COMPLETED, 0],
        Answer::End(Completion::Stopped) => [STOPPED, 0],
    }
}

/// The answer that [`close`] made.
fn open([kind, shot]: [i64; 2]) -> Answer {
    match kind {
        SHOT => Answer::Shot(shot as usize),
        STOP => Answer::Stop,
        COMPLETED => Answer::End(Completion::Completed),
        STOPPED => Answer::End(Completion::Stopped),
        _ => unreachable!("rank 0 sends answers of four kinds"),
    }
}
