//! The program.
#![forbid(unsafe_code)]

use clap::Parser;
use treewave::cli::Cli;

fn main() {
    treewave_cluster::return_freed_memory();
    let cli = Cli::parse();
    treewave::logging::start(&cli.common);
    treewave::commands::run(cli)
}
