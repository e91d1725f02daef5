//! The program.
#![forbid(unsafe_code)]

use clap::Parser;
use treewave::cli::Cli;

fn main() {
    let cli = Cli::parse();
    treewave::logging::start(&cli.common);
    treewave::commands::run(cli)
}
