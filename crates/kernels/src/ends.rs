//! The [layer](crate::layer) of axis z, at the ends of rows: neighbours stand in the row itself.
#![allow(unsafe_code)]

use treewave_core::Real;

use crate::layer::{add, curvature, derivative};
use crate::lines::{HALF, Lines};
use crate::stencil::Stencil;
use crate::vector::{Vector, splats};

/// Zeros that stand before and behind the memory variables of a row in the layer of axis z, where stencils reach.
pub const BORDER: usize = HALF;

/// The layer of axis z at one end of a row.
///
/// The end is a multiple of 8 cells long and covers all that the layer changes: its own cells and a stencil radius
/// beside. Where it has cells that are not in the layer, `a` and `b` are 0.
#[derive(Clone, Debug)]
pub struct LayerEnd<T> {
    /// Filter coefficients `a` per cell of the end, with [`BORDER`] zeros before and behind.
    pub a: Vec<T>,
    /// Decay `b` per cell of the end.
    pub b: Vec<T>,
    /// First cell of the end in its row.
    pub begin: usize,
    /// Place of that cell in a row of memory variables, at least [`BORDER`].
    pub at: usize,
}

impl<T> LayerEnd<T> {
    /// Checks coefficients, and that the ends of the rows are whole vectors and lie in the field with their neighbours, and in
    /// the memory variables with what borders them.
    #[inline(always)]
    pub(crate) fn check(&self, lines: &Lines<T>, radius: usize, memory: [&[T]; 2]) {
        let n = self.b.len();
        assert!(n.is_multiple_of(HALF) && self.a.len() == n + 2 * BORDER && radius <= BORDER);
        assert!(self.begin + n <= lines.n, "ends lie in rows");
        Lines { start: lines.start + self.begin, n, ..*lines }.check(radius, 1);
        for memory in memory {
            let from = self.at.checked_sub(BORDER).and_then(|from| memory.get(from..));
            lines.in_memory(from.expect("ends lie in the memory variable"), n + 2 * BORDER);
        }
    }
}

/// Where a row begins in the arrays that its ends need.
#[derive(Clone, Copy)]
pub(crate) struct EndRow<T> {
    /// The field, `p` or `v`.
    pub field: *const T,
    pub m: *const T,
    pub next: *mut T,
    /// The record, if there is one.
    pub record: *mut T,
    /// `[ψ, ζ]` forward, `[P, Z]` back.
    pub memory: [*mut T; 2],
}

/// The layer at the ends of a row: `ψ ← b ψ + a D p`, `ζ ← b ζ + a (L p + D ψ)` and `w += D ψ + ζ`.
///
/// # Safety
/// The ends are [checked](LayerEnd::check) for lines that this row belongs to, as are all arrays; the processor has the
/// instructions of `V`, whose lanes divide [`HALF`].
#[inline(always)]
pub(crate) unsafe fn layer_ends<
    T: Real,
    V: Vector<T>,
    const R: usize,
    const D: usize,
    const FMA: bool,
    const RECORD: bool,
>(
    stencil: &Stencil<T>,
    ends: &[LayerEnd<T>],
    row: EndRow<T>,
) {
    const { assert!(HALF.is_multiple_of(V::LANES)) };
    // SAFETY: all arrays hold the cells of the ends, and the field and the memory variables their neighbours, in whole
    // vectors, as the caller promises.
    unsafe {
        let d: [V; D] = splats(&stencil.first[2][1..]);
        let c: [V; R] = splats(&stencil.second[2][1..]);
        let (c0, zero) = (V::splat(stencil.second[2][0]), V::splat(T::ZERO));
        for end in ends {
            let (a, b, n) = (end.a[BORDER..].as_ptr(), end.b.as_ptr(), end.b.len());
            let (p, [psi, zeta]) = (row.field.add(end.begin), row.memory.map(|memory| memory.add(end.at)));
            // ψ is a vector ahead. Neighbours are shifted out of registers: what has just been written is slow to read at
            // another alignment.
            let (mut before, mut own) = (zero, zero);
            for ahead in (0..n + V::LANES).step_by(V::LANES) {
                let mut behind = zero;
                if ahead < n {
                    let (p, psi) = (p.add(ahead), psi.add(ahead));
                    let slope = derivative::<T, V, D, FMA>(&d, |k| p.offset(k));
                    let decayed = V::load(b.add(ahead)).times(V::load(psi));
                    behind = V::load(a.add(ahead)).times_plus::<FMA>(slope, decayed).flush();
                    behind.store(psi);
                }
                let Some(j) = ahead.checked_sub(V::LANES) else {
                    own = behind;
                    continue;
                };
                let difference = |k: isize| own.shifted(before, behind, k).minus(own.shifted(before, behind, -k));
                let mut slope = d[0].times(difference(1));
                for k in 1..D {
                    slope = d[k].times_plus::<FMA>(difference(k as isize + 1), slope);
                }
                let (p, zeta, place) = (p.add(j), zeta.add(j), end.begin + j);
                let q = curvature::<T, V, R, FMA>(c0, &c, |k| p.offset(k)).plus(slope);
                let decayed = V::load(b.add(j)).times(V::load(zeta));
                let moved = V::load(a.add(j)).times_plus::<FMA>(q, decayed).flush();
                moved.store(zeta);
                let extra = slope.plus(moved);
                add::<T, V, FMA, RECORD>(extra, row.m.add(place), row.next.add(place), row.record.wrapping_add(place));
                (before, own) = (own, behind);
            }
        }
    }
}

/// The transpose: `Z ← b Z + v`, `P ← b P − D (v + a Z)` and `w += L (a Z) − D (a P)`.
///
/// # Safety
/// As for [`layer_ends`].
#[inline(always)]
pub(crate) unsafe fn adjoint_ends<T: Real, V: Vector<T>, const R: usize, const D: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    ends: &[LayerEnd<T>],
    row: EndRow<T>,
) {
    const { assert!(HALF.is_multiple_of(V::LANES)) };
    // SAFETY: as in `layer_ends`; `a` has borders as wide as the differences reach.
    unsafe {
        for end in ends {
            let (v, z, b) = (row.field.add(end.begin), row.memory[1].add(end.at), end.b.as_ptr());
            for j in (0..end.b.len()).step_by(V::LANES) {
                let z = z.add(j);
                V::load(b.add(j)).times_plus::<FMA>(V::load(z), V::load(v.add(j))).flush().store(z);
            }
        }
        // Neighbours are shifted out of whole vectors, since what has just been written is slow to read at another alignment.
        let d: [V; D] = splats(&stencil.first[2][1..]);
        for end in ends {
            let (a, b) = (end.a[BORDER..].as_ptr(), end.b.as_ptr());
            for j in (0..end.b.len()).step_by(V::LANES) {
                let at = end.at + j;
                let (v, z, p) = (row.field.add(end.begin + j), row.memory[1].add(at), row.memory[0].add(at));
                let value = Beside::of::<T, D>(|k| {
                    V::load(a.add(j).offset(k)).times_plus::<FMA>(V::load(z.offset(k)), V::load(v.offset(k)))
                });
                let mut moved = V::load(b.add(j)).times(V::load(p));
                for k in 0..D {
                    let distance = k as isize + 1;
                    moved = d[k].times_plus::<FMA>(value.at::<T>(-distance).minus(value.at::<T>(distance)), moved);
                }
                moved.flush().store(p);
            }
        }
        let c: [V; R] = splats(&stencil.second[2][1..]);
        let c0 = V::splat(stencil.second[2][0]);
        for end in ends {
            let a = end.a[BORDER..].as_ptr();
            for j in (0..end.b.len()).step_by(V::LANES) {
                let (place, at) = (end.begin + j, end.at + j);
                let [p, z] = row.memory.map(|memory| memory.add(at));
                let weighted_z = Beside::of::<T, R>(|k| V::load(a.add(j).offset(k)).times(V::load(z.offset(k))));
                let weighted_p = Beside::of::<T, D>(|k| V::load(a.add(j).offset(k)).times(V::load(p.offset(k))));
                let mut extra = c0.times(weighted_z.at::<T>(0));
                for k in 0..R {
                    let distance = k as isize + 1;
                    let bend = weighted_z.at::<T>(distance).plus(weighted_z.at::<T>(-distance));
                    extra = c[k].times_plus::<FMA>(bend, extra);
                }
                for k in 0..D {
                    let distance = k as isize + 1;
                    let slope = weighted_p.at::<T>(-distance).minus(weighted_p.at::<T>(distance));
                    extra = d[k].times_plus::<FMA>(slope, extra);
                }
                add::<T, V, FMA, false>(extra, row.m.add(place), row.next.add(place), std::ptr::null_mut());
            }
        }
    }
}

/// Vectors that [`Beside`] holds on each side: as far as a border of two lanes each.
const SIDE: usize = HALF / 2;

/// A vector of a row and those that stand beside it.
#[derive(Clone, Copy)]
struct Beside<V>([V; 2 * SIDE + 1]);

impl<V: Copy> Beside<V> {
    /// As many as neighbours up to `R` lanes apart need; `vector` gives the one that begins so many lanes further on.
    #[inline(always)]
    fn of<T, const R: usize>(vector: impl Fn(isize) -> V) -> Self
    where
        V: Vector<T>,
    {
        let reach = R.div_ceil(V::LANES) as isize;
        Beside(std::array::from_fn(|i| vector((i as isize - SIDE as isize).clamp(-reach, reach) * V::LANES as isize)))
    }
    /// The vector `k` lanes further on than the middle one.
    #[inline(always)]
    fn at<T>(&self, k: isize) -> V
    where
        V: Vector<T>,
    {
        let lanes = V::LANES as isize;
        let (whole, rest) = ((SIDE as isize + k.div_euclid(lanes)) as usize, k.rem_euclid(lanes) as usize);
        if rest == 0 { self.0[whole] } else { self.0[whole].joined(self.0[whole + 1], rest) }
    }
}
