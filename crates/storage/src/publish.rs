//! Files that are complete or absent.
//!
//! A file is written under a temporary name in the folder where it will live, synced to the disk, and renamed: at any
//! moment, also after a crash, the name leads to the old contents or to the new ones.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::error::StorageError;

/// A file on its way: the temporary name is removed unless [`Beside::publish`] is reached.
#[derive(Debug)]
pub(crate) struct Beside {
    target: PathBuf,
    temporary: PathBuf,
}

impl Beside {
    /// Chooses a temporary name in the folder of `target`, and makes that folder if it is missing.
    pub(crate) fn new(target: &Path) -> Result<Self, StorageError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = target.file_name().ok_or_else(|| {
            let no_name = io::Error::new(io::ErrorKind::InvalidInput, "the path names no file");
            StorageError::io(target, "write", no_name)
        })?;
        let folder = folder_of(target);
        fs::create_dir_all(folder).map_err(|e| StorageError::io(folder, "create the folder", e))?;
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".{}.{}-{count}.tmp", name.to_string_lossy(), std::process::id());
        Ok(Beside { target: target.into(), temporary: folder.join(temporary) })
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
        let file = File::open(&self.temporary).map_err(|e| StorageError::io(&self.temporary, "open", e))?;
        file.sync_all().map_err(|e| StorageError::io(&self.temporary, "sync", e))?;
        fs::rename(&self.temporary, &self.target).map_err(|e| StorageError::io(&self.target, "rename to", e))?;
        let folder = folder_of(&self.target);
        match File::open(folder).and_then(|f| f.sync_all()) {
            // Some network file systems cannot sync a folder; there the rename is as durable as they make it.
            Err(e) if !matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                Err(StorageError::io(folder, "sync the folder", e))
            }
            _ => Ok(()),
        }
    }
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
    let beside = Beside::new(path)?;
    let write = || File::create(beside.path())?.write_all(text.as_bytes());
    write().map_err(|e| StorageError::io(beside.path(), "write", e))?;
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
