//! A check of the global heaps of an HDF5 file, where texts of any length and lists of axes stand. The HDF5 library believes
//! the sizes in them: on a damaged one it loops for ever or reads memory that is not its own.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A collection of objects begins so: its signature, version 1, and three zero bytes.
const SIGNATURE: &[u8; 8] = b"GCOL\x01\0\0\0";
/// Signature and size of a collection; number, count of uses and size of an object.
const HEAD: u64 = 16;
/// No collection is smaller.
const SMALLEST: u64 = 4096;
/// Texts stand at the beginning of files, before the arrays: so much is searched, in a few milliseconds.
const SEARCHED: u64 = 16 << 20;
const BLOCK: usize = 1 << 18;

/// Where the first damaged collection begins, if there is one.
pub(crate) fn damaged(file: &File) -> io::Result<Option<u64>> {
    let length = file.metadata()?.len();
    let mut block = vec![0; BLOCK];
    let (mut start, end) = (0, length.min(SEARCHED));
    while start < end {
        let read = read_some(file, &mut block, start)?;
        let bytes = &block[..read];
        let mut from = 0;
        while let Some(at) = bytes[from..].iter().position(|&byte| byte == SIGNATURE[0]).map(|at| from + at) {
            if bytes[at..].starts_with(SIGNATURE) && !is_whole(file, start + at as u64, length)? {
                return Ok(Some(start + at as u64));
            }
            from = at + 1;
        }
        // A signature may straddle two blocks.
        start += if read < BLOCK { BLOCK } else { BLOCK - SIGNATURE.len() } as u64;
    }
    Ok(None)
}

/// Whether the objects of a collection fill it.
fn is_whole(file: &File, collection: u64, length: u64) -> io::Result<bool> {
    let mut head = [0; HEAD as usize];
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    if read_some(file, &mut head, collection)? < head.len() {
        return Ok(false);
    }
    let size = number(&head[8..]);
    if size < SMALLEST || size > length - collection {
        return Ok(false);
    }
    let mut objects = vec![0; size as usize];
    file.read_exact_at(&mut objects, collection)?;
    let mut at = HEAD;
    while size - at >= HEAD {
        let object = &objects[at as usize..];
        let is_free = object[..2] == [0, 0];
        let held = number(&object[8..16]);
        // What is free counts its head; an object is padded to eight bytes.
        let taken =
            if is_free { Some(held) } else { held.checked_next_multiple_of(8).and_then(|n| n.checked_add(HEAD)) };
        match taken {
            Some(taken) if (HEAD..=size - at).contains(&taken) => at += taken,
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Reads as much as there is.
fn read_some(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], at + read as u64) {
            Ok(0) => break,
            Ok(bytes) => read += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file
    }

    /// A collection of two objects and free room.
    fn collection() -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend(SMALLEST.to_le_bytes());
        let mut object = |number: u16, size: u64, taken: usize| {
            let end = bytes.len() + taken;
            bytes.extend(number.to_le_bytes());
            bytes.extend([0; 6]);
            bytes.extend(size.to_le_bytes());
            bytes.resize(end, 0);
        };
        object(1, 3, 24);
        object(2, 16, 32);
        object(0, 4024, 4024);
        assert_eq!(bytes.len() as u64, SMALLEST);
        bytes
    }

    #[test]
    fn damaged_collections_are_found_wherever_they_begin() {
        let whole = collection();
        for begin in [0, 2048, BLOCK - 3, 3 * BLOCK - 20] {
            let with = |collection: &[u8]| [&vec![b'G'; begin], collection].concat();
            assert_eq!(damaged(&file(&with(&whole))).unwrap(), None);
            // The size of the collection, of an object, and of what is free.
            for (at, number) in [(8, 4095), (8, 4097), (24, 1 << 40), (24, u64::MAX), (80, 0), (80, 15), (80, 4025)] {
                let mut odd = whole.clone();
                odd[at..at + 8].copy_from_slice(&u64::to_le_bytes(number));
                assert_eq!(damaged(&file(&with(&odd))).unwrap(), Some(begin as u64), "{number} at {at}");
            }
            assert_eq!(damaged(&file(&with(&whole[..4000]))).unwrap(), Some(begin as u64));
        }
    }
}
