//! The Laplacian of a row.

use treewave_core::Real;

use crate::coefficients::{MAX_RADIUS, first_derivative, second_derivative};

/// Weights of the difference operators of one space order on one grid, divided by the spacing.
#[derive(Clone, Debug)]
pub struct Stencil<T> {
    /// Half the space order.
    pub radius: usize,
    /// Weight of the centre point in the Laplacian, summed over the axes, in 1/m².
    pub centre: T,
    /// Weights of the second derivative per axis `[x, y, z]`, in 1/m²; index 0 is the centre.
    pub second: [[T; MAX_RADIUS + 1]; 3],
    /// Weights of the first derivative per axis, in 1/m; index 0 is 0.
    pub first: [[T; MAX_RADIUS + 1]; 3],
}

impl<T: Real> Stencil<T> {
    /// Central differences of order `2 radius` along `axes` with the given spacing.
    pub fn new(radius: usize, axes: &[usize], spacing_m: [f64; 3]) -> Self {
        let zero = [[T::ZERO; MAX_RADIUS + 1]; 3];
        let mut stencil = Stencil { radius, centre: T::ZERO, second: zero, first: zero };
        let (c, d) = (second_derivative(radius), first_derivative(radius));
        let mut centre = 0.0;
        for &axis in axes {
            let h = spacing_m[axis];
            centre += c[0] / (h * h);
            stencil.second[axis] = c.map(|c| T::from_f64(c / (h * h)));
            stencil.first[axis] = d.map(|d| T::from_f64(d / h));
        }
        stencil.centre = T::from_f64(centre);
        stencil
    }

    /// Sum over axes and weights of `|weight| / h²`: the largest eigenvalue of the negative Laplacian is not above it.
    pub fn norm(radius: usize, axes: &[usize], spacing_m: [f64; 3]) -> f64 {
        let c = second_derivative(radius);
        let sum = c[0].abs() + 2.0 * c[1..].iter().map(|c| c.abs()).sum::<f64>();
        axes.iter().map(|&axis| sum / (spacing_m[axis] * spacing_m[axis])).sum()
    }
}

/// A row and its neighbours at distances `1..=R` along one axis, all of the same length.
#[derive(Clone, Copy)]
pub struct Neighbours<'a, T, const R: usize> {
    /// The row itself.
    pub centre: &'a [T],
    /// Rows before, nearest first.
    pub minus: [&'a [T]; R],
    /// Rows behind, nearest first.
    pub plus: [&'a [T]; R],
}

impl<'a, T, const R: usize> Neighbours<'a, T, R> {
    /// The `n` points from index `start` of a field, and those `k · stride` before and behind.
    #[inline(always)]
    pub fn of(field: &'a [T], start: usize, stride: usize, n: usize) -> Self {
        // Plain loops, here and below: with `array::from_fn` the compiler loses sight of the lengths and keeps checks.
        let (mut minus, mut plus) = ([&field[..0]; R], [&field[..0]; R]);
        for k in 0..R {
            minus[k] = &field[start - (k + 1) * stride..][..n];
            plus[k] = &field[start + (k + 1) * stride..][..n];
        }
        Neighbours { centre: &field[start..][..n], minus, plus }
    }
}

/// `a b + c`, fused where the caller was compiled for it.
#[inline(always)]
pub(crate) fn fma<T: Real, const FMA: bool>(a: T, b: T, c: T) -> T {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `out = L p` for a row of a 2-D (`AXES` = 1 axis besides z) or 3-D (2 axes) field.
///
/// `start` is the index of the first point in `field`, `strides` those of the axes besides z.
#[inline(always)]
pub(crate) fn laplacian_row<T: Real, const R: usize, const AXES: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    field: &[T],
    start: usize,
    strides: [usize; 2],
    out: &mut [T],
) {
    let n = out.len();
    let z = Neighbours::<T, R>::of(field, start, 1, n);
    let x = Neighbours::<T, R>::of(field, start, strides[0], n);
    let y = Neighbours::<T, R>::of(field, start, if AXES == 2 { strides[1] } else { 1 }, n);
    let (mut cx, mut cy, mut cz) = ([T::ZERO; R], [T::ZERO; R], [T::ZERO; R]);
    for k in 0..R {
        (cx[k], cy[k], cz[k]) = (stencil.second[0][k + 1], stencil.second[1][k + 1], stencil.second[2][k + 1]);
        // What is known about the slices, once more where the loops over points can see it.
        for rows in [&x, &y, &z] {
            assert!(rows.minus[k].len() == n && rows.plus[k].len() == n);
        }
    }
    let c0 = stencil.centre;
    for i in 0..n {
        let mut sum = c0 * z.centre[i];
        for k in 0..R {
            sum = fma::<T, FMA>(cz[k], z.plus[k][i] + z.minus[k][i], sum);
            sum = fma::<T, FMA>(cx[k], x.plus[k][i] + x.minus[k][i], sum);
            if AXES == 2 {
                sum = fma::<T, FMA>(cy[k], y.plus[k][i] + y.minus[k][i], sum);
            }
        }
        out[i] = sum;
    }
}
