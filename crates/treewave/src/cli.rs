//! The command line.

use std::path::PathBuf;
use std::time::Duration;
use treewave_cluster::simulation::Machine;
use treewave_reversal::Choice;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::values::Bytes;

/// Full-waveform inversion for seismic imaging.
///
/// Shots are distributed over MPI ranks, the wavefield history is visited backwards by Treeverse-family schedules, and
/// results have the same bits on any layout.
#[derive(Debug, Parser)]
#[command(name = "treewave", version, max_term_width = 120)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub common: Common,
}

/// Options of all verbs.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Threads per rank; default: parallel.threads_per_rank of the configuration, else the processors of the rank
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Say less: warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more; twice: everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Write the log to this file as well
    #[arg(long, global = true, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Override a key of the configuration, e.g. --set time.duration_s=2.5
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Directory of the results; overrides run.output
    #[arg(long, global = true, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Save and stop so early that all is over within this time, e.g. 3h or "90 min"; the end of a Slurm job is kept to anyway
    #[arg(long, global = true, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub max_time: Option<Duration>,
}

/// Options of `invert`.
#[derive(Clone, Copy, Debug, Args)]
pub struct InvertOptions {
    /// Leave out, for a whole stage, shots whose data or numbers are bad when it begins, and tell them in the run file
    #[arg(long)]
    pub skip_bad_shots: bool,
    /// Go on with a run although what defines its result has changed; the run file then holds both
    #[arg(long)]
    pub force: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented configuration with all it needs, ready to run
    ///
    /// Example: treewave new first --template quickstart
    New {
        /// Directory to create
        directory: PathBuf,
        /// quickstart, circle, three-layers, marmousi or overthrust
        #[arg(long, default_value = "quickstart")]
        template: String,
    },
    /// Check configuration, data, geometry, stability and sampling; compute nothing
    ///
    /// Example: treewave check case.toml
    Check {
        /// Configuration
        #[arg(required_unless_present = "schema")]
        config: Option<PathBuf>,
        /// Print the JSON schema of configurations, for editors
        #[arg(long)]
        schema: bool,
    },
    /// Tell memory and disk per rank, the reversal schedule, the time of a gradient and where it goes
    ///
    /// Example: treewave plan case.toml --ranks 64 --threads 8 --ranks-per-node 2
    Plan(Plan),
    /// Make an HDF5 model of a raw binary or npy file
    ///
    /// Example: treewave import vp.bin --shape 461,151 --spacing-m 20 -o model.h5
    Import(Import),
    /// Model all shots of the survey on model.start (or model.true) and write the gathers
    ///
    /// Example: mpirun -n 4 treewave simulate case.toml -o gathers.h5
    Simulate {
        /// Configuration
        config: PathBuf,
        /// Gather file; default: simulated.h5 in the output directory
        #[arg(short, value_name = "FILE")]
        o: Option<PathBuf>,
        /// Which model of the configuration
        #[arg(long, default_value = "start")]
        model: WhichModel,
    },
    /// Compute misfit and gradient at the start model
    ///
    /// Example: mpirun -n 4 treewave gradient case.toml -o gradient.h5
    Gradient {
        /// Configuration
        config: PathBuf,
        /// Result; default: gradient.h5 in the output directory
        #[arg(short, value_name = "FILE")]
        o: Option<PathBuf>,
    },
    /// Test the gradient of this very set-up: dot products, Taylor remainders
    ///
    /// Example: treewave gradcheck case.toml
    Gradcheck {
        /// Configuration
        config: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Invert: the main job; run again on the same output directory, it goes on where it stopped
    ///
    /// Example: mpirun -n 4 treewave invert case.toml
    Invert {
        /// Configuration
        config: PathBuf,
        #[command(flatten)]
        how: InvertOptions,
    },
    /// Write a job script for Slurm, filled in from the plan of an inversion
    ///
    /// Example: treewave slurm case.toml --nodes 4 --ranks-per-node 2 --cpus-per-rank 16 -o case.sbatch
    Slurm(Slurm),
    /// Tell how far a run is, from any node, while it runs
    ///
    /// Example: treewave status runs/marmousi
    Status {
        /// Output directory of the run
        run: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Draw a model, gradient, gather or the convergence as a PNG picture
    ///
    /// Example: treewave plot runs/marmousi/run.h5 --dataset vp -o vp.png
    Plot(Plot),
    /// Play the reversal games: counts, the list of actions, a picture
    ///
    /// Example: treewave pebbles --strategy treeverse --steps 20 --snapshots 3 --svg game.svg
    Pebbles(Pebbles),
    /// Measure the speed of the kernels next to the bandwidth of the machine
    ///
    /// Example: treewave bench --dims 3 --size 256 --order 8 --threads 2
    Bench(Bench),
    /// Tell what this build and this machine offer
    ///
    /// Example: treewave doctor
    Doctor {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// Configuration
    pub config: PathBuf,
    /// Number of MPI ranks to plan for, also many more than this machine has room for
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub ranks: u32,
    /// Measure costs, also where they are known from an earlier plan or run
    #[arg(long)]
    pub measure: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub machine: MachineOptions,
}

/// A machine, as far as it cannot be measured on this one; docs/scaling.md says where the defaults come from.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "The machine to plan for")]
pub struct MachineOptions {
    /// Ranks on each node
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub ranks_per_node: u32,
    /// Time of a short message between two ranks
    #[arg(long, value_name = "TIME", default_value = "2us", value_parser = humantime::parse_duration)]
    pub latency: Duration,
    /// What the network of a node gives in each direction, all its ranks together
    #[arg(long, value_name = "RATE", default_value = "10 GB/s", value_parser = rate)]
    pub bandwidth: f64,
    /// What the scratch disk of a node gives, all its ranks together; default: as measured on this machine
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub disk_bandwidth: Option<f64>,
    /// What the shared file system gives, all ranks together
    #[arg(long, value_name = "RATE", default_value = "20 GB/s", value_parser = rate)]
    pub storage_bandwidth: f64,
    /// Mean time between failures of a node, or never
    #[arg(long, value_name = "TIME", default_value = "5 years", value_parser = time_or_never)]
    pub node_mtbf: f64,
    /// Time from a failure until the job computes again: in the queue, and to start
    #[arg(long, value_name = "TIME", default_value = "10 min", value_parser = humantime::parse_duration)]
    pub requeue_wait: Duration,
}

impl Default for MachineOptions {
    fn default() -> Self {
        let usual = Machine::of_ranks(1);
        MachineOptions {
            ranks_per_node: usual.ranks_per_node as u32,
            latency: Duration::from_secs_f64(usual.latency_s),
            bandwidth: usual.bandwidth,
            disk_bandwidth: None,
            storage_bandwidth: usual.storage_bandwidth,
            node_mtbf: usual.node_mtbf_s,
            requeue_wait: Duration::from_secs_f64(usual.requeue_s),
        }
    }
}

/// A model of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WhichModel {
    /// model.start
    Start,
    /// model.true
    True,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Raw binary (.bin, .raw, …) or .npy file
    pub file: PathBuf,
    /// HDF5 model to write
    #[arg(short, value_name = "FILE")]
    pub o: PathBuf,
    /// Points per axis, nx,nz or nx,ny,nz; an npy file knows its own
    #[arg(long, value_delimiter = ',', value_name = "N,N")]
    pub shape: Vec<usize>,
    /// Spacing in m: one number, or one per axis
    #[arg(long, value_delimiter = ',', required = true, value_name = "H")]
    pub spacing_m: Vec<f64>,
    /// Position of the first point in m: one number, or one per axis
    #[arg(long, value_delimiter = ',', default_value = "0", allow_negative_numbers = true, value_name = "O")]
    pub origin_m: Vec<f64>,
    /// Factor to m/s: 1000 for km/s
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,
    /// Numbers in a raw file
    #[arg(long, default_value = "f32-le")]
    pub dtype: RawType,
    /// Axis whose points follow each other in the file
    #[arg(long, default_value = "z")]
    pub fastest: FastestAxis,
}

/// Number formats of raw files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RawType {
    F32Le,
    F32Be,
    F64Le,
    F64Be,
}

/// The axis that varies fastest in a raw file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FastestAxis {
    Z,
    X,
}

/// Arguments of `plot`.
#[derive(Debug, Args)]
pub struct Plot {
    /// Any HDF5 file of Treewave
    pub file: PathBuf,
    /// Dataset; default: the one that the file is about
    #[arg(long)]
    pub dataset: Option<String>,
    /// Picture to write
    #[arg(short, value_name = "FILE.png")]
    pub o: PathBuf,
    /// Iteration of a history; default: the last
    #[arg(long)]
    pub iteration: Option<usize>,
    /// Shot of a gather file
    #[arg(long, default_value_t = 0)]
    pub shot: usize,
    /// y in m of the section through a 3-D model; default: the middle
    #[arg(long)]
    pub y_m: Option<f64>,
    /// Velocity logs at these x in m instead of a picture of the models
    #[arg(long, value_delimiter = ',', value_name = "X,X")]
    pub logs_at_m: Vec<f64>,
}

/// Arguments of `pebbles`.
#[derive(Debug, Args)]
pub struct Pebbles {
    /// treeverse, revolve, bennett, two-level, optimal-checkpoint, optimal-reversible, store-all, mixed, multistage or disk-revolve
    #[arg(long, required_unless_present = "tradeoff", conflicts_with = "tradeoff")]
    pub strategy: Option<String>,
    /// Steps to reverse
    #[arg(long, required_unless_present = "tradeoff", conflicts_with = "tradeoff")]
    pub steps: Option<usize>,
    /// Snapshots with the initial state; for treeverse the paper's δ, for mixed the units
    #[arg(long)]
    pub snapshots: Option<usize>,
    /// Pebbles of the optimal games besides the one on the first square, instead of --snapshots
    #[arg(long)]
    pub pebbles: Option<usize>,
    /// Blocks of bennett
    #[arg(long)]
    pub blocks: Option<usize>,
    /// End of a reversible game; default: bennett as the paper runs it, its outermost level not un-computed
    #[arg(long)]
    pub end: Option<GameEnd>,
    /// Memory slots of two-level, multistage and disk-revolve
    #[arg(long)]
    pub memory_slots: Option<usize>,
    /// Disk slots of two-level (default: as many as are useful) and multistage
    #[arg(long)]
    pub disk_slots: Option<usize>,
    /// Costs of two-level and disk-revolve: forward step, adjoint step with its own forward step, write, read
    #[arg(long, value_delimiter = ',', value_name = "UF,UB,WD,RD")]
    pub costs: Vec<f64>,
    /// Cuts of multistage; default: maximum
    #[arg(long)]
    pub trajectory: Option<TrajectoryKind>,
    /// How often disk-revolve reads a state on disk; default: many
    #[arg(long)]
    pub disk_reads: Option<DiskKind>,
    /// Print one JSON object
    #[arg(long, conflicts_with = "tradeoff")]
    pub json: bool,
    /// List the actions as well
    #[arg(long, conflicts_with = "tradeoff")]
    pub actions: bool,
    /// Draw the game as SVG
    #[arg(long, value_name = "FILE.svg", conflicts_with = "tradeoff")]
    pub svg: Option<PathBuf>,
    /// Draw the game as PNG; with --tradeoff the figure, and a CSV file of its numbers beside it (or that alone)
    #[arg(short, value_name = "FILE.png")]
    pub o: Option<PathBuf>,
    /// Space against allowed time of Treeverse, Revolve, Bennett and two-level for up to 1e8 steps
    #[arg(long)]
    pub tradeoff: bool,
}

/// When a reversible game ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GameEnd {
    /// When the last square is first occupied
    Reached,
    /// When only the first and the last square are occupied
    Clean,
}

/// The cuts of multistage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TrajectoryKind {
    /// The longest left parts
    Maximum,
    /// Those of the program of Griewank and Walther
    Revolve,
}

/// How disk-revolve reads the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiskKind {
    /// Each state as often as is useful
    Many,
    /// Each state once, the best blocks
    Once,
    /// Each state once, blocks of equal length
    Periodic,
}

/// Arguments of `slurm`.
#[derive(Debug, Args)]
pub struct Slurm {
    /// Configuration
    pub config: PathBuf,
    /// Nodes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub nodes: u32,
    /// Ranks on each node: one per socket or NUMA domain
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub ranks_per_node: u32,
    /// Cores, and threads, of each rank
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub cpus_per_rank: u16,
    /// Time limit of an allocation, e.g. 12h; default: half as much again as the plan says, at most a day
    #[arg(long, value_parser = humantime::parse_duration)]
    pub time: Option<Duration>,
    /// File to write; default: standard output
    #[arg(short, value_name = "FILE")]
    pub o: Option<PathBuf>,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Wave equation
    #[arg(long, default_value = "acoustic", value_parser = ["acoustic"])]
    pub equation: String,
    /// Dimensions
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    pub dims: u8,
    /// Model points per axis, without the layer
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(16..=20000))]
    pub size: u32,
    /// Cells of the absorbing layer on each side
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=255))]
    pub layer: u8,
    /// Space order
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(2..=16))]
    pub order: u8,
    /// Precision
    #[arg(long, default_value = "f32", value_parser = ["f32", "f64"])]
    pub precision: String,
    /// Time a gradient with every step in memory as well
    #[arg(long)]
    pub gradient: bool,
    /// Keep the gradient's records as they are, or in 16 bits per cell
    #[arg(long, requires = "gradient", default_value = "full", value_parser = ["full", "half"])]
    pub records: String,
    /// Compute the gradient's steps also where no wave can have arrived yet
    #[arg(long, requires = "gradient")]
    pub everywhere: bool,
    /// Time the gradient by the schedule that suits this memory for records and snapshots, e.g. "1.1 GB", instead
    #[arg(long, requires = "gradient", value_parser = bytes)]
    pub memory: Option<u64>,
    /// Let that schedule spill this much to disk as well
    #[arg(long, requires = "memory", value_parser = bytes)]
    pub disk: Option<u64>,
    /// Take this strategy of reversal there instead of the cheapest
    #[arg(long, requires = "memory", default_value = "auto", value_parser = strategy)]
    pub strategy: Choice,
    /// Time steps; default: about two seconds' worth
    #[arg(long)]
    pub steps: Option<usize>,
    /// Repetitions; the median counts
    #[arg(long, default_value_t = 5)]
    pub repetitions: usize,
    /// Time steps that are computed together, tile by tile; default: what is faster of those that a run tries
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub tile_levels: Option<u8>,
    /// Rows along y of such a tile
    #[arg(long, requires = "tile_levels", value_parser = clap::value_parser!(u16).range(1..))]
    pub tile_rows: Option<u16>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// A strategy of reversal.
fn strategy(text: &str) -> Result<Choice, String> {
    let names = || Choice::NAMES.map(|(name, _)| name).join(", ");
    Choice::from_name(text).ok_or_else(|| format!("expected one of {}", names()))
}

/// A number of bytes, with a unit or without.
fn bytes(text: &str) -> Result<u64, String> {
    Bytes::Text(text.into()).count().map_err(|expected| format!("expected {expected}"))
}

/// Bytes per second, at least one.
fn rate(text: &str) -> Result<f64, String> {
    const EXPECTED: &str = "expected a rate, e.g. \"10 GB/s\"";
    let number = text.trim().strip_suffix("/s").ok_or(EXPECTED)?;
    let rate = bytes(number).map_err(|_| EXPECTED)?;
    if rate > 0 { Ok(rate as f64) } else { Err(EXPECTED.into()) }
}

/// Seconds, infinite for "never".
fn time_or_never(text: &str) -> Result<f64, String> {
    if text.trim() == "never" {
        return Ok(f64::INFINITY);
    }
    let time = humantime::parse_duration(text).map_err(|e| format!("{e}; or \"never\""))?;
    if time.is_zero() { Err("expected a time above 0, or \"never\"".into()) } else { Ok(time.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_told_in_the_units_of_people() {
        assert_eq!(rate("10 GB/s"), Ok(1e10));
        assert_eq!(rate("1.5GiB/s"), Ok(1.5 * 1024f64.powi(3)));
        for wrong in ["10 GB", "fast", "0 B/s", "-1 GB/s", "/s", ""] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(time_or_never("5 years"), Ok(5.0 * 31_557_600.0));
        assert_eq!(time_or_never("never"), Ok(f64::INFINITY));
        assert!(time_or_never("0s").is_err() && time_or_never("often").is_err());
    }

    #[test]
    fn a_machine_of_which_nothing_is_told_is_the_usual_one() {
        let Command::Plan(plan) = Cli::parse_from(["treewave", "plan", "case.toml"]).command else { panic!() };
        assert_eq!(plan.machine, MachineOptions::default());
    }
}
