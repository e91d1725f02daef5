//! Forward mode: numbers that carry derivatives along.
#![allow(clippy::suspicious_arithmetic_impl, reason = "the product rule has a sum, the quotient rule a difference")]

use std::cmp::Ordering;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use treewave_core::Real;

/// A number with its derivatives in `N` directions: `value + Σ tangent[i] εᵢ` with `εᵢ εⱼ = 0`.
///
/// Running a program on dual numbers gives its exact directional derivatives (Wengert 1964). Dual numbers nest:
/// `Dual<Dual<f64, 1>, 1>` gives second derivatives.
///
/// ```
/// use treewave_autodiff::Dual;
/// use treewave_core::Real;
/// // y = z sin x and its gradient at x = 2, z = 3 in one run
/// let (x, z) = (Dual::<f64, 2>::variable(2.0, 0), Dual::variable(3.0, 1));
/// let y = z * x.sin();
/// assert_eq!(y.tangent, [3.0 * 2.0_f64.cos(), 2.0_f64.sin()]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Dual<T, const N: usize> {
    /// The plain value.
    pub value: T,
    /// The derivatives.
    pub tangent: [T; N],
}

impl<T: Real, const N: usize> Dual<T, N> {
    /// A constant: all derivatives are 0.
    pub const fn constant(value: T) -> Self {
        Dual { value, tangent: [T::ZERO; N] }
    }
    /// The variable of direction `i`: its derivative in that direction is 1.
    pub fn variable(value: T, i: usize) -> Self {
        let mut tangent = [T::ZERO; N];
        tangent[i] = T::ONE;
        Dual { value, tangent }
    }
    /// A function of this number, from its value and its derivative.
    fn chain(self, value: T, slope: T) -> Self {
        Dual { value, tangent: self.tangent.map(|t| t * slope) }
    }
    fn zip(self, other: Self, value: T, f: impl Fn(T, T) -> T) -> Self {
        Dual { value, tangent: std::array::from_fn(|i| f(self.tangent[i], other.tangent[i])) }
    }
}

impl<T: Real, const N: usize> Add for Dual<T, N> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.zip(other, self.value + other.value, |a, b| a + b)
    }
}
impl<T: Real, const N: usize> Sub for Dual<T, N> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.zip(other, self.value - other.value, |a, b| a - b)
    }
}
impl<T: Real, const N: usize> Mul for Dual<T, N> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        self.zip(other, self.value * other.value, |a, b| a * other.value + self.value * b)
    }
}
impl<T: Real, const N: usize> Div for Dual<T, N> {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        // one division more for all directions together, rather than one for each
        let (quotient, inverse) = (self.value / other.value, T::ONE / other.value);
        self.zip(other, quotient, |a, b| (a - quotient * b) * inverse)
    }
}
impl<T: Real, const N: usize> Neg for Dual<T, N> {
    type Output = Self;
    fn neg(self) -> Self {
        Dual { value: -self.value, tangent: self.tangent.map(|t| -t) }
    }
}
impl<T: Real, const N: usize> AddAssign for Dual<T, N> {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
impl<T: Real, const N: usize> SubAssign for Dual<T, N> {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
impl<T: Real, const N: usize> MulAssign for Dual<T, N> {
    fn mul_assign(&mut self, other: Self) {
        *self = *self * other;
    }
}
impl<T: Real, const N: usize> PartialEq for Dual<T, N> {
    /// Compares values; programs branch as they do on plain numbers.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}
impl<T: Real, const N: usize> PartialOrd for Dual<T, N> {
    /// Compares values; programs branch as they do on plain numbers.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Real, const N: usize> Real for Dual<T, N> {
    const ZERO: Self = Self::constant(T::ZERO);
    const ONE: Self = Self::constant(T::ONE);

    fn from_f64(x: f64) -> Self {
        Self::constant(T::from_f64(x))
    }
    fn value(self) -> f64 {
        self.value.value()
    }
    fn mul_add(self, a: Self, b: Self) -> Self {
        let tangent = |i: usize| self.tangent[i] * a.value + self.value * a.tangent[i] + b.tangent[i];
        Dual { value: self.value.mul_add(a.value, b.value), tangent: std::array::from_fn(tangent) }
    }
    fn flush(self) -> Self {
        if self.value() != 0.0 && self.value.flush() == T::ZERO { Self::ZERO } else { self }
    }
    fn abs(self) -> Self {
        let sign = if self.value < T::ZERO { -T::ONE } else { T::ONE };
        self.chain(self.value.abs(), sign)
    }
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        self.chain(root, T::ONE / (root + root))
    }
    fn exp(self) -> Self {
        let e = self.value.exp();
        self.chain(e, e)
    }
    fn ln(self) -> Self {
        self.chain(self.value.ln(), T::ONE / self.value)
    }
    fn sin(self) -> Self {
        self.chain(self.value.sin(), self.value.cos())
    }
    fn cos(self) -> Self {
        self.chain(self.value.cos(), -self.value.sin())
    }
}

#[cfg(test)]
mod tests;
