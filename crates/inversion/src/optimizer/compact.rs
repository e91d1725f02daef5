//! The Hessian that the history describes, in compact form.
//!
//! `B = θP⁻¹ − W M Wᵀ` with `W = [Y, θP⁻¹S]`, `M⁻¹ = [−D, Lᵀ; L, θSᵀP⁻¹S]`, `D` the diagonal and `L` the strictly lower
//! triangle of `SᵀY`, and `θ = yᵀPy / sᵀy` of the newest pair. Every pair is scaled to `sᵀy = 1`, which leaves `B` as it
//! is and makes `D` the identity, so that pairs of very different size do not spoil the small matrices.
//!
//! # References
//! Byrd, Nocedal & Schnabel (1994), "Representations of quasi-Newton matrices and their use in limited memory methods",
//! equation 3.4 with a middle matrix of the other sign and order.

use super::space::Space;
use super::sums::{BLOCK, dot_block};
use nalgebra::{DMatrix, DVector};
use std::collections::VecDeque;

/// A step and the change of the gradient along it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pair {
    pub s: Vec<f64>,
    pub y: Vec<f64>,
}

/// The compact form of `B`.
pub(super) struct Compact<'a> {
    space: &'a Space,
    pairs: &'a VecDeque<Pair>,
    /// Curvature of the initial matrix `θP⁻¹`.
    pub theta: f64,
    /// Factors that turn the stored vectors `[Y, P⁻¹S]` into the columns of `W`.
    scale: DVector<f64>,
    /// `M`.
    pub middle: DMatrix<f64>,
    /// `M⁻¹`.
    pub middle_inverse: DMatrix<f64>,
    /// `Wᵀd` for the projected descent direction `d = −Pg`.
    pub descent: DVector<f64>,
    /// `gᵀd`.
    pub descent_slope: f64,
}

impl<'a> Compact<'a> {
    /// The Hessian at `x` with gradient `g`, in one pass over the history; `None` if there are no pairs or rounding has
    /// made it indefinite.
    pub fn new(space: &'a Space, pairs: &'a VecDeque<Pair>, x: &[f64], g: &[f64]) -> Option<Self> {
        let m = pairs.len();
        let all = |_: usize| true;
        let steepest = |i: usize| if space.moves(i, x[i], g[i]) { -space.weight(i).sqrt() * g[i] } else { 0.0 };
        let products = products(space, pairs, all, steepest);
        let curvature = |j: usize| products[(m + j, j)];
        let newest = m.checked_sub(1)?;
        let theta = products[(newest, newest)] / curvature(newest);
        let scale = DVector::from_fn(2 * m, |a, _| {
            let normal = 1.0 / curvature(a % m).sqrt();
            if a < m { normal } else { theta * normal }
        });
        // With D = I: M = [LᵀC⁻¹L − I, LᵀC⁻¹; C⁻¹L, C⁻¹], where C = θSᵀP⁻¹S + LLᵀ is positive definite.
        let lower = DMatrix::from_fn(m, m, |i, j| {
            if i > j { products[(m + i, j)] / (curvature(i) * curvature(j)).sqrt() } else { 0.0 }
        });
        let steps =
            DMatrix::from_fn(m, m, |i, j| theta * products[(m + i, m + j)] / (curvature(i) * curvature(j)).sqrt());
        let inverse = (&steps + &lower * lower.transpose()).cholesky()?.inverse();
        let mixed = &inverse * &lower;
        let mut middle = DMatrix::zeros(2 * m, 2 * m);
        middle.view_mut((0, 0), (m, m)).copy_from(&(lower.transpose() * &mixed - DMatrix::identity(m, m)));
        middle.view_mut((0, m), (m, m)).copy_from(&mixed.transpose());
        middle.view_mut((m, 0), (m, m)).copy_from(&mixed);
        middle.view_mut((m, m), (m, m)).copy_from(&inverse);
        let mut middle_inverse = DMatrix::zeros(2 * m, 2 * m);
        middle_inverse.view_mut((0, 0), (m, m)).copy_from(&-DMatrix::identity(m, m));
        middle_inverse.view_mut((0, m), (m, m)).copy_from(&lower.transpose());
        middle_inverse.view_mut((m, 0), (m, m)).copy_from(&lower);
        middle_inverse.view_mut((m, m), (m, m)).copy_from(&steps);
        let descent = DVector::from_fn(2 * m, |a, _| scale[a] * products[(2 * m, a)]);
        let descent_slope = -products[(2 * m, 2 * m)];
        let usable = theta.is_finite() && theta > 0.0 && middle.iter().chain(&descent).all(|v| v.is_finite());
        usable.then_some(Compact { space, pairs, theta, scale, middle, middle_inverse, descent, descent_slope })
    }

    /// Twice the number of pairs.
    pub fn rank(&self) -> usize {
        2 * self.pairs.len()
    }

    /// Row `i` of `W`.
    pub fn row(&self, i: usize, row: &mut DVector<f64>) {
        let (m, weight) = (self.pairs.len(), self.space.weight(i));
        for (j, pair) in self.pairs.iter().enumerate() {
            row[j] = self.scale[j] * pair.y[i];
            row[m + j] = self.scale[m + j] * (pair.s[i] / weight);
        }
    }

    /// `W_FᵀPW_F` and `W_FᵀPv` over the elements that `include` selects; `v(i)` is given times `√P_i`.
    pub fn reduced(&self, include: impl Fn(usize) -> bool, v: impl Fn(usize) -> f64) -> (DMatrix<f64>, DVector<f64>) {
        let rank = self.rank();
        let products = products(self.space, self.pairs, &include, |i| if include(i) { v(i) } else { 0.0 });
        let gram = DMatrix::from_fn(rank, rank, |a, b| self.scale[a] * self.scale[b] * products[(a, b)]);
        (gram, DVector::from_fn(rank, |a, _| self.scale[a] * products[(rank, a)]))
    }

    /// Writes `P_i (g_i + (W k)_i)` into `out`, block by block.
    pub fn preconditioned(&self, k: &DVector<f64>, g: &[f64], out: &mut [f64]) {
        let (m, n) = (self.pairs.len(), out.len());
        for start in (0..n).step_by(BLOCK) {
            let end = (start + BLOCK).min(n);
            let block = &mut out[start..end];
            block.copy_from_slice(&g[start..end]);
            for (j, pair) in self.pairs.iter().enumerate() {
                let factor = self.scale[j] * k[j];
                block.iter_mut().zip(&pair.y[start..end]).for_each(|(o, y)| *o += factor * y);
            }
            block.iter_mut().enumerate().for_each(|(i, o)| *o *= self.space.weight(start + i));
            for (j, pair) in self.pairs.iter().enumerate() {
                let factor = self.scale[m + j] * k[m + j];
                block.iter_mut().zip(&pair.s[start..end]).for_each(|(o, s)| *o += factor * s);
            }
        }
    }
}

/// All inner products, in the metric of the preconditioner, among the vectors `[Y, S, v]` in one pass: a symmetric
/// matrix of order `2m + 1`. The history counts on the elements that `include` selects only; `v(i)` is given in the
/// variables `z = x/√P`.
fn products(
    space: &Space,
    pairs: &VecDeque<Pair>,
    include: impl Fn(usize) -> bool,
    v: impl Fn(usize) -> f64,
) -> DMatrix<f64> {
    let (m, n) = (pairs.len(), space.len());
    let order = 2 * m + 1;
    let mut total = DMatrix::zeros(order, order);
    let mut rows = vec![0.0; order * BLOCK];
    let (mut to_gradient, mut to_step) = ([0.0; BLOCK], [0.0; BLOCK]);
    for start in (0..n).step_by(BLOCK) {
        let len = BLOCK.min(n - start);
        for i in 0..len {
            let root = space.weight(start + i).sqrt();
            let included = include(start + i);
            to_gradient[i] = if included { root } else { 0.0 };
            to_step[i] = if included { 1.0 / root } else { 0.0 };
            rows[2 * m * BLOCK + i] = v(start + i);
        }
        for (j, pair) in pairs.iter().enumerate() {
            scale_into(&mut rows[j * BLOCK..][..len], &pair.y[start..], &to_gradient);
            scale_into(&mut rows[(m + j) * BLOCK..][..len], &pair.s[start..], &to_step);
        }
        for a in 0..order {
            for b in 0..=a {
                total[(a, b)] += dot_block(&rows[a * BLOCK..][..len], &rows[b * BLOCK..][..len]);
            }
        }
    }
    total.fill_upper_triangle_with_lower_triangle();
    total
}

fn scale_into(out: &mut [f64], values: &[f64], factors: &[f64]) {
    out.iter_mut().zip(values).zip(factors).for_each(|((o, v), f)| *o = v * f);
}
