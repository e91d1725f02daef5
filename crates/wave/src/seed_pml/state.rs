//! States and records of the equation.

use bytemuck::Pod;
use treewave_core::Real;
use treewave_reversal::Snapshot;

use super::shared_field::SharedField;
use crate::field::Field;

/// Two time levels of the field, and the auxiliary fields on the frame of the layer.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedState<T> {
    /// The field at the step of the state; `Q` in an adjoint state.
    pub now: SharedField<T>,
    /// The field one step before; `q` of the step behind in an adjoint state.
    pub before: SharedField<T>,
    /// φ; `F` in an adjoint state.
    pub phi: Field<T>,
    /// ψ; `G` in an adjoint state.
    pub psi: Field<T>,
}

impl<T: Real + Send + Sync> SeedState<T> {
    /// Sets everything to zero.
    pub fn clear(&mut self) {
        for field in [&mut self.now[..], &mut self.before, &mut self.phi, &mut self.psi] {
            field.fill(T::ZERO);
        }
    }
}

impl<T: Real + Pod + Send + Sync> Snapshot for SeedState<T> {
    fn copy_from(&mut self, other: &Self) {
        self.now.share(&other.now);
        self.before.share(&other.before);
        self.phi.copy_from(&other.phi);
        self.psi.copy_from(&other.psi);
    }
    fn parts(&self) -> Vec<&[u8]> {
        [&self.now[..], &self.before, &self.phi, &self.psi].map(|field| bytemuck::cast_slice::<T, u8>(field)).to_vec()
    }
    fn parts_mut(&mut self) -> Vec<&mut [u8]> {
        [&mut self.now[..], &mut self.before, &mut self.phi, &mut self.psi]
            .map(|f| bytemuck::cast_slice_mut::<T, u8>(f))
            .into()
    }
}

/// What the adjoint of one step needs.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedRecord<T> {
    /// What the squared velocity is multiplied with in the step of the field: `Δt² L u`, stored as a field.
    pub(crate) curvature: Field<T>,
    /// The same for the auxiliary fields: the slopes of the new field along x and z, on the frame.
    pub(crate) slopes: [Field<T>; 2],
}
