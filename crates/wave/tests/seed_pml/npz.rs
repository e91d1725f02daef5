//! Reads `.npz` files whose arrays are stored without compression.

use std::collections::HashMap;
use std::path::PathBuf;

use ndarray::ArrayD;
use ndarray_npy::ReadNpyExt;

/// The path of a golden file; `None`, with a message, where the shared folder is absent.
pub fn golden(name: &str) -> Option<PathBuf> {
    let shared = PathBuf::from(crate::SHARED);
    if !shared.exists() {
        println!("skipped: ../shared is absent");
        return None;
    }
    Some(shared.join("golden").join(name))
}

/// A golden JSON file.
pub fn json(name: &str) -> Option<serde_json::Value> {
    let path = golden(name)?;
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Some(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

/// The arrays of an archive by name.
pub struct Npz(HashMap<String, Vec<u8>>);

impl Npz {
    pub fn open(name: &str) -> Option<Npz> {
        let path = golden(name)?;
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let number = |at: usize, len: usize| (0..len).rev().fold(0, |sum, i| sum << 8 | bytes[at + i] as usize);
        // The end of the central directory is the last record; files without a comment end with its 22 bytes.
        let end = bytes.len() - 22;
        assert_eq!(&bytes[end..end + 4], b"PK\x05\x06", "{}: no end of a directory", path.display());
        let (count, mut at) = (number(end + 10, 2), number(end + 16, 4));
        let mut arrays = HashMap::new();
        for _ in 0..count {
            assert_eq!(&bytes[at..at + 4], b"PK\x01\x02", "{}: no directory entry", path.display());
            assert_eq!(number(at + 10, 2), 0, "{}: compressed", path.display());
            let (size, name, extra, comment) =
                (number(at + 24, 4), number(at + 28, 2), number(at + 30, 2), number(at + 32, 2));
            let local = number(at + 42, 4);
            let file = String::from_utf8(bytes[at + 46..at + 46 + name].to_vec()).expect("a plain name");
            let begin = local + 30 + number(local + 26, 2) + number(local + 28, 2);
            arrays.insert(file.trim_end_matches(".npy").to_string(), bytes[begin..begin + size].to_vec());
            at += 46 + name + extra + comment;
        }
        Some(Npz(arrays))
    }

    /// Real numbers in C order.
    pub fn reals(&self, name: &str) -> Vec<f64> {
        ArrayD::<f64>::read_npy(&self.0[name][..]).expect("an array of f64").into_iter().collect()
    }

    /// Pairs of indices.
    pub fn pairs(&self, name: &str) -> Vec<[usize; 2]> {
        let values: Vec<i64> =
            ArrayD::<i64>::read_npy(&self.0[name][..]).expect("an array of i64").into_iter().collect();
        values.chunks_exact(2).map(|pair| [pair[0] as usize, pair[1] as usize]).collect()
    }
}
