//! What a rank needs, in bytes.

use treewave_core::Grid;
use treewave_reversal::ReversalPlan;
use treewave_wave::{Layout, Scalar};

use crate::band::Band;
use crate::reversal::{record_bytes, state_bytes};

/// Program, libraries and buffers of MPI and HDF5, as measured on the reference machine.
pub(crate) const PROGRAM_BYTES: u64 = 40 << 20;
/// Numbers per cell that an inversion holds in f64 besides history and sums: models, gradients, trial points, bounds.
const VECTORS: u64 = 16;
/// Integers per cell of the two order-independent sums.
const SUM_LIMBS: u64 = 6;

/// Peak memory of a rank, by parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// Records, snapshots in memory, staging buffers.
    pub reversal: u64,
    /// Working state, adjoint state, model and images on the padded grid.
    pub fields: u64,
    /// Model vectors of the inversion, the history of the optimiser, sums over shots.
    pub model: u64,
    /// Traces of a shot.
    pub traces: u64,
    /// The program itself.
    pub program: u64,
}

impl Memory {
    /// The memory of a rank that computes gradients, with `pairs` pairs of the optimiser.
    pub fn of_gradient<T: Scalar>(
        layout: &Layout,
        grid: &Grid,
        band: &Band,
        plan: &ReversalPlan,
        pairs: usize,
    ) -> Self {
        let scalar = size_of::<T>() as u64;
        let field = layout.len as u64 * scalar;
        let largest = band.survey.shots.iter().map(|shot| shot.receivers_m.len()).max().unwrap_or(0) as u64;
        let samples = largest * band.survey.samples as u64;
        Memory {
            reversal: plan.peak_memory_bytes,
            fields: 2 * state_bytes::<T>(layout) + field + 2 * record_bytes::<T>(layout) + grid.len() as u64 * scalar,
            model: grid.len() as u64 * 8 * (VECTORS + SUM_LIMBS + 2 * pairs as u64),
            // Recorded and adjoint samples in the field's scalar, observed, predicted and residual traces in f64.
            traces: samples * (2 * scalar + 4 * 8),
            program: PROGRAM_BYTES,
        }
    }

    /// All parts.
    pub fn total(&self) -> u64 {
        self.reversal + self.fields + self.model + self.traces + self.program
    }
}
