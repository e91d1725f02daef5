//! `treewave new`: a configuration to begin with.

use std::path::Path;

use treewave_storage::write_text;

use super::Outcome;
use crate::config::templates::{TEMPLATES, template};
use crate::study::{misconfigured, unwritable};

/// Carries the verb out.
///
/// # Errors
/// Code 2 for an unknown template or a directory that exists, 5 if it cannot be written.
pub fn run(directory: &Path, name: &str) -> Outcome {
    let Some(template) = template(name) else {
        let known: Vec<String> = TEMPLATES.iter().map(|t| format!("\n  {:12} {}", t.name, t.summary)).collect();
        return Err(misconfigured(format!("there is no template {name:?}; there are{}", known.concat())));
    };
    if directory.exists() {
        return Err(misconfigured(format!(
            "{}: exists already; give the name of a new directory",
            directory.display()
        )));
    }
    std::fs::create_dir_all(directory).map_err(|e| unwritable(format!("{}: {e}", directory.display())))?;
    let file = directory.join(format!("{name}.toml"));
    write_text(&file, template.text).map_err(unwritable)?;
    println!("{}", file.display());
    if let Some(model) = template.needs {
        println!(
            "Needs the model file {model}: put its path into [model] (any raw file becomes one with `treewave import`)."
        );
    }
    println!("Next:\n  treewave check {0}\n  mpirun -n 2 treewave invert {0}", file.display());
    Ok(0)
}
