//! Configurations that cannot be.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

/// What is set, and what the message names.
const KEYS: &[(&str, &[&str])] = &[
    // A key that is not there, or a value of another kind.
    ("survey.recievers.z_m=80", &["survey.recievers", "did you mean `receivers`"]),
    ("boundary=3", &["boundary", "expected a table"]),
    ("time.duration_s=\"long\"", &["time.duration_s", "expected a number"]),
    ("optimizer.iterations=1.5", &["optimizer.iterations", "expected a whole number"]),
    ("reversal.memory=\"lots\"", &["reversal.memory", "lots"]),
    ("stage={}", &["stage", "expected a list"]),
    // Out of range: orders, negative sizes, no size, no number, no end, beyond all numbers.
    ("physics.space_order=7", &["physics.space_order", "found 7", "even"]),
    ("boundary.width_cells=-1", &["boundary.width_cells", "found -1"]),
    ("model.start={ builtin = \"foldbelt\", shape = [-3, 41] }", &["model.start.shape.0", "found -3"]),
    ("model.start={ builtin = \"constant\", vp_m_per_s = 0.0 }", &["model.start.vp_m_per_s", "found 0"]),
    ("optimizer.max_evaluations=0", &["optimizer.max_evaluations", "found 0"]),
    ("time.duration_s=nan", &["time.duration_s", "found nan"]),
    ("time.record_s=inf", &["time.record_s", "found inf"]),
    ("survey.sources.z_m=nan", &["survey.sources.z_m"]),
    ("optimizer.iterations=99999999999999999999", &["optimizer.iterations", "99999999999999999999"]),
    ("wavelet.peak_frequency_hz=1e300", &["wavelet.peak_frequency_hz", "at most 1000000"]),
    ("schema=2", &["schema", "found 2, expected 1"]),
    ("run.name=\"a/b\"", &["run.name", "a/b"]),
    // Keys that contradict each other.
    ("data={ observed = \"observed.h5\", synthetic = true }", &["data", "both observed and synthetic"]),
    ("model.start={ file = \"model.h5\", builtin = \"lens\" }", &["model.start", "exactly one of"]),
    ("survey.file=\"observed.h5\"", &["survey", "file together with sources or receivers"]),
    ("survey.receivers.z_m=[1, 2, 3]", &["survey.receivers", "3 depths for 9 positions"]),
    ("survey.sources.x_m={ start = 9, stop = 0, step = 1 }", &["survey.sources.x_m", "leads from start to stop"]),
    ("wavelet.delay_s=0.9", &["wavelet", "peaks at 0.9 s"]),
    ("optimizer.bounds.vp_m_per_s=[3000, 2500]", &["optimizer.bounds.vp_m_per_s", "lowest below highest"]),
    ("reversal.scratch=\"$NO_SUCH_VARIABLE_HERE\"", &["reversal.scratch", "NO_SUCH_VARIABLE_HERE"]),
    ("inversion.shots=[1, 1]", &["inversion.shots", "1 stands twice"]),
    // Keys that do not go with the model or the survey.
    ("survey.receivers.z_m=5000", &["shot 0", "receiver 0", "z = 5000 m", "0 to 1200 m"]),
    ("survey.sources.x_m=[400, -10]", &["shot 1", "source", "x = -10 m"]),
    ("survey={ sources = { x_m = 400, y_m = 0, z_m = 40 }, receivers = { x_m = 0, y_m = 0, z_m = 80 } }", &["y_m"]),
    ("optimizer.bounds.vp_m_per_s=[1400, 1900]", &["2000 m/s", "ix 0", "optimizer.bounds.vp_m_per_s"]),
    ("precondition.water_bottom_m=100000", &["precondition", "no cell"]),
    ("inversion.shots=[0, 7]", &["shots", "7"]),
    ("data={}", &["no observed data", "data"]),
    // Steps that are unstable, do not fit, or are too many for any memory.
    ("time.dt_s=0.02", &["time.dt_s", "0.02"]),
    ("time={ duration_s = 0.8, record_s = 0.02, dt_s = 0.02 }", &["time.dt_s", "stability limit"]),
    ("time.record_s=0.003", &["time.duration_s", "a whole multiple"]),
    ("time={ duration_s = 100000, record_s = 0.0001 }", &["time.duration_s", "at most 16777216 samples"]),
    ("time.dt_s=1e-9", &["more than 16777216 steps", "time.dt_s"]),
    ("time.courant=1e-300", &["more than 16777216 steps", "time.courant"]),
    ("stage=[{ lowpass_hz = 1e-300 }]", &["more than 16777216 steps", "raise lowpass_hz"]),
    ("stage=[{ lowpass_hz = 1e-5 }]", &["more than 16777216 steps", "raise lowpass_hz"]),
    ("reversal.memory=\"1 KiB\"", &["reversal", "1024", "needs at least"]),
    // A fault of a later stage.
    ("stage=[{ lowpass_hz = 3.0 }, { iterations = 1, shots = [9] }]", &["stage 1", "shots"]),
];

#[test]
fn keys_that_cannot_be_are_refused() {
    let case = case();
    for (key_and_value, named) in KEYS {
        assert_refused(&case, ALIKE, &set(key_and_value), CONFIGURATION, named);
    }
}

#[test]
fn all_ranks_end_together_where_a_configuration_cannot_be() {
    let case = case();
    for place in ["survey.recievers", "reversal.memory", "stage 1", "survey.receivers.z_m=5000", "1e-300"] {
        let of = |&&(key, named): &&(&str, &[&str])| key.contains(place) || named.contains(&place);
        let (key_and_value, named) = KEYS.iter().find(of).expect("the table has it");
        assert_refused(&case, APART, &set(key_and_value), CONFIGURATION, named);
    }
}

/// What is set, and what the message names: it would take more memory than any machine has.
const TOO_LARGE: &[(&str, &[&str])] = &[
    (
        "model={ start = { builtin = \"lens\", shape = [1000000, 1000000], spacing_m = 40 } }",
        &["model", "29.1 TiB", "smaller shape"],
    ),
    (
        "model={ start = { builtin = \"constant\", vp_m_per_s = 2000, shape = [1000000, 1000000, 1000000], spacing_m = 9 } }",
        &["model", "[1000000, 1000000, 1000000]", "more than can be counted"],
    ),
    (
        "survey={ sources = { x_m = { start = 0, stop = 1, count = 1000000 }, z_m = 40 }, \
         receivers = { x_m = { start = 0, stop = 1, count = 1000000 }, z_m = 40 } }",
        &["survey", "1000000000000 traces"],
    ),
    (
        "{TIME}survey.receivers.x_m={ start = 0, stop = 1600, count = 1000000 }",
        &["survey", "a shot of 1000000 traces with 10000001 samples"],
    ),
];

#[test]
fn what_fits_no_memory_is_refused_before_it_is_made() {
    let case = case();
    for (key_and_value, named) in TOO_LARGE {
        let words = match key_and_value.strip_prefix("{TIME}") {
            Some(key_and_value) => [set("time.duration_s=40000").to_vec(), set(key_and_value).to_vec()].concat(),
            None => set(key_and_value).to_vec(),
        };
        assert_refused(&case, ALIKE, &words, ENVIRONMENT, named);
    }
}

/// What is wrong, what stands in the file instead of what, and what the message names.
const TEXTS: &[(&str, &str, &str, &[&str])] = &[
    ("no TOML", "[run]", "[run", &["case.toml:3", "not valid TOML"]),
    ("a value without quotes", "\"case\"", "case study", &["case.toml:4", "not valid TOML"]),
    (
        "the same key twice",
        "width_cells = 10",
        "width_cells = 10\nwidth_cells = 20",
        &["case.toml:10", "duplicate key"],
    ),
    ("the same table twice", "[wavelet]", "[time]", &["case.toml", "duplicate key"]),
    ("a section is missing", "[wavelet]\npeak_frequency_hz = 4.0\n", "", &["case.toml", "wavelet: missing"]),
    ("a zero byte", "iterations = 1", "iterations = \0", &["case.toml", "not valid TOML"]),
    ("a key in the wrong section", "[data]", "[data]\ncourant = 0.5", &["case.toml:19", "data.courant", "unknown key"]),
    ("no version", "schema = 1", "", &["case.toml", "schema: missing"]),
];

#[test]
fn files_that_are_no_configurations_are_refused() {
    let case = case();
    let file = case.path("case.toml");
    let refused = |named: &[&str]| assert_refused(&case, ALIKE, &[], CONFIGURATION, named);
    for (what, from, to, named) in TEXTS {
        let text = CASE.replacen(from, to, 1);
        assert_ne!(text, CASE, "{what}: nothing was changed");
        fs::write(&file, text).expect("the folder can be written");
        refused(named);
    }
    for (bytes, named) in [
        (Vec::new(), "schema: missing"),
        (b"name = \"\xff\xfe\"".to_vec(), "UTF-8"),
        (format!("a = {}", "[".repeat(100_000)).into_bytes(), "recur"),
        (b"\x89HDF\r\n\x1a\n".to_vec(), "UTF-8"),
    ] {
        fs::write(&file, bytes).expect("the folder can be written");
        refused(&["case.toml", named]);
    }
    fs::remove_file(&file).expect("the folder can be written");
    assert_refused(&case, APART, &[], CONFIGURATION, &["case.toml", "No such file"]);
    fs::create_dir(&file).expect("the folder can be written");
    refused(&["case.toml", "Is a directory"]);
    fs::remove_dir(&file).expect("the folder can be written");
    symlink("/dev/zero", &file).expect("the folder can be written");
    refused(&["case.toml", "has more than"]);
}

#[test]
fn usage_that_cannot_be_is_refused() {
    let case = case();
    for (words, named) in [
        (&["--max-time", "soon"][..], "soon"),
        (&["--threads", "2"], "--threads"),
        (&["--no-such-option"], "--no-such-option"),
        (&["--set", "time.duration_s"], "time.duration_s"),
        (&["--set", ".=3"], "empty part"),
        (&["--set", "stage.5.iterations=3"], "stage"),
    ] {
        assert_refused(&case, ALIKE, words, CONFIGURATION, &[named]);
    }
}

#[test]
fn a_source_on_the_free_surface_is_refused() {
    let words = ["--set", "boundary.top=\"free-surface\"", "--set", "survey.sources.z_m=0"];
    assert_refused(&case(), APART, &words, CONFIGURATION, &["shot 0", "source", "free surface", "z = 0 m"]);
}

#[test]
fn a_missing_or_unwritable_scratch_directory_is_refused() {
    let case = case();
    fs::write(case.path("file"), "no directory").expect("the folder can be written");
    // No one, root included, can make files below /proc.
    for (scratch, ranks) in [("absent", APART), ("file", ALIKE), ("/proc", APART)] {
        let key = format!("reversal.scratch=\"{scratch}\"");
        let words = ["--set", "reversal.disk=\"1 GiB\"", "--set", &key];
        assert_refused(&case, ranks, &words, ENVIRONMENT, &[scratch, "scratch directory", "reversal.scratch"]);
    }
}

#[test]
fn a_scratch_directory_is_checked_before_data_are_simulated() {
    let words =
        ["--set", "data={ synthetic = true }", "--set", "reversal.disk=\"1 GiB\"", "--set", "reversal.scratch=\"no\""];
    assert_refused(&case(), APART, &words, ENVIRONMENT, &["scratch directory"]);
}
