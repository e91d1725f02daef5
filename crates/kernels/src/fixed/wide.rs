//! The same on values of 64 bits, with [`MAX_RADIUS`](crate::MAX_RADIUS) neighbours on each side for any radius: the weights of
//! those beyond it are 0.

use super::{Around, Bits, PsiRow, StepRow, Value, ZetaRow, neighbours, psi_row, zeta_row};

const R: usize = crate::MAX_RADIUS;
const D: usize = crate::layer::RADIUS;
const MOST: f64 = (1_u64 << 50) as f64;

/// No products and sums are fused: the same on all paths.
#[inline(always)]
#[allow(clippy::manual_clamp, reason = "`clamp` keeps what is not a number")]
pub(super) fn step(row: StepRow, now: [Around<i64>; 3], next: &mut [i64]) {
    let StepRow { weights, scale, m, extra, record } = row;
    let n = next.len();
    let (m, extra, record) = (&m[..n], &extra[..n], &mut record[..n]);
    let p = &now[2].field[now[2].at..][..n];
    let rows = now.map(|now| neighbours::<_, R>(now, n));
    for i in 0..n {
        let mut w = f64::from(extra[i]);
        for (weights, [before, behind]) in weights.iter().zip(&rows) {
            for k in 0..R {
                w += f64::from(weights[k]) * i64::second_difference(before[k][i], p[i], behind[k][i]).wide();
            }
        }
        record[i] = w as f32;
        // A number beyond is none of a field.
        let near = (f64::from(m[i]) * w * f64::from(scale)).round_ties_even().max(-MOST).min(MOST);
        // SAFETY: it is between two whole numbers of 64 bits; `max` takes the number where the other is none.
        #[allow(unsafe_code)]
        let increment: i64 = unsafe { near.to_int_unchecked() };
        next[i] = 2 * p[i] - next[i] + increment;
    }
}

pub(super) fn psi(row: PsiRow, field: Around<i64>, back: bool, bits: Bits) -> bool {
    let each = row.decay.a.len() > 1;
    let kernel = match (back, each) {
        (false, false) => psi_row::<_, D, false, false>,
        (false, true) => psi_row::<_, D, false, true>,
        (true, false) => psi_row::<_, D, true, false>,
        (true, true) => psi_row::<_, D, true, true>,
    };
    kernel(row, field, bits)
}

pub(super) fn zeta(row: ZetaRow, field: Around<i64>, back: bool, bits: Bits) -> bool {
    let each = row.decay.a.len() > 1;
    let kernel = match (back, each) {
        (false, false) => zeta_row::<_, R, D, false, false>,
        (false, true) => zeta_row::<_, R, D, false, true>,
        (true, false) => zeta_row::<_, R, D, true, false>,
        (true, true) => zeta_row::<_, R, D, true, true>,
    };
    kernel(row, field, bits)
}
