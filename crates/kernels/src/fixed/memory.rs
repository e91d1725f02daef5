//! Rows of the memory variables of the layer.

use super::{Around, BLOCK, Bits, Decay, PsiRow, Value, ZetaRow, blocks, each, neighbours};

/// Memory variables are in units so many times finer: a whole number that decays by less than one half in a step does not
/// decay any more, and would be a source for ever.
const FINE: f64 = 4096.0;

/// Memory variables stay below: there floats are closer together than one half.
const LARGEST: f64 = (1_u64 << 51) as f64;

/// A whole number of magnitude below 2⁵¹ plus this has it in its low bits.
const SHIFT: f64 = (3_u64 << 51) as f64;

/// Coefficients of a row: of all points, or of each.
#[inline(always)]
fn coefficient<const EACH: bool>(all: &[f64], block: usize) -> [f64; BLOCK] {
    if EACH { all.as_chunks().0[block] } else { [all[0]; BLOCK] }
}

/// How a block decays.
struct Block {
    b: [f64; BLOCK],
    inverse: [f64; BLOCK],
}

impl Block {
    /// Its memory variables one step on, and what is forgotten; `stray` becomes positive where that has no code, or where a
    /// memory variable is no whole number any more.
    #[inline(always)]
    fn on(
        &self,
        memory: &mut [f64; BLOCK],
        driven: [f64; BLOCK],
        codes: &mut [i8; BLOCK],
        bits: Bits,
        stray: &mut [f64; BLOCK],
    ) {
        let (least, end) = (-f64::from(bits.bias()), f64::from((1 << bits.count()) - bits.bias()));
        let new = each(|i| (self.b[i] * memory[i] + driven[i]).round_ties_even());
        let forgotten = each(|i| memory[i] - self.guessed(i, new[i], driven[i]));
        // Not a number is none of these.
        let is_kept = |i: usize| (forgotten[i] >= least) & (forgotten[i] < end) & (new[i].abs() < LARGEST);
        *stray = each(|i| if is_kept(i) { stray[i] } else { 1.0 });
        for (code, forgotten) in codes.iter_mut().zip(forgotten) {
            *code = (forgotten + SHIFT).to_bits() as i8;
        }
        *memory = new;
    }

    /// Its memory variables one step back.
    #[inline(always)]
    fn back(&self, memory: &mut [f64; BLOCK], driven: [f64; BLOCK], codes: &[i8; BLOCK]) {
        *memory = each(|i| self.guessed(i, memory[i], driven[i]) + f64::from(codes[i]));
    }

    /// What a memory variable was before, about.
    #[inline(always)]
    fn guessed(&self, i: usize, new: f64, driven: f64) -> f64 {
        ((new - driven) * self.inverse[i]).round_ties_even()
    }
}

#[inline(always)]
fn decay_of<const EACH: bool>(decay: &Decay, block: usize) -> ([f64; BLOCK], Block) {
    let [a, b, inverse] = [decay.a, decay.b, decay.inverse].map(|all| coefficient::<EACH>(all, block));
    (a, Block { b, inverse })
}

/// Whether something strayed.
fn any(stray: [f64; BLOCK]) -> bool {
    stray.into_iter().any(|stray| stray > 0.0)
}

#[inline(always)]
pub(super) fn psi_row<E: Value, const D: usize, const BACK: bool, const EACH: bool>(
    row: PsiRow,
    field: Around<E>,
    bits: Bits,
) -> bool {
    let PsiRow { first, decay, psi, codes } = row;
    let n = psi.len();
    assert!(n.is_multiple_of(BLOCK) && codes.len() == n, "rows are whole blocks");
    let [before, behind] = blocks(neighbours::<_, D>(field, n));
    let mut stray = [0.0; BLOCK];
    for (at, (psi, codes)) in psi.as_chunks_mut().0.iter_mut().zip(codes.as_chunks_mut().0).enumerate() {
        let (a, decay) = decay_of::<EACH>(&decay, at);
        let mut slope = [0.0; BLOCK];
        for k in 0..D {
            let (before, behind) = (&before[k][at], &behind[k][at]);
            slope = each(|i| slope[i] + first[k] * E::first_difference(before[i], behind[i]).wide());
        }
        let driven = each(|i| a[i] * slope[i] * FINE);
        if BACK {
            decay.back(psi, driven, codes);
        } else {
            decay.on(psi, driven, codes, bits, &mut stray);
        }
    }
    any(stray)
}

#[inline(always)]
pub(super) fn zeta_row<E: Value, const R: usize, const D: usize, const BACK: bool, const EACH: bool>(
    row: ZetaRow,
    around: Around<E>,
    bits: Bits,
) -> bool {
    let ZetaRow { second, first, decay, psi, zeta, codes, unit, extra } = row;
    let n = zeta.len();
    assert!(n.is_multiple_of(BLOCK) && codes.len() == n, "rows are whole blocks");
    let (field, _) = around.field[around.at..][..n].as_chunks::<BLOCK>();
    let [before, behind] = blocks(neighbours::<_, R>(around, n));
    let psi = blocks::<_, D>(psi.map(|rows| std::array::from_fn(|k| &rows[k][..n])));
    let mut stray = [0.0; BLOCK];
    let rows =
        zeta.as_chunks_mut().0.iter_mut().zip(codes.as_chunks_mut().0).zip(extra[..n].as_chunks_mut::<BLOCK>().0);
    for (at, ((zeta, codes), extra)) in rows.enumerate() {
        let (a, decay) = decay_of::<EACH>(&decay, at);
        let mut slope = [0.0; BLOCK];
        for k in 0..D {
            let [before, behind] = [&psi[0][k][at], &psi[1][k][at]];
            slope = each(|i| slope[i] + first[k] * (behind[i] - before[i]));
        }
        slope = each(|i| slope[i] * (1.0 / FINE));
        let mut q = slope;
        for k in 0..R {
            let (before, own, behind) = (&before[k][at], &field[at], &behind[k][at]);
            q = each(|i| q[i] + second[k] * E::second_difference(before[i], own[i], behind[i]).wide());
        }
        let driven = each(|i| a[i] * q[i] * FINE);
        let mut after = *zeta;
        if BACK {
            decay.back(zeta, driven, codes);
        } else {
            decay.on(zeta, driven, codes, bits, &mut stray);
            after = *zeta;
        }
        for i in 0..BLOCK {
            extra[i] += ((slope[i] + after[i] * (1.0 / FINE)) * unit) as f32;
        }
    }
    any(stray)
}
