//! The wave equation of the seed paper: 2-D, scalar, second order, with an absorbing layer inside the grid.
//!
//! ```text
//! ∂²u/∂t² − c² ∇²u = f
//! ```
//!
//! and in the layer, with dampings σ(x) and τ(z), auxiliary fields φ and ψ:
//!
//! ```text
//! ∂²u/∂t² + (σ + τ) ∂u/∂t + σ τ u = c² ∇²u + ∂φ/∂x + ∂ψ/∂z + f
//! ∂φ/∂t = −σ φ + c² (τ − σ) ∂u/∂x
//! ∂ψ/∂t = −τ ψ + c² (σ − τ) ∂u/∂z
//! ```
//!
//! Second order in time and space. The field is 0 on the outermost ring of points. φ and ψ vanish outside the layer, where
//! they are neither stored nor computed. The adjoint is the transpose of this very program; see
//! [`treewave_kernels::seed_pml`].
//!
//! # Assumptions
//! Where the velocity varies, `∇·(c² ∇u)` is meant and `c² ∇²u` computed, as in the paper. Sources and receivers are
//! points of the grid. A source adds `Δt² w[n]` to its point after the layer was updated, receivers are sampled after that.
//!
//! # References
//! Grote & Sim (2010), arXiv:1001.0319; Liu & Xu (2021), Acta Physica Sinica 70, 149402, section 4.

mod frame;
mod program;
mod rows;
mod shared_field;
mod shot;
mod state;
mod steps;
mod wavefront;

pub use frame::Frame;
pub use program::{SeedLayer, SeedPml, SeedPmlOptions};
pub use shot::{SeedAdjoint, SeedPmlShot, SeedTraces, squared_difference};
pub use state::{SeedRecord, SeedState};

use thiserror::Error;

/// What can go wrong.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum SeedPmlError {
    #[error("the model has {} by {} points; at least 3 by 3 are needed, of which the outermost are always 0", points[0], points[1])]
    TooSmall { points: [usize; 2] },
    #[error("the squared velocity is {value} m²/s² at point (ix {}, iz {}); every value must be positive and finite", point[0], point[1])]
    Velocity { value: f64, point: [usize; 2] },
    #[error(
        "the time step of {dt_s} s is above the stability limit of {limit_s} s (velocities up to {vp_max_m_per_s} m/s); \
         use a smaller one"
    )]
    Unstable { dt_s: f64, limit_s: f64, vp_max_m_per_s: f64 },
    #[error(
        "point (ix {}, iz {}) is no place for a source or receiver: ix must be 1 to {}, iz 1 to {}; the field is always 0 outside",
        point[0], point[1], inside[0], inside[1]
    )]
    Outside { point: [usize; 2], inside: [usize; 2] },
    #[error("the field blew up: u = {value:.3e} after step {step} at point (ix {}, iz {})", point[0], point[1])]
    BlowUp { step: usize, point: [usize; 2], value: f64 },
}
