//! Restart files: what a stopped run needs to go on with the same bits. Private to Treewave.
//!
//! Two generations stand side by side in a directory. A new one replaces the older of the two: it is written beside,
//! synced, read back and compared by its SHA-256, and renamed. The newest whole one is chosen by the number inside, never
//! by file times.
//!
//! The container is a plain binary one rather than HDF5, so that a single hash covers every byte: a magic line, the
//! number, the lengths, a JSON text, named arrays of f64, and the SHA-256 of all that.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::StorageError;
use crate::publish::Beside;

const MAGIC: &[u8; 16] = b"treewave-rst-01\n";
const HASH_BYTES: usize = 32;
/// Values that are converted at a time: states can be as large as the memory.
const BLOCK: usize = 1 << 16;
const GENERATIONS: [&str; 2] = ["a.rst", "b.rst"];

/// A state that a run can go on from; `A` is an array of it, owned or borrowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Restart<A = Vec<f64>> {
    /// Grows from save to save.
    pub number: u64,
    /// Anything but large arrays, as JSON text.
    pub text: String,
    /// Named arrays.
    pub arrays: Vec<(String, A)>,
}

/// SHA-256 of a file's contents.
type Hash = [u8; HASH_BYTES];

/// Writes, and hashes what it writes.
struct HashingWriter<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> HashingWriter<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }
    fn put_number(&mut self, number: u64) -> io::Result<()> {
        self.put(&number.to_le_bytes())
    }
    fn put_text(&mut self, text: &str) -> io::Result<()> {
        self.put_number(text.len() as u64)?;
        self.put(text.as_bytes())
    }
}

/// Writes a state, syncs it to the disk, and returns its hash.
fn write(path: &Path, restart: &Restart<impl AsRef<[f64]>>) -> io::Result<Hash> {
    let mut to = HashingWriter { inner: File::create(path)?, hash: Sha256::new() };
    to.put(MAGIC)?;
    to.put_number(restart.number)?;
    to.put_text(&restart.text)?;
    to.put_number(restart.arrays.len() as u64)?;
    let mut buffer = Vec::with_capacity(8 * BLOCK);
    for (name, values) in &restart.arrays {
        let values = values.as_ref();
        to.put_text(name)?;
        to.put_number(values.len() as u64)?;
        for block in values.chunks(BLOCK) {
            buffer.clear();
            block.iter().for_each(|v| buffer.extend(v.to_le_bytes()));
            to.put(&buffer)?;
        }
    }
    let hash: Hash = to.hash.finalize().into();
    to.inner.write_all(&hash)?;
    to.inner.sync_all()?;
    Ok(hash)
}

/// Reads what is before the hash, and hashes it.
struct HashingReader {
    inner: BufReader<File>,
    hash: Sha256,
    /// Bytes before the hash that were not read yet. No length in the file is believed beyond them.
    left: u64,
}

impl HashingReader {
    fn take(&mut self, bytes: u64) -> Result<Vec<u8>, String> {
        self.left = self.left.checked_sub(bytes).ok_or("it ends too early")?;
        let mut buffer = vec![0; usize::try_from(bytes).map_err(|_| "a length is impossible")?];
        self.inner.read_exact(&mut buffer).map_err(|e| e.to_string())?;
        self.hash.update(&buffer);
        Ok(buffer)
    }
    fn take_number(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes were taken")))
    }
    fn take_text(&mut self) -> Result<String, String> {
        let length = self.take_number()?;
        String::from_utf8(self.take(length)?).map_err(|_| "a text is not UTF-8".into())
    }
    /// Reads an array, and keeps its values where asked to.
    fn take_array(&mut self, keep: bool) -> Result<Vec<f64>, String> {
        let length = self.take_number()?;
        if length.checked_mul(8).is_none_or(|bytes| bytes > self.left) {
            return Err("it ends too early".into());
        }
        let mut values = Vec::with_capacity(if keep { length as usize } else { 0 });
        for start in (0..length).step_by(BLOCK) {
            let block = self.take(8 * (length - start).min(BLOCK as u64))?;
            if keep {
                let value = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("a chunk has eight bytes"));
                values.extend(block.chunks_exact(8).map(value));
            }
        }
        Ok(values)
    }
}

/// Reads a state and checks it to the last byte; without `keep` the arrays come back empty.
fn read(path: &Path, keep: bool) -> Result<(Restart, Hash), String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let bytes = file.metadata().map_err(|e| e.to_string())?.len();
    let left = bytes.checked_sub(HASH_BYTES as u64).ok_or("it is too short")?;
    let mut from = HashingReader { inner: BufReader::with_capacity(1 << 20, file), hash: Sha256::new(), left };
    if from.take(MAGIC.len() as u64)? != MAGIC {
        return Err("it is no restart file of this version".into());
    }
    let (number, text, count) = (from.take_number()?, from.take_text()?, from.take_number()?);
    let mut arrays = Vec::new();
    for _ in 0..count {
        arrays.push((from.take_text()?, from.take_array(keep)?));
    }
    if from.left != 0 {
        return Err(format!("{} bytes follow its end", from.left));
    }
    let mut told: Hash = [0; HASH_BYTES];
    from.inner.read_exact(&mut told).map_err(|e| e.to_string())?;
    let found: Hash = from.hash.finalize().into();
    if found != told {
        return Err("its checksum does not match".into());
    }
    Ok((Restart { number, text, arrays }, found))
}

/// Saves a state over the older of the two generations.
///
/// # Errors
/// [`StorageError::Io`] where the directory cannot be written, [`StorageError::Content`] where what was read back
/// differs; the newer generation is untouched then.
pub fn save_restart(directory: &Path, restart: &Restart<impl AsRef<[f64]>>) -> Result<(), StorageError> {
    let generations = GENERATIONS.map(|name| directory.join(name));
    let numbers = generations.each_ref().map(|path| read(path, false).map(|(restart, _)| restart.number));
    // A missing or damaged one goes first.
    let older = if numbers[0].as_ref().ok() <= numbers[1].as_ref().ok() { &generations[0] } else { &generations[1] };
    let beside = Beside::new(older)?;
    let hash = write(beside.path(), restart).map_err(|e| StorageError::io(older, "write", e))?;
    match read(beside.path(), false) {
        Ok((_, found)) if found == hash => beside.publish(),
        Ok(_) => Err(StorageError::content(older, "what was read back differs from what was written")),
        Err(reason) => Err(StorageError::content(older, format!("what was written cannot be read back: {reason}"))),
    }
}

/// The number of the newest whole state of a directory; 0 if there is none.
pub fn last_number(directory: &Path) -> u64 {
    let whole = GENERATIONS.iter().filter_map(|name| read(&directory.join(name), false).ok());
    whole.map(|(restart, _)| restart.number).max().unwrap_or(0)
}

/// The newest whole state of a directory; `None` if there has never been one. A damaged generation is told and passed
/// over.
///
/// # Errors
/// [`StorageError::Restart`] with what is wrong with each, if there are restart files and none is whole.
pub fn load_restart(directory: &Path) -> Result<Option<Restart>, StorageError> {
    let mut newest: Option<Restart> = None;
    let mut reasons = Vec::new();
    for path in GENERATIONS.iter().map(|name| directory.join(name)).filter(|path| path.exists()) {
        match read(&path, true) {
            Ok((restart, _)) if newest.as_ref().is_none_or(|known| known.number < restart.number) => {
                newest = Some(restart);
            }
            Ok(_) => {}
            Err(reason) => reasons.push(format!("{}: {reason}", path.display())),
        }
    }
    if newest.is_none() && !reasons.is_empty() {
        return Err(StorageError::Restart { path: directory.into(), reasons });
    }
    reasons.iter().for_each(|reason| log::warn!("{reason}; the other generation is used"));
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn restart(number: u64) -> Restart {
        let arrays = vec![("x".into(), vec![1.5, f64::MIN_POSITIVE, -0.0]), ("empty".into(), Vec::new())];
        Restart { number, text: "{\"stage\": 1, \"ü\": 2}".into(), arrays }
    }

    #[test]
    fn the_newest_comes_back_and_one_older_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!((load_restart(folder.path()).unwrap(), last_number(folder.path())), (None, 0));
        for number in 1..6 {
            save_restart(folder.path(), &restart(number)).unwrap();
            assert_eq!(load_restart(folder.path()).unwrap(), Some(restart(number)));
            assert_eq!(last_number(folder.path()), number);
        }
        let mut numbers: Vec<u64> =
            GENERATIONS.iter().map(|name| read(&folder.path().join(name), true).unwrap().0.number).collect();
        numbers.sort();
        assert_eq!(numbers, [4, 5]);
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_falls_back_to_the_other_generation() {
        let folder = tempfile::tempdir().unwrap();
        save_restart(folder.path(), &restart(1)).unwrap();
        save_restart(folder.path(), &restart(2)).unwrap();
        let newest =
            GENERATIONS.iter().map(|n| folder.path().join(n)).find(|p| read(p, false).unwrap().0.number == 2).unwrap();
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
        assert_eq!(read(&newest, true).unwrap().0.number, 3);
    }

    #[test]
    fn with_no_whole_generation_it_stops_and_leaves_all_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.rst"), b"rubbish").unwrap();
        assert!(matches!(load_restart(folder.path()), Err(StorageError::Restart { .. })));
        assert_eq!(fs::read(folder.path().join("a.rst")).unwrap(), b"rubbish");
    }

    #[test]
    fn arrays_longer_than_a_block_come_back_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        for length in [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7] {
            let values: Vec<f64> = (0..length).map(|i| (i as f64).sqrt()).collect();
            let long = Restart { number: length as u64, text: "{}".into(), arrays: vec![("long".into(), values)] };
            save_restart(folder.path(), &long).unwrap();
            assert_eq!(load_restart(folder.path()).unwrap().as_ref(), Some(&long));
        }
    }
}
