//! An inversion ends with the same bits wherever it ran, and however often it was stopped or killed on its way.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant, SystemTime};

use common::{Case, Job, Layout, errors, layout, ranks_or_skipped, section, send};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use treewave_storage::{RunRecord, read_run};

/// Two stages of three iterations, three shots of 400 steps.
const REST: &str = r#"[reversal]
strategy = "two-level"
memory = "1 MiB"
disk = "64 MiB"
[optimizer]
bounds = { vp_m_per_s = [1400.0, 5000.0] }
[precondition]
water_bottom_m = 120.0
[[stage]]
lowpass_hz = 3.0
iterations = 3
[[stage]]
iterations = 3
"#;

fn case() -> Case {
    Case::new(&section(3, 1.6, REST))
}

const STORE_ALL: [&str; 4] = ["--set", "reversal.strategy=store-all", "--set", "reversal.memory=64 MiB"];
const REVOLVE: [&str; 4] = ["--set", "reversal.strategy=revolve", "--set", "reversal.snapshots=6"];
const TREEVERSE: [&str; 4] = ["--set", "reversal.strategy=treeverse", "--set", "reversal.snapshots=8"];
/// What the first processes of a stopped run are asked for: less than the last one.
const FEWER: [&str; 2] = ["--set", "stage.1.iterations=2"];

fn run_of(case: &Case, output: &str) -> RunRecord {
    read_run(&case.path(output).join("run.h5")).expect("the run file can be read")
}

/// Accepted iterations of a run so far, from its status.
fn iterations(output: &Path) -> Option<u64> {
    let text = fs::read_to_string(output.join("status.json")).ok()?;
    serde_json::from_str::<serde_json::Value>(&text).ok()?["iteration"].as_u64()
}

/// All that a run holds is the same, to the bit, but for the clock and the keys that may differ.
fn assert_same_run(case: &Case, output: &str, reference: &str) {
    let (run, expected) = (run_of(case, output), run_of(case, reference));
    assert_eq!(run.entries.len(), expected.entries.len(), "{output}: number of iterations");
    for (i, (entry, expected)) in run.entries.iter().zip(&expected.entries).enumerate() {
        let text = |entry: &treewave_storage::RunEntry| {
            // The shortest text of a number that is read back as that number tells all bits apart.
            let histories = treewave_storage::RunEntry { vp: vec![], gradient: vec![], wall_s: 0.0, ..entry.clone() };
            format!("{histories:?}")
        };
        assert_eq!(text(entry), text(expected), "{output}: histories at iteration {i}");
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert!(bits(&entry.vp) == bits(&expected.vp), "{output}: the model differs at iteration {i}");
        assert!(bits(&entry.gradient) == bits(&expected.gradient), "{output}: the gradient differs at iteration {i}");
    }
    assert!(run.entries.windows(2).all(|pair| pair[0].wall_s <= pair[1].wall_s), "{output}: wall_s runs backwards");
    assert_eq!((run.grid, run.vp_start, run.vp_true), (expected.grid, expected.vp_start, expected.vp_true));
}

/// The run that all others are compared with.
fn reference(case: &Case) {
    case.succeed(Layout { ranks: 1, threads: 2 }, "invert", "reference", &[]);
    let run = run_of(case, "reference");
    assert_eq!(run.entries.len(), 7);
    assert!(run.entries[6].misfit < run.entries[4].misfit, "the inversion does not invert");
}

/// A source of moments; its seed is printed, so that a failure can be looked into.
fn moments() -> Pcg64 {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is set").as_micros() as u64;
    println!("seed {seed}");
    Pcg64::seed_from_u64(seed)
}

/// Starts an inversion that will be stopped. The status of the process before it goes, so that a status tells that this
/// one has begun.
fn go_on(case: &Case, layout: Layout, output: &str, words: &[&str]) -> Job {
    let _ = fs::remove_file(case.path(output).join("status.json"));
    case.start(layout, "invert", output, words)
}

/// Waits until the run has made some iterations, and a part of the next: `mean` is what one takes. Where the next comes
/// sooner than that, its end is the moment: the run is not to reach its own.
fn wait_into(mut job: Job, output: PathBuf, iteration: u64, mean: Duration, moments: &mut Pcg64) -> Job {
    let come = job.wait_for(|| iterations(&output).is_some_and(|made| made >= iteration));
    if !come {
        panic!("the run ended before iteration {iteration}: {}", errors(&job.finish()));
    }
    let moment = Instant::now() + mean.mul_f64(moments.random_range(0.0..0.8));
    job.wait_for(|| Instant::now() >= moment || iterations(&output).is_some_and(|made| made > iteration));
    job
}

/// The iteration after which a process went on, as it says; 0 if it began anew.
fn went_on_after(ended: &Output) -> u64 {
    let errors = errors(ended);
    let mut said = errors.lines().filter_map(|line| line.strip_prefix("going on after iteration ")?.parse().ok());
    said.next().unwrap_or(0)
}

/// Mean seconds of an iteration of the reference.
fn mean_iteration(case: &Case) -> Duration {
    let run = run_of(case, "reference");
    Duration::from_secs_f64(run.entries[6].wall_s / 7.0)
}

#[test]
fn an_inversion_has_the_same_bits_on_any_layout_with_any_strategy() {
    let case = case();
    reference(&case);
    case.succeed(Layout { ranks: 1, threads: 1 }, "invert", "revolve", &REVOLVE);
    assert_same_run(&case, "revolve", "reference");
    if ranks_or_skipped() {
        case.succeed(Layout { ranks: 3, threads: 1 }, "invert", "ranks", &[]);
        assert_same_run(&case, "ranks", "reference");
    }
}

/// One process of a run that is stopped several times.
struct Leg {
    layout: Layout,
    words: Vec<&'static str>,
    /// Stopped within the iteration after this one.
    after: u64,
    signal: &'static str,
    /// Whether the signal goes to what was started, which may be the launcher, or to one of the ranks.
    to_the_first: bool,
}

#[test]
fn a_run_stopped_at_random_times_goes_on_elsewhere_to_the_same_bits() {
    let case = case();
    reference(&case);
    let (mean, mut moments) = (mean_iteration(&case), moments());
    let leg = |layout, words: &[&'static str], after, signal, to_the_first| {
        let words = words.iter().chain(&FEWER).copied().collect();
        Leg { layout, words, after, signal, to_the_first }
    };
    let legs = [
        leg(layout(1, 2), &[], 0, "TERM", true),
        leg(layout(3, 1), &STORE_ALL, 1, "USR1", false),
        leg(layout(2, 1), &REVOLVE, 2, "TERM", true),
        leg(layout(1, 1), &TREEVERSE, 3, "USR1", true),
    ];
    for leg in legs {
        let job = go_on(&case, leg.layout, "stopped", &leg.words);
        let job = wait_into(job, case.path("stopped"), leg.after, mean, &mut moments);
        let ranks = job.ranks();
        assert_eq!(ranks.len(), leg.layout.ranks, "processes that compute");
        let target = if leg.to_the_first { job.id() } else { ranks[moments.random_range(0..ranks.len())] };
        send(leg.signal, target);
        let ended = job.finish();
        assert_eq!(ended.status.code(), Some(75), "{} on {:?}: {}", leg.signal, leg.layout, errors(&ended));
        assert!(case.scratch_is_empty());
    }
    assert!(run_of(&case, "stopped").entries.len() < 6, "nothing was left to be done after the stops");
    // The last process is asked for more iterations than those before it.
    let ended = case.succeed(layout(3, 1), "invert", "stopped", &[]);
    assert!(went_on_after(&ended) >= 3, "{}", errors(&ended));
    assert_same_run(&case, "stopped", "reference");
}

#[test]
fn a_killed_run_goes_on_to_the_same_bits() {
    let case = case();
    reference(&case);
    let (mean, mut moments) = (mean_iteration(&case), moments());
    for (after, layout) in [(1, layout(1, 2)), (2, layout(3, 1)), (4, layout(1, 1))] {
        let job = go_on(&case, layout, "killed", &[]);
        let job = wait_into(job, case.path("killed"), after, mean, &mut moments);
        let ranks = job.ranks();
        send("KILL", ranks[moments.random_range(0..ranks.len())]);
        assert_ne!(job.finish().status.code(), Some(0), "the run on {layout:?} was not killed");
        assert!(case.scratch_is_empty(), "a killed run left a file in the scratch directory");
        // What was published is whole.
        assert!(run_of(&case, "killed").entries.len() as u64 > after);
    }
    let ended = case.succeed(layout(2, 1), "invert", "killed", &REVOLVE);
    assert!(went_on_after(&ended) >= 4, "{}", errors(&ended));
    assert_same_run(&case, "killed", "reference");
}

/// Names, sizes and times of all files below a folder.
fn listing(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the folder can be listed").path();
        let meta = fs::metadata(&path).expect("the file is there");
        if meta.is_dir() {
            files.extend(listing(&path));
        }
        files.insert(path, (meta.len(), meta.modified().expect("files have times")));
    }
    files
}

#[test]
fn a_run_goes_on_after_its_end_but_not_as_another_one() {
    let case = case();
    reference(&case);
    let one = Layout { ranks: 1, threads: 2 };
    case.succeed(one, "invert", "first", &FEWER);
    let before = listing(&case.path("first"));
    let others = [
        ("physics.space_order", "physics.space_order=4"),
        ("physics.precision", "physics.precision=f64"),
        ("time.duration_s", "time.duration_s=1.2"),
        ("boundary.top", "boundary.top=free-surface"),
        ("wavelet.peak_frequency_hz", "wavelet.peak_frequency_hz=5.0"),
        ("stage.1.smooth_m", "stage.1.smooth_m=50.0"),
        ("model.start.smooth_m", "model.start.smooth_m=240.0"),
        // In another arithmetic.
        ("reversal.strategy", "reversal.strategy=inversion"),
    ];
    for (i, (key, change)) in others.into_iter().enumerate() {
        let layout = if i == 0 { layout(2, 1) } else { one };
        let refused = case.run(layout, "invert", "first", &["--set", change]);
        let errors = errors(&refused);
        assert_eq!(refused.status.code(), Some(2), "{change}: {errors}");
        assert_eq!(errors.matches(key).count(), 1, "{change}: {errors}");
        assert_eq!(listing(&case.path("first")), before, "{change}: the refused run touched files");
    }
    // More iterations, another strategy and layout, and the directory somewhere else.
    fs::rename(case.path("first"), case.path("moved")).expect("a directory can be renamed");
    case.succeed(layout(3, 1), "invert", "moved", &STORE_ALL);
    assert_same_run(&case, "moved", "reference");
}
