//! A stratigraphic column: beds of varying thickness and velocity, grouped in formations.

use super::noise::uniform;

/// How a column is drawn.
pub(super) struct ColumnStyle {
    pub seed: u64,
    /// Stratigraphic depth of the first and the last bed in m.
    pub range_m: [f64; 2],
    /// Thinnest and thickest formation in m.
    pub formation_m: [f64; 2],
    /// Thinnest and thickest bed in m.
    pub bed_m: [f64; 2],
    /// Velocity in m/s at stratigraphic depth 0 and its growth in 1/s.
    pub trend: [f64; 2],
    /// Largest departure of a formation from the trend, and of a bed from its formation, in m/s.
    pub contrast_m_per_s: [f64; 2],
}

/// Beds by the stratigraphic depth of their tops in m, ascending, with velocities in m/s.
pub(super) struct Column {
    beds: Vec<(f64, f64)>,
}

impl Column {
    /// Draws a column: formations lean to one side of the trend, their beds alternate between hard and soft.
    pub(super) fn new(style: &ColumnStyle) -> Self {
        let ColumnStyle { seed, range_m, formation_m, bed_m, trend, contrast_m_per_s } = *style;
        let between = |[lo, hi]: [f64; 2], t: f64| lo + (hi - lo) * t;
        let mut beds = Vec::new();
        let (mut top, mut formation) = (range_m[0], 0);
        while top < range_m[1] {
            let draw = |k: u64| uniform(seed, 1000 * formation + k);
            let bottom = top + between(formation_m, draw(0));
            let side = if formation % 2 == 0 { 1.0 } else { -1.0 };
            let lean = side * contrast_m_per_s[0] * (0.15 + 0.85 * draw(1));
            // Some formations are massive, others finely bedded.
            let bedding = 0.25 + 0.75 * draw(2);
            let mut bed = 0;
            while top < bottom {
                let hard = if bed % 2 == 0 { 1.0 } else { -1.0 };
                let step = hard * bedding * contrast_m_per_s[1] * (0.2 + 0.8 * draw(10 + 2 * bed));
                beds.push((top, trend[0] + trend[1] * top + lean + step));
                top += between(bed_m, draw(11 + 2 * bed).powi(2));
                bed += 1;
            }
            formation += 1;
        }
        Column { beds }
    }

    /// Velocity in m/s at a stratigraphic depth; the first and last bed go on without end.
    pub(super) fn vp_m_per_s(&self, depth_m: f64) -> f64 {
        let after = self.beds.partition_point(|&(top, _)| top <= depth_m);
        self.beds[after.saturating_sub(1)].1
    }
}
