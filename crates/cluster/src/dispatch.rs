//! Which rank gets which shot: the decisions of rank 0, apart from how messages travel.

use crate::Completion;

/// A rank may hold one shot more than it computes as long as more shots than so many per worker are left.
///
/// A shot in hand saves the wait for the next; but at the end of the queue it would lie with a busy rank while others
/// have nothing to do. In simulations of 1 to 12 shots per rank whose costs differ by up to 4, with answers that take
/// 0.2 to 2 % of the cheapest shot, 1 was as good as 2 and better than 0, 3 and no limit.
const LEFT_PER_WORKER: usize = 1;

/// How far a rank is, as it tells rank 0 after every change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Shots that have reached the rank.
    pub received: usize,
    /// Shots it has finished.
    pub finished: usize,
    /// Shots it has dropped because of a stop.
    pub dropped: usize,
    /// Whether a stop was requested there.
    pub stop: bool,
}

impl Report {
    /// Shots under way or waiting on the rank.
    pub(crate) fn in_hand(&self) -> usize {
        self.received - self.finished - self.dropped
    }
}

/// What rank 0 tells a rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Do this shot, after the one under way if there is one.
    Shot(usize),
    /// Begin no more shots.
    Stop,
    /// All ranks are through: leave the queue. Always the last answer.
    End(Completion),
}

/// What rank 0 knows of a rank.
#[derive(Clone, Copy, Default)]
struct Rank {
    report: Option<Report>,
    given: usize,
    stopped: bool,
    ended: bool,
}

impl Rank {
    /// Shots under way or waiting on the rank; `None` while it has not come to the queue, or a shot is on its way to it.
    fn in_hand(&self) -> Option<usize> {
        self.report.filter(|report| report.received == self.given).map(|report| report.in_hand())
    }
}

/// Hands out the shots of one queue.
pub(crate) struct Dispatcher<'a> {
    left: &'a [usize],
    total: usize,
    /// Shots that a rank computes side by side.
    workers: usize,
    stop: bool,
    ranks: Vec<Rank>,
}

impl<'a> Dispatcher<'a> {
    /// For so many ranks of so many workers.
    pub(crate) fn new(order: &'a [usize], size: usize, workers: usize) -> Self {
        Dispatcher { left: order, total: order.len(), workers, stop: false, ranks: vec![Rank::default(); size] }
    }

    /// Takes note of how far a rank is.
    pub(crate) fn report(&mut self, rank: usize, report: Report) {
        self.stop |= report.stop;
        self.ranks[rank].report = Some(report);
    }

    /// The next answer that is due, with the rank it goes to; to be called until there is none.
    pub(crate) fn answer(&mut self) -> Option<(usize, Answer)> {
        if self.stop
            && let Some(rank) = self.ranks.iter().position(|rank| !rank.stopped)
        {
            self.ranks[rank].stopped = true;
            return Some((rank, Answer::Stop));
        }
        if !self.stop
            && let Some((&shot, left)) = self.left.split_first()
            && let Some(rank) = self.next_rank()
        {
            self.left = left;
            self.ranks[rank].given += 1;
            return Some((rank, Answer::Shot(shot)));
        }
        let through = (self.stop || self.left.is_empty()) && self.ranks.iter().all(|rank| rank.in_hand() == Some(0));
        let rank = self.ranks.iter().position(|rank| !rank.ended).filter(|_| through)?;
        self.ranks[rank].ended = true;
        Some((rank, Answer::End(self.completion())))
    }

    /// The rank that gets the next shot: the one with the most workers that have nothing to do, else, while enough are
    /// left, one with nothing to do next.
    fn next_rank(&self) -> Option<usize> {
        let ahead = self.left.len() > LEFT_PER_WORKER * self.workers * self.ranks.len();
        let most = if ahead { self.workers } else { self.workers - 1 };
        let in_hand = (0..self.ranks.len()).filter_map(|rank| Some((self.ranks[rank].in_hand()?, rank)));
        in_hand.min().filter(|(count, _)| *count <= most).map(|(_, rank)| rank)
    }

    /// Shots that the ranks have finished, as far as they have told.
    pub(crate) fn finished(&self) -> usize {
        self.ranks.iter().filter_map(|rank| rank.report).map(|report| report.finished).sum()
    }

    fn completion(&self) -> Completion {
        if self.finished() == self.total { Completion::Completed } else { Completion::Stopped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All answers that are due.
    fn answers(dispatcher: &mut Dispatcher) -> Vec<(usize, Answer)> {
        std::iter::from_fn(|| dispatcher.answer()).collect()
    }

    /// Whether every rank was told to leave.
    fn is_over(dispatcher: &Dispatcher) -> bool {
        dispatcher.ranks.iter().all(|rank| rank.ended)
    }

    fn report(received: usize, finished: usize) -> Report {
        Report { received, finished, ..Report::default() }
    }

    /// A simulated machine: how long `ranks` ranks of some workers are busy with shots of the given seconds, an answer
    /// taking `delay`. Returns the seconds until the end and how often each shot was done.
    fn simulate(seconds: &[f64], [ranks, workers]: [usize; 2], delay: f64) -> (f64, Vec<usize>) {
        let order: Vec<usize> = (0..seconds.len()).collect();
        let mut dispatcher = Dispatcher::new(&order, ranks, workers);
        let mut done = vec![0; seconds.len()];
        let mut reports = vec![Report::default(); ranks];
        // What is to happen: when, the sequence number (to be stable), on which rank, and a shot's arrival or end.
        let mut events: Vec<(f64, usize, usize, Option<usize>)> = Vec::new();
        let mut busy_until = vec![vec![0.0_f64; workers]; ranks];
        let (mut now, mut sequence) = (0.0, 0);
        for (rank, &report) in reports.iter().enumerate() {
            dispatcher.report(rank, report);
        }
        loop {
            for (rank, answer) in answers(&mut dispatcher) {
                match answer {
                    Answer::Shot(shot) => {
                        events.push((now + delay, sequence, rank, Some(shot)));
                        sequence += 1;
                    }
                    Answer::End(completion) => assert_eq!(completion, Completion::Completed),
                    Answer::Stop => panic!("nobody asked to stop"),
                }
            }
            if is_over(&dispatcher) {
                return (now, done);
            }
            let next = (0..events.len()).min_by(|&a, &b| {
                let key = |i: usize| (events[i].0, events[i].1);
                key(a).partial_cmp(&key(b)).unwrap()
            });
            let (time, _, rank, shot) = events.swap_remove(next.expect("a rank waits for ever"));
            now = time;
            match shot {
                Some(shot) => {
                    reports[rank].received += 1;
                    let worker = busy_until[rank].iter_mut().min_by(|a, b| a.total_cmp(b)).expect("a rank has workers");
                    *worker = worker.max(now) + seconds[shot];
                    done[shot] += 1;
                    events.push((*worker, sequence, rank, None));
                    sequence += 1;
                }
                None => reports[rank].finished += 1,
            }
            dispatcher.report(rank, reports[rank]);
        }
    }

    /// Costs between 1 and 4, the dearest first.
    fn costs(count: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut costs: Vec<f64> = (0..count)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                1.0 + 3.0 * (state >> 11) as f64 / (1u64 << 53) as f64
            })
            .collect();
        costs.sort_by(|a, b| b.total_cmp(a));
        costs
    }

    #[test]
    fn every_shot_is_done_once_for_any_number_of_ranks_and_shots() {
        for ranks in 1..9 {
            for shots in [0, 1, 2, 7, 30] {
                for (delay, workers) in [(0.0, 1), (0.01, 1), (5.0, 1), (0.0, 3), (0.01, 2), (5.0, 4)] {
                    let (_, done) = simulate(&costs(shots, 7), [ranks, workers], delay);
                    let all = format!("{ranks} ranks of {workers} workers, {shots} shots: {done:?}");
                    assert!(done.iter().all(|&times| times == 1), "{all}");
                }
            }
        }
    }

    #[test]
    fn workers_are_idle_no_longer_than_one_shot_at_the_end_of_the_queue() {
        for (ranks, workers, shots) in [(2, 1, 8), (4, 1, 24), (8, 1, 100), (16, 1, 60), (2, 4, 60), (3, 2, 18)] {
            for seed in 0..20 {
                let costs = costs(shots, seed);
                let (seconds, _) = simulate(&costs, [ranks, workers], 0.0);
                // The classical bound of list scheduling: the mean, and what the last shot adds (Graham 1969).
                let all = ranks * workers;
                let bound = costs.iter().sum::<f64>() / all as f64 + costs[shots - all] * (1.0 - 1.0 / all as f64);
                assert!(
                    seconds <= bound + 1e-9,
                    "{ranks} × {workers}, {shots} shots, seed {seed}: {seconds} > {bound}"
                );
            }
        }
    }

    #[test]
    fn a_shot_in_hand_hides_the_wait_for_answers() {
        // An answer takes a tenth of the cheapest shot. With shots in hand only the last few per rank wait for it.
        let costs = costs(400, 3);
        let (seconds, _) = simulate(&costs, [4, 1], 0.1);
        let mean = costs.iter().sum::<f64>() / 4.0;
        let waits = (seconds - mean) / 0.1;
        assert!(waits < 8.0, "{waits} answers were waited for, of 100 shots per rank");
    }

    #[test]
    fn a_shot_is_held_in_hand_only_while_enough_are_left() {
        let order: Vec<usize> = (10..16).collect();
        let mut dispatcher = Dispatcher::new(&order, 2, 1);
        dispatcher.report(0, report(0, 0));
        assert_eq!(answers(&mut dispatcher), [(0, Answer::Shot(10))]);
        dispatcher.report(0, report(1, 0));
        assert_eq!(answers(&mut dispatcher), [(0, Answer::Shot(11))], "5 are left");
        dispatcher.report(0, report(2, 0));
        assert_eq!(answers(&mut dispatcher), [], "two are in hand");
        dispatcher.report(0, report(2, 1));
        assert_eq!(answers(&mut dispatcher), [(0, Answer::Shot(12))], "4 are left");
        dispatcher.report(0, report(3, 2));
        assert_eq!(answers(&mut dispatcher), [(0, Answer::Shot(13))], "3 are left");
        dispatcher.report(0, report(4, 3));
        assert_eq!(answers(&mut dispatcher), [], "2 are left, the other rank may come");
        dispatcher.report(0, report(4, 4));
        assert_eq!(answers(&mut dispatcher), [(0, Answer::Shot(14))], "nothing to do");
    }

    #[test]
    fn ranks_get_as_many_shots_as_they_have_workers_the_idlest_first() {
        let order: Vec<usize> = (10..16).collect();
        let mut dispatcher = Dispatcher::new(&order, 2, 2);
        dispatcher.report(0, report(0, 0));
        dispatcher.report(1, report(0, 0));
        assert_eq!(answers(&mut dispatcher), [(0, Answer::Shot(10)), (1, Answer::Shot(11))]);
        dispatcher.report(0, report(1, 0));
        assert_eq!(answers(&mut dispatcher), [(0, Answer::Shot(12))]);
        dispatcher.report(1, report(1, 0));
        dispatcher.report(0, report(2, 0));
        assert_eq!(
            answers(&mut dispatcher),
            [(1, Answer::Shot(13))],
            "2 are left, for 4 workers: none to hold in hand"
        );
        dispatcher.report(1, report(2, 0));
        assert_eq!(answers(&mut dispatcher), []);
        dispatcher.report(1, report(2, 1));
        assert_eq!(answers(&mut dispatcher), [(1, Answer::Shot(14))]);
    }

    #[test]
    fn an_old_report_gets_no_second_shot() {
        let mut dispatcher = Dispatcher::new(&[0, 1, 2, 3, 4, 5, 6], 1, 1);
        dispatcher.report(0, report(0, 0));
        assert_eq!(answers(&mut dispatcher).len(), 1);
        dispatcher.report(0, report(0, 0));
        assert_eq!(answers(&mut dispatcher), [], "the shot is on its way");
    }

    #[test]
    fn a_stop_goes_to_all_and_nobody_leaves_before_all_are_through() {
        let mut dispatcher = Dispatcher::new(&[5, 6, 7], 3, 1);
        dispatcher.report(0, report(0, 0));
        dispatcher.report(1, report(0, 0));
        assert_eq!(answers(&mut dispatcher), [(0, Answer::Shot(5)), (1, Answer::Shot(6))]);
        dispatcher.report(0, report(1, 0));
        dispatcher.report(1, Report { stop: true, ..report(1, 0) });
        assert_eq!(answers(&mut dispatcher), [(0, Answer::Stop), (1, Answer::Stop), (2, Answer::Stop)]);
        dispatcher.report(0, report(1, 1));
        dispatcher.report(1, Report { dropped: 1, stop: true, ..report(1, 0) });
        assert_eq!(answers(&mut dispatcher), [], "rank 2 has not come");
        dispatcher.report(2, report(0, 0));
        let end = Answer::End(Completion::Stopped);
        assert_eq!(answers(&mut dispatcher), [(0, end), (1, end), (2, end)]);
        assert!(is_over(&dispatcher));
    }

    #[test]
    fn a_stop_after_the_last_shot_is_no_stop() {
        let mut dispatcher = Dispatcher::new(&[5], 1, 1);
        dispatcher.report(0, report(0, 0));
        assert_eq!(answers(&mut dispatcher), [(0, Answer::Shot(5))]);
        dispatcher.report(0, Report { stop: true, ..report(1, 1) });
        assert_eq!(answers(&mut dispatcher), [(0, Answer::Stop), (0, Answer::End(Completion::Completed))]);
    }
}
