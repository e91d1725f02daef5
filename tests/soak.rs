//! A thousand iterations: memory and open files stay as they are, and a run that is killed every few seconds leaves nothing
//! behind.

mod common;

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use common::{Case, Job, Killer, bits, errors, layout, ranks_of, results};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use treewave_storage::RunEntry;

/// Two short shots on a very small model. One past step shapes the next, so that the minimum is a long way off.
const CASE: &str = r#"
schema = 1
[run]
name = "case"
[model]
true  = { builtin = "foldbelt", shape = [15, 11], spacing_m = 100.0 }
start = { builtin = "foldbelt", shape = [15, 11], spacing_m = 100.0, smooth_m = 300.0, keep_water = true }
[physics]
equation = "acoustic"
space_order = 4
precision = "f64"
[boundary]
width_cells = 4
[time]
duration_s = 0.8
record_s = 0.008
[survey]
sources   = { x_m = [400, 1000], z_m = 100 }
receivers = { x_m = { start = 0, stop = 1400, step = 200 }, z_m = 200 }
[wavelet]
peak_frequency_hz = 3.0
[data]
synthetic = true
[optimizer]
memory = 1
bounds = { vp_m_per_s = [1400.0, 5000.0] }
iterations = 1000
"#;
const ITERATIONS: usize = 1000;
/// From this iteration of a process on, its memory is that of all later ones.
const SETTLED: u64 = 50;
/// What an iteration takes in the history of the run, of which every one is kept in memory: velocities and gradient, two
/// shots, what the allocator adds to three arrays; a list that grows has room for up to twice what is in it.
const BYTES_PER_ITERATION: u64 = 8 * (2 * 15 * 11 + 2) + 3 * 16 + 2 * size_of::<RunEntry>() as u64;

/// What a process used at an iteration.
#[derive(Clone, Copy, Debug)]
struct Sample {
    iteration: u64,
    memory_bytes: u64,
    files: usize,
}

/// A look at a process; nothing if it is gone.
fn sample(process: u32, output: &Path) -> Option<Sample> {
    let text = fs::read_to_string(output.join("status.json")).ok()?;
    let iteration = serde_json::from_str::<serde_json::Value>(&text).ok()?["iteration"].as_u64()?;
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = memory.trim().strip_suffix(" kB")?.parse().ok()?;
    let files = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count();
    Some(Sample { iteration, memory_bytes: kilobytes * 1024, files })
}

/// Looks at one process of a run until a moment or the end.
fn watch(job: &mut Job, output: &Path, until: Instant) -> Vec<Sample> {
    let mut process = None;
    job.wait_for(|| {
        process = ranks_of(output).first().copied();
        process.is_some() || Instant::now() >= until
    });
    let mut samples = Vec::new();
    job.wait_for(|| {
        sleep(Duration::from_millis(20));
        samples.extend(process.and_then(|process| sample(process, output)));
        Instant::now() >= until
    });
    samples
}

/// The growth of memory in percent beyond what the iterations themselves take, and the open files (nine tenths of the samples
/// have as many or more) of the first and of the second half; of the samples after the process has settled.
fn growth(samples: &[Sample]) -> Option<(f64, usize, usize)> {
    let first = samples.first()?.iteration + SETTLED;
    let settled: Vec<&Sample> = samples.iter().filter(|sample| sample.iteration >= first).collect();
    let tenth = (settled.len() / 10).max(1);
    // Arrays come and go within an iteration: the most of a tenth of all samples is compared.
    let most = |part: &[&Sample]| part.iter().map(|sample| sample.memory_bytes).max();
    let (before, after) = (most(&settled[..tenth.min(settled.len())])?, most(&settled[settled.len() - tenth..])?);
    let iterations = settled.last()?.iteration - settled.first()?.iteration;
    let grown = after as f64 - before as f64 - (iterations * BYTES_PER_ITERATION) as f64;
    // A file that is being written is open for a moment, as many as half of the samples may see it; at the very end many are
    // closed.
    let always = |part: &[&Sample]| {
        let mut files: Vec<usize> = part.iter().map(|sample| sample.files).collect();
        files.sort();
        files.get(files.len() / 10).copied()
    };
    let (first, second) = settled.split_at(settled.len() / 2);
    Some((100.0 * grown / before as f64, always(first)?, always(second)?))
}

#[test]
#[ignore = "a thousand iterations, with kills and without, take minutes"]
fn a_thousand_iterations_need_no_more_memory_or_files_and_kills_leave_nothing_behind() {
    let case = Case::new(CASE);
    // Quiet: what a thousand iterations say does not fit into a pipe.
    let never = Instant::now() + Duration::from_secs(24 * 3600);
    let mut job = case.start(layout(1, 1), "invert", "reference", &["--quiet"]).within(Duration::from_secs(1500));
    let samples = watch(&mut job, &case.path("reference"), never);
    let ended = job.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", errors(&ended));
    let last = samples.last().expect("the run was looked at");
    let (percent, files_before, files_after) = growth(&samples).expect("the run was long enough");
    println!(
        "without kills: {} samples, {} MB at first, {} MB at iteration {}, {percent:.2} % more than its iterations take, \
         {files_before} and {files_after} open files",
        samples.len(),
        samples[0].memory_bytes >> 20,
        last.memory_bytes >> 20,
        last.iteration
    );
    let made = bits(&case.path("reference/run.h5"), "misfit").len() - 1;
    assert_eq!(made, ITERATIONS, "the run ended early");
    assert!(percent < 1.0, "memory grew by {percent:.2} %");
    assert_eq!(files_before, files_after, "open files");

    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is set").as_micros() as u64;
    println!("seed {seed}");
    let (mut random, mut killer, mut kills) = (Pcg64::seed_from_u64(seed), Killer::new(), 0);
    let output = case.path("killed");
    // The most memory and files of each process of one rank.
    let mut processes: Vec<(u64, usize)> = Vec::new();
    loop {
        let until = Instant::now() + Duration::from_secs_f64(random.random_range(2.0..6.0));
        let ranks = 1 + usize::from(kills % 4 == 3);
        let mut job = case.start(layout(ranks, 1), "invert", "killed", &["--quiet", "--set=output.ledger_every_s=0"]);
        let samples = watch(&mut job, &output, until);
        killer.kill(&ranks_of(&output));
        let ended = job.finish();
        if ranks == 1
            && let Some(memory) = samples.iter().map(|sample| sample.memory_bytes).max()
        {
            processes.push((memory, samples.iter().map(|sample| sample.files).max().unwrap_or(0)));
        }
        assert_eq!(ranks_of(&output), Vec::<u32>::new(), "a rank outlives its run");
        assert!(case.scratch_is_empty(), "something is left in the scratch directory");
        if ended.status.code() == Some(0) {
            break;
        }
        assert_eq!(ended.status.code().filter(|code| matches!(code, 2..=5 | 101)), None, "{}", errors(&ended));
        kills += 1;
    }
    let files = processes.iter().map(|(_, files)| *files);
    println!(
        "with {kills} kills: {} MB in the first process, {} MB in the last, most open files of a process {:?} to {:?}",
        processes.first().map_or(0, |(memory, _)| memory >> 20),
        processes.last().map_or(0, |(memory, _)| memory >> 20),
        files.clone().min(),
        files.max()
    );
    assert!(results(&case.path("killed")) == results(&case.path("reference")), "another result than without kills");
    let left = fs::read_dir(&output).expect("the folder can be listed").flatten().map(|entry| entry.file_name());
    let mut left: Vec<String> = left.map(|name| name.to_string_lossy().into_owned()).collect();
    left.sort();
    assert_eq!(left, ["observed.h5", "observed.sha256", "restart", "run.h5", "run.lock", "status.json"]);
}
