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

use crate::vector::Vector;

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
