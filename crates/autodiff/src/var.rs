//! The scalar that records itself.
#![allow(clippy::suspicious_arithmetic_impl, reason = "slopes of a quotient are products")]

use std::cmp::Ordering;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use treewave_core::Real;

use crate::TapeScalar;

/// A number whose operations are pushed onto the open [`Tape`](crate::Tape) of this thread: a value and its place there.
///
/// A constant has no place, and operations on constants alone are not recorded. A variable used after its tape has
/// ended, or on a thread that it does not belong to, is a bug of the caller and panics.
#[derive(Clone, Copy, Debug)]
pub struct Var<T> {
    /// The plain value.
    pub value: T,
    pub(crate) place: u32,
    /// The tape it belongs to; 0 for a constant.
    pub(crate) tape: u32,
}

impl<T: TapeScalar> Var<T> {
    /// A number that derivatives do not depend on.
    pub const fn constant(value: T) -> Self {
        Var { value, place: 0, tape: 0 }
    }

    /// The result of an operation, with its slope by each argument.
    #[inline]
    fn result<const K: usize>(value: T, arguments: [(Self, T); K]) -> Self {
        if arguments.iter().all(|(argument, _)| argument.tape == 0) {
            return Self::constant(value);
        }
        T::with_stack(|stack| stack.push(value, arguments))
    }
}

impl<T: TapeScalar> Add for Var<T> {
    type Output = Self;
    #[inline]
    fn add(self, other: Self) -> Self {
        Self::result(self.value + other.value, [(self, T::ONE), (other, T::ONE)])
    }
}
impl<T: TapeScalar> Sub for Var<T> {
    type Output = Self;
    #[inline]
    fn sub(self, other: Self) -> Self {
        Self::result(self.value - other.value, [(self, T::ONE), (other, -T::ONE)])
    }
}
impl<T: TapeScalar> Mul for Var<T> {
    type Output = Self;
    #[inline]
    fn mul(self, other: Self) -> Self {
        Self::result(self.value * other.value, [(self, other.value), (other, self.value)])
    }
}
impl<T: TapeScalar> Div for Var<T> {
    type Output = Self;
    #[inline]
    fn div(self, other: Self) -> Self {
        let quotient = self.value / other.value;
        Self::result(quotient, [(self, T::ONE / other.value), (other, -quotient / other.value)])
    }
}
impl<T: TapeScalar> Neg for Var<T> {
    type Output = Self;
    #[inline]
    fn neg(self) -> Self {
        Self::result(-self.value, [(self, -T::ONE)])
    }
}
impl<T: TapeScalar> AddAssign for Var<T> {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
impl<T: TapeScalar> SubAssign for Var<T> {
    #[inline]
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
impl<T: TapeScalar> MulAssign for Var<T> {
    #[inline]
    fn mul_assign(&mut self, other: Self) {
        *self = *self * other;
    }
}
impl<T: TapeScalar> PartialEq for Var<T> {
    /// Compares values; programs branch as they do on plain numbers.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}
impl<T: TapeScalar> PartialOrd for Var<T> {
    /// Compares values; programs branch as they do on plain numbers.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: TapeScalar> Real for Var<T> {
    const ZERO: Self = Self::constant(T::ZERO);
    const ONE: Self = Self::constant(T::ONE);

    fn from_f64(x: f64) -> Self {
        Self::constant(T::from_f64(x))
    }
    fn value(self) -> f64 {
        self.value.value()
    }
    #[inline]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Self::result(self.value.mul_add(a.value, b.value), [(self, a.value), (a, self.value), (b, T::ONE)])
    }
    fn flush(self) -> Self {
        if self.value() != 0.0 && self.value.flush().value() == 0.0 { Self::ZERO } else { self }
    }
    fn abs(self) -> Self {
        let sign = if self.value < T::ZERO { -T::ONE } else { T::ONE };
        Self::result(self.value.abs(), [(self, sign)])
    }
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        Self::result(root, [(self, T::ONE / (root + root))])
    }
    fn exp(self) -> Self {
        let e = self.value.exp();
        Self::result(e, [(self, e)])
    }
    fn ln(self) -> Self {
        Self::result(self.value.ln(), [(self, T::ONE / self.value)])
    }
    fn sin(self) -> Self {
        Self::result(self.value.sin(), [(self, self.value.cos())])
    }
    fn cos(self) -> Self {
        Self::result(self.value.cos(), [(self, -self.value.sin())])
    }
}
