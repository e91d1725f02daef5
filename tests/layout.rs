//! A gradient has the same bits however the work is organised: strategy, memory and disk, ranks, threads, build.

mod common;

use std::path::{Path, PathBuf};

use common::{Case, Layout, PROGRAM, bits, errors, ranks_or_skipped, reversal_log, section};

/// Three shots of 300 steps; snapshots are some 80 kB.
fn case() -> Case {
    Case::new(&section(3, 1.2, ""))
}

/// A way to reverse: keys of `[reversal]` and whole ones, and whether it uses the disk; `None` where measured costs decide.
type Way = (&'static [&'static str], Option<bool>);

/// With steps this dear and a disk this cheap, snapshots that do not fit into memory go to disk.
const CHEAP_DISK: &str = "costs={ advance = 100.0, pull_back = 200.0, write = 1.0, read = 1.0 }";

const STORE_ALL: Way = (&["strategy=store-all"], Some(false));
const TREEVERSE: Way = (&["strategy=treeverse", "snapshots=3"], Some(false));
const REVOLVE: Way = (&["strategy=revolve", "snapshots=3"], Some(false));
const BENNETT: Way = (&["strategy=bennett", "blocks=5"], Some(false));
const SPILLING: Way = (&["strategy=two-level", "memory=1 MiB", "disk=64 MiB", CHEAP_DISK], Some(true));
const SPILLING_EVERY_STEP: Way = (&["strategy=two-level", "snapshots=2", "disk=64 MiB", CHEAP_DISK], Some(true));

const TWO_SHOTS_AT_ONCE: Way =
    (&["strategy=two-level", "memory=2 MiB", "disk=64 MiB", CHEAP_DISK, "parallel.shots_at_once=2"], Some(true));
const MORE_SHOTS_AT_ONCE_THAN_THREADS: Way =
    (&["strategy=revolve", "memory=6 MiB", "parallel.shots_at_once=3"], Some(false));

/// In an arithmetic of its own: the same bits as each other, and nearly those of the others.
const INVERSION: Way = (&["strategy=inversion"], Some(false));
const INVERSION_SPILLING: Way = (&["strategy=inversion", "memory=450 KiB", "disk=64 MiB"], Some(true));
const INVERSION_STEP_BY_STEP: Way =
    (&["strategy=inversion", "segment_steps=1", "parallel.shots_at_once=2"], Some(false));

/// Ways that are tried on one rank.
const WAYS: [Way; 18] = [
    TWO_SHOTS_AT_ONCE,
    MORE_SHOTS_AT_ONCE_THAN_THREADS,
    TREEVERSE,
    (&["strategy=treeverse", "snapshots=9"], Some(false)),
    REVOLVE,
    (&["strategy=revolve", "snapshots=7"], Some(false)),
    (&["strategy=revolve", "snapshots=20"], Some(false)),
    (&["strategy=revolve", "memory=2 MiB"], Some(false)),
    SPILLING,
    SPILLING_EVERY_STEP,
    (&["strategy=two-level", "snapshots=4", "disk=400 KiB", CHEAP_DISK], Some(true)),
    (&["strategy=two-level", "snapshots=10", "disk=1 MiB", "segment_steps=5", CHEAP_DISK], Some(true)),
    (&["strategy=two-level", "memory=1 MiB", "disk=64 MiB"], None),
    (&["strategy=auto", "memory=1 MiB", "disk=64 MiB", CHEAP_DISK], Some(true)),
    (&["strategy=auto"], Some(false)),
    (&["strategy=bennett", "blocks=20"], Some(false)),
    (&["strategy=bennett", "snapshots=12"], Some(false)),
    (&["strategy=bennett", "memory=2 MiB", "segment_steps=7"], Some(false)),
];

/// The gradient of one program, layout and way, in a file of its own; the data are simulated on that layout as well.
fn gradient(case: &Case, program: &Path, layout: Layout, way: Way, name: &str) -> PathBuf {
    let file = case.path(&format!("{name}.h5"));
    let keys: Vec<String> = way
        .0
        .iter()
        .map(|key| if key.starts_with("parallel.") { key.to_string() } else { format!("reversal.{key}") })
        .collect();
    let mut words = vec!["-o", file.to_str().expect("a temporary folder has a plain name")];
    keys.iter().for_each(|key| words.extend(["--set", key]));
    let ended = case.command(program, layout, "gradient", name, &words).output().expect("the program starts");
    assert_eq!(ended.status.code(), Some(0), "{way:?} on {layout:?}: {}", errors(&ended));
    let written = reversal_log(&file)["bytes_written"].as_u64().expect("the log tells the bytes written");
    assert!(way.1.is_none_or(|spills| spills == (written > 0)), "{way:?} on {layout:?} wrote {written} bytes to disk");
    assert!(case.scratch_is_empty(), "{way:?} on {layout:?} left a file in the scratch directory");
    file
}

fn assert_same_bits(file: &Path, reference: &Path, what: &str) {
    for dataset in ["gradient_vp", "illumination", "misfit", "misfit_per_shot"] {
        let expected = bits(reference, dataset);
        assert!(expected.iter().any(|&bits| f64::from_bits(bits) != 0.0), "{dataset} of the reference is zero");
        let differ = bits(file, dataset).iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 0, "{what}: {differ} of {} numbers of {dataset} differ", expected.len());
    }
}

#[test]
fn every_strategy_and_budget_gives_the_same_bits() {
    let case = case();
    let one = Layout { ranks: 1, threads: 1 };
    let reference = gradient(&case, Path::new(PROGRAM), one, STORE_ALL, "reference");
    for (i, way) in WAYS.into_iter().enumerate() {
        for threads in [1, 2] {
            let layout = Layout { ranks: 1, threads };
            let file = gradient(&case, Path::new(PROGRAM), layout, way, &format!("way-{i}-{threads}"));
            assert_same_bits(&file, &reference, &format!("{way:?} on {layout:?}"));
        }
    }
}

#[test]
fn any_number_of_ranks_and_threads_gives_the_same_bits() {
    if !ranks_or_skipped() {
        return;
    }
    let case = case();
    let one = Layout { ranks: 1, threads: 1 };
    let reference = gradient(&case, Path::new(PROGRAM), one, STORE_ALL, "reference");
    // The last has more ranks than shots.
    let layouts = [
        (2, 1, SPILLING),
        (2, 2, REVOLVE),
        (3, 1, SPILLING_EVERY_STEP),
        (3, 2, TREEVERSE),
        (5, 1, SPILLING),
        (2, 1, BENNETT),
        (2, 2, TWO_SHOTS_AT_ONCE),
    ];
    for (ranks, threads, way) in layouts {
        let layout = Layout { ranks, threads };
        let file = gradient(&case, Path::new(PROGRAM), layout, way, &format!("ranks-{ranks}-{threads}"));
        assert_same_bits(&file, &reference, &format!("{way:?} on {layout:?}"));
    }
}

#[test]
fn inversion_gives_the_same_bits_on_any_layout_and_nearly_those_of_other_strategies() {
    let case = case();
    let run =
        |ranks, threads, way, name: &str| gradient(&case, Path::new(PROGRAM), Layout { ranks, threads }, way, name);
    let reference = run(1, 1, INVERSION, "reference");
    for (i, way) in [INVERSION_SPILLING, INVERSION_STEP_BY_STEP].into_iter().enumerate() {
        assert_same_bits(&run(1, 2, way, &format!("way-{i}")), &reference, &format!("{way:?}"));
    }
    if ranks_or_skipped() {
        for (ranks, threads, way) in [(2, 2, INVERSION), (3, 1, INVERSION_SPILLING)] {
            let file = run(ranks, threads, way, &format!("ranks-{ranks}"));
            assert_same_bits(&file, &reference, &format!("{way:?} on {ranks} ranks"));
        }
    }
    let other = run(1, 1, STORE_ALL, "other");
    let [ours, theirs] = [&reference, &other].map(|file| {
        let numbers = bits(file, "gradient_vp").into_iter().map(f64::from_bits);
        numbers.collect::<Vec<f64>>()
    });
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
    let difference = square(&mut ours.iter().zip(&theirs).map(|(a, b)| a - b)) / square(&mut theirs.iter().copied());
    let relative = difference.sqrt();
    println!("inversion is {relative:.1e} from store-all");
    assert!(relative > 0.0 && relative < 2e-5, "{relative:e}");
}

/// `scripts/test` names the other build; building it here would take longer than all tests.
#[test]
#[cfg(feature = "mpi")]
fn the_build_without_mpi_gives_the_same_bits() {
    let Some(solo) = std::env::var_os("TREEWAVE_SOLO_BINARY") else {
        println!("skipped: TREEWAVE_SOLO_BINARY names no build without MPI to compare with");
        return;
    };
    let case = case();
    let layout = Layout { ranks: 1, threads: 2 };
    let [ours, theirs] = [(Path::new(PROGRAM), "ours"), (Path::new(&solo), "theirs")]
        .map(|(program, name)| gradient(&case, program, layout, SPILLING, name));
    assert_same_bits(&ours, &theirs, "with and without MPI");
}
