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

mod parts;
mod step;

pub(crate) use step::Exchange;

use rayon::prelude::*;
use thiserror::Error;
use treewave_core::{Grid, Real};
use treewave_kernels::ends::BORDER;
use treewave_kernels::{LayerEnd, MAX_RADIUS, RowKernels, Stencil};

use crate::field::Field;
use crate::layout::{Boundary, Layout, Top};
use crate::profile::Profile;
use crate::record::RecordForm;
use crate::tiles::{Parallelism, TileShape, Tiling};
use crate::time::stable_dt_s;

/// Elements that are looked at for a blow-up in one go.
const LOOKED_AT_ONCE: usize = 1 << 14;
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
    #[error(
        "the field blew up: |p| = {value:.3e} (scaled) after step {step} at cell (ix {}, iy {}, iz {}); the time step is {courant:.3} of the \
         stability limit", cell[0], cell[1], cell[2]
    )]
    BlowUp { step: usize, cell: [i64; 3], value: f64, courant: f64 },
    #[error(
        "after step {step} the field has left the range of fixed-point arithmetic: it blew up, or its source is much weaker than the \
         waves that it makes; compute in floating point"
    )]
    Range { step: usize },
    #[error(
        "the absorbing layer leaves only {left} of its memory variables in a step, which fixed-point arithmetic cannot undo; make the \
         layer wider"
    )]
    Damping { left: f64 },
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
    /// Tiles of a sweep; `None` for those of [`TileShape::of`]. Results have the same bits whatever their shape.
    pub tile: Option<TileShape>,
    /// How records are kept.
    pub records: RecordForm,
}

/// The discrete program for one model: everything that a time step needs, shared by all shots.
#[derive(Clone, Debug)]
pub struct Acoustic<T> {
    pub(crate) layout: Layout,
    pub(crate) grid: Grid,
    /// `c² Δt²` in m², stored as a field.
    pub(crate) m: Field<T>,
    /// Velocities of the model in m/s.
    pub(crate) vp: Vec<T>,
    pub(crate) options: AcousticOptions,
    stencil: Stencil<T>,
    kernels: RowKernels<T>,
    profiles: [Profile<T>; 3],
    /// The layer of axis z at the ends of a row.
    ends: Vec<LayerEnd<T>>,
    /// A row of zeros, which stands for memory variables outside the layer.
    zeros: Field<T>,
    /// How far a point depends on points one step before.
    pub(crate) reach: usize,
    pub(crate) tiling: Tiling,
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
        // A velocity at the bound may have been rounded up to the scalar.
        let rounded = T::from_f64(bound).value().max(bound);
        if let Some(v) = vp.iter().find(|v| v.value() > rounded * (1.0 + 1e-12)) {
            return Err(WaveError::AboveBound { found: v.value(), bound });
        }
        let layout = Layout::new(grid, options.boundary, radius);
        let dt2 = T::from_f64(options.dt_s * options.dt_s);
        let mut m = Field::zeros(layout.len);
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
        let ends = layer_ends(&layout, &profiles[2]);
        let reach = layout.reach();
        let tile = options.tile.unwrap_or_else(|| TileShape::of(&layout, size_of::<T>()));
        let tiling = Tiling::new(&layout, tile, reach, options.parallelism);
        let zeros = Field::zeros(layout.row);
        Ok(Acoustic {
            stencil: Stencil::new(radius, grid.axes(), grid.spacing_m()),
            kernels,
            profiles,
            ends,
            zeros,
            reach,
            tiling,
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

    /// The first cell whose magnitude is beyond reason or not a number, in the order of the grid.
    pub(crate) fn blown_up(&self, field: &[T], step: usize) -> Result<(), WaveError> {
        // Not a number is bad as well. Without an early exit, the look at a chunk is a few vector instructions.
        let good = |x: T| x.value().abs() < BLOW_UP;
        let look = |(i, chunk): (usize, &[T])| {
            let all_good = chunk.iter().fold(true, |all, &x| all & good(x));
            if all_good { None } else { chunk.iter().position(|&x| !good(x)).map(|j| i * LOOKED_AT_ONCE + j) }
        };
        let found = match self.options.parallelism {
            Parallelism::Serial => field.chunks(LOOKED_AT_ONCE).enumerate().find_map(look),
            Parallelism::Threads => field.par_chunks(LOOKED_AT_ONCE).enumerate().find_map_first(look),
        };
        let Some(place) = found else { return Ok(()) };
        let [sx, sy] = self.layout.strides;
        let origin = self.layout.index([0, 0, 0]) as i64;
        let padded = [place / sx, place % sx / sy, place % sy].map(|i| i as i64);
        let first = [origin / sx as i64, origin % sx as i64 / sy as i64, origin % sy as i64];
        let cell = [0, 1, 2].map(|a| padded[a] - first[a] - self.layout.lo[a] as i64);
        let fastest = self.vp.iter().fold(0.0, |most: f64, v| most.max(v.value()));
        let courant = self.options.dt_s / stable_dt_s(&self.grid, self.options.space_order, fastest);
        Err(WaveError::BlowUp { step, cell, value: field[place].value(), courant })
    }
}

/// The layer of axis z at the ends of a row.
fn layer_ends<T: Real>(layout: &Layout, profile: &Profile<T>) -> Vec<LayerEnd<T>> {
    let mut at = BORDER;
    let ends = layout.ends.iter().filter(|end| !end.is_empty());
    ends.map(|end| {
        let of = |values: &[T], i| layout.in_layer(2, i).map_or(T::ZERO, |s| values[s]);
        let border = || std::iter::repeat_n(T::ZERO, BORDER);
        let made = LayerEnd {
            a: border().chain(end.clone().map(|i| of(&profile.a, i))).chain(border()).collect(),
            b: end.clone().map(|i| of(&profile.b, i)).collect(),
            begin: end.start,
            at,
        };
        at += end.len();
        made
    })
    .collect()
}
