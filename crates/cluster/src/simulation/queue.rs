//! The queue of shots, event by event: rank 0's own decisions, and the carriers' waits between them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::mem::take;
use std::time::Duration;

use super::node::{Node, Time};
use super::{Gradient, Machine, sum_bytes};
use crate::dispatch::{Answer, Dispatcher, Report};
use crate::ledger_pace::{guessed_save, save_is_due};
use crate::patience::{PAUSE, longest_pause, next_pause};

/// How the workers of all ranks spent their time, in worker-seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    /// In shots, as long as they take by themselves.
    pub computing: f64,
    /// In shots, longer than that because of the disk.
    pub disk: f64,
    /// Saving what the rank has summed.
    pub ledger: f64,
    /// Before the first shot.
    pub begin: f64,
    /// Between shots.
    pub answers: f64,
    /// After the last shot, or without any.
    pub end: f64,
}

/// How a queue came to its end.
#[derive(Debug)]
pub(super) struct Ended {
    /// When, in seconds; `None` if it was cut off.
    pub at: Option<f64>,
    pub account: Account,
    /// Shots by how often they were done.
    #[cfg(test)]
    pub done: Vec<usize>,
    /// Shots that the ledger has.
    pub kept: Vec<usize>,
    /// Ranks that have saved a part of it.
    pub keepers: usize,
}

/// What happens at some time.
enum Event {
    /// A report reaches rank 0.
    Report(usize, Report),
    /// An answer reaches a rank.
    Answer(usize, Answer),
    /// The carrier of a rank looks at its mail.
    Look(usize),
    /// Rank 0 looks at its mail, unless it has done so for another reason.
    Wake,
    /// Rank 0 is ready for its next message.
    Ready,
    /// Rank 0 has answered all; its own answers.
    Answered(Vec<Answer>),
    /// A shot of a node ends, if nothing has changed there since so many changes.
    Shot(usize, u64),
    /// A rank has saved the sum over these shots, one more than before.
    Kept(usize, Vec<usize>),
}

/// The events to come, those at the same time in the order in which they became known.
#[derive(Default)]
struct Events {
    heap: BinaryHeap<Reverse<(Time, u64, usize)>>,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
    count: u64,
}

impl Events {
    fn push(&mut self, at: f64, event: Event) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.heap.push(Reverse((Time(at), self.count, place)));
        self.count += 1;
    }

    fn pop(&mut self) -> Option<(f64, Event)> {
        let Reverse((at, _, place)) = self.heap.pop()?;
        self.free.push(place);
        self.events[place].take().map(|event| (at.0, event))
    }
}

struct Rank {
    report: Report,
    /// Since when it waits for a change, and the first pause then.
    since: f64,
    pause: Duration,
    /// Answers that it has not seen yet.
    inbox: Vec<Answer>,
    /// Shots that no worker has begun.
    waiting: VecDeque<usize>,
    /// Workers without a shot: since when, and whether they have had one.
    idle: Vec<(f64, bool)>,
    /// Shots that only its memory has.
    unkept: Vec<usize>,
    last_kept: f64,
    has_kept: bool,
    ended: bool,
}

impl Rank {
    /// The next look at the mail that is not before `at`, and the pause before it.
    fn next_look(&self, at: f64) -> (f64, Duration) {
        let longest = longest_pause(self.report.in_hand());
        let (mut look, mut pause) = (self.since + self.pause.as_secs_f64(), self.pause);
        while look < at && pause < longest {
            pause = next_pause(pause, self.report.in_hand());
            look += pause.as_secs_f64();
        }
        let pauses = ((at - look) / pause.as_secs_f64()).ceil().max(0.0);
        (look + pauses * pause.as_secs_f64(), pause)
    }
}

pub(super) struct Queue<'a> {
    machine: &'a Machine,
    gradient: &'a Gradient<'a>,
    /// Seconds of a save of the ledger.
    keep_s: f64,
    /// What a rank takes it for before its first one.
    guessed: Duration,
    dispatcher: Dispatcher<'a>,
    now: f64,
    events: Events,
    ranks: Vec<Rank>,
    nodes: Vec<Node>,
    /// Reports that rank 0 has not read yet.
    mail: VecDeque<(usize, Report)>,
    /// Whether rank 0 is at its mail, and the look that is due if not.
    serving: bool,
    look: f64,
    /// Shots that ended on rank 0 meanwhile.
    news: usize,
    left: usize,
    account: Account,
    done: Vec<usize>,
    kept: Vec<usize>,
}

impl<'a> Queue<'a> {
    /// Of the shots in `order`, a save of a rank's sum taking so many seconds.
    pub fn new(machine: &'a Machine, gradient: &'a Gradient<'a>, order: &'a [usize], keep_s: f64) -> Self {
        let rank = |_| Rank {
            report: Report::default(),
            since: 0.0,
            pause: PAUSE,
            inbox: Vec::new(),
            waiting: VecDeque::new(),
            idle: vec![(0.0, false); machine.workers],
            unkept: Vec::new(),
            last_kept: 0.0,
            has_kept: false,
            ended: false,
        };
        let rate = gradient.disk_rate();
        Queue {
            machine,
            gradient,
            keep_s,
            guessed: guessed_save(sum_bytes(gradient.cells), machine.ranks),
            dispatcher: Dispatcher::new(order, machine.ranks, machine.workers),
            now: 0.0,
            events: Events::default(),
            ranks: (0..machine.ranks).map(rank).collect(),
            nodes: (0..machine.nodes()).map(|_| Node::new(machine.disk_bandwidth, rate)).collect(),
            mail: VecDeque::new(),
            serving: true,
            look: f64::INFINITY,
            news: 0,
            left: machine.ranks,
            account: Account::default(),
            done: vec![0; gradient.shot_s.len()],
            kept: Vec::new(),
        }
    }

    /// Until all ranks have left, or until a node fails.
    pub fn run(mut self, until: f64) -> Ended {
        self.dispatcher.report(0, Report::default());
        self.events.push(0.0, Event::Ready);
        for rank in 1..self.ranks.len() {
            self.events.push(self.machine.latency_s, Event::Report(rank, Report::default()));
        }
        while self.left > 0 {
            let (at, event) = self.events.pop().expect("a rank that has not left waits for something");
            if at > until {
                return self.ended(None);
            }
            self.now = at;
            self.happen(event);
        }
        let now = self.now;
        let idle = self.ranks.iter().flat_map(|rank| &rank.idle);
        self.account.end += idle.map(|(since, _)| now - since).sum::<f64>();
        self.ended(Some(now))
    }

    fn ended(self, at: Option<f64>) -> Ended {
        Ended {
            at,
            account: self.account,
            #[cfg(test)]
            done: self.done,
            kept: self.kept,
            keepers: self.ranks.iter().filter(|rank| rank.has_kept).count(),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Report(rank, report) => {
                self.mail.push_back((rank, report));
                self.wake();
            }
            Event::Answer(rank, answer) => {
                self.ranks[rank].inbox.push(answer);
                let (look, _) = self.ranks[rank].next_look(self.now);
                self.events.push(look, Event::Look(rank));
            }
            Event::Look(rank) => self.read(rank),
            Event::Wake if !self.serving && self.look == self.now => self.serve(),
            Event::Wake => {}
            Event::Ready => self.serve(),
            Event::Answered(own) => self.answered(own),
            Event::Shot(node, changes) => self.shot_ends(node, changes),
            Event::Kept(rank, shots) => {
                self.kept.extend(shots);
                self.finished(rank);
            }
        }
    }

    /// A rank reads the answers that have come.
    fn read(&mut self, rank: usize) {
        let answers = take(&mut self.ranks[rank].inbox);
        if self.take_in(rank, answers) {
            self.changed(rank);
        }
    }

    /// A rank follows answers; whether there was a shot among them.
    fn take_in(&mut self, rank: usize, answers: Vec<Answer>) -> bool {
        let before = self.ranks[rank].report.received;
        for answer in answers {
            match answer {
                Answer::Shot(shot) => {
                    self.ranks[rank].report.received += 1;
                    self.ranks[rank].waiting.push_back(shot);
                }
                Answer::Stop => unreachable!("nobody asks for a stop"),
                Answer::End(_) => {
                    self.ranks[rank].ended = true;
                    self.left -= 1;
                }
            }
        }
        self.begin(rank);
        self.ranks[rank].report.received > before
    }

    /// A rank other than rank 0 tells how far it is, and looks at its mail.
    fn changed(&mut self, rank: usize) {
        let of_rank = &mut self.ranks[rank];
        (of_rank.since, of_rank.pause) = (self.now, PAUSE);
        self.events.push(self.now + self.machine.latency_s, Event::Report(rank, of_rank.report));
        if !of_rank.inbox.is_empty() {
            self.read(rank);
        }
    }

    /// Idle workers of a rank begin the shots it has.
    fn begin(&mut self, rank: usize) {
        let node = rank / self.machine.ranks_per_node;
        let mut begun = false;
        while !self.ranks[rank].waiting.is_empty()
            && let Some((since, had_one)) = self.ranks[rank].idle.pop()
            && let Some(shot) = self.ranks[rank].waiting.pop_front()
        {
            *(if had_one { &mut self.account.answers } else { &mut self.account.begin }) += self.now - since;
            self.nodes[node].begin(self.now, self.gradient.shot_s[shot], rank, shot);
            begun = true;
        }
        if begun {
            self.expect_shot(node);
        }
    }

    /// Foresees the end of the next shot of a node.
    fn expect_shot(&mut self, node: usize) {
        if let Some((at, changes)) = self.nodes[node].next_end(self.now) {
            self.events.push(at, Event::Shot(node, changes));
        }
    }

    fn shot_ends(&mut self, node: usize, changes: u64) {
        let Some(ended) = self.nodes[node].end(self.now, changes) else { return };
        let (rank, shot) = (ended.rank, ended.shot);
        self.account.computing += self.gradient.shot_s[shot];
        self.account.disk += (self.now - ended.began - self.gradient.shot_s[shot]).max(0.0);
        self.done[shot] += 1;
        self.expect_shot(node);
        let of_rank = &mut self.ranks[rank];
        of_rank.unkept.push(shot);
        let took = if of_rank.has_kept { Duration::from_secs_f64(self.keep_s) } else { self.guessed };
        let elapsed = Duration::from_secs_f64((self.now - of_rank.last_kept).max(0.0));
        if save_is_due(elapsed, self.gradient.ledger_every, took) {
            (of_rank.last_kept, of_rank.has_kept) = (self.now + self.keep_s, true);
            self.account.ledger += self.keep_s;
            self.events.push(self.now + self.keep_s, Event::Kept(rank, take(&mut of_rank.unkept)));
        } else {
            self.finished(rank);
        }
    }

    /// A worker is through with a shot, and has told its carrier.
    fn finished(&mut self, rank: usize) {
        self.ranks[rank].idle.push((self.now, true));
        self.begin(rank);
        if rank > 0 {
            self.ranks[rank].report.finished += 1;
            self.changed(rank);
        } else {
            self.news += 1;
            if !self.serving {
                self.answered(Vec::new());
            }
        }
    }

    /// Rank 0 has mail: it will see it at its next look.
    fn wake(&mut self) {
        if !self.serving && self.look.is_infinite() {
            (self.look, self.ranks[0].pause) = self.ranks[0].next_look(self.now);
            self.events.push(self.look, Event::Wake);
        }
    }

    /// Rank 0 reads one message after the other, then answers one after the other.
    fn serve(&mut self) {
        (self.serving, self.look) = (true, f64::INFINITY);
        if let Some((rank, report)) = self.mail.pop_front() {
            self.dispatcher.report(rank, report);
            self.events.push(self.now + self.machine.message_s, Event::Ready);
            return;
        }
        let (mut own, mut at) = (Vec::new(), self.now);
        while let Some((rank, answer)) = self.dispatcher.answer() {
            if rank == 0 {
                own.push(answer);
            } else {
                at += self.machine.message_s;
                self.events.push(at + self.machine.latency_s, Event::Answer(rank, answer));
            }
        }
        self.events.push(at, Event::Answered(own));
    }

    /// Rank 0 follows its own answers, and looks again if anything has changed with it.
    fn answered(&mut self, own: Vec<Answer>) {
        let received = self.take_in(0, own);
        let news = take(&mut self.news);
        let rank = &mut self.ranks[0];
        rank.report.finished += news;
        rank.since = self.now;
        if received || news > 0 {
            rank.pause = PAUSE;
            self.dispatcher.report(0, rank.report);
            self.serve();
        } else {
            rank.pause = next_pause(rank.pause, rank.report.in_hand());
            self.serving = false;
            if !self.mail.is_empty() {
                self.wake();
            }
        }
    }
}
