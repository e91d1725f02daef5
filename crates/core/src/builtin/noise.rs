//! Reproducible randomness: a hash of lattice points and smooth noise between them.

/// A number in `[0, 1)` that depends on the seed and the index alone (the finaliser of SplitMix64; Steele, Lea and
/// Flood, 2014).
pub(super) fn uniform(seed: u64, index: u64) -> f64 {
    let mut h = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(index.wrapping_mul(0xd1b5_4a32_d192_ed03));
    h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (h ^ (h >> 31)) as f64 / 2f64.powi(64)
}

/// Smooth noise in `[-1, 1]`: random values on the integer lattice, joined with continuous second derivatives.
pub(super) fn smooth(seed: u64, p: [f64; 3]) -> f64 {
    let cell = p.map(f64::floor);
    let weight: [f64; 3] = std::array::from_fn(|a| {
        let t = p[a] - cell[a];
        t * t * t * (t * (6.0 * t - 15.0) + 10.0)
    });
    let mut sum = 0.0;
    for corner in 0..8usize {
        let (mut w, mut index) = (1.0, 0u64);
        for a in 0..3 {
            let up = corner >> a & 1;
            w *= if up == 1 { weight[a] } else { 1.0 - weight[a] };
            let lattice = cell[a] as i64 + up as i64;
            index = index.wrapping_mul(0x0000_0100_0000_01b3).wrapping_add(lattice as u64);
        }
        sum += w * uniform(seed, index);
    }
    2.0 * sum - 1.0
}

/// Four octaves of [`smooth`], each of half the size and half the strength of the one before; about `[-1, 1]`.
pub(super) fn fractal(seed: u64, p: [f64; 3]) -> f64 {
    let (mut sum, mut scale) = (0.0, 1.0);
    for octave in 0..4 {
        sum += smooth(seed + octave, p.map(|c| c * scale)) / scale;
        scale *= 2.0;
    }
    sum / 1.875
}

/// 0 below `a`, 1 above `b`, a cubic between them.
pub(super) fn smoothstep(a: f64, b: f64, x: f64) -> f64 {
    let t = ((x - a) / (b - a)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
