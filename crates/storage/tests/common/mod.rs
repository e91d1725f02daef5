//! What the tests of this crate share.
#![allow(dead_code)] // each test file uses its part

pub mod campaign;

use std::path::{Path, PathBuf};
use std::process::Command;

use treewave_core::{Grid, Shot, Survey};
use treewave_storage::Head;

pub fn head() -> Head {
    Head::new("A test", "treewave 0.0 test", "made by a test")
}

/// A file of the shared fixtures; says so and gives none where they are absent.
pub fn shared(relative: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(relative);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: ../shared is absent");
    None
}

/// Runs `scripts/verify_files.py`; says so where no Python with the needed packages is at hand. The variable
/// TREEWAVE_PYTHON names another interpreter.
pub fn verify_with_plain_tools(files: &[&Path]) {
    let python = std::env::var("TREEWAVE_PYTHON").unwrap_or_else(|_| "python3".into());
    let works = Command::new(&python).args(["-c", "import h5py, xarray, h5netcdf, netCDF4"]).output();
    if !works.is_ok_and(|out| out.status.success()) {
        println!("skipped: {python} has not h5py, xarray, h5netcdf and netCDF4");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/verify_files.py");
    let out = Command::new(&python).arg(script).args(files).output().expect("python runs");
    let (told, complaint) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{told}{complaint}");
    println!("{told}");
}

/// A grid of 2 or 3 axes with steps that are no binary fractions.
pub fn grid(shape: &[usize]) -> Grid {
    let spacing = [10.1, 7.3, 52.2222][..shape.len()].to_vec();
    let origin = [-100.7, 33.3, 0.1][..shape.len()].to_vec();
    Grid::new(shape, &spacing, &origin).expect("a possible grid")
}

/// Velocities between 1500 and 4500 m/s, all different.
pub fn velocities(cells: usize) -> Vec<f64> {
    (0..cells).map(|i| 1500.0 + 3000.0 * ((i as f64 * 0.618_033_988_75) % 1.0)).collect()
}

/// Shots with the given numbers of receivers.
pub fn survey(receivers: &[usize], samples: usize, record_s: f64) -> Survey {
    let shot = |(i, &n): (usize, &usize)| Shot {
        source_m: [10.1 * i as f64, 0.0, 5.3],
        receivers_m: (0..n).map(|r| [2.7 * r as f64 + i as f64, 0.0, 20.0]).collect(),
    };
    Survey { shots: receivers.iter().enumerate().map(shot).collect(), samples, record_s }
}
