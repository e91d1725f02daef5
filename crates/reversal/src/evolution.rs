//! What a reversal needs to know of a simulation.

use std::ops::Range;

/// A state that can be kept and brought back.
pub trait Snapshot {
    /// Takes over the contents of another state of the same evolution, without allocating.
    fn copy_from(&mut self, other: &Self);
    /// The contents as byte slices, in a fixed order with fixed lengths.
    fn parts(&self) -> Vec<&[u8]>;
    /// The same slices to write to.
    fn parts_mut(&mut self) -> Vec<&mut [u8]>;
    /// Total number of bytes.
    fn bytes(&self) -> usize {
        self.parts().iter().map(|p| p.len()).sum()
    }
}

/// A simulation of many steps, with the adjoint of each.
///
/// State `n` is the state before step `n`; a simulation of `N` steps goes from state 0 to state `N`.
pub trait Evolution: Sync {
    /// All that is needed to go on from a step.
    type State: Snapshot + Send;
    /// All that the adjoint of one step needs, often less than a state.
    type Record: Send;
    /// What is observed on the way.
    type Output;
    /// The adjoint state and the gradient gathered so far.
    type Adjoint;
    /// Scratch space, made once and reused.
    type Work;
    /// What can go wrong in a step.
    type Error;

    /// A state to write to.
    fn new_state(&self) -> Self::State;
    /// A record to write to.
    fn new_record(&self) -> Self::Record;

    /// Sets the initial state.
    fn start(&self, state: &mut Self::State);

    /// Moves a state over a range of steps. With `output`, what these steps show is observed.
    fn advance(
        &self,
        steps: Range<usize>,
        state: &mut Self::State,
        output: Option<&mut Self::Output>,
        work: &mut Self::Work,
    ) -> Result<(), Self::Error>;

    /// The same, and writes one record per step.
    fn advance_recording(
        &self,
        steps: Range<usize>,
        state: &mut Self::State,
        records: &mut [Self::Record],
        output: Option<&mut Self::Output>,
        work: &mut Self::Work,
    ) -> Result<(), Self::Error>;

    /// At the last state: the misfit of what was observed; the adjoint state is set to its derivative.
    fn turn(&self, last: &Self::State, output: &Self::Output, adjoint: &mut Self::Adjoint) -> Result<f64, Self::Error>;

    /// Moves the adjoint state back over a range of steps, last step first, and gathers the gradient.
    fn pull_back(
        &self,
        steps: Range<usize>,
        records: &[Self::Record],
        adjoint: &mut Self::Adjoint,
        work: &mut Self::Work,
    ) -> Result<(), Self::Error>;
}
