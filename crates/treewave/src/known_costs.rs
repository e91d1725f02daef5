//! Measured costs, kept from run to run: what is the same on the same machine need not be measured again, and the same
//! costs give the same plan.
//!
//! They are in `treewave/costs.json` in the user's cache directory, and in no other place of importance: the file may be
//! deleted at any time, and a directory that cannot be written means that costs are measured each time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use treewave_reversal::StepCosts;

/// Costs of more seconds ago are measured again: machines change.
const OLDEST_S: u64 = 30 * 24 * 3600;

/// Costs in s, as in [`StepCosts`], and when they were measured, in s since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    advance: f64,
    record: f64,
    pull_back: f64,
    write: f64,
    read: f64,
    measured: u64,
}

type Entries = BTreeMap<String, Entry>;

/// The costs that this user's runs have measured.
#[derive(Clone, Debug)]
pub struct KnownCosts {
    /// Where they are kept; nowhere for a user without a cache directory.
    file: Option<PathBuf>,
    /// Whether what is known is measured again.
    measure_anew: bool,
}

impl KnownCosts {
    /// Those in the user's cache directory.
    pub fn of_user(measure_anew: bool) -> Self {
        KnownCosts { file: dirs::cache_dir().map(|cache| cache.join("treewave").join("costs.json")), measure_anew }
    }

    /// The costs that were measured under a name.
    pub fn find(&self, name: &str) -> Option<StepCosts> {
        let file = self.file.as_ref().filter(|_| !self.measure_anew)?;
        let entry = *entries(file).get(name)?;
        let Entry { advance, record, pull_back, write, read, measured } = entry;
        (now() < measured + OLDEST_S).then_some(StepCosts { advance, record, pull_back, write, read })
    }

    /// Keeps costs under a name. Where that does not work nothing is lost but the time to measure again.
    pub fn keep(&self, name: &str, costs: StepCosts) {
        let Some(file) = &self.file else { return };
        let StepCosts { advance, record, pull_back, write, read } = costs;
        let mut all = entries(file);
        all.retain(|_, entry| now() < entry.measured + OLDEST_S);
        all.insert(name.to_string(), Entry { advance, record, pull_back, write, read, measured: now() });
        if let Err(error) = publish(file, &all) {
            log::debug!("{}: measured costs are not kept: {error}", file.display());
        }
    }
}

/// What the file has; nothing if it is not there or not ours.
fn entries(file: &Path) -> Entries {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Replaces the file as a whole: another run may be reading it.
fn publish(file: &Path, entries: &Entries) -> std::io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let new = tempfile::NamedTempFile::new_in(directory)?;
    serde_json::to_writer_pretty(&new, entries)?;
    new.persist(file)?;
    Ok(())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: StepCosts = StepCosts { advance: 1e-4, record: 0.1 + 0.2, pull_back: 3e-4, write: 0.0, read: 1e-300 };

    fn known(file: PathBuf) -> KnownCosts {
        KnownCosts { file: Some(file), measure_anew: false }
    }

    #[test]
    fn costs_are_found_again_to_the_bit_under_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let known = known(folder.path().join("deeper").join("costs.json"));
        assert_eq!(known.find("one"), None);
        known.keep("one", COSTS);
        known.keep("two", StepCosts { advance: 2.0, ..COSTS });
        assert_eq!(known.find("one"), Some(COSTS));
        assert_eq!(known.find("two").unwrap().advance, 2.0);
        assert_eq!(known.find("three"), None);
        let anew = KnownCosts { measure_anew: true, ..known.clone() };
        assert_eq!(anew.find("one"), None);
        anew.keep("one", StepCosts { advance: 3.0, ..COSTS });
        assert_eq!(known.find("one").unwrap().advance, 3.0);
    }

    #[test]
    fn costs_of_long_ago_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("costs.json");
        let known = known(file.clone());
        known.keep("old", COSTS);
        let mut all = entries(&file);
        all.get_mut("old").unwrap().measured -= OLDEST_S + 1;
        publish(&file, &all).unwrap();
        assert_eq!(known.find("old"), None);
        known.keep("new", COSTS);
        assert_eq!(entries(&file).len(), 1);
    }

    #[test]
    fn a_file_that_is_damaged_or_cannot_be_written_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("costs.json");
        std::fs::write(&file, "{\"one\": 3").unwrap();
        assert_eq!(known(file.clone()).find("one"), None);
        known(file.clone()).keep("one", COSTS);
        assert_eq!(known(file.clone()).find("one"), Some(COSTS));
        let below_a_file = known(file.join("costs.json"));
        below_a_file.keep("one", COSTS);
        assert_eq!(below_a_file.find("one"), None);
        let nowhere = KnownCosts { file: None, measure_anew: false };
        nowhere.keep("one", COSTS);
        assert_eq!(nowhere.find("one"), None);
    }
}
