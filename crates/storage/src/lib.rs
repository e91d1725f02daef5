//! Files: models, gathers, runs and gradients in HDF5 that plain tools open; private restart files and spilled
//! snapshots; raw binary and npy models.
//!
//! Public files follow one set of rules ([`PublicFile`]): C order with depth `z` fastest, every axis a dataset of its
//! own that is attached as a dimension scale, SI units in the attribute `units`, provenance in the root attributes. A
//! published file is complete or absent.
#![deny(unsafe_code)]

mod arrays;
mod axes;
mod crash;
mod error;
mod ffi;
mod gathers;
mod gradient;
mod head;
mod heap;
mod model;
mod npy;
mod public_file;
mod publish;
mod raw;
mod reader;
mod restart;
mod run;
mod sealed;
mod spill;

pub use arrays::{LabelledArray, list_datasets, read_array};
pub use crash::CRASH_CODE;
pub use error::StorageError;
pub use gathers::{GatherFile, GatherWriter};
pub use gradient::{GradientRecord, SeedGradientRecord, write_gradient, write_seed_gradient};
pub use head::{Head, utc_text};
pub use model::{Field, NamedField, read_field, read_model, write_fields, write_model};
pub use public_file::{Axis, Label, Precision, PublicFile, SCHEMA_VERSION};
pub use publish::{file_hash, write_text};
pub use raw::{RawLayout, RawNumber, read_npy_model, read_npy_series, read_raw_model};
pub use restart::{last_number, load_restart, save_restart};
pub use run::{RunEntry, RunRecord, publish_run, read_run};
pub use sealed::{Sealed, seal, unseal};
pub use spill::{STAGING_STATES, SpillStore};

/// Free bytes of the file system of a path, as far as the system tells.
pub fn free_bytes(path: &std::path::Path) -> Option<u64> {
    ffi::free_bytes(path).ok()
}

/// Version of the HDF5 library in use.
pub fn hdf5_version() -> String {
    let (major, minor, release) = hdf5::library_version();
    format!("{major}.{minor}.{release}")
}
