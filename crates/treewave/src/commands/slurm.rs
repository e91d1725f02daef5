//! `treewave slurm`: a job script for an inversion, filled in from its plan.

use std::path::Path;
use std::time::Duration;

use treewave_cluster::Failure;

use super::Outcome;
use super::plan::plan_stages;
use super::scaling::Scaling;
use crate::cli::{Common, MachineOptions, Slurm};
use crate::config::keys::Equation;
use crate::session::load_config;
use crate::study::{Study, misconfigured, unwritable};

/// The script, as it stands in the repository for other configurations.
const TEMPLATE: &str = include_str!("../../../../jobs/invert.sbatch");
/// What is asked for beside the planned memory: one part in this many.
const SPARE_MEMORY: u64 = 10;
/// How much longer than planned a run may take: nodes differ, and line searches need more than one gradient at times.
const SPARE_TIME: f64 = 1.5;
/// Longer runs are several allocations.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Shorter ones are not worth a thought.
const SHORTEST: Duration = Duration::from_secs(600);
/// How long before the end the script asks to stop (`--signal` of the template).
const SIGNAL: Duration = Duration::from_secs(300);
/// Slurm may be that much earlier.
const SIGNAL_IS_EARLY: Duration = Duration::from_secs(60);

/// Carries the verb out.
///
/// # Errors
/// Code 2 for a configuration or budget that cannot be, 3 for data, 5 for a file that cannot be written.
pub fn run(arguments: &Slurm, common: &Common) -> Outcome {
    let study = Study::load(load_config(&arguments.config, common)?)?;
    if study.config.physics.equation != Equation::Acoustic {
        return Err(misconfigured("physics.equation: a job script is for inversions, and this equation has none"));
    }
    let (nodes, per_node) = (u64::from(arguments.nodes), u64::from(arguments.ranks_per_node));
    let threads = study.config.threads_per_rank.unwrap_or(usize::from(arguments.cpus_per_rank));
    let ranks = (nodes * per_node) as usize;
    let stages = plan_stages(&study, [ranks, threads], false)?;
    let config = std::path::absolute(&arguments.config).map_err(misconfigured)?;
    let script = fill_in(&Job {
        name: &study.config.run.name,
        config: &config,
        nodes,
        per_node,
        cpus: u64::from(arguments.cpus_per_rank),
        memory_bytes: stages.iter().map(|stage| stage.memory.of_inversion()).max().unwrap_or(0),
        seconds: match arguments.time {
            Some(time) => asked(time)?,
            None => {
                let machine = MachineOptions { ranks_per_node: arguments.ranks_per_node, ..MachineOptions::default() };
                let every = Duration::from_secs_f64(study.config.output.ledger_every_s);
                let seconds = |p| Scaling::new(p, ranks, every, &machine).prediction.seconds_without_failures;
                let evaluations = study.config.stages.iter().map(|stage| stage.evaluations() as f64);
                limit(evaluations.zip(stages.iter().map(seconds)).map(|(times, seconds)| times * seconds).sum())
            }
        },
    })?;
    match &arguments.o {
        Some(file) => treewave_storage::write_text(file, &script).map_err(unwritable)?,
        None => print!("{script}"),
    }
    Ok(0)
}

/// The time limit of a run that takes so long, with time to spare, and that of the signal.
fn limit(run_s: f64) -> f64 {
    let signal_s = (SIGNAL + SIGNAL_IS_EARLY).as_secs_f64();
    (SPARE_TIME * run_s + signal_s).clamp(SHORTEST.as_secs_f64(), LONGEST.as_secs_f64())
}

/// The limit that was asked for, if the signal leaves anything of it.
fn asked(time: Duration) -> Result<f64, Failure> {
    let least = SIGNAL + SIGNAL_IS_EARLY;
    if time <= least {
        return Err(misconfigured(format!(
            "--time must be more than {} minutes: the script is asked to stop {} minutes before the end, \
             or a minute earlier",
            least.as_secs() / 60,
            SIGNAL.as_secs() / 60
        )));
    }
    Ok(time.as_secs_f64())
}

/// What is filled in.
struct Job<'a> {
    name: &'a str,
    config: &'a Path,
    nodes: u64,
    per_node: u64,
    cpus: u64,
    /// Of a rank.
    memory_bytes: u64,
    seconds: f64,
}

fn fill_in(job: &Job) -> Result<String, Failure> {
    let Job { name, config, nodes, per_node, cpus, memory_bytes, seconds } = job;
    let mebibytes = ((memory_bytes + memory_bytes / SPARE_MEMORY) * per_node).div_ceil(1 << 20);
    let minutes = (seconds / 60.0).ceil() as u64;
    let time = format!("{:02}:{:02}:00", minutes / 60, minutes % 60);
    let name: String = name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
    let config = config.to_str().filter(|text| !text.contains(['\'', '\n']));
    let config =
        config.ok_or_else(|| misconfigured("the path of the configuration does not fit into a shell script"))?;
    let lines = [
        ("#SBATCH --job-name=", name),
        ("#SBATCH --nodes=", nodes.to_string()),
        ("#SBATCH --ntasks-per-node=", per_node.to_string()),
        ("#SBATCH --cpus-per-task=", cpus.to_string()),
        ("#SBATCH --mem=", format!("{mebibytes}M")),
        ("#SBATCH --time=", time),
        ("CONFIG=", format!("'{config}'")),
    ];
    let fill = |line: &str| {
        let known = lines.iter().find(|(begin, _)| line.starts_with(begin));
        known.map_or_else(|| format!("{line}\n"), |(begin, value)| format!("{begin}{value}\n"))
    };
    Ok(TEMPLATE.lines().map(fill).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_ends_before_its_signal_comes() {
        assert!(TEMPLATE.contains(&format!("#SBATCH --signal=B:USR1@{}\n", SIGNAL.as_secs())));
        assert_eq!(limit(10.0), 600.0);
        assert_eq!(limit(400.0), 960.0);
        assert_eq!(limit(1e6), 86400.0);
        assert_eq!(asked(Duration::from_secs(360)).unwrap_err().code(), 2);
        assert_eq!(asked(Duration::from_secs(420)).unwrap(), 420.0);
    }

    #[test]
    fn every_blank_of_the_script_is_filled_in_and_the_rest_stays() {
        let job = Job {
            name: "my run",
            config: Path::new("/data/my run.toml"),
            nodes: 3,
            per_node: 4,
            cpus: 8,
            memory_bytes: 1000 << 20,
            seconds: 3661.0,
        };
        let script = fill_in(&job).unwrap();
        let filled = [
            "#SBATCH --job-name=my-run",
            "#SBATCH --nodes=3",
            "#SBATCH --ntasks-per-node=4",
            "#SBATCH --cpus-per-task=8",
            "#SBATCH --mem=4400M",
            "#SBATCH --time=01:02:00",
            "CONFIG='/data/my run.toml'",
        ];
        for line in filled {
            assert_eq!(script.lines().filter(|found| *found == line).count(), 1, "{line}\n{script}");
        }
        let same = script.lines().zip(TEMPLATE.lines()).filter(|(a, b)| a == b).count();
        assert_eq!(same + filled.len(), TEMPLATE.lines().count());
        let quoted = Job { config: Path::new("/it's.toml"), ..job };
        assert_eq!(fill_in(&quoted).unwrap_err().code(), 2);
    }
}
