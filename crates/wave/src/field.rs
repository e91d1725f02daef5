//! Arrays that begin at a cache line, large ones in large pages.
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};

use rayon::prelude::*;
use treewave_core::Real;

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;
/// Bytes from which on an array is worth large pages, of 2 MiB each where the system has them.
const LARGE: usize = 4 << 20;

/// An array of scalars whose first element stands at the beginning of a cache line.
#[derive(Debug)]
pub struct Field<T> {
    room: Vec<T>,
    first: usize,
    len: usize,
}

impl<T: Real> Field<T> {
    /// `len` zeros. Their memory is touched for the first time by whoever writes to them.
    pub fn zeros(len: usize) -> Self {
        Field::filled(len, T::ZERO)
    }
}

impl<T: Clone> Field<T> {
    /// `len` times a value.
    pub(crate) fn filled(len: usize, value: T) -> Self {
        let size = size_of::<T>();
        // Only floats have vector instructions; wider scalars stay where they are.
        let spare = if LINE.is_multiple_of(size) { LINE / size } else { 0 };
        let room = vec![value; len + spare];
        use_large_pages(&room);
        let beyond = room.as_ptr().addr() % LINE;
        let first = if spare > 0 && beyond > 0 { (LINE - beyond) / size } else { 0 };
        Field { room, first, len }
    }
}

/// Elements that a thread sets or copies in one go: enough to be worth the call.
const CHUNK: usize = 1 << 16;

impl<T: Copy + Send + Sync> Field<T> {
    /// Sets all elements, by all threads: for memory that was not touched yet that is also where it is placed.
    pub fn set_all(&mut self, value: T) {
        self.par_chunks_mut(CHUNK).for_each(|chunk| chunk.fill(value));
    }

    /// Copies all elements, by all threads.
    pub fn copy_from(&mut self, other: &Field<T>) {
        assert_eq!(self.len, other.len);
        self.par_chunks_mut(CHUNK).zip(other.par_chunks(CHUNK)).for_each(|(to, from)| to.copy_from_slice(from));
    }
}

/// Asks for large pages for what was not touched yet: stencils read so many planes at once that the processor does not keep
/// the addresses of their pages of 4 KiB. No more than a hint.
fn use_large_pages<T>(room: &[T]) {
    #[cfg(target_os = "linux")]
    if size_of_val(room) >= LARGE {
        // SAFETY: the call takes a page size and tells it; it reads no memory.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        let first = room.as_ptr().addr().next_multiple_of(page);
        let len = room.as_ptr_range().end.addr() - first;
        // SAFETY: the pages belong to the array; the advice changes neither contents nor validity of memory.
        unsafe { libc::madvise(first as *mut libc::c_void, len, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = room;
}

impl<T> Deref for Field<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.room[self.first..][..self.len]
    }
}

impl<T> DerefMut for Field<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.room[self.first..][..self.len]
    }
}

impl<T: Clone> Clone for Field<T> {
    fn clone(&self) -> Self {
        let Some(value) = self.first() else { return Field { room: Vec::new(), first: 0, len: 0 } };
        let mut copy = Field::filled(self.len, value.clone());
        copy.clone_from_slice(self);
        copy
    }
}

impl<T: PartialEq> PartialEq for Field<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_their_clones_begin_at_a_cache_line() {
        for len in [1, 15, 16, 1000] {
            let mut field = Field::<f32>::zeros(len);
            field.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
            let copy = field.clone();
            assert!(field.as_ptr().addr().is_multiple_of(LINE) && copy.as_ptr().addr().is_multiple_of(LINE));
            assert!(copy.len() == len && copy == field);
            assert!(Field::<f64>::zeros(len).as_ptr().addr().is_multiple_of(LINE));
        }
    }
}
