//! Gradient files.

use std::path::Path;

use treewave_core::Grid;

use crate::error::StorageError;
use crate::head::Head;
use crate::public_file::{Axis, Label, Precision, PublicFile};

/// A gradient with what belongs to it.
#[derive(Clone, Debug)]
pub struct GradientRecord<'a> {
    /// The grid.
    pub grid: &'a Grid,
    /// Derivative of the misfit with respect to the velocity of each cell, per m/s.
    pub gradient_vp: &'a [f64],
    /// Source illumination of each cell.
    pub illumination: Option<&'a [f64]>,
    /// Misfit in Pa² s.
    pub misfit: f64,
    /// Numbers of the shots used.
    pub shots: &'a [usize],
    /// Misfit of each of them in Pa² s.
    pub misfit_per_shot: &'a [f64],
    /// The log of the reversals as JSON text.
    pub log: String,
    /// Further attributes: name and text.
    pub provenance: Vec<(String, String)>,
}

/// A gradient of the seed paper's equation with what belongs to it.
#[derive(Clone, Debug)]
pub struct SeedGradientRecord<'a> {
    /// The grid.
    pub grid: &'a Grid,
    /// Derivative of the misfit with respect to the squared velocity of each point, per m²/s².
    pub gradient_c2: &'a [f64],
    /// Derivative with respect to each sample of the wavelet, per Pa/s².
    pub gradient_wavelet: &'a [f64],
    /// Interval of these samples in s.
    pub record_s: f64,
    /// Derivative with respect to the initial field at each point, per Pa.
    pub gradient_u0: &'a [f64],
    /// Misfit in Pa².
    pub misfit: f64,
    /// Numbers of the shots used.
    pub shots: &'a [usize],
    /// Misfit of each of them in Pa².
    pub misfit_per_shot: &'a [f64],
    /// The log of the reversals as JSON text.
    pub log: String,
    /// Further attributes: name and text.
    pub provenance: Vec<(String, String)>,
}

/// Writes `gradient_vp (x, z)`, `illumination`, `misfit`, `misfit_per_shot`, and the attribute `log`.
///
/// # Errors
/// [`StorageError::Io`], [`StorageError::Hdf5`]; an older file of that name then stays.
pub fn write_gradient(path: &Path, record: &GradientRecord, head: &Head) -> Result<(), StorageError> {
    let mut file = begin(path, head, &record.log, &record.provenance, record.shots)?;
    let axes = file.grid_axes(record.grid)?;
    let axes: Vec<&str> = axes.iter().map(String::as_str).collect();
    let long_name = "derivative of the misfit with respect to the velocity";
    let gradient = Label { name: "gradient_vp", axes: &axes, units: "Pa2 s2/m", long_name };
    file.write(&gradient, record.gradient_vp, Precision::F64)?;
    if let Some(illumination) = record.illumination {
        let label = Label { name: "illumination", axes: &axes, units: "Pa2 s2/m6", long_name: "source illumination" };
        file.write(&label, illumination, Precision::F64)?;
    }
    finish(file, "Pa2 s", record.misfit, record.misfit_per_shot)
}

/// Writes `gradient_c2 (x, z)`, `gradient_wavelet (time)`, `gradient_u0 (x, z)`, `misfit`, `misfit_per_shot`, and the
/// attribute `log`.
///
/// # Errors
/// [`StorageError::Io`], [`StorageError::Hdf5`]; an older file of that name then stays.
pub fn write_seed_gradient(path: &Path, record: &SeedGradientRecord, head: &Head) -> Result<(), StorageError> {
    let mut file = begin(path, head, &record.log, &record.provenance, record.shots)?;
    let axes = file.grid_axes(record.grid)?;
    let axes: Vec<&str> = axes.iter().map(String::as_str).collect();
    let samples = record.gradient_wavelet.len();
    file.axis(&Axis::regular("time", 0.0, record.record_s, samples, "s", "time"))?;
    let mut write = |name, axes, units, what, values| {
        let long_name = format!("derivative of the misfit with respect to {what}");
        file.write(&Label { name, axes, units, long_name: &long_name }, values, Precision::F64)
    };
    write("gradient_c2", &axes, "Pa2 s2/m2", "the squared velocity", record.gradient_c2)?;
    write("gradient_wavelet", &["time"], "Pa s2", "the wavelet", record.gradient_wavelet)?;
    write("gradient_u0", &axes, "Pa", "the initial field", record.gradient_u0)?;
    finish(file, "Pa2", record.misfit, record.misfit_per_shot)
}

/// A gradient file with its attributes and the axis of shots.
fn begin(
    path: &Path,
    head: &Head,
    log: &str,
    provenance: &[(String, String)],
    shots: &[usize],
) -> Result<PublicFile, StorageError> {
    let mut file = PublicFile::create(path, "gradient", head)?;
    file.attribute("log", log)?;
    for (name, text) in provenance {
        file.attribute(name, text)?;
    }
    let shots: Vec<i64> = shots.iter().map(|&shot| shot as i64).collect();
    file.index_axis("shot_index", &shots, "shot, counted from 0")?;
    Ok(file)
}

/// Writes the misfits and gives the file its name.
fn finish(mut file: PublicFile, units: &str, misfit: f64, per_shot: &[f64]) -> Result<(), StorageError> {
    file.write(&Label { name: "misfit", axes: &[], units, long_name: "misfit" }, &[misfit], Precision::F64)?;
    let label = Label { name: "misfit_per_shot", axes: &["shot_index"], units, long_name: "misfit of each shot" };
    file.write(&label, per_shot, Precision::F64)?;
    file.publish()
}
