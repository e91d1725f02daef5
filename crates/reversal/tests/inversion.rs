//! Reversal by inversion on a small evolution: the bits of any schedule, all kinds of blocks, what goes wrong.

use std::ops::Range;

use treewave_reversal::{
    Blocks, Choice, Evolution, InversionWorkspace, Invertible, MemoryLimit, MemoryStore, PlanError, PlanRequest,
    ReversalPlan, ReverseError, STEPS_AT_ONCE, Slot, Snapshot, SnapshotStore, StoreError, StoreStatistics, Strategy,
    TieredStore, Turned, Watch, Workspace, reverse, reverse_by_inversion,
};

const STEPS: usize = 37;

/// `x ← ⌊(3 x + n) / 2⌋ mod 2³²` forgets a bit per step. The adjoint gathers what it sees.
struct Halving {
    /// The step that fails.
    fails_at: usize,
}

#[derive(Clone, PartialEq, Debug)]
struct Number([u8; 8]);

impl Number {
    fn get(&self) -> u64 {
        u64::from_le_bytes(self.0)
    }
}

impl Snapshot for Number {
    fn copy_from(&mut self, other: &Self) {
        self.0 = other.0;
    }
    fn parts(&self) -> Vec<&[u8]> {
        vec![&self.0]
    }
    fn parts_mut(&mut self) -> Vec<&mut [u8]> {
        vec![&mut self.0]
    }
}

#[derive(Clone)]
struct Bits(Vec<u8>);

impl Snapshot for Bits {
    fn copy_from(&mut self, other: &Self) {
        self.0.copy_from_slice(&other.0);
    }
    fn parts(&self) -> Vec<&[u8]> {
        vec![&self.0]
    }
    fn parts_mut(&mut self) -> Vec<&mut [u8]> {
        vec![&mut self.0]
    }
}

impl Halving {
    fn step(&self, n: usize, state: &mut Number, shown: Option<&mut Vec<u64>>) -> Result<u8, &'static str> {
        if n == self.fails_at {
            return Err("it fails");
        }
        shown.into_iter().for_each(|shown| shown.push(state.get()));
        let whole = 3 * state.get() + n as u64;
        state.0 = (whole / 2).to_le_bytes();
        Ok((whole % 2) as u8)
    }
}

impl Evolution for Halving {
    type State = Number;
    type Record = u64;
    type Output = Vec<u64>;
    type Adjoint = u64;
    type Work = ();
    type Error = &'static str;

    fn new_state(&self) -> Number {
        Number([0; 8])
    }
    fn new_record(&self) -> u64 {
        0
    }
    fn start(&self, state: &mut Number) {
        state.0 = 5_u64.to_le_bytes();
    }
    fn advance(
        &self,
        steps: Range<usize>,
        state: &mut Number,
        mut output: Option<&mut Vec<u64>>,
        _: &mut (),
    ) -> Result<(), &'static str> {
        steps.into_iter().try_for_each(|n| self.step(n, state, output.as_deref_mut()).map(drop))
    }
    fn advance_recording(
        &self,
        steps: Range<usize>,
        state: &mut Number,
        records: &mut [u64],
        mut output: Option<&mut Vec<u64>>,
        _: &mut (),
    ) -> Result<(), &'static str> {
        for (n, record) in steps.zip(records) {
            *record = state.get();
            self.step(n, state, output.as_deref_mut())?;
        }
        Ok(())
    }
    fn turn(&self, last: &Number, output: &Vec<u64>, adjoint: &mut u64) -> Result<f64, &'static str> {
        *adjoint = last.get();
        Ok(output.iter().map(|&x| x as f64).sum())
    }
    fn pull_back(
        &self,
        steps: Range<usize>,
        records: &[u64],
        adjoint: &mut u64,
        _: &mut (),
    ) -> Result<(), &'static str> {
        for (n, record) in steps.zip(records).rev() {
            // The order of steps matters.
            *adjoint = adjoint.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(record ^ n as u64);
        }
        Ok(())
    }
}

impl Invertible for Halving {
    type Residue = Bits;

    fn new_residue(&self, steps: usize) -> Bits {
        Bits(vec![0; steps])
    }
    fn advance_keeping(
        &self,
        steps: Range<usize>,
        state: &mut Number,
        residue: &mut Bits,
        output: &mut Vec<u64>,
        _: &mut (),
    ) -> Result<(), &'static str> {
        for (n, bit) in steps.zip(&mut residue.0) {
            *bit = self.step(n, state, Some(output))?;
        }
        Ok(())
    }
    fn retreat(
        &self,
        steps: Range<usize>,
        state: &mut Number,
        residue: &Bits,
        first: usize,
        records: &mut [u64],
        _: &mut (),
    ) -> Result<(), &'static str> {
        for (n, (bit, record)) in steps.clone().zip(residue.0[steps.start - first..].iter().zip(records)).rev() {
            *record = (2 * state.get() + u64::from(*bit) - n as u64) / 3;
            state.0 = record.to_le_bytes();
        }
        Ok(())
    }
}

/// A store in memory that counts what goes to disk, and may fail there.
struct Disk {
    inner: MemoryStore<'static, Bits>,
    written: u64,
    fails_at: usize,
}

impl SnapshotStore<Bits> for Disk {
    fn put(&mut self, slot: Slot, state: &Bits) -> Result<(), StoreError> {
        if slot.index == self.fails_at {
            return Err(StoreError::Slot { slot, what: "fails" });
        }
        self.written += state.bytes() as u64;
        self.inner.put(slot, state)
    }
    fn get(&mut self, slot: Slot, state: &mut Bits) -> Result<(), StoreError> {
        self.inner.get(slot, state)
    }
    fn discard(&mut self, slot: Slot) -> Result<(), StoreError> {
        self.inner.discard(slot)
    }
    fn prefetch(&mut self, slot: Slot) -> Result<(), StoreError> {
        self.inner.prefetch(slot)
    }
    fn statistics(&self) -> StoreStatistics {
        StoreStatistics { bytes_written: self.written, ..StoreStatistics::default() }
    }
}

type Done = Result<(f64, u64, u64, Vec<u64>), ReverseError<&'static str>>;

fn invert(halving: &Halving, blocks: Blocks, disk_fails_at: usize, stop: &mut dyn FnMut() -> bool) -> Done {
    let each = blocks.each;
    let memory = MemoryStore::new(move || Bits(vec![0; each]));
    let disk = Disk { inner: MemoryStore::new(move || Bits(vec![0; each])), written: 0, fails_at: disk_fails_at };
    let mut store = TieredStore::new(memory, Some(Box::new(disk) as Box<_>));
    let (mut output, mut adjoint) = (Vec::new(), 0);
    let mut workspace = InversionWorkspace::new(halving, each, ());
    let done =
        reverse_by_inversion(halving, blocks, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || stop());
    // All slots are empty again, whatever happened: they can be filled.
    for index in 0..blocks.count() {
        let tiers = [treewave_reversal::Tier::Memory, treewave_reversal::Tier::Disk];
        tiers.into_iter().filter(|_| index != disk_fails_at).for_each(|tier| {
            store.put(Slot { tier, index }, &Bits(vec![0; each])).expect("the slot is empty");
        });
    }
    let (misfit, log) = done?;
    assert_eq!(log.counts, blocks.counts());
    assert_eq!(workspace.state().get(), 5, "it has come back to its start");
    Ok((misfit, adjoint, log.bytes_written, output))
}

const FINE: Halving = Halving { fails_at: usize::MAX };

#[test]
fn every_kind_of_blocks_gives_what_a_schedule_gives() {
    let (mut output, mut adjoint) = (Vec::new(), 0);
    let schedule = Strategy::StoreAll.schedule(STEPS).unwrap();
    let mut store = MemoryStore::new(|| Number([0; 8]));
    let mut workspace = Workspace::new(&FINE, ());
    let stored =
        reverse(&FINE, STEPS, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false).unwrap();
    for each in 1..=STEPS + 1 {
        for in_memory in [0, 1, 2, STEPS] {
            let blocks = Blocks { steps: STEPS, each, in_memory };
            let (misfit, ours, written, shown) = invert(&FINE, blocks, usize::MAX, &mut || false).unwrap();
            assert_eq!((misfit, ours, &shown), (stored.0, adjoint, &output), "{blocks:?}");
            let on_disk = STEPS.div_ceil(each).saturating_sub(in_memory);
            assert_eq!(written, (on_disk * each) as u64, "{blocks:?}");
            let counts = blocks.counts();
            assert_eq!(
                [counts.stores.memory + counts.stores.disk, counts.stores.disk],
                [STEPS.div_ceil(each) as u64, on_disk as u64]
            );
        }
    }
}

/// Stops after some looks that come after the turn, and tells how far it was; or goes on from there.
struct Stopping {
    looks: usize,
    kept: Option<(Turned, u64)>,
    misfit: Option<f64>,
}

impl Watch<u64> for Stopping {
    fn stop(&mut self, turned: Option<Turned>, adjoint: &u64) -> bool {
        self.looks = self.looks.wrapping_sub(usize::from(turned.is_some()));
        self.kept = turned.map(|turned| (turned, *adjoint)).filter(|_| self.looks == 0);
        self.kept.is_some()
    }
    fn misfit(&self) -> Option<f64> {
        self.misfit
    }
}

#[test]
fn one_that_was_stopped_goes_on_to_the_same_bits() {
    let blocks = Blocks { steps: STEPS, each: 5, in_memory: 3 };
    let (misfit, whole, _, _) = invert(&FINE, blocks, usize::MAX, &mut || false).unwrap();
    let mut store = MemoryStore::new(|| Bits(vec![0; 5]));
    let mut workspace = InversionWorkspace::new(&FINE, 5, ());
    for looks in 1..=blocks.count() {
        let (blocks, mut output, mut adjoint) = (Blocks { in_memory: STEPS, ..blocks }, Vec::new(), 0);
        let mut stop = Stopping { looks, kept: None, misfit: None };
        let stopped =
            reverse_by_inversion(&FINE, blocks, &mut store, &mut workspace, &mut output, &mut adjoint, &mut stop);
        assert!(matches!(stopped, Err(ReverseError::Stopped { .. })));
        let (turned, mut adjoint) = stop.kept.expect("it has turned");
        assert_eq!(turned.remaining, STEPS.min((blocks.count() + 1 - looks) * 5));
        let left = Blocks { steps: turned.remaining, ..blocks };
        let mut goes_on = Stopping { looks: 0, kept: None, misfit: Some(turned.misfit) };
        let done =
            reverse_by_inversion(&FINE, left, &mut store, &mut workspace, &mut output, &mut adjoint, &mut goes_on);
        assert_eq!((done.unwrap().0, adjoint), (misfit, whole));
    }
}

#[test]
fn failures_and_stops_end_it_and_leave_the_store_empty() {
    let blocks = Blocks { steps: STEPS, each: 5, in_memory: 3 };
    let failed = invert(&Halving { fails_at: 17 }, blocks, usize::MAX, &mut || false).unwrap_err();
    assert!(matches!(failed, ReverseError::Evolution { from: 15, to: 20, source: "it fails" }), "{failed:?}");
    let full = invert(&FINE, blocks, 2, &mut || false).unwrap_err();
    assert!(matches!(full, ReverseError::Store(_)), "{full:?}");
    for asked in 0..2 * blocks.count() {
        let times = std::cell::Cell::new(0);
        let mut stop = || {
            times.set(times.get() + 1);
            times.get() > asked
        };
        let stopped = invert(&FINE, blocks, usize::MAX, &mut stop).unwrap_err();
        let back = asked.saturating_sub(blocks.count());
        let left = STEPS.min((blocks.count() - back) * 5);
        assert!(
            matches!(stopped, ReverseError::Stopped { remaining, steps: STEPS } if remaining == left),
            "{stopped:?}"
        );
    }
}

#[test]
fn plans_fill_the_memory_and_then_the_disk() {
    const RECORD: u64 = 1000;
    const RESIDUE: u64 = 10;
    let request = |memory: u64, disk_bytes: u64| PlanRequest {
        choice: Choice::Inversion,
        residue_bytes: Some(RESIDUE),
        memory: MemoryLimit::Bytes(memory),
        disk_bytes,
        segment_steps: Some(4),
        ..PlanRequest::new(101, 5000, RECORD, 0)
    };
    // Records of the steps that are undone in one go and the residue of a block; all residues.
    let (working, all) = (STEPS_AT_ONCE as u64 * RECORD + 4 * RESIDUE, 26 * 4 * RESIDUE);
    for (memory, disk) in
        [(working + all, 0), (working + all - 1, 1000), (working + 3 * 40, 1000), (working + 80, 1040)]
    {
        let plan = ReversalPlan::new(&request(memory, disk)).unwrap();
        assert!(plan.peak_memory_bytes <= memory && plan.disk_bytes <= disk, "{memory} {disk}: {plan:?}");
        assert_eq!((plan.memory_slots + plan.disk_slots, plan.segment_steps), (26, 4));
        assert_eq!((plan.strategy, plan.recompute_factor), (Strategy::Inversion, 2.0));
        assert_eq!(plan.counts, plan.blocks_of(plan.steps).counts());
        assert!(plan.schedule().is_none());
        assert_eq!(plan.disk_slots == 0, disk == 0);
    }
    for (memory, disk) in [(working + all - 1, 0), (working + 120, 900), (working + 79, 1040)] {
        let refused = ReversalPlan::new(&request(memory, disk)).unwrap_err();
        assert!(matches!(refused, PlanError::Residue { needed: 1040, .. }), "{memory} {disk}: {refused}");
    }
    let refused = ReversalPlan::new(&request(working - 1, 1 << 20)).unwrap_err();
    assert_eq!(refused, PlanError::Memory { strategy: "inversion", steps: 101, needed: working, budget: working - 1 });
    let not = PlanRequest { residue_bytes: None, ..request(1 << 20, 0) };
    assert_eq!(ReversalPlan::new(&not).unwrap_err(), PlanError::NoInverse);
}
