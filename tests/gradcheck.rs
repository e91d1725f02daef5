//! The gradient checks of the program on the user's own set-up.

use std::process::Command;

/// A small case whose start model is so near the true one that the misfit is close to its minimum.
const CASE: &str = r#"
schema = 1
[run]
name = "near"
output = "near"
[model]
true  = { builtin = "foldbelt", shape = [101, 61], spacing_m = 40.0 }
start = { builtin = "foldbelt", shape = [101, 61], spacing_m = 40.0, smooth_m = 60.0, keep_water = true }
[physics]
equation = "acoustic"
[boundary]
width_cells = 12
[time]
duration_s = 1.0
record_s = 0.004
[survey]
sources   = { x_m = { start = 400, stop = 3600, count = 2 }, z_m = 40 }
receivers = { x_m = { start = 0, stop = 4000, step = 80 }, z_m = 80 }
[wavelet]
kind = "ricker"
peak_frequency_hz = 4.0
[data]
synthetic = true
[reversal]
memory = "32 MiB"
[optimizer]
kind = "l-bfgs"
bounds = { vp_m_per_s = [1400.0, 5000.0] }
"#;

/// Exit code and both streams of the program on [`CASE`].
fn treewave(arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    std::fs::write(folder.path().join("case.toml"), CASE).expect("the case can be written");
    let output = Command::new(env!("CARGO_BIN_EXE_treewave"))
        .args(arguments)
        .args(["case.toml", "--threads", "1"])
        .current_dir(folder.path())
        .output()
        .expect("the program starts");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code().expect("the program ends by itself"), text)
}

#[test]
fn gradcheck_passes_near_a_minimum_where_the_second_order_is_large() {
    let (code, text) = treewave(&["gradcheck"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(text.matches("pass  ").count(), 5, "{text}");
}
