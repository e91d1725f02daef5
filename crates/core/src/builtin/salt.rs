//! A salt diapir: a stem from the deep, a cap with overhangs, rough flanks, and the beds it dragged up.

use super::noise::{fractal, smoothstep};

/// P-wave velocity of rock salt in m/s.
pub(super) const SALT_VP_M_PER_S: f64 = 4500.0;

const CENTRE_M: [f64; 3] = [4080.0, 3000.0, 1090.0];
const CAP_HALF_WIDTH_M: f64 = 690.0;
const CAP_HALF_HEIGHT_M: f64 = 285.0;
const STEM_HALF_WIDTH_M: f64 = 250.0;
const STEM_DEPTH_M: f64 = 1620.0;
const ROUGHNESS_M: f64 = 95.0;
const DRAG_M: f64 = 170.0;
const DRAG_REACH_M: f64 = 210.0;

/// About the distance in m from the smooth outline of the salt, negative inside.
fn outline(x: f64, y: f64, z: f64) -> f64 {
    let leaning = CENTRE_M[0] - 0.20 * (z - CENTRE_M[2]);
    let r = (x - leaning).hypot(0.75 * (y - CENTRE_M[1]));
    // The cap is lopsided: it spread further on its downslope side.
    let half_width = CAP_HALF_WIDTH_M * (0.88 + 0.14 * (x - leaning) / (r + 100.0));
    let cap = CAP_HALF_HEIGHT_M * ((r / half_width).hypot((z - CENTRE_M[2]) / CAP_HALF_HEIGHT_M) - 1.0);
    let widening = ((z - STEM_DEPTH_M) / 780.0).powi(2) * 420.0;
    let stem = (r - STEM_HALF_WIDTH_M - widening).max(CENTRE_M[2] - z);
    // A smooth minimum joins the two bodies without a crease.
    let t = (0.5 + 0.5 * (cap - stem) / 160.0).clamp(0.0, 1.0);
    cap + (stem - cap) * t - 160.0 * t * (1.0 - t)
}

/// Whether a point is in the salt.
pub(super) fn contains(x: f64, y: f64, z: f64) -> bool {
    let rough = ROUGHNESS_M * fractal(71, [x / 380.0, y / 380.0, z / 290.0]);
    outline(x, y, z) + rough < 0.0
}

/// How far in m the rising salt lifted the beds at a point, never more than their depth below the sea floor allows.
pub(super) fn uplift_m(x: f64, y: f64, z: f64, below_floor: f64) -> f64 {
    let distance = outline(x, y, z).max(0.0);
    DRAG_M * (-distance / DRAG_REACH_M).exp() * smoothstep(0.0, 420.0, below_floor)
}
