//! Treewave: full-waveform inversion for seismic imaging.
//!
//! This crate is the program: command line, configuration, workflows, pictures. The numerics are in the crates below.
#![forbid(unsafe_code)]

pub mod band;
pub mod calibration;
pub mod cli;
pub mod commands;
pub mod config;
pub mod deadline;
#[cfg(feature = "failpoints")]
pub mod failpoints;
pub mod fingerprint;
pub mod gradient_plan;
pub mod kept_gradient;
pub mod known_costs;
pub mod ledger;
pub mod logging;
pub mod memory;
pub mod observed;
pub mod plot;
pub mod provenance;
pub mod record;
pub mod report;
pub mod resume;
pub mod reversal;
pub mod run_lock;
pub mod seed_pml;
pub mod session;
pub mod stage;
pub mod status;
pub mod study;
pub mod terminal;
