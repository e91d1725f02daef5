//! The [layer](crate::layer) of axis x or y, row by row.
#![allow(unsafe_code)]

use std::ops::Range;

use treewave_core::Real;

use crate::layer::{add, curvature, derivative};
use crate::lines::Lines;
use crate::shared::Shared;
use crate::stencil::Stencil;
use crate::vector::{Vector, prefetch, splats};

/// The layer of axis x or y: its cells before and behind the model, and its memory variables.
///
/// Whoever makes one for a step promises that nobody else uses the rows of its memory variables that the step works on.
#[derive(Clone, Copy, Debug)]
pub struct SideLayer<'a, T> {
    /// Filter coefficients `a` per cell of the layer, those before the model first.
    pub a: &'a [T],
    /// Decay `b` per cell of the layer.
    pub b: &'a [T],
    /// Cells of the layer before the model.
    pub low: usize,
    /// First cell of the layer behind the model.
    pub high: usize,
    /// Planes or rows of the grid.
    pub cells: usize,
    /// Plane and row of the first of the lines that are stepped.
    pub first: [usize; 2],
    /// `[ψ, ζ]` forward, `[P, Z]` back, and `Z` one step before.
    pub memory: [&'a Shared<'a, T>; 3],
    /// A row of zeros, which stands for memory variables outside the layer.
    pub zeros: &'a [T],
}

/// What must be ready of an array in which stencils of a radius reach, once all up to the end of a range has been computed
/// from it: called for successive ranges of `0..n`, it gives successive ranges of `0..n`.
#[inline(always)]
pub fn ahead(range: Range<usize>, radius: usize, n: usize) -> Range<usize> {
    let start = if range.start == 0 { 0 } else { (range.start + radius).min(n) };
    start..if range.end == n { n } else { (range.end + radius).min(n) }
}

impl<T: Real> SideLayer<'_, T> {
    /// The place of a cell in the layer's own count, if it lies in the layer.
    #[inline(always)]
    fn index(&self, i: usize) -> Option<usize> {
        match i {
            i if i < self.low => Some(i),
            i if i >= self.high && i < self.cells => Some(i - self.high + self.low),
            _ => None,
        }
    }
    /// Whether the layer changes a cell.
    #[inline(always)]
    pub(crate) fn near(&self, i: usize, radius: usize) -> bool {
        (self.low > 0 && i < self.low + radius) || (self.high < self.cells && i + radius >= self.high)
    }
    /// Checks all lengths for the lines.
    #[inline(always)]
    pub(crate) fn check(&self, axis: usize, lines: &Lines<T>, distances: [usize; 2]) {
        let layer = self.low + (self.cells - self.high);
        assert!(self.low <= self.high && self.high <= self.cells);
        assert!(self.a.len() == layer && self.b.len() == layer && self.zeros.len() >= lines.n);
        let other = self.first[1 - axis] + lines.counts[1 - axis];
        let of = |axis: usize, n: usize| n.saturating_sub(1).checked_mul(distances[axis]);
        let end = of(axis, layer).zip(of(1 - axis, other)).and_then(|(a, b)| a.checked_add(b)?.checked_add(lines.n));
        for memory in self.memory {
            assert!(layer == 0 || end.is_some_and(|end| end <= memory.len()), "rows lie in the memory variable");
        }
    }
}

/// The arrays of a step, from the first row of its lines on.
#[derive(Clone, Copy)]
pub(crate) struct Arrays<T> {
    pub field: *const T,
    pub m: *const T,
    pub next: *mut T,
    /// The record, if there is one.
    pub record: *mut T,
}

/// Some rows of a step, and the layer that is worked on there.
#[derive(Clone, Copy)]
pub(crate) struct SideRows<'a, 'b, T> {
    pub axis: usize,
    pub layer: &'a SideLayer<'b, T>,
    /// Distances of neighbours along x and y in memory variables of this axis.
    pub distances: [usize; 2],
    pub lines: &'a Lines<'b, T>,
    pub arrays: Arrays<T>,
}

impl<T: Real> SideRows<'_, '_, T> {
    /// A row of a memory variable at cell `i` of the axis and cell `other` of the other one; zeros outside the layer.
    #[inline(always)]
    fn memory(&self, which: usize, i: usize, other: usize) -> *const T {
        self.memory_mut(which, i, other).map_or(self.layer.zeros.as_ptr(), |row| row.cast_const())
    }
    #[inline(always)]
    fn memory_mut(&self, which: usize, i: usize, other: usize) -> Option<*mut T> {
        let place = self.layer.index(i)? * self.distances[self.axis] + other * self.distances[1 - self.axis];
        Some(self.layer.memory[which].first().wrapping_add(place))
    }
    /// How far the row of a cell is from the first in arrays with some distances.
    #[inline(always)]
    fn offset(&self, i: usize, other: usize, distances: [usize; 2]) -> isize {
        let along = (i as isize - self.layer.first[self.axis] as isize) * distances[self.axis] as isize;
        let across = (other as isize - self.layer.first[1 - self.axis] as isize) * distances[1 - self.axis] as isize;
        along + across
    }
    /// A row of the field that lies in it with its neighbours along the axis up to a radius.
    #[inline(always)]
    fn field(&self, i: usize, other: usize, radius: usize) -> *const T {
        let offset = self.offset(i, other, self.lines.strides);
        let reach = (radius * self.lines.strides[self.axis]) as isize;
        let first = self.lines.start as isize + offset;
        assert!(first >= reach && (first + reach) as usize + self.lines.n <= self.lines.field.len());
        self.arrays.field.wrapping_offset(offset)
    }
    /// `w += extra` in a row of a cell.
    #[inline(always)]
    fn add_to(&self, i: usize, other: usize) -> [*mut T; 3] {
        let place = self.offset(i, other, self.lines.strides);
        let cell = self.offset(i, other, self.lines.record);
        let Arrays { m, next, record, .. } = self.arrays;
        [m.cast_mut().wrapping_offset(place), next.wrapping_offset(place), record.wrapping_offset(cell)]
    }
}

/// For some cells `range` of the axis and `others` of the other one, whose step is made: `ψ ← b ψ + a D p` as far ahead as is
/// needed, `ζ ← b ζ + a (L p + D ψ)` and `w += D ψ + ζ`.
///
/// # Safety
/// The layer is [checked](SideLayer::check) for lines that these rows belong to, as are the arrays; the processor has the
/// instructions of `V`, whose lanes divide the rows.
#[inline(always)]
pub(crate) unsafe fn side_rows<
    T: Real,
    V: Vector<T>,
    const R: usize,
    const D: usize,
    const FMA: bool,
    const RECORD: bool,
>(
    stencil: &Stencil<T>,
    rows: SideRows<T>,
    range: Range<usize>,
    others: Range<usize>,
) {
    let SideRows { axis, layer, lines, .. } = rows;
    let (n, stride, next_row) = (lines.n, lines.strides[axis] as isize, rows.distances[1]);
    // SAFETY: rows of the field are checked to lie in it, those of memory variables and of other arrays were, in whole vectors.
    unsafe {
        let d: [V; D] = splats(&stencil.first[axis][1..]);
        for i in ahead(range.clone(), D, layer.cells) {
            let Some(s) = layer.index(i) else { continue };
            let (a, b) = (V::splat(layer.a[s]), V::splat(layer.b[s]));
            for other in others.clone() {
                let (p, psi) = (rows.field(i, other, D), rows.memory(0, i, other).cast_mut());
                for j in (0..n).step_by(V::LANES) {
                    let (p, psi) = (p.add(j), psi.add(j));
                    prefetch(psi.wrapping_add(next_row));
                    let slope = derivative::<T, V, D, FMA>(&d, |k| p.offset(k * stride));
                    a.times_plus::<FMA>(slope, b.times(V::load(psi))).flush().store(psi);
                }
            }
        }
        let c: [V; R] = splats(&stencil.second[axis][1..]);
        let c0 = V::splat(stencil.second[axis][0]);
        for i in range.filter(|&i| layer.near(i, D)) {
            let ab = layer.index(i).map(|s| [V::splat(layer.a[s]), V::splat(layer.b[s])]);
            for other in others.clone() {
                let p = rows.field(i, other, R);
                let [m, next, record] = rows.add_to(i, other);
                let (lower, upper): ([*const T; D], [*const T; D]) = (
                    std::array::from_fn(|k| rows.memory(0, i.wrapping_sub(k + 1), other)),
                    std::array::from_fn(|k| rows.memory(0, i + k + 1, other)),
                );
                let zeta = rows.memory_mut(1, i, other);
                for j in (0..n).step_by(V::LANES) {
                    if axis == 0 {
                        lower.iter().chain(&upper[..1]).for_each(|psi| prefetch(psi.wrapping_add(j + next_row)));
                    }
                    let at = |k: isize| match k {
                        k if k < 0 => lower[(-k - 1) as usize].add(j),
                        k => upper[(k - 1) as usize].add(j),
                    };
                    let mut extra = derivative::<T, V, D, FMA>(&d, at);
                    if let (Some([a, b]), Some(zeta)) = (ab, zeta) {
                        let (p, zeta) = (p.add(j), zeta.add(j));
                        prefetch(zeta.wrapping_add(next_row));
                        let q = curvature::<T, V, R, FMA>(c0, &c, |k| p.offset(k * stride)).plus(extra);
                        let moved = a.times_plus::<FMA>(q, b.times(V::load(zeta))).flush();
                        moved.store(zeta);
                        extra = extra.plus(moved);
                    }
                    add::<T, V, FMA, RECORD>(extra, m.add(j), next.add(j), record.wrapping_add(j));
                }
            }
        }
    }
}

/// The transpose: `Z ← b Z + v` and `P ← b P − D (v + a Z)` as far ahead as is needed, `w += L (a Z) − D (a P)`.
///
/// # Safety
/// As for [`side_rows`].
#[inline(always)]
pub(crate) unsafe fn adjoint_side_rows<T: Real, V: Vector<T>, const R: usize, const D: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    rows: SideRows<T>,
    range: Range<usize>,
    others: Range<usize>,
) {
    let SideRows { axis, layer, lines, .. } = rows;
    let (n, stride, next_row) = (lines.n, lines.strides[axis] as isize, rows.distances[1]);
    let a = |i: usize| layer.index(i).map_or(T::ZERO, |s| layer.a[s]);
    let (first, second) = (&stencil.first[axis], &stencil.second[axis]);
    // SAFETY: as in `side_rows`.
    unsafe {
        for i in ahead(range.clone(), R.max(2 * D), layer.cells) {
            let Some(s) = layer.index(i) else { continue };
            let b = V::splat(layer.b[s]);
            for other in others.clone() {
                let v = rows.field(i, other, 0);
                let (z, old) = (rows.memory(1, i, other).cast_mut(), rows.memory(2, i, other));
                for j in (0..n).step_by(V::LANES) {
                    prefetch(old.wrapping_add(j + next_row));
                    prefetch(z.wrapping_add(j + next_row));
                    b.times_plus::<FMA>(V::load(old.add(j)), V::load(v.add(j))).flush().store(z.add(j));
                }
            }
        }
        let d: [V; D] = splats(&first[1..]);
        for i in ahead(range.clone(), D, layer.cells) {
            let Some(s) = layer.index(i) else { continue };
            let b = V::splat(layer.b[s]);
            let before: [V; D] = std::array::from_fn(|k| V::splat(a(i.wrapping_sub(k + 1))));
            let behind: [V; D] = std::array::from_fn(|k| V::splat(a(i + k + 1)));
            for other in others.clone() {
                let (v, p) = (rows.field(i, other, D), rows.memory(0, i, other).cast_mut());
                let lower: [*const T; D] = std::array::from_fn(|k| rows.memory(1, i.wrapping_sub(k + 1), other));
                let upper: [*const T; D] = std::array::from_fn(|k| rows.memory(1, i + k + 1, other));
                for j in (0..n).step_by(V::LANES) {
                    let (v, p) = (v.add(j), p.add(j));
                    prefetch(p.wrapping_add(next_row));
                    let mut moved = b.times(V::load(p));
                    for k in 0..D {
                        let distance = (k as isize + 1) * stride;
                        let low = before[k].times_plus::<FMA>(V::load(lower[k].add(j)), V::load(v.offset(-distance)));
                        let high = behind[k].times_plus::<FMA>(V::load(upper[k].add(j)), V::load(v.offset(distance)));
                        moved = d[k].times_plus::<FMA>(low.minus(high), moved);
                    }
                    moved.flush().store(p);
                }
            }
        }
        for i in range.filter(|&i| layer.near(i, R)) {
            let of_z = V::splat(second[0] * a(i));
            // Weights of Z and of P at the same distance before and behind: those of L and of −D, times a.
            let z_before: [V; R] = std::array::from_fn(|k| V::splat(second[k + 1] * a(i.wrapping_sub(k + 1))));
            let z_behind: [V; R] = std::array::from_fn(|k| V::splat(second[k + 1] * a(i + k + 1)));
            let p_before: [V; D] = std::array::from_fn(|k| V::splat(first[k + 1] * a(i.wrapping_sub(k + 1))));
            let p_behind: [V; D] = std::array::from_fn(|k| V::splat(-(first[k + 1] * a(i + k + 1))));
            for other in others.clone() {
                let [m, next, _] = rows.add_to(i, other);
                let own = rows.memory(1, i, other);
                let z_lower: [*const T; R] = std::array::from_fn(|k| rows.memory(1, i.wrapping_sub(k + 1), other));
                let z_upper: [*const T; R] = std::array::from_fn(|k| rows.memory(1, i + k + 1, other));
                let p_lower: [*const T; D] = std::array::from_fn(|k| rows.memory(0, i.wrapping_sub(k + 1), other));
                let p_upper: [*const T; D] = std::array::from_fn(|k| rows.memory(0, i + k + 1, other));
                for j in (0..n).step_by(V::LANES) {
                    let mut extra = of_z.times(V::load(own.add(j)));
                    for k in 0..R {
                        extra = z_behind[k].times_plus::<FMA>(V::load(z_upper[k].add(j)), extra);
                        extra = z_before[k].times_plus::<FMA>(V::load(z_lower[k].add(j)), extra);
                    }
                    for k in 0..D {
                        extra = p_behind[k].times_plus::<FMA>(V::load(p_upper[k].add(j)), extra);
                        extra = p_before[k].times_plus::<FMA>(V::load(p_lower[k].add(j)), extra);
                    }
                    add::<T, V, FMA, false>(extra, m.add(j), next.add(j), std::ptr::null_mut());
                }
            }
        }
    }
}
