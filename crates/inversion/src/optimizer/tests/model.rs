//! The quadratic model against dense linear algebra.

use super::problems::{Random, largest_difference};
use crate::optimizer::Bounds;
use crate::optimizer::cauchy::cauchy_point;
use crate::optimizer::compact::{Compact, Pair};
use crate::optimizer::space::Space;
use crate::optimizer::subspace::minimise;
use nalgebra::{DMatrix, DVector};
use std::collections::VecDeque;

/// A space, a history with positive curvature, a point and a gradient; everything random.
struct Setting {
    space: Space,
    pairs: VecDeque<Pair>,
    x: Vec<f64>,
    g: Vec<f64>,
}

fn setting(n: usize, m: usize, half_width: f64, coupling: f64, seed: u64) -> Setting {
    let mut random = Random(seed);
    let mut vector = |scale: f64| -> Vec<f64> { (0..n).map(|_| scale * random.next()).collect() };
    let x = vector(1.0);
    let g = vector(2.0);
    let weights: Vec<f64> = vector(1.5).into_iter().map(f64::exp).collect();
    let below = vector(half_width);
    let above = vector(half_width);
    let lower = x.iter().zip(&below).map(|(x, d)| x - d.abs()).collect();
    let upper = x.iter().zip(&above).map(|(x, d)| x + d.abs()).collect();
    // Pairs of a quadratic with a known positive diagonal plus a rank-one part, of very different sizes.
    let ridge = vector(1.0);
    let pairs = (0..m)
        .map(|j| {
            let s = vector(10f64.powi(-(j as i32)));
            let along: f64 = s.iter().zip(&ridge).map(|(a, b)| a * b).sum();
            let y = (0..n).map(|i| (1.0 + i as f64 / n as f64) * s[i] + coupling * along * ridge[i]).collect();
            Pair { s, y }
        })
        .collect();
    let bounds = if half_width.is_finite() { Bounds::new(lower, upper).unwrap() } else { Bounds::none(n) };
    Setting { space: Space::new(bounds, Some(weights)).unwrap(), pairs, x, g }
}

/// The Hessian by the textbook recursion of dense updates.
fn dense_bfgs(space: &Space, pairs: &VecDeque<Pair>) -> DMatrix<f64> {
    let n = space.len();
    let newest = pairs.back().unwrap();
    let sy: f64 = newest.s.iter().zip(&newest.y).map(|(s, y)| s * y).sum();
    let yy: f64 = newest.y.iter().enumerate().map(|(i, y)| space.weight(i) * y * y).sum();
    let mut b = DMatrix::from_fn(n, n, |i, j| if i == j { yy / sy / space.weight(i) } else { 0.0 });
    for pair in pairs {
        let (s, y) = (DVector::from_vec(pair.s.clone()), DVector::from_vec(pair.y.clone()));
        let bs = &b * &s;
        b += &y * y.transpose() / y.dot(&s) - &bs * bs.transpose() / s.dot(&bs);
    }
    b
}

fn model(b: &DMatrix<f64>, g: &[f64], x: &[f64], at: &[f64]) -> f64 {
    let d = DVector::from_iterator(x.len(), at.iter().zip(x).map(|(a, x)| a - x));
    DVector::from_column_slice(g).dot(&d) + 0.5 * d.dot(&(b * &d))
}

#[test]
fn the_compact_hessian_equals_dense_bfgs_updates() {
    for (n, m, seed) in [(1, 1, 1), (6, 1, 2), (7, 3, 3), (2500, 4, 4), (12, 8, 5)] {
        let Setting { space, pairs, x, g } = setting(n, m, f64::INFINITY, 3.0, seed);
        let compact = Compact::new(&space, &pairs, &x, &g).unwrap();
        let shown = n.min(12);
        let mut rows = DMatrix::zeros(n, compact.rank());
        let mut row = DVector::zeros(compact.rank());
        for i in 0..n {
            compact.row(i, &mut row);
            rows.row_mut(i).copy_from(&row.transpose());
        }
        if n > 100 {
            // Too large for a dense matrix: the secant condition of the newest pair instead.
            let newest = pairs.back().unwrap();
            let ws = rows.transpose() * DVector::from_column_slice(&newest.s);
            let correction = &rows * (&compact.middle * ws);
            let bs: Vec<f64> = (0..n).map(|i| compact.theta / space.weight(i) * newest.s[i] - correction[i]).collect();
            assert!(largest_difference(&bs, &newest.y) < 1e-10 * compact.theta);
            continue;
        }
        let b = dense_bfgs(&space, &pairs);
        let low_rank = &rows * &compact.middle * rows.transpose();
        for i in 0..shown {
            for j in 0..shown {
                let initial = if i == j { compact.theta / space.weight(i) } else { 0.0 };
                let found = initial - low_rank[(i, j)];
                // Rounding of the dense recursion grows with the number of updates.
                assert!((found - b[(i, j)]).abs() < 1e-9 * b.norm(), "n {n} m {m} ({i}, {j}): {found} {}", b[(i, j)]);
            }
        }
        let product = &compact.middle * &compact.middle_inverse;
        assert!((product - DMatrix::identity(2 * m, 2 * m)).norm() < 1e-9);
    }
}

#[test]
fn the_cauchy_point_is_the_first_minimum_along_the_projected_path() {
    for seed in 1..60 {
        let half_width = [0.01, 0.1, 0.5, 3.0][seed as usize % 4];
        let Setting { space, pairs, x, g } = setting(9, 4, half_width, 3.0, seed);
        let b = dense_bfgs(&space, &pairs);
        let compact = Compact::new(&space, &pairs, &x, &g).unwrap();
        let mut point = vec![0.0; 9];
        let displacement = cauchy_point(&space, &compact, &x, &g, &mut point);
        let along =
            |t: f64| -> Vec<f64> { (0..9).map(|i| space.bounds.clamp(i, x[i] - t * space.weight(i) * g[i])).collect() };
        // Walk in small steps until the model rises; then the point found must be as good as the best one seen.
        let breaks: Vec<f64> = (0..9).map(|i| space.breakpoint(i, x[i], g[i])).collect();
        let scale = breaks.iter().copied().fold(1.0, f64::max);
        let step = scale * 1e-5;
        let (mut t, mut best) = (0.0, 0.0);
        loop {
            let next = model(&b, &g, &x, &along(t + step));
            if next >= best {
                break;
            }
            (t, best) = (t + step, next);
        }
        let found = model(&b, &g, &x, &point);
        let tolerance = 1e-9 * best.abs() + 1e-13;
        assert!(found <= best + tolerance, "seed {seed}: {found} above {best}");
        // Not a later minimum: the path is left within one step of the walk.
        assert!(largest_difference(&point, &along(t)) <= 2.0 * step * 20.0, "seed {seed}");
        let mut row = DVector::zeros(compact.rank());
        let mut expected = DVector::zeros(compact.rank());
        for i in 0..9 {
            compact.row(i, &mut row);
            expected.axpy(point[i] - x[i], &row, 1.0);
        }
        assert!((displacement - &expected).norm() < 1e-9 * (1.0 + expected.norm()), "seed {seed}");
    }
}

#[test]
fn the_subspace_step_is_the_newton_step_in_the_free_elements() {
    for seed in 1..400 {
        // Some elements at a bound after the Cauchy point and others free; strong coupling on every other seed.
        let (half_width, coupling) = ([0.3, 1.0, f64::INFINITY][seed as usize % 3], [3.0, 3e3][seed as usize % 2]);
        let Setting { space, pairs, x, g } = setting(9, 4, half_width, coupling, seed);
        let b = dense_bfgs(&space, &pairs);
        let compact = Compact::new(&space, &pairs, &x, &g).unwrap();
        let mut point = vec![0.0; 9];
        let displacement = cauchy_point(&space, &compact, &x, &g, &mut point);
        let cauchy = point.clone();
        minimise(&space, &compact, &x, &g, &displacement, &mut point, &mut [0.0; 9]);
        let free: Vec<usize> = (0..9).filter(|&i| space.bounds.inside(i, cauchy[i])).collect();
        let away = DVector::from_iterator(9, cauchy.iter().zip(&x).map(|(c, x)| c - x));
        let slope = DVector::from_column_slice(&g) + &b * away;
        let reduced = DMatrix::from_fn(free.len(), free.len(), |i, j| b[(free[i], free[j])]);
        let right = DVector::from_fn(free.len(), |i, _| -slope[free[i]]);
        let newton = if free.is_empty() { right } else { reduced.cholesky().unwrap().solve(&right) };
        let mut expected = cauchy.clone();
        for (k, &i) in free.iter().enumerate() {
            expected[i] = space.bounds.clamp(i, cauchy[i] + newton[k]);
        }
        assert!(largest_difference(&point, &expected) < 1e-8, "seed {seed}");
        assert!((0..9).all(|i| point[i] == space.bounds.clamp(i, point[i])), "seed {seed}");
    }
}

#[test]
fn the_step_over_many_blocks_solves_the_newton_equation() {
    let n = 2500;
    let Setting { space, pairs, x, g } = setting(n, 4, f64::INFINITY, 3.0, 6);
    let compact = Compact::new(&space, &pairs, &x, &g).unwrap();
    let (mut point, mut scratch) = (vec![0.0; n], vec![0.0; n]);
    let displacement = cauchy_point(&space, &compact, &x, &g, &mut point);
    minimise(&space, &compact, &x, &g, &displacement, &mut point, &mut scratch);
    let mut row = DVector::zeros(compact.rank());
    let mut along = DVector::zeros(compact.rank());
    for i in 0..n {
        compact.row(i, &mut row);
        along.axpy(point[i] - x[i], &row, 1.0);
    }
    let correction = &compact.middle * along;
    for i in 0..n {
        compact.row(i, &mut row);
        let product = compact.theta / space.weight(i) * (point[i] - x[i]) - row.dot(&correction);
        assert!((product + g[i]).abs() < 1e-8, "element {i}: B d = {product}, −g = {}", -g[i]);
    }
}

#[test]
fn where_projecting_the_newton_step_goes_uphill_it_is_shortened_to_the_bound() {
    // Two conjugate pairs make B the matrix A itself. Its minimum is at (25.4, −24.6), the bound at 0.6 in the first
    // element: the projection (0.6, −24.6) is uphill from 0.
    let (c, g) = (0.99, [-1.0, -0.5]);
    let pair = |s: [f64; 2]| Pair { s: s.to_vec(), y: vec![s[0] + c * s[1], c * s[0] + s[1]] };
    let pairs = VecDeque::from([pair([1.0, 0.0]), pair([-c, 1.0])]);
    let space = Space::new(Bounds::new(vec![-100.0; 2], vec![0.6, 100.0]).unwrap(), None).unwrap();
    let x = [0.0, 0.0];
    let compact = Compact::new(&space, &pairs, &x, &g).unwrap();
    let mut point = [0.0; 2];
    let displacement = cauchy_point(&space, &compact, &x, &g, &mut point);
    let length = 1.25 / (1.25 + c);
    let cauchy = [length, 0.5 * length];
    assert!(largest_difference(&point, &cauchy) < 1e-12);
    minimise(&space, &compact, &x, &g, &displacement, &mut point, &mut [0.0; 2]);
    let newton = [(1.0 - 0.5 * c) / (1.0 - c * c), (0.5 - c) / (1.0 - c * c)];
    let fraction = (0.6 - cauchy[0]) / (newton[0] - cauchy[0]);
    let expected = [0.6, cauchy[1] + fraction * (newton[1] - cauchy[1])];
    assert!(largest_difference(&point, &expected) < 1e-12, "{point:?} instead of {expected:?}");
}
