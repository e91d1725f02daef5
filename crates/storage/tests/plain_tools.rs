//! Runs and gradients open in h5py, xarray and netCDF.

mod common;

use common::{grid, head, velocities, verify_with_plain_tools};
use treewave_storage::*;

fn run(shape: &[usize], iterations: usize) -> RunRecord {
    let grid = grid(shape);
    let cells = grid.len();
    let entry = |i: usize| RunEntry {
        vp: velocities(cells),
        gradient: velocities(cells),
        misfit: 1.0 / (i + 1) as f64,
        gradient_norm: 0.1,
        step_percent: 3.0,
        evaluations: 1,
        stage: 0,
        wall_s: i as f64,
        misfit_per_shot: vec![0.25, f64::NAN, 0.5],
        model_error: Some(0.1),
    };
    RunRecord {
        vp_start: velocities(cells),
        vp_true: Some(velocities(cells)),
        entries: (0..iterations).map(entry).collect(),
        // Longer than the 64 KiB that HDF5 keeps beside a dataset's description.
        config: "# a comment\n".repeat(10_000),
        provenance: vec![("ranks".into(), "3".into())],
        grid,
    }
}

#[test]
fn runs_open_in_plain_tools() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).join("run.h5");
    let (one, many, none, solid) = (path("one"), path("many"), path("none"), path("solid"));
    publish_run(&one, &run(&[7, 5], 3), &head(), u64::MAX).expect("publishes");
    publish_run(&many, &run(&[7, 5], 3), &head(), 0).expect("publishes");
    publish_run(&none, &run(&[7, 5], 0), &head(), 0).expect("publishes");
    publish_run(&solid, &run(&[3, 4, 5], 2), &head(), u64::MAX).expect("publishes");
    assert_eq!(read_run(&one).expect("reads").config, run(&[7, 5], 0).config);
    let iteration = folder.path().join("many/iterations/0001.h5");
    verify_with_plain_tools(&[&one, &many, &none, &solid, &iteration]);
}

#[test]
fn gradients_open_in_plain_tools_and_as_fields() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("gradient.h5");
    let grid = grid(&[7, 5]);
    let values = velocities(grid.len());
    let record = GradientRecord {
        grid: &grid,
        gradient_vp: &values,
        illumination: Some(&values),
        misfit: 0.75,
        shots: &[4, 7],
        misfit_per_shot: &[0.25, 0.5],
        log: "{\"advances\": 12}".into(),
        provenance: vec![("threads".into(), "2".into())],
    };
    write_gradient(&path, &record, &head()).expect("writes");
    let field = read_field(&path, "gradient_vp").expect("reads");
    assert_eq!((field.grid, field.values), (grid.clone(), values.clone()));
    assert_eq!(read_array(&path, "misfit_per_shot").expect("reads").axes[0].values, [4.0, 7.0]);
    verify_with_plain_tools(&[&path]);
}
