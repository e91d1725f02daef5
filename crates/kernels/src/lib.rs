//! Stencils, absorbing-layer updates, injection and extraction, each beside its transpose: pure functions on slices,
//! written once over any [`Real`](treewave_core::Real) and compiled for the processor at hand.
//!
//! # Floating-point contract
//!
//! Every point is computed by the same operations in the same order whatever the vector width, so results differ only
//! between processors that fuse multiplication and addition and those that do not ([`Path::fused`]).
#![deny(unsafe_code)]
#![allow(clippy::needless_range_loop, reason = "stencils index many arrays at once")]

pub mod coefficients;
pub mod ends;
pub mod fixed;
pub mod layer;
pub mod lines;
pub mod seed_pml;
pub mod shared;
pub mod side;
pub mod sparse;
pub mod stencil;
mod table;
mod update;
mod vector;

pub use coefficients::{MAX_RADIUS, first_derivative, second_derivative};
pub use ends::LayerEnd;
pub use fixed::FixedKernels;
pub use lines::Lines;
pub use seed_pml::{SeedConstants, SeedKernels};
pub use shared::Shared;
pub use side::SideLayer;
pub use stencil::Stencil;
pub use table::{Path, RowKernels, Sides, Simd};
