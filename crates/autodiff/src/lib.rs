//! Automatic differentiation: exact derivatives of programs written over [`Real`](treewave_core::Real).
#![forbid(unsafe_code)]

mod dual;

pub use dual::Dual;
