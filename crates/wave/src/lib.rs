//! Wave equations, their time loop, its tangent (Born) and adjoint, and the gradient of one shot.
#![forbid(unsafe_code)]

pub mod acoustic;
pub mod blocks;
pub mod layout;
pub mod profile;
pub mod shot;
pub mod state;
pub mod time;

pub use acoustic::{Acoustic, AcousticOptions, WaveError};
pub use blocks::Parallelism;
pub use layout::{Boundary, Layout, Top};
pub use shot::{AcousticShot, Adjoint, Traces, Work};
pub use state::State;
