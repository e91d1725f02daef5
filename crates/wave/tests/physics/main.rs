//! The discrete program against physics: analytic solutions, numbers measured by other codes, the absorbing layer,
//! what must be conserved, and what must not depend on threads or vector instructions.
//!
//! Every test prints what it measured; `cargo test -p treewave-wave --test physics -- --nocapture` shows it, and
//! `docs/verification.md` keeps the figures.

mod adjoint_gates;
mod analytic;
mod common;
mod invariants;
mod layer;
mod peers;
mod same_bits;
mod three_dimensions;
