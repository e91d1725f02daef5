//! The generalised Cauchy point: the first minimum of the quadratic model along the projected path `clamp(x − t P g)`.
//!
//! # References
//! Byrd, Lu, Nocedal & Zhu (1995), "A limited memory algorithm for bound constrained optimization", algorithm CP, here
//! with the metric of the preconditioner. Breakpoints are collected in growing ranges of `t`, so that only those that
//! the path may reach are ever sorted.

use super::compact::Compact;
use super::space::Space;
use nalgebra::DVector;

/// The model along the straight piece of the path that starts at `t`.
struct Piece {
    t: f64,
    /// First and second derivative of the model along the piece.
    slope: f64,
    curvature: f64,
    /// Rounding must not take the curvature below this.
    least_curvature: f64,
    /// `Wᵀd` with `d` the direction of the piece.
    direction: DVector<f64>,
    /// `Wᵀ(x(t) − x)`.
    displacement: DVector<f64>,
}

impl Piece {
    /// Length from the start of the piece to the minimum of its parabola.
    fn to_minimum(&self) -> f64 {
        -self.slope / self.curvature
    }
    fn advance(&mut self, length: f64) {
        self.displacement.axpy(length, &self.direction, 1.0);
        self.slope += length * self.curvature;
        self.t += length;
    }
}

/// Writes the Cauchy point into `point` and returns `Wᵀ(point − x)`.
pub(super) fn cauchy_point(
    space: &Space,
    hessian: &Compact<'_>,
    x: &[f64],
    g: &[f64],
    point: &mut [f64],
) -> DVector<f64> {
    let piece = walk(space, hessian, x, g);
    for i in 0..x.len() {
        point[i] = if !space.moves(i, x[i], g[i]) {
            x[i]
        } else if space.breakpoint(i, x[i], g[i]) <= piece.t {
            bound_ahead(space, i, g[i])
        } else {
            space.bounds.clamp(i, x[i] - piece.t * (space.weight(i) * g[i]))
        };
    }
    piece.displacement
}

/// The bound that descent drives element `i` to.
fn bound_ahead(space: &Space, i: usize, gradient: f64) -> f64 {
    if gradient > 0.0 { space.bounds.lower()[i] } else { space.bounds.upper()[i] }
}

/// Follows the path from breakpoint to breakpoint until the model rises.
fn walk(space: &Space, hessian: &Compact<'_>, x: &[f64], g: &[f64]) -> Piece {
    let middle_direction = &hessian.middle * &hessian.descent;
    let curvature = -hessian.theta * hessian.descent_slope - hessian.descent.dot(&middle_direction);
    let least_curvature = f64::EPSILON * hessian.theta * -hessian.descent_slope;
    let mut piece = Piece {
        t: 0.0,
        slope: hessian.descent_slope,
        curvature: curvature.max(least_curvature),
        least_curvature,
        direction: hessian.descent.clone(),
        displacement: DVector::zeros(hessian.rank()),
    };
    let (mut row, mut middle_row) = (DVector::zeros(hessian.rank()), DVector::zeros(hessian.rank()));
    let mut breakpoints: Vec<(f64, usize)> = Vec::new();
    let (mut from, mut to) = (0.0, piece.to_minimum());
    loop {
        breakpoints.clear();
        breakpoints.extend((0..x.len()).filter_map(|i| {
            let t = space.breakpoint(i, x[i], g[i]);
            (g[i] != 0.0 && t > from && t <= to).then_some((t, i))
        }));
        breakpoints.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for &(t, i) in &breakpoints {
            if piece.t + piece.to_minimum() < t {
                let rest = piece.to_minimum().max(0.0);
                piece.advance(rest);
                return piece;
            }
            let length = t - piece.t;
            piece.advance(length);
            hessian.row(i, &mut row);
            middle_row.gemv(1.0, &hessian.middle, &row, 0.0);
            let moved = bound_ahead(space, i, g[i]) - x[i];
            let speed = space.weight(i) * g[i];
            piece.slope += g[i] * speed + hessian.theta * g[i] * moved - speed * middle_row.dot(&piece.displacement);
            piece.curvature -= hessian.theta * g[i] * speed
                + 2.0 * speed * middle_row.dot(&piece.direction)
                + speed * speed * middle_row.dot(&row);
            piece.curvature = piece.curvature.max(piece.least_curvature);
            piece.direction.axpy(speed, &row, 1.0);
        }
        let end = piece.t + piece.to_minimum().max(0.0);
        // Written so that a number that is none ends the walk, too.
        let goes_on = end > to;
        if !goes_on {
            let rest = piece.to_minimum().max(0.0);
            piece.advance(rest);
            return piece;
        }
        (from, to) = (to, end.max(2.0 * to));
    }
}
