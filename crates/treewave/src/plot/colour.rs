//! Colour maps and their limits.
//!
//! The maps are curves in the perceptual space OKLab, so that equal steps of a value look like equal steps, and grey
//! prints keep the order of the values. Reference: Ottosson (2020), *A perceptual color space for image processing*.

use super::PlotError;
use super::canvas::Rgb;

/// A colour map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColourMap {
    /// Dark blue over green to light yellow, for velocities and other quantities with a low and a high end.
    Velocity,
    /// Blue, white, red: for gradients and differences, white at zero.
    Difference,
    /// White to black, for gathers: positive is dark.
    Grey,
}

/// How the ends of a colour map are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limits {
    /// These values.
    Given(f64, f64),
    /// The smallest and the largest value.
    Full,
    /// `±` this percentile of the magnitudes (above 0, at most 100).
    Symmetric(f64),
}

/// From values to colours. Panels with equal scales are drawn with the same limits, found over all of them, so that
/// they can be compared.
#[derive(Clone, Debug, PartialEq)]
pub struct ColourScale {
    /// The colours.
    pub map: ColourMap,
    /// Their ends.
    pub limits: Limits,
    /// What the colour bar says: quantity and unit.
    pub label: String,
}

impl ColourScale {
    /// For P-wave velocities in m/s, from the smallest to the largest.
    pub fn velocity() -> Self {
        let label = "P-wave velocity (m/s)".to_string();
        ColourScale { map: ColourMap::Velocity, limits: Limits::Full, label }
    }
    /// For gradients and differences: white at zero, ends at the 99th percentile of the magnitudes.
    pub fn difference(label: impl Into<String>) -> Self {
        ColourScale { map: ColourMap::Difference, limits: Limits::Symmetric(99.0), label: label.into() }
    }
    /// For gathers: grey, ends at a percentile of the magnitudes (97 is usual).
    pub fn gather(percentile: f64) -> Self {
        let label = "Pressure (Pa)".to_string();
        ColourScale { map: ColourMap::Grey, limits: Limits::Symmetric(percentile), label }
    }

    /// The ends for these values; values that are not finite do not count.
    pub(super) fn ends(&self, values: impl Iterator<Item = f64>) -> Result<[f64; 2], PlotError> {
        let finite = values.filter(|v| v.is_finite());
        let ends = match self.limits {
            Limits::Given(low, high) => {
                if !(low.is_finite() && high.is_finite() && low < high) {
                    return Err(PlotError::Limits { label: self.label.clone(), low, high });
                }
                return Ok([low, high]);
            }
            Limits::Full => finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[lo, hi], v| [lo.min(v), hi.max(v)]),
            Limits::Symmetric(percent) => {
                if !(percent > 0.0 && percent <= 100.0) {
                    return Err(PlotError::Percentile { label: self.label.clone(), found: percent });
                }
                let end = percentile(finite.map(f64::abs).collect(), percent);
                [-end, end]
            }
        };
        Ok(match ends {
            [lo, hi] if lo < hi => ends,
            // A single value, everywhere: any interval around it will do.
            [lo, hi] if lo == hi => [lo - 0.05 * lo.abs().max(f64::MIN_POSITIVE), hi + 0.05 * hi.abs().max(1e-30)],
            _ => [0.0, 1.0],
        })
    }
}

/// Percentile of magnitudes; where it is zero, because most of them are, the largest one.
fn percentile(mut magnitudes: Vec<f64>, percent: f64) -> f64 {
    if magnitudes.is_empty() {
        return 1.0;
    }
    let rank = ((magnitudes.len() - 1) as f64 * percent / 100.0).round() as usize;
    let (_, &mut found, above) = magnitudes.select_nth_unstable_by(rank, f64::total_cmp);
    let end = if found > 0.0 { found } else { above.iter().fold(0.0, |m: f64, &v| m.max(v)) };
    if end > 0.0 { end } else { 1.0 }
}

/// Colours per map: with the shades of the lettering they fit a palette of 256.
const LEVELS: usize = 200;

/// The colours of a map, from the low to the high end.
pub(super) fn table(map: ColourMap) -> Vec<Rgb> {
    (0..LEVELS).map(|i| colour(map, i as f64 / (LEVELS - 1) as f64)).collect()
}

/// Place of a value in a table.
pub(super) fn level([low, high]: [f64; 2], value: f64) -> usize {
    (((value - low) / (high - low)).clamp(0.0, 1.0) * (LEVELS - 1) as f64).round() as usize
}

/// Control points: position, lightness, chroma, hue in degrees.
type Stop = [f64; 4];

const VELOCITY: [Stop; 8] = [
    [0.00, 0.23, 0.090, 295.0],
    [0.07, 0.36, 0.150, 277.0],
    [0.19, 0.47, 0.140, 258.0],
    [0.34, 0.58, 0.105, 229.0],
    [0.50, 0.67, 0.105, 183.0],
    [0.67, 0.77, 0.150, 145.0],
    [0.84, 0.87, 0.165, 108.0],
    [1.00, 0.97, 0.110, 97.0],
];
const COLD: [Stop; 4] =
    [[0.0, 0.98, 0.0, 250.0], [0.35, 0.80, 0.085, 248.0], [0.7, 0.55, 0.150, 256.0], [1.0, 0.33, 0.130, 264.0]];
const WARM: [Stop; 4] =
    [[0.0, 0.98, 0.0, 40.0], [0.35, 0.80, 0.105, 42.0], [0.7, 0.55, 0.190, 29.0], [1.0, 0.33, 0.130, 24.0]];
const GREY: [Stop; 3] = [[0.0, 1.0, 0.0, 0.0], [0.5, 0.82, 0.0, 0.0], [1.0, 0.12, 0.0, 0.0]];

fn colour(map: ColourMap, t: f64) -> Rgb {
    match map {
        ColourMap::Velocity => along(&VELOCITY, t),
        ColourMap::Difference if t < 0.5 => along(&COLD, 1.0 - 2.0 * t),
        ColourMap::Difference => along(&WARM, 2.0 * t - 1.0),
        ColourMap::Grey => along(&GREY, t),
    }
}

/// The colour at `t` on the curve through stops: cubics with a common slope where they meet, since the eye sees a kink
/// in the lightness as a line (Mach bands).
fn along(stops: &[Stop], t: f64) -> Rgb {
    let last = stops.len() - 1;
    let after = stops.partition_point(|s| s[0] <= t).clamp(1, last);
    let (a, b) = (after - 1, after);
    let width = stops[b][0] - stops[a][0];
    let w = ((t - stops[a][0]) / width).clamp(0.0, 1.0);
    let slope = |at: usize, i: usize| {
        let (from, to) = (stops[at.saturating_sub(1)], stops[(at + 1).min(last)]);
        (to[i] - from[i]) / (to[0] - from[0])
    };
    let at = |i: usize| {
        let (rise, bend) = (w * w * (3.0 - 2.0 * w), w * (1.0 - w) * width);
        let straight = stops[a][i] + (stops[b][i] - stops[a][i]) * rise;
        straight + bend * ((1.0 - w) * slope(a, i) - w * slope(b, i))
    };
    let hue = at(3).to_radians();
    from_oklab([at(1), at(2) * hue.cos(), at(2) * hue.sin()])
}

/// OKLab to sRGB, colours out of reach clipped.
fn from_oklab([l, a, b]: [f64; 3]) -> Rgb {
    let cone = [
        (l + 0.3963377774 * a + 0.2158037573 * b).powi(3),
        (l - 0.1055613458 * a - 0.0638541728 * b).powi(3),
        (l - 0.0894841775 * a - 1.2914855480 * b).powi(3),
    ];
    let mix = |m: [f64; 3]| m[0] * cone[0] + m[1] * cone[1] + m[2] * cone[2];
    let linear = [
        mix([4.0767416621, -3.3077115913, 0.2309699292]),
        mix([-1.2684380046, 2.6097574011, -0.3413193965]),
        mix([-0.0041960863, -0.7034186147, 1.7076147010]),
    ];
    linear.map(|v| {
        let encoded = if v <= 0.0031308 { 12.92 * v } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 };
        (encoded.clamp(0.0, 1.0) * 255.0).round() as u8
    })
}
