//! The ledger of a run: a sealed file per rank and evaluation in `restart/ledger` of the output directory, and one per shot
//! under way, until the iteration that the evaluations belong to is saved.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fail::fail_point;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use treewave_cluster::Failure;
use treewave_core::ReproducibleSum;
use treewave_inversion::{Ledger, Partial};
use treewave_reversal::Turned;
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
        for path in files(&self.directory, SUM)? {
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
        seal(&self.own, &Sealed { number: partial.session, text, arrays }).map_err(unwritable)?;
        // One that stays takes room until the iteration is saved, and is not used: nobody does its shot any more.
        for path in files(&self.directory, PART)? {
            let shot: Option<usize> = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if shot.is_some_and(|shot| partial.shots.iter().any(|(done, _)| *done == shot)) {
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }

    fn forget_others(&self) {
        fail_point!("ledger.forget_others");
        // One that stays does no harm: its session is an older one.
        for path in files(&self.directory, SUM).unwrap_or_default().iter().filter(|path| **path != self.own) {
            let _ = fs::remove_file(path);
        }
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn load_part(&self, shot: usize, adjoint: &mut [&mut [u8]]) -> Option<Turned> {
        let path = self.part(shot);
        if !path.exists() {
            return None;
        }
        let turned = unseal(&path).and_then(|sealed| take_part(&sealed, adjoint));
        turned.inspect_err(|reason| log::warn!("{}: {reason}; the shot is done again", path.display())).ok()
    }

    fn save_part(&self, shot: usize, turned: Turned, adjoint: &[&[u8]]) -> Result<(), Failure> {
        let parts = adjoint.iter().enumerate().map(|(i, bytes)| (format!("part {i}"), words(bytes)));
        let mut arrays: Vec<(String, Cow<[f64]>)> = parts.collect();
        arrays.push(("misfit".into(), Cow::Owned(vec![turned.misfit])));
        seal(&self.part(shot), &Sealed { number: turned.remaining as u64, text: "{}".into(), arrays })
            .map_err(unwritable)
    }
}

impl EvaluationFiles {
    fn part(&self, shot: usize) -> PathBuf {
        self.directory.join(format!("{shot}.{PART}"))
    }
}

/// Extensions of the names of files: of sums, and of shots under way.
const SUM: &str = "sum";
const PART: &str = "part";

/// Bytes as words, with zeros behind them.
fn words(bytes: &[u8]) -> Cow<'_, [f64]> {
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        f64::from_ne_bytes(word)
    };
    bytemuck::try_cast_slice(bytes).map_or_else(|_| Cow::Owned(bytes.chunks(8).map(word).collect()), Cow::Borrowed)
}

/// Copies the parts of an adjoint state out of a sealed file.
fn take_part(sealed: &Sealed, adjoint: &mut [&mut [u8]]) -> Result<Turned, String> {
    let (misfit, parts) = sealed.arrays.split_last().ok_or("it has no misfit")?;
    let fits = parts.len() == adjoint.len()
        && parts.iter().zip(adjoint.iter()).all(|((_, words), to)| words.len() == to.len().div_ceil(8));
    let (true, [misfit]) = (fits, &misfit.1[..]) else { return Err("it is of another adjoint state".into()) };
    for ((_, words), to) in parts.iter().zip(adjoint) {
        let bytes: &[u8] = bytemuck::cast_slice(words);
        to.copy_from_slice(&bytes[..to.len()]);
    }
    Ok(Turned { remaining: sealed.number as usize, misfit: *misfit })
}

/// The files of an evaluation with an extension, in the order of their names.
fn files(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unwritable(format!("{}: {error}", directory.display()))),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
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
    fn a_shot_under_way_comes_back_to_the_byte_until_a_sum_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let ranks = [0, 1].map(|rank| files_of(folder.path(), rank, &[1.0]));
        let (turned, of) = (Turned { remaining: 17, misfit: -0.0 }, |n: u8| (0..n).collect::<Vec<u8>>());
        // Of lengths that fill words and that do not.
        let parts = [of(64), of(0), of(13), of(4)];
        let mut found = parts.each_ref().map(|part| vec![9; part.len()]);
        let load =
            |shot, found: &mut [Vec<u8>; 4]| ranks[1].load_part(shot, &mut found.each_mut().map(|part| &mut part[..]));
        assert_eq!(load(5, &mut found), None);
        ranks[0].save_part(5, Turned { remaining: 99, misfit: 1.0 }, &[&[1]]).unwrap();
        assert_eq!(load(5, &mut found), None, "it has other parts");
        ranks[0].save_part(5, turned, &parts.each_ref().map(|part| &part[..])).unwrap();
        assert_eq!(load(5, &mut found), Some(turned));
        assert_eq!(found, parts);
        assert_eq!(load(6, &mut found), None);
        ranks[1].save(&some(1, 6)).unwrap();
        assert_eq!(load(5, &mut found), Some(turned), "a sum without it");
        let path = ranks[0].part(5);
        let whole = fs::read(&path).unwrap();
        for n in (0..whole.len()).step_by(11) {
            let mut flipped = whole.clone();
            flipped[n] ^= 4;
            fs::write(&path, &flipped).unwrap();
            assert_eq!(load(5, &mut found), None, "byte {n} is wrong");
        }
        fs::write(&path, &whole).unwrap();
        ranks[1].save(&some(2, 5)).unwrap();
        assert_eq!(load(5, &mut found), None, "a sum has it");
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
