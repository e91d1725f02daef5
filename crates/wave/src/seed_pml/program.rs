//! The discrete program for one model: time step and its transpose.

use treewave_core::Real;
use treewave_kernels::SeedKernels;
use treewave_kernels::seed_pml::{AdjointLayer, Cross, Damping, SeedConstants};

use super::SeedPmlError;
use super::frame::{Frame, Piece};
use super::state::{SeedRecord, SeedState};
use super::sweep::{Part, sweep};
use crate::tiles::Parallelism;

/// Rows per block: what a block reads of a field of a thousand cells per row stays in the second-level cache.
const BLOCK_ROWS: usize = 32;
/// Rows begin a multiple of this many elements apart: one cache line of `f64`.
const ALIGN: usize = 8;

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
    m: Vec<T>,
    frame: Frame,
    stride: usize,
    /// First element of each row of a field, and of an array of the cells without the ring.
    field_starts: Vec<usize>,
    cell_starts: Vec<usize>,
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
        let mut m = vec![T::ONE; points[0] * stride];
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
            m,
            frame: Frame::new(n, layer),
            stride,
            field_starts: (0..=points[0]).map(|i| i * stride).collect(),
            cell_starts: (0..=points[0]).map(|i| i.clamp(1, n[0] + 1) * n[1] - n[1]).collect(),
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
        self.inside().iter().product::<usize>() + 2 * self.frame.elements()
    }
    /// A state at rest.
    pub fn new_state(&self) -> SeedState<T> {
        let (field, frame) = (vec![T::ZERO; self.m.len()], vec![T::ZERO; self.frame.elements()]);
        SeedState { now: field.clone(), before: field, phi: frame.clone(), psi: frame }
    }
    /// A record to write to.
    pub fn new_record(&self) -> SeedRecord<T> {
        let frame = vec![T::ZERO; self.frame.elements()];
        SeedRecord { curvature: self.new_cells(), slopes: [frame.clone(), frame] }
    }
    /// Zeros for all cells without the ring.
    pub(crate) fn new_cells(&self) -> Vec<T> {
        vec![T::ZERO; self.inside().iter().product()]
    }
    /// A field without padding: all points `(x, z)`, the ring included.
    pub fn points(&self, field: &[T]) -> Vec<T> {
        let [nx, nz] = self.options.points;
        (0..nx).flat_map(|i| field[i * self.stride..][..nz].iter().copied()).collect()
    }

    /// One step without its source: `now` becomes `u⁺`, `before` becomes `u`, φ and ψ move on.
    pub fn step(&self, state: &mut SeedState<T>, record: Option<&mut SeedRecord<T>>) {
        let SeedState { now, before, phi, psi } = state;
        let (curvature, slopes) = match record {
            Some(SeedRecord { curvature, slopes: [x, z] }) => (Some(&mut curvature[..]), [Some(&mut x[..]), Some(z)]),
            None => (None, [None, None]),
        };
        let parts = [Part::new(Some(before), &self.field_starts), Part::new(curvature, &self.cell_starts)];
        self.sweep(parts, &|i, [next, record]| {
            for piece in Piece::ALL {
                self.step_piece(i, piece, next, now, phi, psi, record);
            }
        });
        std::mem::swap(now, before);
        let [slope_x, slope_z] = slopes.map(|slope| self.on_frame(slope));
        let parts = [self.on_frame(Some(phi)), self.on_frame(Some(psi)), slope_x, slope_z];
        self.sweep(parts, &|i, [phi, psi, slope_x, slope_z]| {
            for piece in Piece::ALL {
                let Some(within) = self.frame.within(i, piece) else { continue };
                let (u, damping) = (self.cross(now, i, piece), self.damping_of(i, piece));
                let slopes = if slope_x.is_empty() {
                    [&mut slope_x[..], &mut slope_z[..]]
                } else {
                    [&mut slope_x[within.clone()], &mut slope_z[within.clone()]]
                };
                let m = self.row(&self.m, i, piece);
                let (phi, psi) = (&mut phi[within.clone()], &mut psi[within]);
                (self.kernels.memory)(&self.constants, damping, u, m, phi, psi, slopes);
            }
        });
    }

    #[allow(clippy::too_many_arguments, reason = "one piece of all fields")]
    #[inline]
    fn step_piece(&self, i: usize, piece: Piece, next: &mut [T], now: &[T], phi: &[T], psi: &[T], record: &mut [T]) {
        let cells = self.frame.range(piece);
        if cells.is_empty() {
            return;
        }
        let record = if record.is_empty() { record } else { &mut record[cells.start - 1..cells.end - 1] };
        let (u, m, next) = (self.cross(now, i, piece), self.row(&self.m, i, piece), &mut next[cells]);
        if self.frame.within(i, piece).is_none() {
            return (self.kernels.interior)(&self.constants, next, u, m, record);
        }
        let (phi, psi) = (self.across(phi, i, piece), self.frame.with_ends(psi, i, piece, &self.zeros));
        (self.kernels.layer)(&self.constants, self.damping_of(i, piece), next, u, m, phi, psi, record);
    }

    /// One step of the adjoint back: `now` becomes `Q⁻`, `before` becomes `q`, `F` and `G` move on.
    ///
    /// `gradient`, per cell without the ring, receives the derivative with respect to the squared velocity times it.
    pub fn step_back(&self, state: &mut SeedState<T>, record: &SeedRecord<T>, gradient: &mut [T]) {
        let SeedState { now, before, phi: f, psi: g } = state;
        self.sweep([Part::new(Some(now), &self.field_starts)], &|i, [q]| {
            for piece in Piece::ALL {
                if self.frame.within(i, piece).is_some() {
                    let (f, g) = (self.across(f, i, piece), self.frame.with_ends(g, i, piece, &self.zeros));
                    let (damping, m) = (self.damping_of(i, piece), self.row(&self.m, i, piece));
                    (self.kernels.adjoint_memory)(&self.constants, damping, &mut q[self.frame.range(piece)], m, f, g);
                }
            }
        });
        let q: &[T] = now;
        let parts = [
            Part::new(Some(before), &self.field_starts),
            self.on_frame(Some(f)),
            self.on_frame(Some(g)),
            Part::new(Some(gradient), &self.cell_starts),
        ];
        self.sweep(parts, &|i, [next, f, g, gradient]| {
            for piece in Piece::ALL {
                let cells = self.frame.range(piece);
                if cells.is_empty() {
                    continue;
                }
                let inside = cells.start - 1..cells.end - 1;
                let curvature = &record.curvature[self.cell_starts[i]..][inside.clone()];
                let (next, gradient) = (&mut next[cells], &mut gradient[inside]);
                let q = self.cross(q, i, piece);
                let Some(within) = self.frame.within(i, piece) else {
                    let m = self.row(&self.m, i, piece);
                    (self.kernels.adjoint_interior)(&self.constants, next, q, m, curvature, gradient);
                    continue;
                };
                let slopes = record.slopes.each_ref().map(|s| &s[self.frame.starts()[i]..][within.clone()]);
                let m = self.cross(&self.m, i, piece);
                let (f, g) = (&mut f[within.clone()], &mut g[within]);
                let row = AdjointLayer { next, q, m, f, g, record: curvature, slopes, gradient };
                (self.kernels.adjoint_layer)(&self.constants, self.damping_of(i, piece), row);
            }
        });
        std::mem::swap(now, before);
    }

    fn sweep<const K: usize>(&self, parts: [Part<'_, T>; K], body: &(impl Fn(usize, [&mut [T]; K]) + Sync)) {
        sweep(self.options.parallelism, 1..self.options.points[0] - 1, BLOCK_ROWS, parts, body);
    }
    /// An array of the frame, to be written row by row.
    fn on_frame<'a>(&'a self, array: Option<&'a mut [T]>) -> Part<'a, T> {
        Part::new(array, self.frame.starts())
    }
    /// A piece of row `i` of a field.
    fn row<'a>(&self, field: &'a [T], i: usize, piece: Piece) -> &'a [T] {
        &field[i * self.stride..][self.frame.range(piece)]
    }
    /// The same with its neighbours.
    fn cross<'a>(&self, field: &'a [T], i: usize, piece: Piece) -> Cross<'a, T> {
        let cells = self.frame.range(piece);
        let own = &field[i * self.stride..][cells.start - 1..cells.end + 1];
        Cross { above: self.row(field, i - 1, piece), own, below: self.row(field, i + 1, piece) }
    }
    /// The pieces before and behind row `i` of an array of the frame.
    fn across<'a>(&'a self, array: &'a [T], i: usize, piece: Piece) -> [&'a [T]; 2] {
        [i - 1, i + 1].map(|i| {
            let row = self.frame.with_ends(array, i, piece, &self.zeros);
            &row[1..row.len() - 1]
        })
    }
    fn damping_of(&self, i: usize, piece: Piece) -> Damping<'_, T> {
        Damping { x: self.damping[0][i], z: &self.damping[1][self.frame.range(piece)] }
    }
}
