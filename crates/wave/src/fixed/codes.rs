//! The codes of a step, what becomes of them, and how they are shared among planes and rows.

use treewave_kernels::fixed::Bits;

use super::{Fixed, Residue};

/// What becomes of the codes of a step.
pub(super) enum Codes<'a> {
    /// The step is not to be undone.
    Dropped,
    /// They are written to a residue, as its step of this number.
    Kept(&'a mut Residue, usize),
    /// The step is undone with them.
    Used(&'a Residue, usize),
}

/// The codes of a plane, or of a row.
pub(super) enum Part<'a> {
    Dropped,
    Kept(&'a mut [u8]),
    Used(&'a [u8]),
}

impl Part<'_> {
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

/// The codes of a step, plane by plane: per axis those of ψ and of ζ.
pub(super) type Cut<'a> = [[Vec<Part<'a>>; 2]; 3];

impl Fixed<'_> {
    /// Cuts the codes of a step into planes.
    pub(super) fn cut<'a>(&self, codes: Codes<'a>) -> Cut<'a> {
        let step = |axis: usize, number: usize| {
            let bytes = self.sizes.planes(axis) * self.sizes.codes_per_plane(axis);
            number * bytes..(number + 1) * bytes
        };
        let plane = |axis: usize| self.sizes.codes_per_plane(axis).max(1);
        match codes {
            Codes::Dropped => {
                let dropped = |axis| (0..self.sizes.planes(axis)).map(|_| Part::Dropped).collect();
                [0, 1, 2].map(|axis| [dropped(axis), dropped(axis)])
            }
            Codes::Kept(residue, number) => {
                let mut axes = 0..3;
                residue.codes.each_mut().map(|both| {
                    let axis = axes.next().expect("three axes");
                    both.each_mut()
                        .map(|codes| codes[step(axis, number)].chunks_mut(plane(axis)).map(Part::Kept).collect())
                })
            }
            Codes::Used(residue, number) => [0, 1, 2].map(|axis| {
                residue.codes[axis]
                    .each_ref()
                    .map(|codes| codes[step(axis, number)].chunks(plane(axis)).map(Part::Used).collect())
            }),
        }
    }
}
