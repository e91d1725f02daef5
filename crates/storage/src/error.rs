//! What can go wrong with a file.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use treewave_core::{GridError, ModelError};

/// A file that cannot be read or written, with the file, what was found there and what was expected.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The operating system refused.
    #[error("{}: cannot {doing}: {source}", path.display())]
    Io { path: PathBuf, doing: &'static str, source: io::Error },
    /// The disk or a quota is full.
    #[error(
        "{}: cannot {doing}: {reason}; the file takes {needed} bytes or more, {free} bytes are free: make room and start the same command again",
        path.display()
    )]
    NoRoom { path: PathBuf, doing: String, reason: String, needed: u64, free: u64 },
    /// The file does not exist.
    #[error("{}: there is no such file", path.display())]
    MissingFile { path: PathBuf },
    /// Some other kind of file.
    #[error("{}: this is not an HDF5 file ({bytes} bytes, and no HDF5 signature); raw binary and npy files go through `treewave import`", path.display())]
    NotHdf5 { path: PathBuf, bytes: u64 },
    /// An HDF5 file that the library cannot open, most often cut short.
    #[error("{}: the file begins as HDF5 but cannot be opened; it is truncated or damaged ({bytes} bytes): {reason}", path.display())]
    Damaged { path: PathBuf, bytes: u64, reason: String },
    /// The file system cannot lock files.
    #[error("{}: HDF5 cannot lock the file: {reason}; set HDF5_USE_FILE_LOCKING=FALSE on file systems without locks", path.display())]
    Locked { path: PathBuf, reason: String },
    /// The HDF5 library refused.
    #[error("{}: cannot {doing}: {reason}", path.display())]
    Hdf5 { path: PathBuf, doing: String, reason: String },
    /// A dataset that is not there.
    #[error("{}: there is no dataset {dataset:?}; the file has {}", path.display(), list(available))]
    MissingDataset { path: PathBuf, dataset: String, available: Vec<String> },
    /// A dataset of an unusable rank or shape.
    #[error("{}: dataset {dataset:?} has shape {found:?}, expected {expected}", path.display())]
    Shape { path: PathBuf, dataset: String, found: Vec<usize>, expected: String },
    /// A dataset or attribute of an unusable type.
    #[error("{}: {what} has type {found}, expected {expected}", path.display())]
    Type { path: PathBuf, what: String, found: String, expected: &'static str },
    /// A number that cannot be used.
    #[error("{}: dataset {dataset:?} is {value} at index {index:?}; every value must be finite", path.display())]
    Value { path: PathBuf, dataset: String, index: Vec<usize>, value: f64 },
    /// Another unit than the expected one.
    #[error("{}: {what} has units {found:?}, expected {expected:?}; convert the values, or correct the attribute `units`", path.display())]
    Units { path: PathBuf, what: String, found: String, expected: &'static str },
    /// Axes in another order than Treewave's.
    #[error("{}: the axes of dataset {dataset:?} are ({}), expected ({}): transpose the dataset or rename its axes", path.display(), found.join(", "), expected.join(", "))]
    AxisOrder { path: PathBuf, dataset: String, found: Vec<String>, expected: Vec<String> },
    /// An axis with uneven steps.
    #[error("{}: axis {axis:?} is not regular: point {index} is at {found}, expected {expected}", path.display())]
    Irregular { path: PathBuf, axis: String, index: usize, found: f64, expected: f64 },
    /// Nothing tells where the cells are.
    #[error(
        "{}: nothing tells the grid of dataset {dataset:?}: neither dimension scales, nor axis datasets ({}) of its lengths, nor an attribute \
         `spacing_m` of the dataset or of the file; add one of them", path.display(), axes.join(", ")
    )]
    NoSpacing { path: PathBuf, dataset: String, axes: Vec<String> },
    /// An impossible grid.
    #[error("{}: dataset {dataset:?}: {source}", path.display())]
    Grid { path: PathBuf, dataset: String, source: GridError },
    /// An impossible model.
    #[error("{}: dataset {dataset:?}: {source}", path.display())]
    Model { path: PathBuf, dataset: String, source: ModelError },
    /// A Treewave file of another kind.
    #[error("{}: attribute `treewave_format` is {found:?}, expected {expected:?}", path.display())]
    Format { path: PathBuf, found: String, expected: &'static str },
    /// A Treewave file of a later version.
    #[error("{}: schema version {found} is newer than {known}, the latest one known to this program; update Treewave", path.display())]
    SchemaVersion { path: PathBuf, found: i64, known: i64 },
    /// Contents that contradict each other or the caller.
    #[error("{}: {what}", path.display())]
    Content { path: PathBuf, what: String },
    /// A raw file of another size than its description.
    #[error(
        "{}: the file has {found} bytes, but shape {shape:?} with {bytes_per_value} bytes per value takes {expected}; check --shape and --dtype",
        path.display()
    )]
    RawSize { path: PathBuf, found: u64, expected: u64, shape: Vec<usize>, bytes_per_value: usize },
    /// No restart file can be trusted.
    #[error("{}: no restart file is usable: {}; keep the folder for inspection, or remove it to begin anew", path.display(), reasons.join("; "))]
    Restart { path: PathBuf, reasons: Vec<String> },
}

impl StorageError {
    /// An error of the operating system.
    pub(crate) fn io(path: &Path, doing: &'static str, source: io::Error) -> Self {
        StorageError::Io { path: path.into(), doing, source }
    }
    /// An error of the HDF5 library.
    pub(crate) fn hdf5(path: &Path, doing: impl Into<String>, source: &hdf5::Error) -> Self {
        StorageError::Hdf5 { path: path.into(), doing: doing.into(), reason: source.to_string() }
    }
    /// Contents that contradict each other.
    pub(crate) fn content(path: &Path, what: impl Into<String>) -> Self {
        StorageError::Content { path: path.into(), what: what.into() }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "no datasets".into() } else { names.join(", ") }
}
