//! Operations on the points of a row, each by itself.

use treewave_core::Real;

use crate::stencil::fma;

/// Leapfrog: `next = 2 now − next + m w`, where `next` holds the field of the step before.
#[inline(always)]
pub(crate) fn leapfrog_row<T: Real, const FMA: bool>(next: &mut [T], now: &[T], m: &[T], w: &[T]) {
    let n = next.len();
    let (now, m, w) = (&now[..n], &m[..n], &w[..n]);
    for i in 0..n {
        let inertia = (now[i] + now[i]) - next[i];
        next[i] = fma::<T, FMA>(m[i], w[i], inertia).flush();
    }
}

/// Imaging: `image += a b`.
#[inline(always)]
pub(crate) fn correlate_row<T: Real, const FMA: bool>(image: &mut [T], a: &[T], b: &[T]) {
    let n = image.len();
    let (a, b) = (&a[..n], &b[..n]);
    for i in 0..n {
        image[i] = fma::<T, FMA>(a[i], b[i], image[i]);
    }
}

/// Decay of a memory variable: `memory = b memory + source`.
#[inline(always)]
pub(crate) fn decay_row<T: Real, const FMA: bool>(memory: &mut [T], b: T, source: &[T]) {
    let n = memory.len();
    let source = &source[..n];
    for i in 0..n {
        memory[i] = fma::<T, FMA>(b, memory[i], source[i]).flush();
    }
}
