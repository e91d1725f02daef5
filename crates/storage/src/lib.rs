//! Files: models, gathers, runs and gradients in HDF5 that plain tools open; private restart files and spilled
//! snapshots; raw binary and npy models.
//!
//! Public files follow one set of rules ([`PublicFile`]): C order with depth `z` fastest, every axis a dataset of its
//! own that is attached as a dimension scale, SI units in the attribute `units`, provenance in the root attributes. A
//! published file is complete or absent.
#![deny(unsafe_code)]

mod arrays;
mod axes;
mod error;
mod ffi;
mod gathers;
mod head;
mod model;
mod public_file;
mod publish;
mod reader;

pub use arrays::{LabelledArray, list_datasets, read_array};
pub use error::StorageError;
pub use gathers::{GatherFile, GatherWriter};
pub use head::{Head, utc_text};
pub use model::{Field, NamedField, read_field, read_model, write_fields, write_model};
pub use public_file::{Axis, Label, Precision, PublicFile, SCHEMA_VERSION};
pub use publish::{file_hash, write_text};
