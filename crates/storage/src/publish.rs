//! Files that are complete or absent.
//!
//! A file is written under a temporary name in the folder where it will live, synced to the disk, and renamed: at any
//! moment, also after a crash, the name leads to the old contents or to the new ones.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fail::fail_point;
use sha2::{Digest, Sha256};

use crate::error::StorageError;
use crate::ffi::free_bytes;

/// A file on its way: the temporary name is removed unless [`Beside::publish`] is reached.
#[derive(Debug)]
pub(crate) struct Beside {
    target: PathBuf,
    temporary: PathBuf,
    /// Bytes that the file takes, as far as is known.
    pub bytes: u64,
}

/// A place where tests kill the process or have the disk full.
pub(crate) fn reach(place: &'static str) -> io::Result<()> {
    fail_point!(place, |_| Err(io::Error::from_raw_os_error(libc::ENOSPC)));
    let _ = place;
    Ok(())
}

impl Beside {
    /// Chooses a temporary name in the folder of `target`, and makes that folder if it is missing.
    pub(crate) fn new(target: &Path, bytes: u64) -> Result<Self, StorageError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = target.file_name().ok_or_else(|| {
            let no_name = io::Error::new(io::ErrorKind::InvalidInput, "the path names no file");
            StorageError::io(target, "write", no_name)
        })?;
        let folder = folder_of(target);
        let made = reach("folder.create").and_then(|()| fs::create_dir_all(folder));
        made.map_err(|e| StorageError::io(folder, "create the folder", e))?;
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".{}.{}-{count}.tmp", name.to_string_lossy(), std::process::id());
        Ok(Beside { target: target.into(), temporary: folder.join(temporary), bytes })
    }

    /// The name to write to.
    pub(crate) fn path(&self) -> &Path {
        &self.temporary
    }

    /// The name that it will have.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Syncs the closed file, gives it its name, and syncs the folder.
    pub(crate) fn publish(self) -> Result<(), StorageError> {
        let sync = || reach("file.sync").and_then(|()| File::open(&self.temporary)?.sync_all());
        sync().map_err(|e| self.failure("sync", e))?;
        let renamed = reach("file.rename").and_then(|()| fs::rename(&self.temporary, &self.target));
        renamed.map_err(|e| self.failure("rename", e))?;
        let folder = folder_of(&self.target);
        let sync = || reach("folder.sync").and_then(|()| File::open(folder)?.sync_all());
        match sync() {
            // Some network file systems cannot sync a folder; there the rename is as durable as they make it.
            Err(e) if !matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                return Err(self.failure("sync the folder", e));
            }
            _ => {}
        }
        reach("file.published").map_err(|e| self.failure("publish", e))
    }

    /// An error of the operating system, with the bytes that are needed and free where there is no room.
    pub(crate) fn failure(&self, doing: &'static str, source: io::Error) -> StorageError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => self.no_room(doing.into(), source.to_string()),
            _ => StorageError::io(&self.target, doing, source),
        }
    }

    /// An error of the HDF5 library, likewise.
    pub(crate) fn hdf5_failure(&self, doing: impl Into<String>, source: &hdf5::Error) -> StorageError {
        let reason = source.to_string();
        match tells_of_no_room(&reason) {
            true => self.no_room(doing.into(), "no space left on device".into()),
            false => StorageError::Hdf5 { path: self.target.clone(), doing: doing.into(), reason },
        }
    }

    fn no_room(&self, doing: String, reason: String) -> StorageError {
        let free = free_bytes(folder_of(&self.target)).unwrap_or(0);
        StorageError::NoRoom { path: self.target.clone(), doing, reason, needed: self.bytes, free }
    }
}

/// Whether what HDF5 says comes from a full disk or a quota.
pub(crate) fn tells_of_no_room(reason: &str) -> bool {
    [libc::ENOSPC, libc::EDQUOT].iter().any(|number| reason.contains(&format!("errno = {number},")))
}

impl Drop for Beside {
    fn drop(&mut self) {
        // After `publish` the name is gone, and there is nothing to remove.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes a text file that is complete or absent, such as `status.json`; replaces an older one at once.
///
/// # Errors
/// [`StorageError::Io`] where the folder cannot be written; the older file then stays.
pub fn write_text(path: &Path, text: &str) -> Result<(), StorageError> {
    let beside = Beside::new(path, text.len() as u64)?;
    let create = || reach("file.create").and_then(|()| File::create(beside.path()));
    let write = |mut file: File| reach("file.write").and_then(|()| file.write_all(text.as_bytes()));
    create().and_then(write).map_err(|e| beside.failure("write", e))?;
    beside.publish()
}

/// SHA-256 of the bytes of a file, 64 hexadecimal digits: the fingerprint of an input.
///
/// # Errors
/// [`StorageError::MissingFile`], [`StorageError::Io`].
pub fn file_hash(path: &Path) -> Result<String, StorageError> {
    let mut file = File::open(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => StorageError::MissingFile { path: path.into() },
        _ => StorageError::io(path, "open", e),
    })?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Ok(bytes) => hash.update(&buffer[..bytes]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(StorageError::io(path, "read", e)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
