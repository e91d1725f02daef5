//! Who watches over a reversal: asks it to stop, keeps how far it has come.

/// How far a reversal has come after its turn: with the adjoint state all that is needed to go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turned {
    /// Steps that are not pulled back yet.
    pub remaining: usize,
    /// The misfit.
    pub misfit: f64,
}

/// Who watches over a reversal with an adjoint state `A`.
pub trait Watch<A> {
    /// Whether the reversal is to stop. It tells how far it has come, once it has turned, with the adjoint state there.
    fn stop(&mut self, turned: Option<Turned>, adjoint: &A) -> bool;

    /// The misfit, if the reversal goes on with one that was stopped: there is no turn then, and nothing is observed.
    fn misfit(&self) -> Option<f64> {
        None
    }
}

/// Asks to stop, and keeps nothing.
impl<A, F: FnMut() -> bool> Watch<A> for F {
    fn stop(&mut self, _: Option<Turned>, _: &A) -> bool {
        self()
    }
}
