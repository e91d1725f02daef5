//! The ledger of a run: a sealed file per rank and evaluation in `restart/ledger` of the output directory, until the iteration
//! that the evaluations belong to is saved.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fail::fail_point;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use treewave_cluster::Failure;
use treewave_core::ReproducibleSum;
use treewave_inversion::{Ledger, Partial};
use treewave_storage::{Sealed, seal, unseal};

use crate::study::unwritable;

/// What is kept of one evaluation.
pub struct EvaluationFiles {
    /// Of all ranks.
    directory: PathBuf,
    own: PathBuf,
    every: Duration,
}

impl EvaluationFiles {
    /// Those of the evaluation that `words` and `vp` tell from all others, below the directory of a run's ledger.
    pub fn new(ledger: &Path, words: &[String], vp: &[f64], rank: usize, every: Duration) -> Self {
        let mut hash = Sha256::new();
        for word in words {
            hash.update(word.len().to_le_bytes());
            hash.update(word);
        }
        vp.iter().for_each(|v| hash.update(v.to_le_bytes()));
        let name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let directory = ledger.join(&name[..32]);
        EvaluationFiles { own: directory.join(format!("{rank}.sum")), directory, every }
    }
}

impl Ledger for EvaluationFiles {
    fn load(&self) -> Result<Vec<Partial>, Failure> {
        let mut kept = Vec::new();
        for path in files(&self.directory)? {
            match unseal(&path).and_then(|sealed| partial(&sealed)) {
                Ok(partial) => kept.push(partial),
                Err(reason) => log::warn!("{}: {reason}; its shots are done again", path.display()),
            }
        }
        Ok(kept)
    }

    fn save(&self, partial: &Partial) -> Result<(), Failure> {
        let (shots, misfits): (Vec<usize>, Vec<f64>) = partial.shots.iter().copied().unzip();
        let bits = |sum: &ReproducibleSum| sum.export().into_iter().map(|word| f64::from_bits(word as u64)).collect();
        let sums = partial.sums.iter().enumerate().map(|(i, sum)| (format!("sum {i}"), bits(sum)));
        let mut arrays: Vec<(String, Vec<f64>)> = sums.collect();
        arrays.push(("misfits".into(), misfits));
        let text = json!({ "shots": shots }).to_string();
        seal(&self.own, &Sealed { number: partial.session, text, arrays }).map_err(unwritable)
    }

    fn forget_others(&self) {
        fail_point!("ledger.forget_others");
        // One that stays does no harm: its session is an older one.
        for path in files(&self.directory).unwrap_or_default().iter().filter(|path| **path != self.own) {
            let _ = fs::remove_file(path);
        }
    }

    fn every(&self) -> Duration {
        self.every
    }
}

/// The files of an evaluation, in the order of their names.
fn files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unwritable(format!("{}: {error}", directory.display()))),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sum"));
    paths.sort();
    Ok(paths)
}

fn partial(sealed: &Sealed) -> Result<Partial, String> {
    let text: Value = serde_json::from_str(&sealed.text).map_err(|e| e.to_string())?;
    let shots = text["shots"].as_array().ok_or("it names no shots")?;
    let shots: Option<Vec<usize>> = shots.iter().map(|shot| Some(shot.as_u64()? as usize)).collect();
    let (misfits, sums) = sealed.arrays.split_last().ok_or("it has no misfits")?;
    let shots = shots.filter(|shots| shots.len() == misfits.1.len()).ok_or("shots and misfits do not match")?;
    let import = |(_, words): &(String, Vec<f64>)| {
        let words: Vec<i64> = words.iter().map(|word| word.to_bits() as i64).collect();
        ReproducibleSum::import(&words).map_err(|e| e.to_string())
    };
    Ok(Partial {
        session: sealed.number,
        shots: shots.into_iter().zip(misfits.1.iter().copied()).collect(),
        sums: sums.iter().map(import).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files_of(folder: &Path, rank: usize, vp: &[f64]) -> EvaluationFiles {
        EvaluationFiles::new(folder, &["stage 0".into()], vp, rank, Duration::ZERO)
    }

    fn some(session: u64, shot: usize) -> Partial {
        let mut partial = Partial::new(session, &[3, 1]);
        // Digits of any pattern, those of NaN among them, must come back.
        partial.add(shot, -0.0, &[vec![1.5, -1e-300, f64::MAX], vec![-1.0 / 3.0]]).unwrap();
        partial
    }

    #[test]
    fn what_ranks_have_kept_comes_back_to_the_bit_and_belongs_to_its_evaluation() {
        let folder = tempfile::tempdir().unwrap();
        let ranks = [0, 1].map(|rank| files_of(folder.path(), rank, &[1.0]));
        assert_eq!(ranks[0].load().unwrap(), []);
        ranks[0].save(&some(1, 5)).unwrap();
        ranks[0].save(&some(1, 6)).unwrap();
        ranks[1].save(&some(2, 7)).unwrap();
        assert_eq!(ranks[0].load().unwrap(), [some(1, 6), some(2, 7)]);
        assert_eq!(files_of(folder.path(), 0, &[1.0 + f64::EPSILON]).load().unwrap(), []);
        ranks[0].forget_others();
        assert_eq!(ranks[0].load().unwrap(), [some(1, 6)]);
    }

    #[test]
    fn a_damaged_file_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let ranks = [0, 1].map(|rank| files_of(folder.path(), rank, &[1.0]));
        ranks[0].save(&some(1, 5)).unwrap();
        ranks[1].save(&some(1, 6)).unwrap();
        let whole = fs::read(&ranks[1].own).unwrap();
        for n in (0..whole.len()).step_by(7) {
            let mut flipped = whole.clone();
            flipped[n] ^= 1;
            fs::write(&ranks[1].own, &flipped).unwrap();
            assert_eq!(ranks[0].load().unwrap(), [some(1, 5)]);
            fs::write(&ranks[1].own, &whole[..n]).unwrap();
            assert_eq!(ranks[0].load().unwrap(), [some(1, 5)]);
        }
    }
}
