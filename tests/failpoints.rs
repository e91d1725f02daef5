//! A run is killed at every place where something could be lost, finds the disk full at every write, has its shots delayed
//! and their order turned round: it ends with the same bits.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Case, Layout, PROGRAM, SPILLING, errors, has_ranks, layout, results, section};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use rayon::prelude::*;
use treewave::failpoints::{PLACES, PLACES_OF_RANKS};

const ONE: Layout = Layout { ranks: 1, threads: 1 };

/// Runs at once: most of their time they wait, for MPI to start and to end.
const AT_ONCE: usize = 4;

fn case() -> Case {
    Case::new(&section(4, 1.2, SPILLING))
}

/// What comes of each item, several at once, in folders of their own.
fn side_by_side<I: Sync, R: Send>(items: &[I], what: impl Fn(&Case, &I) -> R + Sync) -> Vec<R> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(AT_ONCE).build().expect("threads can be started");
    threads.install(|| items.par_iter().map_init(case, |case, item| what(case, item)).collect())
}

/// Runs the inversion with places where something happens.
fn invert(case: &Case, layout: Layout, output: &str, environment: &[(&str, String)]) -> Output {
    let mut command = case.command(Path::new(PROGRAM), layout, "invert", output, &[]);
    command.envs(environment.iter().map(|(name, value)| (name, value))).output().expect("the program starts")
}

/// The run to its end, undisturbed, with the bits of the reference and nothing left over.
fn assert_goes_on(case: &Case, layout: Layout, output: &str, reference: &[u64], what: &str) {
    let ended = invert(case, layout, output, &[]);
    assert_eq!(ended.status.code(), Some(0), "{what}, going on: {}", errors(&ended));
    assert!(results(&case.path(output)) == reference, "{what}: another result");
    assert_eq!(left_over(&case.path(output)), Vec::<PathBuf>::new(), "{what}");
    assert!(case.scratch_is_empty(), "{what}: something is left in the scratch directory");
    fs::remove_dir_all(case.path(output)).expect("the folder can be removed");
}

/// Files that no run of its own accord leaves behind: under temporary names, and of evaluations.
fn left_over(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(left_over(&path));
        }
        if name.ends_with(".tmp") || name == "ledger" {
            found.push(path);
        }
    }
    found
}

/// The places that the ranks of a run come to, in their order.
fn places(case: &Case, layout: Layout) -> Vec<Vec<String>> {
    let folder = case.path(&format!("places-{}", layout.ranks));
    fs::create_dir(&folder).expect("the folder can be written");
    let ended = invert(case, layout, "places", &[("TREEWAVE_PLACES", folder.to_string_lossy().into_owned())]);
    assert_eq!(ended.status.code(), Some(0), "{}", errors(&ended));
    fs::remove_dir_all(case.path("places")).expect("the folder can be removed");
    let of = |rank: usize| fs::read_to_string(folder.join(rank.to_string())).unwrap_or_default();
    (0..layout.ranks).map(|rank| of(rank).lines().map(String::from).collect()).collect()
}

/// The same on one rank and, where there are ranks, on two.
fn layouts() -> Vec<Layout> {
    if has_ranks() { vec![ONE, Layout { ranks: 2, threads: 1 }] } else { vec![ONE] }
}

fn reference(case: &Case) -> Vec<u64> {
    case.succeed(ONE, "invert", "reference", &[]);
    results(&case.path("reference"))
}

#[test]
fn the_run_comes_to_every_place() {
    let case = case();
    for layout in layouts() {
        let come_to: BTreeSet<String> = places(&case, layout).into_iter().flatten().collect();
        let ranks = if layout.ranks > 1 { &PLACES_OF_RANKS[..] } else { &[] };
        // A rank alone asks nobody.
        let alone = |place: &&&str| layout.ranks == 1 && **place == "message.collective";
        let missing: Vec<_> =
            PLACES.iter().chain(ranks).filter(|place| !come_to.contains(**place) && !alone(place)).collect();
        assert_eq!(missing, Vec::<&&str>::new(), "on {layout:?}");
    }
}

/// What has a name outlasts a power failure: it was synced before it got the name, and its folder was after.
#[test]
fn files_are_synced_before_they_are_renamed_and_their_folders_after() {
    let come_to = places(&case(), ONE).concat();
    let renamed: Vec<usize> = (0..come_to.len()).filter(|&i| come_to[i] == "file.rename").collect();
    assert!(renamed.len() > 10, "{renamed:?}");
    for i in renamed {
        assert_eq!([&come_to[i - 1], &come_to[i + 1]], ["file.sync", "folder.sync"], "around place {i}");
    }
}

/// Kills a rank when it comes to its place of this number, and goes on elsewhere; whether it came there.
fn kill(case: &Case, layout: Layout, rank: usize, number: usize, place: &str, reference: &[u64]) -> bool {
    let what = format!("rank {rank} of {layout:?} killed at {place}, its place {number}");
    let ended = invert(case, layout, "killed", &[("TREEWAVE_KILL", format!("{rank}:{number}"))]);
    // Ranks share their places out anew in every run: one may come to fewer.
    let was_killed = ended.status.code() != Some(0);
    if was_killed {
        assert_goes_on(case, elsewhere(layout, number), "killed", reference, &what);
    } else {
        fs::remove_dir_all(case.path("killed")).expect("the folder can be removed");
    }
    was_killed
}

/// That nearly all runs that were to be killed were.
fn assert_killed(kills: &[bool]) {
    let killed = kills.iter().filter(|killed| **killed).count();
    println!("{killed} of {} runs were killed", kills.len());
    assert!(10 * killed >= 8 * kills.len(), "only {killed} of {} runs were killed", kills.len());
}

/// Restart files hold the newest iteration alone: a run that is killed before it publishes each of them still has them all.
#[test]
fn a_run_killed_before_every_publication_keeps_all_iterations() {
    let case = case();
    let reference = reference(&case);
    // Whoever goes on publishes first what the process before it has saved and not published.
    for count in [1, 2, 1, 2] {
        let ended = invert(&case, ONE, "killed", &[("TREEWAVE_KILL", format!("0:{count}:iteration.publish"))]);
        assert_ne!(ended.status.code(), Some(0), "it was not killed");
    }
    assert_goes_on(&case, ONE, "killed", &reference, "killed before every publication");
}

/// A layout to go on with: the same one, or another.
fn elsewhere(before: Layout, number: usize) -> Layout {
    match number % 3 {
        0 => before,
        1 => Layout { ranks: 1, threads: 2 },
        _ => layout(3 - before.ranks.min(2), 1),
    }
}

#[test]
fn a_run_killed_at_any_kind_of_place_goes_on_to_the_same_bits() {
    let case = case();
    let reference = reference(&case);
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = Pcg64::seed_from_u64(seed);
    let layout = *layouts().last().expect("there is one");
    let mut of_kind: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for (rank, places) in places(&case, layout).into_iter().enumerate() {
        for (number, place) in places.into_iter().enumerate() {
            of_kind.entry(place).or_default().push((rank, number + 1));
        }
    }
    let chosen: Vec<_> = of_kind
        .into_iter()
        .map(|(place, occurrences)| (place, occurrences[random.random_range(0..occurrences.len())]))
        .collect();
    assert_killed(&side_by_side(&chosen, |case, (place, (rank, number))| {
        kill(case, layout, *rank, *number, place, &reference)
    }));
}

#[test]
#[ignore = "some 2,000 kills"]
fn a_run_killed_at_every_place_goes_on_to_the_same_bits() {
    let case = case();
    let reference = reference(&case);
    let mut kills = Vec::new();
    for layout in layouts() {
        let places = places(&case, layout);
        println!("{layout:?}: {:?} places", places.iter().map(Vec::len).collect::<Vec<_>>());
        let numbered = |(rank, places): (usize, Vec<String>)| {
            places.into_iter().enumerate().map(move |(number, place)| (rank, number + 1, place))
        };
        let all: Vec<_> = places.into_iter().enumerate().flat_map(numbered).collect();
        kills.extend(side_by_side(&all, |case, (rank, number, place)| {
            kill(case, layout, *rank, *number, place, &reference)
        }));
    }
    assert_killed(&kills);
}

/// Places that can find the disk full.
const WRITES: [&str; 11] = [
    "folder.create",
    "file.create",
    "file.write",
    "file.close",
    "file.sync",
    "file.read_back",
    "file.rename",
    "folder.sync",
    "spill.create",
    "spill.write",
    "file.published",
];

/// Has the disk full from a write on, and goes on when there is room.
fn fill(case: &Case, layout: Layout, place: &str, after: usize, reference: &[u64]) -> bool {
    let what = format!("the disk is full at {place} after {after} times on {layout:?}");
    let points = format!("{place}={after}*off->return");
    let ended = invert(case, layout, "full", &[("FAILPOINTS", points)]);
    let said = errors(&ended);
    match ended.status.code() {
        // What was refused was of no account, such as the status between iterations.
        Some(0) => assert!(results(&case.path("full")) == reference, "{what}: another result"),
        Some(5) => {
            let told: Vec<&str> = said.lines().filter(|line| line.starts_with("error")).collect();
            let names = |line: &str| line.contains("No space left on device") && line.contains("bytes are free");
            // Ranks that meet the full disk within the same second, each in a file of its own, have each a reason to tell.
            let by_one_rank = |rank| told.iter().filter(|line| line.contains(&format!("on rank {rank}:"))).count() <= 1;
            let once = told.len() == 1 || (0..layout.ranks).all(by_one_rank) && told.len() <= layout.ranks;
            let named = place == "folder.create" || told.iter().all(|line| names(line));
            assert!(once && named, "{what}: {said}");
        }
        other => panic!("{what}: exit code {other:?}: {said}"),
    }
    assert!(!said.contains("panicked"), "{what}: {said}");
    let failed = ended.status.code() == Some(5);
    assert_goes_on(case, elsewhere(layout, after), "full", reference, &what);
    failed
}

#[test]
fn a_disk_that_is_full_at_any_write_costs_nothing_but_room() {
    let case = case();
    let reference = reference(&case);
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = Pcg64::seed_from_u64(seed);
    let come_to = places(&case, ONE).concat();
    let later = WRITES.map(|place| {
        let count = come_to.iter().filter(|known| *known == place).count();
        (place, random.random_range(1..count.max(2)))
    });
    side_by_side(&later, |case, &(place, after)| {
        assert!(fill(case, ONE, place, 0, &reference), "{place}: the full disk was not noticed");
        fill(case, *layouts().last().expect("there is one"), place, after, &reference);
    });
}

#[test]
#[ignore = "some 10 minutes"]
fn a_disk_that_is_full_at_every_write_costs_nothing_but_room() {
    let case = case();
    let reference = reference(&case);
    let come_to = places(&case, ONE).concat();
    for place in WRITES {
        let count = come_to.iter().filter(|known| *known == place).count();
        let all: Vec<usize> = (0..count).collect();
        let failed = side_by_side(&all, |case, &after| fill(case, ONE, place, after, &reference));
        let failed = failed.into_iter().filter(|failed| *failed).count();
        println!("{place}: {count} times, {failed} of them ended the run");
    }
}

/// A file system in memory of so many KiB, in a name space of its own: the program fills it, gets room, and goes on.
#[test]
fn a_small_disk_that_fills_up_costs_nothing_but_room() {
    let case = case();
    let reference = reference(&case);
    let disk = case.path("disk");
    fs::create_dir(&disk).expect("the folder can be written");
    let program = case.command(Path::new(PROGRAM), ONE, "invert", "disk/run", &[]);
    let words = program.get_args().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
    let script = r#"
        disk=$1; size=$2; result=$3; shift 3
        mount -t tmpfs -o size=${size}k tmpfs "$disk" || exit 99
        "$@" || echo "ended with $?" >&2
        find "$disk" -name '*.tmp' >&2
        mount -o remount,size=64m "$disk" || exit 99
        "$@" && cp "$disk/run/run.h5" "$result"
    "#;
    let mut ended_full = 0;
    for size_kib in [64, 256, 448, 512, 640] {
        let result = case.path(&format!("small-{size_kib}"));
        fs::create_dir(&result).expect("the folder can be written");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]).arg(&disk).arg(size_kib.to_string());
        command.arg(&result).arg(PROGRAM).args(&words).current_dir(case.path("."));
        program.get_envs().filter_map(|(name, value)| Some((name, value?))).for_each(|(name, value)| {
            command.env(name, value);
        });
        let Ok(ended) = command.output() else {
            println!("skipped: the program unshare is absent");
            return;
        };
        let said = errors(&ended);
        if said.contains("unshare failed") || ended.status.code() == Some(99) {
            println!("skipped: no file system can be mounted here: {said}");
            return;
        }
        assert_eq!(ended.status.code(), Some(0), "{size_kib} KiB: {said}");
        assert!(results(&result) == reference, "{size_kib} KiB: another result");
        assert!(!said.contains(".tmp\n"), "{size_kib} KiB: a temporary file was left: {said}");
        if said.contains("ended with 5") {
            ended_full += 1;
            let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error")).collect();
            assert!(errors.len() == 1 && errors[0].contains("bytes are free"), "{size_kib} KiB: {said}");
        }
    }
    assert!(ended_full >= 3, "the disk was full {ended_full} times");
}

/// Every number of ranks and threads, with shots delayed at random, in the order and in the opposite one.
fn assert_neutral(layouts: impl Iterator<Item = (usize, usize)>) {
    let case = case();
    let reference = reference(&case);
    for (ranks, threads) in layouts {
        let layout = layout(ranks, threads);
        for order in ["", ";shots.order=return"] {
            let points = format!("shot.begin=60%sleep(15);message.report=20%sleep(10){order}");
            let ended = invert(&case, layout, "delayed", &[("FAILPOINTS", points)]);
            assert_eq!(ended.status.code(), Some(0), "{layout:?}: {}", errors(&ended));
            assert!(results(&case.path("delayed")) == reference, "{layout:?}{order}: another result");
            fs::remove_dir_all(case.path("delayed")).expect("the folder can be removed");
        }
    }
}

#[test]
fn delays_and_the_order_of_shots_change_no_bit() {
    assert_neutral([(1, 2), (2, 1), (3, 2), (5, 1)].into_iter());
}

#[test]
#[ignore = "some minutes"]
fn delays_and_the_order_of_shots_change_no_bit_on_any_layout() {
    let threads = |ranks| [1, 2, 3].map(|threads| (ranks, threads));
    assert_neutral([1, 2, 3, 5, 8].into_iter().flat_map(threads));
}

#[test]
fn saving_nothing_or_everything_changes_no_bit() {
    let case = case();
    let reference = reference(&case);
    // Neither states nor sums, sums once a minute, after every shot.
    for (points, every) in [("iteration.save=return", "86400"), ("", "60"), ("", "0")] {
        let every = format!("output.ledger_every_s={every}");
        let mut command = case.command(Path::new(PROGRAM), ONE, "invert", "saved", &["--set", &every]);
        let ended = command.env("FAILPOINTS", points).output().expect("the program starts");
        assert_eq!(ended.status.code(), Some(0), "{points} {every}: {}", errors(&ended));
        assert_eq!(case.path("saved/restart/a.rst").exists(), points.is_empty(), "{points} {every}");
        assert!(results(&case.path("saved")) == reference, "{points} {every}: another result");
        fs::remove_dir_all(case.path("saved")).expect("the folder can be removed");
    }
}
