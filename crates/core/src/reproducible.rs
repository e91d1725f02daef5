//! Sums whose bits do not depend on the order of the summands.
//!
//! Every summand is cut into digits of base 2⁴⁰ at absolute positions; digits are added as integers. Only the three
//! highest positions that any summand reaches are kept, so the result depends on the set of summands alone: not on their
//! order, nor on how they were spread over ranks, threads or runs. At least 80 bits below the largest summand are kept.
//! After Demmel, Ahrens & Nguyen (2016), "Efficient reproducible floating point summation and BLAS", with one window
//! for a whole array.

use thiserror::Error;

/// Bits of a digit.
const DIGIT_BITS: i32 = 40;
/// Digits kept per element.
const DIGITS: usize = 3;
/// Summands that can be added before a digit could overflow: 2^(63 − 40).
const MAX_SUMMANDS: u64 = 1 << (63 - DIGIT_BITS);
/// The position of an empty sum.
const EMPTY: i64 = i64::MIN;

/// An array of sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReproducibleSum {
    len: usize,
    /// Position of the highest digit kept: it counts units of 2^(40·top).
    top: i64,
    /// Digits, highest first, `[digit][element]`.
    digits: Vec<i64>,
    summands: u64,
}

/// Why a sum cannot be formed.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum SumError {
    #[error("element {index} of a summand is {value}; only finite values can be summed")]
    NotFinite { index: usize, value: f64 },
    #[error("more than 2^23 summands would overflow the accumulator")]
    TooMany,
    #[error("a summand has {found} elements, the sum has {expected}")]
    Length { found: usize, expected: usize },
    #[error("the saved accumulator is damaged: {0}")]
    Damaged(&'static str),
}

impl ReproducibleSum {
    /// A sum of nothing, of `len` elements.
    pub fn new(len: usize) -> Self {
        ReproducibleSum { len, top: EMPTY, digits: vec![0; DIGITS * len], summands: 0 }
    }
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Number of arrays summed so far.
    pub fn summands(&self) -> u64 {
        self.summands
    }

    /// Adds an array.
    pub fn add(&mut self, values: &[f64]) -> Result<(), SumError> {
        if values.len() != self.len {
            return Err(SumError::Length { found: values.len(), expected: self.len });
        }
        let mut peak = 0.0_f64;
        for (index, &value) in values.iter().enumerate() {
            if !value.is_finite() {
                return Err(SumError::NotFinite { index, value });
            }
            peak = peak.max(value.abs());
        }
        if self.summands + 1 > MAX_SUMMANDS {
            return Err(SumError::TooMany);
        }
        self.summands += 1;
        if peak == 0.0 {
            return Ok(());
        }
        self.raise(top_position(peak));
        let top = self.top;
        let (high, rest) = self.digits.split_at_mut(self.len);
        let (middle, low) = rest.split_at_mut(self.len);
        let unit = |digit: i64| (-(DIGIT_BITS as i64) * (top - digit)) as i32;
        for (i, &value) in values.iter().enumerate() {
            let mut rest = value;
            for (digit, sums) in [(0, &mut *high), (1, &mut *middle), (2, &mut *low)] {
                // Scaling by a power of two, truncation and the remainder are all exact.
                let whole = scale(rest, unit(digit)).trunc();
                sums[i] += whole as i64;
                rest -= scale(whole, -unit(digit));
            }
        }
        Ok(())
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &ReproducibleSum) -> Result<(), SumError> {
        if other.len != self.len {
            return Err(SumError::Length { found: other.len, expected: self.len });
        }
        if self.summands + other.summands > MAX_SUMMANDS {
            return Err(SumError::TooMany);
        }
        self.summands += other.summands;
        if other.top == EMPTY {
            return Ok(());
        }
        self.raise(other.top);
        let shift = (self.top - other.top) as usize;
        for digit in 0..DIGITS.saturating_sub(shift) {
            let to = (digit + shift) * self.len;
            let from = digit * self.len;
            for i in 0..self.len {
                self.digits[to + i] += other.digits[from + i];
            }
        }
        Ok(())
    }

    /// The sums, rounded once.
    pub fn values(&self) -> Vec<f64> {
        if self.top == EMPTY {
            return vec![0.0; self.len];
        }
        let unit = |digit: usize| DIGIT_BITS * (self.top as i32 - digit as i32);
        (0..self.len)
            .map(|i| {
                let digits: [i64; DIGITS] = std::array::from_fn(|digit| self.digits[digit * self.len + i]);
                let carried = carry(digits);
                let (sign, parts) = if carried[0] < 0 { (-1.0, carry(digits.map(|d| -d))) } else { (1.0, carried) };
                let low = scale(parts[2] as f64, unit(2)) + scale(parts[1] as f64, unit(1));
                sign * (low + scale(parts[0] as f64, unit(0)))
            })
            .collect()
    }

    /// Position of the highest digit, for agreement between ranks; `i64::MIN` while empty.
    pub fn top(&self) -> i64 {
        self.top
    }
    /// Moves the window up so that its highest digit is at `top`; digits that fall out at the bottom are dropped.
    pub fn raise(&mut self, top: i64) {
        if top == EMPTY || top <= self.top {
            return;
        }
        if self.top != EMPTY {
            let shift = usize::try_from(top - self.top).unwrap_or(DIGITS).min(DIGITS);
            let (len, keep) = (self.len, DIGITS - shift);
            self.digits.copy_within(0..keep * len, shift * len);
            self.digits[..shift * len].fill(0);
        }
        self.top = top;
    }
    /// The digits, which ranks add as plain integers once their windows agree.
    pub fn digits_mut(&mut self) -> &mut [i64] {
        &mut self.digits
    }
    /// Takes over the number of summands after ranks have added their digits.
    pub fn set_summands(&mut self, summands: u64) -> Result<(), SumError> {
        if summands > MAX_SUMMANDS {
            return Err(SumError::TooMany);
        }
        self.summands = summands;
        Ok(())
    }

    /// The whole state as integers, for restart files.
    pub fn export(&self) -> Vec<i64> {
        let mut out = vec![self.len as i64, self.top, self.summands as i64];
        out.extend_from_slice(&self.digits);
        out
    }
    /// The sum that [`export`](Self::export) saved.
    pub fn import(saved: &[i64]) -> Result<Self, SumError> {
        let [len, top, summands, digits @ ..] = saved else { return Err(SumError::Damaged("it is too short")) };
        let len = usize::try_from(*len).map_err(|_| SumError::Damaged("its length is negative"))?;
        if len.checked_mul(DIGITS) != Some(digits.len()) {
            return Err(SumError::Damaged("its length does not match"));
        }
        let summands = u64::try_from(*summands).map_err(|_| SumError::Damaged("its number of summands is negative"))?;
        if summands > MAX_SUMMANDS {
            return Err(SumError::TooMany);
        }
        Ok(ReproducibleSum { len, top: *top, digits: digits.to_vec(), summands })
    }
}

/// The same number with all digits but the highest in `0..2^40`: whatever the history of the digits was, equal sums
/// have equal digits.
fn carry(digits: [i64; DIGITS]) -> [i64; DIGITS] {
    let mut out = digits;
    for digit in (1..DIGITS).rev() {
        out[digit - 1] += out[digit] >> DIGIT_BITS;
        out[digit] &= (1 << DIGIT_BITS) - 1;
    }
    out
}

/// Position of the highest digit of a positive finite number.
fn top_position(x: f64) -> i64 {
    let biased = ((x.to_bits() >> 52) & 0x7ff) as i64;
    (biased.max(1) - 1023).div_euclid(DIGIT_BITS as i64)
}

/// `x · 2^(exponent)` for exponents of any size: exact unless the result leaves the range of `f64`.
fn scale(x: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    x * power_of_two(half) * power_of_two(exponent - half)
}

/// `2^exponent` for exponents of normal numbers; beyond, the nearest of 0 and infinity.
fn power_of_two(exponent: i32) -> f64 {
    if exponent < -1022 {
        0.0
    } else if exponent > 1023 {
        f64::INFINITY
    } else {
        f64::from_bits(((exponent + 1023) as u64) << 52)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum_of(arrays: &[Vec<f64>]) -> ReproducibleSum {
        let mut sum = ReproducibleSum::new(arrays[0].len());
        arrays.iter().for_each(|a| sum.add(a).unwrap());
        sum
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            -1.0..1.0,
            (-1e30..1e30),
            Just(0.0),
            (any::<i64>(), -300..300).prop_map(|(m, e)| m as f64 / 1e19 * 10f64.powi(e)),
        ]
    }

    proptest! {
        #[test]
        fn bits_do_not_depend_on_order_or_grouping(
            arrays in prop::collection::vec(prop::collection::vec(value(), 3), 2..20), cut in 0usize..20, seed in any::<u64>()
        ) {
            let whole = sum_of(&arrays).values();
            let mut shuffled = arrays.clone();
            let mut state = seed | 1;
            for i in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                shuffled.swap(i, (state >> 33) as usize % (i + 1));
            }
            let cut = cut % shuffled.len();
            let mut left = ReproducibleSum::new(3);
            shuffled[..cut].iter().for_each(|a| left.add(a).unwrap());
            let mut right = ReproducibleSum::new(3);
            shuffled[cut..].iter().for_each(|a| right.add(a).unwrap());
            let mut merged = ReproducibleSum::import(&right.export()).unwrap();
            merged.merge(&left).unwrap();
            for (a, b) in whole.iter().zip(merged.values()) {
                prop_assert_eq!(a.to_bits(), b.to_bits());
            }
        }

        #[test]
        fn values_are_accurate_relative_to_the_largest(values in prop::collection::vec(-1.0..1.0f64, 1..50)) {
            let arrays: Vec<Vec<f64>> = values.iter().map(|&v| vec![v]).collect();
            let plain: f64 = values.iter().sum();
            prop_assert!((sum_of(&arrays).values()[0] - plain).abs() <= 1e-14 * values.len() as f64);
        }
    }

    #[test]
    fn digits_of_two_ranks_add_as_integers() {
        let (a, b) = (vec![1.0, -3.5e-20], vec![2.5e15, 1e-7]);
        let (mut left, mut right) = (sum_of(std::slice::from_ref(&a)), sum_of(std::slice::from_ref(&b)));
        let top = left.top().max(right.top());
        left.raise(top);
        right.raise(top);
        for (x, y) in left.digits_mut().iter_mut().zip(right.digits_mut()) {
            *x += *y;
        }
        left.set_summands(2).unwrap();
        assert_eq!(left, sum_of(&[a, b]));
    }

    #[test]
    fn a_single_summand_comes_back_unchanged_within_40_bits_of_range() {
        for x in [1.0, -std::f64::consts::PI, -1e-3, 123456.789e10] {
            assert_eq!(sum_of(&[vec![x, 1e3]]).values()[0], x);
        }
    }

    #[test]
    fn non_finite_values_and_damaged_exports_are_refused() {
        let mut sum = ReproducibleSum::new(2);
        assert_eq!(sum.add(&[0.0, f64::INFINITY]), Err(SumError::NotFinite { index: 1, value: f64::INFINITY }));
        assert!(matches!(sum.add(&[0.0]), Err(SumError::Length { found: 1, expected: 2 })));
        let mut saved = sum.export();
        saved.pop();
        assert!(matches!(ReproducibleSum::import(&saved), Err(SumError::Damaged(_))));
    }
}
