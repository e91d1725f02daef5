//! What is wrong with a configuration.

use std::path::PathBuf;
use thiserror::Error;

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}; give the path of a configuration file (`treewave new DIR` writes one)", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file was read; everything that is wrong with it.
    #[error("{}", listed(.0))]
    Invalid(Vec<Problem>),
}

impl ConfigError {
    /// The problems found in the text; none if the file could not be read.
    pub fn problems(&self) -> &[Problem] {
        match self {
            ConfigError::Read { .. } => &[],
            ConfigError::Invalid(problems) => problems,
        }
    }
}

fn listed(problems: &[Problem]) -> String {
    match problems {
        [one] => one.to_string(),
        many => {
            let lines: String = many.iter().map(|p| format!("\n  {p}")).collect();
            format!("{} problems in the configuration:{lines}", many.len())
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{}{fact}", located(file, place, key))]
pub struct Problem {
    /// The configuration file, as it was named.
    pub file: String,
    /// Where the value comes from.
    pub place: Place,
    /// The dotted key, e.g. `physics.space_order`; entries of lists are numbered from 0 (`stage.0.iterations`).
    pub key: String,
    /// What is wrong.
    pub fact: Fact,
}

fn located(file: &str, place: &Place, key: &str) -> String {
    let mut text = match place {
        Place::Line(line) => format!("{file}:{line}: "),
        Place::Override(set) => format!("--set {set}: "),
        Place::File => format!("{file}: "),
    };
    if !key.is_empty() {
        text += &format!("{key}: ");
    }
    text
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// A line of the file, from 1.
    Line(usize),
    /// An override of the command line, as it was typed.
    Override(String),
    /// The file as a whole.
    File,
}

/// What is wrong with a key or its value.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Fact {
    /// The text is not TOML.
    #[error("not valid TOML: {message}")]
    Syntax {
        /// What the parser said.
        message: String,
    },
    /// An override that cannot be applied.
    #[error("{message}; expected key=value, for example --set time.duration_s=2.5")]
    Override {
        /// What is wrong with it.
        message: String,
    },
    /// There is no such key.
    #[error("unknown key; {}", suggestion(nearest, known))]
    UnknownKey {
        /// The key that was probably meant.
        nearest: Option<String>,
        /// The keys that may stand here.
        known: Vec<String>,
    },
    /// A key that defines the problem is not there.
    #[error("missing; expected {expected} ({meaning})")]
    Missing {
        /// What kind of value.
        expected: String,
        /// What the key is for.
        meaning: String,
    },
    /// The value is of another kind.
    #[error("found {found}, expected {expected}")]
    Type {
        /// The value.
        found: String,
        /// What kind of value may stand here.
        expected: String,
    },
    /// The number, or the length of a list, is outside its range.
    #[error("found {found}, expected {expected}")]
    Range {
        /// The value.
        found: String,
        /// The range.
        expected: String,
    },
    /// The word is not one of those known.
    #[error("found \"{found}\"; {}", suggestion(nearest, known))]
    Choice {
        /// The word.
        found: String,
        /// The word that was probably meant.
        nearest: Option<String>,
        /// The words known.
        known: Vec<String>,
    },
    /// The value contradicts another one, or cannot be used as it stands.
    #[error("{found}; expected {expected}; {advice}")]
    Rule {
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
        /// What to do.
        advice: String,
    },
}

fn suggestion(nearest: &Option<String>, known: &[String]) -> String {
    let list = || known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if known.is_empty() => "nothing may stand here".into(),
        None => format!("known are {}", list()),
    }
}
