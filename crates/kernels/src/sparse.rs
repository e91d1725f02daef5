//! Sources and receivers between the points of the grid.
//!
//! # References
//! Hicks (2002), "Arbitrary source and receiver positioning in finite-difference schemes using Kaiser windowed sinc
//! functions": half width 4 points, window parameter 6.31.

use std::f64::consts::PI;

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
