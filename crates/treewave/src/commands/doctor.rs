//! `treewave doctor`: what this build and this machine offer.

use serde_json::json;
use treewave_storage::{free_bytes, hdf5_version};
use treewave_wave::Path as SimdPath;

use super::{Outcome, print_json};
use crate::provenance;
use crate::report::bytes_text;

/// Carries the verb out.
///
/// # Errors
/// None.
pub fn run(as_json: bool) -> Outcome {
    let scratch = std::env::temp_dir();
    let free = free_bytes(&scratch);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let writable = tempfile::tempfile_in(&scratch).is_ok();
    let mpi = treewave_cluster::mpi_library();
    let simd = SimdPath::detect();
    if as_json {
        print_json(&json!({
            "program": provenance::program(),
            "mpi": mpi,
            "hdf5": hdf5_version(),
            "simd_path": simd.name(),
            "fused_multiply_add": simd.fused(),
            "processors": cores,
            "scratch": scratch,
            "scratch_writable": writable,
            "scratch_free_bytes": free,
            "hdf5_file_locking": std::env::var("HDF5_USE_FILE_LOCKING").unwrap_or_else(|_| "default".into()),
        }));
        return Ok(0);
    }
    println!("program     {}", provenance::program());
    println!("MPI         {}", mpi.as_deref().unwrap_or("not in this build: one process only"));
    println!("HDF5        {}", hdf5_version());
    println!("processors  {cores} for this process");
    println!("SIMD        {}{}", simd.name(), if simd.fused() { ", fused multiply-add" } else { "" });
    let state = if writable { "writable" } else { "NOT writable: set TMPDIR or reversal.scratch" };
    println!("scratch     {}: {state}, {} free", scratch.display(), free.map_or("?".into(), bytes_text));
    let locking = std::env::var("HDF5_USE_FILE_LOCKING").unwrap_or_else(|_| "the library's default".into());
    println!("locking     HDF5_USE_FILE_LOCKING: {locking}");
    Ok(0)
}
