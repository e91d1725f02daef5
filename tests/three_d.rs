//! Three dimensions, end to end.

mod common;

use common::{Case, Layout, errors, layout};
use treewave_storage::read_run;

/// A lens in a cube of 64³ points, four shots of 60 steps. Only a few snapshots fit into memory; the costs are given so
/// that the plan does not depend on how busy the machine is.
const CUBE: &str = r#"
schema = 1
[run]
name = "cube"
[model]
true  = { builtin = "lens", shape = [64, 64, 64], spacing_m = 25.0 }
start = { builtin = "constant", vp_m_per_s = 2000.0 }
[physics]
equation = "acoustic"
space_order = 4
[boundary]
width_cells = 6
[time]
duration_s = 0.3
record_s = 0.005
[survey]
sources   = { x_m = [400, 1200], y_m = [400, 1200], z_m = 50 }
receivers = { x_m = { start = 0, stop = 1500, step = 100 }, y_m = { start = 0, stop = 1500, step = 100 }, z_m = 50 }
[wavelet]
kind = "ricker"
peak_frequency_hz = 8.0
[data]
synthetic = true
[reversal]
strategy = "two-level"
memory = "30 MiB"
disk = "256 MiB"
costs = { advance = 100.0, pull_back = 200.0, write = 1.0, read = 1.0 }
[optimizer]
iterations = 2
"#;

/// Small enough for every check, dual numbers included.
const SMALL: &str = r#"
schema = 1
[run]
name = "small"
[model]
true  = { builtin = "lens", shape = [17, 15, 16], spacing_m = 25.0 }
start = { builtin = "constant", vp_m_per_s = 2000.0 }
[physics]
equation = "acoustic"
space_order = 4
[boundary]
width_cells = 5
[time]
duration_s = 0.3
record_s = 0.005
[survey]
sources   = { x_m = 210, y_m = 160, z_m = 60 }
receivers = { x_m = { start = 0, stop = 400, step = 95 }, y_m = { start = 0, stop = 350, step = 75 }, z_m = 40 }
[wavelet]
kind = "ricker"
peak_frequency_hz = 8.0
[data]
synthetic = true
"#;

#[test]
fn a_three_d_inversion_spills_lowers_the_misfit_and_has_the_same_bits_on_another_layout() {
    let case = Case::new(CUBE);
    let ended = case.succeed(layout(2, 1), "invert", "run", &[]);
    assert!(errors(&ended).contains("on disk"), "the plan spills: {}", errors(&ended));
    assert!(!errors(&ended).contains(" 0 B written to disk"), "snapshots were spilled: {}", errors(&ended));
    assert!(case.scratch_is_empty());
    let file = case.path("run").join("run.h5");
    let run = read_run(&file).expect("the run file can be read");
    assert_eq!(run.grid.dataset_shape(), [64, 64, 64]);
    let misfits: Vec<f64> = run.entries.iter().map(|entry| entry.misfit).collect();
    assert_eq!(misfits.len(), 3);
    assert!(misfits[1] < 0.9 * misfits[0] && misfits[2] < misfits[1], "{misfits:?}");

    // One iteration tells the layouts apart if anything does.
    let words = ["--set", "optimizer.iterations=1", "--set", "reversal.strategy=revolve"];
    case.succeed(Layout { ranks: 1, threads: 2 }, "invert", "other", &words);
    let other = read_run(&case.path("other").join("run.h5")).expect("the run file can be read");
    assert_eq!(other.entries.len(), 2);
    for (i, (ours, theirs)) in run.entries.iter().zip(&other.entries).enumerate() {
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert!(bits(&ours.vp) == bits(&theirs.vp), "the models of iteration {i} differ");
        assert!(bits(&ours.gradient) == bits(&theirs.gradient), "the gradients of iteration {i} differ");
        assert_eq!(bits(&ours.misfit_per_shot), bits(&theirs.misfit_per_shot), "misfits at iteration {i}");
    }

    let picture = case.path("section.png");
    let mut plot = std::process::Command::new(common::PROGRAM);
    let drawn = plot.arg("plot").arg(&file).args(["--dataset", "vp", "--y-m", "400", "-o"]).arg(&picture).output();
    let drawn = drawn.expect("the program starts");
    assert_eq!(drawn.status.code(), Some(0), "{}", errors(&drawn));
    let bytes = std::fs::read(&picture).expect("the picture is there");
    assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 5000, "a picture of {} bytes", bytes.len());
}

#[test]
fn the_three_d_gradient_is_the_derivative_of_the_misfit_with_and_without_a_free_surface() {
    let case = Case::new(SMALL);
    for top in ["absorbing", "free-surface"] {
        let top = format!("boundary.top={top}");
        let ended = case.succeed(Layout { ranks: 1, threads: 2 }, "gradcheck", "gradcheck", &["--set", &top, "--json"]);
        let told: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("standard output is JSON");
        assert_eq!(told["passed"], true, "{top}: {told:#}");
        let checks = told["checks"].as_array().expect("the checks are listed");
        assert!(checks.iter().any(|check| check["name"].as_str().is_some_and(|n| n.contains("dual"))), "{told:#}");
    }
}
