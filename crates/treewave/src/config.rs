//! The configuration of a run: what was typed → validated values.
//!
//! A TOML file and the overrides of the command line become one table ([`load`]); the table is checked against the schema
//! that is generated from the structs of [`keys`], and turned into the validated values of [`sections`]. Everything that
//! is wrong is told at once, with file, line, key, what was found, what was expected and what to do. Checks that need
//! data (does the dataset exist, do the positions lie in the model) come later.
//!
//! Paths are relative to the folder of the file, in overrides as well. `docs/configuration.md` lists all keys.
//!
//! ```
//! let text = r#"
//!     schema = 1
//!     model.start = { builtin = "foldbelt" }
//!     time.duration_s = 2.0
//!     survey.sources = { x_m = { start = 100, stop = 5900, count = 12 }, z_m = 10 }
//!     survey.receivers = { x_m = { start = 0, stop = 5980, step = 20 }, z_m = 20 }
//!     wavelet.peak_frequency_hz = 6.0
//! "#;
//! let config = treewave::config::from_text(text, std::path::Path::new("."), &["time.record_s=0.002".into()])?;
//! assert_eq!(config.time.samples, 1001);
//! # Ok::<(), treewave::config::ConfigError>(())
//! ```

mod document;
pub mod error;
mod fingerprint;
pub mod geometry;
pub mod keys;
mod report;
mod resolve;
mod schema;
pub mod sections;
pub mod templates;
#[cfg(test)]
mod tests;
pub mod values;

pub use error::{ConfigError, Fact, Place, Problem};
pub use fingerprint::may_change;
pub use resolve::MOST_STEPS;
pub use schema::{schema, schema_json};

use error::Fact::Syntax;
use report::Report;
use resolve::Surroundings;
use sections::{
    DataSource, ModelSource, Optimizer, Precondition, Reversal, Run, Stage, SurveySource, Time, WaveletSource,
};
use serde::Deserialize;
use std::io::Read;
use std::path::Path;

/// Names that `builtin` may have in `[model]`; `constant` is one velocity everywhere.
pub const BUILTIN_MODELS: [&str; 6] = ["foldbelt", "layers", "lens", "circle", "three-layers", "constant"];

/// A million coordinates of sources and of receivers fit in.
const LONGEST_BYTES: u64 = 1 << 26;

/// A complete, validated configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name and place of the results.
    pub run: Run,
    /// Model that the inversion starts from.
    pub start: ModelSource,
    /// True model of a synthetic study.
    pub truth: Option<ModelSource>,
    /// The wave equation and its discretisation.
    pub physics: keys::Physics,
    /// Edges of the model.
    pub boundary: keys::Boundary,
    /// Duration and sampling.
    pub time: Time,
    /// Sources and receivers.
    pub survey: SurveySource,
    /// Source time function.
    pub wavelet: WaveletSource,
    /// Observed data; `None` is enough for `simulate`.
    pub data: Option<DataSource>,
    /// How predicted and observed data are compared.
    pub misfit: keys::MisfitKind,
    /// How the wavefield history is visited backwards.
    pub reversal: Reversal,
    /// How records are kept.
    pub records: keys::Records,
    /// What is inverted for, and how.
    pub optimizer: Optimizer,
    /// Treatment of the gradient.
    pub precondition: Precondition,
    /// The stages of the inversion, at least one.
    pub stages: Vec<Stage>,
    /// Threads of each rank; `None`: the processors of the rank.
    pub threads_per_rank: Option<usize>,
    /// Shots that a rank computes side by side; `None`: the fastest by measured costs.
    pub shots_at_once: Option<usize>,
    /// What is written beside the run file.
    pub output: keys::Output,
    /// What is allowed but deserves a word.
    pub notes: Vec<String>,
    resolved: keys::FileConfig,
}

/// Reads a configuration file and applies overrides (`time.duration_s=2.5`, `stage.0.iterations=5`) in order.
///
/// # Errors
/// [`ConfigError::Read`] if the file cannot be read, [`ConfigError::Invalid`] with all that is wrong in it.
pub fn load(path: &Path, overrides: &[String]) -> Result<Config, ConfigError> {
    let unreadable = |source| ConfigError::Read { path: path.to_path_buf(), source };
    let text = read_text(path).map_err(unreadable)?;
    let absolute = std::path::absolute(path).map_err(unreadable)?;
    let folder = absolute.parent().unwrap_or(&absolute);
    let name = path.file_stem().map_or("treewave".into(), |stem| stem.to_string_lossy());
    let variable = |name: &str| std::env::var(name).ok();
    let around = Surroundings { folder, name: &name, variable: &variable };
    parse(&text, &path.to_string_lossy(), &around, overrides)
}

/// The text of a file; a device or another file without end is not read to its end.
fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(LONGEST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST_BYTES {
        return Err(std::io::Error::other(format!("it has more than {LONGEST_BYTES} bytes")));
    }
    Ok(text)
}

/// The same from a text; paths are relative to `folder`.
///
/// # Errors
/// [`ConfigError::Invalid`] with all that is wrong.
pub fn from_text(text: &str, folder: &Path, overrides: &[String]) -> Result<Config, ConfigError> {
    let folder =
        std::path::absolute(folder).map_err(|source| ConfigError::Read { path: folder.to_path_buf(), source })?;
    let variable = |name: &str| std::env::var(name).ok();
    let around = Surroundings { folder: &folder, name: "treewave", variable: &variable };
    parse(text, "configuration", &around, overrides)
}

fn parse(text: &str, file: &str, around: &Surroundings, overrides: &[String]) -> Result<Config, ConfigError> {
    let mut report = Report::new(file);
    let Some(mut table) = document::read(text, overrides, &mut report) else {
        return Err(ConfigError::Invalid(report.into_problems()));
    };
    schema::check(&mut table, &mut report);
    let config = match keys::FileConfig::deserialize(toml::Value::Table(table)) {
        Ok(typed) => resolve::resolve(typed, around, &mut report),
        Err(error) => {
            // The walk over the schema has said it better, unless the two ever disagree.
            if report.problems().is_empty() {
                report.add_at(Place::File, Syntax { message: error.message().trim().to_string() });
            }
            None
        }
    };
    match config {
        Some(config) if report.problems().is_empty() => Ok(config),
        _ => Err(ConfigError::Invalid(report.into_problems())),
    }
}

impl Config {
    /// The configuration with all defaults filled in and all paths absolute, as TOML text; read back it gives the same
    /// configuration.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.resolved).expect("every value of a configuration that was read from TOML can be written")
    }

    /// Lowest and highest velocity in m/s that the inversion may use: those of the configuration, or 0.75 times the lowest
    /// and 1.25 times the highest velocity of the start model.
    pub fn vp_bounds_m_per_s(&self, start_range_m_per_s: (f64, f64)) -> [f64; 2] {
        let (low, high) = start_range_m_per_s;
        self.optimizer.vp_bounds_m_per_s.unwrap_or([0.75 * low, 1.25 * high])
    }
}
