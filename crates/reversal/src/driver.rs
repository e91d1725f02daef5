//! Carries out a schedule on an evolution.

mod log;
mod watch;

use crate::action::{Action, Slot, Tier};
use crate::evolution::Evolution;
use crate::machine::{Machine, Violation};
use crate::pace::Pace;
use crate::store::{SnapshotStore, StoreError};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;
use thiserror::Error;

pub use log::Log;
pub use watch::{Turned, Watch};

/// Actions that are looked at ahead of time, to find the next snapshot that will be read from disk.
const LOOK_AHEAD: usize = 64;

/// Why a reversal did not come to its end.
#[derive(Debug, Error)]
pub enum ReverseError<X> {
    /// The caller asked for it.
    #[error("stopped on request with {remaining} of {steps} steps still to be pulled back")]
    Stopped {
        /// Steps not pulled back.
        remaining: usize,
        /// Steps of the evolution.
        steps: usize,
    },
    /// The evolution failed.
    #[error("the evolution failed between steps {from} and {to}")]
    Evolution {
        /// First step of the range that was worked on.
        from: usize,
        /// Step after the last.
        to: usize,
        /// What the evolution says.
        #[source]
        source: X,
    },
    /// A snapshot could not be kept or brought back.
    #[error("a snapshot could not be kept or brought back")]
    Store(#[from] StoreError),
    /// The schedule is illegal: a bug of ours.
    #[error("the reversal schedule is wrong")]
    Schedule(#[from] Violation),
}

/// What a reversal works with: made once, reused from shot to shot.
pub struct Workspace<E: Evolution> {
    state: E::State,
    records: Vec<E::Record>,
    work: E::Work,
    machine: Machine,
    window: VecDeque<Action>,
}

impl<E: Evolution> Workspace<E> {
    /// A working state and no record yet; `work` is the scratch space of the evolution.
    pub fn new(evolution: &E, work: E::Work) -> Self {
        Workspace {
            state: evolution.new_state(),
            records: Vec::new(),
            work,
            machine: Machine::new(0),
            window: VecDeque::with_capacity(LOOK_AHEAD + 1),
        }
    }

    /// Makes the records of leaves of up to `records` steps now, so that nothing is allocated later.
    pub fn reserve(&mut self, evolution: &E, records: usize) {
        self.records.reserve_exact(records.saturating_sub(self.records.len()));
        while self.records.len() < records {
            self.records.push(evolution.new_record());
        }
    }

    /// Records allocated so far.
    pub fn records(&self) -> usize {
        self.records.len()
    }

    /// The working state: scratch space between reversals.
    pub fn state_mut(&mut self) -> &mut E::State {
        &mut self.state
    }

    /// The scratch space of the evolution.
    pub fn work_mut(&mut self) -> &mut E::Work {
        &mut self.work
    }
}

/// Runs an evolution of `steps` steps forward and its adjoint backward, in the order that the schedule gives.
///
/// `output` receives what each step shows exactly once; the evolution's `turn` is called once, when the last step was
/// reached. Returns the misfit and what was done. The bits of misfit and adjoint do not depend on the schedule.
///
/// The store must be empty; it is empty again afterwards, also after an error, as far as the store still works.
/// `watch` is asked before each action and about every second of long ones. To go on with a reversal that was stopped, `steps` and
/// the schedule are those that remained, and `adjoint` is as it was then; see [`Watch::misfit`]. Coming reads from disk are announced to the store one at a time, up to
/// 64 actions ahead, and never before the slot was filled.
///
/// # Errors
/// The evolution or the store failed, the schedule is illegal, or `watch` asked to stop.
#[expect(clippy::too_many_arguments, reason = "each is a part of its own: problem, plan, places, results, request")]
pub fn reverse<E, I, S>(
    evolution: &E,
    steps: usize,
    schedule: I,
    store: &mut S,
    workspace: &mut Workspace<E>,
    output: &mut E::Output,
    adjoint: &mut E::Adjoint,
    watch: &mut dyn Watch<E::Adjoint>,
) -> Result<(f64, Log), ReverseError<E::Error>>
where
    E: Evolution,
    I: IntoIterator<Item = Action>,
    S: SnapshotStore<E::State> + ?Sized,
{
    let before = store.statistics();
    workspace.machine.restart(steps);
    workspace.window.clear();
    let misfit = watch.misfit();
    let mut run = Run {
        evolution,
        steps,
        store,
        workspace,
        output,
        adjoint,
        observed: if misfit.is_some() { steps } else { 0 },
        misfit,
        remaining: steps,
        announced: false,
        log: Log::default(),
        watch,
        pace: [Pace::default(); 3],
    };
    let result = run.all(schedule.into_iter());
    let Run { store, workspace, mut log, .. } = run;
    match result {
        Ok(misfit) => {
            log.add_store(&before, &store.statistics());
            Ok((misfit, log))
        }
        Err(error) => {
            for slot in workspace.machine.held_slots() {
                // the first error is the one that counts
                let _ = store.discard(slot);
            }
            Err(error)
        }
    }
}

/// A reversal under way.
struct Run<'a, E: Evolution, S: ?Sized> {
    evolution: &'a E,
    steps: usize,
    store: &'a mut S,
    workspace: &'a mut Workspace<E>,
    output: &'a mut E::Output,
    adjoint: &'a mut E::Adjoint,
    /// Steps below have been shown to `output`.
    observed: usize,
    /// Known once the last step was reached.
    misfit: Option<f64>,
    /// Steps not pulled back yet.
    remaining: usize,
    /// The next read from disk has been announced to the store.
    announced: bool,
    log: Log,
    watch: &'a mut dyn Watch<E::Adjoint>,
    /// Of steps forward, recorded, and back.
    pace: [Pace; 3],
}

impl<E: Evolution, S: SnapshotStore<E::State> + ?Sized> Run<'_, E, S> {
    fn all(&mut self, schedule: impl Iterator<Item = Action>) -> Result<f64, ReverseError<E::Error>> {
        let mut schedule = schedule.fuse();
        self.evolution.start(&mut self.workspace.state);
        // an evolution without steps is at its end
        self.turn_at_the_end()?;
        loop {
            let room = LOOK_AHEAD - self.workspace.window.len();
            self.workspace.window.extend(schedule.by_ref().take(room));
            self.announce()?;
            let Some(action) = self.workspace.window.pop_front() else { break };
            self.look_for_stop()?;
            self.carry_out(action)?;
        }
        self.log.counts = self.workspace.machine.finish()?;
        self.misfit.ok_or_else(|| Violation::Unfinished { remaining: self.steps }.into())
    }

    fn look_for_stop(&mut self) -> Result<(), ReverseError<E::Error>> {
        let Run { steps, remaining, .. } = *self;
        let turned = self.misfit.map(|misfit| Turned { remaining, misfit });
        if self.watch.stop(turned, self.adjoint) { Err(ReverseError::Stopped { remaining, steps }) } else { Ok(()) }
    }

    fn carry_out(&mut self, action: Action) -> Result<(), ReverseError<E::Error>> {
        self.workspace.machine.apply(action)?;
        let began = Instant::now();
        match action {
            Action::Store { slot, .. } => {
                self.store.put(slot, &self.workspace.state)?;
                self.log.seconds_snapshots += began.elapsed().as_secs_f64();
            }
            Action::Restore { slot, .. } => {
                self.store.get(slot, &mut self.workspace.state)?;
                self.announced &= slot.tier != Tier::Disk;
                self.log.seconds_snapshots += began.elapsed().as_secs_f64();
            }
            Action::Discard { slot } => self.store.discard(slot)?,
            Action::Uncompute { slot, .. } => {
                self.store.uncompute(slot, &self.workspace.state)?;
                self.log.seconds_snapshots += began.elapsed().as_secs_f64();
            }
            Action::Advance { from, to } => {
                self.advance(from..to)?;
                self.log.seconds_advance += began.elapsed().as_secs_f64();
            }
            Action::Reverse { from, to } => {
                self.workspace.reserve(self.evolution, to - from);
                self.record(from..to)?;
                let recorded = Instant::now();
                self.log.seconds_record += (recorded - began).as_secs_f64();
                self.pull_back(from..to)?;
                self.log.seconds_pull_back += recorded.elapsed().as_secs_f64();
            }
        }
        Ok(())
    }

    /// Cuts a range where it passes from steps that were observed before to new ones.
    fn cut(&mut self, steps: Range<usize>) -> [(Range<usize>, bool); 2] {
        let middle = self.observed.clamp(steps.start, steps.end);
        self.observed = self.observed.max(steps.end);
        [(steps.start..middle, false), (middle..steps.end, true)]
    }

    fn advance(&mut self, steps: Range<usize>) -> Result<(), ReverseError<E::Error>> {
        for (mut rest, new) in self.cut(steps) {
            while !rest.is_empty() {
                let (part, began) = (self.pace[0].first(&rest), Instant::now());
                let output = new.then_some(&mut *self.output);
                let Workspace { state, work, .. } = &mut *self.workspace;
                let result = self.evolution.advance(part.clone(), state, output, work);
                result.map_err(|source| failed(&part, source))?;
                self.pace[0].learn(&part, began);
                rest.start = part.end;
                if !rest.is_empty() {
                    self.look_for_stop()?;
                }
            }
        }
        self.turn_at_the_end()
    }

    fn record(&mut self, steps: Range<usize>) -> Result<(), ReverseError<E::Error>> {
        let first = steps.start;
        for (mut rest, new) in self.cut(steps) {
            while !rest.is_empty() {
                let (part, began) = (self.pace[1].first(&rest), Instant::now());
                let output = new.then_some(&mut *self.output);
                let Workspace { state, records, work, .. } = &mut *self.workspace;
                let records = &mut records[part.start - first..part.end - first];
                let result = self.evolution.advance_recording(part.clone(), state, records, output, work);
                result.map_err(|source| failed(&part, source))?;
                self.pace[1].learn(&part, began);
                rest.start = part.end;
                if !rest.is_empty() {
                    self.look_for_stop()?;
                }
            }
        }
        self.turn_at_the_end()
    }

    /// The working state has just reached `observed` if that is the end: turn, unless that was done.
    fn turn_at_the_end(&mut self) -> Result<(), ReverseError<E::Error>> {
        if self.observed == self.steps && self.misfit.is_none() {
            let result = self.evolution.turn(&self.workspace.state, self.output, self.adjoint);
            self.misfit = Some(result.map_err(|source| failed(&(self.steps..self.steps), source))?);
        }
        Ok(())
    }

    fn pull_back(&mut self, steps: Range<usize>) -> Result<(), ReverseError<E::Error>> {
        let mut rest = steps.clone();
        while !rest.is_empty() {
            let (part, began) = (self.pace[2].last(&rest), Instant::now());
            let Workspace { records, work, .. } = &mut *self.workspace;
            let records = &records[part.start - steps.start..part.end - steps.start];
            let result = self.evolution.pull_back(part.clone(), records, self.adjoint, work);
            result.map_err(|source| failed(&part, source))?;
            self.pace[2].learn(&part, began);
            rest.end = part.start;
            self.remaining = part.start;
            if !rest.is_empty() {
                self.look_for_stop()?;
            }
        }
        Ok(())
    }

    /// Announces the next read from disk to the store, once, and not before the slot is filled.
    fn announce(&mut self) -> Result<(), ReverseError<E::Error>> {
        if !self.announced
            && let Some((step, slot)) = next_disk_read(&self.workspace.window)
            // a schedule that reads what is not there is refused when it comes to that
            && self.workspace.machine.held_step(slot) == Some(step)
        {
            self.store.prefetch(slot)?;
            self.announced = true;
        }
        Ok(())
    }
}

/// Step and slot of the first read from disk, unless the slot will be filled or emptied before.
fn next_disk_read(window: &VecDeque<Action>) -> Option<(usize, Slot)> {
    let is_read = |action: &Action| matches!(action, Action::Restore { slot, .. } if slot.tier == Tier::Disk);
    let position = window.iter().position(is_read)?;
    let Action::Restore { step, slot: read } = window[position] else { return None };
    let changes = |action: &Action| match action {
        Action::Store { slot, .. } | Action::Discard { slot } | Action::Uncompute { slot, .. } => *slot == read,
        _ => false,
    };
    (!window.range(..position).any(changes)).then_some((step, read))
}

pub(crate) fn failed<X>(steps: &Range<usize>, source: X) -> ReverseError<X> {
    ReverseError::Evolution { from: steps.start, to: steps.end, source }
}
