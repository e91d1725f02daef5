//! Faults that move what they cut, undone: where was this point before the fault slipped?
//!
//! Both kinds use fault-parallel flow: the hanging wall shears along the fault surface, each particle keeping its
//! distance from the surface along one axis. The map has unit Jacobian, so beds keep their area, and a bent fault
//! bends the beds that slide over it (Suppe, 1983, for ramps; Egan et al., 1997, for the flow).

/// A normal fault that flattens with depth (listric); slip dies out upwards.
pub(super) struct NormalFault {
    /// Position in m of the fault at `z = 0`, along `x`.
    pub top_x_m: f64,
    /// +1 where the hanging wall lies towards growing `x`, -1 towards falling `x`.
    pub side: f64,
    /// Slope dx/dz at `z = 0`, and its growth per m.
    pub slope: [f64; 2],
    /// Vertical throw in m at depth.
    pub throw_m: f64,
    /// Depths in m where the slip starts and where it is complete.
    pub tip_m: [f64; 2],
    /// Bend of the trace in map view, in m.
    pub sinuosity_m: f64,
}

impl NormalFault {
    /// Position in m of the fault along `x`.
    pub(super) fn x_m(&self, y: f64, z: f64) -> f64 {
        let trace = self.sinuosity_m * ((y - 3000.0) / 1300.0 + 0.001 * self.top_x_m).sin();
        self.top_x_m + trace + self.side * z * (self.slope[0] + 0.5 * self.slope[1] * z)
    }

    /// Where the particle now at `(x, y, z)` was, as `(x, z)`.
    pub(super) fn restore(&self, x: f64, y: f64, z: f64) -> (f64, f64) {
        let fault = self.x_m(y, z);
        if self.side * (x - fault) <= 0.0 {
            return (x, z);
        }
        let along_strike = 1.0 - 0.7 * ((y - 3000.0) / 4200.0).powi(2);
        let throw = self.throw_m * along_strike * super::noise::smoothstep(self.tip_m[0], self.tip_m[1], z);
        let from = z - throw;
        (x - fault + self.x_m(y, from), from)
    }
}

/// A thrust that runs along a weak bed and then climbs up a ramp towards growing `x`.
pub(super) struct Thrust {
    /// Depth in m of the flat part.
    pub flat_m: f64,
    /// Position in m of the foot of the ramp.
    pub ramp_x_m: f64,
    /// Rise per run of the ramp.
    pub ramp_slope: f64,
    /// Width in m of the bend between flat and ramp.
    pub bend_m: f64,
    /// Horizontal slip in m in the middle of the model.
    pub slip_m: f64,
    /// Turn of the strike: shift in m of the foot per m along `y`.
    pub oblique: f64,
}

impl Thrust {
    /// Depth of the fault in m.
    pub(super) fn z_m(&self, x: f64, y: f64) -> f64 {
        let t = (x - self.ramp_x_m - self.oblique * (y - 3000.0)) / self.bend_m;
        // ln(1 + exp t), written so that it cannot overflow
        let climbed = self.bend_m * (t.max(0.0) + (-t.abs()).exp().ln_1p());
        self.flat_m - self.ramp_slope * climbed
    }

    /// Where the particle now at `(x, y, z)` was, as `(x, z)`.
    pub(super) fn restore(&self, x: f64, y: f64, z: f64) -> (f64, f64) {
        let fault = self.z_m(x, y);
        if z >= fault {
            return (x, z);
        }
        let from = x - self.slip_m * (1.0 - 0.5 * ((y - 3000.0) / 4200.0).powi(2));
        (from, z - fault + self.z_m(from, y))
    }
}
