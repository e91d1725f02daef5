//! Arrays that several threads write to at the same time, each in places of its own.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ops::Range;

/// An array that is borrowed for writing, and can be lent in parts to several threads.
#[derive(Debug)]
pub struct Shared<'a, T> {
    first: *mut T,
    len: usize,
    array: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a mutable borrow of an array, whose use from several threads is left to those who call `read` and `write`.
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// Shares an array.
    pub fn new(array: &'a mut [T]) -> Self {
        Shared { first: array.as_mut_ptr(), len: array.len(), array: PhantomData }
    }

    /// Number of elements.
    #[inline(always)]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The first element.
    #[inline(always)]
    pub(crate) fn first(&self) -> *mut T {
        self.first
    }

    /// A part to read.
    ///
    /// # Safety
    /// While the part is in use, nobody writes to it.
    ///
    /// # Panics
    /// If it is not part of the array.
    #[inline(always)]
    pub unsafe fn read(&self, part: Range<usize>) -> &[T] {
        self.check(&part);
        // SAFETY: the part lies in the array by the check above; nobody writes to it, as the caller promises.
        unsafe { std::slice::from_raw_parts(self.first.add(part.start), part.len()) }
    }

    /// A part to write to.
    ///
    /// # Safety
    /// While the part is in use, nobody else reads it or writes to it.
    ///
    /// # Panics
    /// If it is not part of the array.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "who calls it promises that the part is used once")]
    pub unsafe fn write(&self, part: Range<usize>) -> &mut [T] {
        self.check(&part);
        // SAFETY: the part lies in the array by the check above; nobody else uses it, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(part.start), part.len()) }
    }

    #[inline(always)]
    fn check(&self, part: &Range<usize>) {
        assert!(part.start <= part.end && part.end <= self.len, "{part:?} is not part of {} elements", self.len);
    }
}
