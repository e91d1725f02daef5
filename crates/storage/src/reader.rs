//! Reading HDF5 files made by anybody: clear refusals, attributes of every flavour, dimension scales.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hdf5::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenArray, VarLenAscii, VarLenUnicode};
use hdf5::{Attribute, Container, Dataset, File, Group, Location, LocationToken, ObjectReference1, ReferencedObject};

use crate::error::StorageError;
use crate::heap;
use crate::public_file::SCHEMA_VERSION;

/// The first bytes of every HDF5 file, at offset 0 or at a power of two from 512 on.
const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// Numbers that are read whatever the file has stored for them: parts that were never written need no room in it.
const FEW_BYTES: u64 = 256 << 20;
/// The most that deflate, which shrinks more than the other filters in use, can shrink anything.
const MOST_SHRUNK: u64 = 1032;
/// No attribute that is read has more values: one per axis, or one per array that shares an axis.
const MOST_VALUES: u64 = 1 << 16;

/// Longest text attribute of fixed length that is read whole; nobody names a unit with more.
const FIXED_TEXT: usize = 1024;

/// An HDF5 file open for reading; any number of ranks may read it at once, also on file systems without locks.
#[derive(Debug)]
pub(crate) struct Reader {
    pub path: PathBuf,
    file: File,
    /// Length of the file.
    bytes: u64,
}

impl Reader {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let bytes = match std::fs::metadata(path) {
            Ok(meta) if meta.is_file() => meta.len(),
            Ok(_) => {
                let what = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
                return Err(StorageError::io(path, "read", what));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(StorageError::MissingFile { path: path.into() });
            }
            Err(e) => return Err(StorageError::io(path, "read", e)),
        };
        let heap = std::fs::File::open(path).and_then(|file| heap::damaged(&file));
        if let Some(at) = heap.map_err(|e| StorageError::io(path, "read", e))? {
            let reason = format!("the global heap at byte {at} contradicts itself");
            return Err(StorageError::Damaged { path: path.into(), bytes, reason });
        }
        match unlocked().open(path) {
            Ok(file) => Ok(Reader { path: path.into(), file, bytes }),
            Err(e) => {
                let (path, reason) = (path.to_path_buf(), e.to_string());
                if reason.contains("unable to lock") {
                    return Err(StorageError::Locked { path, reason });
                }
                match starts_as_hdf5(&path) {
                    Ok(true) => Err(StorageError::Damaged { path, bytes, reason }),
                    Ok(false) => Err(StorageError::NotHdf5 { path, bytes }),
                    Err(e) => Err(StorageError::io(&path, "read", e)),
                }
            }
        }
    }

    /// Refuses a Treewave file of another kind, or of a version to come. Files without the attribute pass: they were
    /// made by others.
    pub fn check_format(&self, expected: &'static str) -> Result<(), StorageError> {
        if let Some(found) = self.text(&self.file, "treewave_format")?
            && found != expected
        {
            return Err(StorageError::Format { path: self.path.clone(), found, expected });
        }
        if let Some(found) = self.numbers_attribute(&self.file, "schema_version")?.and_then(|v| v.first().copied())
            && found > SCHEMA_VERSION as f64
        {
            let (found, known) = (found as i64, SCHEMA_VERSION);
            return Err(StorageError::SchemaVersion { path: self.path.clone(), found, known });
        }
        Ok(())
    }

    /// The root group, for its attributes.
    pub fn root(&self) -> &Location {
        &self.file
    }

    /// Whether the file has a dataset of this name.
    pub fn has(&self, dataset: &str) -> bool {
        self.file.dataset(dataset).is_ok()
    }

    /// Opens a dataset.
    pub fn dataset(&self, dataset: &str) -> Result<Dataset, StorageError> {
        let Ok(found) = self.file.dataset(dataset) else {
            let available = self.datasets()?.into_iter().map(|(name, _)| name).collect();
            return Err(StorageError::MissingDataset { path: self.path.clone(), dataset: dataset.into(), available });
        };
        self.check_extent(&found, dataset)?;
        Ok(found)
    }

    /// Refuses a dataset with far more numbers than are stored: its header is damaged, and its numbers would fill the
    /// memory; and one whose chunks do not fit it.
    fn check_extent(&self, dataset: &Dataset, name: &str) -> Result<(), StorageError> {
        // With chunks of another rank the library loops for ever.
        if let Some(chunk) = dataset.chunk().filter(|chunk| chunk.len() != dataset.ndim() || chunk.contains(&0)) {
            let shape = dataset.shape();
            let what = format!("dataset {name:?} has shape {shape:?}, but chunks of shape {chunk:?}; it is damaged");
            return Err(StorageError::content(&self.path, what));
        }
        let numbers = count(dataset);
        let each = dataset.dtype().map_or(8, |dtype| dtype.size().max(1)) as u64;
        // What the header says of this can be damaged as well.
        let stored = dataset.storage_size().min(self.bytes);
        let bytes = numbers.and_then(|n| Some(n.checked_mul(8)?.max(n.checked_mul(each)?)));
        let most = FEW_BYTES.max(stored.saturating_mul(MOST_SHRUNK * (8 / each).max(1)));
        if bytes.is_some_and(|bytes| bytes <= most) {
            return Ok(());
        }
        let shape = dataset.shape();
        let what =
            format!("dataset {name:?} has shape {shape:?}, but only {stored} bytes are stored for it; it is damaged");
        Err(StorageError::content(&self.path, what))
    }

    /// An attribute, if there is one.
    fn attribute(&self, location: &Location, name: &str) -> Result<Option<Attribute>, StorageError> {
        let Ok(attribute) = location.attr(name) else { return Ok(None) };
        if count(&attribute).is_some_and(|values| values <= MOST_VALUES) {
            return Ok(Some(attribute));
        }
        let what = format!("attribute {name:?} has shape {:?}, more than can be meant", attribute.shape());
        Err(StorageError::content(&self.path, what))
    }

    /// Names and shapes of all datasets, without a leading `/`.
    pub fn datasets(&self) -> Result<Vec<(String, Vec<usize>)>, StorageError> {
        // Links may lead in circles: every group is visited once.
        fn visit(
            group: &Group,
            visited: &mut Vec<LocationToken>,
            found: &mut Vec<(String, Vec<usize>)>,
        ) -> hdf5::Result<()> {
            let token = group.loc_info()?.token;
            if visited.contains(&token) {
                return Ok(());
            }
            visited.push(token);
            for dataset in group.datasets()? {
                found.push((name_of(&dataset).trim_start_matches('/').to_string(), dataset.shape()));
            }
            group.groups()?.iter().try_for_each(|group| visit(group, visited, found))
        }
        let mut found = Vec::new();
        visit(&self.file, &mut Vec::new(), &mut found)
            .map_err(|e| StorageError::hdf5(&self.path, "list the datasets", &e))?;
        found.sort();
        Ok(found)
    }

    /// All numbers of a dataset or attribute, whatever their type.
    pub fn numbers(&self, container: &Container, what: &str) -> Result<Vec<f64>, StorageError> {
        self.check_numeric(container, what)?;
        let read = || match container.dtype()?.to_descriptor()? {
            TypeDescriptor::Boolean => {
                Ok(container.read_raw::<bool>()?.into_iter().map(|b| f64::from(u8::from(b))).collect())
            }
            _ => container.read_raw::<f64>(),
        };
        read().map_err(|e| StorageError::hdf5(&self.path, format!("read {what}"), &e))
    }

    /// Refuses text, compounds and other types that are not numbers.
    pub fn check_numeric(&self, container: &Container, what: &str) -> Result<(), StorageError> {
        use TypeDescriptor::{Boolean, Float, Integer, Unsigned};
        let found = match container.dtype().and_then(|t| t.to_descriptor()) {
            Ok(Integer(_) | Unsigned(_) | Float(_) | Boolean) => return Ok(()),
            Ok(other) => other.to_string(),
            Err(e) => e.to_string(),
        };
        Err(StorageError::Type { path: self.path.clone(), what: what.into(), found, expected: "numbers" })
    }

    /// All numbers of a dataset, and its shape.
    pub fn read(&self, dataset: &str) -> Result<(Vec<usize>, Vec<f64>), StorageError> {
        let found = self.dataset(dataset)?;
        Ok((found.shape(), self.numbers(&found, &format!("dataset {dataset:?}"))?))
    }

    /// All whole numbers of a one-dimensional dataset.
    pub fn integers(&self, dataset: &str) -> Result<Vec<i64>, StorageError> {
        let found = self.dataset(dataset)?;
        self.check_numeric(&found, &format!("dataset {dataset:?}"))?;
        found.read_raw().map_err(|e| StorageError::hdf5(&self.path, format!("read dataset {dataset:?}"), &e))
    }

    /// The numbers of an attribute, if there is one; a scalar gives one number.
    pub fn numbers_attribute(&self, location: &Location, name: &str) -> Result<Option<Vec<f64>>, StorageError> {
        let attribute = self.attribute(location, name)?;
        attribute.map(|attribute| self.numbers(&attribute, &format!("attribute {name:?}"))).transpose()
    }

    /// The text of an attribute, if there is one; of an array of texts, the first.
    pub fn text(&self, location: &Location, name: &str) -> Result<Option<String>, StorageError> {
        let Some(attribute) = self.attribute(location, name)? else { return Ok(None) };
        let read = || -> hdf5::Result<Result<Option<String>, String>> {
            Ok(Ok(match attribute.dtype()?.to_descriptor()? {
                TypeDescriptor::VarLenUnicode => first(attribute.read_raw::<VarLenUnicode>()?, |t| t.as_bytes()),
                TypeDescriptor::VarLenAscii => first(attribute.read_raw::<VarLenAscii>()?, |t| t.as_bytes()),
                TypeDescriptor::FixedUnicode(_) => {
                    first(attribute.read_raw::<FixedUnicode<FIXED_TEXT>>()?, |t| t.as_bytes())
                }
                TypeDescriptor::FixedAscii(_) => {
                    first(attribute.read_raw::<FixedAscii<FIXED_TEXT>>()?, |t| t.as_bytes())
                }
                other => return Ok(Err(other.to_string())),
            }))
        };
        match read() {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(found)) => {
                let what = format!("attribute {name:?}");
                Err(StorageError::Type { path: self.path.clone(), what, found, expected: "text" })
            }
            Err(e) => Err(StorageError::hdf5(&self.path, format!("read attribute {name:?}"), &e)),
        }
    }

    /// The dimension scale of every dimension of a dataset, as far as it has them.
    pub fn scales(&self, dataset: &Dataset) -> Result<Vec<Option<Dataset>>, StorageError> {
        let none = || vec![None; dataset.ndim()];
        let Some(attribute) = self.attribute(dataset, "DIMENSION_LIST")? else { return Ok(none()) };
        let read = || {
            let mut scales = none();
            let lists = attribute.read_raw::<VarLenArray<ObjectReference1>>()?;
            for (scale, list) in scales.iter_mut().zip(&lists) {
                if let Some(reference) = list.first()
                    && let ReferencedObject::Dataset(found) = self.file.dereference(reference)?
                {
                    *scale = Some(found);
                }
            }
            Ok(scales)
        };
        let scales =
            read().map_err(|e| StorageError::hdf5(&self.path, format!("read the axes of {}", name_of(dataset)), &e))?;
        scales.iter().flatten().try_for_each(|scale| self.check_extent(scale, &name_of(scale)))?;
        Ok(scales)
    }
}

/// Number of values; none where it is beyond counting. An empty axis hides no other one of impossible length.
fn count(container: &Container) -> Option<u64> {
    container.shape().iter().try_fold(1, |count: u64, &n| count.checked_mul(n.max(1) as u64))
}

/// The first of some texts. The HDF5 crate believes that a file's text is UTF-8; files say anything.
fn first<T>(texts: Vec<T>, bytes: impl Fn(&T) -> &[u8]) -> Option<String> {
    texts.first().map(|text| String::from_utf8_lossy(bytes(text)).into_owned())
}

/// The full name of an object, with whatever is not UTF-8 replaced.
pub(crate) fn name_of(location: &Location) -> String {
    String::from_utf8_lossy(location.name().as_bytes()).into_owned()
}

/// Opens and creates files without locking them, where the library lets us choose. No file of ours needs a lock: a
/// file being written has a private name, and a published one never changes in place.
pub(crate) fn unlocked() -> hdf5::FileBuilder {
    #[cfg_attr(not(hdf5_file_locking), allow(unused_mut))]
    let mut builder = File::with_options();
    #[cfg(hdf5_file_locking)]
    builder.with_fapl(|access| access.file_locking(false));
    builder
}

fn starts_as_hdf5(path: &Path) -> io::Result<bool> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(1 << 16).read_to_end(&mut bytes)?;
    let offsets = std::iter::once(0).chain((9..16).map(|power| 1 << power));
    Ok(offsets.into_iter().any(|at| bytes.get(at..at + 8) == Some(&SIGNATURE[..])))
}
