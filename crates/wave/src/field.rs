//! Arrays that begin at a cache line.

use std::ops::{Deref, DerefMut};

use treewave_core::Real;

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

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
    fn filled(len: usize, value: T) -> Self {
        let size = size_of::<T>();
        // Only floats have vector instructions; wider scalars stay where they are.
        let spare = if LINE.is_multiple_of(size) { LINE / size } else { 0 };
        let room = vec![value; len + spare];
        let beyond = room.as_ptr().addr() % LINE;
        let first = if spare > 0 && beyond > 0 { (LINE - beyond) / size } else { 0 };
        Field { room, first, len }
    }
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
