//! The program.
#![forbid(unsafe_code)]

use clap::Parser;
use treewave::cli::Cli;

fn main() {
    #[cfg(feature = "failpoints")]
    let _failpoints = treewave::failpoints::set_up();
    treewave_cluster::return_freed_memory();
    let cli = Cli::parse();
    treewave::logging::start(&cli.common);
    treewave::commands::run(cli)
}
