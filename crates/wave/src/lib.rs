//! Wave equations, their time loop, its tangent (Born) and adjoint, and the gradient of one shot.
#![deny(unsafe_code)]

pub mod acoustic;
pub mod field;
pub mod layout;
mod points;
pub mod profile;
pub mod seed_pml;
pub mod shot;
pub mod state;
pub mod tiles;
pub mod time;

pub use acoustic::{Acoustic, AcousticOptions, WaveError};
pub use field::Field;
pub use layout::{Boundary, Layout, Top};
pub use seed_pml::{SeedLayer, SeedPml, SeedPmlError, SeedPmlOptions, SeedPmlShot, SeedState};
pub use shot::{AcousticShot, Adjoint, Traces};
pub use state::State;
pub use tiles::{Parallelism, TileShape};
pub use treewave_kernels::{Path, RowKernels};

use bytemuck::Pod;
use treewave_kernels::Simd;

/// A scalar for production runs: `f32` or `f64`.
pub trait Scalar: Simd + Pod + Send + Sync {}

impl<T: Simd + Pod + Send + Sync> Scalar for T {}

/// Runs `body` on a thread of the current rayon pool, where the sweeps inside split with little cost.
pub fn in_thread_pool<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    let mut result = None;
    rayon::scope(|_| result = Some(body()));
    result.expect("a scope runs its body")
}
