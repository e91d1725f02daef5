//! A shot that is killed under way goes on from where it was: by another process, on other ranks and threads, to the same bits.
//! Here the program keeps what it has of a shot at every look (feature failpoints); as it is, once a minute and on a stop.

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use common::{Case, Layout, PROGRAM, SPILLING, bits, errors, has_ranks, layout, results, section};

const ONE: Layout = Layout { ranks: 1, threads: 1 };
const TWO_THREADS: Layout = Layout { ranks: 1, threads: 2 };

/// Runs a verb that is killed when rank `rank` has kept shots under way for the `count`-th time.
fn killed(case: &Case, layout: Layout, verb: &str, [rank, count]: [usize; 2], words: &[&str]) -> Output {
    let mut command = case.command(Path::new(PROGRAM), layout, verb, "killed", words);
    command.env("FAILPOINTS", "part.always=return").env("TREEWAVE_KILL", format!("{rank}:{count}:part.saved"));
    let ended = command.output().expect("the program starts");
    assert_ne!(ended.status.code(), Some(0), "{verb} on {layout:?} was not killed at save {count}: {}", errors(&ended));
    ended
}

/// The steps of a shot that were left and all, as the program tells when it goes on.
fn steps_left(ended: &Output) -> Option<[usize; 2]> {
    let said = errors(ended);
    let line = said.lines().find(|line| line.contains(" goes on: "))?;
    let numbers: Vec<usize> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // Of the shot, left, all.
    let &[.., left, all] = &numbers[..] else { panic!("{line}") };
    Some([left, all])
}

/// That the killed verb goes on in the middle of a shot, with nothing left over in the end.
fn assert_goes_on(case: &Case, verb: &str, words: &[&str]) {
    let ended = case.run(TWO_THREADS, verb, "killed", words);
    assert_eq!(ended.status.code(), Some(0), "{verb}, going on: {}", errors(&ended));
    let [left, all] = steps_left(&ended).unwrap_or_else(|| panic!("{verb} began the shot anew: {}", errors(&ended)));
    assert!(left < all, "{verb}: {left} of {all} steps were left");
    let folder = fs::read_dir(case.path("killed")).expect("the folder can be listed");
    let names = folder.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    assert!(!names.into_iter().any(|name| name.ends_with(".ledger") || name.ends_with(".tmp")));
    assert!(case.scratch_is_empty(), "something is left in the scratch directory");
}

#[test]
fn an_inversion_goes_on_in_the_middle_of_a_shot() {
    let case = Case::new(&section(4, 1.2, SPILLING));
    case.succeed(ONE, "invert", "reference", &[]);
    let reference = results(&case.path("reference"));
    // In the first shot, and in later ones and later gradients.
    for (number, count) in [1, 4, 90].into_iter().enumerate() {
        let two = has_ranks() && number % 2 == 1;
        let (layout, rank) = if two { (layout(2, 1), 1) } else { (ONE, 0) };
        killed(&case, layout, "invert", [rank, count], &[]);
        assert_goes_on(&case, "invert", &[]);
        assert!(results(&case.path("killed")) == reference, "killed at save {count}: another result");
        fs::remove_dir_all(case.path("killed")).expect("the folder can be removed");
    }
}

/// Kills a gradient twice, the second time while it goes on, and compares it with the one that nobody disturbs.
fn check_gradient(case: &Case, words: &[&str], names: &[&str]) {
    let bits = |output: &str| {
        let file = case.path(output).join("gradient.h5");
        names.iter().flat_map(|name| bits(&file, name)).collect::<Vec<u64>>()
    };
    case.succeed(ONE, "gradient", "reference", words);
    killed(case, ONE, "gradient", [0, 3], words);
    let again = killed(case, ONE, "gradient", [0, 2], words);
    let [left, all] = steps_left(&again).expect("the second process goes on");
    assert!(left < all, "{left} of {all} steps were left");
    assert_goes_on(case, "gradient", words);
    assert!(bits("killed") == bits("reference"), "{words:?}: another gradient");
}

#[test]
fn a_gradient_goes_on_in_the_middle_of_a_shot_whatever_the_strategy() {
    let spilling = Case::new(&section(2, 1.2, SPILLING));
    check_gradient(&spilling, &[], &["gradient_vp", "illumination", "misfit_per_shot"]);
    let inverted = SPILLING.replace("two-level", "inversion").replace("costs", "# costs");
    let inverted = Case::new(&section(2, 1.2, &inverted));
    check_gradient(&inverted, &[], &["gradient_vp", "illumination", "misfit_per_shot"]);
}

#[test]
fn a_gradient_of_the_seed_papers_equation_goes_on_in_the_middle_of_a_shot() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/three-layers.toml");
    let case = Case::new(&fs::read_to_string(config).expect("the example is there"));
    let words = ["--set=time.duration_s=0.04", "--set=wavelet.shift_samples=60", "--set=output.ledger_every_s=0"];
    check_gradient(&case, &words, &["gradient_c2", "gradient_wavelet", "gradient_u0", "misfit"]);
}
