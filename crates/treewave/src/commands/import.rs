//! `treewave import`: raw binary and npy files become HDF5 models.

use treewave_core::Grid;
use treewave_storage::{Precision, RawLayout, RawNumber, read_npy_model, read_raw_model, write_model};

use super::Outcome;
use crate::cli::{FastestAxis, Import, RawType};
use crate::provenance;
use crate::study::{bad_data, misconfigured, unwritable};

/// Carries the verb out.
///
/// # Errors
/// Code 2 for arguments that do not fit, 3 for a file that cannot be used, 5 if the model cannot be written.
pub fn run(arguments: &Import) -> Outcome {
    let npy = arguments.file.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"));
    let model = if npy {
        if !arguments.shape.is_empty() {
            return Err(misconfigured("--shape does not go with an npy file, which knows its own"));
        }
        let grid = |shape: &[usize]| grid(arguments, shape);
        read_npy_model(&arguments.file, &grid, arguments.scale).map_err(bad_data)?
    } else {
        if arguments.shape.is_empty() {
            return Err(misconfigured("a raw file needs --shape nx,nz or nx,ny,nz"));
        }
        let number = match arguments.dtype {
            RawType::F32Le => RawNumber::F32Le,
            RawType::F32Be => RawNumber::F32Be,
            RawType::F64Le => RawNumber::F64Le,
            RawType::F64Be => RawNumber::F64Be,
        };
        let layout = RawLayout { number, x_fastest: arguments.fastest == FastestAxis::X };
        let grid = grid(arguments, &arguments.shape).map_err(misconfigured)?;
        read_raw_model(&arguments.file, &grid, layout, arguments.scale).map_err(bad_data)?
    };
    let head = provenance::head("imported model");
    write_model(&arguments.o, &model, Precision::F32, &head).map_err(unwritable)?;
    let (low, high) = model.range_m_per_s();
    println!("{}: {:?} cells, {low} to {high} m/s", arguments.o.display(), model.grid().dataset_shape());
    Ok(0)
}

fn grid(arguments: &Import, shape: &[usize]) -> Result<Grid, treewave_core::GridError> {
    let per_axis = |given: &[f64]| if given.len() == 1 { vec![given[0]; shape.len()] } else { given.to_vec() };
    Grid::new(shape, &per_axis(&arguments.spacing_m), &per_axis(&arguments.origin_m))
}
