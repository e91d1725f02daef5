//! How a job ends when one of its ranks does, or is asked to stop: all processes gone, the code, the reason told once,
//! nothing left behind.
//!
//! Ranks break from outside: signals, and the faults of `common/faults.c`. The variable MPIRUN names the launcher of the
//! MPI that this build has; `scripts/test-mpich` runs all this with MPICH. With TREEWAVE_TEST_RANKS more ranks, threads and
//! signals are tried.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Case, Job, Layout, PROGRAM, errors, ranks_or_skipped, send};

/// Twelve shots of about a second, with snapshots on disk.
const CASE: &str = r#"
schema = 1
[run]
name = "case"
[model]
true  = { builtin = "foldbelt", shape = [101, 71], spacing_m = 40.0 }
start = { builtin = "foldbelt", shape = [101, 71], spacing_m = 40.0, smooth_m = 200.0, keep_water = true }
[physics]
equation = "acoustic"
[boundary]
width_cells = 10
[time]
duration_s = 8.0
record_s = 0.004
[survey]
sources   = { x_m = { start = 400, stop = 3600, count = 12 }, z_m = 40 }
receivers = { x_m = { start = 0, stop = 4000, step = 80 }, z_m = 80 }
[wavelet]
kind = "ricker"
peak_frequency_hz = 4.0
[data]
observed = "observed.h5"
[reversal]
strategy = "two-level"
memory = "2 MiB"
disk = "64 MiB"
[output]
ledger_every_s = 0
[optimizer]
bounds = { vp_m_per_s = [1400.0, 5000.0] }
iterations = 3
"#;

const THREE: Layout = Layout { ranks: 3, threads: 1 };
/// Two shots of minutes each to be modelled, and none for the third rank.
const LONG: [&str; 3] = ["--set=inversion.shots=[0,1]", "--set=time.duration_s=800", "--set=data={synthetic=true}"];
/// All of a job are gone this long after one of its ranks.
const GONE_WITHIN: Duration = Duration::from_secs(30);
/// A stop takes no longer than this.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);
/// Jobs run one at a time, so that their times mean something.
static MACHINE: Mutex<()> = Mutex::new(());

/// The case with observed data, which are computed once.
fn case() -> Case {
    static DATA: OnceLock<Vec<u8>> = OnceLock::new();
    let case = Case::new(CASE);
    let data = DATA.get_or_init(|| fs::read(simulated(&case)).expect("the data can be read"));
    fs::write(case.path("observed.h5"), data).expect("the folder can be written");
    case
}

fn simulated(case: &Case) -> PathBuf {
    let data = case.path("observed.h5");
    let words = ["--set", "data={synthetic=true}", "--model", "true", "-o", data.to_str().unwrap()];
    case.succeed(Layout { ranks: 1, threads: 2 }, "simulate", "data", &words);
    data
}

/// Whether the launcher is that of MPICH or of one of its descendants.
fn is_mpich() -> bool {
    let launcher = std::env::var("MPIRUN").unwrap_or_else(|_| "mpirun".into());
    let said = Command::new(launcher).arg("--version").output().expect("a test of ranks has a launcher");
    String::from_utf8_lossy(&said.stdout).contains("HYDRA")
}

/// The exit code of a job with a process that was killed, and how the launcher tells it.
fn killed() -> (i32, &'static str) {
    if is_mpich() { (9, "Killed (signal 9)") } else { (128 + 9, "exited on signal 9") }
}

/// The library of faults; says so if there is no C compiler.
fn faults() -> Option<PathBuf> {
    static LIBRARY: OnceLock<(tempfile::TempDir, bool)> = OnceLock::new();
    let (folder, made) = LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/faults.c");
        let words = ["-shared", "-fPIC", "-O1", source, "-ldl", "-o"];
        let made = Command::new("cc").args(words).arg(folder.path().join("faults.so")).status();
        (folder, made.is_ok_and(|status| status.success()))
    });
    if !made {
        println!("skipped: no C compiler for the faults");
    }
    made.then(|| folder.path().join("faults.so"))
}

/// The processes that have the scratch directory of a case as theirs: ranks, launchers, daemons.
fn processes(case: &Case) -> Vec<u32> {
    let variable = format!("TMPDIR={}", case.scratch().display()).into_bytes();
    let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // A process that has ended and is not yet waited for has no environment.
    ids.filter(|id| {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|entry| entry == variable)
    })
    .collect()
}

/// Which rank a process is, as the launcher numbers it.
fn rank_of(id: u32) -> Option<usize> {
    let environment = fs::read(format!("/proc/{id}/environ")).ok()?;
    let mut entries = environment.split(|&byte| byte == 0).filter_map(|entry| std::str::from_utf8(entry).ok());
    let names = ["OMPI_COMM_WORLD_RANK=", "PMI_RANK="];
    entries.find_map(|entry| names.iter().find_map(|name| entry.strip_prefix(name)))?.parse().ok()
}

/// The processes of the ranks, in their order.
fn ranks(job: &Job) -> Vec<u32> {
    let mut ranks = job.ranks();
    ranks.sort_by_key(|&id| rank_of(id));
    ranks
}

/// How a job ended: what it said and left, and the time from the fault or the signal until all its processes were gone.
struct Ended {
    output: Output,
    took: Duration,
}

impl Ended {
    fn wait(case: &Case, job: Job, since: Instant) -> Ended {
        let output = job.finish();
        while !processes(case).is_empty() {
            assert!(since.elapsed() < 2 * GONE_WITHIN, "processes are left: {:?}", processes(case));
            sleep(Duration::from_millis(5));
        }
        let ended = Ended { output, took: since.elapsed() };
        assert!(case.scratch_is_empty(), "the scratch directory is not empty: {}", errors(&ended.output));
        ended
    }

    /// With this code, in time, the reason in one line.
    fn assert(&self, what: &str, code: i32, reason: &str, within: Duration) {
        // MPICH tells on standard output what it has to say itself.
        let said = errors(&self.output) + &String::from_utf8_lossy(&self.output.stdout);
        println!("{what}: all gone after {:.2} s, code {:?}", self.took.as_secs_f64(), self.output.status.code());
        assert_eq!(self.output.status.code(), Some(code), "{what}: {said}");
        assert_eq!(said.lines().filter(|line| line.contains(reason)).count(), 1, "{what}: {said}");
        assert!(self.took < within, "{what}: {:?}", self.took);
    }
}

/// Whether a rank has kept a shot of the gradient: all are in the middle of it.
fn in_a_gradient(output: &Path) -> bool {
    let list = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = list(&output.join("restart/ledger")).flat_map(|evaluation| list(&evaluation));
    files.into_iter().any(|path| path.extension().is_some_and(|extension| extension == "sum"))
}

/// All of these where the variable TREEWAVE_TEST_RANKS is set, the first ones where time is short.
fn some<T, const N: usize>(all: [T; N], few: usize) -> impl Iterator<Item = T> {
    let count = if std::env::var_os("TREEWAVE_TEST_RANKS").is_some() { N } else { few };
    all.into_iter().take(count)
}

/// Starts an inversion on three ranks and waits until it is in its gradient.
fn start(case: &Case, layout: Layout, output: &str, environment: &[(&str, &str)], words: &[&str]) -> Job {
    let _ = fs::remove_dir_all(case.path(output));
    let mut command = case.command(Path::new(PROGRAM), layout, "invert", output, words);
    let mut job = Job::of(command.envs(environment.iter().copied()), case.path(output));
    let folder = case.path(output);
    let long = words.iter().any(|word| LONG.contains(word));
    let lock = folder.join("run.lock");
    if !job.wait_for(|| if long { lock.exists() } else { in_a_gradient(&folder) }) {
        panic!("the run ended by itself: {}", errors(&job.finish()));
    }
    if long {
        // Into the middle of a shot.
        let begun = Instant::now();
        job.wait_for(|| begun.elapsed() > Duration::from_millis(1500));
    }
    job
}

/// Has one rank of a gradient meet a fault in one of its threads.
fn break_thread(case: &Case, rank: usize, thread: &str, kind: &str, words: &[&str]) -> Option<Ended> {
    let library = faults()?;
    let when = case.path("now");
    let _ = fs::remove_file(&when);
    let rank = rank.to_string();
    let environment = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAULT_RANK", &rank),
        ("FAULT_THREAD", thread),
        ("FAULT_KIND", kind),
        ("FAULT_WHEN", when.to_str().unwrap()),
    ];
    let job = start(case, THREE, "broken", &environment, words);
    fs::write(&when, "").expect("the folder can be written");
    Some(Ended::wait(case, job, Instant::now()))
}

#[test]
fn a_killed_rank_ends_all() {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    if !ranks_or_skipped() {
        return;
    }
    let case = case();
    let (code, reason) = killed();
    for rank in some([2, 0], 1) {
        let job = start(&case, THREE, "killed", &[], &[]);
        let since = Instant::now();
        send("KILL", ranks(&job)[rank]);
        Ended::wait(&case, job, since).assert(&format!("rank {rank} killed"), code, reason, GONE_WITHIN);
    }
}

#[test]
fn a_panic_in_any_thread_of_one_rank_ends_all() {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    if !ranks_or_skipped() {
        return;
    }
    let case = case();
    // The threads of the stencils, of MPI, of the shots, of the clock.
    let threads = [
        (2, "stencil-0", "clock", &[][..]),
        (0, "treewave", "clock", &[]),
        (1, "shots", "clock", &[]),
        (1, "deadline", "sleep", &["--max-time", "1h"]),
    ];
    for (rank, thread, kind, words) in some(threads, 2) {
        let Some(ended) = break_thread(&case, rank, thread, kind, words) else { return };
        let what = format!("panic of {thread} on rank {rank}");
        ended.assert(&what, 101, &format!("a bug met on rank {rank} of 3"), GONE_WITHIN);
        let said = errors(&ended.output);
        let named = if thread == "treewave" { "main" } else { thread };
        assert_eq!(said.matches("panicked at").count(), 1, "{what}: {said}");
        assert!(said.contains(&format!("thread '{named}'")), "{what}: {said}");
    }
}

#[test]
fn an_error_on_one_rank_ends_all() {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    if !ranks_or_skipped() {
        return;
    }
    let case = case();
    for rank in some([1, 0], 1) {
        let Some(ended) = break_thread(&case, rank, "spill", "write", &[]) else { return };
        let what = format!("scratch disk of rank {rank} broken");
        ended.assert(&what, 5, &format!("error on rank {rank}: "), GONE_WITHIN);
        let said = errors(&ended.output);
        assert_eq!(said.lines().filter(|line| line.starts_with("error")).count(), 1, "{what}: {said}");
        assert!(said.contains(case.scratch().to_str().unwrap()), "{what}: {said}");
    }
}

#[test]
fn a_shot_that_is_bad_on_one_rank_ends_all() {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    if !ranks_or_skipped() {
        return;
    }
    let case = case();
    // What is read comes back as no numbers, to whichever thread reads it: snapshots, or the data of the next shot.
    let Some(ended) = break_thread(&case, 1, "", "read", &[]) else { return };
    let said = errors(&ended.output);
    let code = if said.contains("every value must be finite") { 3 } else { 4 };
    ended.assert("a shot of no numbers on rank 1", code, "error on rank 1: shot ", GONE_WITHIN);
    assert_eq!(said.lines().filter(|line| line.starts_with("error")).count(), 1, "{said}");
}

/// Whom a signal goes to.
#[derive(Clone, Copy, Debug)]
enum To {
    /// `scripts/mpirun`.
    Script,
    /// The launcher itself.
    Launcher,
    /// One of the ranks.
    Rank(usize),
}

impl To {
    fn process(self, job: &Job) -> u32 {
        match self {
            To::Script => job.id(),
            To::Launcher => {
                let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", job.id())).unwrap_or_default();
                children.split_whitespace().next().and_then(|id| id.parse().ok()).expect("the script has a launcher")
            }
            To::Rank(rank) => ranks(job)[rank],
        }
    }
}

#[test]
fn a_stop_asked_of_any_process_is_met_in_the_middle_of_a_shot() {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    if !ranks_or_skipped() {
        return;
    }
    let case = Case::new(CASE);
    let asked = [
        (To::Rank(1), "TERM"),
        (To::Script, "INT"),
        (To::Launcher, "USR1"),
        (To::Rank(2), "USR1"),
        (To::Rank(0), "INT"),
        (To::Script, "TERM"),
    ];
    for (to, signal) in some(asked, 2) {
        let job = start(&case, THREE, "stopped", &[], &LONG);
        let since = Instant::now();
        send(signal, to.process(&job));
        let ended = Ended::wait(&case, job, since);
        let told = "stopped on request; run the same command again to go on";
        ended.assert(&format!("{signal} to {to:?}"), 75, told, STOPPED_WITHIN);
    }
}

#[test]
fn a_second_signal_ends_all_at_once() {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    if !ranks_or_skipped() {
        return;
    }
    let case = Case::new(CASE);
    for (to, signal) in some([(To::Rank(1), "TERM"), (To::Script, "TERM"), (To::Launcher, "USR1")], 2) {
        let job = start(&case, THREE, "ended", &[], &LONG);
        let process = to.process(&job);
        send(signal, process);
        sleep(Duration::from_millis(50));
        let since = Instant::now();
        send(signal, process);
        let ended = Ended::wait(&case, job, since);
        let code = ended.output.status.code();
        println!("{signal} twice to {to:?}: all gone after {:.2} s, code {code:?}", ended.took.as_secs_f64());
        assert!(!matches!(code, Some(0 | 75)), "{signal} twice to {to:?}: {}", errors(&ended.output));
        assert!(ended.took < Duration::from_secs(5), "{signal} twice to {to:?}: {:?}", ended.took);
    }
}

#[test]
fn ranks_started_by_another_mpi_are_refused_once_and_write_nothing() {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    if !ranks_or_skipped() {
        return;
    }
    let other = if is_mpich() { "mpirun.openmpi" } else { "mpirun.mpich" };
    if Command::new(other).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("skipped: the launcher {other} is absent");
        return;
    }
    let case = Case::new(CASE);
    let since = Instant::now();
    let mut command = case.command(Path::new(PROGRAM), THREE, "invert", "refused", &[]);
    let job = Job::of(command.env("MPIRUN", other), case.path("refused"));
    Ended::wait(&case, job, since).assert(other, 5, "error: the launcher started 3 processes", GONE_WITHIN);
    assert!(!case.path("refused").exists(), "the output directory was written");
}

/// Open MPI's launcher has been seen to hang in its own end after a rank was killed.
#[test]
fn a_launcher_that_hangs_when_its_ranks_are_dead_is_ended() {
    let case = Case::new(CASE);
    let launcher = case.path("launcher");
    fs::write(&launcher, "#!/bin/sh\n(exit 3) &\nexec sleep 600\n").expect("the file can be written");
    fs::set_permissions(&launcher, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    let since = Instant::now();
    let mut command = case.command(Path::new(PROGRAM), THREE, "invert", "hung", &[]);
    let ended = Job::of(command.env("MPIRUN", &launcher), case.path("hung")).finish();
    assert_eq!(ended.status.code(), Some(137), "{}", errors(&ended));
    assert!(errors(&ended).contains("hangs although its ranks have ended"), "{}", errors(&ended));
    assert!(since.elapsed() < GONE_WITHIN, "it took {:?}", since.elapsed());
}
