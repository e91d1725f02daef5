//! Which rank gets which shot: the decisions of rank 0, apart from how messages travel.

use std::collections::BTreeSet;

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
}

impl Rank {
    /// Shots under way or waiting on the rank; `None` while it has not come to the queue, or a shot is on its way to it.
    fn in_hand(&self) -> Option<usize> {
        self.report.filter(|report| report.received == self.given).map(|report| report.in_hand())
    }
}

/// Hands out the shots of one queue. An answer takes a time that grows with the logarithm of the number of ranks.
pub(crate) struct Dispatcher<'a> {
    left: &'a [usize],
    total: usize,
    /// Shots that a rank computes side by side.
    workers: usize,
    stop: bool,
    ranks: Vec<Rank>,
    /// Ranks by the shots they have in hand, where that is known.
    in_hand: BTreeSet<(usize, usize)>,
    /// Shots that the ranks have finished, as far as they have told.
    finished: usize,
    /// So many ranks, those with the lowest numbers, were told to stop, and to leave.
    stopped: usize,
    ended: usize,
}

impl<'a> Dispatcher<'a> {
    /// For so many ranks of so many workers.
    pub(crate) fn new(order: &'a [usize], size: usize, workers: usize) -> Self {
        Dispatcher {
            left: order,
            total: order.len(),
            workers,
            stop: false,
            ranks: vec![Rank::default(); size],
            in_hand: BTreeSet::new(),
            finished: 0,
            stopped: 0,
            ended: 0,
        }
    }

    /// Takes note of how far a rank is.
    pub(crate) fn report(&mut self, rank: usize, report: Report) {
        self.stop |= report.stop;
        let before = self.ranks[rank].report.map_or(0, |before| before.finished);
        self.finished = self.finished - before + report.finished;
        self.change(rank, |known| known.report = Some(report));
    }

    /// Changes what is known of a rank.
    fn change(&mut self, rank: usize, change: impl FnOnce(&mut Rank)) {
        let before = self.ranks[rank].in_hand();
        change(&mut self.ranks[rank]);
        let after = self.ranks[rank].in_hand();
        before.map(|in_hand| self.in_hand.remove(&(in_hand, rank)));
        after.map(|in_hand| self.in_hand.insert((in_hand, rank)));
    }

    /// The next answer that is due, with the rank it goes to; to be called until there is none.
    pub(crate) fn answer(&mut self) -> Option<(usize, Answer)> {
        if self.stop && self.stopped < self.ranks.len() {
            self.stopped += 1;
            return Some((self.stopped - 1, Answer::Stop));
        }
        if !self.stop
            && let Some((&shot, left)) = self.left.split_first()
            && let Some(rank) = self.next_rank()
        {
            self.left = left;
            self.change(rank, |known| known.given += 1);
            return Some((rank, Answer::Shot(shot)));
        }
        let nothing_in_hand = |&(count, _): &(usize, usize)| count == 0;
        let through = (self.stop || self.left.is_empty())
            && self.in_hand.len() == self.ranks.len()
            && self.in_hand.last().is_none_or(nothing_in_hand);
        if !through || self.ended == self.ranks.len() {
            return None;
        }
        self.ended += 1;
        Some((self.ended - 1, Answer::End(self.completion())))
    }

    /// The rank that gets the next shot: the one with the most workers that have nothing to do, else, while enough are
    /// left, one with nothing to do next.
    fn next_rank(&self) -> Option<usize> {
        let ahead = self.left.len() > LEFT_PER_WORKER * self.workers * self.ranks.len();
        let most = if ahead { self.workers } else { self.workers - 1 };
        self.in_hand.first().filter(|(count, _)| *count <= most).map(|(_, rank)| *rank)
    }

    /// Shots that the ranks have finished, as far as they have told.
    #[cfg(any(feature = "mpi", test))]
    pub(crate) fn finished(&self) -> usize {
        self.finished
    }

    fn completion(&self) -> Completion {
        if self.finished == self.total { Completion::Completed } else { Completion::Stopped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::Random;

    /// All answers that are due.
    fn answers(dispatcher: &mut Dispatcher) -> Vec<(usize, Answer)> {
        std::iter::from_fn(|| dispatcher.answer()).collect()
    }

    /// Whether every rank was told to leave.
    fn is_over(dispatcher: &Dispatcher) -> bool {
        dispatcher.ended == dispatcher.ranks.len()
    }

    fn report(received: usize, finished: usize) -> Report {
        Report { received, finished, ..Report::default() }
    }

    /// The rule as it reads, rank by rank.
    struct Plain<'a> {
        left: &'a [usize],
        workers: usize,
        total: usize,
        reports: Vec<Option<Report>>,
        given: Vec<usize>,
        stopped: Vec<bool>,
        ended: Vec<bool>,
    }

    impl<'a> Plain<'a> {
        fn new(order: &'a [usize], size: usize, workers: usize) -> Self {
            let (reports, given) = (vec![None; size], vec![0; size]);
            let (stopped, ended) = (vec![false; size], vec![false; size]);
            Plain { left: order, workers, total: order.len(), reports, given, stopped, ended }
        }

        fn in_hand(&self, rank: usize) -> Option<usize> {
            let report = self.reports[rank].filter(|report: &Report| report.received == self.given[rank])?;
            Some(report.received - report.finished - report.dropped)
        }

        fn answer(&mut self, stop: bool) -> Option<(usize, Answer)> {
            let ranks = self.given.len();
            if stop && let Some(rank) = self.stopped.iter().position(|stopped| !stopped) {
                self.stopped[rank] = true;
                return Some((rank, Answer::Stop));
            }
            if !stop && let Some((&shot, left)) = self.left.split_first() {
                let idlest = (0..ranks).filter_map(|rank| Some((self.in_hand(rank)?, rank))).min();
                let ahead = usize::from(self.left.len() > LEFT_PER_WORKER * self.workers * ranks);
                if let Some((_, rank)) = idlest.filter(|(count, _)| *count < self.workers + ahead) {
                    self.left = left;
                    self.given[rank] += 1;
                    return Some((rank, Answer::Shot(shot)));
                }
            }
            let through = (stop || self.left.is_empty()) && (0..ranks).all(|rank| self.in_hand(rank) == Some(0));
            let rank = self.ended.iter().position(|ended| !ended).filter(|_| through)?;
            self.ended[rank] = true;
            let finished: usize = self.reports.iter().flatten().map(|report| report.finished).sum();
            let completed = finished == self.total;
            Some((rank, Answer::End(if completed { Completion::Completed } else { Completion::Stopped })))
        }
    }

    #[test]
    fn answers_are_those_of_the_plain_rule_for_any_reports() {
        for seed in 0..300 {
            let mut random = Random(seed);
            let mut below = |n: usize| (random.uniform() * n as f64) as usize % n;
            let (size, workers) = (1 + below(6), 1 + below(3));
            let order: Vec<usize> = (0..below(40)).collect();
            let stops_at = below(if seed % 3 == 0 { 60 } else { 100_000 });
            let mut dispatcher = Dispatcher::new(&order, size, workers);
            let mut plain = Plain::new(&order, size, workers);
            let mut reports = vec![Report::default(); size];
            let mut on_their_way = vec![0; size];
            let mut stop = false;
            for step in 0.. {
                let rank = below(size);
                let own = &mut reports[rank];
                // One of: a shot arrives, one ends, one is dropped after a stop, an old report once more.
                match below(4) {
                    0 if on_their_way[rank] > 0 => {
                        (own.received, on_their_way[rank]) = (own.received + 1, on_their_way[rank] - 1)
                    }
                    1 if own.in_hand() > 0 => own.finished += 1,
                    2 if stop && own.in_hand() > 0 => own.dropped += 1,
                    _ => {}
                }
                own.stop |= step == stops_at;
                stop |= own.stop;
                dispatcher.report(rank, *own);
                plain.reports[rank] = Some(*own);
                loop {
                    let answer = dispatcher.answer();
                    assert_eq!(answer, plain.answer(stop), "seed {seed}, step {step}");
                    match answer {
                        Some((rank, Answer::Shot(_))) => on_their_way[rank] += 1,
                        Some(_) => {}
                        None => break,
                    }
                }
                assert_eq!(dispatcher.finished(), reports.iter().map(|report| report.finished).sum::<usize>());
                if is_over(&dispatcher) {
                    break;
                }
            }
        }
    }

    #[test]
    #[ignore = "slow: prints what an answer takes on 10,000 ranks, by the plain rule too"]
    fn an_answer_takes_microseconds_on_ten_thousand_ranks() {
        const RANKS: usize = 10_000;
        let order: Vec<usize> = (0..4 * RANKS).collect();
        let mut dispatcher = Dispatcher::new(&order, RANKS, 1);
        let mut plain = Plain::new(&order, RANKS, 1);
        let reports = |round: usize| (0..RANKS).map(move |rank| (rank, report(round, round.saturating_sub(1))));
        let [mut own, mut other] = [std::time::Duration::ZERO; 2];
        for round in 0..3 {
            for (rank, report) in reports(round) {
                let began = std::time::Instant::now();
                dispatcher.report(rank, report);
                while dispatcher.answer().is_some() {}
                own += began.elapsed();
                let began = std::time::Instant::now();
                plain.reports[rank] = Some(report);
                while plain.answer(false).is_some() {}
                other += began.elapsed();
            }
        }
        println!("per report with its answers: {:?}, by the plain rule {:?}", own / 30_000, other / 30_000);
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
