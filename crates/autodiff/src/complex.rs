//! Complex numbers as pairs of reals.

use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use treewave_core::Real;

/// A complex number `re + i im` over any real scalar.
///
/// Derivatives go through its two parts: on dual numbers or tape variables, a program with complex numbers inside is
/// differentiated like any other. For a real objective J, the adjoint of `z` is the pair (∂J/∂re, ∂J/∂im); an analytic
/// function w = f(z) pulls it back by the conjugate of its derivative, `z̄ = conj(f′(z)) w̄`.
///
/// # Assumptions
/// Squares of the parts neither overflow nor underflow in [`norm_sqr`](Complex::norm_sqr), [`abs`](Complex::abs) and the quotient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Complex<T> {
    /// Real part.
    pub re: T,
    /// Imaginary part.
    pub im: T,
}

impl<T: Real> Complex<T> {
    /// Zero.
    pub const ZERO: Self = Complex { re: T::ZERO, im: T::ZERO };
    /// One.
    pub const ONE: Self = Complex { re: T::ONE, im: T::ZERO };
    /// The imaginary unit.
    pub const I: Self = Complex { re: T::ZERO, im: T::ONE };

    /// `re + i im`.
    pub const fn new(re: T, im: T) -> Self {
        Complex { re, im }
    }
    /// `radius · exp(i angle)`, the angle in radians.
    pub fn from_polar(radius: T, angle: T) -> Self {
        Complex { re: radius * angle.cos(), im: radius * angle.sin() }
    }
    /// The conjugate `re − i im`.
    pub fn conj(self) -> Self {
        Complex { re: self.re, im: -self.im }
    }
    /// `re² + im²`.
    pub fn norm_sqr(self) -> T {
        self.re * self.re + self.im * self.im
    }
    /// Magnitude; it has no derivative at 0.
    pub fn abs(self) -> T {
        self.norm_sqr().sqrt()
    }
    /// Exponential function.
    pub fn exp(self) -> Self {
        Self::from_polar(self.re.exp(), self.im)
    }
    /// The product with a real number.
    pub fn scale(self, factor: T) -> Self {
        Complex { re: self.re * factor, im: self.im * factor }
    }
}

impl<T: Real> From<T> for Complex<T> {
    fn from(re: T) -> Self {
        Complex { re, im: T::ZERO }
    }
}
impl<T: Real> Add for Complex<T> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Complex { re: self.re + other.re, im: self.im + other.im }
    }
}
impl<T: Real> Sub for Complex<T> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Complex { re: self.re - other.re, im: self.im - other.im }
    }
}
impl<T: Real> Mul for Complex<T> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Complex { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}
impl<T: Real> Div for Complex<T> {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let (product, norm) = (self * other.conj(), other.norm_sqr());
        Complex { re: product.re / norm, im: product.im / norm }
    }
}
impl<T: Real> Neg for Complex<T> {
    type Output = Self;
    fn neg(self) -> Self {
        Complex { re: -self.re, im: -self.im }
    }
}
impl<T: Real> AddAssign for Complex<T> {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
impl<T: Real> SubAssign for Complex<T> {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
impl<T: Real> MulAssign for Complex<T> {
    fn mul_assign(&mut self, other: Self) {
        *self = *self * other;
    }
}

#[cfg(test)]
mod tests;
