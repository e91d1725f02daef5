//! The acoustic wave equation of constant density, discretised.
//!
//! ```text
//! (1/c²) ∂²p/∂t² − ∇²p = s
//! p[n+1] = 2 p[n] − p[n−1] + m (L p[n] + s[n]),    m = c² Δt²
//! ```
//!
//! Second order in time, central differences of order 2 to 16 in space, convolutional PML on the sides, free surface or
//! layer on top. The adjoint is the transpose of this very program; with `v = m λ` it is the same leapfrog.
//!
//! # Assumptions
//! Constant density; the model is continued into the layer by its edge values.

use std::ops::Range;

use rayon::prelude::*;
use thiserror::Error;
use treewave_core::{Grid, Real};
use treewave_kernels::{LayerEnd, MAX_RADIUS, RowKernels, Stencil};

use crate::blocks::{Cut, Parallelism, Part, Rows, for_each_block};
use crate::layout::{Boundary, Layout, Top};
use crate::profile::Profile;
use crate::state::State;
use crate::time::stable_dt_s;

/// Rows per block along y: a block of a few planes stays in the second-level cache.
const ROWS_PER_BLOCK: usize = 64;
/// Magnitude, relative to what is injected in a step, that no stable run reaches.
const BLOW_UP: f64 = 1e15;

/// What can go wrong.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum WaveError {
    #[error("the space order is {0}; it must be even, from 2 to 16")]
    SpaceOrder(usize),
    #[error("the absorbing layer is {0} cells wide; at most {max} are possible", max = treewave_kernels::layer::MAX_WIDTH)]
    Width(usize),
    #[error("the model has {found} cells along {axis}; space order {order} with this boundary needs at least {least}")]
    TooSmall { axis: char, found: usize, order: usize, least: usize },
    #[error(
        "the time step of {dt_s} s is above the stability limit of {limit_s} s (space order {order}, velocities up to \
         {vp_max_m_per_s} m/s); use a smaller dt_s, or \"auto\""
    )]
    Unstable { dt_s: f64, limit_s: f64, order: usize, vp_max_m_per_s: f64 },
    #[error("a velocity of {found} m/s is above the upper bound of {bound} m/s that the time step was chosen for")]
    AboveBound { found: f64, bound: f64 },
    #[error("the field blew up: |p| = {value:.3e} (scaled) after step {step} at cell (ix {}, iy {}, iz {})", cell[0], cell[1], cell[2])]
    BlowUp { step: usize, cell: [i64; 3], value: f64 },
}

/// The choices that fix the discrete program besides the model.
#[derive(Clone, Debug, PartialEq)]
pub struct AcousticOptions {
    /// Order of the spatial differences: 2, 4, …, 16.
    pub space_order: usize,
    /// What surrounds the model.
    pub boundary: Boundary,
    /// Time step in s.
    pub dt_s: f64,
    /// Upper bound of the velocity in m/s, fixed for a run.
    pub vp_max_m_per_s: f64,
    /// Dominant frequency of the source in Hz, for the profile of the layer.
    pub frequency_hz: f64,
    /// How sweeps are carried out.
    pub parallelism: Parallelism,
}

/// The discrete program for one model: everything that a time step needs, shared by all shots.
#[derive(Clone, Debug)]
pub struct Acoustic<T> {
    pub(crate) layout: Layout,
    pub(crate) grid: Grid,
    /// `c² Δt²` in m², stored as a field.
    pub(crate) m: Vec<T>,
    /// Velocities of the model in m/s.
    pub(crate) vp: Vec<T>,
    pub(crate) options: AcousticOptions,
    stencil: Stencil<T>,
    kernels: RowKernels<T>,
    profiles: [Profile<T>; 3],
    /// A row of zeros, which stands for memory variables outside the layer.
    zeros: Vec<T>,
    block: usize,
}

impl<T: Real + Send + Sync> Acoustic<T> {
    /// The program for velocities `vp` in m/s, one per cell of `grid`.
    pub fn new(grid: &Grid, vp: &[T], options: AcousticOptions, kernels: RowKernels<T>) -> Result<Self, WaveError> {
        let order = options.space_order;
        if !(2..=2 * MAX_RADIUS).contains(&order) || order % 2 == 1 {
            return Err(WaveError::SpaceOrder(order));
        }
        let width = options.boundary.width_cells;
        if width > treewave_kernels::layer::MAX_WIDTH {
            return Err(WaveError::Width(width));
        }
        let radius = order / 2;
        let least = if options.boundary.top == Top::FreeSurface { radius + 1 } else { 1 };
        if grid.shape()[2] < least {
            return Err(WaveError::TooSmall { axis: 'z', found: grid.shape()[2], order, least });
        }
        let limit_s = stable_dt_s(grid, order, options.vp_max_m_per_s);
        if options.dt_s > limit_s * (1.0 + 1e-12) {
            let vp_max_m_per_s = options.vp_max_m_per_s;
            return Err(WaveError::Unstable { dt_s: options.dt_s, limit_s, order, vp_max_m_per_s });
        }
        let bound = options.vp_max_m_per_s;
        if let Some(v) = vp.iter().find(|v| v.value() > bound * (1.0 + 1e-12)) {
            return Err(WaveError::AboveBound { found: v.value(), bound });
        }
        let layout = Layout::new(grid, options.boundary, radius);
        let dt2 = T::from_f64(options.dt_s * options.dt_s);
        let mut m = vec![T::ZERO; layout.len];
        for ix in 0..layout.n[0] {
            for iy in 0..layout.n[1] {
                for iz in 0..layout.n[2] {
                    let vp = vp[grid.index(layout.model_cell([ix, iy, iz]))];
                    m[layout.index([ix, iy, iz])] = vp * vp * dt2;
                }
            }
        }
        let profiles = [0, 1, 2].map(|a| {
            let (lo, hi) = (layout.lo[a], layout.hi[a]);
            Profile::new(lo, hi, grid.spacing_m()[a], bound, options.frequency_hz, options.dt_s)
        });
        let threads = if options.parallelism == Parallelism::Threads { rayon::current_num_threads() } else { 1 };
        let largest = if layout.dims == 2 { 64 } else { 16 };
        let block = (layout.n[0] / (4 * threads)).clamp(4, largest);
        Ok(Acoustic {
            stencil: Stencil::new(radius, grid.axes(), grid.spacing_m()),
            kernels,
            profiles,
            zeros: vec![T::ZERO; layout.n[2]],
            block,
            grid: grid.clone(),
            vp: vp.to_vec(),
            m,
            layout,
            options,
        })
    }

    /// The padded grid.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
    /// The model's grid.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }
    /// The choices made.
    pub fn options(&self) -> &AcousticOptions {
        &self.options
    }
    /// Elements of the scratch space that steps need.
    pub fn scratch_len(&self) -> usize {
        self.layout.n[0].div_ceil(self.block) * self.layout.n[2]
    }

    /// One step of the field without its source: `now` becomes `p[n+1]`, `before` becomes `p[n]`.
    ///
    /// With `record`, what `m` is multiplied with is written to it: `L p[n]` and what the layer adds, per padded cell.
    pub fn step(&self, state: &mut State<T>, record: Option<&mut [T]>, scratch: &mut [T]) {
        let State { now, before, psi: [psi_x, psi_y, psi_z], zeta: [zeta_x, zeta_y, zeta_z] } = state;
        for (axis, psi) in [(0, &mut *psi_x), (1, &mut *psi_y)] {
            self.sweep_layer(axis, psi, |s, start, row| {
                let ab = [self.profiles[axis].a[s], self.profiles[axis].b[s]];
                (self.kernels.psi)(&self.stencil, axis, ab, self.across(now, start, axis).as_slice(), row);
            });
        }
        let (psi_x, psi_y) = (&*psi_x, &*psi_y);
        let parts = [
            self.field_part(before),
            self.row_part(record, scratch),
            self.memory_part(0, zeta_x),
            self.memory_part(1, zeta_y),
            self.memory_part(2, psi_z),
            self.memory_part(2, zeta_z),
        ];
        self.sweep(0..self.layout.n[0], parts, &|ix, iy, [next, w, zeta_x, zeta_y, psi_z, zeta_z]| {
            let start = self.layout.index([ix, iy, 0]);
            (self.kernels.laplacian)(&self.stencil, now, start, self.layout.strides, w);
            for (axis, i, psi, zeta) in [(0, ix, psi_x, zeta_x), (1, iy, psi_y, zeta_y)] {
                if self.layout.near_layer(axis, i) {
                    let s = self.layout.in_layer(axis, i);
                    let ab = s.map_or([T::ZERO; 2], |s| [self.profiles[axis].a[s], self.profiles[axis].b[s]]);
                    let (p, psi) = (self.across(now, start, axis), self.memory_across(psi, ix, iy, axis));
                    (self.kernels.layer)(&self.stencil, axis, ab, p.as_slice(), psi.as_slice(), s.map(|_| zeta), w);
                }
            }
            self.both_ends(psi_z, zeta_z, |end, psi, zeta| {
                (self.kernels.layer_end)(&self.stencil, end, now, start, psi, zeta, w);
            });
            self.leapfrog(next, now, start, w);
        });
        std::mem::swap(now, before);
    }

    /// One step back of the adjoint field `v = m λ` without its source: `now` becomes `v[n]`, `before` becomes `v[n+1]`.
    ///
    /// With `image`, a pair of arrays of the padded cells, `image.0 += v[n+1] record` and `image.1 += record²`.
    pub fn step_back(&self, state: &mut State<T>, record: &[T], image: (&mut [T], &mut [T]), scratch: &mut [T]) {
        let State { now, before, psi: [p_x, p_y, p_z], zeta: [z_x, z_y, z_z] } = state;
        let n = self.layout.n[2];
        for (axis, z) in [(0, &mut *z_x), (1, &mut *z_y)] {
            self.sweep_layer(axis, z, |s, start, row| {
                (self.kernels.decay)(row, self.profiles[axis].b[s], &now[start..][..n]);
            });
        }
        let (z_x, z_y) = (&*z_x, &*z_y);
        for (axis, p, z) in [(0, &mut *p_x, z_x), (1, &mut *p_y, z_y)] {
            self.sweep_layer(axis, p, |s, start, row| {
                let (ix, iy) = self.row_of(start);
                let (v, z) = (self.across(now, start, axis), self.memory_across(z, ix, iy, axis));
                let a = self.coefficients_across(axis, [ix, iy][axis]);
                let b = self.profiles[axis].b[s];
                (self.kernels.adjoint_psi)(&self.stencil, axis, b, v.as_slice(), z.as_slice(), &a, row);
            });
        }
        let (p_x, p_y) = (&*p_x, &*p_y);
        let parts = [
            self.field_part(before),
            self.row_part(None, scratch),
            self.memory_part(2, p_z),
            self.memory_part(2, z_z),
            self.cells_part(image.0),
            self.cells_part(image.1),
        ];
        self.sweep(0..self.layout.n[0], parts, &|ix, iy, [next, w, p_z, z_z, gradient, illumination]| {
            let start = self.layout.index([ix, iy, 0]);
            (self.kernels.laplacian)(&self.stencil, now, start, self.layout.strides, w);
            for (axis, i, p, z) in [(0, ix, p_x, z_x), (1, iy, p_y, z_y)] {
                if self.layout.near_layer(axis, i) {
                    let (z, p) = (self.memory_across(z, ix, iy, axis), self.memory_across(p, ix, iy, axis));
                    let a = self.coefficients_across(axis, i);
                    (self.kernels.adjoint_layer)(&self.stencil, axis, z.as_slice(), p.as_slice(), &a, w);
                }
            }
            self.both_ends(p_z, z_z, |end, p, z| {
                (self.kernels.adjoint_layer_end)(&self.stencil, end, now, start, p, z, w);
            });
            let record = &record[(ix * self.layout.n[1] + iy) * n..][..n];
            (self.kernels.correlate)(gradient, &now[start..][..n], record);
            (self.kernels.correlate)(illumination, record, record);
            self.leapfrog(next, now, start, w);
        });
        std::mem::swap(now, before);
    }

    /// The leapfrog of a row; `next` is the whole stored row, with the mirror image above a free surface.
    #[inline(always)]
    fn leapfrog(&self, next: &mut [T], now: &[T], start: usize, w: &[T]) {
        let (n, radius) = (w.len(), self.layout.radius);
        (self.kernels.leapfrog)(&mut next[radius..][..n], &now[start..][..n], &self.m[start..][..n], w);
        if self.layout.free_surface {
            for k in 1..=radius {
                next[radius - k] = -next[radius + k];
            }
        }
    }

    /// The first cell whose magnitude is beyond reason or not a number, in the order of the grid.
    pub(crate) fn blown_up(&self, field: &[T], step: usize) -> Result<(), WaveError> {
        // Not a number is bad as well.
        let bad = |x: &T| x.value().abs() >= BLOW_UP || x.value().is_nan();
        let found = match self.options.parallelism {
            Parallelism::Serial => field.iter().position(bad),
            Parallelism::Threads => field
                .par_chunks(1 << 16)
                .enumerate()
                .find_map_first(|(i, chunk)| chunk.iter().position(bad).map(|j| (i << 16) + j)),
        };
        let Some(place) = found else { return Ok(()) };
        let [sx, sy] = self.layout.strides;
        let origin = self.layout.index([0, 0, 0]) as i64;
        let padded = [place / sx, place % sx / sy, place % sy].map(|i| i as i64);
        let first = [origin / sx as i64, origin % sx as i64 / sy as i64, origin % sy as i64];
        let cell = [0, 1, 2].map(|a| padded[a] - first[a] - self.layout.lo[a] as i64);
        Err(WaveError::BlowUp { step, cell, value: field[place].value() })
    }

    /// A field, to be written row by row, stored rows with their halo along z.
    fn field_part<'a>(&self, field: &'a mut [T]) -> Part<'a, T> {
        let [sx, sy] = self.layout.strides;
        let first = self.layout.row_in_plane(0) - self.layout.radius;
        Part::new(field, Cut::Planes { first: self.layout.before(), each: sx }, Rows::Every { first, each: sy })
    }

    /// An array of the padded cells, to be written row by row.
    fn cells_part<'a>(&self, cells: &'a mut [T]) -> Part<'a, T> {
        let [_, ny, nz] = self.layout.n;
        Part::new(cells, Cut::Planes { first: 0, each: ny * nz }, Rows::Every { first: 0, each: nz })
    }

    /// Where rows are computed first: in the record, or in a row of scratch space per block.
    fn row_part<'a>(&self, record: Option<&'a mut [T]>, scratch: &'a mut [T]) -> Part<'a, T> {
        let nz = self.layout.n[2];
        match record {
            Some(record) => self.cells_part(record),
            None => Part::new(scratch, Cut::Blocks { planes: self.block, each: nz }, Rows::Same { each: nz }),
        }
    }

    /// A memory variable of the layer of an axis, to be written row by row.
    fn memory_part<'a>(&self, axis: usize, memory: &'a mut [T]) -> Part<'a, T> {
        let [nx, ny, nz] = self.layout.n;
        let (lo, hi) = (self.layout.lo[axis], self.layout.high(axis));
        match axis {
            0 => {
                Part::new(memory, Cut::Strip { lo, hi: hi.min(nx), each: ny * nz }, Rows::Every { first: 0, each: nz })
            }
            1 => {
                let each = self.layout.layer(1) * nz;
                Part::new(memory, Cut::Planes { first: 0, each }, Rows::Strip { lo, hi, each: nz })
            }
            _ => {
                let width = self.layout.layer(2);
                Part::new(memory, Cut::Planes { first: 0, each: ny * width }, Rows::Every { first: 0, each: width })
            }
        }
    }

    /// Calls `body(ix, iy, rows)` for every row of some planes; blocks of rows stay in the cache.
    fn sweep<const K: usize>(
        &self,
        planes: Range<usize>,
        parts: [Part<'_, T>; K],
        body: &(impl Fn(usize, usize, [&mut [T]; K]) + Sync),
    ) {
        let ny = self.layout.n[1];
        for_each_block(self.options.parallelism, planes, self.block, parts, &|planes, mut parts| {
            for first in (0..ny).step_by(ROWS_PER_BLOCK) {
                for ix in planes.clone() {
                    for iy in first..(first + ROWS_PER_BLOCK).min(ny) {
                        body(ix, iy, parts.each_mut().map(|part| part.row(ix, iy)));
                    }
                }
            }
        });
    }

    /// Calls `body(s, start, row)` for every row of a memory variable of the layer of axis x or y: cell `s` of the layer,
    /// whose row in a field begins at `start`.
    fn sweep_layer(&self, axis: usize, memory: &mut [T], body: impl Fn(usize, usize, &mut [T]) + Sync) {
        if memory.is_empty() {
            return;
        }
        let layout = &self.layout;
        let visit = |planes: Range<usize>, part: Part<'_, T>| {
            for_each_block(self.options.parallelism, planes, self.block.min(4), [part], &|planes, [mut part]| {
                let rows =
                    if axis == 0 { [0..layout.n[1], 0..0] } else { [0..layout.lo[1], layout.high(1)..layout.n[1]] };
                for ix in planes {
                    for iy in rows.clone().into_iter().flatten() {
                        let s = layout.in_layer(axis, [ix, iy][axis]).expect("the sweep stays in the layer");
                        body(s, layout.index([ix, iy, 0]), part.row(ix, iy));
                    }
                }
            });
        };
        if axis == 1 {
            return visit(0..layout.n[0], self.memory_part(1, memory));
        }
        let (low, high) = self.memory_part(0, memory).split(layout.high(0));
        let (before, behind) = (0..layout.lo[0], layout.high(0)..layout.n[0]);
        match self.options.parallelism {
            Parallelism::Serial => (visit(before, low), visit(behind, high)),
            Parallelism::Threads => rayon::join(|| visit(before, low), || visit(behind, high)),
        };
    }

    /// Plane and row of a place in a field.
    fn row_of(&self, start: usize) -> (usize, usize) {
        let [sx, sy] = self.layout.strides;
        let in_planes = start - self.layout.before();
        (in_planes / sx, (in_planes % sx - self.layout.row_in_plane(0)) / sy)
    }

    /// The rows of a field across axis x or y around the row that begins at `start`.
    #[inline(always)]
    fn across<'a>(&self, field: &'a [T], start: usize, axis: usize) -> Across<'a, T> {
        let (stride, n) = (self.layout.strides[axis], self.layout.n[2]);
        Across::new(self.layout.radius, |k| &field[(start as i64 + k * stride as i64) as usize..][..n])
    }

    /// The rows of a memory variable across its axis around row `(ix, iy)`; zeros where there is no layer.
    #[inline(always)]
    fn memory_across<'a>(&'a self, memory: &'a [T], ix: usize, iy: usize, axis: usize) -> Across<'a, T> {
        let [_, ny, nz] = self.layout.n;
        let i = [ix, iy][axis] as i64;
        Across::new(self.layout.radius, |k| {
            let s = usize::try_from(i + k).ok().and_then(|i| self.layout.in_layer(axis, i));
            s.map_or(&self.zeros, |s| {
                let row = if axis == 0 { s * ny + iy } else { ix * self.layout.layer(1) + s };
                &memory[row * nz..][..nz]
            })
        })
    }

    /// The filter coefficients `a` across axis x or y around cell `i`; 0 where there is no layer.
    #[inline(always)]
    fn coefficients_across(&self, axis: usize, i: usize) -> [T; 2 * MAX_RADIUS + 1] {
        let mut a = [T::ZERO; 2 * MAX_RADIUS + 1];
        for (k, to) in a[..2 * self.layout.radius + 1].iter_mut().enumerate() {
            let s = (i + k).checked_sub(self.layout.radius).and_then(|i| self.layout.in_layer(axis, i));
            *to = s.map_or(T::ZERO, |s| self.profiles[axis].a[s]);
        }
        a
    }

    /// Calls `body(end, first, second)` for each end of a row with a layer of axis z and its memory variables.
    #[inline(always)]
    fn both_ends(&self, first: &mut [T], second: &mut [T], mut body: impl FnMut(&LayerEnd<T>, &mut [T], &mut [T])) {
        let (lo, Profile { a, b }) = (self.layout.lo[2], &self.profiles[2]);
        let (first_lo, first_hi) = first.split_at_mut(lo);
        let (second_lo, second_hi) = second.split_at_mut(lo);
        if !first_lo.is_empty() {
            body(&LayerEnd { a: &a[..lo], b: &b[..lo], begin: 0 }, first_lo, second_lo);
        }
        if !first_hi.is_empty() {
            body(&LayerEnd { a: &a[lo..], b: &b[lo..], begin: self.layout.high(2) }, first_hi, second_hi);
        }
    }
}

/// `2 radius + 1` rows across an axis, in order.
struct Across<'a, T> {
    rows: [&'a [T]; 2 * MAX_RADIUS + 1],
    len: usize,
}

impl<'a, T> Across<'a, T> {
    #[inline(always)]
    fn new(radius: usize, row: impl Fn(i64) -> &'a [T]) -> Self {
        let len = 2 * radius + 1;
        let mut rows: [&[T]; 2 * MAX_RADIUS + 1] = [&[]; 2 * MAX_RADIUS + 1];
        for (k, to) in rows[..len].iter_mut().enumerate() {
            *to = row(k as i64 - radius as i64);
        }
        Across { rows, len }
    }
    #[inline(always)]
    fn as_slice(&self) -> &[&'a [T]] {
        &self.rows[..self.len]
    }
}
