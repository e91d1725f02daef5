//! A run that is killed again and again, wherever that hits it, goes on by the same command and ends with the bits of one
//! that was left alone.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use common::{Case, Job, Killer, errors, layout, ranks_of, results, section};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Two stages of three iterations, four shots of 400 steps.
const REST: &str = r#"[reversal]
memory = "2 MiB"
scratch = "$TMPDIR"
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

/// What may change from process to process: what is kept within a gradient, and where snapshots are.
const HOW: [&[&str]; 4] = [
    &[],
    &["--set=output.ledger_every_s=0"],
    &["--set=reversal.strategy=two-level", "--set=reversal.memory=1 MiB", "--set=reversal.disk=64 MiB"],
    &[
        "--set=output.ledger_every_s=0",
        "--set=reversal.strategy=two-level",
        "--set=reversal.memory=1 MiB",
        "--set=reversal.disk=64 MiB",
    ],
];
/// When a process is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So many seconds after its first rank is there.
    After(f64),
    /// While a file is written: the first one so many seconds after the first rank is there.
    Writing(f64),
}

/// What a kill hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hit {
    Start,
    Resume,
    Gradient,
    Write,
    /// Does not count.
    AfterTheEnd,
}

/// Files under temporary names in an output directory that are younger than a moment.
fn being_written(output: &Path, since: SystemTime) -> Vec<PathBuf> {
    let list = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut folders = vec![output.to_path_buf(), output.join("restart")];
    folders.extend(list(&output.join("restart/ledger")));
    let files = folders.iter().flat_map(|folder| list(folder));
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "tmp"));
    files.filter(|path| fs::metadata(path).and_then(|meta| meta.modified()).is_ok_and(|time| time >= since)).collect()
}

/// The iteration of the newest restart file, and the last of the run file; -1 without one.
fn saved_and_published(output: &Path) -> (i64, i64) {
    let restart = treewave_storage::load_restart(&output.join("restart")).expect("one generation is whole");
    let saved = restart.map_or(-1, |restart| {
        let text: serde_json::Value = serde_json::from_str(&restart.text).expect("it is JSON");
        text["iteration"].as_i64().expect("a number")
    });
    let run = output.join("run.h5");
    let published = || common::bits(&run, "misfit").len() as i64 - 1;
    (saved, if run.exists() { published() } else { -1 })
}

/// A run, killed a number of times.
struct Killed<'a> {
    case: &'a Case,
    output: String,
    random: &'a mut Pcg64,
    killer: Killer,
    /// What an iteration takes, and what a process needs to begin.
    seconds: f64,
    hits: BTreeMap<Hit, usize>,
}

impl Killed<'_> {
    /// Waits for the moment to kill; false if the run ends before.
    fn wait_for(&self, job: &mut Job, moment: Moment, begun: SystemTime) -> bool {
        let output = self.case.path(&self.output);
        if !job.wait_for(|| !ranks_of(&output).is_empty()) {
            return false;
        }
        let (Moment::After(seconds) | Moment::Writing(seconds)) = moment;
        let time = Instant::now() + Duration::from_secs_f64(seconds);
        job.wait_for(|| Instant::now() >= time)
            && match moment {
                Moment::After(_) => true,
                Moment::Writing(_) => {
                    let until = Instant::now() + Duration::from_secs(2);
                    while being_written(&output, begun).is_empty() && Instant::now() < until {
                        sleep(Duration::from_micros(100));
                    }
                    true
                }
            }
    }

    /// Starts a process, kills one rank of it or all, and finds out what that hit; true if the run has come to its end.
    fn one_more(&mut self) -> bool {
        let layouts = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)];
        let (ranks, threads) = layouts[self.random.random_range(0..layouts.len())];
        let layout = layout(ranks, threads);
        let how = HOW[self.random.random_range(0..HOW.len())];
        let moment = match self.random.random_range(0..10) {
            0..6 => Moment::After(self.random.random_range(0.0..3.0) * self.seconds),
            6..8 => Moment::After(self.random.random_range(0.0..0.8) * self.seconds),
            _ => Moment::Writing(self.random.random_range(0.0..3.0) * self.seconds),
        };
        let all = self.random.random_bool(0.5);
        let output = self.case.path(&self.output);
        let begun = SystemTime::now();
        let had_state = output.join("restart").exists();
        let mut job = self.case.start(layout, "invert", &self.output, how);
        let alive = self.wait_for(&mut job, moment, begun);
        let ranks = ranks_of(&output);
        if alive && !ranks.is_empty() {
            let one = self.random.random_range(0..ranks.len());
            self.killer.kill(if all { &ranks } else { &ranks[one..=one] });
        }
        let ended = job.finish();
        let said = errors(&ended);
        let described = format!("{layout:?} {how:?} {moment:?} all: {all}: {:?}\n{said}", ended.status);
        // Nobody clears up by hand: what a kill cannot end is a launcher that waits for its ranks.
        let until = Instant::now() + Duration::from_secs(10);
        while !ranks_of(&output).is_empty() {
            assert!(Instant::now() < until, "ranks outlive the run: {described}");
            sleep(Duration::from_millis(5));
        }
        assert!(self.case.scratch_is_empty(), "something is left in the scratch directory: {described}");
        let code = ended.status.code();
        assert!(!matches!(code, Some(2..=5 | 101)), "the run asks for a hand: {described}");
        let (saved, published) = saved_and_published(&output);
        let hit = if code == Some(0) || said.contains("done: ") {
            Hit::AfterTheEnd
        } else if !being_written(&output, begun).is_empty() || saved > published {
            Hit::Write
        } else if said.contains("stage ") {
            Hit::Gradient
        } else if had_state {
            Hit::Resume
        } else {
            Hit::Start
        };
        println!(
            "{hit:?} {layout:?} {moment:.2?} all: {all} {:.1?} {saved} {published}",
            begun.elapsed().unwrap_or_default()
        );
        *self.hits.entry(hit).or_default() += 1;
        code == Some(0)
    }
}

/// Kills at least so many times, three quarters of that inside a gradient, a write or a resume, in runs that are each compared with
/// the one that was left alone.
fn kill(times: usize) {
    let case = Case::new(&section(4, 1.6, REST));
    let began = Instant::now();
    case.succeed(layout(1, 2), "invert", "reference", &[]);
    // Of a machine that may have other things to do.
    let seconds = began.elapsed().as_secs_f64() / 9.0;
    let expected = results(&case.path("reference"));
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is set").as_micros() as u64;
    println!("seed {seed}");
    let (mut random, mut hits) = (Pcg64::seed_from_u64(seed), BTreeMap::new());
    type Hits = BTreeMap<Hit, usize>;
    let of = |hits: &Hits, kinds: &[Hit]| -> usize { kinds.iter().filter_map(|hit| hits.get(hit)).sum() };
    let inside = |hits: &Hits| of(hits, &[Hit::Resume, Hit::Gradient, Hit::Write]);
    let counted = |hits: &Hits| inside(hits) + of(hits, &[Hit::Start]);
    // Several kills in turn may hit the start, and how long that takes depends on the machine.
    let enough = |hits: &Hits| counted(hits) >= times && (inside(hits) * 4 >= times * 3 || counted(hits) >= times * 2);
    let mut runs = 0;
    while !enough(&hits) {
        let output = format!("killed{runs}");
        let killer = Killer::new();
        let mut run = Killed { case: &case, output: output.clone(), random: &mut random, killer, seconds, hits };
        let mut ended = false;
        while !ended && !enough(&run.hits) {
            ended = run.one_more();
        }
        hits = run.hits;
        case.succeed(layout(2, 1), "invert", &output, &[]);
        assert!(results(&case.path(&output)) == expected, "{output}: another result than without kills");
        assert_eq!(being_written(&case.path(&output), SystemTime::UNIX_EPOCH), Vec::<PathBuf>::new());
        assert!(!case.path(&output).join("restart/ledger").exists(), "{output}: a run that has ended needs no ledger");
        runs += 1;
    }
    println!("{} kills in {runs} runs: {hits:?}", counted(&hits));
    assert!(inside(&hits) * 4 >= times * 3, "too few kills hit a gradient, a write or a resume: {hits:?}");
}

#[test]
fn a_run_killed_anywhere_ends_with_the_bits_of_one_that_was_left_alone() {
    kill(12);
}

#[test]
#[ignore = "200 kills take minutes"]
fn two_hundred_kills_change_no_bit() {
    kill(200);
}
