//! What cannot be done is refused: soon, with the documented exit code, in one message that names the place, on all
//! ranks together, and with nothing written.

#[path = "../common/mod.rs"]
mod common;
mod configurations;
mod gathers;
mod models;
mod plain_files;
mod runs;

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

/// All ranks read the configuration and the heads of files, and agree: one rank shows what they say.
const ALIKE: &[usize] = &[1];
/// What only one rank may see, and a few of the others: alone, and with three that must not wait for ever.
const APART: &[usize] = &[1, 4];

/// The case with its model and data, of which one file or key is spoiled.
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

/// The first bytes of a file, in another one.
fn cut(from: &Path, to: &Path, share: f64) {
    let bytes = fs::read(from).expect("the file is there");
    fs::write(to, &bytes[..(share * bytes.len() as f64) as usize]).expect("the folder can be written");
}

/// The lines by which the program itself tells an error.
fn messages(ended: &Output) -> Vec<String> {
    errors(ended).lines().filter(|line| line.starts_with("error")).map(String::from).collect()
}

/// Whether a run was refused: exit code, one message that names all the places, no panic.
fn assert_told(what: &str, ended: &Output, code: i32, named: &[&str]) {
    let (told, said) = (messages(ended), errors(ended));
    assert_eq!(ended.status.code(), Some(code), "{what}: {said}");
    assert_eq!(told.len(), 1, "{what}: {said}");
    assert!(!said.contains("panicked"), "{what}: {said}");
    for place in named {
        // Where several things are wrong, one line each follows.
        assert!(said.contains(place), "{what}: {place:?} is not in: {said}");
    }
}

/// Repeats what must come to its end soon until it does, on a machine that may be busy.
fn assert_soon(what: &str, mut attempt: impl FnMut()) {
    let mut seconds = Vec::new();
    while seconds.last().is_none_or(|&last| last > SOON) && seconds.len() < ATTEMPTS {
        let began = Instant::now();
        attempt();
        seconds.push(began.elapsed());
    }
    assert!(seconds.last().is_some_and(|&last| last <= SOON), "{what} took {seconds:?}");
}

/// Runs the inversion on so many ranks into a directory that must not come to be.
fn assert_refused(case: &Case, on_ranks: &[usize], words: &[&str], code: i32, named: &[&str]) {
    for &ranks in on_ranks {
        let layout = layout(ranks, 1);
        let what = format!("{words:?} on {layout:?}");
        assert_soon(&what, || {
            assert_told(&what, &case.run(layout, "invert", "refused", words), code, named);
            assert!(!case.path("refused").exists(), "{what} wrote into the output directory");
            assert!(case.scratch_is_empty(), "{what} wrote into the scratch directory");
        });
    }
}

/// `--set` with a key and its value.
fn set(key_and_value: &str) -> [&str; 2] {
    ["--set", key_and_value]
}

#[test]
fn the_case_itself_is_not_refused() {
    case().succeed(layout(4, 1), "invert", "run", &[]);
}
