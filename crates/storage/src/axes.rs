//! What the axes of a dataset are: from dimension scales, from datasets named like axes, or from attributes.

use std::path::Path;

use hdf5::Dataset;
use treewave_core::Grid;

use crate::error::StorageError;
use crate::public_file::Axis;
use crate::reader::{Reader, name_of};

/// How far a point of a regular axis may lie from its place, in steps.
const REGULAR: f64 = 1e-3;

/// Names of the axes of a grid, by the rank of the dataset.
fn grid_names(rank: usize) -> Option<&'static [&'static str]> {
    match rank {
        2 => Some(&["x", "z"]),
        3 => Some(&["x", "y", "z"]),
        _ => None,
    }
}

/// First value and step of a regular axis. The `spacing` attribute wins over the step found from the values where the
/// two agree, because it is exact.
///
/// The error is the index of the first point off its place, with the place: one step of `REGULAR` is allowed, and the
/// rounding of values that were kept in four bytes.
pub(crate) fn regular(axis: &Axis) -> Result<(f64, Option<f64>), (usize, f64)> {
    let values = &axis.values;
    let Some((&first, &last)) = values.first().zip(values.last()) else { return Ok((0.0, axis.spacing)) };
    if values.len() == 1 {
        return Ok((first, axis.spacing));
    }
    let largest = values.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let rounding = 4.0 * f64::from(f32::EPSILON) * largest;
    let misplaced = |spacing: f64| {
        let place = |i: usize| first + i as f64 * spacing;
        let near = |i: usize, v: f64| (v - place(i)).abs() <= REGULAR * spacing.abs() + rounding;
        values.iter().enumerate().find(|&(i, &v)| !near(i, v)).map(|(i, _)| (i, place(i)))
    };
    if let Some(spacing) = axis.spacing
        && misplaced(spacing).is_none()
    {
        return Ok((first, Some(spacing)));
    }
    let spacing = (last - first) / (values.len() - 1) as f64;
    match misplaced(spacing) {
        None => Ok((first, Some(spacing))),
        Some(irregular) => Err(irregular),
    }
}

/// The name at the end of a path in a file.
fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Reads one axis.
pub(crate) fn read_axis(reader: &Reader, scale: &Dataset) -> Result<Axis, StorageError> {
    let full = name_of(scale);
    let name = base(&full).to_string();
    let values = reader.numbers(scale, &format!("axis {name:?}"))?;
    let spacing = reader.numbers_attribute(scale, "spacing")?.filter(|v| v.len() == 1).map(|v| v[0]);
    let units = reader.text(scale, "units")?.unwrap_or_else(|| "1".into());
    let long_name = reader.text(scale, "long_name")?.unwrap_or_else(|| name.clone());
    Ok(Axis { name, values, units, long_name, spacing })
}

/// The datasets that may describe each dimension: scales where they are attached, else datasets named like the axes
/// of a grid, beside the dataset or at the root, that have the right length.
pub(crate) fn find_axes(reader: &Reader, dataset: &Dataset) -> Result<Vec<Option<Dataset>>, StorageError> {
    let mut found = reader.scales(dataset)?;
    if found.iter().all(Option::is_none)
        && let Some(names) = grid_names(found.len())
    {
        let full = name_of(dataset);
        let folder = full.strip_suffix(base(&full)).unwrap_or("/");
        for ((axis, name), length) in found.iter_mut().zip(names).zip(dataset.shape()) {
            let places = [format!("{folder}{name}"), format!("/{name}")];
            let candidates = places.iter().filter(|p| reader.has(p)).filter_map(|p| reader.dataset(p).ok());
            *axis = candidates.into_iter().find(|c| c.shape() == [length]);
        }
    }
    Ok(found)
}

/// The grid of a dataset `(x, z)` or `(x, y, z)`.
pub(crate) fn read_grid(reader: &Reader, name: &str, dataset: &Dataset) -> Result<Grid, StorageError> {
    let shape = dataset.shape();
    let Some(names) = grid_names(shape.len()).filter(|_| !shape.contains(&0)) else {
        return Err(StorageError::Shape {
            path: reader.path.clone(),
            dataset: name.into(),
            found: shape,
            expected: "2 axes (x, z) or 3 axes (x, y, z), none empty".into(),
        });
    };
    let scales: Option<Vec<Dataset>> = find_axes(reader, dataset)?.into_iter().collect();
    let (spacing_m, origin_m) = match scales {
        Some(scales) => grid_from_axes(reader, name, names, &scales, dataset)?,
        None => grid_from_attributes(reader, name, names, dataset)?,
    };
    Grid::new(&shape, &spacing_m, &origin_m).map_err(|source| StorageError::Grid {
        path: reader.path.clone(),
        dataset: name.into(),
        source,
    })
}

/// Spacing and origin in m, per axis.
type Placement = (Vec<f64>, Vec<f64>);

fn grid_from_axes(
    reader: &Reader,
    dataset_name: &str,
    names: &[&str],
    scales: &[Dataset],
    dataset: &Dataset,
) -> Result<Placement, StorageError> {
    let axes = scales.iter().map(|scale| read_axis(reader, scale)).collect::<Result<Vec<_>, _>>()?;
    if axes.iter().zip(names).any(|(axis, name)| !axis.name.eq_ignore_ascii_case(name)) {
        return Err(StorageError::AxisOrder {
            path: reader.path.clone(),
            dataset: dataset_name.into(),
            found: axes.into_iter().map(|axis| axis.name).collect(),
            expected: names.iter().map(|n| n.to_string()).collect(),
        });
    }
    let (mut spacing_m, mut origin_m) = (Vec::new(), Vec::new());
    for (i, (axis, &length)) in axes.iter().zip(&dataset.shape()).enumerate() {
        check_units(&reader.path, &format!("axis {:?}", axis.name), &axis.units, "m")?;
        if axis.values.len() != length {
            let what =
                format!("axis {:?} has {} points, dataset {dataset_name:?} has {length}", axis.name, axis.values.len());
            return Err(StorageError::content(&reader.path, what));
        }
        let (first, step) = regular(axis).map_err(|(index, expected)| StorageError::Irregular {
            path: reader.path.clone(),
            axis: axis.name.clone(),
            index,
            found: axis.values[index],
            expected,
        })?;
        origin_m.push(first);
        spacing_m.push(match step {
            Some(step) => step,
            // One point has no step: the attribute must tell.
            None => grid_from_attributes(reader, dataset_name, names, dataset)?.0[i],
        });
    }
    Ok((spacing_m, origin_m))
}

fn grid_from_attributes(
    reader: &Reader,
    dataset_name: &str,
    names: &[&str],
    dataset: &Dataset,
) -> Result<Placement, StorageError> {
    let per_axis = |attribute: &str| -> Result<Option<Vec<f64>>, StorageError> {
        let found = match reader.numbers_attribute(dataset, attribute)? {
            Some(found) => Some(found),
            None => reader.numbers_attribute(reader.root(), attribute)?,
        };
        match found {
            Some(values) if values.len() == 1 => Ok(Some(vec![values[0]; names.len()])),
            Some(values) if values.len() != names.len() => {
                let what = format!(
                    "attribute {attribute:?} of dataset {dataset_name:?} has {} values, expected 1 or {} ({})",
                    values.len(),
                    names.len(),
                    names.join(", ")
                );
                Err(StorageError::content(&reader.path, what))
            }
            other => Ok(other),
        }
    };
    let spacing_m = per_axis("spacing_m")?.ok_or_else(|| StorageError::NoSpacing {
        path: reader.path.clone(),
        dataset: dataset_name.into(),
        axes: names.iter().map(|n| format!("/{n}")).collect(),
    })?;
    Ok((spacing_m, per_axis("origin_m")?.unwrap_or_else(|| vec![0.0; names.len()])))
}

/// Refuses another unit than the expected one. No unit, and `1` on an axis that others made, pass.
pub(crate) fn check_units(path: &Path, what: &str, found: &str, expected: &'static str) -> Result<(), StorageError> {
    let plain: String = found.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let same: &[&str] = match expected {
        "m" => &["m", "metre", "metres", "meter", "meters"],
        "s" => &["s", "sec", "second", "seconds"],
        "m/s" => &["m/s", "m s-1", "m.s-1", "m s^-1", "m*s^-1", "metre/second", "meter/second", "meters/second"],
        _ => &[],
    };
    if plain.is_empty() || plain == "1" || plain == expected.to_lowercase() || same.contains(&plain.as_str()) {
        return Ok(());
    }
    Err(StorageError::Units { path: path.into(), what: what.into(), found: found.into(), expected })
}
