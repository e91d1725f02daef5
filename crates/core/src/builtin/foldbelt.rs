//! A marine fold-and-thrust belt with a salt diapir.
//!
//! The velocity of a point is found by going back in time: undo what the salt lifted, then what the normal faults
//! dropped; above the unconformity the point is young sediment, below it undo the thrusts and the folds; what is left
//! is the depth in a column of flat beds. So every structure displaces the older ones, and nothing else.
//!
//! Coordinates here are metres in a reference box of 6 × 6 × 2.4 km.

use super::WATER_VP_M_PER_S;
use super::beds::{Column, ColumnStyle};
use super::faults::{NormalFault, Thrust};
use super::noise::{fractal, smooth, smoothstep};
use super::salt;
use std::f64::consts::TAU;

const EXTENT_M: [f64; 3] = [6000.0, 6000.0, 2400.0];

/// Slowest and fastest bed in m/s.
const BEDS_M_PER_S: [f64; 2] = [1700.0, 4400.0];

/// A channel cut into the young beds or through the unconformity.
struct Channel {
    /// What its top follows.
    level: Level,
    centre_m: f64,
    /// Swing of the meanders in m and their wave length along `y` in m.
    meander_m: [f64; 2],
    half_width_m: f64,
    depth_m: f64,
    fill_m_per_s: f64,
}

/// The horizon that the top of a channel follows.
enum Level {
    /// Metres below the sea floor.
    BelowFloor(f64),
    /// Metres below the horizon that parts the young beds.
    BelowMarker(f64),
    Unconformity,
}

/// The model, with its stratigraphic columns drawn.
pub(super) struct Foldbelt {
    old: Column,
    onlap: Column,
    drape: Column,
    pub(super) normal_faults: Vec<NormalFault>,
    /// Youngest first.
    pub(super) thrusts: Vec<Thrust>,
    channels: Vec<Channel>,
}

impl Foldbelt {
    pub(super) fn new() -> Self {
        Foldbelt {
            old: Column::new(&ColumnStyle {
                seed: 11,
                range_m: [-900.0, 3400.0],
                formation_m: [110.0, 330.0],
                bed_m: [18.0, 85.0],
                trend: [2000.0, 0.62],
                contrast_m_per_s: [330.0, 270.0],
            }),
            onlap: Column::new(&ColumnStyle {
                seed: 23,
                range_m: [0.0, 1400.0],
                formation_m: [80.0, 160.0],
                bed_m: [16.0, 48.0],
                trend: [1640.0, 0.62],
                contrast_m_per_s: [85.0, 120.0],
            }),
            drape: Column::new(&ColumnStyle {
                seed: 37,
                range_m: [0.0, 900.0],
                formation_m: [60.0, 120.0],
                bed_m: [16.0, 40.0],
                trend: [1730.0, 0.50],
                contrast_m_per_s: [40.0, 75.0],
            }),
            normal_faults: normal_faults(),
            thrusts: thrusts(),
            channels: channels(),
        }
    }

    /// Velocity in m/s at a relative position.
    pub(super) fn vp_m_per_s(&self, relative: [f64; 3]) -> f64 {
        let [x, y, z] = std::array::from_fn(|a| relative[a] * EXTENT_M[a]);
        let below_floor = z - sea_floor_m(x, y);
        if below_floor < 0.0 {
            return WATER_VP_M_PER_S;
        }
        if salt::contains(x, y, z) {
            return salt::SALT_VP_M_PER_S;
        }
        let facies = 1.0 + 0.018 * fractal(5, [x / 900.0, y / 900.0, z / 450.0]);
        let z = z + salt::uplift_m(x, y, z, below_floor);
        let (x, z) = self.normal_faults.iter().fold((x, z), |(x, z), fault| fault.restore(x, y, z));
        if let Some(fill) = self.channels.iter().find_map(|channel| channel.fill(x, y, z)) {
            return fill * facies;
        }
        let bed = if z < unconformity_m(x, y) {
            self.young(x, y, z) + 0.25 * below_floor
        } else {
            self.deformed(x, y, z) + 0.22 * below_floor
        };
        (bed * facies).clamp(BEDS_M_PER_S[0], BEDS_M_PER_S[1])
    }

    /// Young beds: the lower ones lap onto the unconformity, the upper ones drape the sea floor.
    fn young(&self, x: f64, y: f64, z: f64) -> f64 {
        if z < marker_m(x, y) {
            self.drape.vp_m_per_s(z - sea_floor_m(x, y))
        } else {
            self.onlap.vp_m_per_s(z - 0.012 * (x - 3000.0) - 6.0 * smooth(41, [x / 800.0, y / 800.0, 0.0]))
        }
    }

    /// Old beds: thrust, then folded.
    fn deformed(&self, x: f64, y: f64, z: f64) -> f64 {
        let (x, z) = self.thrusts.iter().fold((x, z), |(x, z), thrust| thrust.restore(x, y, z));
        self.old.vp_m_per_s(z - fold_m(x, y, z))
    }
}

impl Channel {
    fn fill(&self, x: f64, y: f64, z: f64) -> Option<f64> {
        let centre = self.centre_m + self.meander_m[0] * (TAU * (y - 3000.0) / self.meander_m[1]).sin();
        let across = (x - centre) / self.half_width_m;
        if across.abs() >= 1.0 {
            return None;
        }
        let top = match self.level {
            Level::BelowFloor(below) => sea_floor_m(x, y) + below,
            Level::BelowMarker(below) => marker_m(x, y) + below,
            Level::Unconformity => unconformity_m(x, y),
        };
        // An asymmetric section, steeper on its outer bank.
        let bottom = top + self.depth_m * (1.0 - across * across) * (1.0 + 0.35 * across);
        // The fill fines upwards: a coarse lag at the bottom is the fastest.
        let height = (bottom - z) / self.depth_m;
        let lag_m_per_s = if height < 0.25 { 110.0 } else { 0.0 };
        (z >= top && z < bottom).then_some(self.fill_m_per_s + lag_m_per_s)
    }
}

/// Depth of the sea floor in m: a shelf on the left, a slope, a basin with gentle relief.
fn sea_floor_m(x: f64, y: f64) -> f64 {
    let shelf = 190.0 + 130.0 * smoothstep(700.0, 3400.0, x + 0.25 * (y - 3000.0));
    let bulge = -55.0 * (-((x - 4080.0) / 650.0).powi(2) - ((y - 3000.0) / 900.0).powi(2)).exp();
    shelf + bulge + 16.0 * smooth(3, [x / 1100.0, y / 1100.0, 0.0]) + 5.0 * smooth(4, [x / 260.0, y / 260.0, 0.0])
}

/// Depth in m of the horizon between the onlapping and the draping young beds.
fn marker_m(x: f64, y: f64) -> f64 {
    sea_floor_m(x, y) + 130.0 + 55.0 * smoothstep(800.0, 2600.0, x)
}

/// Depth of the unconformity in m: an eroded land surface, with hills over the thrust sheets.
fn unconformity_m(x: f64, y: f64) -> f64 {
    let hills = 120.0 * (-((x - 1250.0) / 520.0).powi(2)).exp() + 75.0 * (-((x - 2150.0) / 380.0).powi(2)).exp();
    let plain = 560.0 + 190.0 * smoothstep(300.0, 5200.0, x);
    plain - hills * (0.8 + 0.2 * (TAU * y / 4700.0).cos())
        + 26.0 * smooth(8, [x / 700.0, y / 900.0, 0.0])
        + 10.0 * smooth(9, [x / 210.0, y / 240.0, 0.0])
}

/// Height in m by which folding raised (negative) or lowered the beds; folds die out towards the décollement.
fn fold_m(x: f64, y: f64, z: f64) -> f64 {
    let plunge = 0.10 * (y - 3000.0);
    let wave = |length: f64, phase: f64| (TAU * ((x + plunge) / length + phase)).sin();
    let amplitude = 1.0 - 0.7 * smoothstep(1200.0, 2300.0, z);
    let strike = 1.0 + 0.25 * (TAU * (y - 3000.0) / 5200.0).cos();
    amplitude * strike * (115.0 * wave(2150.0, 0.10) + 46.0 * wave(930.0, 0.35))
        + 0.055 * (3000.0 - x)
        + 22.0 * smooth(17, [x / 620.0, y / 700.0, z / 900.0])
}

fn normal_faults() -> Vec<NormalFault> {
    vec![
        NormalFault {
            top_x_m: 4840.0,
            side: 1.0,
            slope: [0.28, 1.6e-4],
            throw_m: 140.0,
            tip_m: [400.0, 1000.0],
            sinuosity_m: 120.0,
        },
        NormalFault {
            top_x_m: 5490.0,
            side: 1.0,
            slope: [0.30, 1.2e-4],
            throw_m: 105.0,
            tip_m: [450.0, 1000.0],
            sinuosity_m: 90.0,
        },
        NormalFault {
            top_x_m: 3560.0,
            side: -1.0,
            slope: [0.36, 1.0e-4],
            throw_m: 95.0,
            tip_m: [460.0, 1050.0],
            sinuosity_m: 140.0,
        },
    ]
}

fn thrusts() -> Vec<Thrust> {
    vec![
        Thrust { flat_m: 2130.0, ramp_x_m: 1480.0, ramp_slope: 0.62, bend_m: 110.0, slip_m: 520.0, oblique: 0.12 },
        Thrust { flat_m: 2130.0, ramp_x_m: 120.0, ramp_slope: 0.66, bend_m: 110.0, slip_m: 430.0, oblique: 0.10 },
    ]
}

fn channels() -> Vec<Channel> {
    vec![
        Channel {
            level: Level::BelowFloor(70.0),
            centre_m: 2050.0,
            meander_m: [420.0, 3900.0],
            half_width_m: 250.0,
            depth_m: 74.0,
            fill_m_per_s: 1565.0,
        },
        Channel {
            level: Level::BelowMarker(45.0),
            centre_m: 5300.0,
            meander_m: [330.0, 3100.0],
            half_width_m: 270.0,
            depth_m: 96.0,
            fill_m_per_s: 1660.0,
        },
        Channel {
            level: Level::Unconformity,
            centre_m: 2740.0,
            meander_m: [260.0, 4600.0],
            half_width_m: 280.0,
            depth_m: 150.0,
            fill_m_per_s: 1880.0,
        },
    ]
}
