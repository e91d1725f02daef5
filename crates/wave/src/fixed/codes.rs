//! The codes of a step, what becomes of them, and how they are shared among planes and rows.

use treewave_kernels::fixed::Bits;

use super::{Fixed, Residue};
use crate::record::take;

/// What becomes of the codes of a step.
pub(super) enum Codes<'a> {
    /// The step is not to be undone.
    Dropped,
    /// They are written to a residue, as its step of this number.
    Kept(&'a mut Residue, usize),
    /// The step is undone with them.
    Used(&'a Residue, usize),
}

/// The codes of some rows.
pub(super) enum Part<'a> {
    Dropped,
    Kept(&'a mut [u8]),
    Used(&'a [u8]),
}

impl<'a> Part<'a> {
    /// Takes so many bytes off the front.
    pub fn take(&mut self, bytes: usize) -> Part<'a> {
        match self {
            Part::Dropped => Part::Dropped,
            Part::Kept(codes) => Part::Kept(take(codes, bytes)),
            Part::Used(codes) => Part::Used(codes.split_off(..bytes).expect("so many are left")),
        }
    }
    /// Those of a row.
    pub fn row(&mut self, row: usize, bytes: usize) -> Part<'_> {
        let range = row * bytes..(row + 1) * bytes;
        match self {
            Part::Dropped => Part::Dropped,
            Part::Kept(codes) => Part::Kept(&mut codes[range]),
            Part::Used(codes) => Part::Used(&codes[range]),
        }
    }
    /// Keeps the codes of a row, if they are kept.
    pub fn keep(&mut self, bits: Bits, codes: &[i8]) {
        if let Part::Kept(to) = self {
            bits.pack(codes, to);
        }
    }
    /// The codes of a row that is undone.
    pub fn recall(&self, bits: Bits, codes: &mut [i8]) {
        if let Part::Used(from) = self {
            bits.unpack(from, codes);
        }
    }
}

impl Fixed<'_> {
    /// The codes of a step: per axis those of ψ and of ζ.
    pub(super) fn codes<'a>(&self, codes: Codes<'a>) -> [[Part<'a>; 2]; 3] {
        let step = |axis: usize, number: usize| {
            let bytes = self.sizes.planes(axis) * self.sizes.codes_per_plane(axis);
            number * bytes..(number + 1) * bytes
        };
        let mut axes = 0..3;
        let mut next = || axes.next().expect("three axes");
        match codes {
            Codes::Dropped => [0, 1, 2].map(|_| [Part::Dropped, Part::Dropped]),
            Codes::Kept(residue, number) => residue.codes.each_mut().map(|both| {
                let step = step(next(), number);
                both.each_mut().map(|codes| Part::Kept(&mut codes[step.clone()]))
            }),
            Codes::Used(residue, number) => residue.codes.each_ref().map(|both| {
                let step = step(next(), number);
                both.each_ref().map(|codes| Part::Used(&codes[step.clone()]))
            }),
        }
    }
}
