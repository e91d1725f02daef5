//! What a step leaves for its adjoint, and how it is kept: whole, without the top of the model, in 16 bits per cell.
//!
//! In 16 bits a row has an exponent in common, a power of two that brings its largest value near the largest of the IEEE format
//! binary16. A value keeps 11 significant bits: its error is at most 2⁻¹¹ of it, or 2⁻³⁹ of the largest of its row.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use half::f16;
use half::slice::HalfFloatSliceExt;
use treewave_core::Real;
use treewave_kernels::Shared;
use treewave_kernels::lines::LANES;

use crate::field::Field;
use crate::layout::Layout;

/// How records are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordForm {
    /// In 16 bits per cell.
    pub half: bool,
    /// Cells of the model from its top on whose velocity does not change: there gradient and illumination are not needed, and
    /// become 0, apart from some rows at the bottom.
    pub skipped_cells: usize,
}

impl RecordForm {
    /// The first cell of a row that is kept, at the beginning of a vector.
    pub(crate) fn first(self, layout: &Layout) -> usize {
        if self.skipped_cells == 0 {
            return 0;
        }
        // The layer above the model has the gradient of the model's top.
        let first = layout.lo[2] + self.skipped_cells;
        first.min(layout.n[2] - 1) / LANES * LANES
    }

    /// Bytes of a record on some grid.
    pub fn bytes<T>(self, layout: &Layout) -> u64 {
        let (rows, kept) = (layout.cells() / layout.row, layout.row - self.first(layout));
        let row = if self.half { kept * size_of::<f16>() + size_of::<Exponent>() } else { kept * size_of::<T>() };
        (rows * row) as u64
    }
}

/// The power of two of a row; [`SILENT`] for one of zeros.
pub(crate) type Exponent = i16;
const SILENT: Exponent = Exponent::MIN;
/// The largest value of a row has this exponent in 16 bits.
const LARGEST: i32 = 14;
/// Exponents do not go below: fields are of order one.
const LEAST: i32 = -100;

/// A record of one step.
#[derive(Clone, Debug)]
pub struct Record<T> {
    /// The first cell of a row that is kept.
    first: usize,
    /// Cells of a row.
    row: usize,
    values: Values<T>,
}

#[derive(Clone, Debug)]
enum Values<T> {
    Full(Field<T>),
    Half { values: Field<f16>, exponents: Field<Exponent> },
}

impl<T: Real> Record<T> {
    /// A record of zeros.
    pub fn new(form: RecordForm, layout: &Layout) -> Self {
        let (rows, first) = (layout.cells() / layout.row, form.first(layout));
        let kept = rows * (layout.row - first);
        let values = if form.half {
            Values::Half { values: Field::filled(kept, f16::ZERO), exponents: Field::filled(rows, SILENT) }
        } else {
            Values::Full(Field::zeros(kept))
        };
        Record { first, row: layout.row, values }
    }

    /// All cells, if they are kept as they are.
    pub fn whole(&self) -> Option<&[T]> {
        match &self.values {
            Values::Full(values) if self.first == 0 => Some(values),
            _ => None,
        }
    }

    /// All rows, to be written.
    pub(crate) fn rows_mut(&mut self) -> RowsMut<'_, T> {
        let values = match &mut self.values {
            Values::Full(values) => RowsValues::Full(values),
            Values::Half { values, exponents } => RowsValues::Half(values, exponents),
        };
        RowsMut { first: self.first, kept: self.row - self.first, values }
    }

    /// The record, to be written to by several threads.
    pub(crate) fn shared(&mut self) -> SharedRecord<'_, T> {
        let &mut Record { first, row, ref mut values } = self;
        let values = match values {
            Values::Full(values) => SharedValues::Full(Shared::new(values)),
            Values::Half { values, exponents } => {
                SharedValues::Half { values: Shared::new(values), exponents: Shared::new(exponents) }
            }
        };
        SharedRecord { first, row, values }
    }

    /// Brings a row back; what is not kept of it is 0.
    pub(crate) fn unpack(&self, row: usize, to: &mut [T]) {
        let (skipped, to) = to[..self.row].split_at_mut(self.first);
        skipped.fill(T::ZERO);
        let part = row * to.len()..(row + 1) * to.len();
        match &self.values {
            Values::Full(values) => to.copy_from_slice(&values[part]),
            Values::Half { values, exponents } => unpack_row(&values[part], exponents[row], to),
        }
    }
}

/// Rows of a record, to be written.
pub(crate) struct RowsMut<'a, T> {
    first: usize,
    kept: usize,
    values: RowsValues<'a, T>,
}

enum RowsValues<'a, T> {
    Full(&'a mut [T]),
    Half(&'a mut [f16], &'a mut [Exponent]),
}

impl<'a, T: Real> RowsMut<'a, T> {
    /// Takes so many of the rows off the front.
    pub fn take(&mut self, rows: usize) -> RowsMut<'a, T> {
        let values = match &mut self.values {
            RowsValues::Full(values) => RowsValues::Full(take(values, rows * self.kept)),
            RowsValues::Half(values, exponents) => {
                RowsValues::Half(take(values, rows * self.kept), take(exponents, rows))
            }
        };
        RowsMut { values, ..*self }
    }
    /// A row, if all of it is kept as it is.
    pub fn whole(&mut self, row: usize) -> Option<&mut [T]> {
        let first = self.first;
        match self.row(row) {
            RowMut::Full(values) if first == 0 => Some(values),
            _ => None,
        }
    }
    fn row(&mut self, row: usize) -> RowMut<'_, T> {
        let part = row * self.kept..(row + 1) * self.kept;
        match &mut self.values {
            RowsValues::Full(values) => RowMut::Full(&mut values[part]),
            RowsValues::Half(values, exponents) => RowMut::Half(&mut values[part], &mut exponents[row]),
        }
    }
    /// Keeps what is kept of a row.
    pub fn pack(&mut self, row: usize, from: &[T]) {
        let from = &from[self.first..self.first + self.kept];
        self.row(row).pack(from);
    }
    /// Sets rows to zero.
    pub fn clear(&mut self, rows: Range<usize>) {
        rows.for_each(|row| self.row(row).clear());
    }
}

/// A record that several threads write to, each its own rows.
pub(crate) struct SharedRecord<'a, T> {
    first: usize,
    row: usize,
    pub values: SharedValues<'a, T>,
}

pub(crate) enum SharedValues<'a, T> {
    Full(Shared<'a, T>),
    Half { values: Shared<'a, f16>, exponents: Shared<'a, Exponent> },
}

impl<'a, T: Real> SharedRecord<'a, T> {
    /// All cells, if they are kept as they are.
    pub fn whole(&self) -> Option<&Shared<'a, T>> {
        match &self.values {
            SharedValues::Full(values) if self.first == 0 => Some(values),
            _ => None,
        }
    }

    /// The values of a row.
    pub fn part(&self, row: usize) -> Range<usize> {
        let kept = self.row - self.first;
        row * kept..(row + 1) * kept
    }

    /// What is kept of a row.
    pub fn kept<'b>(&self, row: &'b [T]) -> &'b [T] {
        &row[self.first..self.row]
    }
}

/// Takes so many elements off the front.
pub(crate) fn take<'a, X>(from: &mut &'a mut [X], count: usize) -> &'a mut [X] {
    from.split_off_mut(..count).expect("so many are left")
}

/// A row of a record, to be written.
pub(crate) enum RowMut<'a, T> {
    Full(&'a mut [T]),
    Half(&'a mut [f16], &'a mut Exponent),
}

impl<T: Real> RowMut<'_, T> {
    /// Keeps what is kept of a row.
    pub fn pack(self, from: &[T]) {
        match self {
            RowMut::Full(values) => values.copy_from_slice(from),
            RowMut::Half(values, exponent) => *exponent = pack_row(from, values),
        }
    }

    /// Sets the row to zero.
    pub fn clear(self) {
        match self {
            RowMut::Full(values) => values.fill(T::ZERO),
            RowMut::Half(_, exponent) => *exponent = SILENT,
        }
    }
}

/// Values that are converted in one go.
const CHUNK: usize = 64;

/// Rounds a row to 16 bits, each value to the nearest; the result is the exponent of the row.
fn pack_row<T: Real>(from: &[T], to: &mut [f16]) -> Exponent {
    // Bits of magnitudes are in the order of the magnitudes, and compared faster.
    let largest = from.iter().fold(0, |largest: u32, x| largest.max((x.value() as f32).abs().to_bits()));
    if largest == 0 {
        return SILENT;
    }
    let exponent = (largest >> (f32::MANTISSA_DIGITS - 1)) as i32 - (f32::MAX_EXP - 1);
    let exponent = (exponent - LARGEST).max(LEAST);
    let scale = power_of_two::<T>(-exponent);
    let mut scaled = [0.0; CHUNK];
    for (from, to) in from.chunks(CHUNK).zip(to.chunks_mut(CHUNK)) {
        let scaled = &mut scaled[..from.len()];
        scaled.iter_mut().zip(from).for_each(|(scaled, &x)| *scaled = (x * scale).value() as f32);
        to.convert_from_f32_slice(scaled);
    }
    exponent as Exponent
}

fn unpack_row<T: Real>(from: &[f16], exponent: Exponent, to: &mut [T]) {
    if exponent == SILENT {
        return to.fill(T::ZERO);
    }
    let scale = power_of_two::<T>(i32::from(exponent));
    let mut scaled = [0.0; CHUNK];
    for (from, to) in from.chunks(CHUNK).zip(to.chunks_mut(CHUNK)) {
        let scaled = &mut scaled[..from.len()];
        from.convert_to_f32_slice(scaled);
        to.iter_mut().zip(scaled).for_each(|(x, scaled)| *x = T::from_f64(f64::from(*scaled)) * scale);
    }
}

fn power_of_two<T: Real>(exponent: i32) -> T {
    T::from_f64(2f64.powi(exponent))
}

/// Room for the record of a tile before it is packed or after it was unpacked, for each thread.
#[derive(Debug)]
pub struct Scratch<T> {
    tiles: Vec<Mutex<Field<T>>>,
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Scratch { tiles: Vec::new() }
    }
}

impl<T: Real> Scratch<T> {
    /// Makes room for a tile of some cells for each thread of the current pool, unless it is there.
    pub(crate) fn reserve(&mut self, cells: usize) {
        let threads = rayon::current_num_threads();
        let enough = |tile: &mut Mutex<Field<T>>| tile.get_mut().is_ok_and(|tile| tile.len() >= cells);
        if self.tiles.len() < threads || !self.tiles.iter_mut().all(enough) {
            self.tiles = (0..threads).map(|_| Mutex::new(Field::zeros(cells))).collect();
        }
    }

    /// The room of the calling thread.
    pub(crate) fn tile(&self) -> MutexGuard<'_, Field<T>> {
        let thread = rayon::current_thread_index().unwrap_or(0);
        self.tiles[thread].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of numbers whose magnitudes lie between `2^-span` and 1 times `scale`.
    fn row(scale: f64, span: f64) -> Vec<f64> {
        let value = |i: i32| scale * 2f64.powf(-span * f64::from(i * 37 % 101) / 101.0) * f64::from(1 - i % 2 * 2);
        (1..300).map(value).collect()
    }

    fn there_and_back<T: Real>(row: &[f64]) -> Vec<f64> {
        let from: Vec<T> = row.iter().map(|&x| T::from_f64(x)).collect();
        let (mut packed, mut to) = (vec![f16::ZERO; row.len()], vec![T::ZERO; row.len()]);
        let exponent = pack_row(&from, &mut packed);
        unpack_row(&packed, exponent, &mut to);
        to.iter().map(|x| x.value()).collect()
    }

    #[test]
    fn values_keep_eleven_bits_down_to_far_below_the_largest_of_their_row() {
        for scale in [1.0, 3e-20, 7e15] {
            let row = row(scale, 28.0);
            for found in [there_and_back::<f32>(&row), there_and_back::<f64>(&row)] {
                for (x, found) in row.iter().zip(found) {
                    // f32 itself rounds the number first.
                    assert!((x - found).abs() <= 1.001 * x.abs() / 2048.0, "{x:e} {found:e}");
                }
            }
            let far_below = [scale, 1e-12 * scale];
            assert!((there_and_back::<f64>(&far_below)[1] - far_below[1]).abs() <= scale * 2f64.powi(-39));
        }
    }

    #[test]
    fn zeros_stay_zeros_and_powers_of_two_are_exact() {
        assert_eq!(there_and_back::<f32>(&[0.0; 100]), [0.0; 100]);
        let exact = [1.0, -0.5, 0.0, 2f64.powi(-20), 2f64.powi(-30)];
        assert_eq!(there_and_back::<f32>(&exact), exact);
        let tiny = exact.map(|x| x * 2f64.powi(-80));
        assert_eq!(there_and_back::<f32>(&tiny), tiny);
        assert!(there_and_back::<f32>(&[1e-40, 1e-39]).iter().all(|x| x.abs() < 2f64.powi(-124)));
    }
}
