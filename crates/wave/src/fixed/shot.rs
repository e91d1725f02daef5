//! A shot in fixed-point arithmetic: as an evolution that can be reversed by any schedule, and by its inverse.

use std::ops::Range;

use treewave_reversal::{Evolution, Invertible};

use super::codes::Codes;
use super::{Fixed, FixedState, Residue};
use crate::acoustic::WaveError;
use crate::front::all_zero;
use crate::record::{Record, Scratch};
use crate::shot::{AcousticShot, Adjoint, Traces};

/// A shot whose field is computed in fixed-point arithmetic.
pub struct FixedShot<'a> {
    fixed: &'a Fixed<'a>,
    shot: AcousticShot<'a, f32>,
}

impl<'a> FixedShot<'a> {
    /// A shot of the program that `fixed` was made of.
    pub fn new(fixed: &'a Fixed<'a>, shot: AcousticShot<'a, f32>) -> Self {
        assert!(std::ptr::eq(fixed.acoustic, shot.acoustic), "a shot of this program");
        FixedShot { fixed, shot }
    }

    /// The shot: its sizes, and what becomes of its traces and its adjoint.
    pub fn shot(&self) -> &AcousticShot<'a, f32> {
        &self.shot
    }

    /// The field of a state in Pa on the model's grid.
    pub fn physical_field(&self, state: &FixedState) -> Vec<f64> {
        self.shot.physical(|cell| state.now.value(&self.fixed.acoustic.layout, cell) as f64 * self.fixed.sizes.unit)
    }

    /// One step; what it forgets, its record and what it shows are taken down as far as they are asked for.
    fn on(
        &self,
        n: usize,
        state: &mut FixedState,
        codes: Codes,
        record: Option<&mut Record<f32>>,
        output: Option<&mut Traces<f32>>,
    ) -> Result<(), WaveError> {
        let (shot, layout) = (&self.shot, &self.fixed.acoustic.layout);
        if let Some(output) = output {
            self.show(n, state, output);
        }
        let reached = shot.front.at(n, layout);
        let (lost, depth) = self.fixed.step(state, codes, record, (&shot.source, &shot.wavelet[n..=n]), &reached);
        // What has no low bits is at rest: no wave jumps to the high ones.
        let is_silent = |part| all_zero(&state.now.low[part], 0);
        shot.front.learn(n, 1, self.fixed.acoustic.reach, depth, is_silent, layout);
        if lost { Err(WaveError::Range { step: n + 1 }) } else { Ok(()) }
    }

    /// Samples the receivers at a step, if this is a recorded one.
    fn show(&self, n: usize, state: &FixedState, output: &mut Traces<f32>) {
        let layout = &self.fixed.acoustic.layout;
        let cells = self.shot.receivers.cells();
        for (taken, &cell) in output.taken.iter_mut().zip(cells) {
            *taken = (state.now.value(layout, cell) as f64 * self.fixed.sizes.unit) as f32;
        }
        self.shot.sample(n, 0, output);
    }

    /// The last state is shown too.
    fn show_last(&self, steps: &Range<usize>, state: &FixedState, output: Option<&mut Traces<f32>>) {
        if let Some(output) = output.filter(|_| steps.end == self.shot.steps()) {
            self.show(steps.end, state, output);
        }
    }
}

impl Evolution for FixedShot<'_> {
    type State = FixedState;
    type Record = Record<f32>;
    type Output = Traces<f32>;
    type Adjoint = Adjoint<f32>;
    type Work = Scratch<f32>;
    type Error = WaveError;

    fn new_state(&self) -> FixedState {
        FixedState::new(self.fixed)
    }
    fn new_record(&self) -> Record<f32> {
        self.shot.new_record()
    }
    fn start(&self, state: &mut FixedState) {
        state.clear();
    }
    fn advance(
        &self,
        steps: Range<usize>,
        state: &mut FixedState,
        mut output: Option<&mut Traces<f32>>,
        _: &mut Scratch<f32>,
    ) -> Result<(), WaveError> {
        for n in steps.clone() {
            self.on(n, state, Codes::Dropped, None, output.as_deref_mut())?;
        }
        self.show_last(&steps, state, output);
        Ok(())
    }
    fn advance_recording(
        &self,
        steps: Range<usize>,
        state: &mut FixedState,
        records: &mut [Record<f32>],
        mut output: Option<&mut Traces<f32>>,
        _: &mut Scratch<f32>,
    ) -> Result<(), WaveError> {
        for (n, record) in steps.clone().zip(records) {
            self.on(n, state, Codes::Dropped, Some(record), output.as_deref_mut())?;
        }
        self.show_last(&steps, state, output);
        Ok(())
    }
    fn turn(&self, _: &FixedState, output: &Traces<f32>, adjoint: &mut Adjoint<f32>) -> Result<f64, WaveError> {
        Ok(self.shot.turn_with(output, adjoint))
    }
    fn pull_back(
        &self,
        steps: Range<usize>,
        records: &[Record<f32>],
        adjoint: &mut Adjoint<f32>,
        scratch: &mut Scratch<f32>,
    ) -> Result<(), WaveError> {
        self.shot.pull_back(steps, records, adjoint, scratch)
    }
}

impl Invertible for FixedShot<'_> {
    type Residue = Residue;

    fn new_residue(&self, steps: usize) -> Residue {
        Residue::new(self.fixed, steps)
    }
    fn advance_keeping(
        &self,
        steps: Range<usize>,
        state: &mut FixedState,
        residue: &mut Residue,
        output: &mut Traces<f32>,
        _: &mut Scratch<f32>,
    ) -> Result<(), WaveError> {
        for n in steps.clone() {
            self.on(n, state, Codes::Kept(residue, n - steps.start), None, Some(&mut *output))?;
        }
        self.show_last(&steps, state, Some(output));
        Ok(())
    }
    fn retreat(
        &self,
        steps: Range<usize>,
        state: &mut FixedState,
        residue: &Residue,
        first: usize,
        records: &mut [Record<f32>],
        _: &mut Scratch<f32>,
    ) -> Result<(), WaveError> {
        let shot = &self.shot;
        for n in steps.clone().rev() {
            let (at, reached) = (n - steps.start, shot.front.at(n, &self.fixed.acoustic.layout));
            let injected = (&shot.source, &shot.wavelet[n..=n]);
            self.fixed.step(state, Codes::Used(residue, n - first), Some(&mut records[at]), injected, &reached);
        }
        Ok(())
    }
}
