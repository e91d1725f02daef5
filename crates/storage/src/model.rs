//! Models and other fields on a grid.

use std::path::Path;

use treewave_core::{Grid, Model};

use crate::axes::{check_units, read_grid};
use crate::crash::CrashWatch;
use crate::error::StorageError;
use crate::head::Head;
use crate::public_file::{Label, Precision, PublicFile};
use crate::reader::Reader;

/// Real numbers on a grid: a density, a mask, a gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The grid.
    pub grid: Grid,
    /// One value per cell, in the order of the grid.
    pub values: Vec<f64>,
    /// Unit, where the file names one.
    pub units: Option<String>,
}

/// A field with the name it has in a file.
#[derive(Clone, Copy, Debug)]
pub struct NamedField<'a> {
    /// Name of the dataset.
    pub name: &'a str,
    /// One value per cell, in the order of the grid.
    pub values: &'a [f64],
    /// Unit, such as `kg/m3`.
    pub units: &'a str,
    /// What it is, for readers.
    pub long_name: &'a str,
}

/// Reads a P-wave velocity in m/s, shape `(x, z)` or `(x, y, z)`, of any number type.
///
/// The grid comes from the dataset's dimension scales; else from datasets `x`, `y`, `z` in m that have its lengths;
/// else from the attributes `spacing_m` and `origin_m` (one number, or one per axis; the origin is 0 where it is
/// missing) of the dataset or of the file.
///
/// # Errors
/// Everything of [`read_field`]; [`StorageError::Units`] where `units` says other than m/s; [`StorageError::Model`]
/// with the cell where a value is not positive and finite.
pub fn read_model(path: &Path, dataset: &str) -> Result<Model, StorageError> {
    let _watch = CrashWatch::over(path);
    let reader = Reader::open(path)?;
    let (grid, values, units) = read(&reader, dataset)?;
    check_units(path, &format!("dataset {dataset:?}"), units.as_deref().unwrap_or(""), "m/s")?;
    model(path, dataset, grid, values)
}

/// Reads any dataset on a grid, such as a mask; the grid is found as in [`read_model`].
///
/// # Errors
/// [`StorageError::MissingFile`], [`NotHdf5`](StorageError::NotHdf5), [`Damaged`](StorageError::Damaged);
/// [`MissingDataset`](StorageError::MissingDataset) with the names that exist; [`Shape`](StorageError::Shape) for a
/// rank other than 2 or 3; [`Type`](StorageError::Type); [`NoSpacing`](StorageError::NoSpacing),
/// [`Irregular`](StorageError::Irregular), [`AxisOrder`](StorageError::AxisOrder),
/// [`Units`](StorageError::Units) of axes; [`Value`](StorageError::Value) for a value that is not finite.
pub fn read_field(path: &Path, dataset: &str) -> Result<Field, StorageError> {
    let _watch = CrashWatch::over(path);
    let reader = Reader::open(path)?;
    let (grid, values, units) = read(&reader, dataset)?;
    check_finite(path, dataset, &grid.dataset_shape(), &values)?;
    Ok(Field { grid, values, units })
}

fn read(reader: &Reader, name: &str) -> Result<(Grid, Vec<f64>, Option<String>), StorageError> {
    let dataset = reader.dataset(name)?;
    reader.check_numeric(&dataset, &format!("dataset {name:?}"))?;
    let grid = read_grid(reader, name, &dataset)?;
    let values = reader.numbers(&dataset, &format!("dataset {name:?}"))?;
    Ok((grid, values, reader.text(&dataset, "units")?))
}

/// A model whose refusal names the file.
pub(crate) fn model(path: &Path, dataset: &str, grid: Grid, values: Vec<f64>) -> Result<Model, StorageError> {
    let refusal = |source| StorageError::Model { path: path.into(), dataset: dataset.into(), source };
    Model::new(grid, values).map_err(refusal)
}

/// Refuses the first value that is not finite.
pub(crate) fn check_finite(path: &Path, dataset: &str, shape: &[usize], values: &[f64]) -> Result<(), StorageError> {
    let Some(at) = values.iter().position(|v| !v.is_finite()) else { return Ok(()) };
    let mut rest = at;
    let mut index: Vec<usize> = shape.iter().rev().map(|&n| (rest % n, rest /= n).0).collect();
    index.reverse();
    Err(StorageError::Value { path: path.into(), dataset: dataset.into(), index, value: values[at] })
}

/// Writes a model file with the dataset `vp` in m/s and its axes.
///
/// # Errors
/// [`StorageError::Io`], [`StorageError::Hdf5`]; an older file of that name then stays.
pub fn write_model(path: &Path, model: &Model, precision: Precision, head: &Head) -> Result<(), StorageError> {
    let vp = NamedField { name: "vp", values: model.vp_m_per_s(), units: "m/s", long_name: "P-wave velocity" };
    write_fields(path, model.grid(), &[vp], precision, head)
}

/// Writes a model file with several fields on one grid, such as `vp`, `vp_init`, `rho`, `mask`.
///
/// # Errors
/// As [`write_model`]; [`StorageError::Content`] where a field has not one value per cell.
pub fn write_fields(
    path: &Path,
    grid: &Grid,
    fields: &[NamedField],
    precision: Precision,
    head: &Head,
) -> Result<(), StorageError> {
    let mut file = PublicFile::create(path, "model", head)?;
    let axes = file.grid_axes(grid)?;
    let axes: Vec<&str> = axes.iter().map(String::as_str).collect();
    for field in fields {
        let label = Label { name: field.name, axes: &axes, units: field.units, long_name: field.long_name };
        file.write(&label, field.values, precision)?;
    }
    file.publish()
}
