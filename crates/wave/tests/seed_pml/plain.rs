//! The scheme once more, as plainly as it can be written: all fields everywhere, one loop over cells.

use treewave_core::Real;

use crate::case::Case;

/// `(u_prev, u, phi, psi)` at all points, the ring included.
#[derive(Clone)]
pub struct Plain<T> {
    pub before: Vec<T>,
    pub now: Vec<T>,
    pub phi: Vec<T>,
    pub psi: Vec<T>,
}

impl<T: Real> Plain<T> {
    pub fn at_rest(case: &Case) -> Self {
        let zeros = vec![T::ZERO; case.points()];
        Plain { before: zeros.clone(), now: zeros.clone(), phi: zeros.clone(), psi: zeros }
    }

    /// One step with the source value `w`.
    pub fn step(&mut self, case: &Case, c2: &[T], w: T) {
        let o = &case.options;
        let ([nx, nz], [dx, dz], dt) = (o.points, o.spacing_m, o.dt_s);
        let (sigma, tau) = (o.damping(0), o.damping(1));
        let r = T::from_f64;
        let cells = || (1..nx - 1).flat_map(|i| (1..nz - 1).map(move |k| (i, k, i * nz + k)));
        let mut new = self.now.clone();
        for (i, k, p) in cells() {
            let (s, t, c, u) = (sigma[i], tau[k], c2[p], &self.now);
            let centre = r(2.0 - s * t * dt * dt) - c * r(2.0 * dt * dt / (dx * dx) + 2.0 * dt * dt / (dz * dz));
            let sum = centre * u[p]
                + c * r((dt / dx).powi(2)) * (u[p + nz] + u[p - nz])
                + c * r((dt / dz).powi(2)) * (u[p + 1] + u[p - 1])
                + r(dt * dt / (2.0 * dx)) * (self.phi[p + nz] - self.phi[p - nz])
                + r(dt * dt / (2.0 * dz)) * (self.psi[p + 1] - self.psi[p - 1])
                - r(1.0 - (s + t) * dt / 2.0) * self.before[p];
            new[p] = sum / r(1.0 + (s + t) * dt / 2.0);
        }
        for (i, k, p) in cells() {
            let (s, t, c) = (sigma[i], tau[k], c2[p]);
            let (along_x, along_z) = (new[p + nz] - new[p - nz], new[p + 1] - new[p - 1]);
            self.phi[p] = r(1.0 - dt * s) * self.phi[p] + c * r(dt * (t - s) / (2.0 * dx)) * along_x;
            self.psi[p] = r(1.0 - dt * t) * self.psi[p] + c * r(dt * (s - t) / (2.0 * dz)) * along_z;
        }
        new[case.source[0] * nz + case.source[1]] += w * r(dt * dt);
        self.before = std::mem::replace(&mut self.now, new);
    }
}
