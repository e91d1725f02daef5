//! Any numeric dataset with its axes, for pictures.

use std::path::Path;

use ndarray::{ArrayD, IxDyn};

use crate::axes::{find_axes, read_axis};
use crate::crash::CrashWatch;
use crate::error::StorageError;
use crate::public_file::Axis;
use crate::reader::Reader;

/// Numbers with what is needed to draw them.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledArray {
    /// Name of the dataset.
    pub name: String,
    /// Unit, where the file names one.
    pub units: Option<String>,
    /// What it holds, where the file says so.
    pub long_name: Option<String>,
    /// The values in C order; not-a-number passes.
    pub values: ArrayD<f64>,
    /// One axis per dimension.
    pub axes: Vec<Axis>,
}

/// Names and shapes of all datasets of a file, sorted by name.
///
/// # Errors
/// [`StorageError::MissingFile`], [`NotHdf5`](StorageError::NotHdf5), [`Damaged`](StorageError::Damaged).
pub fn list_datasets(path: &Path) -> Result<Vec<(String, Vec<usize>)>, StorageError> {
    let _watch = CrashWatch::over(path);
    Reader::open(path)?.datasets()
}

/// Reads a numeric dataset of one to four dimensions: up to the history of a 3-D model.
///
/// Axes come from dimension scales; else from datasets `x`, `y`, `z` of the right lengths; else, for two and three
/// dimensions, from the attributes `spacing_m` and `origin_m`; else they count from 0 and are called `axis_0` and so on.
///
/// # Errors
/// Those of opening a file; [`MissingDataset`](StorageError::MissingDataset), [`Shape`](StorageError::Shape) for
/// another rank, [`Type`](StorageError::Type) for what is not a number.
pub fn read_array(path: &Path, dataset: &str) -> Result<LabelledArray, StorageError> {
    let _watch = CrashWatch::over(path);
    let reader = Reader::open(path)?;
    let found = reader.dataset(dataset)?;
    let shape = found.shape();
    if !(1..=4).contains(&shape.len()) {
        return Err(StorageError::Shape {
            path: path.into(),
            dataset: dataset.into(),
            found: shape,
            expected: "1 to 4 dimensions".into(),
        });
    }
    let values = reader.numbers(&found, &format!("dataset {dataset:?}"))?;
    let scales = find_axes(&reader, &found)?;
    let grid =
        if scales.iter().all(Option::is_none) { crate::axes::read_grid(&reader, dataset, &found).ok() } else { None };
    let mut axes = grid.map_or_else(Vec::new, |grid| Axis::of_grid(&grid));
    if axes.is_empty() {
        for (i, (scale, &length)) in scales.iter().zip(&shape).enumerate() {
            let axis = scale.as_ref().map(|scale| read_axis(&reader, scale)).transpose()?;
            let counted = || Axis::regular(&format!("axis_{i}"), 0.0, 1.0, length, "1", "index");
            axes.push(axis.filter(|axis| axis.values.len() == length).unwrap_or_else(counted));
        }
    }
    let values = ArrayD::from_shape_vec(IxDyn(&shape), values)
        .map_err(|e| StorageError::content(path, format!("dataset {dataset:?}: {e}")))?;
    let (units, long_name) = (reader.text(&found, "units")?, reader.text(&found, "long_name")?);
    Ok(LabelledArray { name: dataset.into(), units, long_name, values, axes })
}
