//! The absorbing layer: convolutional PML of the second-order wave equation.
//!
//! In the layer of an axis, `∂` becomes `∂ + F ∗ ∂` with a one-pole filter `F`, so that
//!
//! ```text
//! ψ ← b ψ + a D p                 D: central first derivative
//! q = L p + D ψ                   L: central second derivative along the axis
//! ζ ← b ζ + a q
//! w += D ψ + ζ                    what the layer adds to the Laplacian
//! ```
//!
//! and transposed, for the adjoint field `v` with memories `Z` (of ζ) and `P` (of ψ),
//!
//! ```text
//! Z ← b Z + v
//! P ← b P − D (v + a Z)
//! w += L (a Z) − D (a P)
//! ```
//!
//! (`D` is antisymmetric and `L` symmetric, since fields vanish outside the grid; `a` and `b` depend on the place).
//!
//! # References
//! Pasalic & McGarry (2010), "Convolutional perfectly matched layer for isotropic and anisotropic acoustic wave
//! equations", eqs. 6–10; Komatitsch & Martin (2007) for the recursive convolution.
#![allow(unsafe_code)]

use treewave_core::Real;

use crate::lines::{LANES, Lines};
use crate::stencil::Stencil;
use crate::vector::{Vector, splats};

/// Largest radius of the first differences in the layer.
///
/// What they give is smooth, and small where the layer begins. With order 4 the layer reflects as little as with higher
/// orders, in less time; beside a Laplacian of order 2 they are of order 2. The second derivative in `ζ` must be that of the
/// Laplacian: with another one, source and receiver could not be exchanged.
pub const RADIUS: usize = 2;

/// Radius of the first differences beside a Laplacian of a given radius.
pub const fn radius_beside(radius: usize) -> usize {
    if radius < RADIUS { radius } else { RADIUS }
}

/// Widest layer in cells.
pub const MAX_WIDTH: usize = 200;

/// Central first derivative at a point.
///
/// # Safety
/// Vectors may be read at the point's `R` neighbours on each side.
#[inline(always)]
pub(crate) unsafe fn derivative<T: Real, V: Vector<T>, const R: usize, const FMA: bool>(
    d: &[V; R],
    at: impl Fn(isize) -> *const T,
) -> V {
    // SAFETY: the caller promises.
    unsafe {
        let difference = |k: isize| V::load(at(k)).minus(V::load(at(-k)));
        let mut sum = d[0].times(difference(1));
        for k in 1..R {
            sum = d[k].times_plus::<FMA>(difference(k as isize + 1), sum);
        }
        sum
    }
}

/// Central second derivative at a point; `c` begins with the centre's weight.
///
/// # Safety
/// Vectors may be read at the point and its `R` neighbours on each side.
#[inline(always)]
pub(crate) unsafe fn curvature<T: Real, V: Vector<T>, const R: usize, const FMA: bool>(
    c0: V,
    c: &[V; R],
    at: impl Fn(isize) -> *const T,
) -> V {
    // SAFETY: the caller promises.
    unsafe {
        let mut sum = c0.times(V::load(at(0)));
        for k in 0..R {
            let d = k as isize + 1;
            sum = c[k].times_plus::<FMA>(V::load(at(d)).plus(V::load(at(-d))), sum);
        }
        sum
    }
}

/// `w += extra` means, with the leapfrog already made: `next += m extra`, and `record += extra` if there is a record.
///
/// # Safety
/// Vectors may be read from `m`, and read and written at `next` and, with `RECORD`, at `record`.
#[inline(always)]
pub(crate) unsafe fn add<T: Real, V: Vector<T>, const FMA: bool, const RECORD: bool>(
    extra: V,
    m: *const T,
    next: *mut T,
    record: *mut T,
) {
    // SAFETY: the caller promises.
    unsafe {
        V::load(m).times_plus::<FMA>(extra, V::load(next)).flush().store(next);
        if RECORD {
            V::load(record).plus(extra).flush().store(record);
        }
    }
}

/// Checks that rows are whole vectors.
#[inline(always)]
fn whole<T, V: Vector<T>>(lines: &Lines<T>) {
    const { assert!(LANES.is_multiple_of(V::LANES)) };
    assert!(lines.n.is_multiple_of(LANES), "rows are whole vectors");
}

/// Where rows across an axis begin, from a list of them that is checked to hold as many as `lines`.
#[inline(always)]
fn across<T, const N: usize>(rows: &[&[T]], lines: &Lines<T>) -> [*const T; N] {
    std::array::from_fn(|k| {
        lines.in_memory(rows[k], lines.n);
        rows[k].as_ptr()
    })
}

/// `Z = b Z_old + v` for rows in the layer of axis x or y.
#[inline(always)]
pub(crate) fn decay_lines<T: Real, V: Vector<T>, const FMA: bool>(b: T, v: Lines<T>, old: &[T], z: &mut [T]) {
    whole::<T, V>(&v);
    v.check(0, 0);
    v.in_memory(old, v.n);
    v.in_memory(z, v.n);
    let (first, old, z) = (v.first(), old.as_ptr(), z.as_mut_ptr());
    for row in v.rows() {
        for j in (0..v.n).step_by(V::LANES) {
            // SAFETY: by the checks above, all arrays hold all rows, in whole vectors. These functions are compiled for,
            // and put into a table of, a path with the instructions of `V`; so below.
            unsafe {
                let (v, at) = (first.add(row.field + j), row.memory + j);
                V::splat(b).times_plus::<FMA>(V::load(old.add(at)), V::load(v)).flush().store(z.add(at));
            }
        }
    }
}

/// `ψ ← b ψ + a D p` for rows in the layer of axis x or y.
#[inline(always)]
pub(crate) fn psi_lines<T: Real, V: Vector<T>, const D: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    axis: usize,
    [a, b]: [T; 2],
    p: Lines<T>,
    psi: &mut [T],
) {
    whole::<T, V>(&p);
    let stride = p.strides[axis];
    p.check(D, stride);
    p.in_memory(psi, p.n);
    let (first, psi) = (p.first(), psi.as_mut_ptr());
    // SAFETY: by the checks above, the arrays hold all rows, and the field their neighbours, in whole vectors.
    unsafe {
        let d: [V; D] = splats(&stencil.first[axis][1..]);
        let (a, b) = (V::splat(a), V::splat(b));
        for row in p.rows() {
            for j in (0..p.n).step_by(V::LANES) {
                let (p, psi) = (first.add(row.field + j), psi.add(row.memory + j));
                let slope = derivative::<T, V, D, FMA>(&d, |k| p.offset(k * stride as isize));
                a.times_plus::<FMA>(slope, b.times(V::load(psi))).flush().store(psi);
            }
        }
    }
}

/// `w += D ψ`, and inside the layer `ζ ← b ζ + a (L p + D ψ)`, `w += ζ`, for rows of axis x or y.
///
/// `psi` lists `N = 2D + 1` times the rows across; outside the layer they are zeros. `zeta` is empty outside the layer, `record`
/// where none is kept.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "an array each")]
pub(crate) fn layer_lines<T: Real, V: Vector<T>, const R: usize, const D: usize, const N: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    axis: usize,
    ab: [T; 2],
    p: Lines<T>,
    psi: &[&[T]],
    zeta: &mut [T],
    m: &[T],
    next: &mut [T],
    record: &mut [T],
) {
    if record.is_empty() {
        each_line::<T, V, R, D, N, FMA, false>(stencil, axis, ab, p, psi, zeta, m, next, record);
    } else {
        each_line::<T, V, R, D, N, FMA, true>(stencil, axis, ab, p, psi, zeta, m, next, record);
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "an array each")]
fn each_line<
    T: Real,
    V: Vector<T>,
    const R: usize,
    const D: usize,
    const N: usize,
    const FMA: bool,
    const RECORD: bool,
>(
    stencil: &Stencil<T>,
    axis: usize,
    [a, b]: [T; 2],
    p: Lines<T>,
    psi: &[&[T]],
    zeta: &mut [T],
    m: &[T],
    next: &mut [T],
    record: &mut [T],
) {
    const { assert!(N == 2 * D + 1) };
    whole::<T, V>(&p);
    let (stride, inside) = (p.strides[axis], !zeta.is_empty());
    p.check(R, stride);
    p.in_field(m, p.n);
    p.in_field(next, p.n);
    if inside {
        p.in_memory(zeta, p.n);
    }
    if RECORD {
        p.in_cells(record, p.n);
    }
    let psi: [*const T; N] = across(psi, &p);
    let (first, zeta, m, next) = (p.first(), zeta.as_mut_ptr(), m.as_ptr(), next.as_mut_ptr());
    let record = record.as_mut_ptr();
    // SAFETY: by the checks above, the arrays that are used hold all rows, and the field their neighbours, in whole vectors.
    unsafe {
        let d: [V; D] = splats(&stencil.first[axis][1..]);
        let c: [V; R] = splats(&stencil.second[axis][1..]);
        let (c0, a, b) = (V::splat(stencil.second[axis][0]), V::splat(a), V::splat(b));
        for row in p.rows() {
            for j in (0..p.n).step_by(V::LANES) {
                let (cell, at, place) = (row.cell + j, row.memory + j, row.field + j);
                let mut extra = derivative::<T, V, D, FMA>(&d, |k| psi[(D as isize + k) as usize].add(at));
                if inside {
                    let (p, zeta) = (first.add(place), zeta.add(at));
                    let q = curvature::<T, V, R, FMA>(c0, &c, |k| p.offset(k * stride as isize)).plus(extra);
                    let moved = a.times_plus::<FMA>(q, b.times(V::load(zeta))).flush();
                    moved.store(zeta);
                    extra = extra.plus(moved);
                }
                add::<T, V, FMA, RECORD>(extra, m.add(place), next.add(place), record.wrapping_add(cell));
            }
        }
    }
}

/// Transposed: `P ← b P − D (v + a Z)` for rows in the layer of axis x or y.
///
/// `z` and `a` list `N = 2D + 1` times the rows across and their coefficients; outside the layer `a` is 0.
#[inline(always)]
pub(crate) fn adjoint_psi_lines<T: Real, V: Vector<T>, const D: usize, const N: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    axis: usize,
    b: T,
    v: Lines<T>,
    z: &[&[T]],
    a: &[T],
    p: &mut [T],
) {
    const { assert!(N == 2 * D + 1) };
    whole::<T, V>(&v);
    let stride = v.strides[axis];
    v.check(D, stride);
    v.in_memory(p, v.n);
    let z: [*const T; N] = across(z, &v);
    let (first, p) = (v.first(), p.as_mut_ptr());
    // SAFETY: by the checks above, the arrays hold all rows, and the field their neighbours, in whole vectors.
    unsafe {
        let d: [V; D] = splats(&stencil.first[axis][1..]);
        let a: [V; N] = splats(a);
        let b = V::splat(b);
        for row in v.rows() {
            for j in (0..v.n).step_by(V::LANES) {
                let (cell, v) = (row.memory + j, first.add(row.field + j));
                let value = |k: isize| {
                    let row = (D as isize + k) as usize;
                    a[row].times_plus::<FMA>(V::load(z[row].add(cell)), V::load(v.offset(k * stride as isize)))
                };
                let p = p.add(cell);
                let mut moved = b.times(V::load(p));
                for k in 0..D {
                    let distance = k as isize + 1;
                    moved = d[k].times_plus::<FMA>(value(-distance).minus(value(distance)), moved);
                }
                moved.flush().store(p);
            }
        }
    }
}

/// Transposed: `w += L (a Z) − D (a P)` for rows of axis x or y.
///
/// `z` and `a` list `NZ = 2R + 1` times the rows across and their coefficients, `p` `NP = 2D + 1` times.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "an array each")]
pub(crate) fn adjoint_layer_lines<
    T: Real,
    V: Vector<T>,
    const R: usize,
    const NZ: usize,
    const D: usize,
    const NP: usize,
    const FMA: bool,
>(
    stencil: &Stencil<T>,
    axis: usize,
    v: Lines<T>,
    z: &[&[T]],
    p: &[&[T]],
    a: &[T],
    m: &[T],
    next: &mut [T],
) {
    const { assert!(NZ == 2 * R + 1 && NP == 2 * D + 1) };
    whole::<T, V>(&v);
    v.in_field(m, v.n);
    v.in_field(next, v.n);
    let (z, p): ([*const T; NZ], [*const T; NP]) = (across(z, &v), across(p, &v));
    let (m, next) = (m.as_ptr(), next.as_mut_ptr());
    let (second, first) = (&stencil.second[axis], &stencil.first[axis]);
    // Weights of Z and of P across the axis: those of L and of −D, times a.
    let of_z: [T; NZ] = std::array::from_fn(|row| second[row.abs_diff(R)] * a[row]);
    let of_p: [T; NP] = std::array::from_fn(|row| {
        let weight = first[row.abs_diff(D)] * a[R - D + row];
        if row > D { -weight } else { weight }
    });
    // SAFETY: by the checks above, the arrays hold all rows, in whole vectors.
    unsafe {
        let (of_z, of_p): ([V; NZ], [V; NP]) = (splats(&of_z), splats(&of_p));
        for row in v.rows() {
            for j in (0..v.n).step_by(V::LANES) {
                let (cell, place) = (row.memory + j, row.field + j);
                let mut extra = of_z[R].times(V::load(z[R].add(cell)));
                for k in 1..=R {
                    extra = of_z[R + k].times_plus::<FMA>(V::load(z[R + k].add(cell)), extra);
                    extra = of_z[R - k].times_plus::<FMA>(V::load(z[R - k].add(cell)), extra);
                }
                for k in 1..=D {
                    extra = of_p[D + k].times_plus::<FMA>(V::load(p[D + k].add(cell)), extra);
                    extra = of_p[D - k].times_plus::<FMA>(V::load(p[D - k].add(cell)), extra);
                }
                add::<T, V, FMA, false>(extra, m.add(place), next.add(place), std::ptr::null_mut());
            }
        }
    }
}
