//! What `plan` says beforehand is what a run needs.

mod common;

use common::{Case, Layout, errors, layout, reversal_log};
use serde_json::Value;

/// How far peak memory may be from the plan.
const TOLERANCE: f64 = 0.1;

/// A section in `f32` whose snapshots fill a budget of memory and spill to disk. The costs are given so that the
/// schedule does not depend on how busy the machine is.
const SECTION: &str = r#"
schema = 1
[run]
name = "section"
[model]
true  = { builtin = "foldbelt", shape = [301, 201], spacing_m = 30.0 }
start = { builtin = "foldbelt", shape = [301, 201], spacing_m = 30.0, smooth_m = 200.0, keep_water = true }
[physics]
equation = "acoustic"
[time]
duration_s = 3.0
record_s = 0.004
[survey]
sources   = { x_m = { start = 1000, stop = 8000, count = 4 }, z_m = 40 }
receivers = { x_m = { start = 0, stop = 9000, step = 30 }, z_m = 80 }
[wavelet]
kind = "ricker"
peak_frequency_hz = 4.0
[data]
synthetic = true
[reversal]
strategy = "two-level"
memory = "64 MiB"
disk = "512 MiB"
costs = { advance = 100.0, pull_back = 200.0, write = 1.0, read = 1.0 }
[optimizer]
bounds = { vp_m_per_s = [1400.0, 5000.0] }
iterations = 2
"#;

/// A cube in `f64` with snapshots in memory alone.
const CUBE: &str = r#"
schema = 1
[run]
name = "cube"
[model]
true  = { builtin = "lens", shape = [44, 44, 44], spacing_m = 25.0 }
start = { builtin = "constant", vp_m_per_s = 2000.0 }
[physics]
equation = "acoustic"
space_order = 4
precision = "f64"
[boundary]
width_cells = 8
[time]
duration_s = 0.25
record_s = 0.005
[survey]
sources   = { x_m = [400, 700], y_m = 500, z_m = 50 }
receivers = { x_m = { start = 0, stop = 1000, step = 110 }, y_m = { start = 0, stop = 1000, step = 110 }, z_m = 50 }
[wavelet]
kind = "ricker"
peak_frequency_hz = 8.0
[data]
synthetic = true
[reversal]
strategy = "revolve"
memory = "60 MiB"
"#;

fn plan(case: &Case, on: Layout, set: &[&str]) -> Value {
    let ranks = on.ranks.to_string();
    let words = [&["--json", "--ranks", &ranks], set].concat();
    let told = case.succeed(Layout { ranks: 1, ..on }, "plan", "plan", &words);
    serde_json::from_slice(&told.stdout).expect("standard output is JSON")
}

fn assert_close(planned: &Value, measured: f64, what: &str) {
    let planned = planned.as_f64().expect("the plan tells bytes");
    println!("{what}: {:.1} MiB planned, {:.1} MiB measured", planned / 1048576.0, measured / 1048576.0);
    let off = planned / measured - 1.0;
    assert!(
        off.abs() < TOLERANCE,
        "{what}: {planned} bytes were planned, {measured} measured, {:.1} % off",
        100.0 * off
    );
}

/// Compares a gradient with its plan, some keys being set; returns the bytes that it spilled.
fn assert_gradient_keeps_to_its_plan(case: &Case, on: Layout, set: &[&str]) -> u64 {
    let plan = plan(case, on, set);
    let file = case.path("gradient.h5");
    let words = [&["-o", file.to_str().expect("a temporary folder has a plain name")], set].concat();
    case.succeed(on, "gradient", "gradient", &words);
    let log = reversal_log(&file);
    let measured = log["peak_rss_bytes"].as_f64().expect("the log tells the peak memory");
    assert_close(&plan["gradient_memory_bytes_per_rank"], measured, &format!("gradient on {on:?} {set:?}"));
    let stage = plan["stages"].as_array().and_then(|stages| stages.last()).expect("there is a stage");
    let number = |key: &str| stage[key].as_u64().expect("it is a number");
    let spilled = number("spilled_bytes_per_shot") * number("shots");
    assert_eq!(log["bytes_written"].as_u64(), Some(spilled), "bytes that were spilled");
    assert_eq!(log["recompute_factor"], plan["recompute_factor"]);
    spilled
}

/// Peak memory in bytes that a run told at the end of its last stage.
fn told_peak(said: &str) -> f64 {
    let text = said.rsplit("peak memory of a rank ").next().expect("a run tells its peak memory");
    let mut words = text.split_whitespace();
    let value: f64 = words.next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no number: {said}"));
    match words.next() {
        Some("MiB") => value * 1048576.0,
        Some("GiB") => value * 1073741824.0,
        unit => panic!("an unexpected unit {unit:?}: {said}"),
    }
}

#[test]
fn a_spilling_section_needs_the_memory_and_the_disk_that_were_planned() {
    let case = Case::new(SECTION);
    let alone = Layout { ranks: 1, threads: 2 };
    assert!(assert_gradient_keeps_to_its_plan(&case, alone, &[]) > 0, "the plan spills");
    let side_by_side = ["--set", "parallel.shots_at_once=2"];
    assert!(assert_gradient_keeps_to_its_plan(&case, alone, &side_by_side) > 0, "the plan spills");
    let ended = case.succeed(alone, "invert", "invert", &[]);
    assert_close(&plan(&case, alone, &[])["memory_bytes_per_rank"], told_peak(&errors(&ended)), "inversion");
}

#[test]
fn inversion_is_weighed_and_chosen_only_where_it_is_asked_for() {
    let case = Case::new(SECTION);
    let weighed = |set: &[&str]| {
        let plan = plan(&case, layout(1, 2), set);
        let stage = &plan["stages"][0];
        let ways = stage["weighed"].as_array().expect("a list").clone();
        let inversions = ways.into_iter().filter(|way| way["strategy"] == "inversion");
        (
            stage["strategy"].clone(),
            inversions.map(|way| way["seconds"].as_f64().expect("a number")).collect::<Vec<f64>>(),
        )
    };
    let (strategy, inversions) = weighed(&["--set=reversal.strategy=auto"]);
    assert!(strategy != "inversion" && inversions.len() == 1 && inversions[0] > 0.0, "{strategy} {inversions:?}");
    let (strategy, inversions) = weighed(&["--set=reversal.strategy=inversion"]);
    assert!(strategy == "inversion" && inversions.len() == 1);
    // Another strategy, another precision, and a budget that what it forgets does not fit.
    for other in [
        &["--set=reversal.strategy=revolve"][..],
        &["--set=reversal.strategy=auto", "--set=physics.precision=f64"],
        &["--set=reversal.strategy=auto", "--set=reversal.memory=12 MiB", "--set=reversal.disk=0 B"],
    ] {
        let (strategy, inversions) = weighed(other);
        assert!(strategy != "inversion" && inversions.is_empty(), "{other:?}: {strategy} {inversions:?}");
    }
}

#[test]
fn inversion_needs_the_memory_and_the_disk_that_were_planned() {
    let case = Case::new(SECTION);
    let alone = Layout { ranks: 1, threads: 2 };
    let strategy = ["--set", "reversal.strategy=inversion"];
    assert_eq!(assert_gradient_keeps_to_its_plan(&case, alone, &strategy), 0, "all is kept in memory");
    let spilling = ["--set", "reversal.memory=12 MiB", "--set", "parallel.shots_at_once=2"];
    let spilling = [&strategy[..], &spilling].concat();
    assert!(assert_gradient_keeps_to_its_plan(&case, alone, &spilling) > 0, "the plan spills");
}

#[test]
fn a_cube_on_two_ranks_needs_the_memory_that_was_planned() {
    let case = Case::new(CUBE);
    for set in [&[][..], &["--set", "inversion.records=half"]] {
        assert_eq!(assert_gradient_keeps_to_its_plan(&case, layout(2, 1), set), 0);
    }
}
