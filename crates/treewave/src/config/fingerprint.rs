//! Which keys define a result, for the check before a run goes on.

use super::Config;
use toml::Value;

/// Whether a key may have another value when a run goes on: how long it runs, how the work is organised, what is written
/// where. All other keys define the result.
///
/// ```
/// use treewave::config::may_change;
/// assert!(may_change("stage.1.iterations") && may_change("reversal.strategy") && may_change("run.output"));
/// assert!(!may_change("stage.1.lowpass_hz") && !may_change("physics.space_order") && !may_change("run.name"));
/// ```
pub fn may_change(key: &str) -> bool {
    let (table, rest) = key.split_once('.').unwrap_or((key, ""));
    let last = key.rsplit('.').next().unwrap_or(key);
    match table {
        "reversal" | "parallel" | "output" => true,
        "run" => rest == "output",
        "optimizer" | "stage" => matches!(last, "iterations" | "max_evaluations"),
        _ => false,
    }
}

/// Keys whose value is a path.
fn is_path(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    matches!(last, "file" | "observed") || matches!(key, "model.start.run" | "model.true.run")
}

impl Config {
    /// The keys that define the result with their values, defaults filled in, sorted by key; two runs with equal lists and
    /// equal input files give the same bits.
    ///
    /// Of a path only the file name stands in the list, so that a project may move; compare the contents by their hash.
    pub fn physics_fingerprint(&self) -> Vec<(String, String)> {
        let resolved = Value::try_from(&self.resolved).expect("a configuration that was read from TOML can be written");
        let mut list = Vec::new();
        flatten(&resolved, "", &mut list);
        // Inversion has an arithmetic of its own.
        let inverted = |key: &str, value: &str| key == "reversal.strategy" && value == "inversion";
        list.retain(|(key, value)| !may_change(key) || inverted(key, value));
        list.sort();
        list
    }
}

fn flatten(value: &Value, key: &str, list: &mut Vec<(String, String)>) {
    match value {
        Value::Table(table) => {
            for (name, below) in table {
                flatten(below, &super::document::join(key, name), list);
            }
        }
        Value::Array(entries) if entries.iter().any(Value::is_table) => {
            for (i, below) in entries.iter().enumerate() {
                flatten(below, &format!("{key}.{i}"), list);
            }
        }
        Value::String(path) if is_path(key) => {
            let name =
                std::path::Path::new(path).file_name().map_or(path.as_str().into(), |name| name.to_string_lossy());
            list.push((key.into(), name.into_owned()));
        }
        Value::String(text) => list.push((key.into(), text.clone())),
        other => list.push((key.into(), other.to_string())),
    }
}
