//! Steps that can be undone exactly: the field and the layer's memory variables are whole numbers of a unit.
//!
//! With whole numbers the leapfrog undoes itself. From `p[n+1] = 2 p[n] − p[n−1] + d[n]`, where the increment `d[n]`
//! depends on `p[n]` alone, follows `p[n−1] = 2 p[n] − p[n+1] + d[n]`: the same formula, to the bit, whatever `d` is and
//! however it was rounded, since whole numbers are added without error.
//!
//! A value has 34 bits: 32 *low* ones, and the *high* ones, which only matter near a source, where fields are many times
//! larger than elsewhere. A row all of whose values are below [`SMALL`] has only low ones; kernels for rows of which all that
//! they read is so work on 32 bits, the others on 64.
//!
//! A memory variable of the absorbing layer decays: `ψ' = round(b ψ + a s)` with `b < 1` forgets a part of `ψ`. What it
//! forgets is small. From `ψ'` one gets back `round((ψ' − a s) / b)`, which is off by at most `½ / b + ½`; this difference,
//! a *code* of two bits where `b > ⅓`, is kept, and makes the way back exact. In the layer `s` is `D p` for ψ and
//! `L p + D ψ'` for ζ, see [`layer`](crate::layer); memory variables are floats of 64 bits, which hold whole numbers exactly.
//!
//! # References
//! Levesque & Verlet (1993), "Molecular dynamics and time reversibility", for the leapfrog in whole numbers; Maclaurin,
//! Duvenaud & Adams (2015), "Gradient-based hyperparameter optimization through reversible learning", for keeping the digits
//! that a decay forgets.

mod bits;
mod memory;
mod wide;

pub use bits::Bits;

use crate::MAX_RADIUS;
use crate::layer::{RADIUS, radius_beside};
use crate::lines::LANES;
use crate::table::Path;
use memory::{psi_row, zeta_row};

/// Weights of a radius: those of the neighbours at distance 1, 2, …
pub type Weights<T> = [T; MAX_RADIUS];

/// Where values must stay below, in units. A source makes about a quarter of it, and the waves that have left it mostly stay below
/// [`SMALL`].
pub const LIMIT: i64 = 1 << 33;

/// Rows of values below have 32 bits, as have second differences of theirs, and what they become in a step.
pub const SMALL: u32 = 1 << 28;

/// A row of a field with its neighbours along an axis.
#[derive(Clone, Copy)]
pub struct Around<'a, E> {
    /// What has them.
    pub field: &'a [E],
    /// Place of the row.
    pub at: usize,
    /// Distance of neighbours.
    pub stride: usize,
}

impl<E> Around<'_, E> {
    /// The row from some point on.
    pub fn from(self, point: usize) -> Self {
        Around { at: self.at + point, ..self }
    }
}

/// The same of low bits, or of whole values where there is a large one, with [`MAX_RADIUS`] neighbours on
/// each side for any radius.
#[derive(Clone, Copy)]
pub enum Values<'a> {
    /// All are small.
    Low(Around<'a, i32>),
    /// Some are large.
    Wide(Around<'a, i64>),
}

/// A row of a step.
pub struct StepRow<'a> {
    /// Weights of the second differences per axis `[x, y, z]`, in 1/m² times the unit.
    pub weights: &'a [Weights<f32>; 3],
    /// Units in one.
    pub scale: f32,
    /// `c² Δt²`.
    pub m: &'a [f32],
    /// What the layer adds to the Laplacian.
    pub extra: &'a [f32],
    /// What `m` is multiplied with, if that is wanted; else empty.
    pub record: &'a mut [f32],
}

/// How a memory variable decays, per point or the same for all.
#[derive(Clone, Copy)]
pub struct Decay<'a> {
    /// Filter coefficients `a`.
    pub a: &'a [f64],
    /// Decay `b`; 0 where there is no layer.
    pub b: &'a [f64],
    /// `1 / b`; 0 where there is no layer.
    pub inverse: &'a [f64],
}

/// A row of a memory variable ψ.
pub struct PsiRow<'a> {
    /// Weights of the first differences, times the spacing.
    pub first: &'a Weights<f64>,
    /// How it decays.
    pub decay: Decay<'a>,
    /// The row, in fine units times the spacing.
    pub psi: &'a mut [f64],
    /// What is forgotten, forward to be written.
    pub codes: &'a mut [i8],
}

/// A row of a memory variable ζ, and what the layer adds to the Laplacian.
pub struct ZetaRow<'a> {
    /// Weights of the second differences, times the spacing squared.
    pub second: &'a Weights<f64>,
    /// Weights of the first differences, times the spacing.
    pub first: &'a Weights<f64>,
    /// How it decays.
    pub decay: Decay<'a>,
    /// Rows of ψ one step on, before and behind, the nearest first.
    pub psi: [[&'a [f64]; RADIUS]; 2],
    /// The row, in fine units times the spacing squared.
    pub zeta: &'a mut [f64],
    /// What is forgotten, forward to be written.
    pub codes: &'a mut [i8],
    /// Unit over spacing squared.
    pub unit: f64,
    /// `D ψ + ζ` is added to it.
    pub extra: &'a mut [f32],
}

/// The kernels of a space order for the processor at hand.
#[derive(Clone, Copy, Debug)]
pub struct FixedKernels {
    step: StepKernel,
    wide_step: WideStepKernel,
    /// Forward and back, as the next ones.
    psi: [PsiKernel<i32>; 2],
    zeta: [ZetaKernel<i32>; 2],
    wide_psi: [PsiKernel<i64>; 2],
    wide_zeta: [ZetaKernel<i64>; 2],
}

type StepKernel = fn(StepRow, [Around<i32>; 3], &mut [i32]) -> u32;
type PsiKernel<E> = fn(PsiRow, Around<E>, Bits) -> bool;
type ZetaKernel<E> = fn(ZetaRow, Around<E>, Bits) -> bool;
type WideStepKernel = fn(StepRow, [Around<i64>; 3], &mut [i64]);

impl FixedKernels {
    /// `next = 2 now − next + m (L now + extra)`: a step, or a step back. The largest magnitude in `next`.
    pub fn step(&self, row: StepRow, now: [Around<i32>; 3], next: &mut [i32]) -> u32 {
        (self.step)(row, now, next)
    }
    /// The same of whole values; `record` is always written.
    pub fn wide_step(&self, row: StepRow, now: [Around<i64>; 3], next: &mut [i64]) {
        (self.wide_step)(row, now, next);
    }
    /// ψ one step on, or back. Tells whether something is forgotten that has no code.
    pub fn psi(&self, row: PsiRow, field: Values, back: bool, bits: Bits) -> bool {
        match field {
            Values::Low(field) => (self.psi[usize::from(back)])(row, field, bits),
            Values::Wide(field) => (self.wide_psi[usize::from(back)])(row, field, bits),
        }
    }
    /// ζ one step on, or back, and what it adds forward. Tells whether something is forgotten that has no code.
    pub fn zeta(&self, row: ZetaRow, field: Values, back: bool, bits: Bits) -> bool {
        match field {
            Values::Low(field) => (self.zeta[usize::from(back)])(row, field, bits),
            Values::Wide(field) => (self.wide_zeta[usize::from(back)])(row, field, bits),
        }
    }
}

/// The nearest whole number of 32 bits, or about; a number for what is none. Unlike `as`, a vector instruction.
#[inline(always)]
#[allow(clippy::manual_clamp, reason = "`clamp` keeps what is not a number")]
fn whole(x: f32) -> i32 {
    const MOST: f32 = (1 << 30) as f32;
    let near = x.round_ties_even().max(-MOST).min(MOST);
    // SAFETY: it is between two whole numbers of 32 bits; `max` takes the number where the other is none.
    #[allow(unsafe_code)]
    unsafe {
        near.to_int_unchecked()
    }
}

#[inline(always)]
fn product_sum<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// A value of a field.
trait Value: Copy {
    /// `before + behind − 2 centre`.
    fn second_difference(before: Self, centre: Self, behind: Self) -> Self;
    /// `behind − before`.
    fn first_difference(before: Self, behind: Self) -> Self;
    fn wide(self) -> f64;
}

impl Value for i32 {
    #[inline(always)]
    fn second_difference(before: Self, centre: Self, behind: Self) -> Self {
        before.wrapping_add(behind).wrapping_sub(centre.wrapping_add(centre))
    }
    #[inline(always)]
    fn first_difference(before: Self, behind: Self) -> Self {
        behind.wrapping_sub(before)
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        self.into()
    }
}

impl Value for i64 {
    fn second_difference(before: Self, centre: Self, behind: Self) -> Self {
        before + behind - 2 * centre
    }
    fn first_difference(before: Self, behind: Self) -> Self {
        behind - before
    }
    fn wide(self) -> f64 {
        self as f64
    }
}

/// Rows at distances 1, 2, … of `stride` before and behind.
#[inline(always)]
fn neighbours<E, const R: usize>(around: Around<'_, E>, n: usize) -> [[&[E]; R]; 2] {
    let Around { field, at, stride } = around;
    let of = |place: usize| &field[place..][..n];
    [std::array::from_fn(|k| of(at - (k + 1) * stride)), std::array::from_fn(|k| of(at + (k + 1) * stride))]
}

/// Points of a row of doubles that are computed at once.
pub const BLOCK: usize = 8;

/// Values of the points of a block. The compiler makes vectors of blocks, which have one length and are written when they are ready.
#[inline(always)]
fn each(value: impl Fn(usize) -> f64) -> [f64; BLOCK] {
    let mut values = [0.0; BLOCK];
    for (lane, to) in values.iter_mut().enumerate() {
        *to = value(lane);
    }
    values
}

/// The blocks of rows on both sides.
#[inline(always)]
fn blocks<E, const R: usize>(rows: [[&[E]; R]; 2]) -> [[&[[E; BLOCK]]; R]; 2] {
    rows.map(|side| side.map(|row| row.as_chunks().0))
}

#[inline(always)]
fn step_row<const R: usize, const AXES: usize, const FMA: bool, const RECORD: bool>(
    row: StepRow,
    now: [Around<i32>; 3],
    next: &mut [i32],
) -> u32 {
    let StepRow { weights, scale, m, extra, record } = row;
    // What is written is none of the weights: they stay in registers.
    let (weights, n) = (*weights, next.len());
    let (p, m, extra) = (&now[2].field[now[2].at..][..n], &m[..n], &extra[..n]);
    let record = if RECORD { &mut record[..n] } else { record };
    let [x, z] = [now[0], now[2]].map(|now| neighbours::<_, R>(now, n));
    let y = if AXES == 2 { neighbours::<_, R>(now[1], n) } else { [[p; R]; 2] };
    assert!(n.is_multiple_of(LANES), "rows are whole vectors");
    let mut largest = [0; LANES];
    // Blocks of one length: the compiler makes one vector, or a few, of each, and no rest that goes point by point.
    for block in (0..n).step_by(LANES) {
        for lane in 0..LANES {
            let i = block + lane;
            // SAFETY: all rows are `n` long.
            #[allow(unsafe_code)]
            let (own, bend) = unsafe {
                let own = *p.get_unchecked(i);
                let bend = move |rows: &[[&[i32]; R]; 2], k: usize| {
                    let [before, behind] = [0, 1].map(|side: usize| *rows[side][k].get_unchecked(i));
                    i32::second_difference(before, own, behind) as f32
                };
                (own, bend)
            };
            let mut w = extra[i];
            // The smallest first.
            for k in (0..R).rev() {
                w = product_sum::<FMA>(weights[2][k], bend(&z, k), w);
                if AXES == 2 {
                    w = product_sum::<FMA>(weights[1][k], bend(&y, k), w);
                }
                w = product_sum::<FMA>(weights[0][k], bend(&x, k), w);
            }
            if RECORD {
                record[i] = w;
            }
            let increment = whole(m[i] * w * scale);
            next[i] = own.wrapping_add(own).wrapping_sub(next[i]).wrapping_add(increment);
            largest[lane] = largest[lane].max(next[i].unsigned_abs());
        }
    }
    largest.into_iter().fold(0, u32::max)
}

macro_rules! fixed {
    ($name:ident, $fma:expr, $(#[$feature:meta])?) => {
        mod $name {
            use super::*;

            fn steps<const R: usize, const AXES: usize>(row: StepRow, now: [Around<i32>; 3], next: &mut [i32]) -> u32 {
                $(#[$feature])?
                fn plain<const R: usize, const AXES: usize>(
                    row: StepRow,
                    now: [Around<i32>; 3],
                    next: &mut [i32],
                ) -> u32 {
                    step_row::<R, AXES, { $fma }, false>(row, now, next)
                }
                $(#[$feature])?
                fn recorded<const R: usize, const AXES: usize>(
                    row: StepRow,
                    now: [Around<i32>; 3],
                    next: &mut [i32],
                ) -> u32 {
                    step_row::<R, AXES, { $fma }, true>(row, now, next)
                }
                // SAFETY: `FixedKernels::new` takes these functions only on a processor that has the features.
                #[allow(unsafe_code, unused_unsafe)]
                unsafe {
                    if row.record.is_empty() {
                        plain::<R, AXES>(row, now, next)
                    } else {
                        recorded::<R, AXES>(row, now, next)
                    }
                }
            }

            fn wide_step<const R: usize, const AXES: usize>(row: StepRow, now: [Around<i64>; 3], next: &mut [i64]) {
                $(#[$feature])?
                fn compiled<const R: usize, const AXES: usize>(row: StepRow, now: [Around<i64>; 3], next: &mut [i64]) {
                    wide::step::<R, AXES>(row, now, next);
                }
                // SAFETY: as above.
                #[allow(unsafe_code, unused_unsafe)]
                unsafe {
                    compiled::<R, AXES>(row, now, next);
                }
            }

            fn psi<E: Value, const D: usize, const BACK: bool>(row: PsiRow, field: Around<E>, bits: Bits) -> bool {
                $(#[$feature])?
                fn compiled<E: Value, const D: usize, const BACK: bool>(
                    row: PsiRow,
                    field: Around<E>,
                    bits: Bits,
                ) -> bool {
                    if row.decay.a.len() == 1 {
                        psi_row::<_, D, BACK, false>(row, field, bits)
                    } else {
                        psi_row::<_, D, BACK, true>(row, field, bits)
                    }
                }
                // SAFETY: as above.
                #[allow(unsafe_code, unused_unsafe)]
                unsafe {
                    compiled::<E, D, BACK>(row, field, bits)
                }
            }

            fn zeta<E: Value, const R: usize, const D: usize, const BACK: bool>(
                row: ZetaRow,
                field: Around<E>,
                bits: Bits,
            ) -> bool {
                $(#[$feature])?
                fn compiled<E: Value, const R: usize, const D: usize, const BACK: bool>(
                    row: ZetaRow,
                    field: Around<E>,
                    bits: Bits,
                ) -> bool {
                    if row.decay.a.len() == 1 {
                        zeta_row::<_, R, D, BACK, false>(row, field, bits)
                    } else {
                        zeta_row::<_, R, D, BACK, true>(row, field, bits)
                    }
                }
                // SAFETY: as above.
                #[allow(unsafe_code, unused_unsafe)]
                unsafe {
                    compiled::<E, R, D, BACK>(row, field, bits)
                }
            }

            pub(super) fn kernels<const R: usize, const D: usize>(dims: usize) -> FixedKernels {
                FixedKernels {
                    step: if dims == 3 { steps::<R, 2> } else { steps::<R, 1> },
                    wide_step: if dims == 3 { wide_step::<R, 2> } else { wide_step::<R, 1> },
                    psi: [psi::<_, D, false>, psi::<_, D, true>],
                    zeta: [zeta::<_, R, D, false>, zeta::<_, R, D, true>],
                    wide_psi: [psi::<_, RADIUS, false>, psi::<_, RADIUS, true>],
                    wide_zeta: [zeta::<_, MAX_RADIUS, RADIUS, false>, zeta::<_, MAX_RADIUS, RADIUS, true>],
                }
            }
        }
    };
}

fixed!(baseline, Path::Baseline.fused(),);
#[cfg(target_arch = "x86_64")]
fixed!(avx2, true, #[target_feature(enable = "avx2,fma")]);
#[cfg(target_arch = "x86_64")]
fixed!(avx512, true, #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]);

impl FixedKernels {
    /// The kernels of a space order `2 radius` for a 2-D or 3-D grid on a path that this processor has.
    pub fn new(radius: usize, dims: usize, path: Path) -> FixedKernels {
        assert!(path <= Path::detect(), "this processor has no {}", path.name());
        macro_rules! choose {
            ($($r:literal)*) => {
                match (radius, path) {
                    $(
                        #[cfg(target_arch = "x86_64")]
                        ($r, Path::Avx512) => avx512::kernels::<$r, { radius_beside($r) }>(dims),
                        #[cfg(target_arch = "x86_64")]
                        ($r, Path::Avx2) => avx2::kernels::<$r, { radius_beside($r) }>(dims),
                        ($r, _) => baseline::kernels::<$r, { radius_beside($r) }>(dims),
                    )*
                    _ => panic!("no kernels of radius {radius}"),
                }
            };
        }
        choose!(1 2 3 4 5 6 7 8)
    }
}
