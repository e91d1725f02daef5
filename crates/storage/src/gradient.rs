//! Gradient files.

use std::path::Path;

use treewave_core::Grid;

use crate::error::StorageError;
use crate::head::Head;
use crate::public_file::{Label, Precision, PublicFile};

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

/// Writes `gradient_vp (x, z)`, `illumination`, `misfit`, `misfit_per_shot`, and the attribute `log`.
///
/// # Errors
/// [`StorageError::Io`], [`StorageError::Hdf5`]; an older file of that name then stays.
pub fn write_gradient(path: &Path, record: &GradientRecord, head: &Head) -> Result<(), StorageError> {
    let mut file = PublicFile::create(path, "gradient", head)?;
    file.attribute("log", &record.log)?;
    for (name, text) in &record.provenance {
        file.attribute(name, text)?;
    }
    let axes = file.grid_axes(record.grid)?;
    let axes: Vec<&str> = axes.iter().map(String::as_str).collect();
    let shots: Vec<i64> = record.shots.iter().map(|&shot| shot as i64).collect();
    file.index_axis("shot_index", &shots, "shot, counted from 0")?;
    let long_name = "derivative of the misfit with respect to the velocity";
    let gradient = Label { name: "gradient_vp", axes: &axes, units: "Pa2 s2/m", long_name };
    file.write(&gradient, record.gradient_vp, Precision::F64)?;
    if let Some(illumination) = record.illumination {
        let label = Label { name: "illumination", axes: &axes, units: "Pa2 s2/m6", long_name: "source illumination" };
        file.write(&label, illumination, Precision::F64)?;
    }
    let misfit = Label { name: "misfit", axes: &[], units: "Pa2 s", long_name: "misfit" };
    file.write(&misfit, &[record.misfit], Precision::F64)?;
    let label =
        Label { name: "misfit_per_shot", axes: &["shot_index"], units: "Pa2 s", long_name: "misfit of each shot" };
    file.write(&label, record.misfit_per_shot, Precision::F64)?;
    file.publish()
}
