//! Fields that several states have in common, as neighbouring states do: who writes to one has it alone.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use treewave_core::Real;

use crate::field::Field;

/// Fields that no state has any more: memory that was touched is used again.
#[derive(Clone, Debug)]
pub(super) struct Spare<T> {
    zeros: Arc<Field<T>>,
    free: Arc<Mutex<Vec<Field<T>>>>,
}

impl<T: Real> Spare<T> {
    /// Of fields with so many elements.
    pub(super) fn new(elements: usize) -> Self {
        Spare { zeros: Arc::new(Field::zeros(elements)), free: Arc::default() }
    }

    /// A field of zeros, which takes no memory of its own before it is written to.
    pub(super) fn zeros(&self) -> SharedField<T> {
        SharedField { field: Some(self.zeros.clone()), spare: self.clone() }
    }

    /// A field of some values.
    fn any(&self) -> Field<T> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| Field::zeros(self.zeros.len()))
    }
}

/// A field of a state, which other states may have as well.
#[derive(Debug)]
pub struct SharedField<T> {
    /// There is always one.
    field: Option<Arc<Field<T>>>,
    spare: Spare<T>,
}

impl<T> SharedField<T> {
    fn get(&self) -> &Arc<Field<T>> {
        self.field.as_ref().expect("there is always one")
    }

    /// Takes another one in its place.
    fn replace(&mut self, field: Option<Arc<Field<T>>>) {
        if let Some(free) = std::mem::replace(&mut self.field, field).and_then(Arc::into_inner) {
            self.spare.free.lock().unwrap_or_else(PoisonError::into_inner).push(free);
        }
    }

    /// Becomes the same field as another one, without a copy.
    pub(super) fn share(&mut self, other: &Self) {
        self.replace(Some(other.get().clone()));
    }

    /// Whether another state has it, too.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(self.get()) > 1
    }
}

impl<T: Real + Send + Sync> SharedField<T> {
    /// The field to write to: a copy if another state has it, too.
    pub(super) fn alone(&mut self) -> &mut Field<T> {
        if let Some(old) = self.renew() {
            let own = Arc::get_mut(self.field.as_mut().expect("there is always one")).expect("it is new");
            own.copy_from(old.get());
        }
        Arc::get_mut(self.field.as_mut().expect("there is always one")).expect("no other state has it")
    }

    /// If another state has it, too: takes a field of some values instead, zeros on the ring, and gives the old one back.
    pub(super) fn renew(&mut self) -> Option<SharedField<T>> {
        self.is_shared().then(|| {
            let new = Arc::new(self.spare.any());
            SharedField { field: self.field.replace(new), spare: self.spare.clone() }
        })
    }
}

impl<T> Drop for SharedField<T> {
    fn drop(&mut self) {
        self.replace(None);
    }
}

impl<T> Clone for SharedField<T> {
    fn clone(&self) -> Self {
        SharedField {
            field: self.field.clone(),
            spare: Spare { zeros: self.spare.zeros.clone(), free: self.spare.free.clone() },
        }
    }
}

impl<T> Deref for SharedField<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        self.get()
    }
}

impl<T: Real + Send + Sync> DerefMut for SharedField<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.alone()
    }
}

impl<T: PartialEq> PartialEq for SharedField<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_shared_until_one_is_written_to() {
        let spare = Spare::<f64>::new(3);
        let (mut a, mut b) = (spare.zeros(), spare.zeros());
        a[1] = 5.0;
        assert_eq!((&a[..], &b[..]), (&[0.0, 5.0, 0.0][..], &[0.0; 3][..]));
        b.share(&a);
        assert!(a.is_shared() && b.is_shared() && a[..].as_ptr() == b[..].as_ptr());
        b[2] = 7.0;
        assert_eq!((&a[..], &b[..]), (&[0.0, 5.0, 0.0][..], &[0.0, 5.0, 7.0][..]));
        assert!(!a.is_shared() && !b.is_shared());
        let own = b[..].as_ptr();
        assert!(b.renew().is_none(), "it is alone");
        b.share(&a);
        let old = b.renew().expect("it was shared");
        assert_eq!((old[..].as_ptr(), b[..].as_ptr()), (a[..].as_ptr(), own), "the field given up is used again");
    }
}
