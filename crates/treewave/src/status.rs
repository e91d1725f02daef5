//! `status.json` in the output directory of a run: how far it is, for `treewave status` on any node.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use treewave_storage::{StorageError, write_text};

/// The file is written no more often than this while shots are counted.
const PAUSE: Duration = Duration::from_secs(1);

/// The file and what it says; nothing is written before [`publish`](Self::publish) has named it.
#[derive(Debug, Default)]
pub struct StatusFile {
    path: Option<PathBuf>,
    run: Map<String, Value>,
    shots_done: usize,
    shots_total: usize,
    written: Option<Instant>,
}

impl StatusFile {
    /// Writes what there is to say about the run, with the shots of the evaluation under way.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn publish(&mut self, path: PathBuf, run: Map<String, Value>) -> Result<(), StorageError> {
        (self.path, self.run) = (Some(path), run);
        self.write()
    }

    /// Takes note of the shots of the evaluation under way that all ranks have finished.
    pub fn count(&mut self, done: usize, total: usize) {
        (self.shots_done, self.shots_total) = (done, total);
        let due = self.written.is_none_or(|written| written.elapsed() >= PAUSE);
        if due && let Err(error) = self.write() {
            // The next iteration writes the file again, and fails if it still cannot be written.
            log::warn!("{error}");
        }
    }

    fn write(&mut self) -> Result<(), StorageError> {
        let Some(path) = &self.path else { return Ok(()) };
        self.written = Some(Instant::now());
        let mut status = self.run.clone();
        status.insert("shots_done".into(), self.shots_done.into());
        status.insert("shots_total".into(), self.shots_total.into());
        write_text(path, &Value::from(status).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shots(path: &std::path::Path) -> Vec<u64> {
        let text = std::fs::read_to_string(path).expect("the file is there");
        let status: Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(status["state"], "running");
        ["shots_done", "shots_total"].map(|key| status[key].as_u64().expect("a number")).to_vec()
    }

    #[test]
    fn shots_are_written_with_the_run_at_once_and_while_they_are_counted_after_a_pause() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("status.json");
        let mut status = StatusFile::default();
        status.count(3, 12);
        assert!(!path.exists(), "nothing is written before the file has a name");
        let run = Map::from_iter([("state".to_string(), Value::from("running"))]);
        status.publish(path.clone(), run).expect("the folder can be written");
        assert_eq!(shots(&path), [3, 12]);
        status.count(4, 12);
        assert_eq!(shots(&path), [3, 12]);
        status.written = status.written.and_then(|written| written.checked_sub(PAUSE));
        status.count(5, 12);
        assert_eq!(shots(&path), [5, 12]);
    }
}
