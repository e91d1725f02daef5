//! Writing files for everybody: named axes, units, provenance.
//!
//! Every axis is a dataset of its own, attached to what it measures as an HDF5 dimension scale named like the axis, so
//! that h5py, xarray and netCDF show dimensions and coordinates. Only scalar text and number attributes are written
//! besides the attributes of the dimension scales themselves: netCDF refuses whole files for others.

use std::collections::BTreeMap;
use std::iter::once;
use std::path::Path;
use std::str::FromStr;
use std::time::SystemTime;

use hdf5::types::{VarLenArray, VarLenUnicode};
use hdf5::{Dataset, File, H5Type, Hyperslab, Location, ObjectReference1, Selection, SliceOrIndex};
use ndarray::ArrayViewD;
use treewave_core::Grid;
use treewave_core::grid::AXIS_NAMES;

use crate::error::StorageError;
use crate::ffi::{self, BackReference};
use crate::head::{Head, utc_text};
use crate::publish::{Beside, reach};
use crate::reader::unlocked;

/// Version of the layout of public files; readers refuse later ones.
pub const SCHEMA_VERSION: i64 = 1;

/// Largest chunk of a dataset in bytes: HDF5 takes no chunk above 4 GiB, and large ones make partial reads slow.
const CHUNK_BYTES: usize = 64 << 20;

/// How floating-point numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// Four bytes per number.
    #[default]
    F32,
    /// Eight bytes per number.
    F64,
}

impl Precision {
    /// Bytes per number.
    pub fn bytes(self) -> usize {
        match self {
            Precision::F32 => 4,
            Precision::F64 => 8,
        }
    }
}

/// Positions or numbers along one dimension of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Name of the dimension, such as `x`.
    pub name: String,
    /// One value per index, in `units`.
    pub values: Vec<f64>,
    /// Unit, such as `m`; `1` for plain numbers.
    pub units: String,
    /// What the axis measures, for readers.
    pub long_name: String,
    /// The exact step of a regular axis, in `units`: values carry rounding errors, and an axis of one point has no step.
    pub spacing: Option<f64>,
}

impl Axis {
    /// A regular axis.
    pub fn regular(name: &str, first: f64, spacing: f64, points: usize, units: &str, long_name: &str) -> Self {
        let values = (0..points).map(|i| first + i as f64 * spacing).collect();
        Axis { name: name.into(), values, units: units.into(), long_name: long_name.into(), spacing: Some(spacing) }
    }

    /// The axes of a grid in m: `x, z` or `x, y, z`.
    pub fn of_grid(grid: &Grid) -> Vec<Self> {
        let long_name = ["distance along x", "distance along y", "depth, positive down"];
        let axis = |&a: &usize| {
            let (first, spacing, points) = (grid.origin_m()[a], grid.spacing_m()[a], grid.shape()[a]);
            Axis::regular(&AXIS_NAMES[a].to_string(), first, spacing, points, "m", long_name[a])
        };
        grid.axes().iter().map(axis).collect()
    }
}

/// The names under which a dataset appears.
#[derive(Clone, Copy, Debug)]
pub struct Label<'a> {
    /// Name of the dataset.
    pub name: &'a str,
    /// Names of its axes, slowest first; each must have been written before.
    pub axes: &'a [&'a str],
    /// Unit, such as `m/s`; `1` for plain numbers.
    pub units: &'a str,
    /// What it holds, for readers.
    pub long_name: &'a str,
}

/// A public file being written; it appears under its name when [`PublicFile::publish`] succeeds, and not before.
#[derive(Debug)]
pub struct PublicFile {
    // Before `beside` in the order of drops: HDF5 closes the file before its temporary name is removed.
    file: File,
    lengths: BTreeMap<String, usize>,
    references: BTreeMap<String, Vec<BackReference>>,
    beside: Beside,
}

impl std::fmt::Debug for BackReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "dimension {}", self.dimension)
    }
}

impl PublicFile {
    /// Starts a file that will be `target`, with attribute `treewave_format` = `format` and those of `head`.
    ///
    /// # Errors
    /// [`StorageError::Io`], [`StorageError::Hdf5`] where the folder cannot be written.
    pub fn create(target: &Path, format: &str, head: &Head) -> Result<Self, StorageError> {
        let beside = Beside::new(target, 0)?;
        reach("file.create").map_err(|e| beside.failure("create the file", e))?;
        let created = unlocked().create_excl(beside.path());
        let file = created.map_err(|e| beside.hdf5_failure("create the file", &e))?;
        let public = PublicFile { file, lengths: BTreeMap::new(), references: BTreeMap::new(), beside };
        let created = utc_text(SystemTime::now());
        for (name, text) in [
            ("Conventions", "CF-1.8"),
            ("title", &head.title),
            ("treewave_format", format),
            ("history", &head.history),
            ("source", &head.source),
            ("created", &created),
        ] {
            public.attribute(name, text)?;
        }
        public.number_attribute("schema_version", SCHEMA_VERSION)?;
        Ok(public)
    }

    /// Writes a text attribute of the file.
    ///
    /// # Errors
    /// [`StorageError::Hdf5`], also for a text with a zero byte.
    pub fn attribute(&self, name: &str, text: &str) -> Result<(), StorageError> {
        self.text(&self.file, name, text)
    }

    /// Writes a number (`i64` or `f64`) as an attribute of the file.
    pub(crate) fn number_attribute<T: H5Type>(&self, name: &str, value: T) -> Result<(), StorageError> {
        self.number(&self.file, name, value)
    }

    /// Writes an axis.
    ///
    /// # Errors
    /// [`StorageError::Hdf5`], also for a name that is taken.
    pub fn axis(&mut self, axis: &Axis) -> Result<(), StorageError> {
        let dataset = self.scale(&axis.name, &axis.values, &axis.units, &axis.long_name)?;
        if let Some(spacing) = axis.spacing {
            self.number(&dataset, "spacing", spacing)?;
        }
        if axis.name == "z" {
            self.text(&dataset, "positive", "down")?;
        }
        Ok(())
    }

    /// Writes an axis of whole numbers, such as shots or iterations.
    ///
    /// # Errors
    /// As [`PublicFile::axis`].
    pub fn index_axis(&mut self, name: &str, numbers: &[i64], long_name: &str) -> Result<(), StorageError> {
        self.scale(name, numbers, "1", long_name).map(|_| ())
    }

    /// Writes the axes of a grid and returns their names.
    pub(crate) fn grid_axes(&mut self, grid: &Grid) -> Result<Vec<String>, StorageError> {
        let axes = Axis::of_grid(grid);
        axes.iter().try_for_each(|axis| self.axis(axis))?;
        Ok(axes.into_iter().map(|axis| axis.name).collect())
    }

    /// Writes real numbers, in C order over the axes of the label; without axes a single number.
    ///
    /// # Errors
    /// [`StorageError::Content`] where the number of values is not the product of the axes' lengths, or an axis is
    /// unknown; [`StorageError::Hdf5`].
    pub fn write(&mut self, label: &Label, values: &[f64], precision: Precision) -> Result<(), StorageError> {
        match precision {
            Precision::F64 => self.write_as(label, values),
            Precision::F32 => self.write_as(label, &values.iter().map(|&v| v as f32).collect::<Vec<_>>()),
        }
    }

    /// Writes whole numbers; otherwise as [`PublicFile::write`].
    ///
    /// # Errors
    /// As [`PublicFile::write`].
    pub fn write_integers(&mut self, label: &Label, values: &[i64]) -> Result<(), StorageError> {
        self.write_as(label, values)
    }

    fn write_as<T: H5Type>(&mut self, label: &Label, values: &[T]) -> Result<(), StorageError> {
        let shape = self.shape(label)?;
        let expected: usize = shape.iter().product();
        if values.len() != expected {
            let what = format!("dataset {:?} was given {} values, its axes take {expected}", label.name, values.len());
            return Err(StorageError::content(self.beside.target(), what));
        }
        let dataset = self.create_dataset::<T>(label, &shape, None)?;
        self.reach_write()?;
        dataset.write_raw(values).map_err(|e| self.error(format!("write dataset {:?}", label.name), &e))
    }

    /// Writes real numbers in `f64`, given as one slice per index of the first axis, so that they need not stand together.
    ///
    /// # Errors
    /// As [`PublicFile::write`].
    pub(crate) fn write_stack<'a>(
        &mut self,
        label: &Label,
        slices: impl ExactSizeIterator<Item = &'a [f64]>,
    ) -> Result<(), StorageError> {
        let shape = self.shape(label)?;
        if slices.len() != shape[0] {
            let what = format!("dataset {:?} was given {} slices, it has {}", label.name, slices.len(), shape[0]);
            return Err(StorageError::content(self.beside.target(), what));
        }
        let dataset = self.create_dataset::<f64>(label, &shape, None)?;
        for (i, slice) in slices.enumerate() {
            let view = ArrayViewD::from_shape(&shape[1..], slice)
                .map_err(|e| StorageError::content(self.beside.target(), format!("dataset {:?}: {e}", label.name)))?;
            let place: Vec<SliceOrIndex> = once(i.into()).chain(shape[1..].iter().map(|_| (..).into())).collect();
            self.reach_write()?;
            dataset
                .write_slice(view, Selection::new(Hyperslab::from(place)))
                .map_err(|e| self.error(format!("write dataset {:?}", label.name), &e))?;
        }
        Ok(())
    }

    /// Reserves a dataset of real numbers to be written in parts: chunked by `rows` of its first axis, not filled.
    pub(crate) fn reserve(
        &mut self,
        label: &Label,
        rows: usize,
        precision: Precision,
    ) -> Result<Dataset, StorageError> {
        let shape = self.shape(label)?;
        match precision {
            Precision::F32 => self.create_dataset::<f32>(label, &shape, Some(rows)),
            Precision::F64 => self.create_dataset::<f64>(label, &shape, Some(rows)),
        }
    }

    fn create_dataset<T: H5Type>(
        &mut self,
        label: &Label,
        shape: &[usize],
        rows: Option<usize>,
    ) -> Result<Dataset, StorageError> {
        self.beside.bytes += (shape.iter().product::<usize>() * std::mem::size_of::<T>()) as u64;
        let mut builder = self.file.new_dataset::<T>();
        if let Some(rows) = rows
            && let Some(chunk) = chunk(shape, rows, std::mem::size_of::<T>())
        {
            builder = builder.chunk(chunk).fill_time(hdf5::dataset::FillTime::Never);
        }
        let created = builder.shape(shape).create(label.name);
        let dataset = created.map_err(|e| self.error(format!("create dataset {:?}", label.name), &e))?;
        self.text(&dataset, "units", label.units)?;
        self.text(&dataset, "long_name", label.long_name)?;
        self.attach(&dataset, label)?;
        Ok(dataset)
    }

    /// Flushes and closes the file, syncs it to the disk and gives it its name.
    ///
    /// # Errors
    /// [`StorageError::Hdf5`], [`StorageError::Io`]; then an older file of that name is still there, untouched.
    pub fn publish(self) -> Result<(), StorageError> {
        for (scale, references) in &self.references {
            let write = || {
                let scale = self.file.dataset(scale)?;
                let attribute = scale.new_attr::<BackReference>().shape([references.len()]).create("REFERENCE_LIST")?;
                attribute.write_raw(&references[..])
            };
            write().map_err(|e| self.error(format!("attach axis {scale:?}"), &e))?;
        }
        let PublicFile { file, beside, .. } = self;
        reach("file.close").map_err(|e| beside.failure("close the file", e))?;
        let closed = file.flush().and_then(|()| file.close());
        closed.map_err(|e| beside.hdf5_failure("flush the file", &e))?;
        beside.publish()
    }

    fn shape(&self, label: &Label) -> Result<Vec<usize>, StorageError> {
        let length = |axis: &&str| {
            self.lengths.get(*axis).copied().ok_or_else(|| {
                let what = format!("dataset {:?} names an axis {axis:?} that was not written", label.name);
                StorageError::content(self.beside.target(), what)
            })
        };
        label.axes.iter().map(length).collect()
    }

    fn scale<T: H5Type>(
        &mut self,
        name: &str,
        values: &[T],
        units: &str,
        long_name: &str,
    ) -> Result<Dataset, StorageError> {
        let created = self.file.new_dataset_builder().with_data(values).create(name);
        let dataset = created.map_err(|e| self.error(format!("create axis {name:?}"), &e))?;
        for (attribute, text) in [("CLASS", "DIMENSION_SCALE"), ("NAME", name)] {
            ffi::set_fixed_text(&dataset, attribute, text).map_err(|reason| StorageError::Hdf5 {
                path: self.beside.target().into(),
                doing: format!("make {name:?} an axis"),
                reason: reason.into(),
            })?;
        }
        self.text(&dataset, "units", units)?;
        self.text(&dataset, "long_name", long_name)?;
        self.lengths.insert(name.into(), values.len());
        Ok(dataset)
    }

    /// Points from the dataset to its scales; the way back is written on publishing.
    fn attach(&mut self, dataset: &Dataset, label: &Label) -> Result<(), StorageError> {
        if label.axes.is_empty() {
            return Ok(());
        }
        let attach = || {
            let back = self.file.reference::<ObjectReference1>(label.name)?;
            let mut lists = Vec::new();
            for axis in label.axes {
                lists.push(VarLenArray::from_slice(&[self.file.reference::<ObjectReference1>(axis)?]));
            }
            let attribute =
                dataset.new_attr::<VarLenArray<ObjectReference1>>().shape([lists.len()]).create("DIMENSION_LIST")?;
            attribute.write_raw(&lists[..])?;
            Ok(back)
        };
        let back = attach().map_err(|e| self.error(format!("attach the axes of {:?}", label.name), &e))?;
        for (dimension, axis) in label.axes.iter().enumerate() {
            let reference = BackReference { dataset: back, dimension: dimension as i32 };
            self.references.entry(axis.to_string()).or_default().push(reference);
        }
        Ok(())
    }

    fn text(&self, location: &Location, name: &str, text: &str) -> Result<(), StorageError> {
        let write = || {
            let value = VarLenUnicode::from_str(text).map_err(|e| hdf5::Error::from(e.to_string()))?;
            location.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&value)
        };
        write().map_err(|e| self.error(format!("write attribute {name:?}"), &e))
    }

    /// Writes a number as an attribute of a dataset.
    pub(crate) fn number<T: H5Type>(&self, location: &Location, name: &str, value: T) -> Result<(), StorageError> {
        let write = || location.new_attr::<T>().create(name)?.write_scalar(&value);
        write().map_err(|e| self.error(format!("write attribute {name:?}"), &e))
    }

    /// Writes a text as an attribute of a dataset.
    pub(crate) fn text_of(&self, dataset: &str, name: &str, text: &str) -> Result<(), StorageError> {
        let dataset = self.file.dataset(dataset).map_err(|e| self.error(format!("open dataset {dataset:?}"), &e))?;
        self.text(&dataset, name, text)
    }

    /// A place where tests kill the process or have the disk full.
    pub(crate) fn reach_write(&self) -> Result<(), StorageError> {
        reach("file.write").map_err(|e| self.beside.failure("write", e))
    }

    pub(crate) fn error(&self, doing: String, source: &hdf5::Error) -> StorageError {
        self.beside.hdf5_failure(doing, source)
    }
}

/// The chunk that holds `rows` of the first axis whole, cut to [`CHUNK_BYTES`] along the slowest axes; none for a
/// dataset without elements.
fn chunk(shape: &[usize], rows: usize, bytes_per_value: usize) -> Option<Vec<usize>> {
    if shape.is_empty() || shape.contains(&0) {
        return None;
    }
    let mut chunk = shape.to_vec();
    chunk[0] = rows.clamp(1, shape[0]);
    for axis in 0..chunk.len() {
        let inner: usize = chunk[axis + 1..].iter().product::<usize>() * bytes_per_value;
        let outer: usize = chunk[..axis].iter().product();
        let room = (CHUNK_BYTES / (inner * outer).max(1)).max(1);
        if chunk[axis] > room {
            // Equal parts, so that the last chunk is not mostly empty.
            chunk[axis] = chunk[axis].div_ceil(chunk[axis].div_ceil(room));
        }
    }
    Some(chunk)
}

#[cfg(test)]
mod tests {
    use super::chunk;

    #[test]
    fn a_chunk_holds_the_rows_asked_for_unless_they_are_too_large() {
        assert_eq!(chunk(&[500, 1000], 100, 4), Some(vec![100, 1000]));
        assert_eq!(chunk(&[7, 1000], 100, 4), Some(vec![7, 1000]));
        assert_eq!(chunk(&[3, 1024, 1024, 64], 1, 4), Some(vec![1, 256, 1024, 64]));
        assert_eq!(chunk(&[2, 1 << 25], 2, 8), Some(vec![1, 1 << 23]));
        assert_eq!(chunk(&[0, 10], 1, 4), None);
    }
}
