//! The seed paper's example from its configuration: the reference gradients, the same bits whatever the strategy, threads
//! and ranks; what does not apply is refused.

mod common;
#[path = "../crates/wave/tests/seed_pml/npz.rs"]
mod npz;

use std::fs;
use std::path::Path;

use common::{Case, Layout, errors, layout, ranks_or_skipped};

/// Where the reference data are, beside the repository.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared");

const ONE: Layout = Layout { ranks: 1, threads: 1 };

fn three_layers() -> Case {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/three-layers.toml");
    Case::new(&fs::read_to_string(config).expect("the example is there"))
}

/// Two shots on a smaller grid, so that many gradients are quick.
const SMALL: [&str; 6] = [
    "--set=model.true.shape=[61,53]",
    "--set=model.start.shape=[61,53]",
    "--set=time.duration_s=0.03",
    "--set=wavelet={kind=\"ricker-samples\",width_samples=15,shift_samples=60,amplitude=1e6}",
    "--set=survey={sources={x_m=[20,35],z_m=14},receivers={x_m=[8,22,40,52],z_m=[9,30,12,45]}}",
    "--set=boundary.sides=[\"x-min\",\"x-max\",\"z-max\"]",
];

fn numbers(file: &Path, name: &str) -> Vec<f64> {
    let read = || hdf5::File::open(file)?.dataset(name)?.read_raw::<f64>();
    read().unwrap_or_else(|e| panic!("{}: {name}: {e}", file.display()))
}

/// All results of a gradient, as bits.
fn gradient(case: &Case, layout: Layout, output: &str, words: &[&str]) -> Vec<u64> {
    case.succeed(layout, "gradient", output, words);
    let file = case.path(output).join("gradient.h5");
    let names = ["misfit", "misfit_per_shot", "gradient_c2", "gradient_wavelet", "gradient_u0"];
    names.into_iter().flat_map(|name| numbers(&file, name)).map(f64::to_bits).collect()
}

fn relative(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let difference: f64 = found.iter().zip(expected).map(|(f, e)| (f - e).powi(2)).sum();
    (difference / expected.iter().map(|e| e * e).sum::<f64>()).sqrt()
}

#[test]
fn the_papers_example_has_the_reference_gradients_by_treeverse_revolve_and_bennett() {
    let case = three_layers();
    let treeverse = gradient(&case, Layout { ranks: 1, threads: 2 }, "treeverse", &[]);
    let revolve = gradient(&case, ONE, "revolve", &["--set", "reversal.strategy=revolve"]);
    assert!(treeverse == revolve, "treeverse and revolve differ");
    let words = ["--set", "reversal.strategy=bennett", "--set", "reversal.blocks=20"];
    let bennett = gradient(&case, ONE, "bennett", &words);
    assert!(treeverse == bennett, "treeverse and bennett differ");
    let file = case.path("treeverse").join("gradient.h5");
    let log = hdf5::File::open(&file).and_then(|f| f.attr("log")?.read_scalar::<hdf5::types::VarLenUnicode>());
    assert!(log.expect("the log is there").contains("\"strategy\":\"treeverse\""));
    let Some(golden) = npz::Npz::open("pml_three_layers.npz") else { return };
    assert_eq!(golden.pairs("source"), [[99, 39]]);
    assert_eq!(golden.pairs("detectors").len(), 6);
    for (ours, theirs) in
        [("misfit", "loss"), ("gradient_c2", "grad_c"), ("gradient_wavelet", "grad_srcv"), ("gradient_u0", "grad_u0")]
    {
        let error = relative(&numbers(&file, ours), &golden.reals(theirs));
        assert!(error <= 1e-10, "{ours}: {error:e}");
    }
}

#[test]
fn simulated_pulses_are_the_reference_ones_after_the_sample_of_rest() {
    let case = three_layers();
    case.succeed(ONE, "simulate", "pulses", &["--model", "true"]);
    let data = numbers(&case.path("pulses").join("simulated.h5"), "data");
    assert!(data.len() == 6000 && data.chunks(1000).all(|trace| trace[0] == 0.0));
    let Some(golden) = npz::json("pml_three_layers.json") else { return };
    let sum: f64 = data.iter().map(|x| x * x).sum();
    let expected = golden["sum_target_sq"].as_f64().expect("a number");
    assert!((sum - expected).abs() <= 1e-10 * expected, "{sum:e} {expected:e}");
}

#[test]
fn every_strategy_any_threads_and_ranks_give_the_same_bits() {
    let case = three_layers();
    let expected = gradient(&case, ONE, "start", &[&SMALL[..], &["--set=reversal={strategy=\"store-all\"}"]].concat());
    let strategies = [
        "--set=reversal={strategy=\"treeverse\",snapshots=5}",
        "--set=reversal={strategy=\"revolve\",snapshots=4,segment_steps=3}",
        "--set=reversal={strategy=\"revolve\",memory=\"700 kB\"}",
        "--set=reversal={strategy=\"two-level\",snapshots=2,disk=\"20 MB\"}",
        "--set=reversal={strategy=\"bennett\",blocks=4}",
        "--set=reversal={strategy=\"auto\",memory=\"700 kB\",disk=\"20 MB\"}",
    ];
    for (i, strategy) in strategies.into_iter().enumerate() {
        let threads = 1 + i % 3;
        let found =
            gradient(&case, Layout { ranks: 1, threads }, &format!("run{i}"), &[&SMALL[..], &[strategy]].concat());
        assert!(found == expected, "{strategy} on {threads} threads");
    }
    assert!(case.scratch_is_empty());
    if ranks_or_skipped() {
        assert!(gradient(&case, layout(2, 1), "ranks", &SMALL) == expected, "two ranks");
    }
}

#[test]
fn data_of_a_file_give_the_misfit_and_gradient_of_data_simulated_on_the_way() {
    let case = three_layers();
    let expected = gradient(&case, ONE, "simulated", &SMALL);
    let pulses = case.path("pulses.h5");
    let to = ["--model", "true", "-o", pulses.to_str().expect("a plain name")];
    case.succeed(ONE, "simulate", "pulses", &[&SMALL[..], &to].concat());
    let observed = ["--set=data={observed=\"pulses.h5\"}"];
    assert!(gradient(&case, ONE, "observed", &[&SMALL[..], &observed].concat()) == expected);
    let other = ["--set=data={observed=\"pulses.h5\"}", "--set=time.record_s=0.00005"];
    let refused = case.run(ONE, "gradient", "other", &[&SMALL[..], &other].concat());
    assert_eq!(refused.status.code(), Some(3), "{}", errors(&refused));
    assert!(errors(&refused).contains("does not resample"), "{}", errors(&refused));
}

#[test]
fn gradcheck_and_plan_work_on_it() {
    let case = three_layers();
    let ended = case.succeed(ONE, "gradcheck", "checked", &SMALL);
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!(text.matches("pass  ").count(), 5, "{text}");
    let ended = case.succeed(ONE, "plan", "planned", &["--json"]);
    let plan: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("one JSON object");
    assert_eq!((plan["strategy"].as_str(), plan["snapshots"].as_u64()), (Some("treeverse"), Some(21)));
}

#[test]
fn what_does_not_apply_is_refused() {
    let case = three_layers();
    let refusals: [(&str, &[&str], &str); 7] = [
        ("invert", &[], "use equation = \"acoustic\" to invert"),
        ("gradient", &["--set=survey.sources.x_m=99.3"], "the source at x = 99.3 m lies between points"),
        ("check", &["--set=survey.receivers.z_m=49.5"], "receiver 0 at z = 49.5 m lies between points"),
        ("check", &["--set=survey.sources.x_m=0"], "is no place for a source or receiver"),
        (
            "simulate",
            &["--set=time.record_s=0.00037", "--set=time.duration_s=0.037", "--set=wavelet.shift_samples=20"],
            "stability limit",
        ),
        ("plan", &["--set=model.true.shape=[20,20,20]", "--set=model.start.shape=[20,20,20]"], "y_m is missing"),
        ("gradcheck", &["--set=data.synthetic=false"], "there are no observed data"),
    ];
    for (verb, words, part) in refusals {
        let words: Vec<&str> = words.to_vec();
        let ended = case.run(ONE, verb, "refused", &words);
        assert_eq!(ended.status.code(), Some(2), "{verb} {words:?}: {}", errors(&ended));
        assert!(errors(&ended).contains(part), "{verb} {words:?}: {}", errors(&ended));
    }
    assert!(!case.path("refused").exists(), "a refused run writes");
}
