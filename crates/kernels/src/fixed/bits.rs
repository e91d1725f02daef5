//! The codes of what memory variables forget.

/// Bits of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// −1 to 2.
    Two,
    /// −8 to 7.
    Four,
    /// −128 to 127.
    Eight,
}

impl Bits {
    /// What is enough for a decay, if there is such.
    pub fn enough(least_decay: f64) -> Option<Bits> {
        let most = (0.5 / least_decay + 0.5).floor();
        let fits = |bits: &Bits| most <= f64::from(bits.bias().min((1 << bits.count()) - 1 - bits.bias()));
        [Bits::Two, Bits::Four, Bits::Eight].into_iter().find(fits)
    }
    /// The number.
    pub fn count(self) -> usize {
        match self {
            Bits::Two => 2,
            Bits::Four => 4,
            Bits::Eight => 8,
        }
    }
    /// What is added to a code so that it is not negative.
    pub(super) fn bias(self) -> i32 {
        if self == Bits::Two { 1 } else { 1 << (self.count() - 1) }
    }
    /// Bytes of so many codes.
    pub fn bytes(self, codes: usize) -> usize {
        (codes * self.count()).div_ceil(8)
    }

    /// Packs codes: a byte has one of the first part of them, of the second, and so on.
    pub fn pack(self, codes: &[i8], to: &mut [u8]) {
        let bias = self.bias() as i8;
        to.fill(0);
        for (part, codes) in codes.chunks(to.len()).enumerate() {
            let shift = part * self.count();
            to.iter_mut().zip(codes).for_each(|(to, &code)| *to |= (code.wrapping_add(bias) as u8) << shift);
        }
    }

    /// Unpacks codes.
    pub fn unpack(self, from: &[u8], codes: &mut [i8]) {
        let (bias, mask) = (self.bias() as i8, (0xff_u16 >> (8 - self.count())) as u8);
        for (part, codes) in codes.chunks_mut(from.len()).enumerate() {
            let shift = part * self.count();
            codes
                .iter_mut()
                .zip(from)
                .for_each(|(code, &from)| *code = ((from >> shift & mask) as i8).wrapping_sub(bias));
        }
    }
}
