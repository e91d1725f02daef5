//! The example configurations are in order, and the circle is found.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{PROGRAM, errors};
use treewave_storage::read_run;

/// The misfit of the start model as two other codes have it, a sum over samples, times the sampling interval.
const START_MISFIT: f64 = 79744.8284 * 1e-3;

fn configs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let files = fs::read_dir(folder).expect("the folder is there");
    let files = files.map(|file| file.expect("the folder can be listed").path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

/// Runs a verb on a configuration, which must end well.
fn succeed(verb: &str, config: &Path, output: &Path) -> String {
    let mut command = Command::new(PROGRAM);
    command.arg(verb).arg(config).arg("--output").arg(output).args(["--threads", "2"]);
    let ended = command.output().expect("the program starts");
    assert_eq!(ended.status.code(), Some(0), "{verb} {}: {}", config.display(), errors(&ended));
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

#[test]
fn all_example_configurations_pass_check_without_warnings() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    assert!(configs().len() >= 4, "{:?}", configs());
    for config in configs() {
        let needs_shared = fs::read_to_string(&config).expect("it can be read").contains("../../shared/");
        if needs_shared && !Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").exists() {
            println!("skipped: ../shared is absent, which {} needs", config.display());
            continue;
        }
        let said = succeed("check", &config, &folder.path().join("run"));
        assert!(said.ends_with("fine\n") && !said.contains("warning"), "{}: {said}", config.display());
        assert!(!folder.path().join("run").exists(), "check of {} writes", config.display());
    }
}

#[test]
fn the_circle_is_found_as_fast_as_other_codes_find_it() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/circle.toml");
    succeed("invert", &config, folder.path());
    let run = read_run(&folder.path().join("run.h5")).expect("the run file can be read");

    let start = run.entries[0].misfit;
    // The observed data are stored in f32, and the absorbing layer differs a little from the one of the other codes.
    assert!((start / START_MISFIT - 1.0).abs() < 1e-4, "the misfit of the start is {start}, not {START_MISFIT}");
    assert!(run.entries.windows(2).all(|pair| pair[1].misfit < pair[0].misfit), "the misfit does not fall everywhere");
    let within = |limit: u64| {
        let mut evaluations = 0;
        let entries = run.entries.iter().take_while(|entry| {
            evaluations += entry.evaluations;
            evaluations <= limit
        });
        entries.last().expect("the start is one evaluation").misfit / start
    };
    let gradients: u64 = run.entries.iter().map(|entry| entry.evaluations).sum();
    assert!(gradients <= 12, "max_evaluations = 12 made {gradients} gradients");
    assert!(within(8) <= 0.02, "J/J0 = {} after 8 gradients", within(8));
    assert!(within(12) <= 0.007, "J/J0 = {} after 12 gradients", within(12));
    let error = |i: usize| run.entries[i].model_error.expect("the true model is known");
    assert!((error(0) - 0.05219).abs() < 5e-5, "the model error of the start is {}", error(0));
    assert!(error(run.entries.len() - 1) < 0.0375, "the model error is {}", error(run.entries.len() - 1));
}
