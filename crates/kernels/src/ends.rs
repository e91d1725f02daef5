//! The [layer](crate::layer) of axis z, at the ends of rows: neighbours stand in the row itself.
#![allow(unsafe_code)]

use treewave_core::Real;

use crate::layer::{add, curvature, derivative};
use crate::lines::{HALF, Lines};
use crate::stencil::Stencil;
use crate::vector::{Vector, splats};

/// Zeros that stand before and behind the memory variables of a row in the layer of axis z, where stencils reach.
pub const BORDER: usize = HALF;

/// The layer of axis z at one end of a row.
///
/// The end is a multiple of 8 cells long and covers all that the layer changes: its own cells and a stencil radius
/// beside. Where it has cells that are not in the layer, `a` and `b` are 0.
#[derive(Clone, Debug)]
pub struct LayerEnd<T> {
    /// Filter coefficients `a` per cell of the end, with [`BORDER`] zeros before and behind.
    pub a: Vec<T>,
    /// Decay `b` per cell of the end.
    pub b: Vec<T>,
    /// First cell of the end in its row.
    pub begin: usize,
    /// Place of that cell in a row of memory variables, at least [`BORDER`].
    pub at: usize,
}

impl<T> LayerEnd<T> {
    /// Checks coefficients, and that the ends of the rows are whole vectors and lie in the field with their neighbours.
    /// Returns their length.
    #[inline(always)]
    fn check<V: Vector<T>>(&self, lines: &Lines<T>, radius: usize) -> usize {
        const { assert!(HALF.is_multiple_of(V::LANES)) };
        let n = self.b.len();
        assert!(n.is_multiple_of(HALF) && self.a.len() == n + 2 * BORDER && radius <= BORDER);
        Lines { start: lines.start + self.begin, n, ..*lines }.check(radius, 1);
        n
    }

    /// Checks that a memory variable holds the ends of all rows and what borders them.
    #[inline(always)]
    fn memory_holds(&self, lines: &Lines<T>, memory: &[T]) {
        let from = self.at.checked_sub(BORDER).and_then(|from| memory.get(from..));
        lines.in_memory(from.expect("ends lie in the memory variable"), self.b.len() + 2 * BORDER);
    }

    /// Checks that arrays of the rows of a field hold their ends.
    #[inline(always)]
    fn fields_hold(&self, lines: &Lines<T>, m: &[T], next: &[T]) {
        lines.in_field(&m[self.begin..], self.b.len());
        lines.in_field(&next[self.begin..], self.b.len());
    }
}

/// `ψ ← b ψ + a D p` at the ends of rows.
#[inline(always)]
pub(crate) fn psi_ends<T: Real, V: Vector<T>, const D: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    ends: &[LayerEnd<T>],
    p: Lines<T>,
    psi: &mut [T],
) {
    for end in ends {
        let n = end.check::<V>(&p, D);
        end.memory_holds(&p, psi);
        let (first, psi) = (p.first(), psi.as_mut_ptr());
        let (a, b) = (end.a[BORDER..].as_ptr(), end.b.as_ptr());
        // SAFETY: by the checks above, all arrays hold the cells of the end in all rows, and the field their neighbours, in
        // whole vectors. These functions are compiled for, and put into a table of, a path with the instructions of `V`.
        unsafe {
            let d: [V; D] = splats(&stencil.first[2][1..]);
            for row in p.rows() {
                for j in (0..n).step_by(V::LANES) {
                    let (p, psi) = (first.add(row.field + end.begin + j), psi.add(row.memory + end.at + j));
                    let slope = derivative::<T, V, D, FMA>(&d, |k| p.offset(k));
                    let decayed = V::load(b.add(j)).times(V::load(psi));
                    V::load(a.add(j)).times_plus::<FMA>(slope, decayed).flush().store(psi);
                }
            }
        }
    }
}

/// `ζ ← b ζ + a (L p + D ψ)` and `w += D ψ + ζ` at the ends of rows; `record` is empty where none is kept.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "an array each")]
pub(crate) fn layer_ends<T: Real, V: Vector<T>, const R: usize, const D: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    ends: &[LayerEnd<T>],
    p: Lines<T>,
    psi: &[T],
    zeta: &mut [T],
    m: &[T],
    next: &mut [T],
    record: &mut [T],
) {
    for end in ends {
        if record.is_empty() {
            each_end::<T, V, R, D, FMA, false>(stencil, end, p, psi, zeta, m, next, record);
        } else {
            each_end::<T, V, R, D, FMA, true>(stencil, end, p, psi, zeta, m, next, record);
        }
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "an array each")]
fn each_end<T: Real, V: Vector<T>, const R: usize, const D: usize, const FMA: bool, const RECORD: bool>(
    stencil: &Stencil<T>,
    end: &LayerEnd<T>,
    p: Lines<T>,
    psi: &[T],
    zeta: &mut [T],
    m: &[T],
    next: &mut [T],
    record: &mut [T],
) {
    let n = end.check::<V>(&p, R);
    end.memory_holds(&p, psi);
    end.memory_holds(&p, zeta);
    end.fields_hold(&p, m, next);
    if RECORD {
        p.in_cells(&record[end.begin..], n);
    }
    let (a, b) = (end.a[BORDER..].as_ptr(), end.b.as_ptr());
    let (first, psi, zeta) = (p.first(), psi.as_ptr(), zeta.as_mut_ptr());
    let (m, next, record) = (m.as_ptr(), next.as_mut_ptr(), record.as_mut_ptr());
    // SAFETY: as in `psi_ends`; a memory variable's border is as wide as the differences reach.
    unsafe {
        let d: [V; D] = splats(&stencil.first[2][1..]);
        let c: [V; R] = splats(&stencil.second[2][1..]);
        let c0 = V::splat(stencil.second[2][0]);
        for row in p.rows() {
            for j in (0..n).step_by(V::LANES) {
                let (place, at) = (row.field + end.begin + j, row.memory + end.at + j);
                let (cell, p, psi, zeta) = (row.cell + end.begin + j, first.add(place), psi.add(at), zeta.add(at));
                let slope = derivative::<T, V, D, FMA>(&d, |k| psi.offset(k));
                let q = curvature::<T, V, R, FMA>(c0, &c, |k| p.offset(k)).plus(slope);
                let decayed = V::load(b.add(j)).times(V::load(zeta));
                let moved = V::load(a.add(j)).times_plus::<FMA>(q, decayed).flush();
                moved.store(zeta);
                let extra = slope.plus(moved);
                add::<T, V, FMA, RECORD>(extra, m.add(place), next.add(place), record.wrapping_add(cell));
            }
        }
    }
}

/// Transposed: `Z ← b Z + v` at the ends of rows.
#[inline(always)]
pub(crate) fn decay_ends<T: Real, V: Vector<T>, const FMA: bool>(ends: &[LayerEnd<T>], v: Lines<T>, z: &mut [T]) {
    for end in ends {
        let n = end.check::<V>(&v, 0);
        end.memory_holds(&v, z);
        let (first, z, b) = (v.first(), z.as_mut_ptr(), end.b.as_ptr());
        // SAFETY: as in `psi_ends`.
        unsafe {
            for row in v.rows() {
                for j in (0..n).step_by(V::LANES) {
                    let (v, z) = (first.add(row.field + end.begin + j), z.add(row.memory + end.at + j));
                    V::load(b.add(j)).times_plus::<FMA>(V::load(z), V::load(v)).flush().store(z);
                }
            }
        }
    }
}

/// Transposed: `P ← b P − D (v + a Z)` at the ends of rows.
#[inline(always)]
pub(crate) fn adjoint_psi_ends<T: Real, V: Vector<T>, const D: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    ends: &[LayerEnd<T>],
    v: Lines<T>,
    z: &[T],
    p: &mut [T],
) {
    for end in ends {
        let n = end.check::<V>(&v, D);
        end.memory_holds(&v, z);
        end.memory_holds(&v, p);
        let (a, b) = (end.a[BORDER..].as_ptr(), end.b.as_ptr());
        let (first, z, p) = (v.first(), z.as_ptr(), p.as_mut_ptr());
        // SAFETY: as in `psi_ends`; memory variables and `a` have borders as wide as the differences reach.
        unsafe {
            let d: [V; D] = splats(&stencil.first[2][1..]);
            for row in v.rows() {
                for j in (0..n).step_by(V::LANES) {
                    let at = row.memory + end.at + j;
                    let (v, z, p) = (first.add(row.field + end.begin + j), z.add(at), p.add(at));
                    let value = |k: isize| {
                        V::load(a.add(j).offset(k)).times_plus::<FMA>(V::load(z.offset(k)), V::load(v.offset(k)))
                    };
                    let mut moved = V::load(b.add(j)).times(V::load(p));
                    for k in 0..D {
                        let distance = k as isize + 1;
                        moved = d[k].times_plus::<FMA>(value(-distance).minus(value(distance)), moved);
                    }
                    moved.flush().store(p);
                }
            }
        }
    }
}

/// Transposed: `w += L (a Z) − D (a P)` at the ends of rows.
#[inline(always)]
pub(crate) fn adjoint_layer_ends<T: Real, V: Vector<T>, const R: usize, const D: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    ends: &[LayerEnd<T>],
    v: Lines<T>,
    z: &[T],
    p: &[T],
    m: &[T],
    next: &mut [T],
) {
    for end in ends {
        let n = end.check::<V>(&v, 0);
        end.memory_holds(&v, z);
        end.memory_holds(&v, p);
        end.fields_hold(&v, m, next);
        let (a, z, p, m, next) = (end.a[BORDER..].as_ptr(), z.as_ptr(), p.as_ptr(), m.as_ptr(), next.as_mut_ptr());
        // SAFETY: as in `psi_ends`; memory variables and `a` have borders as wide as the differences reach.
        unsafe {
            let d: [V; D] = splats(&stencil.first[2][1..]);
            let c: [V; R] = splats(&stencil.second[2][1..]);
            let c0 = V::splat(stencil.second[2][0]);
            for row in v.rows() {
                for j in (0..n).step_by(V::LANES) {
                    let (place, at) = (row.field + end.begin + j, row.memory + end.at + j);
                    let weighted = |memory: *const T, k: isize| {
                        V::load(a.add(j).offset(k)).times(V::load(memory.add(at).offset(k)))
                    };
                    let mut extra = c0.times(weighted(z, 0));
                    for k in 0..R {
                        let distance = k as isize + 1;
                        let bend = weighted(z, distance).plus(weighted(z, -distance));
                        extra = c[k].times_plus::<FMA>(bend, extra);
                    }
                    for k in 0..D {
                        let distance = k as isize + 1;
                        let slope = weighted(p, -distance).minus(weighted(p, distance));
                        extra = d[k].times_plus::<FMA>(slope, extra);
                    }
                    add::<T, V, FMA, false>(extra, m.add(place), next.add(place), std::ptr::null_mut());
                }
            }
        }
    }
}
