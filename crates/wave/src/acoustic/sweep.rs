//! How the arrays of a step are cut into blocks and rows.

use std::ops::Range;

use treewave_core::Real;
use treewave_kernels::{Lines, MAX_RADIUS};

use super::Acoustic;
use crate::blocks::{Cut, Parallelism, Part, Rows, for_each_block};
use crate::layout::Layout;

/// Rows per block along y, where the layer does not say otherwise: a block of a few planes stays in the second-level cache.
const ROWS_PER_BLOCK: usize = 64;
/// Planes per block in sweeps over the layer of axis x.
const LAYER_PLANES: usize = 4;

/// Plane `ix` and row `iy`.
pub(super) type Place = (usize, usize);

/// Rows along y in blocks; all that the layer changes at one side is in one block.
pub(super) fn row_blocks(layout: &Layout) -> Vec<Range<usize>> {
    let n = layout.n[1];
    let side = |width: usize| if width == 0 { 0 } else { width + layout.radius };
    let (first, last) = (side(layout.lo[1]), n.saturating_sub(side(layout.hi[1])));
    if first > last {
        return std::iter::once(0..n).collect();
    }
    let between = (first..last).step_by(ROWS_PER_BLOCK).map(|row| row..(row + ROWS_PER_BLOCK).min(last));
    let blocks = std::iter::once(0..first).chain(between).chain(std::iter::once(last..n));
    blocks.filter(|rows| !rows.is_empty()).collect()
}

/// A block of rows that are equally far apart: in 3-D of one plane, in 2-D of some planes of one row.
#[derive(Clone)]
pub(super) struct Block {
    planes: Range<usize>,
    rows: Range<usize>,
}

impl Block {
    /// The first row.
    pub fn place(&self) -> Place {
        (self.planes.start, self.rows.start)
    }
    /// The number of rows.
    pub fn count(&self) -> usize {
        self.planes.len() * self.rows.len()
    }
    /// Rows of a plane.
    pub fn rows_per_plane(&self) -> usize {
        self.rows.len()
    }
    fn places(&self, rows: Range<usize>) -> impl Iterator<Item = Place> + use<> {
        self.planes.clone().flat_map(move |ix| rows.clone().map(move |iy| (ix, iy)))
    }
    /// The planes that the layer of axis x changes, each with the first row.
    pub fn planes_near_layer(&self, layout: &Layout) -> impl Iterator<Item = Place> {
        self.places(self.rows.start..self.rows.start + 1).filter(|&(ix, _)| layout.near_layer(0, ix))
    }
    /// The rows that the layer of axis y changes.
    pub fn rows_near_layer(&self, layout: &Layout) -> impl Iterator<Item = Place> {
        let rows = if layout.layer(1) > 0 { self.rows.clone() } else { 0..0 };
        self.places(rows).filter(|&(_, iy)| layout.near_layer(1, iy))
    }
    /// The rows in the layer of axis y, each with its cell of the layer.
    pub fn rows_in_layer(&self, layout: &Layout) -> impl Iterator<Item = (Place, usize)> {
        self.rows_near_layer(layout).filter_map(|place| layout.in_layer(1, place.1).map(|s| (place, s)))
    }
}

impl<T: Real + Send + Sync> Acoustic<T> {
    /// Calls `body(block, parts)` for blocks of rows that stay in the cache.
    pub(super) fn sweep<const K: usize>(
        &self,
        parts: [Part<'_, T>; K],
        body: &(impl Fn(&Block, [&mut Part<'_, T>; K]) + Sync),
    ) {
        let planes = 0..self.layout.n[0];
        for_each_block(self.options.parallelism, planes, self.block, parts, &|planes, mut parts| {
            let at_once = if self.layout.dims == 2 { planes.len() } else { 1 };
            for rows in &self.row_blocks {
                for first in planes.clone().step_by(at_once) {
                    body(&Block { planes: first..first + at_once, rows: rows.clone() }, parts.each_mut());
                }
            }
        });
    }

    /// Calls `body(s, place, rows)` for every plane of a memory variable of the layer of axis x: cell `s` of the layer, and
    /// where the rows begin.
    pub(super) fn sweep_layer(&self, memory: &mut [T], body: impl Fn(usize, Place, &mut [T]) + Sync) {
        let layout = &self.layout;
        let visit = |planes: Range<usize>, part: Part<'_, T>| {
            for_each_block(self.options.parallelism, planes, LAYER_PLANES, [part], &|planes, [mut part]| {
                for ix in planes {
                    let s = layout.in_layer(0, ix).expect("the sweep stays in the layer");
                    body(s, (ix, 0), part.from((ix, 0)));
                }
            });
        };
        let (low, high) = self.memory_part(0, memory).split(layout.high(0));
        let (before, behind) = (0..layout.lo[0], layout.high(0)..layout.n[0]);
        match self.options.parallelism {
            Parallelism::Serial => (visit(before, low), visit(behind, high)),
            Parallelism::Threads => rayon::join(|| visit(before, low), || visit(behind, high)),
        };
    }

    /// `count` rows of a field from a place on, for the kernels.
    #[inline(always)]
    pub(super) fn lines<'a>(&self, field: &'a [T], (ix, iy): Place, count: usize) -> Lines<'a, T> {
        let Layout { strides, dims, row, .. } = self.layout;
        Lines { field, start: self.layout.index([ix, iy, 0]), strides, count, line: strides[dims - 2], n: row }
    }

    /// The rows of a field from a place on, to be written, without what is stored before the first cell.
    #[inline(always)]
    pub(super) fn rows_from<'a>(&self, field: &'a mut Part<'_, T>, place: Place) -> &'a mut [T] {
        &mut field.from(place)[self.layout.front..]
    }

    /// Above a free surface, a stored row has the mirror image of the field, with opposite sign.
    pub(super) fn mirror(&self, block: &Block, field: &mut Part<'_, T>) {
        if self.layout.free_surface {
            let surface = self.layout.front;
            for (ix, iy) in block.places(block.rows.clone()) {
                let row = field.row(ix, iy);
                (1..=self.layout.radius).for_each(|k| row[surface - k] = -row[surface + k]);
            }
        }
    }

    /// A field, to be written row by row, as they are stored.
    pub(super) fn field_part<'a>(&self, field: &'a mut [T]) -> Part<'a, T> {
        let [sx, sy] = self.layout.strides;
        let first = self.layout.row_in_plane(0);
        Part::new(field, Cut::Planes { first: self.layout.before(), each: sx }, Rows::Every { first, each: sy })
    }

    /// An array of the padded cells, to be written row by row.
    pub(super) fn cells_part<'a>(&self, cells: &'a mut [T]) -> Part<'a, T> {
        let (ny, row) = (self.layout.n[1], self.layout.row);
        Part::new(cells, Cut::Planes { first: 0, each: ny * row }, Rows::Every { first: 0, each: row })
    }

    /// A memory variable of the layer of an axis, to be written row by row.
    pub(super) fn memory_part<'a>(&self, axis: usize, memory: &'a mut [T]) -> Part<'a, T> {
        let ([nx, ny, _], row) = (self.layout.n, self.layout.row);
        let (lo, hi) = (self.layout.lo[axis], self.layout.high(axis));
        let (cut, rows) = match axis {
            0 => (Cut::Strip { lo, hi: hi.min(nx), each: ny * row }, Rows::Every { first: 0, each: row }),
            1 => {
                let each = self.layout.layer(1) * row;
                (Cut::Planes { first: 0, each }, Rows::Strip { lo, hi, each: row })
            }
            _ => {
                let each = self.layout.end_row();
                (Cut::Planes { first: 0, each: ny * each }, Rows::Every { first: 0, each })
            }
        };
        Part::new(memory, cut, rows)
    }

    /// The rows from `iy` on of cell `s` of the layer of axis x in a memory variable of that layer.
    #[inline(always)]
    pub(super) fn rows_of_layer<'a>(&self, memory: &'a [T], s: usize, iy: usize) -> &'a [T] {
        &memory[(s * self.layout.n[1] + iy) * self.layout.row..]
    }

    /// The rows of a memory variable across axis x or y, from `radius` before cell `i` to `radius` behind; zeros where there is
    /// no layer. `rows` gives those of a cell of the layer.
    #[inline(always)]
    pub(super) fn across<'a>(
        &'a self,
        axis: usize,
        i: usize,
        radius: usize,
        rows: impl Fn(usize) -> &'a [T],
    ) -> [&'a [T]; 2 * MAX_RADIUS + 1] {
        let mut found = [&self.zeros[..]; 2 * MAX_RADIUS + 1];
        for (k, to) in found[..2 * radius + 1].iter_mut().enumerate() {
            if let Some(s) = (i + k).checked_sub(radius).and_then(|i| self.layout.in_layer(axis, i)) {
                *to = rows(s);
            }
        }
        found
    }

    /// The filter coefficients `a` of the same cells; 0 where there is no layer.
    #[inline(always)]
    pub(super) fn a_across(&self, axis: usize, i: usize, radius: usize) -> [T; 2 * MAX_RADIUS + 1] {
        let mut a = [T::ZERO; 2 * MAX_RADIUS + 1];
        for (k, to) in a[..2 * radius + 1].iter_mut().enumerate() {
            let s = (i + k).checked_sub(radius).and_then(|i| self.layout.in_layer(axis, i));
            *to = s.map_or(T::ZERO, |s| self.profiles[axis].a[s]);
        }
        a
    }
}
