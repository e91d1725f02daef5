//! The verbs, one file each.

pub mod bench;
pub mod check;
pub mod doctor;
pub mod gradcheck;
pub mod gradient;
pub mod import;
pub mod invert;
pub mod new;
pub mod pebbles;
pub mod plan;
pub mod plot;
mod scaling;
pub mod seed_pml;
pub mod simulate;
pub mod slurm;
pub mod status;

use treewave_cluster::Failure;
use treewave_inversion::ExperimentError;

use crate::cli::{Cli, Command};
use crate::config::keys::Equation;
use crate::session::Session;
use crate::study::{STOPPED, Study};

/// How a verb ended: its exit code.
pub type Outcome = Result<i32, Failure>;

/// Carries a verb out and leaves.
pub fn run(cli: Cli) -> ! {
    let common = &cli.common;
    let local = |outcome: Outcome| -> ! {
        match outcome {
            Ok(code) => std::process::exit(code),
            Err(failure) => treewave_cluster::fail(&failure),
        }
    };
    match &cli.command {
        Command::New { directory, template } => local(new::run(directory, template)),
        Command::Check { config, schema } => local(check::run(config.as_deref(), *schema, common)),
        Command::Plan(arguments) => local(plan::run(arguments, common)),
        Command::Import(arguments) => local(import::run(arguments)),
        Command::Status { run, json } => local(status::run(run, *json)),
        Command::Plot(arguments) => local(plot::run(arguments)),
        Command::Pebbles(arguments) => local(pebbles::run(arguments)),
        Command::Bench(arguments) => local(bench::run(arguments, common)),
        Command::Slurm(arguments) => local(slurm::run(arguments, common)),
        Command::Doctor { json } => local(doctor::run(*json)),
        Command::Simulate { config, o, model } => {
            computing(config, common, |session, study| match study.config.physics.equation {
                Equation::Acoustic => simulate::run(session, study, o.as_deref(), *model),
                Equation::SeedPml => seed_pml::simulate(session, study, o.as_deref(), *model),
            })
        }
        Command::Gradient { config, o } => {
            computing(config, common, |session, study| match study.config.physics.equation {
                Equation::Acoustic => gradient::run(session, study, o.as_deref()),
                Equation::SeedPml => seed_pml::gradient(session, study, o.as_deref()),
            })
        }
        Command::Gradcheck { config, json } => {
            computing(config, common, |session, study| match study.config.physics.equation {
                Equation::Acoustic => gradcheck::run(session, study, *json),
                Equation::SeedPml => seed_pml::gradcheck(session, study, *json),
            })
        }
        Command::Invert { config, how } => {
            computing(config, common, |session, study| match study.config.physics.equation {
                Equation::Acoustic => invert::run(session, study, *how),
                Equation::SeedPml => Err(seed_pml::no_inversion().into()),
            })
        }
    }
}

/// Starts ranks and threads, carries a verb out on all of them, and leaves together.
fn computing(
    config: &std::path::Path,
    common: &crate::cli::Common,
    verb: impl FnOnce(&Session, &Study) -> Result<i32, ExperimentError>,
) -> ! {
    treewave_cluster::install_panic_hook();
    let (session, study) = match Session::start(config, common) {
        Ok(started) => started,
        Err(failure) => treewave_cluster::fail(&failure),
    };
    let outcome = match study {
        Ok(study) => {
            study.notes.iter().for_each(|note| session.progress.line(&format!("note: {note}")));
            verb(&session, &study)
        }
        Err(failure) => Err(failure.into()),
    };
    session.progress.finish();
    let outcome = match outcome {
        Ok(code) => Ok(code),
        Err(ExperimentError::Stopped) => {
            session.progress.line("stopped on request; run the same command again to go on");
            Ok(STOPPED)
        }
        Err(ExperimentError::Failed(failure) | ExperimentError::Rejected(failure)) => Err(failure),
    };
    treewave_cluster::finish(session.cluster, outcome)
}

/// Calls a function that is generic over the scalar with the one of the configuration.
macro_rules! with_precision {
    ($study:expr, $function:ident($($argument:expr),*)) => {
        match $study.config.physics.precision {
            crate::config::keys::Precision::F32 => $function::<f32>($($argument),*),
            crate::config::keys::Precision::F64 => $function::<f64>($($argument),*),
        }
    };
}
pub(crate) use with_precision;

/// Prints a JSON object on standard output.
fn print_json(value: &serde_json::Value) {
    println!("{value:#}");
}
