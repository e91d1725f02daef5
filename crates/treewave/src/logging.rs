//! Where log lines go.

use std::io::Write;

use env_logger::{Builder, Target};
use log::LevelFilter;

use crate::cli::Common;

/// Sets the logger up: warnings and errors on standard error, more with `-v`; everything also into `--log FILE`.
///
/// A file that cannot be written is told and left out: it must not cost a result.
pub fn start(common: &Common) {
    let level = match (common.quiet, common.verbose) {
        (true, _) => LevelFilter::Error,
        (_, 0) => LevelFilter::Warn,
        (_, 1) => LevelFilter::Info,
        _ => LevelFilter::Debug,
    };
    let mut builder = Builder::new();
    builder.filter_level(level).parse_default_env();
    builder.format(|to, record| writeln!(to, "{}: {}", record.level().as_str().to_lowercase(), record.args()));
    if let Some(path) = &common.log {
        match std::fs::File::options().create(true).append(true).open(path) {
            Ok(file) => {
                builder.filter_level(level.max(LevelFilter::Debug));
                builder.target(Target::Pipe(Box::new(file)));
            }
            Err(error) => eprintln!("warning: --log {}: {error}; the log goes to the terminal", path.display()),
        }
    }
    builder.init();
}
