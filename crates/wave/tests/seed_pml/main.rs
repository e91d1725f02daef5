//! The seed paper's PML equation: against the reference data, its adjoint against dual numbers, dot products and
//! Taylor remainders, and the same bits by every strategy.

mod adjoint;
mod case;
mod golden;
mod npz;
mod plain;
mod strategies;

/// Where the reference data are, beside the repository.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
