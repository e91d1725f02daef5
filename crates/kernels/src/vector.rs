//! Vectors of scalars: what the kernels compute on.
//!
//! Every lane is computed by the same operations in the same order on any path, so results have the same bits wherever
//! products and sums are fused. On `x86_64` the paths AVX2 and AVX-512 use the processor's vectors; elsewhere, and for
//! scalars that no processor knows (dual numbers, tape variables), a vector is an array.
#![allow(unsafe_code)]

use treewave_core::Real;

/// Some scalars side by side.
///
/// A value exists only where the processor has the instructions of its type: making one is unsafe, using it is not.
pub(crate) trait Vector<T>: Copy {
    /// Scalars in a vector; divides 8 or is 16.
    const LANES: usize;
    /// The same kind of vector, with no more than 8 scalars.
    type Half: Vector<T>;
    /// All lanes `x`.
    ///
    /// # Safety
    /// The processor has the instructions of this type.
    unsafe fn splat(x: T) -> Self;
    /// The `LANES` scalars from `p` on.
    ///
    /// # Safety
    /// The processor has the instructions of this type, and the scalars may be read.
    unsafe fn load(p: *const T) -> Self;
    /// Writes the `LANES` scalars from `p` on.
    ///
    /// # Safety
    /// The scalars may be written.
    unsafe fn store(self, p: *mut T);
    /// Sum.
    fn plus(self, other: Self) -> Self;
    /// Difference.
    fn minus(self, other: Self) -> Self;
    /// Product.
    fn times(self, other: Self) -> Self;
    /// `self · a + b`, rounded once if `FMA`.
    fn times_plus<const FMA: bool>(self, a: Self, b: Self) -> Self;
    /// Lane by lane [`Real::flush`].
    fn flush(self) -> Self;
    /// Whether [`shifted`](Self::shifted) is faster than loads that cross cache lines.
    const SHIFTS: bool = false;
    /// The vector that begins `k` lanes into `self`, behind which another one stands; `0 < k < LANES`, and at most four lanes are
    /// those of one of the two where there are more than eight.
    fn joined(self, behind: Self, k: usize) -> Self;
    /// The vector `k` lanes further on in three that stand side by side, `self` in the middle; `k` is not 0.
    #[inline(always)]
    fn shifted(self, before: Self, behind: Self, k: isize) -> Self {
        if k < 0 { before.joined(self, (Self::LANES as isize + k) as usize) } else { self.joined(behind, k as usize) }
    }
}

/// Vectors of the given scalars.
///
/// # Safety
/// The processor has the instructions of the vectors.
#[inline(always)]
pub(crate) unsafe fn splats<T: Real, V: Vector<T>, const N: usize>(values: &[T]) -> [V; N] {
    // SAFETY: the caller promises.
    std::array::from_fn(|k| unsafe { V::splat(values[k]) })
}

/// Asks for the cache line of a place to be fetched, where the processor can; the place need not be there. It is fetched into the
/// second-level cache: the first waits for so few lines at a time that those from memory would be in the way of others.
#[inline(always)]
pub(crate) fn prefetch<T>(p: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of this architecture has the instruction, which reads nothing and cannot fault.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// The same for the cache lines of `n` scalars.
#[inline(always)]
pub(crate) fn prefetch_all<T>(p: *const T, n: usize) {
    (0..n).step_by((64 / size_of::<T>()).max(1)).for_each(|i| prefetch(p.wrapping_add(i)));
}

/// A vector for any scalar.
#[derive(Clone, Copy)]
pub(crate) struct Array<T, const N: usize>([T; N]);

impl<T: Real, const N: usize> Array<T, N> {
    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(T, T) -> T) -> Self {
        Array(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl<T: Real, const N: usize> Vector<T> for Array<T, N> {
    const LANES: usize = N;
    type Half = Self;
    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        Array([x; N])
    }
    #[inline(always)]
    unsafe fn load(p: *const T) -> Self {
        // SAFETY: the caller promises that `N` scalars may be read; an array of them needs no more alignment than one.
        Array(unsafe { p.cast::<[T; N]>().read() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut T) {
        // SAFETY: the caller promises that `N` scalars may be written.
        unsafe { p.cast::<[T; N]>().write(self.0) }
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.with(other, |a, b| a * b)
    }
    #[inline(always)]
    fn times_plus<const FMA: bool>(self, a: Self, b: Self) -> Self {
        let lane = |i: usize| if FMA { self.0[i].mul_add(a.0[i], b.0[i]) } else { self.0[i] * a.0[i] + b.0[i] };
        Array(std::array::from_fn(lane))
    }
    #[inline(always)]
    fn flush(self) -> Self {
        Array(self.0.map(Real::flush))
    }
    #[inline(always)]
    fn joined(self, behind: Self, k: usize) -> Self {
        Array(std::array::from_fn(|i| if i + k < N { self.0[i + k] } else { behind.0[i + k - N] }))
    }
}

/// A vector of the processor: `$name` of `$n` scalars `$t`, and the intrinsics for its operations.
#[cfg(target_arch = "x86_64")]
macro_rules! native {
    ($name:ident, $half:ident, $t:ty, $n:literal, $raw:ident, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident,
     $fma:ident, $limit:expr, |$x:ident, $tiny:ident| $flush:expr, $shifts:literal, |$own:ident, $behind:ident| [$($k:literal => $joined:expr),*]) => {
        #[derive(Clone, Copy)]
        pub(crate) struct $name($raw);

        impl Vector<$t> for $name {
            const LANES: usize = $n;
            const SHIFTS: bool = $shifts;
            type Half = $half;
            #[inline(always)]
            unsafe fn splat(x: $t) -> Self {
                // SAFETY: the caller promises that the processor has the instruction.
                unsafe { $name($splat(x)) }
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> Self {
                // SAFETY: the caller promises that the processor has the instruction and that the scalars may be read.
                unsafe { $name($load(p)) }
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $t) {
                // SAFETY: there is a value, so the processor has the instruction; the caller promises the rest.
                unsafe { $store(p, self.0) }
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                // SAFETY: there is a value, so the processor has the instruction; so below.
                unsafe { $name($add(self.0, other.0)) }
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                // SAFETY: as above.
                unsafe { $name($sub(self.0, other.0)) }
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                // SAFETY: as above.
                unsafe { $name($mul(self.0, other.0)) }
            }
            #[inline(always)]
            fn times_plus<const FMA: bool>(self, a: Self, b: Self) -> Self {
                const { assert!(FMA, "paths with these vectors fuse") };
                // SAFETY: as above.
                unsafe { $name($fma(self.0, a.0, b.0)) }
            }
            #[inline(always)]
            fn flush(self) -> Self {
                let $x = self.0;
                // SAFETY: as above.
                unsafe {
                    let $tiny = $splat($limit);
                    $name($flush)
                }
            }
            #[inline(always)]
            fn joined(self, behind: Self, k: usize) -> Self {
                let ($own, $behind) = (self.0, behind.0);
                // SAFETY: as above.
                unsafe {
                    match k {
                        $($k => $name($joined),)*
                        _ => unreachable!("no vector {k} lanes into two"),
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::*;

    use treewave_core::real::{TINY_F32, TINY_F64};

    use super::Vector;

    /// The vector that begins `K` lanes into two. For the intrinsic of this instruction the compiler puts in permutations, whose tables
    /// take up registers.
    macro_rules! aligned {
        ($name:ident, $raw:ident) => {
            #[target_feature(enable = "avx512f")]
            #[inline]
            fn $name<const K: i32>(own: $raw, behind: $raw) -> $raw {
                let joined;
                // SAFETY: the instruction reads and writes registers only; the processor has it by the attribute above.
                unsafe {
                    asm!(
                        concat!(stringify!($name), " {joined}, {behind}, {own}, {k}"),
                        joined = lateout(zmm_reg) joined,
                        behind = in(zmm_reg) behind,
                        own = in(zmm_reg) own,
                        k = const K,
                        options(pure, nomem, nostack, preserves_flags),
                    );
                }
                joined
            }
        };
    }
    aligned!(valignd, __m512);
    aligned!(valignq, __m512d);

    native!(
        F32x16,
        F32x8,
        f32,
        16,
        __m512,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_fmadd_ps,
        TINY_F32,
        |x, tiny| _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(_mm512_abs_ps(x), tiny), x),
        true,
        |own, behind| [
            1 => valignd::<1>(own, behind),
            2 => valignd::<2>(own, behind),
            3 => valignd::<3>(own, behind),
            4 => valignd::<4>(own, behind),
            12 => valignd::<12>(own, behind),
            13 => valignd::<13>(own, behind),
            14 => valignd::<14>(own, behind),
            15 => valignd::<15>(own, behind)
        ]
    );
    native!(
        F64x8,
        F64x8,
        f64,
        8,
        __m512d,
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_add_pd,
        _mm512_sub_pd,
        _mm512_mul_pd,
        _mm512_fmadd_pd,
        TINY_F64,
        |x, tiny| _mm512_maskz_mov_pd(_mm512_cmp_pd_mask::<_CMP_NLT_UQ>(_mm512_abs_pd(x), tiny), x),
        true,
        |own, behind| [
            1 => valignq::<1>(own, behind),
            2 => valignq::<2>(own, behind),
            3 => valignq::<3>(own, behind),
            4 => valignq::<4>(own, behind),
            5 => valignq::<5>(own, behind),
            6 => valignq::<6>(own, behind),
            7 => valignq::<7>(own, behind)
        ]
    );
    native!(
        F32x8,
        F32x8,
        f32,
        8,
        __m256,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_fmadd_ps,
        TINY_F32,
        |x, tiny| _mm256_and_ps(x, _mm256_cmp_ps::<_CMP_NLT_UQ>(_mm256_andnot_ps(_mm256_set1_ps(-0.0), x), tiny)),
        false,
        |own, behind| [
            1 => _mm256_permutevar8x32_ps(
                _mm256_blend_ps::<1>(own, behind),
                _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0)
            ),
            2 => _mm256_permutevar8x32_ps(
                _mm256_blend_ps::<3>(own, behind),
                _mm256_setr_epi32(2, 3, 4, 5, 6, 7, 0, 1)
            ),
            3 => _mm256_permutevar8x32_ps(
                _mm256_blend_ps::<7>(own, behind),
                _mm256_setr_epi32(3, 4, 5, 6, 7, 0, 1, 2)
            ),
            4 => _mm256_permutevar8x32_ps(
                _mm256_blend_ps::<15>(own, behind),
                _mm256_setr_epi32(4, 5, 6, 7, 0, 1, 2, 3)
            ),
            5 => _mm256_permutevar8x32_ps(
                _mm256_blend_ps::<31>(own, behind),
                _mm256_setr_epi32(5, 6, 7, 0, 1, 2, 3, 4)
            ),
            6 => _mm256_permutevar8x32_ps(
                _mm256_blend_ps::<63>(own, behind),
                _mm256_setr_epi32(6, 7, 0, 1, 2, 3, 4, 5)
            ),
            7 => _mm256_permutevar8x32_ps(
                _mm256_blend_ps::<127>(own, behind),
                _mm256_setr_epi32(7, 0, 1, 2, 3, 4, 5, 6)
            )
        ]
    );
    native!(
        F64x4,
        F64x4,
        f64,
        4,
        __m256d,
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_add_pd,
        _mm256_sub_pd,
        _mm256_mul_pd,
        _mm256_fmadd_pd,
        TINY_F64,
        |x, tiny| _mm256_and_pd(x, _mm256_cmp_pd::<_CMP_NLT_UQ>(_mm256_andnot_pd(_mm256_set1_pd(-0.0), x), tiny)),
        false,
        |own, behind| [
            1 => _mm256_permute4x64_pd::<57>(_mm256_blend_pd::<1>(own, behind)),
            2 => _mm256_permute4x64_pd::<78>(_mm256_blend_pd::<3>(own, behind)),
            3 => _mm256_permute4x64_pd::<147>(_mm256_blend_pd::<7>(own, behind))
        ]
    );
}
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{F32x8, F32x16, F64x4, F64x8};
