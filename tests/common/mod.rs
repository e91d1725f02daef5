//! What the tests of the whole program share: a folder with a case in it, and runs of the program on any layout.
#![allow(dead_code)] // every test file is a program of its own and uses its part

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_treewave");
/// No run of a test takes longer than this, even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(300);

/// How many processes, with how many threads each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub ranks: usize,
    pub threads: usize,
}

/// Whether this build and this machine can start several ranks.
pub fn has_ranks() -> bool {
    let launcher = std::env::var("MPIRUN").unwrap_or_else(|_| "mpirun".into());
    let found = || Command::new(launcher).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    cfg!(feature = "mpi") && found()
}

/// The same; says so where a test of ranks has to be left out of a build that has them.
pub fn ranks_or_skipped() -> bool {
    if cfg!(feature = "mpi") && !has_ranks() {
        println!("skipped: the launcher mpirun is absent");
    }
    has_ranks()
}

/// The layout, or one rank with its threads where there can be only one.
pub fn layout(ranks: usize, threads: usize) -> Layout {
    Layout { ranks: if has_ranks() { ranks } else { 1 }, threads }
}

/// The configuration of a small section of the fold belt with so many shots of so many seconds, and what else it says.
pub fn section(shots: usize, duration_s: f64, rest: &str) -> String {
    format!(
        r#"
schema = 1
[run]
name = "case"
[model]
true  = {{ builtin = "foldbelt", shape = [61, 41], spacing_m = 40.0 }}
start = {{ builtin = "foldbelt", shape = [61, 41], spacing_m = 40.0, smooth_m = 200.0, keep_water = true }}
[boundary]
width_cells = 10
[time]
duration_s = {duration_s}
record_s = 0.004
[survey]
sources   = {{ x_m = {{ start = 400, stop = 2000, count = {shots} }}, z_m = 40 }}
receivers = {{ x_m = {{ start = 0, stop = 2400, step = 80 }}, z_m = 80 }}
[wavelet]
peak_frequency_hz = 4.0
[data]
synthetic = true
{rest}"#
    )
}

/// Two iterations that spill, with a ledger after every shot.
pub const SPILLING: &str = r#"
[reversal]
strategy = "two-level"
memory = "1 MiB"
disk = "64 MiB"
costs = { advance = 100.0, pull_back = 200.0, write = 1.0, read = 1.0 }
[optimizer]
bounds = { vp_m_per_s = [1400.0, 5000.0] }
iterations = 2
[precondition]
water_bottom_m = 120.0
[output]
ledger_every_s = 0
"#;

/// A folder with `case.toml` and a scratch directory, removed at the end.
pub struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    pub fn new(config: &str) -> Self {
        let case = Case { folder: tempfile::tempdir().expect("a temporary folder can be made") };
        fs::write(case.path("case.toml"), config).expect("the folder can be written");
        fs::create_dir(case.scratch()).expect("the folder can be written");
        case
    }

    /// The path of something in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What `$TMPDIR` is to the program.
    pub fn scratch(&self) -> PathBuf {
        self.path("scratch")
    }

    /// Whether no run left anything in the scratch directory; MPI's own session folders do not count.
    pub fn scratch_is_empty(&self) -> bool {
        let entries = fs::read_dir(self.scratch()).expect("the folder can be listed");
        let names = entries.map(|entry| entry.expect("the folder can be listed").file_name());
        names.filter(|name| name.to_string_lossy().contains("treewave")).count() == 0
    }

    /// `program VERB case.toml --output OUTPUT` with further words, on a layout; one rank needs no launcher.
    pub fn command(&self, program: &Path, layout: Layout, verb: &str, output: &str, words: &[&str]) -> Command {
        let mut command = match layout.ranks {
            1 => Command::new(program),
            ranks => {
                // Tests that run in the background may ignore SIGINT, and a shell script cannot trap what it began with
                // ignoring.
                let mut command = Command::new("env");
                command.arg("--default-signal=INT").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/mpirun"));
                command.args(["-n", &ranks.to_string()]).arg(program);
                command
            }
        };
        command.arg(verb).arg(self.path("case.toml")).arg("--output").arg(self.path(output));
        command.args(["--threads", &layout.threads.to_string()]).args(words).current_dir(self.folder.path());
        for name in ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"] {
            command.env_remove(name);
        }
        // Costs measured by one test are not known to others.
        command.env("XDG_CACHE_HOME", self.path("cache"));
        command.env("TMPDIR", self.scratch()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts the program and does not wait for it.
    pub fn start(&self, layout: Layout, verb: &str, output: &str, words: &[&str]) -> Job {
        Job::of(&mut self.command(Path::new(PROGRAM), layout, verb, output, words), self.path(output))
    }

    /// Runs the program to its end.
    pub fn run(&self, layout: Layout, verb: &str, output: &str, words: &[&str]) -> Output {
        self.start(layout, verb, output, words).finish()
    }

    /// Runs the program to its end, which must be a good one.
    pub fn succeed(&self, layout: Layout, verb: &str, output: &str, words: &[&str]) -> Output {
        let ended = self.run(layout, verb, output, words);
        assert_eq!(ended.status.code(), Some(0), "{verb} {words:?} on {layout:?}: {}", errors(&ended));
        ended
    }
}

/// Standard error of a run.
pub fn errors(ended: &Output) -> String {
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

/// A run under way.
pub struct Job {
    child: Child,
    output: PathBuf,
    began: Instant,
    deadline: Duration,
}

impl Job {
    /// Starts a command of [`Case::command`] with this output directory.
    pub fn of(command: &mut Command, output: PathBuf) -> Job {
        let child = command.spawn().expect("the program starts");
        Job { child, output, began: Instant::now(), deadline: DEADLINE }
    }

    /// The process that was started: the program, or `scripts/mpirun`.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// For a run that may take longer than others.
    pub fn within(self, deadline: Duration) -> Job {
        Job { deadline, ..self }
    }

    /// The processes that compute.
    pub fn ranks(&self) -> Vec<u32> {
        ranks_of(&self.output)
    }

    /// Waits for something to come about; false if the run ends first.
    pub fn wait_for(&mut self, mut come: impl FnMut() -> bool) -> bool {
        while !come() {
            if self.child.try_wait().expect("the process is ours").is_some() {
                return come();
            }
            self.check_deadline();
            sleep(Duration::from_millis(2));
        }
        true
    }

    /// Waits for the end.
    pub fn finish(mut self) -> Output {
        // What a run says fits into the pipes.
        self.wait_for(|| false);
        self.child.wait_with_output().expect("the process is ours")
    }

    fn check_deadline(&mut self) {
        if self.began.elapsed() > self.deadline {
            self.ranks().into_iter().for_each(|id| send("KILL", id));
            panic!("a run of {} took more than {:?}", self.output.display(), self.deadline);
        }
    }
}

/// The processes that compute into a directory, known by the program they run and by that directory.
pub fn ranks_of(output: &Path) -> Vec<u32> {
    let program = fs::canonicalize(PROGRAM).expect("the program is there");
    let output = output.to_string_lossy().into_owned();
    let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| {
        let of = |name: &str| PathBuf::from(format!("/proc/{id}/{name}"));
        let words = fs::read(of("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        fs::read_link(of("exe")).is_ok_and(|exe| exe == program) && words.split('\0').any(|word| word == output)
    })
    .collect()
}

/// Sends a signal, named without `SIG`.
pub fn send(signal: &str, process: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -s {signal} {process}")]).stderr(Stdio::null()).status();
    sent.expect("there is a shell");
}

/// Kills processes at once: a shell that is up already takes the numbers.
pub struct Killer {
    shell: Child,
}

impl Killer {
    pub fn new() -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "while read -r ids; do kill -KILL $ids; done"]).stdin(Stdio::piped());
        Killer { shell: command.stderr(Stdio::null()).spawn().expect("there is a shell") }
    }

    pub fn kill(&mut self, processes: &[u32]) {
        let ids: Vec<String> = processes.iter().map(u32::to_string).collect();
        writeln!(self.shell.stdin.as_mut().expect("the input is a pipe"), "{}", ids.join(" "))
            .expect("the shell reads");
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// Models, gradients and histories of the run in an output directory, as bits.
pub fn results(output: &Path) -> Vec<u64> {
    let file = output.join("run.h5");
    ["vp", "gradient", "misfit", "misfit_per_shot", "step_percent"].iter().flat_map(|name| bits(&file, name)).collect()
}

/// The bits of all numbers of a dataset.
pub fn bits(file: &Path, dataset: &str) -> Vec<u64> {
    let opened = hdf5::File::open(file).and_then(|file| file.dataset(dataset)?.read_raw::<f64>());
    let values = opened.unwrap_or_else(|e| panic!("{}: {dataset}: {e}", file.display()));
    values.into_iter().map(f64::to_bits).collect()
}

/// The log of the reversals in a gradient file.
pub fn reversal_log(file: &Path) -> serde_json::Value {
    let text = hdf5::File::open(file).and_then(|file| file.attr("log")?.read_scalar::<hdf5::types::VarLenUnicode>());
    serde_json::from_str(&text.expect("the file has the attribute log")).expect("it is JSON")
}
