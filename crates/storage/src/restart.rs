//! Restart files: what a stopped run needs to go on with the same bits. Private to Treewave.
//!
//! Two generations stand side by side in a directory. A new one replaces the older of the two, as a [sealed](crate::sealed) file. The newest whole one is chosen by the number inside, never
//! by file times.

use std::path::Path;

use crate::error::StorageError;
use crate::sealed::{Sealed, read, seal, unseal};

const GENERATIONS: [&str; 2] = ["a.rst", "b.rst"];

/// Saves a state over the older of the two generations.
///
/// # Errors
/// [`StorageError::Io`] where the directory cannot be written, [`StorageError::Content`] where what was read back
/// differs; the newer generation is untouched then.
pub fn save_restart(directory: &Path, restart: &Sealed<impl AsRef<[f64]>>) -> Result<(), StorageError> {
    let generations = GENERATIONS.map(|name| directory.join(name));
    let numbers = generations.each_ref().map(|path| read(path, false).map(|(restart, _)| restart.number));
    // A missing or damaged one goes first.
    let older = if numbers[0].as_ref().ok() <= numbers[1].as_ref().ok() { &generations[0] } else { &generations[1] };
    seal(older, restart)
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
pub fn load_restart(directory: &Path) -> Result<Option<Sealed>, StorageError> {
    let mut newest: Option<Sealed> = None;
    let mut reasons = Vec::new();
    for path in GENERATIONS.iter().map(|name| directory.join(name)).filter(|path| path.exists()) {
        match unseal(&path) {
            Ok(restart) if newest.as_ref().is_none_or(|known| known.number < restart.number) => {
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

    fn restart(number: u64) -> Sealed {
        let arrays = vec![("x".into(), vec![1.5, f64::MIN_POSITIVE, -0.0]), ("empty".into(), Vec::new())];
        Sealed { number, text: "{\"stage\": 1, \"ü\": 2}".into(), arrays }
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
            GENERATIONS.iter().map(|name| unseal(&folder.path().join(name)).unwrap().number).collect();
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
        assert_eq!(unseal(&newest).unwrap().number, 3);
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
        for length in [65535, 65536, 65537, 3 * 65536 + 7] {
            let values: Vec<f64> = (0..length).map(|i| (i as f64).sqrt()).collect();
            let long = Sealed { number: length as u64, text: "{}".into(), arrays: vec![("long".into(), values)] };
            save_restart(folder.path(), &long).unwrap();
            assert_eq!(load_restart(folder.path()).unwrap().as_ref(), Some(&long));
        }
    }
}
