//! Restart files: what a stopped run needs to go on with the same bits. Private to Treewave.
//!
//! Two generations stand side by side in a directory. A new one replaces the older of the two: it is written beside,
//! synced, read back and compared by its SHA-256, and renamed. The newest whole one is chosen by the number inside, never
//! by file times.
//!
//! The container is a plain binary one rather than HDF5, so that a single hash covers every byte: a magic line, the
//! number, the lengths, a JSON text, named arrays of f64, and the SHA-256 of all that.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::StorageError;
use crate::publish::Beside;

const MAGIC: &[u8; 16] = b"treewave-rst-01\n";
const HASH_BYTES: usize = 32;
const GENERATIONS: [&str; 2] = ["a.rst", "b.rst"];

/// A state that a run can go on from.
#[derive(Clone, Debug, PartialEq)]
pub struct Restart {
    /// Grows from save to save.
    pub number: u64,
    /// Anything but large arrays, as JSON text.
    pub text: String,
    /// Named arrays.
    pub arrays: Vec<(String, Vec<f64>)>,
}

impl Restart {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let put_text = |bytes: &mut Vec<u8>, text: &str| {
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend(text.as_bytes());
        };
        bytes.extend(self.number.to_le_bytes());
        put_text(&mut bytes, &self.text);
        bytes.extend((self.arrays.len() as u64).to_le_bytes());
        for (name, values) in &self.arrays {
            put_text(&mut bytes, name);
            bytes.extend((values.len() as u64).to_le_bytes());
            values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        }
        let hash = Sha256::digest(&bytes);
        bytes.extend(hash);
        bytes
    }

    /// The state in these bytes, or what is wrong with them.
    fn from_bytes(bytes: &[u8]) -> Result<Restart, &'static str> {
        let (body, hash) = bytes.split_at_checked(bytes.len().wrapping_sub(HASH_BYTES)).ok_or("it is too short")?;
        let body = body.strip_prefix(MAGIC).ok_or("it is no restart file of this version")?;
        if Sha256::digest(&bytes[..bytes.len() - HASH_BYTES])[..] != *hash {
            return Err("its checksum does not match");
        }
        let mut rest = body;
        let mut take = |n: u64| {
            let n = usize::try_from(n).map_err(|_| "a length is impossible")?;
            let (head, tail) = rest.split_at_checked(n).ok_or("it ends too early")?;
            rest = tail;
            Ok::<&[u8], &'static str>(head)
        };
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes were taken"));
        let serial = number(take(8)?);
        let length = number(take(8)?);
        let text = String::from_utf8(take(length)?.to_vec()).map_err(|_| "its text is not UTF-8")?;
        let count = number(take(8)?);
        let mut arrays = Vec::new();
        for _ in 0..count {
            let length = number(take(8)?);
            let name = String::from_utf8(take(length)?.to_vec()).map_err(|_| "a name is not UTF-8")?;
            let length = number(take(8)?);
            let values = take(length.checked_mul(8).ok_or("a length is impossible")?)?;
            let value = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("a chunk has eight bytes"));
            arrays.push((name, values.chunks_exact(8).map(value).collect()));
        }
        Ok(Restart { number: serial, text, arrays })
    }
}

/// Saves a state over the older of the two generations.
///
/// # Errors
/// [`StorageError::Io`] where the directory cannot be written, [`StorageError::Content`] where what was read back
/// differs; the newer generation is untouched then.
pub fn save_restart(directory: &Path, restart: &Restart) -> Result<(), StorageError> {
    let generations = GENERATIONS.map(|name| directory.join(name));
    let numbers = generations.each_ref().map(|path| read(path).map(|restart| restart.number));
    // A missing or damaged one goes first.
    let older = if numbers[0].as_ref().ok() <= numbers[1].as_ref().ok() { &generations[0] } else { &generations[1] };
    let bytes = restart.to_bytes();
    let beside = Beside::new(older)?;
    let io = |doing| move |e| StorageError::io(older, doing, e);
    fs::write(beside.path(), &bytes).map_err(io("write"))?;
    fs::File::open(beside.path()).and_then(|f| f.sync_all()).map_err(io("sync"))?;
    if fs::read(beside.path()).map_err(io("read back"))? != bytes {
        return Err(StorageError::content(beside.path(), "what was read back differs from what was written"));
    }
    beside.publish()
}

/// The newest whole state of a directory; `None` if there has never been one. A damaged generation is told and passed
/// over.
///
/// # Errors
/// [`StorageError::Content`] if there are restart files and none is whole.
pub fn load_restart(directory: &Path) -> Result<Option<Restart>, StorageError> {
    let found: Vec<(PathBuf, Result<Restart, String>)> = GENERATIONS
        .iter()
        .map(|name| directory.join(name))
        .filter(|path| path.exists())
        .map(|path| (path.clone(), read(&path)))
        .collect();
    if found.is_empty() {
        return Ok(None);
    }
    let mut newest: Option<Restart> = None;
    for (path, result) in found {
        match result {
            Ok(restart) if newest.as_ref().is_none_or(|known| known.number < restart.number) => newest = Some(restart),
            Ok(_) => {}
            Err(reason) => log::warn!("{}: {reason}; the other generation is used", path.display()),
        }
    }
    let whole = newest.ok_or_else(|| {
        let what = "no restart file is whole; keep the directory for inspection, or remove it to begin anew";
        StorageError::content(directory, what)
    })?;
    Ok(Some(whole))
}

fn read(path: &Path) -> Result<Restart, String> {
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    Restart::from_bytes(&bytes).map_err(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restart(number: u64) -> Restart {
        let arrays = vec![("x".into(), vec![1.5, f64::MIN_POSITIVE, -0.0]), ("empty".into(), Vec::new())];
        Restart { number, text: "{\"stage\": 1, \"ü\": 2}".into(), arrays }
    }

    #[test]
    fn the_newest_comes_back_and_one_older_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load_restart(folder.path()).unwrap(), None);
        for number in 1..6 {
            save_restart(folder.path(), &restart(number)).unwrap();
            assert_eq!(load_restart(folder.path()).unwrap(), Some(restart(number)));
        }
        let mut numbers: Vec<u64> =
            GENERATIONS.iter().map(|name| read(&folder.path().join(name)).unwrap().number).collect();
        numbers.sort();
        assert_eq!(numbers, [4, 5]);
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_falls_back_to_the_other_generation() {
        let folder = tempfile::tempdir().unwrap();
        save_restart(folder.path(), &restart(1)).unwrap();
        save_restart(folder.path(), &restart(2)).unwrap();
        let newest = GENERATIONS.iter().map(|n| folder.path().join(n)).find(|p| read(p).unwrap().number == 2).unwrap();
        let whole = fs::read(&newest).unwrap();
        for n in 0..whole.len() {
            fs::write(&newest, &whole[..n]).unwrap();
            assert_eq!(load_restart(folder.path()).unwrap(), Some(restart(1)), "truncated to {n}");
            let mut flipped = whole.clone();
            flipped[n] ^= 0x10;
            fs::write(&newest, &flipped).unwrap();
            assert_eq!(load_restart(folder.path()).unwrap(), Some(restart(1)), "flipped at {n}");
        }
        // The damaged one is the one to be replaced.
        save_restart(folder.path(), &restart(3)).unwrap();
        assert_eq!(load_restart(folder.path()).unwrap(), Some(restart(3)));
        assert_eq!(read(&newest).unwrap().number, 3);
    }

    #[test]
    fn with_no_whole_generation_it_stops_and_leaves_all_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.rst"), b"rubbish").unwrap();
        assert!(matches!(load_restart(folder.path()), Err(StorageError::Content { .. })));
        assert_eq!(fs::read(folder.path().join("a.rst")).unwrap(), b"rubbish");
    }
}
