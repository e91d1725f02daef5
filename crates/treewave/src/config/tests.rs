//! What the configuration accepts and refuses.

mod documentation;
mod geometry;
mod overrides;
mod refusals;
mod resolved;
mod robustness;

use super::{Config, ConfigError, from_text};
use std::path::Path;

/// The smallest configuration: only what defines the problem.
const SMALLEST: &str = r#"
schema = 1
model.start = { builtin = "foldbelt" }
time.duration_s = 2.0
survey.sources = { x_m = [100, 200], z_m = 10 }
survey.receivers = { x_m = { start = 0, stop = 400, step = 100 }, z_m = 20 }
wavelet.peak_frequency_hz = 6.0
"#;

fn read(text: &str, overrides: &[&str]) -> Result<Config, ConfigError> {
    let overrides: Vec<String> = overrides.iter().map(|set| set.to_string()).collect();
    from_text(text, Path::new("/project"), &overrides)
}

fn accepted(text: &str, overrides: &[&str]) -> Config {
    read(text, overrides).unwrap_or_else(|error| panic!("{error}"))
}

/// All messages of a refusal.
fn refused(text: &str, overrides: &[&str]) -> Vec<String> {
    match read(text, overrides) {
        Ok(_) => panic!("accepted: {overrides:?}"),
        Err(error) => error.problems().iter().map(|problem| problem.to_string()).collect(),
    }
}
