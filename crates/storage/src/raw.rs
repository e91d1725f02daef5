//! Models in raw binary and npy files.

use std::fs;
use std::path::Path;

use ndarray::{ArrayD, IxDyn};
use treewave_core::{Grid, GridError, Model};

use crate::error::StorageError;
use crate::npy;

/// Number format of a raw file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawNumber {
    /// Four bytes, little endian.
    F32Le,
    /// Four bytes, big endian.
    F32Be,
    /// Eight bytes, little endian.
    F64Le,
    /// Eight bytes, big endian.
    F64Be,
}

impl RawNumber {
    pub(crate) fn bytes(self) -> usize {
        match self {
            RawNumber::F32Le | RawNumber::F32Be => 4,
            RawNumber::F64Le | RawNumber::F64Be => 8,
        }
    }
    pub(crate) fn value(self, bytes: &[u8]) -> f64 {
        let four = || <[u8; 4]>::try_from(bytes).expect("a chunk has four bytes");
        let eight = || <[u8; 8]>::try_from(bytes).expect("a chunk has eight bytes");
        match self {
            RawNumber::F32Le => f64::from(f32::from_le_bytes(four())),
            RawNumber::F32Be => f64::from(f32::from_be_bytes(four())),
            RawNumber::F64Le => f64::from_le_bytes(eight()),
            RawNumber::F64Be => f64::from_be_bytes(eight()),
        }
    }
}

/// How numbers stand in a raw file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawLayout {
    /// Number format.
    pub number: RawNumber,
    /// Whether x varies fastest, instead of z.
    pub x_fastest: bool,
}

/// Reads a headerless binary file; `scale` is the factor to m/s.
///
/// # Errors
/// [`StorageError::MissingFile`], [`StorageError::Io`]; [`StorageError::RawSize`] for another size than the grid's;
/// [`StorageError::Content`] with the cell for velocities that cannot be.
pub fn read_raw_model(path: &Path, grid: &Grid, layout: RawLayout, scale: f64) -> Result<Model, StorageError> {
    let bytes_per_value = layout.number.bytes();
    let expected = grid.shape().iter().try_fold(bytes_per_value as u64, |bytes, &n| bytes.checked_mul(n as u64));
    let Some(expected) = expected else {
        let what = format!("shape {:?} is more than any file can hold; check --shape", grid.dataset_shape());
        return Err(StorageError::content(path, what));
    };
    // Before it is read: a wrong shape must not fill the memory with a large file.
    let found = fs::metadata(path).map_err(|e| unreadable(path, e))?.len();
    if found != expected {
        let shape = grid.dataset_shape();
        return Err(StorageError::RawSize { path: path.into(), found, expected, shape, bytes_per_value });
    }
    let bytes = read_bytes(path)?;
    let values: Vec<f64> = bytes.chunks_exact(bytes_per_value).map(|b| scale * layout.number.value(b)).collect();
    model(path, grid, if layout.x_fastest { z_fastest(grid, &values) } else { values })
}

/// From x fastest to z fastest.
fn z_fastest(grid: &Grid, values: &[f64]) -> Vec<f64> {
    let [nx, ny, _] = grid.shape();
    let from = |i: usize| {
        let [ix, iy, iz] = grid.cell(i);
        values[(iz * ny + iy) * nx + ix]
    };
    (0..grid.len()).map(from).collect()
}

fn model(path: &Path, grid: &Grid, values: Vec<f64>) -> Result<Model, StorageError> {
    Model::new(grid.clone(), values).map_err(|source| StorageError::content(path, source.to_string()))
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, StorageError> {
    fs::read(path).map_err(|e| unreadable(path, e))
}

fn unreadable(path: &Path, error: std::io::Error) -> StorageError {
    match error.kind() {
        std::io::ErrorKind::NotFound => StorageError::MissingFile { path: path.into() },
        _ => StorageError::io(path, "read", error),
    }
}

/// Reads an npy file of f32 or f64.
fn read_npy(path: &Path) -> Result<ArrayD<f64>, StorageError> {
    npy::parse(&read_bytes(path)?).map_err(|what| StorageError::content(path, what))
}

/// Reads an npy model `(x, z)` or `(x, y, z)`; `grid` makes a grid for its shape, `scale` is the factor to m/s.
///
/// # Errors
/// As [`read_raw_model`].
pub fn read_npy_model(
    path: &Path,
    grid: &dyn Fn(&[usize]) -> Result<Grid, GridError>,
    scale: f64,
) -> Result<Model, StorageError> {
    let array = read_npy(path)?;
    let grid =
        grid(array.shape()).map_err(|e| StorageError::content(path, format!("shape {:?}: {e}", array.shape())))?;
    model(path, &grid, array.iter().map(|v| scale * v).collect())
}

/// Reads a one-dimensional npy file.
///
/// # Errors
/// [`StorageError::MissingFile`], [`StorageError::Io`], [`StorageError::Content`] for anything but one axis of numbers.
pub fn read_npy_series(path: &Path) -> Result<Vec<f64>, StorageError> {
    let array = read_npy(path)?;
    if array.ndim() != 1 {
        let what = format!("the array has shape {:?}, expected one axis", array.shape());
        return Err(StorageError::content(path, what));
    }
    let n = array.len();
    Ok(array.into_shape_with_order(IxDyn(&[n])).map_or_else(|_| Vec::new(), |flat| flat.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(shape: &[usize]) -> Result<Grid, GridError> {
        Grid::new(shape, &vec![7.5; shape.len()], &vec![0.0; shape.len()])
    }

    #[test]
    fn raw_files_of_every_kind_give_the_same_model() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.bin");
        let grid = grid(&[3, 2, 4]).unwrap();
        let value = |i: usize| 1.5 + i as f64 / 8.0;
        let order = |x_fastest: bool| -> Vec<f64> {
            let place = |i: usize| if x_fastest { grid.index([i % 3, i / 3 % 2, i / 6]) } else { i };
            (0..24).map(|i| value(place(i))).collect()
        };
        for x_fastest in [false, true] {
            let values = order(x_fastest);
            for number in [RawNumber::F32Le, RawNumber::F32Be, RawNumber::F64Le, RawNumber::F64Be] {
                let bytes: Vec<u8> = values
                    .iter()
                    .flat_map(|&v| match number {
                        RawNumber::F32Le => (v as f32).to_le_bytes().to_vec(),
                        RawNumber::F32Be => (v as f32).to_be_bytes().to_vec(),
                        RawNumber::F64Le => v.to_le_bytes().to_vec(),
                        RawNumber::F64Be => v.to_be_bytes().to_vec(),
                    })
                    .collect();
                fs::write(&path, &bytes).unwrap();
                let model = read_raw_model(&path, &grid, RawLayout { number, x_fastest }, 1000.0).unwrap();
                assert!(model.vp_m_per_s().iter().enumerate().all(|(i, &v)| v == 1000.0 * value(i)));
                fs::write(&path, &bytes[1..]).unwrap();
                let error = read_raw_model(&path, &grid, RawLayout { number, x_fastest }, 1.0).unwrap_err().to_string();
                assert!(
                    error.contains(&format!("{} bytes", bytes.len() - 1)) && error.contains(&bytes.len().to_string())
                );
            }
        }
    }

    #[test]
    fn npy_models_know_their_shape() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.npy");
        let array = ndarray::Array2::from_shape_fn((3, 5), |(x, z)| (1500 + 10 * x + z) as f32);
        ndarray_npy::write_npy(&path, &array).unwrap();
        let model = read_npy_model(&path, &grid, 1.0).unwrap();
        assert_eq!(model.grid().dataset_shape(), [3, 5]);
        assert_eq!(model.vp_m_per_s()[7], 1512.0);
        fs::write(&path, b"not numpy").unwrap();
        assert!(read_npy_model(&path, &grid, 1.0).is_err());
    }

    #[test]
    fn the_marmousi_raw_file_equals_its_hdf5_form() {
        let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/models"));
        if !data.exists() {
            println!("skipped: ../shared is absent");
            return;
        }
        let reference = crate::read_model(&data.join("marmousi_devito_1601x401_7p5m.h5"), "vp").unwrap();
        let layout = RawLayout { number: RawNumber::F32Le, x_fastest: false };
        let raw =
            read_raw_model(&data.join("raw/vp_marmousi_bi"), &grid(&[1601, 401]).unwrap(), layout, 1000.0).unwrap();
        for (a, b) in raw.vp_m_per_s().iter().zip(reference.vp_m_per_s()) {
            assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
    }
}
