//! Automatic differentiation: exact derivatives of programs written over [`Real`](treewave_core::Real).
//!
//! - Forward mode: a [`Dual`] carries derivatives in several directions along, and nests for second derivatives.
//! - Reverse mode: a [`Var`] pushes its operations onto a [`Tape`], which is popped backward.
//! - [`Complex`] numbers are pairs of reals, and need nothing more.
//! - A [`Program`] is a simulation of many steps over any scalar. [`Taped`] makes it an
//!   [`Evolution`](treewave_reversal::Evolution) with an adjoint by tape, one short tape per step, whose history is visited backwards by any schedule.
//!
//! The theory is in `docs/theory/differentiation.md`.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod complex;
mod dual;
mod evolution;
mod tape;
mod var;

pub use complex::Complex;
pub use dual::Dual;
pub use evolution::{Adjoint, FlatState, Program, Taped, TapedGradient, Tracer, TracerUsage};
pub use tape::{Adjoints, Gradient, Tape, TapeScalar, TapeUsage, gradient};
pub use var::Var;
