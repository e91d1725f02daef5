//! Sealed files: named arrays and a text under one checksum, of which every byte is checked. Private to Treewave.
//!
//! The container is a plain binary one rather than HDF5, so that a single hash covers every byte: a magic line, the
//! number, the lengths, a JSON text, named arrays of f64, and the SHA-256 of all that.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::StorageError;
use crate::publish::{Beside, reach};

const MAGIC: &[u8; 16] = b"treewave-rst-01\n";
const HASH_BYTES: usize = 32;
/// Values that are converted at a time: states can be as large as the memory.
const BLOCK: usize = 1 << 16;

/// What a sealed file holds; `A` is an array of it, owned or borrowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Sealed<A = Vec<f64>> {
    /// Grows from save to save.
    pub number: u64,
    /// Anything but large arrays, as JSON text.
    pub text: String,
    /// Named arrays.
    pub arrays: Vec<(String, A)>,
}

impl<A: AsRef<[f64]>> Sealed<A> {
    /// Bytes of the file.
    fn bytes(&self) -> u64 {
        let array = |(name, values): &(String, A)| 16 + name.len() + 8 * values.as_ref().len();
        (MAGIC.len() + 24 + self.text.len() + self.arrays.iter().map(array).sum::<usize>() + HASH_BYTES) as u64
    }
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
        reach("file.write")?;
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
fn write(path: &Path, sealed: &Sealed<impl AsRef<[f64]>>) -> io::Result<Hash> {
    reach("file.create")?;
    let mut to = HashingWriter { inner: File::create(path)?, hash: Sha256::new() };
    to.put(MAGIC)?;
    to.put_number(sealed.number)?;
    to.put_text(&sealed.text)?;
    to.put_number(sealed.arrays.len() as u64)?;
    let mut buffer = Vec::with_capacity(8 * BLOCK);
    for (name, values) in &sealed.arrays {
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
    reach("file.sync")?;
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
pub(crate) fn read(path: &Path, keep: bool) -> Result<(Sealed, Hash), String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let bytes = file.metadata().map_err(|e| e.to_string())?.len();
    let left = bytes.checked_sub(HASH_BYTES as u64).ok_or("it is too short")?;
    let mut from = HashingReader { inner: BufReader::with_capacity(1 << 20, file), hash: Sha256::new(), left };
    if from.take(MAGIC.len() as u64)? != MAGIC {
        return Err("it is no file of this version".into());
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
    Ok((Sealed { number, text, arrays }, found))
}

/// Writes a sealed file beside its name, reads it back, and gives it its name.
///
/// # Errors
/// [`StorageError::Io`] where the directory cannot be written, [`StorageError::Content`] where what was read back
/// differs; an older file of this name is untouched then.
pub fn seal(path: &Path, sealed: &Sealed<impl AsRef<[f64]>>) -> Result<(), StorageError> {
    let beside = Beside::new(path, sealed.bytes())?;
    let hash = write(beside.path(), sealed).map_err(|e| beside.failure("write", e))?;
    reach("file.read_back").map_err(|e| beside.failure("read back", e))?;
    match read(beside.path(), false) {
        Ok((_, found)) if found == hash => beside.publish(),
        Ok(_) => Err(StorageError::content(path, "what was read back differs from what was written")),
        Err(reason) => Err(StorageError::content(path, format!("what was written cannot be read back: {reason}"))),
    }
}

/// What a sealed file holds.
///
/// # Errors
/// What is wrong with it: it is not there, cut short, or not a byte is right.
pub fn unseal(path: &Path) -> Result<Sealed, String> {
    read(path, true).map(|(sealed, _)| sealed)
}
