//! Runs that cannot go on: damaged or foreign files in the output directory, and directories that cannot be.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::*;

/// All files of a directory, with their bytes.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![directory.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in
            fs::read_dir(folder).expect("the folder can be listed").map(|entry| entry.expect("it is there").path())
        {
            match path.is_dir() {
                true => folders.push(path),
                false => drop(found.insert(path.clone(), fs::read(&path).expect("the file can be read"))),
            }
        }
    }
    found
}

/// Changes one byte in the middle.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("the file is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("the folder can be written");
}

/// A case with a run of two iterations in `run`.
fn begun() -> Case {
    let case = case();
    let other = set("model.start={ builtin = \"constant\", vp_m_per_s = 2100.0 }");
    simulate(&case, &case.path("observed.h5"), &other);
    let words = [&set("optimizer.iterations=2")[..], &["--quiet"]].concat();
    case.succeed(Layout { ranks: 1, threads: 1 }, "invert", "run", &words);
    case
}

/// What is done to the run, what is set besides, the exit code, and what the message names.
type Kind = (&'static str, fn(&Path), &'static [&'static str], i32, &'static [&'static str]);

const KINDS: &[Kind] = &[
    (
        "both restart files flipped",
        |run| ["a.rst", "b.rst"].iter().for_each(|name| flip(&run.join("restart").join(name))),
        &[],
        DATA,
        &["no restart file is usable", "a.rst", "b.rst", "checksum"],
    ),
    (
        "both restart files cut",
        |run| {
            ["a.rst", "b.rst"].map(|name| run.join("restart").join(name)).iter().for_each(|path| cut(path, path, 0.5))
        },
        &[],
        DATA,
        &["no restart file is usable", "ends too early"],
    ),
    ("run file cut", |run| cut(&run.join("run.h5"), &run.join("run.h5"), 0.5), &[], DATA, &["run.h5", "truncated"]),
    (
        "run file gone",
        |run| fs::remove_file(run.join("run.h5")).expect("it is there"),
        &[],
        DATA,
        &["run.h5", "no such file"],
    ),
    (
        "run file of another kind",
        |run| {
            fs::copy(run.join("../observed.h5"), run.join("run.h5")).expect("it is copied");
        },
        &[],
        DATA,
        &["run.h5", "treewave_format", "gathers"],
    ),
    ("other physics", |_| (), &["--set", "physics.space_order=4"], CONFIGURATION, &["physics.space_order was 8, is 4"]),
    (
        "other contents of the model",
        |run| write_model(&run.join("../model.h5"), [41, 31], Some(2500.0)),
        &[],
        CONFIGURATION,
        &["contents of model.start has changed"],
    ),
    (
        "another grid by force",
        |run| write_model(&run.join("../model.h5"), [61, 31], None),
        &["--force"],
        DATA,
        &["restart", "1271 cells", "1891"],
    ),
];

#[test]
fn runs_that_cannot_go_on_are_refused_and_left_as_they_are() {
    let case = begun();
    let (whole, run) = (contents(&case.path("run")), case.path("run"));
    let model = fs::read(case.path("model.h5")).expect("it is there");
    for (what, spoil, words, code, named) in KINDS {
        spoil(&run);
        let before = contents(&run);
        for &ranks in if what.contains("flipped") || what.contains("force") { APART } else { ALIKE } {
            let what = format!("{what} on {ranks} ranks");
            let words = [&set("optimizer.iterations=3")[..], words].concat();
            assert_soon(&what, || {
                assert_told(&what, &case.run(layout(ranks, 1), "invert", "run", &words), *code, named);
                assert!(contents(&run) == before, "{what}: the run was changed");
                assert!(case.scratch_is_empty());
            });
        }
        whole.iter().for_each(|(path, bytes)| fs::write(path, bytes).expect("the folder can be written"));
        fs::write(case.path("model.h5"), &model).expect("the folder can be written");
    }
    let words = [&set("optimizer.iterations=3")[..], &["--quiet"]].concat();
    case.succeed(layout(4, 1), "invert", "run", &words);
}

#[test]
fn an_output_directory_that_cannot_be_made_is_refused() {
    let case = case();
    fs::write(case.path("file"), "no directory").expect("the folder can be written");
    for (output, ranks) in [("file/run", APART), ("file", ALIKE), ("/proc/treewave", ALIKE)] {
        for &ranks in ranks {
            let what = format!("{output} on {ranks} ranks");
            assert_soon(&what, || {
                assert_told(&what, &case.run(layout(ranks, 1), "invert", output, &[]), ENVIRONMENT, &[output]);
                assert!(case.scratch_is_empty());
            });
        }
    }
    assert_eq!(fs::read(case.path("file")).expect("it is there"), b"no directory");
}
