//! Plain Python tools open what the program writes, also while it is being written.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{Case, Layout, errors, section, send};

/// Many short iterations, so that the run file is published often.
const REST: &str = r#"[optimizer]
bounds = { vp_m_per_s = [1400.0, 5000.0] }
# The minimum is a long way off.
memory = 1
iterations = 2000
"#;

fn case() -> Case {
    Case::new(&section(2, 1.2, REST))
}

const ALONE: Layout = Layout { ranks: 1, threads: 1 };
/// How often the run file is opened, and how many versions of it must be seen at least: else nothing was tested.
const TIMES: usize = 200;
const MANY_TIMES: usize = 1000;
const VERSIONS: usize = 5;

/// Python with h5py and xarray, as `scripts/setup --dev` installs it; none where that was not done.
fn python() -> Option<PathBuf> {
    let own = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let targets = own.into_iter().chain([Path::new(env!("CARGO_MANIFEST_DIR")).join("target")]);
    let found = targets.map(|target| target.join("python/bin/python")).find(|python| python.exists());
    if found.is_none() {
        println!("skipped: no Python with h5py and xarray; scripts/setup --dev installs it");
    }
    found
}

fn script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn said(ended: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&ended.stdout), errors(ended))
}

/// Opens the run file of a run so many times while it is being made.
fn open_while_written(times: usize) {
    let Some(python) = python() else { return };
    let case = case();
    let run = case.path("run").join("run.h5");
    let mut job = case.start(ALONE, "invert", "run", &["--quiet"]);
    assert!(job.wait_for(|| run.exists()), "the run ended without a run file");
    let opened = script(&python, "open_while_written.py").arg(&run).arg(times.to_string()).output();
    let opened = opened.expect("Python starts");
    send("TERM", job.id());
    let ended = job.finish();
    assert_eq!(opened.status.code(), Some(0), "{}", said(&opened));
    // Stopped on request: the run was under way all the time.
    assert_eq!(ended.status.code(), Some(75), "{}", errors(&ended));
    let said = said(&opened);
    let versions = said.split_whitespace().rev().nth(1).and_then(|word| word.parse::<usize>().ok());
    assert!(versions.is_some_and(|versions| versions >= VERSIONS), "{said}");
    println!("{said}");
}

#[test]
fn a_run_file_opens_at_any_moment_of_the_run() {
    open_while_written(TIMES);
}

#[test]
#[ignore = "a thousand times take a minute"]
fn a_run_file_opens_a_thousand_times_during_a_run() {
    open_while_written(MANY_TIMES);
}

#[test]
fn all_public_files_keep_the_rules_of_the_format() {
    let Some(python) = python() else { return };
    let case = case();
    case.succeed(ALONE, "invert", "run", &["--set", "optimizer.iterations=2", "--set", "output.data=true"]);
    let gradient = case.path("gradient.h5");
    case.succeed(ALONE, "gradient", "run", &["-o", gradient.to_str().expect("the path is plain")]);
    let files = ["run.h5", "observed.h5", "predicted.h5"].map(|name| case.path("run").join(name));
    let checked = script(&python, "verify_files.py").args(&files).arg(&gradient).output().expect("Python starts");
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    let lines = said(&checked).lines().filter(|line| line.starts_with("ok ")).count();
    assert_eq!(lines, 4, "{}", said(&checked));
}
