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

use treewave_core::Real;

use crate::stencil::{Neighbours, Stencil, fma};

/// Widest layer in cells.
pub const MAX_WIDTH: usize = 200;
/// Room for a layer and the stencils that reach out of it on both sides.
const BUFFER: usize = MAX_WIDTH + 4 * crate::MAX_RADIUS;

/// Central first derivative.
#[inline(always)]
fn derivative<T: Real, const R: usize, const FMA: bool>(d: &[T; R], rows: &Neighbours<T, R>, i: usize) -> T {
    let mut sum = d[0] * (rows.plus[0][i] - rows.minus[0][i]);
    for k in 1..R {
        sum = fma::<T, FMA>(d[k], rows.plus[k][i] - rows.minus[k][i], sum);
    }
    sum
}

/// Central second derivative.
#[inline(always)]
fn curvature<T: Real, const R: usize, const FMA: bool>(c0: T, c: &[T; R], rows: &Neighbours<T, R>, i: usize) -> T {
    let mut sum = c0 * rows.centre[i];
    for k in 0..R {
        sum = fma::<T, FMA>(c[k], rows.plus[k][i] + rows.minus[k][i], sum);
    }
    sum
}

/// Weights of an axis, without the centre.
#[inline(always)]
fn weights<T: Real, const R: usize>(w: &[T; crate::MAX_RADIUS + 1]) -> [T; R] {
    let mut out = [T::ZERO; R];
    out.copy_from_slice(&w[1..=R]);
    out
}

/// The rows that [`Neighbours`] wants, from the caller's list of `2R + 1` rows in order.
#[inline(always)]
fn neighbours<'a, T, const R: usize>(rows: &[&'a [T]], n: usize) -> Neighbours<'a, T, R> {
    let (mut minus, mut plus) = ([&rows[0][..0]; R], [&rows[0][..0]; R]);
    for k in 0..R {
        minus[k] = &rows[R - 1 - k][..n];
        plus[k] = &rows[R + 1 + k][..n];
    }
    Neighbours { centre: &rows[R][..n], minus, plus }
}

/// `ψ ← b ψ + a D p` for a row in the layer of axis x or y; `p` lists the `2R + 1` rows across.
#[inline(always)]
pub(crate) fn psi_row<T: Real, const R: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    axis: usize,
    ab: [T; 2],
    p: &[&[T]],
    psi: &mut [T],
) {
    let p = neighbours::<T, R>(p, psi.len());
    let d = weights::<T, R>(&stencil.first[axis]);
    let [a, b] = ab;
    for i in 0..psi.len() {
        let slope = derivative::<T, R, FMA>(&d, &p, i);
        psi[i] = fma::<T, FMA>(a, slope, b * psi[i]).flush();
    }
}

/// `w += D ψ`, and inside the layer `ζ ← b ζ + a (L p + D ψ)`, `w += ζ`, for a row of axis x or y.
///
/// `p` and `psi` list `2R + 1` rows across; rows outside the layer are zero rows. `zeta` is `None` outside the layer.
#[inline(always)]
pub(crate) fn layer_row<T: Real, const R: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    axis: usize,
    ab: [T; 2],
    p: &[&[T]],
    psi: &[&[T]],
    zeta: Option<&mut [T]>,
    w: &mut [T],
) {
    let n = w.len();
    let psi = neighbours::<T, R>(psi, n);
    let d = weights::<T, R>(&stencil.first[axis]);
    let Some(zeta) = zeta else {
        for i in 0..n {
            w[i] += derivative::<T, R, FMA>(&d, &psi, i);
        }
        return;
    };
    let p = neighbours::<T, R>(p, n);
    let c = weights::<T, R>(&stencil.second[axis]);
    let c0 = stencil.second[axis][0];
    let zeta = &mut zeta[..n];
    let [a, b] = ab;
    for i in 0..n {
        let slope = derivative::<T, R, FMA>(&d, &psi, i);
        let q = curvature::<T, R, FMA>(c0, &c, &p, i) + slope;
        zeta[i] = fma::<T, FMA>(a, q, b * zeta[i]).flush();
        w[i] += slope + zeta[i];
    }
}

/// Transposed: `P ← b P − D (v + a Z)` for a row in the layer of axis x or y.
///
/// `v`, `z` and `a` list the `2R + 1` rows across and their coefficients; outside the layer `a` is 0.
#[inline(always)]
pub(crate) fn adjoint_psi_row<T: Real, const R: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    axis: usize,
    b: T,
    v: &[&[T]],
    z: &[&[T]],
    a: &[T],
    p: &mut [T],
) {
    let n = p.len();
    let (v, z) = (neighbours::<T, R>(v, n), neighbours::<T, R>(z, n));
    let d = weights::<T, R>(&stencil.first[axis]);
    let (mut a_minus, mut a_plus) = ([T::ZERO; R], [T::ZERO; R]);
    for k in 0..R {
        (a_minus[k], a_plus[k]) = (a[R - 1 - k], a[R + 1 + k]);
    }
    for i in 0..n {
        let mut sum = T::ZERO;
        for k in 0..R {
            let plus = fma::<T, FMA>(a_plus[k], z.plus[k][i], v.plus[k][i]);
            let minus = fma::<T, FMA>(a_minus[k], z.minus[k][i], v.minus[k][i]);
            sum = fma::<T, FMA>(d[k], plus - minus, sum);
        }
        p[i] = fma::<T, FMA>(b, p[i], -sum).flush();
    }
}

/// Transposed: `w += L (a Z) − D (a P)` for a row of axis x or y.
#[inline(always)]
pub(crate) fn adjoint_layer_row<T: Real, const R: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    axis: usize,
    z: &[&[T]],
    p: &[&[T]],
    a: &[T],
    w: &mut [T],
) {
    let n = w.len();
    let (z, p) = (neighbours::<T, R>(z, n), neighbours::<T, R>(p, n));
    let (c, d) = (&stencil.second[axis], &stencil.first[axis]);
    let centre = c[0] * a[R];
    let (mut c_minus, mut c_plus, mut d_minus, mut d_plus) = ([T::ZERO; R], [T::ZERO; R], [T::ZERO; R], [T::ZERO; R]);
    for k in 0..R {
        let (before, behind) = (a[R - 1 - k], a[R + 1 + k]);
        (c_minus[k], c_plus[k]) = (c[k + 1] * before, c[k + 1] * behind);
        (d_minus[k], d_plus[k]) = (d[k + 1] * before, d[k + 1] * behind);
    }
    for i in 0..n {
        let mut sum = centre * z.centre[i];
        for k in 0..R {
            sum = fma::<T, FMA>(c_plus[k], z.plus[k][i], sum);
            sum = fma::<T, FMA>(c_minus[k], z.minus[k][i], sum);
            sum = fma::<T, FMA>(d_minus[k], p.minus[k][i], sum);
            sum = fma::<T, FMA>(-d_plus[k], p.plus[k][i], sum);
        }
        w[i] += sum;
    }
}

/// One end of a row in the layer of axis z, where neighbours stand in the row itself.
#[derive(Clone, Copy, Debug)]
pub struct LayerEnd<'a, T> {
    /// Filter coefficients `a` per cell of the layer.
    pub a: &'a [T],
    /// Decay `b` per cell of the layer.
    pub b: &'a [T],
    /// Index of the first cell of the layer within the row of `w`.
    pub begin: usize,
}

impl<T> LayerEnd<'_, T> {
    /// Cells that the layer changes: its own and a stencil radius beside, cut at the ends of a row of `n` cells.
    #[inline(always)]
    fn reach(&self, radius: usize, n: usize) -> (usize, usize) {
        (self.begin.saturating_sub(radius), (self.begin + self.a.len() + radius).min(n))
    }
}

/// A copy of a layer's values with zeros on both sides; value `i` of the layer stands at `2R + i`.
#[inline(always)]
fn padded<T: Real, const R: usize>(values: impl Iterator<Item = T>) -> [T; BUFFER] {
    let mut buffer = [T::ZERO; BUFFER];
    for (to, value) in buffer[2 * R..].iter_mut().zip(values) {
        *to = value;
    }
    buffer
}

/// The layer of axis z at one end of a row: `ψ`, `ζ` and `w` as above.
///
/// `field[start]` is the first point of the row of `w`.
#[inline(always)]
pub(crate) fn layer_end<T: Real, const R: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    end: &LayerEnd<T>,
    field: &[T],
    start: usize,
    psi: &mut [T],
    zeta: &mut [T],
    w: &mut [T],
) {
    let width = end.a.len();
    let (psi, zeta, a, b) = (&mut psi[..width], &mut zeta[..width], &end.a[..width], &end.b[..width]);
    let d = weights::<T, R>(&stencil.first[2]);
    let c = weights::<T, R>(&stencil.second[2]);
    let c0 = stencil.second[2][0];
    let p = Neighbours::<T, R>::of(field, start + end.begin, 1, width);
    for i in 0..width {
        let slope = derivative::<T, R, FMA>(&d, &p, i);
        psi[i] = fma::<T, FMA>(a[i], slope, b[i] * psi[i]).flush();
    }
    let buffer = padded::<T, R>(psi.iter().copied());
    let slopes_of_psi = Neighbours::<T, R>::of(&buffer, 2 * R, 1, width);
    for i in 0..width {
        let slope = derivative::<T, R, FMA>(&d, &slopes_of_psi, i);
        let q = curvature::<T, R, FMA>(c0, &c, &p, i) + slope;
        zeta[i] = fma::<T, FMA>(a[i], q, b[i] * zeta[i]).flush();
    }
    let (first, last) = end.reach(R, w.len());
    let w = &mut w[first..last];
    let around = Neighbours::<T, R>::of(&buffer, 2 * R + first - end.begin, 1, w.len());
    for i in 0..w.len() {
        w[i] += derivative::<T, R, FMA>(&d, &around, i);
    }
    for (w, zeta) in w[end.begin - first..].iter_mut().zip(zeta) {
        *w += *zeta;
    }
}

/// Transposed [`layer_end`]: `Z`, `P` and `w` as above.
#[inline(always)]
pub(crate) fn adjoint_layer_end<T: Real, const R: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    end: &LayerEnd<T>,
    field: &[T],
    start: usize,
    p: &mut [T],
    z: &mut [T],
    w: &mut [T],
) {
    let width = end.a.len();
    let (p, z, a, b) = (&mut p[..width], &mut z[..width], &end.a[..width], &end.b[..width]);
    let d = weights::<T, R>(&stencil.first[2]);
    let c = weights::<T, R>(&stencil.second[2]);
    let c0 = stencil.second[2][0];
    let v = Neighbours::<T, R>::of(field, start + end.begin, 1, width);
    for i in 0..width {
        z[i] = fma::<T, FMA>(b[i], z[i], v.centre[i]).flush();
    }
    let az = padded::<T, R>((0..width).map(|i| a[i] * z[i]));
    let inside = Neighbours::<T, R>::of(&az, 2 * R, 1, width);
    for i in 0..width {
        let slope = derivative::<T, R, FMA>(&d, &v, i) + derivative::<T, R, FMA>(&d, &inside, i);
        p[i] = fma::<T, FMA>(b[i], p[i], -slope).flush();
    }
    let ap = padded::<T, R>((0..width).map(|i| a[i] * p[i]));
    let (first, last) = end.reach(R, w.len());
    let w = &mut w[first..last];
    let az = Neighbours::<T, R>::of(&az, 2 * R + first - end.begin, 1, w.len());
    let ap = Neighbours::<T, R>::of(&ap, 2 * R + first - end.begin, 1, w.len());
    for i in 0..w.len() {
        w[i] += curvature::<T, R, FMA>(c0, &c, &az, i) - derivative::<T, R, FMA>(&d, &ap, i);
    }
}
