//! The time step.

use treewave_core::Grid;
use treewave_kernels::Stencil;

/// Share of the stability limit that an automatic time step may use.
const SAFETY: f64 = 0.98;

/// Largest stable time step in s: `2 / (c sqrt(Σ |weights| / h²))`, with the sum over axes and stencil weights.
pub fn stable_dt_s(grid: &Grid, space_order: usize, vp_max_m_per_s: f64) -> f64 {
    2.0 / (vp_max_m_per_s * Stencil::<f64>::norm(space_order / 2, grid.axes(), grid.spacing_m()).sqrt())
}

/// Steps per recorded sample such that `record_s / steps` stays within 98 % of the stability limit.
pub fn steps_per_sample(record_s: f64, limit_s: f64) -> usize {
    (record_s / (SAFETY * limit_s)).ceil().max(1.0) as usize
}
