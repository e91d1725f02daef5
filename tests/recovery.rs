//! Nothing is done twice and nothing is lost: what a rank has summed within a gradient, one process per directory, stops that
//! come in the middle of a shot, bad shots.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use common::{Case, Layout, errors, layout, results, send};
use treewave_storage::read_run;

/// Four shots of 400 steps, ten iterations.
const CASE: &str = r#"
schema = 1
[run]
name = "case"
[model]
true  = { builtin = "foldbelt", shape = [61, 41], spacing_m = 40.0 }
start = { builtin = "foldbelt", shape = [61, 41], spacing_m = 40.0, smooth_m = 200.0, keep_water = true }
[physics]
equation = "acoustic"
[boundary]
width_cells = 10
[time]
duration_s = 1.6
record_s = 0.004
[survey]
sources   = { x_m = { start = 400, stop = 2000, count = 4 }, z_m = 40 }
receivers = { x_m = { start = 0, stop = 2400, step = 80 }, z_m = 80 }
[wavelet]
kind = "ricker"
peak_frequency_hz = 4.0
[data]
synthetic = true
[reversal]
memory = "2 MiB"
[optimizer]
bounds = { vp_m_per_s = [1400.0, 5000.0] }
iterations = 10
[precondition]
water_bottom_m = 120.0
"#;

const ONE: Layout = Layout { ranks: 1, threads: 1 };
/// Keeps what is summed after every shot.
const EVERY_SHOT: [&str; 2] = ["--set", "output.ledger_every_s=0"];

/// What ranks have kept of evaluations.
fn kept(output: &Path) -> Vec<PathBuf> {
    let list = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let evaluations = list(&output.join("restart/ledger"));
    let files = evaluations.flat_map(|evaluation| list(&evaluation));
    files.filter(|path| path.extension().is_some_and(|extension| extension == "sum")).collect()
}

/// How many shots a run said to know from before, evaluation by evaluation.
fn known_shots(said: &str) -> Vec<usize> {
    let lines = said.lines().filter_map(|line| line.trim().split_once(" of 4 shots are known"));
    lines.map(|(count, _)| count.parse().expect("a number")).collect()
}

#[test]
fn a_killed_gradient_goes_on_with_the_shots_that_are_missing() {
    let case = Case::new(CASE);
    case.succeed(ONE, "invert", "reference", &[]);
    assert_eq!(kept(&case.path("reference")), Vec::<PathBuf>::new(), "a saved iteration needs no ledger");
    let mut known = 0;
    // In the first gradient, and in later ones; by other ranks and threads each time.
    for (layout, iterations) in [(ONE, 0), (layout(2, 1), 0), (layout(3, 1), 1), (Layout { ranks: 1, threads: 2 }, 3)] {
        let (output, begun) = (case.path("killed"), SystemTime::now());
        let mut job = case.start(layout, "invert", "killed", &EVERY_SHOT);
        let made = || {
            let text = fs::read_to_string(output.join("status.json")).unwrap_or_default();
            let status: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            status["iteration"].as_u64().unwrap_or(0)
        };
        // What an earlier process has kept does not count.
        let fresh = |path: &PathBuf| fs::metadata(path).and_then(|meta| meta.modified()).is_ok_and(|time| time > begun);
        let under_way = || made() >= iterations && kept(&output).iter().any(fresh);
        if !job.wait_for(under_way) {
            panic!("the run ended before it could be killed: {}", errors(&job.finish()));
        }
        job.ranks().into_iter().for_each(|rank| send("KILL", rank));
        let ended = job.finish();
        assert_ne!(ended.status.code(), Some(0), "the run was not killed");
        known += known_shots(&errors(&ended)).iter().sum::<usize>();
    }
    let ended = case.succeed(layout(2, 1), "invert", "killed", &EVERY_SHOT);
    known += known_shots(&errors(&ended)).iter().sum::<usize>();
    assert!(known >= 3, "{known} shots were known after four kills");
    assert!(results(&case, "killed") == results(&case, "reference"), "another result than without kills");
    assert_eq!(kept(&case.path("killed")), Vec::<PathBuf>::new());
}

#[test]
fn a_run_stopped_in_a_gradient_goes_on_to_the_same_bits() {
    let case = Case::new(CASE);
    // No shot is kept on the way: the default is a minute.
    let mut job = case.start(ONE, "invert", "stopped", &["-v"]);
    let output = case.path("stopped");
    let two_done =
        || fs::read_to_string(output.join("status.json")).is_ok_and(|text| text.contains("\"shots_done\":2"));
    // The status is written once a second: a gradient may slip through, the next one will not.
    job.wait_for(|| two_done() || read_run(&output.join("run.h5")).is_ok());
    send("USR1", job.id());
    let ended = job.finish();
    assert_eq!(ended.status.code(), Some(75), "{}", errors(&ended));
    let ended = case.succeed(layout(2, 1), "invert", "stopped", &[]);
    println!("known: {:?}", known_shots(&errors(&ended)));
    case.succeed(ONE, "invert", "reference", &[]);
    assert!(results(&case, "stopped") == results(&case, "reference"), "another result than without the stop");
}

#[test]
fn a_damaged_ledger_costs_time_and_no_bit() {
    let case = Case::new(CASE);
    case.succeed(ONE, "invert", "reference", &[]);
    let mut job = case.start(layout(2, 1), "invert", "damaged", &EVERY_SHOT);
    let output = case.path("damaged");
    assert!(job.wait_for(|| !kept(&output).is_empty()), "nothing was kept");
    job.ranks().into_iter().for_each(|rank| send("KILL", rank));
    job.finish();
    for file in kept(&output) {
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).unwrap();
    }
    let ended = case.succeed(ONE, "invert", "damaged", &[]);
    assert!(errors(&ended).contains("its shots are done again"), "{}", errors(&ended));
    assert!(results(&case, "damaged") == results(&case, "reference"), "another result");
}

#[test]
fn a_second_process_in_the_same_directory_is_refused_and_the_first_goes_on() {
    let case = Case::new(CASE);
    let mut job = case.start(ONE, "invert", "run", &[]);
    let lock = case.path("run").join("run.lock");
    assert!(job.wait_for(|| fs::read_to_string(&lock).is_ok_and(|text| text.contains("host"))), "no lock");
    for ranks in [1, 2] {
        let refused = case.run(layout(ranks, 1), "invert", "run", &[]);
        let said = errors(&refused);
        assert_eq!(refused.status.code(), Some(5), "{said}");
        assert!(
            said.contains("another process works in this directory") && said.contains(&job.id().to_string()),
            "{said}"
        );
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
    }
    let ended = job.finish();
    assert_eq!(ended.status.code(), Some(0), "{}", errors(&ended));
    assert_eq!(fs::read_to_string(&lock).unwrap(), "", "the lock says that the run ended in order");
}

/// One shot of several seconds.
const LONG: [&str; 5] = [
    "--set=model.true.shape=[201,151]",
    "--set=model.start.shape=[201,151]",
    "--set=time.duration_s=160",
    "--set=survey.sources.x_m=[400]",
    "--set=reversal.memory=16 MiB",
];

#[test]
fn a_stop_is_met_in_the_middle_of_a_shot() {
    let case = Case::new(CASE);
    let data = case.path("observed.h5");
    let simulated = [&LONG[..], &["--model", "true", "-o", data.to_str().unwrap()]].concat();
    case.succeed(layout(1, 2), "simulate", "data", &simulated);
    let observed = format!("--set=data={{observed=\"{}\"}}", data.display());
    // Two are stopped while they model, two on the way back and forth.
    for (verb, data) in [("simulate", ""), ("invert", ""), ("gradient", &*observed), ("invert", &*observed)] {
        let words: Vec<&str> = LONG.into_iter().chain(Some(data).filter(|data| !data.is_empty())).collect();
        let mut job = case.start(ONE, verb, "long", &words);
        let begun = Instant::now();
        job.wait_for(|| begun.elapsed() > Duration::from_millis(1500));
        let asked = Instant::now();
        send("TERM", job.id());
        let ended = job.finish();
        let took = asked.elapsed();
        assert_eq!(ended.status.code(), Some(75), "{verb}: {}", errors(&ended));
        assert!(took < Duration::from_secs(10), "{verb}: {took:?}");
    }
}

#[test]
fn a_run_stops_by_itself_within_the_time_it_is_given() {
    let case = Case::new(CASE);
    let began = Instant::now();
    let words = [&LONG[..], &["--max-time", "4s"]].concat();
    let ended = case.run(layout(2, 1), "invert", "limited", &words);
    assert_eq!(ended.status.code(), Some(75), "{}", errors(&ended));
    assert!(began.elapsed() < Duration::from_secs(14), "{:?}", began.elapsed());
    let refused = case.run(ONE, "invert", "limited", &["--max-time", "soon"]);
    assert_eq!(refused.status.code(), Some(2), "{}", errors(&refused));
}

#[test]
fn bad_shots_are_left_out_for_a_whole_stage_and_told_where_that_is_asked_for() {
    let case = Case::new(CASE);
    let data = case.path("observed.h5");
    case.succeed(ONE, "simulate", "data", &["--model", "true", "-o", data.to_str().unwrap()]);
    let observed = format!("data={{observed=\"{}\"}}", data.display());
    let words = ["--set", &observed];
    // Without shot 2 from the outset.
    case.succeed(ONE, "invert", "reference", &[&words[..], &["--set", "inversion.shots=[0,1,3]"]].concat());
    let file = hdf5::File::open_rw(&data).unwrap();
    let traces = file.dataset("data").unwrap();
    let row = traces.shape()[0] / 4 * 2;
    traces.write_slice(&[f64::NAN], ndarray::s![row, 7..8]).unwrap();
    drop((traces, file));
    let refused = case.run(layout(2, 1), "invert", "refused", &words);
    assert_eq!(refused.status.code(), Some(3), "{}", errors(&refused));
    let ended = case.succeed(layout(2, 1), "invert", "left", &[&words[..], &["--skip-bad-shots"]].concat());
    assert!(errors(&ended).contains("left out for this stage: shot 2"), "{}", errors(&ended));
    assert!(results(&case, "left") == results(&case, "reference"), "another result than without the shot");
    let told = || {
        let file = hdf5::File::open(case.path("left/run.h5")).unwrap();
        let text = file.attr("shots_left_out").and_then(|a| a.read_scalar::<hdf5::types::VarLenUnicode>());
        text.expect("the run file says which shots were left out").to_string()
    };
    assert_eq!(told(), "stage 0: [2]");
    // A run that goes on leaves it out as well.
    let more = ["--set", "optimizer.iterations=11"];
    case.succeed(ONE, "invert", "left", &[&words[..], &more].concat());
    assert_eq!(told(), "stage 0: [2]");
    let more = ["--set", "optimizer.iterations=11", "--set", "inversion.shots=[0,1,3]"];
    case.succeed(ONE, "invert", "reference", &[&words[..], &more].concat());
    assert!(results(&case, "left") == results(&case, "reference"), "another result after going on");
}

#[test]
fn a_run_goes_on_with_other_physics_only_by_force() {
    let case = Case::new(CASE);
    case.succeed(ONE, "invert", "run", &["--set", "optimizer.iterations=1"]);
    let changed = ["--set", "physics.space_order=4"];
    assert_eq!(case.run(ONE, "invert", "run", &changed).status.code(), Some(2));
    let ended = case.succeed(ONE, "invert", "run", &[&changed[..], &["--force"]].concat());
    assert!(errors(&ended).contains("physics.space_order was 8, is 4"), "{}", errors(&ended));
    assert_eq!(read_run(&case.path("run/run.h5")).unwrap().entries.len(), 11);
}
