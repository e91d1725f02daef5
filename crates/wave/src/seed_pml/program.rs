//! The discrete program for one model: time step and its transpose.

use std::ops::Range;

use treewave_core::Real;
use treewave_kernels::SeedKernels;
use treewave_kernels::seed_pml::{Cross, Damping, SeedConstants};

use super::SeedPmlError;
use super::frame::{Frame, Piece};
use super::rows::Rows;
use super::shared_field::Spare;
use super::state::{SeedRecord, SeedState};
use crate::field::Field;
use crate::tiles::Parallelism;

/// Rows begin a multiple of this many elements apart: one cache line of `f64`.
pub(super) const ALIGN: usize = 8;

/// The absorbing layer, which lies inside the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedLayer {
    /// Width in cells, counted from the ring.
    pub width_cells: usize,
    /// Velocity in m/s that the damping is made for.
    pub reference_vp_m_per_s: f64,
    /// Reflection coefficient that the damping is made for.
    pub reflection: f64,
    /// Whether there is a layer: `[low, high]` end of x, then of z. Elsewhere the ring reflects.
    pub sides: [[bool; 2]; 2],
}

impl Default for SeedLayer {
    /// The paper's: 12 cells on all sides for 1000 m/s and a reflection of 0.001.
    fn default() -> Self {
        SeedLayer { width_cells: 12, reference_vp_m_per_s: 1000.0, reflection: 0.001, sides: [[true; 2]; 2] }
    }
}

/// The choices that fix the discrete program besides the model.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedPmlOptions {
    /// Points along x and z with the ring, at least 3.
    pub points: [usize; 2],
    /// Spacing along x and z in m.
    pub spacing_m: [f64; 2],
    /// Time step in s.
    pub dt_s: f64,
    /// The absorbing layer.
    pub layer: SeedLayer,
    /// How sweeps are carried out.
    pub parallelism: Parallelism,
}

impl SeedPmlOptions {
    /// Largest stable time step in s of the interior: `1 / (c sqrt(1/Δx² + 1/Δz²))`.
    pub fn stable_dt_s(&self, vp_max_m_per_s: f64) -> f64 {
        let [x, z] = self.spacing_m;
        1.0 / (vp_max_m_per_s * (1.0 / (x * x) + 1.0 / (z * z)).sqrt())
    }

    /// Damping of every point along an axis in 1/s, the ring included.
    pub fn damping(&self, axis: usize) -> Vec<f64> {
        let (layer, points) = (&self.layer, self.points[axis]);
        let width = layer.width_cells;
        let length_m = width as f64 * self.spacing_m[axis];
        let scale = layer.reference_vp_m_per_s / length_m * (1.0 / layer.reflection).ln();
        let [low, high] = layer.sides[axis];
        let depth = |i: usize| match points - 1 - i {
            _ if low && i < width => width - i,
            behind if high && behind < width => width - behind,
            _ => 0,
        };
        let share = |i: usize| depth(i) as f64 / width as f64;
        let profile = |d: f64| scale * (d - (std::f64::consts::TAU * d).sin() / std::f64::consts::TAU);
        (0..points).map(|i| if depth(i) == 0 { 0.0 } else { profile(share(i)) }).collect()
    }
}

/// Everything that a time step needs, shared by all shots on a model.
///
/// A field is stored with its ring, rows along z contiguous; [`index`](Self::index) finds a point.
#[derive(Clone, Debug)]
pub struct SeedPml<T> {
    options: SeedPmlOptions,
    constants: SeedConstants<T>,
    kernels: SeedKernels<T>,
    /// Damping along x and z of every point, in 1/s.
    damping: [Vec<T>; 2],
    /// Squared velocity in m²/s², stored as a field; 1 on the ring, whose values are never used.
    m: Field<T>,
    /// Fields for states.
    spare: Spare<T>,
    frame: Frame,
    stride: usize,
    /// First element of each row of a field.
    field_starts: Vec<usize>,
    /// Stands for what is not stored of the auxiliary fields.
    zeros: Vec<T>,
}

impl<T: Real + Send + Sync> SeedPml<T> {
    /// The program for squared velocities `c2` in m²/s², one per point, z fastest; those of the ring are not used.
    ///
    /// # Errors
    /// A grid without inside, a squared velocity that is not positive, a time step that is not stable.
    pub fn new(options: SeedPmlOptions, c2: &[T], kernels: SeedKernels<T>) -> Result<Self, SeedPmlError> {
        let points = options.points;
        if points.iter().any(|&n| n < 3) {
            return Err(SeedPmlError::TooSmall { points });
        }
        assert_eq!(c2.len(), points[0] * points[1], "one squared velocity per point");
        let n = points.map(|points| points - 2);
        // An odd number of cache lines per row keeps the rows of a stencil out of each other's cache sets.
        let stride = ALIGN * (points[1].div_ceil(ALIGN) | 1);
        let mut m = Field::filled(points[0] * stride, T::ONE);
        let mut fastest = 0.0_f64;
        for i in 1..=n[0] {
            let row = &c2[i * points[1]..][..points[1]];
            for (k, value) in row.iter().enumerate().take(n[1] + 1).skip(1) {
                let value = value.value();
                if !(value > 0.0 && value.is_finite()) {
                    return Err(SeedPmlError::Velocity { value, point: [i, k] });
                }
                fastest = fastest.max(value);
            }
            m[i * stride + 1..][..n[1]].copy_from_slice(&row[1..=n[1]]);
        }
        let limit_s = options.stable_dt_s(fastest.sqrt());
        let damping = [0, 1].map(|axis| options.damping(axis));
        let inside = [0, 1].map(|axis| &damping[axis][1..=n[axis]]);
        let strongest = inside.into_iter().flatten().fold(0.0_f64, |largest, &s| largest.max(s));
        // Beyond, the explicit decay of the auxiliary fields would grow.
        let limit_s = if strongest > 0.0 { limit_s.min(2.0 / strongest) } else { limit_s };
        if options.dt_s.is_nan() || options.dt_s > limit_s * (1.0 + 1e-12) {
            let vp_max_m_per_s = fastest.sqrt();
            return Err(SeedPmlError::Unstable { dt_s: options.dt_s, limit_s, vp_max_m_per_s });
        }
        let layer = inside.map(|inside| {
            let low = inside.iter().take_while(|&&s| s > 0.0).count();
            [low, inside[low..].iter().filter(|&&s| s > 0.0).count()]
        });
        Ok(SeedPml {
            constants: SeedConstants::new(options.dt_s, options.spacing_m),
            kernels,
            damping: damping.map(|axis| axis.into_iter().map(T::from_f64).collect()),
            spare: Spare::new(m.len()),
            m,
            frame: Frame::new(n, layer),
            stride,
            field_starts: (0..=points[0]).map(|i| i * stride).collect(),
            zeros: vec![T::ZERO; points[1]],
            options,
        })
    }

    /// The choices made.
    pub fn options(&self) -> &SeedPmlOptions {
        &self.options
    }
    /// The frame that the auxiliary fields are stored on.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
    /// Place of a point `[ix, iz]` in a field.
    pub fn index(&self, [i, k]: [usize; 2]) -> usize {
        i * self.stride + k
    }
    /// Cells without the ring along x and z.
    pub fn inside(&self) -> [usize; 2] {
        self.options.points.map(|points| points - 2)
    }
    /// Squared velocities in m²/s², stored as a field.
    pub(crate) fn m(&self) -> &[T] {
        &self.m
    }
    /// What a step multiplies the field of the step before with, its sign changed: 1 outside the layer.
    pub(crate) fn weight_before(&self, [i, k]: [usize; 2]) -> T {
        T::ONE - T::from_f64(0.5) * self.constants.dt * (self.damping[0][i] + self.damping[1][k])
    }
    /// Elements of a state.
    pub fn state_elements(&self) -> usize {
        2 * self.m.len() + 2 * self.frame.elements()
    }
    /// Elements of a record.
    pub fn record_elements(&self) -> usize {
        self.m.len() + 2 * self.frame.elements()
    }
    /// A state at rest.
    pub fn new_state(&self) -> SeedState<T> {
        let frame = || Field::zeros(self.frame.elements());
        SeedState { now: self.spare.zeros(), before: self.spare.zeros(), phi: frame(), psi: frame() }
    }
    /// A record to write to.
    pub fn new_record(&self) -> SeedRecord<T> {
        let frame = || Field::zeros(self.frame.elements());
        SeedRecord { curvature: self.new_field(), slopes: [frame(), frame()] }
    }
    /// Zeros, stored as a field.
    pub(super) fn new_field(&self) -> Field<T> {
        Field::zeros(self.m.len())
    }
    /// A field without padding: all points `(x, z)`, the ring included.
    pub fn points(&self, field: &[T]) -> Vec<T> {
        let [nx, nz] = self.options.points;
        (0..nx).flat_map(|i| field[i * self.stride..][..nz].iter().copied()).collect()
    }

    /// The pieces of a row that have cells of some columns, with these.
    pub(super) fn pieces(&self, columns: &Range<usize>) -> impl Iterator<Item = (Piece, Range<usize>)> + use<T> {
        let cut = Piece::ALL.map(|piece| {
            let Range { start, end } = self.frame.range(piece);
            (piece, start.max(columns.start)..end.min(columns.end))
        });
        cut.into_iter().filter(|(_, cells)| !cells.is_empty())
    }
    /// Cells of row `i` of a field with their neighbours.
    pub(super) fn cross<'a>(&self, field: Rows<'a, T>, i: usize, cells: &Range<usize>) -> Cross<'a, T> {
        Cross {
            above: &field.row(i - 1)[cells.clone()],
            own: &field.row(i)[cells.start - 1..cells.end + 1],
            below: &field.row(i + 1)[cells.clone()],
        }
    }
    /// Cells of a piece before and behind row `i` of an array of the frame.
    pub(super) fn across<'a>(&'a self, array: Rows<'a, T>, i: usize, cells: (Piece, &Range<usize>)) -> [&'a [T]; 2] {
        [i - 1, i + 1].map(|i| {
            let row = self.frame.with_ends(array, i, cells, &self.zeros);
            &row[1..row.len() - 1]
        })
    }
    /// Cells of a piece of row `i` of an array of the frame with one more at either end.
    pub(super) fn along<'a>(&'a self, array: Rows<'a, T>, i: usize, cells: (Piece, &Range<usize>)) -> &'a [T] {
        self.frame.with_ends(array, i, cells, &self.zeros)
    }
    pub(super) fn damping_of(&self, i: usize, cells: &Range<usize>) -> Damping<'_, T> {
        Damping { x: self.damping[0][i], z: &self.damping[1][cells.clone()] }
    }
    /// Squared velocities, row by row.
    pub(super) fn m_rows(&self) -> Rows<'_, T> {
        Rows::new(&self.m, &self.field_starts)
    }
    /// First elements of the rows of a field and of an array of the frame.
    pub(super) fn starts(&self) -> [&[usize]; 2] {
        [&self.field_starts, self.frame.starts()]
    }
    pub(super) fn constants(&self) -> &SeedConstants<T> {
        &self.constants
    }
    pub(super) fn kernels(&self) -> &SeedKernels<T> {
        &self.kernels
    }
}
