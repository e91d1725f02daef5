//! One step of the field, and one step back of the adjoint field.

use treewave_core::Real;
use treewave_kernels::layer::radius_beside;

use super::Acoustic;
use crate::state::State;

impl<T: Real + Send + Sync> Acoustic<T> {
    /// One step of the field without its source: `now` becomes `p[n+1]`, `before` becomes `p[n]`.
    ///
    /// With `record`, what `m` is multiplied with is written to it: `L p[n]` and what the layer adds, per padded cell.
    pub fn step(&self, state: &mut State<T>, record: Option<&mut [T]>) {
        let State { now, before, psi: [psi_x, psi_y, psi_z], zeta: [zeta_x, zeta_y, zeta_z] } = state;
        let (field, layout, kernels, stencil) = (&now[..], &self.layout, &self.kernels, &self.stencil);
        let slope = radius_beside(layout.radius);
        let profile = |axis: usize, s: usize| [self.profiles[axis].a[s], self.profiles[axis].b[s]];
        self.sweep_layer(psi_x, |s, place, psi| {
            (kernels.psi)(stencil, 0, profile(0, s), self.lines(field, place, layout.n[1]), psi);
        });
        let psi_x = &psi_x[..];
        let parts = [
            self.field_part(before),
            self.cells_part(record.unwrap_or_default()),
            self.memory_part(0, zeta_x),
            self.memory_part(1, psi_y),
            self.memory_part(1, zeta_y),
            self.memory_part(2, psi_z),
            self.memory_part(2, zeta_z),
        ];
        self.sweep(parts, &|block, [next, record, zeta_x, psi_y, zeta_y, psi_z, zeta_z]| {
            let place = block.place();
            let p = self.lines(field, place, block.count());
            let (m, next_rows, record_rows) = (&self.m[p.start..], self.rows_from(next, place), record.from(place));
            if record_rows.is_empty() {
                (kernels.step)(stencil, p, m, next_rows);
            } else {
                (kernels.record)(stencil, p, m, next_rows, record_rows);
            }
            for (place, s) in block.rows_in_layer(layout) {
                (kernels.psi)(stencil, 1, profile(1, s), self.lines(field, place, 1), psi_y.from(place));
            }
            for place @ (ix, iy) in block.planes_near_layer(layout) {
                let p = self.lines(field, place, block.rows_per_plane());
                let (m, next, record) = (&self.m[p.start..], self.rows_from(next, place), record.from(place));
                let ab = layout.in_layer(0, ix).map_or([T::ZERO; 2], |s| profile(0, s));
                let psi = self.across(0, ix, slope, |s| self.rows_of_layer(psi_x, s, iy));
                (kernels.layer)(stencil, 0, ab, p, &psi, zeta_x.from(place), m, next, record);
            }
            for place @ (ix, iy) in block.rows_near_layer(layout) {
                let p = self.lines(field, place, 1);
                let (m, next, record) = (&self.m[p.start..], self.rows_from(next, place), record.from(place));
                let ab = layout.in_layer(1, iy).map_or([T::ZERO; 2], |s| profile(1, s));
                let psi = self.across(1, iy, slope, |s| psi_y.get(ix, layout.of_layer(1, s)));
                (kernels.layer)(stencil, 1, ab, p, &psi, zeta_y.from(place), m, next, record);
            }
            let (psi, zeta) = (psi_z.from(place), zeta_z.from(place));
            let (next_rows, record_rows) = (self.rows_from(next, place), record.from(place));
            (kernels.psi_ends)(stencil, &self.ends, p, psi);
            (kernels.layer_ends)(stencil, &self.ends, p, psi, zeta, m, next_rows, record_rows);
            self.mirror(block, next);
        });
        std::mem::swap(now, before);
    }

    /// One step back of the adjoint field `v = m λ` without its source: `now` becomes `v[n]`, `before` becomes `v[n+1]`.
    ///
    /// With `image`, a pair of arrays of the padded cells, `image.0 += v[n+1] record` and `image.1 += record²`.
    pub fn step_back(&self, state: &mut State<T>, record: &[T], image: (&mut [T], &mut [T])) {
        let State { now, before, psi: [p_x, p_y, p_z], zeta: [z_x, z_y, z_z] } = state;
        let (field, layout, kernels, stencil) = (&now[..], &self.layout, &self.kernels, &self.stencil);
        let (radius, slope) = (layout.radius, radius_beside(layout.radius));
        self.sweep_layer(z_x, |s, place, z| {
            (kernels.decay)(self.profiles[0].b[s], self.lines(field, place, layout.n[1]), z);
        });
        let z_x = &z_x[..];
        self.sweep_layer(p_x, |s, place @ (ix, iy), p| {
            let z = self.across(0, ix, slope, |s| self.rows_of_layer(z_x, s, iy));
            let (v, a, b) = (self.lines(field, place, layout.n[1]), self.a_across(0, ix, slope), self.profiles[0].b[s]);
            (kernels.adjoint_psi)(stencil, 0, b, v, &z, &a, p);
        });
        let p_x = &p_x[..];
        let parts = [
            self.field_part(before),
            self.memory_part(1, z_y),
            self.memory_part(1, p_y),
            self.memory_part(2, z_z),
            self.memory_part(2, p_z),
            self.cells_part(image.0),
            self.cells_part(image.1),
        ];
        self.sweep(parts, &|block, [next, z_y, p_y, z_z, p_z, gradient, illumination]| {
            let place @ (ix, iy) = block.place();
            let v = self.lines(field, place, block.count());
            let m = &self.m[v.start..];
            let record = &record[layout.cell([ix, iy, 0])..];
            let (gradient, illumination) = (gradient.from(place), illumination.from(place));
            (kernels.image)(stencil, v, m, self.rows_from(next, place), record, gradient, illumination);
            for (place, s) in block.rows_in_layer(layout) {
                (kernels.decay)(self.profiles[1].b[s], self.lines(field, place, 1), z_y.from(place));
            }
            for (place @ (ix, iy), s) in block.rows_in_layer(layout) {
                let z = self.across(1, iy, slope, |s| z_y.get(ix, layout.of_layer(1, s)));
                let (v, a, b) = (self.lines(field, place, 1), self.a_across(1, iy, slope), self.profiles[1].b[s]);
                (kernels.adjoint_psi)(stencil, 1, b, v, &z, &a, p_y.from(place));
            }
            for place @ (ix, iy) in block.planes_near_layer(layout) {
                let v = self.lines(field, place, block.rows_per_plane());
                let (m, next) = (&self.m[v.start..], self.rows_from(next, place));
                let of = |memory, radius| self.across(0, ix, radius, |s| self.rows_of_layer(memory, s, iy));
                let (z, p, a) = (of(z_x, radius), of(p_x, slope), self.a_across(0, ix, radius));
                (kernels.adjoint_layer)(stencil, 0, v, &z, &p, &a, m, next);
            }
            for place @ (ix, iy) in block.rows_near_layer(layout) {
                let v = self.lines(field, place, 1);
                let (m, next) = (&self.m[v.start..], self.rows_from(next, place));
                let z = self.across(1, iy, radius, |s| z_y.get(ix, layout.of_layer(1, s)));
                let p = self.across(1, iy, slope, |s| p_y.get(ix, layout.of_layer(1, s)));
                let a = self.a_across(1, iy, radius);
                (kernels.adjoint_layer)(stencil, 1, v, &z, &p, &a, m, next);
            }
            let (z, p) = (z_z.from(place), p_z.from(place));
            (kernels.decay_ends)(&self.ends, v, z);
            (kernels.adjoint_psi_ends)(stencil, &self.ends, v, z, p);
            (kernels.adjoint_layer_ends)(stencil, &self.ends, v, z, p, m, self.rows_from(next, place));
            self.mirror(block, next);
        });
        std::mem::swap(now, before);
    }
}
