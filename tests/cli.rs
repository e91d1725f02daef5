//! The verbs from outside: their help, exit codes, machine-readable output and the files they make.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::{CommandFactory, Parser};
use common::{Case, Layout, PROGRAM, errors, reversal_log};
use serde_json::Value;
use treewave::cli::Cli;
use treewave_storage::read_run;

/// Two shots whose snapshots go to disk: steps are said to be dear and the disk cheap.
const CASE: &str = r#"
schema = 1
[run]
name = "case"
output = "run"
[model]
true  = { builtin = "foldbelt", shape = [61, 41], spacing_m = 40.0 }
start = { builtin = "foldbelt", shape = [61, 41], spacing_m = 40.0, smooth_m = 200.0, keep_water = true }
[boundary]
width_cells = 10
[time]
duration_s = 1.2
record_s = 0.004
[survey]
sources   = { x_m = { start = 400, stop = 2000, count = 2 }, z_m = 40 }
receivers = { x_m = { start = 0, stop = 2400, step = 80 }, z_m = 80 }
[wavelet]
peak_frequency_hz = 4.0
[data]
synthetic = true
[reversal]
strategy = "two-level"
memory = "1 MiB"
disk = "64 MiB"
costs = { advance = 100.0, pull_back = 200.0, write = 1.0, read = 1.0 }
[optimizer]
bounds = { vp_m_per_s = [1400.0, 5000.0] }
iterations = 2
"#;

const ALONE: Layout = Layout { ranks: 1, threads: 1 };

fn treewave(words: &[&str]) -> Output {
    Command::new(PROGRAM).args(words).output().expect("the program starts")
}

/// Standard output of a run that must end well.
fn told(words: &[&str]) -> String {
    let ended = treewave(words);
    assert_eq!(ended.status.code(), Some(0), "{words:?}: {}", errors(&ended));
    String::from_utf8(ended.stdout).expect("the program speaks UTF-8")
}

/// The one JSON object on standard output.
fn json(words: &[&str]) -> Value {
    let text = told(words);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{words:?}: {e}: {text}"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder has a plain name")
}

fn assert_keys(object: &Value, keys: &[&str]) {
    for key in keys {
        assert!(object.get(key).is_some_and(|value| !value.is_null()), "there is no {key} in {object:#}");
    }
}

fn assert_numbers(object: &Value, keys: &[&str]) {
    for key in keys {
        assert!(object[key].as_f64().is_some_and(|x| x.is_finite() && x > 0.0), "{key} in {object:#}");
    }
}

/// A folder or file of `../shared`, or none with a line that says so.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    if !path.exists() {
        println!("skipped: ../shared is absent");
    }
    path.exists().then_some(path)
}

#[test]
fn every_verb_helps_with_an_example_that_can_be_typed() {
    let verbs: Vec<String> = Cli::command().get_subcommands().map(|verb| verb.get_name().to_string()).collect();
    assert!(verbs.len() >= 13, "{verbs:?}");
    for verb in &verbs {
        let help = told(&[verb, "--help"]);
        let example = help.lines().find_map(|line| line.strip_prefix("Example: "));
        let example = example.unwrap_or_else(|| panic!("the help of {verb} has no example: {help}"));
        let words: Vec<&str> = example.split_whitespace().skip_while(|&word| word != "treewave").collect();
        assert_eq!(words.get(1), Some(&verb.as_str()), "{example}");
        Cli::try_parse_from(&words).unwrap_or_else(|e| panic!("{example}: {e}"));
    }
}

#[test]
fn usage_errors_have_exit_code_2() {
    let cases: [&[&str]; 10] = [
        &[],
        &["inver", "case.toml"],
        &["check"],
        &["check", "case.toml", "--threads", "0"],
        &["check", "case.toml", "-q", "-v"],
        &["plot", "run.h5"],
        &["pebbles", "--strategy", "nonsense", "--steps", "5"],
        &["pebbles", "--strategy", "revolve", "--steps", "5"],
        &["bench", "--dims", "4"],
        &["new", "somewhere", "--template", "nonsense"],
    ];
    for words in cases {
        let ended = treewave(words);
        assert_eq!(ended.status.code(), Some(2), "{words:?}: {}", errors(&ended));
        assert!(!ended.stderr.is_empty(), "{words:?} said nothing");
    }
    assert!(!Path::new("somewhere").exists());
}

#[test]
fn new_writes_every_template_and_check_passes_on_those_that_need_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (template, needs) in [
        ("quickstart", None),
        ("circle", None),
        ("marmousi", Some("smiwiz_marmousi_461x151_20m.h5")),
        ("overthrust", Some("overthrust_judi_401x121_25m.h5")),
    ] {
        let directory = folder.path().join(template);
        let said = told(&["new", text(&directory), "--template", template]);
        let config = directory.join(format!("{template}.toml"));
        assert!(said.contains(text(&config)), "{said}");
        let written = fs::read_to_string(&config).expect("the template was written");
        assert!(written.lines().filter(|line| line.contains('#')).count() >= 8, "{template} explains too little");
        let again = treewave(&["new", text(&directory), "--template", template]);
        assert_eq!(again.status.code(), Some(2), "{}", errors(&again));
        assert!(errors(&again).contains("exists already"), "{}", errors(&again));
        assert_eq!(fs::read_to_string(&config).expect("it is still there"), written);
        let mut words = vec!["check".to_string(), text(&config).to_string()];
        if let Some(needs) = needs {
            assert!(said.contains(needs), "{said}");
            let Some(model) = shared("data/models").map(|models| models.join(needs)) else { continue };
            let set = |which: &str| format!("model.{which}.file={}", model.display());
            words.extend(["--set".into(), set("true"), "--set".into(), set("start")]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert!(told(&words).ends_with("fine\n"));
    }
}

#[test]
fn the_schema_is_json_and_knows_the_sections() {
    let schema = json(&["check", "--schema"]);
    let sections = ["schema", "run", "model", "physics", "boundary", "time", "survey", "wavelet", "data", "misfit"];
    assert_keys(&schema["properties"], &sections);
    assert_keys(&schema["properties"], &["reversal", "inversion", "optimizer", "precondition", "stage", "parallel"]);
    assert!(schema.get("$schema").is_some() && schema["additionalProperties"] == false);
}

#[test]
fn plan_tells_exactly_what_a_gradient_spills() {
    let case = Case::new(CASE);
    let config = case.path("case.toml");
    let plan = json(&["plan", text(&config), "--json", "--threads", "1"]);
    assert_keys(&plan, &["memory_bytes_per_rank", "disk_bytes_per_rank", "strategy", "snapshots", "recompute_factor"]);
    assert_numbers(&plan, &["seconds", "recompute_factor", "snapshots", "memory_bytes_per_rank"]);
    assert_eq!(plan["strategy"], "two-level");
    let stage = &plan["stages"][0];
    assert_eq!(stage["disk_bytes_per_rank"], plan["disk_bytes_per_rank"]);
    assert_eq!(stage["memory_bytes_per_rank"], plan["memory_bytes_per_rank"]);
    let slots = stage["memory_slots"].as_u64().unwrap() + stage["disk_slots"].as_u64().unwrap();
    assert_eq!(plan["snapshots"].as_u64(), Some(slots));

    let file = case.path("gradient.h5");
    case.succeed(ALONE, "gradient", "run", &["-o", text(&file)]);
    let log = reversal_log(&file);
    let spilled = 2 * stage["spilled_bytes_per_shot"].as_u64().expect("it is a whole number");
    assert!(spilled > 0, "the case spills nothing");
    assert_eq!(log["bytes_written"].as_u64(), Some(spilled), "{log:#}");
    // The log counts the slots of all shots together.
    assert_eq!(log["peak_slots_disk"], stage["disk_slots"], "{log:#}");
    let (planned, real) = (plan["recompute_factor"].as_f64().unwrap(), log["recompute_factor"].as_f64().unwrap());
    assert!((planned - real).abs() < 1e-12, "planned {planned}, was {real}");
    assert_eq!(log["pulled_back"].as_u64(), stage["steps"].as_u64().map(|steps| 2 * steps));
}

#[test]
fn more_ranks_take_less_time_and_no_more_memory() {
    let case = Case::new(CASE);
    let config = case.path("case.toml");
    let one = json(&["plan", text(&config), "--json", "--threads", "1"]);
    let two = json(&["plan", text(&config), "--json", "--threads", "1", "--ranks", "2"]);
    // A rank may have fewer shots to simulate.
    let memory = |plan: &Value| plan["memory_bytes_per_rank"].as_u64().expect("it is a whole number");
    assert!(memory(&two) <= memory(&one), "{} and {}", memory(&one), memory(&two));
    assert_eq!(one["disk_bytes_per_rank"], two["disk_bytes_per_rank"]);
    for (plan, shots) in [(&one, 2), (&two, 1)] {
        let stage = &plan["stages"][0];
        assert_eq!(stage["shots_per_rank"], shots);
        // And what ranks wait for each other.
        let shots_s = f64::from(shots) * stage["seconds_per_shot"].as_f64().expect("it is a number");
        let seconds = plan["seconds"].as_f64().expect("it is a number");
        assert!((0.999 * shots_s..1.01 * shots_s + 0.05).contains(&seconds), "{seconds} s for shots of {shots_s} s");
    }
}

#[test]
fn plan_tells_where_the_time_of_ten_thousand_ranks_goes() {
    let case = Case::new(CASE);
    let config = case.path("case.toml");
    let costs = "reversal.costs={advance=0.001, pull_back=0.002, write=1e-5, read=1e-5}";
    let words = ["plan", text(&config), "--json", "--threads", "1", "--ranks", "10000", "--set", costs];
    let plan = |more: &[&str]| json(&[&words[..], more].concat());
    let ours = plan(&["--set", "survey.sources={x_m={start=400, stop=2000, count=20000}, z_m=20}"]);
    let scaling = &ours["stages"][0]["scaling"];
    assert_eq!([&scaling["seconds"]; 2], [&ours["seconds"], &ours["stages"][0]["seconds"]]);
    let shares = scaling["shares"].as_object().expect("shares have names");
    let sum: f64 = shares.values().map(|share| share.as_f64().expect("a share is a number")).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{shares:?}");
    assert_eq!(scaling["efficiency"], shares["computing"]);
    let curve = scaling["curve"].as_array().expect("the curve is a list");
    let ranks: Vec<u64> = curve.iter().filter_map(|point| point["ranks"].as_u64()).collect();
    assert_eq!(ranks, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 10000]);
    let efficiency = |point: &Value| point["efficiency"].as_f64().expect("it is a number");
    assert!(efficiency(&curve[0]) > 0.99, "one rank waits for nobody: {curve:?}");
    // Two shots for 10,000 ranks: all but two of them have nothing to do.
    let few = plan(&["--node-mtbf", "never"]);
    let end = few["stages"][0]["scaling"]["shares"]["end"].as_f64().expect("it is a number");
    assert!(end > 0.3, "{few:#}");
    // What is told of the machine counts.
    let slow = plan(&["--latency", "10ms", "--requeue-wait", "1h", "--node-mtbf", "1 year", "--bandwidth", "1 MB/s"]);
    assert!(slow["seconds"].as_f64() > few["seconds"].as_f64());
    assert_eq!(slow["stages"][0]["scaling"]["machine"]["latency_s"], 0.01);
    let hopeless = plan(&["--node-mtbf", "1ms", "--latency", "1s"]);
    assert!(hopeless["seconds"].is_null(), "it is never done: {hopeless}");
}

#[test]
fn the_gradient_of_the_start_is_one_of_the_evaluations_allowed() {
    let case = Case::new(CASE);
    let words = ["--set", "optimizer.max_evaluations=2", "--set", "optimizer.iterations=9"];
    let ended = case.succeed(ALONE, "invert", "run", &words);
    assert!(errors(&ended).contains("1 iterations, 2 gradients"), "{}", errors(&ended));
    let run = read_run(&case.path("run").join("run.h5")).expect("the run file can be read");
    assert_eq!(run.entries.iter().map(|entry| entry.evaluations).collect::<Vec<_>>(), [1, 1]);
}

/// Every so many rows of a table with a head, cells as text; rows with an empty cell (impossible games) are left out.
fn rows(table: &str, every: usize, of: impl Fn(&[String]) -> bool) -> Option<Vec<Vec<String>>> {
    let table = fs::read_to_string(shared("golden")?.join(table)).expect("the table can be read");
    let rows = table.lines().skip(1).map(|line| line.split(',').map(String::from).collect::<Vec<_>>());
    let rows: Vec<_> = rows.filter(|row| row.iter().all(|cell| !cell.is_empty()) && of(row)).step_by(every).collect();
    assert!(rows.len() >= 12, "{} rows", rows.len());
    Some(rows)
}

fn number(cell: &str) -> u64 {
    cell.parse().unwrap_or_else(|e| panic!("{cell}: {e}"))
}

fn play(words: &[&str]) -> Value {
    json(&[&["pebbles", "--json"], words].concat())
}

#[test]
fn pebbles_play_treeverse_as_the_paper_does() {
    let Some(rows) = rows("treeverse_counts.csv", 31, |_| true) else { return };
    for row in rows {
        let game = play(&["--strategy", "treeverse", "--steps", &row[0], "--snapshots", &row[1]]);
        let expected = [3, 4, 5, 6, 7].map(|column| number(&row[column]));
        let keys = ["advances", "reverse_steps", "total_forward", "stores", "peak_states"];
        assert_eq!(keys.map(|key| game[key].as_u64().unwrap()), expected, "{keys:?} for {row:?}");
    }
}

#[test]
fn pebbles_play_revolve_with_the_published_optimum() {
    let Some(rows) = rows("revolve_optimum.csv", 31, |_| true) else { return };
    for row in rows {
        let game = play(&["--strategy", "revolve", "--steps", &row[0], "--snapshots", &row[1]]);
        let counts = ["advances", "total_forward", "reverse_steps"].map(|key| game[key].as_u64().unwrap());
        assert_eq!(counts, [number(&row[3]), number(&row[4]), number(&row[0])], "{row:?}");
        assert!(game["peak_states"].as_u64().unwrap() <= number(&row[1]), "{row:?}");
    }
}

#[test]
fn pebbles_play_two_levels_at_the_least_cost() {
    let Some(rows) = rows("twolevel_hrevolve_optimal.csv", 71, |_| true) else { return };
    for row in rows {
        let costs = row[3..7].join(",");
        let words = ["--strategy", "two-level", "--steps", &row[0], "--memory-slots", &row[1], "--disk-slots", &row[2]];
        let game = play(&[&words[..], &["--costs", &costs]].concat());
        let expected: f64 = row[7].parse().expect("it is a number");
        assert_eq!(game["cost"].as_f64(), Some(expected), "{row:?}");
        assert_eq!(game["reverse_steps"].as_u64(), Some(number(&row[0])), "{row:?}");
    }
}

#[test]
fn pebbles_that_store_all_compute_every_step_once() {
    for steps in [1, 2, 20, 1000] {
        let game = play(&["--strategy", "store-all", "--steps", &steps.to_string()]);
        let counts = ["advances", "total_forward", "reverse_steps"].map(|key| game[key].as_u64().unwrap());
        assert_eq!(counts, [0, steps, steps]);
    }
}

#[test]
fn doctor_tells_what_there_is() {
    let machine = json(&["doctor", "--json"]);
    assert_keys(&machine, &["program", "hdf5", "simd_path", "processors", "scratch", "scratch_writable"]);
    assert_eq!(machine.get("mpi").is_some_and(Value::is_string), cfg!(feature = "mpi"));
    assert_eq!(machine["scratch_writable"], true);
    assert_numbers(&machine, &["processors", "scratch_free_bytes"]);
}

#[test]
fn bench_measures_what_its_keys_say() {
    let words = ["bench", "--dims", "2", "--size", "64", "--order", "4", "--precision", "f64", "--gradient"];
    let measured = json(&[&words[..], &["--steps", "10", "--repetitions", "1", "--threads", "1", "--json"]].concat());
    let keys = ["gpts", "seconds", "bytes_per_point", "fraction_of_bandwidth", "peak_rss_bytes"];
    assert_numbers(&measured, &keys);
    assert_numbers(&measured, &["forward_seconds", "gradient_seconds"]);
    assert_eq!(measured["bytes_per_point"].as_f64(), Some(32.0));
    let asked = ["dims", "size", "order", "steps", "threads"].map(|key| measured[key].as_u64().unwrap());
    assert_eq!(asked, [2, 64, 4, 10, 1]);
}

#[test]
fn an_imported_raw_model_equals_the_hdf5_model() {
    let Some(models) = shared("data/models") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (raw, made) = (models.join("raw/vp_marmousi_bi"), folder.path().join("vp.h5"));
    let shape = ["--shape", "1601,401", "--spacing-m", "7.5", "--scale", "1000"];
    told(&[&["import", text(&raw), "-o", text(&made)], &shape[..]].concat());
    let read = |path: &Path| treewave_storage::read_model(path, "vp").unwrap_or_else(|e| panic!("{e}"));
    let (made, expected) = (read(&made), read(&models.join("marmousi_devito_1601x401_7p5m.h5")));
    assert_eq!(made.grid(), expected.grid());
    assert!(made.vp_m_per_s() == expected.vp_m_per_s(), "the velocities differ");

    let cut = folder.path().join("cut.h5");
    let wrong = ["import", text(&raw), "-o", text(&cut), "--shape", "1601,402", "--spacing-m", "7.5"];
    let ended = treewave(&wrong);
    assert_eq!(ended.status.code(), Some(3), "{}", errors(&ended));
    assert!(!cut.exists());
}

/// Width and height of a PNG file, from its header.
fn size(path: &Path) -> [u32; 2] {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n") && &bytes[12..16] == b"IHDR", "{} is no PNG", path.display());
    assert!(bytes.len() > 5000, "{} has {} bytes: an empty picture?", path.display(), bytes.len());
    [16, 20].map(|at| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes")))
}

#[test]
fn a_run_has_a_status_and_every_file_a_picture() {
    let case = Case::new(CASE);
    case.succeed(ALONE, "invert", "run", &[]);
    let (run, gradient) = (case.path("run").join("run.h5"), case.path("gradient.h5"));
    case.succeed(ALONE, "gradient", "run", &["-o", text(&gradient)]);

    let status = json(&["status", text(&case.path("run")), "--json"]);
    assert_keys(&status, &["state", "stage", "iteration", "misfit", "shots_done", "shots_total", "seconds"]);
    let record = treewave_storage::read_run(&run).expect("the run file can be read");
    let last = record.entries.last().expect("there are iterations");
    assert_eq!((status["state"].as_str(), status["iteration"].as_u64()), (Some("done"), Some(2)));
    assert_eq!(status["misfit"].as_f64(), Some(last.misfit));
    assert_eq!((status["shots_done"].as_u64(), status["shots_total"].as_u64()), (Some(2), Some(2)));
    assert!(told(&["status", text(&case.path("run"))]).contains("iteration   2"));
    assert_eq!(treewave(&["status", text(&case.scratch())]).status.code(), Some(2));

    let observed = case.path("run").join("observed.h5");
    // To look at the pictures, name a folder for them.
    let keep = std::env::var_os("TREEWAVE_TEST_PICTURES").map(PathBuf::from);
    for (name, file, words) in [
        ("comparison", &run, &[][..]),
        ("model", &run, &["--dataset", "vp", "--iteration", "1"]),
        ("run-gradient", &run, &["--dataset", "gradient"]),
        ("convergence", &run, &["--dataset", "misfit"]),
        ("logs", &run, &["--logs-at-m", "600,1800"]),
        ("gradient", &gradient, &[]),
        ("gather", &observed, &["--shot", "1"]),
    ] {
        let png = keep.clone().unwrap_or_else(|| case.path(".")).join(format!("{name}.png"));
        told(&[&["plot", text(file), "-o", text(&png)], words].concat());
        let [width, height] = size(&png);
        assert!((400..=4000).contains(&width) && (200..=4000).contains(&height), "{name}: {width} × {height}");
    }
    for (words, code) in [(["--iteration", "9"], 2), (["--dataset", "nonsense"], 3)] {
        let png = case.path("none.png");
        let ended = treewave(&[&["plot", text(&run), "-o", text(&png)], &words[..]].concat());
        assert_eq!(ended.status.code(), Some(code), "{words:?}: {}", errors(&ended));
        assert!(!png.exists());
    }
}
