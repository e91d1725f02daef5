//! The acoustic wave equation in fixed-point arithmetic, whose steps can be undone exactly.
//!
//! The scheme is that of [`acoustic`](crate::acoustic): the same stencils, layer, sources and boundary. Fields and memory
//! variables are whole numbers of a unit, a power of two; see [`treewave_kernels::fixed`] for why such steps can be undone, and
//! how many bits there are. What they forget in the layer is two bits per memory variable and step; these are the
//! [`Residue`]. Adjoint field and gradient are computed in `f32`, by the transpose of the scheme.
//!
//! # Assumptions
//! The magnitude of a field stays below 2³³ units. The unit is chosen such that the field of a source alone has some room to
//! that, and a step that leaves the range is told.

mod around;
mod codes;
mod shot;
mod state;
mod sweep;

pub use shot::FixedShot;
pub use state::{FixedState, Level, Residue};

use std::ops::Range;

use treewave_core::Grid;
use treewave_kernels::fixed::{BLOCK, Bits, Decay, LIMIT, Weights};
use treewave_kernels::layer::radius_beside;
use treewave_kernels::{FixedKernels, Path, first_derivative, second_derivative};

use crate::acoustic::{Acoustic, AcousticOptions, WaveError};
use crate::layout::Layout;
use crate::profile::Profile;

/// What the field of a source may be in 2-D and 3-D, relative to its strength per cell times the spacing squared. Near a
/// constant source the field tends to 0.25 of that in 3-D and grows like the logarithm of time in 2-D, to 0.7 in twenty steps;
/// wavelets make half of it. The rest is for waves that meet.
const ROOM: [f64; 2] = [1.0, 0.5];

/// The discrete program in fixed-point arithmetic.
#[derive(Clone, Debug)]
pub struct Fixed<'a> {
    acoustic: &'a Acoustic<f32>,
    kernels: FixedKernels,
    /// Weights of the Laplacian, in 1/m² times the unit.
    weights: [Weights<f32>; 3],
    /// Weights of second and first differences in the layer, without the spacing.
    second: Weights<f64>,
    first: Weights<f64>,
    sizes: FixedLayout,
    /// A row of zeros.
    zeros: Vec<f64>,
}

/// The layer of an axis.
#[derive(Clone, Debug)]
struct LayerAxis {
    coefficients: Coefficients,
    bits: Bits,
    /// Unit over spacing squared.
    unit: f64,
}

/// Decay per cell.
#[derive(Clone, Debug, Default)]
struct Coefficients {
    a: Vec<f64>,
    b: Vec<f64>,
    inverse: Vec<f64>,
}

impl Coefficients {
    fn push(&mut self, a: f64, b: f64) {
        self.a.push(a);
        self.b.push(b);
        self.inverse.push(if b > 0.0 { 1.0 / b } else { 0.0 });
    }
    fn at(&self, cells: Range<usize>) -> Decay<'_> {
        Decay { a: &self.a[cells.clone()], b: &self.b[cells.clone()], inverse: &self.inverse[cells] }
    }
}

/// No layer.
const NO_DECAY: Decay<'static> = Decay { a: &[0.0], b: &[0.0], inverse: &[0.0] };

/// An end of a row in the layer of axis z, with the cells beside that the layer changes.
#[derive(Clone, Debug)]
struct End {
    /// First cell.
    begin: usize,
    /// Place in a row of memory variables.
    at: usize,
    coefficients: Coefficients,
}

impl End {
    fn len(&self) -> usize {
        self.coefficients.a.len()
    }
}

/// Layout, layer and unit: what sizes depend on.
#[derive(Clone, Debug)]
pub struct FixedLayout {
    layout: Layout,
    axes: [LayerAxis; 3],
    /// The ends of a row in the layer of axis z, and what is beside.
    ends: Vec<End>,
    /// Where their memory variables are in the layer: those beside it forget nothing.
    coded_z: Range<usize>,
    /// A unit, of scaled fields.
    unit: f64,
}

impl FixedLayout {
    /// Those of a program.
    ///
    /// # Errors
    /// [`WaveError::Damping`] for a layer that damps so much in a step that nearly nothing is left.
    pub fn new(grid: &Grid, options: &AcousticOptions) -> Result<Self, WaveError> {
        let layout = Layout::new(grid, options.boundary, options.space_order / 2);
        let spacing = grid.spacing_m();
        let widest = layout.axes().iter().fold(0.0, |most: f64, &a| most.max(spacing[a]));
        let m = (options.vp_max_m_per_s * options.dt_s).powi(2);
        // The strength of a source, per cell, is scaled to 1 / m.
        let most = ROOM[layout.dims - 2] * widest * widest / m;
        let unit = 2f64.powi((most / LIMIT as f64).log2().ceil() as i32);
        let mut axes = Vec::new();
        for (axis, spacing) in spacing.into_iter().enumerate() {
            let (lo, hi, vp_max) = (layout.lo[axis], layout.hi[axis], options.vp_max_m_per_s);
            let profile = Profile::<f64>::new(lo, hi, spacing, vp_max, options.frequency_hz, options.dt_s);
            let mut coefficients = Coefficients::default();
            profile.a.iter().zip(&profile.b).for_each(|(&a, &b)| coefficients.push(a, b));
            let least = profile.b.iter().fold(1.0, |least: f64, &b| least.min(b));
            let bits = Bits::enough(least).ok_or(WaveError::Damping { left: least })?;
            axes.push(LayerAxis { coefficients, bits, unit: unit / (spacing * spacing) });
        }
        let axes: [LayerAxis; 3] = axes.try_into().expect("three axes");
        let ends = ends(&layout, &axes[2].coefficients);
        let in_layer: Vec<bool> = ends.iter().flat_map(|end| &end.coefficients.b).map(|&b| b > 0.0).collect();
        let place = |place: Option<usize>| place.map_or(0..0, |place| place..place + 1);
        let [first, last] = [in_layer.iter().position(|&is| is), in_layer.iter().rposition(|&is| is)].map(place);
        Ok(FixedLayout { coded_z: first.start..last.end, ends, layout, axes, unit })
    }

    /// Memory variables of a row in the layer of an axis.
    fn row_len(&self, axis: usize) -> usize {
        if axis == 2 { self.ends.iter().map(End::len).sum() } else { self.layout.row }
    }
    /// Rows of a plane in the layer of an axis.
    fn rows_per_plane(&self, axis: usize) -> usize {
        match axis {
            1 => self.layout.layer(1),
            2 if self.ends.is_empty() => 0,
            _ => self.layout.n[1],
        }
    }
    /// Planes that have rows in the layer of an axis.
    fn planes(&self, axis: usize) -> usize {
        if axis == 0 { self.layout.layer(0) } else { self.layout.n[0] }
    }
    /// Memory variables of a plane in the layer of an axis.
    fn memory_per_plane(&self, axis: usize) -> usize {
        self.rows_per_plane(axis) * self.row_len(axis)
    }
    /// The memory variables of a row in the layer of an axis that have codes.
    fn coded(&self, axis: usize) -> Range<usize> {
        if axis == 2 { self.coded_z.clone() } else { 0..self.layout.row }
    }
    /// Bytes of the codes of a row in the layer of an axis.
    fn code_bytes(&self, axis: usize) -> usize {
        self.axes[axis].bits.bytes(self.coded(axis).len())
    }
    /// Bytes of the codes of a plane.
    fn codes_per_plane(&self, axis: usize) -> usize {
        self.rows_per_plane(axis) * self.code_bytes(axis)
    }
    /// Bytes of what a step forgets.
    pub fn residue_bytes(&self) -> u64 {
        (0..3).map(|axis| 2 * self.planes(axis) * self.codes_per_plane(axis)).sum::<usize>() as u64
    }
    /// Bytes of a state.
    pub fn state_bytes(&self) -> u64 {
        let memory: usize = (0..3).map(|axis| 2 * self.planes(axis) * self.memory_per_plane(axis)).sum();
        let layout = &self.layout;
        let level =
            layout.len * (size_of::<i32>() + size_of::<i8>()) + layout.n[0] * layout.n[1] * size_of::<[u32; 2]>();
        (2 * level + memory * size_of::<f64>()) as u64
    }
}

impl<'a> Fixed<'a> {
    /// The program in fixed-point arithmetic, on a path that this processor has.
    ///
    /// # Errors
    /// As [`FixedLayout::new`].
    pub fn new(acoustic: &'a Acoustic<f32>, path: Path) -> Result<Self, WaveError> {
        let sizes = FixedLayout::new(&acoustic.grid, &acoustic.options)?;
        let layout = &acoustic.layout;
        let weights_of = |values: [f64; treewave_kernels::MAX_RADIUS + 1]| -> Weights<f64> {
            std::array::from_fn(|k| values[k + 1])
        };
        let second = weights_of(second_derivative(layout.radius));
        let weights = [0, 1, 2].map(|a| {
            let unit = if layout.axes().contains(&a) { sizes.axes[a].unit } else { 0.0 };
            second.map(|c| (c * unit) as f32)
        });
        Ok(Fixed {
            kernels: FixedKernels::new(layout.radius, layout.dims, path),
            weights,
            second,
            first: weights_of(first_derivative(radius_beside(layout.radius))),
            zeros: vec![0.0; layout.row],
            sizes,
            acoustic,
        })
    }

    /// The program in floating-point arithmetic.
    pub fn acoustic(&self) -> &'a Acoustic<f32> {
        self.acoustic
    }

    /// Units in one.
    fn scale(&self) -> f32 {
        (1.0 / self.sizes.unit) as f32
    }
}

/// The ends of a row in the layer of axis z: its cells, and those beside that differences of ψ reach, in whole blocks. That with
/// the last cells comes first, so that the cells of the layer are one behind the other.
fn ends(layout: &Layout, layer: &Coefficients) -> Vec<End> {
    let (n, lo, hi, beside) = (layout.n[2], layout.lo[2], layout.hi[2], radius_beside(layout.radius));
    let [len_lo, len_hi] = [lo, hi].map(|cells| if cells > 0 { (cells + beside).next_multiple_of(BLOCK) } else { 0 });
    let ranges = if len_lo + len_hi > n { [0..layout.row, 0..0] } else { [n - len_hi..n, 0..len_lo] };
    let mut at = 0;
    let ranges = ranges.into_iter().filter(|range| !range.is_empty());
    ranges
        .map(|range| {
            let mut coefficients = Coefficients::default();
            for i in range.clone() {
                let (a, b) = layout.in_layer(2, i).map_or((0.0, 0.0), |s| (layer.a[s], layer.b[s]));
                coefficients.push(a, b);
            }
            at += range.len();
            End { begin: range.start, at: at - range.len(), coefficients }
        })
        .collect()
}
