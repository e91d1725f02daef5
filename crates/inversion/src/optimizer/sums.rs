//! Sums over all elements in fixed blocks and in index order: their bits depend on the data alone.

/// Elements of a block; a block of all history vectors fits a level-2 cache.
pub(super) const BLOCK: usize = 1024;
/// Independent partial sums inside a block, so that the compiler can use SIMD without reordering anything.
const LANES: usize = 8;

/// Inner product of two slices of the same length, at most a block long.
pub(super) fn dot_block(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// The sum of `term(i)` over `0..n`.
pub(super) fn sum(n: usize, term: impl Fn(usize) -> f64) -> f64 {
    let mut total = 0.0;
    for start in (0..n).step_by(BLOCK) {
        let end = (start + BLOCK).min(n);
        let mut lanes = [0.0; LANES];
        let mut i = start;
        while i + LANES <= end {
            for (lane, partial) in lanes.iter_mut().enumerate() {
                *partial += term(i + lane);
            }
            i += LANES;
        }
        let rest: f64 = (i..end).map(&term).sum();
        total += lanes.iter().sum::<f64>() + rest;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_summed_once_at_any_length() {
        for n in [0, 1, 7, 8, 9, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 13] {
            // Integers below 2^53: exact in any order.
            let expected = (n * n) as f64;
            assert_eq!(sum(n, |i| (2 * i + 1) as f64), expected, "{n} elements");
            let (a, b): (Vec<f64>, Vec<f64>) = (0..n).map(|i| ((2 * i + 1) as f64, 1.0)).unzip();
            assert_eq!(dot_block(&a, &b), expected, "{n} elements");
        }
    }
}
