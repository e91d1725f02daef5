//! What cannot be done is refused: soon, with the documented exit code, in one message that names the place, on all
//! ranks together, and with nothing written.

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use common::{Case, Layout, errors, layout};

/// Two shots of 200 steps on a model from a file.
const CASE: &str = r#"
schema = 1
[run]
name = "case"
[model]
true  = { file = "model.h5" }
start = { file = "model.h5" }
[boundary]
width_cells = 10
[time]
duration_s = 0.8
record_s = 0.004
[survey]
sources   = { x_m = { start = 400, stop = 1200, count = 2 }, z_m = 40 }
receivers = { x_m = { start = 0, stop = 1600, step = 200 }, z_m = 80 }
[wavelet]
peak_frequency_hz = 4.0
[data]
observed = "observed.h5"
[optimizer]
bounds = { vp_m_per_s = [1400.0, 5000.0] }
iterations = 1
"#;

/// Usage or configuration, data, environment.
const CONFIGURATION: i32 = 2;
const DATA: i32 = 3;
const ENVIRONMENT: i32 = 5;

/// A refusal comes within this time.
const SOON: Duration = Duration::from_secs(5);
/// A machine that does other work as well may need more than one attempt.
const ATTEMPTS: usize = 3;

/// The case with its model and data, and what is wrong with one file or key of it.
fn case() -> Case {
    let case = Case::new(CASE);
    write_model(&case.path("model.h5"), [41, 31], None);
    let observed = case.path("observed.h5");
    simulate(&case, &observed, &[]);
    case
}

fn simulate(case: &Case, to: &Path, words: &[&str]) {
    let to = ["-o", to.to_str().expect("a temporary folder has a plain name")];
    case.succeed(Layout { ranks: 1, threads: 1 }, "simulate", "simulated", &[&to, words].concat());
}

/// A model of 2000 m/s, with another value in one cell.
fn write_model(path: &Path, shape: [usize; 2], odd: Option<f32>) {
    let mut vp = ndarray::Array2::<f32>::from_elem(shape, 2000.0);
    odd.into_iter().for_each(|value| vp[[10, 20]] = value);
    let write = || -> hdf5::Result<()> {
        let file = hdf5::File::create(path)?;
        let dataset = file.new_dataset_builder().with_data(&vp).create("vp")?;
        for (name, value) in [("spacing_m", 40.0), ("origin_m", 0.0)] {
            dataset.new_attr::<f64>().create(name)?.write_scalar(&value)?;
        }
        Ok(())
    };
    write().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// The first part of a file, in another one.
fn truncate(from: &Path, to: &Path) {
    let bytes = fs::read(from).expect("the file is there");
    fs::write(to, &bytes[..bytes.len() / 2]).expect("the folder can be written");
}

/// Makes a sample of a gather file a NaN.
fn spoil(path: &Path, sample: [usize; 2]) {
    let write = || -> hdf5::Result<()> {
        let data = hdf5::File::open_rw(path)?.dataset("data")?;
        let mut traces = data.read_2d::<f32>()?;
        traces[sample] = f32::NAN;
        data.write(&traces)
    };
    write().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// The lines by which the program itself tells an error.
fn messages(ended: &Output) -> Vec<String> {
    errors(ended).lines().filter(|line| line.starts_with("error")).map(String::from).collect()
}

/// Runs the inversion, on one rank and on three, into a directory that must not come to be.
fn assert_refused(case: &Case, words: &[&str], code: i32, named: &[&str]) {
    for ranks in [1, 3] {
        let layout = layout(ranks, 1);
        let mut seconds = Vec::new();
        while seconds.last().is_none_or(|&last| last > SOON) && seconds.len() < ATTEMPTS {
            let began = Instant::now();
            let ended = case.run(layout, "invert", "refused", words);
            seconds.push(began.elapsed());
            let told = messages(&ended);
            assert_eq!(ended.status.code(), Some(code), "{words:?} on {layout:?}: {}", errors(&ended));
            assert_eq!(told.len(), 1, "{words:?} on {layout:?}: {}", errors(&ended));
            assert!(!errors(&ended).contains("panicked"), "{words:?} on {layout:?}: {}", errors(&ended));
            for place in named {
                assert!(told[0].contains(place), "{words:?} on {layout:?}: {place:?} is not in: {}", told[0]);
            }
            assert!(!case.path("refused").exists(), "{words:?} on {layout:?} wrote into the output directory");
            assert!(case.scratch_is_empty(), "{words:?} on {layout:?} wrote into the scratch directory");
        }
        assert!(seconds.iter().any(|&s| s <= SOON), "{words:?} on {layout:?} took {seconds:?}");
    }
}

/// `--set` with a key and its value.
fn set(key_and_value: &str) -> [&str; 2] {
    ["--set", key_and_value]
}

#[test]
fn the_case_itself_is_not_refused() {
    case().succeed(layout(3, 1), "invert", "run", &[]);
}

#[test]
fn models_that_are_no_models_are_refused() {
    let case = case();
    write_model(&case.path("nan.h5"), [41, 31], Some(f32::NAN));
    write_model(&case.path("zero.h5"), [41, 31], Some(0.0));
    write_model(&case.path("negative.h5"), [41, 31], Some(-1500.0));
    write_model(&case.path("narrow.h5"), [31, 31], None);
    truncate(&case.path("model.h5"), &case.path("cut.h5"));
    let start = |file: &str| format!("model.start={{ file = \"{file}\" }}");
    let cell = "cell (ix 10, iy 0, iz 20)";
    assert_refused(&case, &set(&start("nan.h5")), DATA, &["nan.h5", "\"vp\"", "NaN", cell]);
    assert_refused(&case, &set(&start("zero.h5")), DATA, &["zero.h5", "\"vp\"", "0 m/s", cell]);
    assert_refused(&case, &set(&start("negative.h5")), DATA, &["negative.h5", "-1500 m/s", cell]);
    assert_refused(&case, &set(&start("narrow.h5")), DATA, &["model.start", "31 × 31", "41 × 31"]);
    assert_refused(&case, &set(&start("cut.h5")), DATA, &["cut.h5", "truncated"]);
    assert_refused(&case, &set(&start("absent.h5")), DATA, &["absent.h5", "no such file"]);
    let other = "model.start={ file = \"model.h5\", vp = \"vs\" }";
    assert_refused(&case, &set(other), DATA, &["model.h5", "\"vs\"", "the file has vp"]);
}

#[test]
fn data_that_do_not_fit_are_refused() {
    let case = case();
    truncate(&case.path("observed.h5"), &case.path("cut.h5"));
    simulate(&case, &case.path("three.h5"), &set("survey.sources.x_m.count=3"));
    simulate(&case, &case.path("few.h5"), &set("survey.receivers.x_m.stop=1400"));
    simulate(&case, &case.path("moved.h5"), &set("survey.receivers.z_m=120"));
    simulate(&case, &case.path("short.h5"), &set("time.duration_s=0.4"));
    let observed = |file: &str| format!("data.observed=\"{file}\"");
    assert_refused(&case, &set(&observed("absent.h5")), DATA, &["absent.h5", "no such file"]);
    assert_refused(&case, &set(&observed("cut.h5")), DATA, &["cut.h5", "truncated"]);
    assert_refused(&case, &set(&observed("model.h5")), DATA, &["model.h5"]);
    assert_refused(&case, &set(&observed("three.h5")), DATA, &["three.h5", "3 shots", "2"]);
    assert_refused(&case, &set(&observed("few.h5")), DATA, &["few.h5", "shot 0", "8 traces", "9 receivers"]);
    assert_refused(&case, &set(&observed("moved.h5")), DATA, &["moved.h5", "receiver 0 of shot 0", "120", "80"]);
    assert_refused(&case, &set(&observed("short.h5")), DATA, &["short.h5", "0.4 s", "0.8 s"]);
}

#[test]
fn configurations_that_cannot_be_are_refused() {
    let case = case();
    let refused = |key_and_value: &str, named: &[&str]| {
        assert_refused(&case, &set(key_and_value), CONFIGURATION, named);
    };
    refused("survey.recievers.z_m=80", &["survey.recievers", "did you mean `receivers`"]);
    refused("survey.receivers.z_m=5000", &["shot 0", "receiver 0", "z = 5000 m", "0 to 1200 m"]);
    refused("time.dt_s=0.02", &["time.dt_s", "0.02"]);
    let too_long = "time={ duration_s = 0.8, record_s = 0.02, dt_s = 0.02 }";
    refused(too_long, &["0.02"]);
    refused("reversal.memory=\"1 KiB\"", &["reversal", "1024", "needs at least"]);
    refused("reversal.memory=\"lots\"", &["reversal.memory", "lots"]);
    refused("model.start={ builtin = \"constant\", vp_m_per_s = 0.0 }", &["model.start.vp_m_per_s", "found 0"]);
    refused("inversion.shots=[0, 7]", &["shots", "7"]);
}

#[test]
fn a_source_on_the_free_surface_is_refused() {
    let words = ["--set", "boundary.top=\"free-surface\"", "--set", "survey.sources.z_m=0"];
    assert_refused(&case(), &words, CONFIGURATION, &["shot 0", "source", "free surface", "z = 0 m"]);
}

#[test]
fn a_missing_or_unwritable_scratch_directory_is_refused() {
    let case = case();
    fs::write(case.path("file"), "no directory").expect("the folder can be written");
    // No one, root included, can make files below /proc.
    for scratch in ["absent", "file", "/proc"] {
        let key = format!("reversal.scratch=\"{scratch}\"");
        let words = ["--set", "reversal.disk=\"1 GiB\"", "--set", &key];
        assert_refused(&case, &words, ENVIRONMENT, &[scratch, "scratch directory", "reversal.scratch"]);
    }
}

#[test]
fn a_scratch_directory_is_checked_before_data_are_simulated() {
    let words =
        ["--set", "data={ synthetic = true }", "--set", "reversal.disk=\"1 GiB\"", "--set", "reversal.scratch=\"no\""];
    assert_refused(&case(), &words, ENVIRONMENT, &["scratch directory"]);
}

#[test]
fn a_fault_of_a_later_stage_is_refused_at_the_start() {
    let stages = "stage=[{ lowpass_hz = 3.0, iterations = 1 }, { iterations = 1, shots = [9] }]";
    assert_refused(&case(), &set(stages), CONFIGURATION, &["stage 1", "shots"]);
}

#[test]
fn an_output_directory_that_cannot_be_made_is_refused() {
    let case = case();
    fs::write(case.path("file"), "no directory").expect("the folder can be written");
    for ranks in [1, 3] {
        let ended = case.run(layout(ranks, 1), "invert", "file/run", &[]);
        assert_eq!(ended.status.code(), Some(ENVIRONMENT), "{}", errors(&ended));
        let told = messages(&ended);
        assert!(told.len() == 1 && told[0].contains("file/run"), "{}", errors(&ended));
    }
}

#[test]
fn a_missing_configuration_is_refused() {
    let case = case();
    fs::remove_file(case.path("case.toml")).expect("the folder can be written");
    assert_refused(&case, &[], CONFIGURATION, &["case.toml", "No such file"]);
}

/// The rank that gets the shot meets the bad sample; the others are at work or wait.
#[test]
fn bad_data_of_one_shot_end_all_ranks_with_one_message() {
    let case = case();
    spoil(&case.path("observed.h5"), [12, 7]);
    for ranks in [1, 3] {
        let ended = case.run(layout(ranks, 1), "invert", &format!("run-{ranks}"), &[]);
        assert_eq!(ended.status.code(), Some(DATA), "on {ranks} ranks: {}", errors(&ended));
        let told = messages(&ended);
        assert_eq!(told.len(), 1, "on {ranks} ranks: {}", errors(&ended));
        assert!(["shot 1", "observed.h5", "NaN"].iter().all(|place| told[0].contains(place)), "{}", told[0]);
        assert!(!case.path(&format!("run-{ranks}")).join("run.h5").exists(), "a run file was published");
        assert!(case.scratch_is_empty());
    }
}
