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

fn setting(n: usize, m: usize, half_width: f64, seed: u64) -> Setting {
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
            let y = (0..n).map(|i| (1.0 + i as f64 / n as f64) * s[i] + 3.0 * along * ridge[i]).collect();
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
        let Setting { space, pairs, x, g } = setting(n, m, f64::INFINITY, seed);
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
        let Setting { space, pairs, x, g } = setting(9, 4, half_width, seed);
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
    for seed in 1..40 {
        // Wide bounds on most seeds, so that some elements are at a bound after the Cauchy point and others free.
        let Setting { space, pairs, x, g } = setting(9, 4, [0.3, 1.0, f64::INFINITY][seed as usize % 3], seed);
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
        let descends = (0..9).map(|i| g[i] * (expected[i] - x[i])).sum::<f64>() < 0.0;
        if descends {
            assert!(largest_difference(&point, &expected) < 1e-8, "seed {seed}");
        } else {
            assert!(model(&b, &g, &x, &point) <= model(&b, &g, &x, &cauchy) + 1e-12, "seed {seed}");
        }
        assert!((0..9).all(|i| point[i] == space.bounds.clamp(i, point[i])), "seed {seed}");
    }
}
