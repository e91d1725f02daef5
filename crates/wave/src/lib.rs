//! Wave equations, their time loop, its tangent (Born) and adjoint, and the gradient of one shot.
#![deny(unsafe_code)]

pub mod acoustic;
pub mod field;
pub mod fixed;
mod front;
pub mod layout;
mod points;
pub mod profile;
mod reach;
pub mod record;
pub mod seed_pml;
pub mod shot;
pub mod state;
pub mod tiles;
pub mod time;

pub use acoustic::{Acoustic, AcousticOptions, WaveError};
pub use field::Field;
pub use fixed::{Fixed, FixedLayout, FixedShot, FixedState, Residue};
pub use layout::{Boundary, Layout, Top};
pub use reach::Reach;
pub use record::{Record, RecordForm, Scratch};
pub use seed_pml::{SeedLayer, SeedPml, SeedPmlError, SeedPmlOptions, SeedPmlShot, SeedState};
pub use shot::{AcousticShot, Adjoint, Traces};
pub use state::State;
pub use tiles::{Parallelism, TileShape};
pub use treewave_kernels::{Path, RowKernels};

use bytemuck::Pod;
use treewave_kernels::Simd;

/// A scalar for production runs: `f32` or `f64`.
pub trait Scalar: Simd + Pod + Send + Sync {
    /// Whether fixed-point arithmetic may take the place of this one.
    const HAS_FIXED: bool;
    /// The program that it takes the place of.
    fn fixed(program: &Acoustic<Self>) -> Option<&Acoustic<f32>>;
}

impl Scalar for f32 {
    const HAS_FIXED: bool = true;
    fn fixed(program: &Acoustic<f32>) -> Option<&Acoustic<f32>> {
        Some(program)
    }
}

impl Scalar for f64 {
    const HAS_FIXED: bool = false;
    fn fixed(_: &Acoustic<f64>) -> Option<&Acoustic<f32>> {
        None
    }
}

/// Runs `body` on a thread of the current rayon pool, where the sweeps inside split with little cost.
pub fn in_thread_pool<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    let mut result = None;
    rayon::scope(|_| result = Some(body()));
    result.expect("a scope runs its body")
}

/// The threads that compute a shot.
#[derive(Debug)]
pub struct Crew {
    pool: Option<rayon::ThreadPool>,
}

impl Crew {
    /// The threads of the rayon pool that is the current one when the crew is at work.
    pub const CURRENT: Crew = Crew { pool: None };

    /// So many threads of its own.
    ///
    /// # Errors
    /// The system has no more threads.
    pub fn of_threads(threads: usize) -> Result<Crew, CrewError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("stencil-{i}")).build();
        Ok(Crew { pool: Some(pool.map_err(|source| CrewError { threads, source })?) })
    }

    /// Runs `body` on a thread of the crew, where the sweeps inside split with little cost.
    pub fn run<R: Send>(&self, body: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(body),
            None => in_thread_pool(body),
        }
    }
}

/// Threads could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {threads} threads; look at the limits (ulimit -u)")]
pub struct CrewError {
    threads: usize,
    source: rayon::ThreadPoolBuildError,
}
