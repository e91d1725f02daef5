//! Reversal without snapshots: the evolution itself steps backwards.
//!
//! Three sweeps: forward, back, and the adjoint beside the way back. What a step forgets, and without which it cannot be
//! undone, is kept: the *residue*, in blocks of some steps, in memory and on disk, last written first read.

use crate::action::{Slot, Tier};
use crate::driver::{Log, ReverseError, Turned, Watch, failed};
use crate::evolution::{Evolution, Snapshot};
use crate::machine::{Counts, PerTier};
use crate::store::SnapshotStore;
use std::ops::Range;
use std::time::Instant;

/// An evolution whose steps can be undone exactly, with what they leave behind.
pub trait Invertible: Evolution {
    /// What some steps forget.
    type Residue: Snapshot + Send;

    /// Room for what up to `steps` steps forget.
    fn new_residue(&self, steps: usize) -> Self::Residue;

    /// [`Evolution::advance`] over a range of steps; what they forget is written to `residue`.
    fn advance_keeping(
        &self,
        steps: Range<usize>,
        state: &mut Self::State,
        residue: &mut Self::Residue,
        output: &mut Self::Output,
        work: &mut Self::Work,
    ) -> Result<(), Self::Error>;

    /// Moves a state back over some steps, to the bits that it had before, and writes one record per step. `residue` is what the
    /// steps from `first` on have forgotten.
    fn retreat(
        &self,
        steps: Range<usize>,
        state: &mut Self::State,
        residue: &Self::Residue,
        first: usize,
        records: &mut [Self::Record],
        work: &mut Self::Work,
    ) -> Result<(), Self::Error>;
}

/// Steps that are undone in one go, and then pulled back: the records of few stay in the caches, and need little memory.
pub const STEPS_AT_ONCE: usize = 2;

/// How the steps are cut into blocks, and where the residues of these are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Steps of the evolution.
    pub steps: usize,
    /// Steps of a block, the last one may have fewer.
    pub each: usize,
    /// Blocks in memory; the others, which are the first ones, are on disk.
    pub in_memory: usize,
}

impl Blocks {
    /// Number of blocks.
    pub fn count(&self) -> usize {
        self.steps.div_ceil(self.each)
    }
    /// Blocks on disk.
    pub fn on_disk(&self) -> usize {
        self.count().saturating_sub(self.in_memory)
    }
    /// What a reversal does, as its log will tell.
    pub fn counts(&self) -> Counts {
        let (steps, count, disk) = (self.steps as u64, self.count() as u64, self.on_disk() as u64);
        let kept = PerTier { memory: count - disk, disk };
        Counts {
            advances: steps,
            recorded: steps,
            pulled_back: steps,
            leaves: count,
            stores: kept,
            restores: kept,
            peak_slots: kept,
            peak_snapshots: count,
            peak_records: self.each.min(self.steps).min(STEPS_AT_ONCE) as u64,
            ..Counts::default()
        }
    }
    /// The steps of a block.
    fn range(&self, block: usize) -> Range<usize> {
        block * self.each..((block + 1) * self.each).min(self.steps)
    }
    /// Where the residue of a block is kept.
    fn slot(&self, block: usize) -> Slot {
        match block.checked_sub(self.on_disk()) {
            Some(index) => Slot { tier: Tier::Memory, index },
            None => Slot { tier: Tier::Disk, index: block },
        }
    }
}

/// What a reversal by inversion works with: made once, reused from shot to shot.
pub struct InversionWorkspace<E: Invertible> {
    state: E::State,
    residue: E::Residue,
    records: Vec<E::Record>,
    work: E::Work,
}

impl<E: Invertible> InversionWorkspace<E> {
    /// For blocks of up to `steps` steps; `work` is the scratch space of the evolution.
    pub fn new(evolution: &E, steps: usize, work: E::Work) -> Self {
        InversionWorkspace {
            state: evolution.new_state(),
            residue: evolution.new_residue(steps),
            records: (0..steps.min(STEPS_AT_ONCE)).map(|_| evolution.new_record()).collect(),
            work,
        }
    }
    /// The state: that of step 0 after a reversal.
    pub fn state(&self) -> &E::State {
        &self.state
    }
    /// A residue: scratch space between reversals.
    pub fn residue(&self) -> &E::Residue {
        &self.residue
    }
}

/// Runs an evolution forward, and back by its inverse, with its adjoint. Arguments and result are those of
/// [`reverse`](crate::reverse); the bits are those that any schedule gives.
///
/// # Errors
/// The evolution or the store failed, or `watch`, which is asked before each block, asked to stop.
pub fn reverse_by_inversion<E, S>(
    evolution: &E,
    blocks: Blocks,
    store: &mut S,
    workspace: &mut InversionWorkspace<E>,
    output: &mut E::Output,
    adjoint: &mut E::Adjoint,
    watch: &mut dyn Watch<E::Adjoint>,
) -> Result<(f64, Log), ReverseError<E::Error>>
where
    E: Invertible,
    S: SnapshotStore<E::Residue> + ?Sized,
{
    let before = store.statistics();
    let mut run = Run { evolution, blocks, store, workspace, held: 0, log: Log::default() };
    let result = run.all(output, adjoint, watch);
    let Run { store, held, mut log, .. } = run;
    for block in 0..held {
        // the first error is the one that counts
        let _ = store.discard(blocks.slot(block));
    }
    let misfit = result?;
    log.add_store(&before, &store.statistics());
    Ok((misfit, log))
}

struct Run<'a, E: Invertible, S: ?Sized> {
    evolution: &'a E,
    blocks: Blocks,
    store: &'a mut S,
    workspace: &'a mut InversionWorkspace<E>,
    /// The residues of the blocks below are in the store.
    held: usize,
    log: Log,
}

impl<E: Invertible, S: SnapshotStore<E::Residue> + ?Sized> Run<'_, E, S> {
    fn all(
        &mut self,
        output: &mut E::Output,
        adjoint: &mut E::Adjoint,
        watch: &mut dyn Watch<E::Adjoint>,
    ) -> Result<f64, ReverseError<E::Error>> {
        let (steps, known) = (self.blocks.steps, watch.misfit());
        let mut ask = |remaining: usize, misfit: Option<f64>, adjoint: &E::Adjoint| {
            let turned = misfit.map(|misfit| Turned { remaining, misfit });
            if watch.stop(turned, adjoint) { Err(ReverseError::Stopped { remaining, steps }) } else { Ok(()) }
        };
        self.evolution.start(&mut self.workspace.state);
        for block in 0..self.blocks.count() {
            ask(steps, known, adjoint)?;
            self.forward(block, output)?;
        }
        let misfit = match known {
            Some(misfit) => misfit,
            None => {
                let turned = self.evolution.turn(&self.workspace.state, output, adjoint);
                turned.map_err(|source| failed(&(steps..steps), source))?
            }
        };
        for block in (0..self.blocks.count()).rev() {
            ask(self.blocks.range(block).end, Some(misfit), adjoint)?;
            self.back(block, adjoint)?;
        }
        self.log.counts = self.blocks.counts();
        Ok(misfit)
    }

    fn forward(&mut self, block: usize, output: &mut E::Output) -> Result<(), ReverseError<E::Error>> {
        let (steps, began) = (self.blocks.range(block), Instant::now());
        let InversionWorkspace { state, residue, work, .. } = &mut *self.workspace;
        let result = self.evolution.advance_keeping(steps.clone(), state, residue, output, work);
        result.map_err(|source| failed(&steps, source))?;
        let stepped = Instant::now();
        self.store.put(self.blocks.slot(block), residue)?;
        self.held = block + 1;
        self.log.seconds_advance += (stepped - began).as_secs_f64();
        self.log.seconds_snapshots += stepped.elapsed().as_secs_f64();
        Ok(())
    }

    fn back(&mut self, block: usize, adjoint: &mut E::Adjoint) -> Result<(), ReverseError<E::Error>> {
        let (steps, began) = (self.blocks.range(block), Instant::now());
        let InversionWorkspace { state, residue, records, work } = &mut *self.workspace;
        self.store.get(self.blocks.slot(block), residue)?;
        self.store.discard(self.blocks.slot(block))?;
        self.held = block;
        // The one that is read next.
        if let Some(next) = block.checked_sub(1) {
            self.store.prefetch(self.blocks.slot(next))?;
        }
        self.log.seconds_snapshots += began.elapsed().as_secs_f64();
        let (first, mut left) = (steps.start, steps);
        while !left.is_empty() {
            let steps = left.end.saturating_sub(STEPS_AT_ONCE).max(first)..left.end;
            let (began, records) = (Instant::now(), &mut records[..steps.len()]);
            let result = self.evolution.retreat(steps.clone(), state, residue, first, records, work);
            result.map_err(|source| failed(&steps, source))?;
            let retreated = Instant::now();
            let result = self.evolution.pull_back(steps.clone(), records, adjoint, work);
            result.map_err(|source| failed(&steps, source))?;
            self.log.seconds_record += (retreated - began).as_secs_f64();
            self.log.seconds_pull_back += retreated.elapsed().as_secs_f64();
            left.end = steps.start;
        }
        Ok(())
    }
}
