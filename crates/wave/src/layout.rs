//! The padded grid that fields live on.

use treewave_core::Grid;

/// What is at the top of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Top {
    /// An absorbing layer above the model.
    Absorbing,
    /// A free surface at the first row of the model: the pressure is 0 there and odd about it.
    FreeSurface,
}

/// What surrounds the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Boundary {
    /// Width of the absorbing layer in cells.
    pub width_cells: usize,
    /// The top.
    pub top: Top,
}

/// The model's grid with the absorbing layer around it, and how a field is stored on it.
///
/// Padded cell `(ix, iy, iz)` stands at [`index`](Self::index); rows along z are contiguous. Around the padded grid
/// stand `radius` cells per axis in use that are always 0 (or, above a free surface, the mirror image).
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Number of dimensions.
    pub dims: usize,
    /// Padded cells per axis.
    pub n: [usize; 3],
    /// Cells of the layer before and behind the model per axis.
    pub lo: [usize; 3],
    /// Cells of the layer behind the model per axis.
    pub hi: [usize; 3],
    /// Stencil radius.
    pub radius: usize,
    /// Whether the top is a free surface.
    pub free_surface: bool,
    /// Distance in memory between neighbours along x and y.
    pub strides: [usize; 2],
    /// Elements of a field.
    pub len: usize,
    halo: [usize; 3],
}

/// Rows begin a multiple of this many elements apart.
const ALIGN: usize = 16;

impl Layout {
    /// The layout for a model grid, a boundary and a stencil radius.
    pub fn new(grid: &Grid, boundary: Boundary, radius: usize) -> Self {
        let width = boundary.width_cells;
        let free_surface = boundary.top == Top::FreeSurface;
        let (mut lo, mut hi, mut halo) = ([0; 3], [0; 3], [0; 3]);
        for &axis in grid.axes() {
            (lo[axis], hi[axis], halo[axis]) = (width, width, radius);
        }
        if free_surface {
            lo[2] = 0;
        }
        let n = [0, 1, 2].map(|a| grid.shape()[a] + lo[a] + hi[a]);
        // An odd number of cache lines per row keeps the rows of a stencil out of each other's cache sets.
        let lines = (n[2] + 2 * halo[2]).div_ceil(ALIGN);
        let sy = ALIGN * (lines | 1);
        let sx = sy * (n[1] + 2 * halo[1]);
        let len = sx * (n[0] + 2 * halo[0]);
        Layout { dims: grid.dims(), n, lo, hi, radius, free_surface, strides: [sx, sy], len, halo }
    }

    /// Place of a padded cell in a field.
    #[inline(always)]
    pub fn index(&self, cell: [usize; 3]) -> usize {
        (cell[0] + self.halo[0]) * self.strides[0] + (cell[1] + self.halo[1]) * self.strides[1] + cell[2] + self.halo[2]
    }
    /// Elements of a field that stand before plane `ix = 0`.
    pub fn before(&self) -> usize {
        self.halo[0] * self.strides[0]
    }
    /// Place of cell `(·, iy, 0)` within its plane.
    #[inline(always)]
    pub fn row_in_plane(&self, iy: usize) -> usize {
        (iy + self.halo[1]) * self.strides[1] + self.halo[2]
    }
    /// Cells of the padded grid, which is how records and gradients are stored: no halo, z fastest.
    pub fn cells(&self) -> usize {
        self.n.iter().product()
    }
    /// The axes in use.
    pub fn axes(&self) -> &'static [usize] {
        if self.dims == 2 { &[0, 2] } else { &[0, 1, 2] }
    }
    /// Cells of the layer along an axis, both sides.
    pub fn layer(&self, axis: usize) -> usize {
        self.lo[axis] + self.hi[axis]
    }
    /// First cell of the layer behind the model along an axis.
    pub fn high(&self, axis: usize) -> usize {
        self.n[axis] - self.hi[axis]
    }
    /// Place of a padded cell in the layer's own count along an axis, if it lies in the layer.
    #[inline(always)]
    pub fn in_layer(&self, axis: usize, i: usize) -> Option<usize> {
        if i < self.lo[axis] {
            Some(i)
        } else if i >= self.high(axis) && i < self.n[axis] {
            Some(i - self.high(axis) + self.lo[axis])
        } else {
            None
        }
    }
    /// Whether the layer of an axis changes a padded cell: it lies in the layer or within a radius of it.
    #[inline(always)]
    pub fn near_layer(&self, axis: usize, i: usize) -> bool {
        (self.lo[axis] > 0 && i < self.lo[axis] + self.radius)
            || (self.hi[axis] > 0 && i + self.radius >= self.high(axis))
    }
    /// Elements of a memory variable of the layer of an axis.
    pub fn memory_len(&self, axis: usize) -> usize {
        if !self.axes().contains(&axis) {
            return 0;
        }
        self.cells() / self.n[axis] * self.layer(axis)
    }
    /// The model cell whose value a padded cell has: cells of the layer copy the edge.
    pub fn model_cell(&self, cell: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|a| {
            let last = self.n[a] - self.lo[a] - self.hi[a] - 1;
            cell[a].saturating_sub(self.lo[a]).min(last)
        })
    }
}
