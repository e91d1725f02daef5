//! One process at a time works in a run's output directory.
//!
//! `run.lock` is locked with the system's own file lock (flock), which ends with the process that holds it, however that
//! ends. It says who holds it, for the one who is refused.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use treewave_cluster::Failure;
use treewave_storage::utc_text;

use crate::study::unwritable;

/// The lock of a run, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct RunLock {
    file: File,
}

impl RunLock {
    /// Refuses a directory that another process works in, and leaves it as it is.
    ///
    /// # Errors
    /// Code 5 if another process has the lock, with its host and number.
    pub fn check(output: &Path) -> Result<(), Failure> {
        match File::open(output.join("run.lock")) {
            Ok(mut file) => lock(&mut file, output).map(drop),
            Err(_) => Ok(()),
        }
    }

    /// Takes the lock of an output directory, which is made if it is not there, and removes what writers that were killed have
    /// left in it.
    ///
    /// # Errors
    /// Code 5 if another process has it, with its host and number, or the directory cannot be written.
    pub fn take(output: &Path) -> Result<RunLock, Failure> {
        let path = output.join("run.lock");
        let failed = |e: std::io::Error| unwritable(format!("{}: {e}", path.display()));
        fs::create_dir_all(output).map_err(|e| unwritable(format!("{}: {e}", output.display())))?;
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(failed)?;
        let holder = lock(&mut file, output)?;
        if holder.is_object() {
            log::info!("{}: an earlier process was killed ({})", output.display(), describe(&holder));
        }
        let mut lock = RunLock { file };
        lock.say(&own().to_string()).map_err(failed)?;
        remove_left_overs(output);
        Ok(lock)
    }

    fn say(&mut self, text: &str) -> std::io::Result<()> {
        self.file.rewind()?;
        self.file.set_len(0)?;
        self.file.write_all(text.as_bytes())
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // An empty file says that the process ended in order.
        let _ = self.say("");
    }
}

/// Locks the file of an output directory; who has held it last, unless that one ended in order.
fn lock(file: &mut File, output: &Path) -> Result<Value, Failure> {
    let locked = file.try_lock();
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    let holder: Value = serde_json::from_str(&text).unwrap_or_default();
    match locked {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(unwritable(format!(
                "{}: another process works in this directory ({}); wait for it, stop it, or choose another --output",
                output.display(),
                describe(&holder)
            )));
        }
        // There are file systems without locks.
        Err(TryLockError::Error(error)) => log::warn!("{}: it cannot be locked: {error}", output.display()),
    }
    Ok(holder)
}

fn own() -> Value {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    json!({
        "host": host.trim(),
        "process": std::process::id(),
        "job": std::env::var("SLURM_JOB_ID").ok(),
        "since": utc_text(std::time::SystemTime::now()),
    })
}

fn describe(holder: &Value) -> String {
    let word = |key: &str| match &holder[key] {
        Value::String(text) => text.clone(),
        Value::Null => "unknown".into(),
        other => other.to_string(),
    };
    let job = holder["job"].as_str().map_or(String::new(), |job| format!(", job {job}"));
    format!("process {} on {}{job}, since {}", word("process"), word("host"), word("since"))
}

/// Files under temporary names, of writers that were killed: nobody else writes here now.
fn remove_left_overs(output: &Path) {
    let mut folders = vec![output.to_path_buf(), output.join("restart"), output.join("iterations")];
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    folders.extend(entries(&output.join("restart").join("ledger")));
    let temporary = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with('.') && name.ends_with(".tmp"))
    };
    for path in folders.iter().flat_map(|folder| entries(folder)).filter(temporary) {
        match fs::remove_file(&path) {
            Ok(()) => log::info!("{}: left by a process that was killed; removed", path.display()),
            Err(error) => log::warn!("{}: {error}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("runs/one");
        let first = RunLock::take(&output).unwrap();
        let refusal = RunLock::take(&output).unwrap_err();
        assert_eq!(refusal.code(), 5);
        let process = format!("process {} on", std::process::id());
        assert!(refusal.message().contains(&process), "{}", refusal.message());
        drop(first);
        assert_eq!(fs::read_to_string(output.join("run.lock")).unwrap(), "");
        drop(RunLock::take(&output).unwrap());
    }

    #[test]
    fn what_killed_writers_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path();
        let ledger = output.join("restart/ledger/0123");
        fs::create_dir_all(&ledger).unwrap();
        let gone =
            [output.join(".run.h5.77-1.tmp"), output.join("restart/.a.rst.9-0.tmp"), ledger.join(".0.sum.9-0.tmp")];
        let kept =
            [output.join("run.h5"), output.join("notes.tmp"), output.join("restart/a.rst"), ledger.join("0.sum")];
        gone.iter().chain(&kept).for_each(|path| fs::write(path, "x").unwrap());
        let _lock = RunLock::take(output).unwrap();
        assert!(gone.iter().all(|path| !path.exists()) && kept.iter().all(|path| path.exists()));
    }
}
