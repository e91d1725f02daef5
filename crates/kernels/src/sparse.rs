//! Sources and receivers between the points of the grid.
//!
//! # References
//! Hicks (2002), "Arbitrary source and receiver positioning in finite-difference schemes using Kaiser windowed sinc
//! functions": half width 4 points, window parameter 6.31.

use std::f64::consts::PI;
use treewave_core::Real;

/// Half width of the interpolation in points.
pub const HALF_WIDTH: usize = 4;
/// Parameter of the Kaiser window for this half width.
const KAISER: f64 = 6.31;
/// Closer to a point than this fraction of a cell counts as on it.
const ON_NODE: f64 = 1e-6;

/// Modified Bessel function of the first kind and order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while term > 1e-17 * sum {
        term *= (x / (2.0 * k)).powi(2);
        sum += term;
        k += 1.0;
    }
    sum
}

/// Weights of one axis for a place at `position` cells from point 0, as `(point, weight)`.
///
/// Points outside `0..n` are left out: the field vanishes there. With `mirror`, point `−i` is the negative of point `i`
/// (free surface at point 0).
pub fn axis_weights(position: f64, n: usize, mirror: bool) -> Vec<(usize, f64)> {
    let nearest = position.round();
    if (position - nearest).abs() < ON_NODE {
        return if nearest >= 0.0 && nearest < n as f64 { vec![(nearest as usize, 1.0)] } else { Vec::new() };
    }
    let first = position.floor() as i64 - (HALF_WIDTH as i64 - 1);
    let mut weights: Vec<(usize, f64)> = Vec::with_capacity(2 * HALF_WIDTH);
    for point in first..first + 2 * HALF_WIDTH as i64 {
        let x = point as f64 - position;
        let window = bessel_i0(KAISER * (1.0 - (x / HALF_WIDTH as f64).powi(2)).max(0.0).sqrt()) / bessel_i0(KAISER);
        let weight = (PI * x).sin() / (PI * x) * window;
        let (index, weight) =
            if mirror && point < 0 { (point.unsigned_abs() as usize, -weight) } else { (point as usize, weight) };
        if (point < 0 && !mirror) || index >= n || (mirror && index == 0) {
            continue;
        }
        match weights.iter_mut().find(|(i, _)| *i == index) {
            Some((_, sum)) => *sum += weight,
            None => weights.push((index, weight)),
        }
    }
    weights
}

/// The points and weights that stand for one source or receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct SparsePoint<T> {
    /// Index into a field and weight.
    pub weights: Vec<(usize, T)>,
}

impl<T: Real> SparsePoint<T> {
    /// The product of three axes' weights; `index` maps a cell to its place in a field.
    pub fn product(axes: [&[(usize, f64)]; 3], index: impl Fn([usize; 3]) -> usize) -> Self {
        let mut weights = Vec::new();
        for &(ix, wx) in axes[0] {
            for &(iy, wy) in axes[1] {
                for &(iz, wz) in axes[2] {
                    weights.push((index([ix, iy, iz]), T::from_f64(wx * wy * wz)));
                }
            }
        }
        SparsePoint { weights }
    }

    /// The field at this place: `Σ weight · field`.
    pub fn extract(&self, field: &[T]) -> T {
        self.weights.iter().fold(T::ZERO, |sum, &(i, w)| sum + w * field[i])
    }

    /// The transpose of [`extract`](Self::extract), times a factor per point: `field += weight · factor · value`.
    pub fn inject(&self, field: &mut [T], factor: &[T], value: T) {
        for &(i, w) in &self.weights {
            field[i] += w * factor[i] * value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_on_a_node_is_that_node() {
        assert_eq!(axis_weights(7.0, 20, false), vec![(7, 1.0)]);
        assert_eq!(axis_weights(0.0, 20, false), vec![(0, 1.0)]);
    }

    #[test]
    fn band_limited_functions_are_interpolated_to_a_thousandth() {
        // Six points per wavelength; the bound is Hicks' figure for a half width of 4.
        let f = |x: f64| (2.0 * PI * x / 6.0 + 0.3).cos();
        for position in [10.1, 10.25, 10.5, 10.9] {
            let sum: f64 = axis_weights(position, 30, false).iter().map(|&(i, w)| w * f(i as f64)).sum();
            assert!((sum - f(position)).abs() < 2e-3, "{position}: {sum} {}", f(position));
        }
    }

    #[test]
    fn a_free_surface_mirrors_with_opposite_sign() {
        // An odd function about the surface is interpolated as well near it as anywhere.
        let f = |x: f64| (2.0 * PI * x / 8.0).sin();
        for position in [0.3, 0.5, 1.7, 2.5] {
            let sum: f64 = axis_weights(position, 30, true).iter().map(|&(i, w)| w * f(i as f64)).sum();
            assert!((sum - f(position)).abs() < 2e-3, "{position}: {sum} {}", f(position));
            assert!(axis_weights(position, 30, true).iter().all(|&(i, _)| i > 0));
        }
    }

    #[test]
    fn injection_is_the_transpose_of_extraction() {
        let axis = axis_weights(3.4, 10, false);
        let point = SparsePoint::<f64>::product([&axis, &[(0, 1.0)], &axis], |c| c[0] * 10 + c[2]);
        let x: Vec<f64> = (0..100).map(|i| (i as f64).sin()).collect();
        let factor: Vec<f64> = (0..100).map(|i| 1.0 + i as f64 / 100.0).collect();
        let mut y = vec![0.0; 100];
        point.inject(&mut y, &factor, 2.5);
        let left: f64 = y.iter().zip(&x).zip(&factor).map(|((y, x), f)| y * x / f).sum();
        assert!((left - 2.5 * point.extract(&x)).abs() < 1e-13);
    }
}
