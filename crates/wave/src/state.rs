//! The state of an acoustic simulation.

use std::ops::Range;

use bytemuck::Pod;
use treewave_core::Real;
use treewave_reversal::Snapshot;

use crate::field::Field;
use crate::front::all_zero;
use crate::layout::Layout;

/// Two time levels of a field and the memory variables of the absorbing layer.
#[derive(Clone, Debug, PartialEq)]
pub struct State<T> {
    /// The field at the step of the state.
    pub now: Field<T>,
    /// The field one step before.
    pub before: Field<T>,
    /// Memory ψ of the first derivative per axis (`P` in an adjoint state).
    pub psi: [Field<T>; 3],
    /// Memory ζ of the second derivative per axis (`Z` in an adjoint state).
    pub zeta: [Field<T>; 3],
}

impl<T: Real> State<T> {
    /// A state at rest.
    pub fn new(layout: &Layout) -> Self {
        let memory = |axis| Field::zeros(layout.memory_len(axis));
        State {
            now: Field::zeros(layout.len),
            before: Field::zeros(layout.len),
            psi: [0, 1, 2].map(memory),
            zeta: [0, 1, 2].map(memory),
        }
    }
    /// Elements of a state with this layout.
    pub fn elements(layout: &Layout) -> usize {
        2 * layout.len + 2 * [0, 1, 2].map(|axis| layout.memory_len(axis)).iter().sum::<usize>()
    }
}

impl<T: Real + Send + Sync> State<T> {
    /// Sets everything to zero.
    pub fn clear(&mut self) {
        let fields = [&mut self.now, &mut self.before];
        fields.into_iter().chain(&mut self.psi).chain(&mut self.zeta).for_each(|field| field.set_all(T::ZERO));
    }
    /// Whether a part of the field is zero, now and one step before.
    pub(crate) fn is_silent(&self, part: Range<usize>) -> bool {
        [&self.now, &self.before].into_iter().all(|field| all_zero(&field[part.clone()], T::ZERO))
    }
}

impl<T: Real + Pod + Send + Sync> Snapshot for State<T> {
    fn copy_from(&mut self, other: &Self) {
        self.now.copy_from(&other.now);
        self.before.copy_from(&other.before);
        for axis in 0..3 {
            self.psi[axis].copy_from(&other.psi[axis]);
            self.zeta[axis].copy_from(&other.zeta[axis]);
        }
    }
    fn parts(&self) -> Vec<&[u8]> {
        let fields = [&self.now, &self.before].into_iter().chain(&self.psi).chain(&self.zeta);
        fields.map(|field| bytemuck::cast_slice::<T, u8>(field)).collect()
    }
    fn parts_mut(&mut self) -> Vec<&mut [u8]> {
        let fields = [&mut self.now, &mut self.before].into_iter().chain(&mut self.psi).chain(&mut self.zeta);
        fields.map(|field| bytemuck::cast_slice_mut::<T, u8>(field)).collect()
    }
}
