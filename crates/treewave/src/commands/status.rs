//! `treewave status`: how far a run is.

use std::path::Path;

use serde_json::Value;

use super::Outcome;
use crate::study::{bad_data, misconfigured};

/// Carries the verb out; reads one small text file, so it works from any node while the run goes on.
///
/// # Errors
/// Code 2 if this is no run directory, 3 if its status cannot be read.
pub fn run(directory: &Path, as_json: bool) -> Outcome {
    let file = directory.join("status.json");
    let text = std::fs::read_to_string(&file).map_err(|e| {
        misconfigured(format!("{}: {e}; give the output directory of a run (key run.output)", file.display()))
    })?;
    let status: Value = serde_json::from_str(&text).map_err(|e| bad_data(format!("{}: {e}", file.display())))?;
    if as_json {
        println!("{status:#}");
        return Ok(0);
    }
    let number = |key: &str| status[key].as_f64();
    println!("state       {}", status["state"].as_str().unwrap_or("?"));
    println!("stage       {}", status["stage"]);
    println!("iteration   {}", status["iteration"]);
    println!("misfit      {}", number("misfit").map_or("?".into(), |misfit| format!("{misfit:.6e}")));
    if let Some(error) = number("model_error") {
        println!("model error {error:.4}");
    }
    println!("shots       {} of {}", status["shots_done"], status["shots_total"]);
    println!("seconds     {:.0}", number("seconds").unwrap_or(0.0));
    Ok(0)
}
