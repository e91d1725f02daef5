//! What defines the result of an inversion: keys of the configuration, the models and data that are read, the program's
//! version. A run goes on with the same, or is another run.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};
use treewave_cluster::{Cluster, Failure};
use treewave_storage::GatherFile;

use crate::config::may_change;
use crate::config::sections::DataSource;
use crate::stage::used_shots;
use crate::study::{Study, bad_data, misconfigured};

/// Bytes of a SHA-256.
const HASH_BYTES: usize = 32;

/// Keys and values, sorted by key within the configuration's.
pub struct Fingerprint(Vec<(String, String)>);

impl Fingerprint {
    /// That of a study, the same on all ranks. Every rank reads its part of observed data, once.
    ///
    /// # Errors
    /// Code 3 if the observed data cannot be read; the same on all ranks.
    pub fn of(study: &Study, cluster: &dyn Cluster) -> Result<Self, Failure> {
        let mut list = study.config.physics_fingerprint();
        list.push(("contents of model.start".into(), hash_of(study.start.vp_m_per_s())));
        if let Some(truth) = &study.truth {
            list.push(("contents of model.true".into(), hash_of(truth.vp_m_per_s())));
        }
        if let Some(DataSource::Observed(path)) = &study.config.data {
            list.push(("contents of data.observed".into(), hash_of_data(path, &used_shots(study)?, cluster)?));
        }
        list.push(("version of treewave".into(), env!("CARGO_PKG_VERSION").into()));
        Ok(Fingerprint(list))
    }

    /// What tells the evaluations of a stage from all others: all that their results depend on besides the velocities;
    /// `fused` says whether multiplication and addition are one operation.
    pub fn of_stage(&self, stage: usize, fused: bool) -> Vec<String> {
        let list = self.0.iter().map(|(key, value)| format!("{key} = {value}"));
        list.chain([format!("stage {stage}"), format!("fused {fused}")]).collect()
    }

    /// As it is saved.
    pub fn to_json(&self) -> Value {
        self.0.iter().cloned().collect::<BTreeMap<String, String>>().into_iter().collect()
    }

    /// Refuses to go on with a run whose saved fingerprint is another one.
    ///
    /// # Errors
    /// Code 2 with all that has changed.
    pub fn refuse_changes(&self, saved: &Value, output: &Path) -> Result<(), Failure> {
        let before = saved.as_object().ok_or_else(|| bad_data("the restart file has no fingerprint"))?;
        let mut changes = Vec::new();
        for (key, value) in &self.0 {
            match before.get(key).and_then(Value::as_str) {
                Some(old) if old == value => {}
                Some(old) if old.len() > 60 => changes.push(format!("{key} has changed")),
                Some(old) => changes.push(format!("{key} was {old}, is {value}")),
                None => changes.push(format!("{key} = {value} is new")),
            }
        }
        let gone = |key: &&String| !self.0.iter().any(|(known, _)| known == *key) && !may_change(key);
        changes.extend(before.keys().filter(gone).map(|key| format!("{key} is gone")));
        if changes.is_empty() {
            return Ok(());
        }
        Err(misconfigured(format!(
            "{} holds a run of another configuration, which cannot go on with this one:\n  {}\nuse another --output, or undo \
             the changes (iterations, reversal, parallel and output keys may change); --force goes on all the same",
            output.display(),
            changes.join("\n  ")
        )))
    }
}

fn hash_of(values: &[f64]) -> String {
    let mut hash = Sha256::new();
    values.iter().for_each(|v| hash.update(v.to_le_bytes()));
    text(&hash.finalize())
}

fn text(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Of all samples of some shots, whoever reads them: the hash of the hashes of the shots.
fn hash_of_data(path: &Path, shots: &[usize], cluster: &dyn Cluster) -> Result<String, Failure> {
    let file = cluster.agree(GatherFile::open(path).map_err(bad_data))?;
    let own = shots.iter().skip(cluster.rank()).step_by(cluster.size());
    let hashes: Vec<u8> = own.flat_map(|&shot| hash_of_shot(&file, shot)).collect();
    let mut all = Vec::new();
    if let Some(parts) = cluster.collect(&hashes) {
        let hash = |i: usize| &parts[i % parts.len()][i / parts.len() * HASH_BYTES..][..HASH_BYTES];
        all = Sha256::digest((0..shots.len()).flat_map(hash).copied().collect::<Vec<u8>>()).to_vec();
    }
    cluster.broadcast(&mut all);
    Ok(text(&all))
}

/// A shot that cannot be read is told when it is used; here all such shots are the same.
fn hash_of_shot(file: &GatherFile, shot: usize) -> [u8; HASH_BYTES] {
    let mut hash = Sha256::new();
    file.read_shot(shot).into_iter().flatten().for_each(|v| hash.update(v.to_le_bytes()));
    hash.finalize().into()
}
