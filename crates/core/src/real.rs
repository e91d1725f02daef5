//! The scalars that the numerics run on.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

/// A scalar: `f32`, `f64`, a dual number, a tape variable.
///
/// Kernels and wave equations are written once over this trait; running them on another scalar than a float gives
/// exact derivatives of the very same program.
pub trait Real:
    Copy
    + Debug
    + PartialOrd
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;

    /// The scalar nearest to `x`, with no derivative.
    fn from_f64(x: f64) -> Self;
    /// The plain value, without derivatives.
    fn value(self) -> f64;
    /// `self * a + b`, rounded once where the hardware can.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The value itself, or zero where its magnitude is below a fixed tiny threshold.
    ///
    /// Denormal numbers slow down processors by an order of magnitude, and the front of a wave is full of them. The
    /// threshold belongs to the discrete program: 1e-18 in `f32`, 1e-200 in everything wider. Fields are scaled to
    /// peaks near one, so that nothing that matters is ever below it.
    fn flush(self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Exponential function.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Sine.
    fn sin(self) -> Self;
    /// Cosine.
    fn cos(self) -> Self;
}

/// Threshold of [`Real::flush`] in `f32`.
pub const TINY_F32: f32 = 1e-18;
/// Threshold of [`Real::flush`] in everything wider.
pub const TINY_F64: f64 = 1e-200;

macro_rules! real_float {
    ($t:ty, $tiny:expr) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn value(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                <$t>::mul_add(self, a, b)
            }
            #[inline(always)]
            fn flush(self) -> Self {
                if <$t>::abs(self) < $tiny { 0.0 } else { self }
            }
            #[inline(always)]
            fn abs(self) -> Self {
                <$t>::abs(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                <$t>::exp(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                <$t>::ln(self)
            }
            #[inline(always)]
            fn sin(self) -> Self {
                <$t>::sin(self)
            }
            #[inline(always)]
            fn cos(self) -> Self {
                <$t>::cos(self)
            }
        }
    };
}

real_float!(f32, TINY_F32);
real_float!(f64, TINY_F64);
