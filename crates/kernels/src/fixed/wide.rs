//! The same step on values of 64 bits.

use super::{Around, BLOCK, StepRow, Value, blocks, each, neighbours};

const MOST: f64 = (1_u64 << 50) as f64;

/// No products and sums are fused: the same on all paths.
#[inline(always)]
#[allow(clippy::manual_clamp, reason = "`clamp` keeps what is not a number")]
pub(super) fn step<const R: usize, const AXES: usize>(row: StepRow, now: [Around<i64>; 3], next: &mut [i64]) {
    let StepRow { weights, scale, m, extra, record } = row;
    let (weights, n) = (weights.map(|axis| axis.map(f64::from)), next.len());
    assert!(n.is_multiple_of(BLOCK), "rows are whole blocks");
    let field = &now[2].field[now[2].at..][..n];
    let x = blocks(neighbours::<_, R>(now[0], n));
    let y = blocks(if AXES == 2 { neighbours::<_, R>(now[1], n) } else { [[field; R]; 2] });
    let z = blocks(neighbours::<_, R>(now[2], n));
    let (field, _) = field.as_chunks::<BLOCK>();
    let [m, extra] = [m, extra].map(|row| row[..n].as_chunks::<BLOCK>().0);
    let rows = next.as_chunks_mut::<BLOCK>().0.iter_mut().zip(record[..n].as_chunks_mut::<BLOCK>().0);
    for (at, (next, record)) in rows.enumerate() {
        let (own, m) = (&field[at], &m[at]);
        let mut w = extra[at].map(f64::from);
        for (axis, [before, behind]) in [&x, &y, &z].into_iter().enumerate() {
            if axis == 1 && AXES < 2 {
                continue;
            }
            for k in 0..R {
                let (before, behind) = (&before[k][at], &behind[k][at]);
                w = each(|i| w[i] + weights[axis][k] * i64::second_difference(before[i], own[i], behind[i]).wide());
            }
        }
        *record = w.map(|w| w as f32);
        let increment = each(|i| (f64::from(m[i]) * w[i] * f64::from(scale)).round_ties_even());
        for i in 0..BLOCK {
            // A number beyond is none of a field.
            let near = increment[i].max(-MOST).min(MOST);
            // SAFETY: it is between two whole numbers of 64 bits; `max` takes the number where the other is none.
            #[allow(unsafe_code)]
            let increment: i64 = unsafe { near.to_int_unchecked() };
            next[i] = 2 * own[i] - next[i] + increment;
        }
    }
}
