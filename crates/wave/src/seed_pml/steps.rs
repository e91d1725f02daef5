//! Some steps of the field, and some steps back of its adjoint, in wavefronts.

use treewave_core::Real;
use treewave_kernels::seed_pml::AdjointLayer;

use super::program::SeedPml;
use super::rows::{Part, Point, PointsPart, Rows, within};
use super::state::{SeedRecord, SeedState};
use super::wavefront::{Cells, MAX_STEPS, Phase, Slab, Tile, Wavefront};
use crate::tiles::Parallelism;

/// Bytes that tiles may take of the second-level cache.
const CACHE: usize = 5 << 18;
/// Arrays that they read and write: two fields, the velocity, and record or gradient.
const ARRAYS: usize = 4;

/// What comes into the field and is taken from it on the way.
pub(super) struct Exchange<'a, T> {
    pub(super) source: Point,
    /// What is added there after each step.
    pub(super) injected: &'a [T],
    pub(super) receivers: &'a [Point],
    /// Samples of the receivers, `(receiver, time)`, and number of the first step; or nothing.
    pub(super) samples: Option<(&'a mut [T], usize)>,
    /// Samples of a receiver.
    pub(super) each: usize,
}

/// What goes into the adjoint field and is taken from it on the way.
pub(super) struct BackExchange<'a, T> {
    pub(super) source: Point,
    /// Derivative with respect to what was added at the source in each of the steps, to write.
    pub(super) injected: &'a mut [T],
    pub(super) receivers: &'a [Point],
    /// Derivative with respect to the samples of the receivers, `(receiver, time)`.
    pub(super) residual: &'a [T],
    /// Samples of a receiver, and number of the first step.
    pub(super) each: usize,
    pub(super) first: usize,
}

/// Rows of what steps work on.
struct Forward<'a, T> {
    /// The field, and the field one step before.
    fields: [Part<'a, T>; 2],
    phi: Part<'a, T>,
    psi: Part<'a, T>,
    /// Curvature and slopes of each step, or nothing.
    records: [[Part<'a, T>; 3]; MAX_STEPS],
    samples: PointsPart<'a, T>,
}

impl<T: Send + Sync> Slab for Forward<'_, T> {
    fn split_off(&mut self, row: usize) -> Self {
        Forward {
            fields: self.fields.each_mut().map(|part| part.split_off(row)),
            phi: self.phi.split_off(row),
            psi: self.psi.split_off(row),
            records: self.records.each_mut().map(|parts| parts.each_mut().map(|part| part.split_off(row))),
            samples: self.samples.split_off(row),
        }
    }
}

/// Rows of what steps back work on.
struct Backward<'a, T> {
    /// `Q`, and `q` of the step behind.
    fields: [Part<'a, T>; 2],
    f: Part<'a, T>,
    g: Part<'a, T>,
    gradient: Part<'a, T>,
    /// Derivative with respect to what was added at the source.
    injected: PointsPart<'a, T>,
}

impl<T: Send + Sync> Slab for Backward<'_, T> {
    fn split_off(&mut self, row: usize) -> Self {
        Backward {
            fields: self.fields.each_mut().map(|part| part.split_off(row)),
            f: self.f.split_off(row),
            g: self.g.split_off(row),
            gradient: self.gradient.split_off(row),
            injected: self.injected.split_off(row),
        }
    }
}

/// The field at a level, and the one that the level computes.
fn now_and_next<'s, 'a, T>(
    fields: &'s mut [Part<'a, T>; 2],
    level: usize,
) -> (&'s mut Part<'a, T>, &'s mut Part<'a, T>) {
    let [even, odd] = fields;
    if level.is_multiple_of(2) { (even, odd) } else { (odd, even) }
}

impl<T: Real + Send + Sync> SeedPml<T> {
    fn wavefront(&self, levels: usize) -> Wavefront {
        let threads = match self.options().parallelism {
            Parallelism::Serial => 1,
            Parallelism::Threads => rayon::current_num_threads(),
        };
        Wavefront::new(self.inside(), levels, Wavefront::columns_in(CACHE, ARRAYS * size_of::<T>()), threads)
    }

    /// Some steps, as many as are injected: `now` becomes the field behind them, `before` the one before that, φ and ψ move on.
    ///
    /// `records` has one for each step, or is empty.
    pub(super) fn advance(&self, state: &mut SeedState<T>, records: &mut [SeedRecord<T>], exchange: Exchange<T>) {
        let Exchange { source, injected, receivers, mut samples, each } = exchange;
        let steps = injected.len();
        let waves = self.wavefront(steps + 1);
        let first = samples.as_ref().map_or(0, |(_, first)| *first);
        // The first step writes to `before`, the second to `now`, which others may have, too.
        let old = state.before.renew();
        let old = old.as_ref().map(|old| Rows::new(old, self.starts()[0]));
        if steps > 1 {
            state.now.alone();
        }
        for phase in [Phase::Chunks, Phase::Borders] {
            let samples = samples.as_mut().map(|(samples, _)| &mut samples[..]);
            let slab = self.forward(state, records, PointsPart::new(receivers, samples, each));
            waves.visit(phase, slab, &|slab: &mut Forward<T>, tile: &Tile| {
                if let Some(done) = tile.level.checked_sub(1) {
                    self.move_memory(slab, &tile.far, done);
                    let (now, _) = now_and_next(&mut slab.fields, tile.level);
                    if tile.near.has(source) {
                        now.row(source.row)[source.column] += injected[done];
                    }
                    let now = now.rows();
                    slab.samples.set(&tile.near, first + done, |point| now.row(point.row)[point.column]);
                }
                if tile.level < steps {
                    self.move_field(slab, &tile.own, tile.level, old.filter(|_| tile.level == 0));
                }
            });
        }
        if steps % 2 == 1 {
            std::mem::swap(&mut state.now, &mut state.before);
        }
    }

    /// All rows of what steps work on.
    fn forward<'a>(
        &'a self,
        state: &'a mut SeedState<T>,
        records: &'a mut [SeedRecord<T>],
        samples: PointsPart<'a, T>,
    ) -> Forward<'a, T> {
        let [field, frame] = self.starts();
        let mut records = records.iter_mut();
        Forward {
            fields: [
                if state.now.is_shared() {
                    Part::to_read(&state.now, field)
                } else {
                    Part::new(Some(&mut state.now), field)
                },
                Part::new(Some(&mut state.before), field),
            ],
            phi: Part::new(Some(&mut state.phi), frame),
            psi: Part::new(Some(&mut state.psi), frame),
            records: std::array::from_fn(|_| match records.next() {
                Some(SeedRecord { curvature, slopes: [x, z] }) => {
                    [Part::new(Some(curvature), field), Part::new(Some(x), frame), Part::new(Some(z), frame)]
                }
                None => [field, frame, frame].map(|starts| Part::new(None, starts)),
            }),
            samples,
        }
    }

    /// Cells of the new field, without its source; `old` is the field before, where it does not stand where the new one goes.
    fn move_field(&self, slab: &mut Forward<T>, cells: &Cells, level: usize, old: Option<Rows<T>>) {
        let Forward { fields, phi, psi, records, .. } = slab;
        let (now, next) = now_and_next(fields, level);
        let (now, phi, psi, record) = (now.rows(), phi.rows(), psi.rows(), &mut records[level][0]);
        for i in cells.rows.clone() {
            let (next, m, record) = (next.row(i), self.m_rows().row(i), record.row(i));
            if let Some(old) = old {
                next[cells.columns.clone()].copy_from_slice(&old.row(i)[cells.columns.clone()]);
            }
            for (piece, cells) in self.pieces(&cells.columns) {
                let record = if record.is_empty() { &mut [] } else { &mut record[cells.clone()] };
                let (u, m, next) = (self.cross(now, i, &cells), &m[cells.clone()], &mut next[cells.clone()]);
                if self.frame().within(i, piece).is_none() {
                    (self.kernels().interior)(self.constants(), next, u, m, record);
                    continue;
                }
                let stored = (piece, &cells);
                let (phi, psi) = (self.across(phi, i, stored), self.along(psi, i, stored));
                (self.kernels().layer)(self.constants(), self.damping_of(i, &cells), next, u, m, phi, psi, record);
            }
        }
    }

    /// Cells of the auxiliary fields from the new field of a step, without its source.
    fn move_memory(&self, slab: &mut Forward<T>, cells: &Cells, step: usize) {
        let Forward { fields, phi, psi, records, .. } = slab;
        let (_, new) = now_and_next(fields, step);
        let (new, [_, slope_x, slope_z]) = (new.rows(), &mut records[step]);
        let recorded = !slope_x.is_nothing();
        for i in cells.rows.clone() {
            let m = self.m_rows().row(i);
            let (phi, psi, slope_x, slope_z) = (phi.row(i), psi.row(i), slope_x.row(i), slope_z.row(i));
            for (piece, cells) in self.pieces(&cells.columns) {
                let Some(within) = self.frame().cells_within(i, piece, &cells) else { continue };
                let slopes = if recorded {
                    [&mut slope_x[within.clone()], &mut slope_z[within.clone()]]
                } else {
                    [&mut [][..], &mut []]
                };
                let (u, damping) = (self.cross(new, i, &cells), self.damping_of(i, &cells));
                let (phi, psi) = (&mut phi[within.clone()], &mut psi[within]);
                (self.kernels().memory)(self.constants(), damping, u, &m[cells], phi, psi, slopes);
            }
        }
    }

    /// Some steps of the adjoint back, one per record, the last first: `now` becomes `Q⁻` of the first, `before` its `q`, `F`
    /// and `G` move on.
    ///
    /// `gradient`, stored as a field, receives the derivative with respect to the squared velocity times it.
    pub(super) fn pull_back(
        &self,
        state: &mut SeedState<T>,
        records: &[SeedRecord<T>],
        gradient: &mut [T],
        exchange: BackExchange<T>,
    ) {
        let BackExchange { source, injected, receivers, residual, each, first } = exchange;
        let steps = records.len();
        let waves = self.wavefront(steps);
        let (m, [field, frame]) = (self.m_rows(), self.starts());
        for phase in [Phase::Chunks, Phase::Borders] {
            let slab = Backward {
                fields: [&mut state.now, &mut state.before].map(|array| Part::new(Some(&mut array[..]), field)),
                f: Part::new(Some(&mut state.phi), frame),
                g: Part::new(Some(&mut state.psi), frame),
                gradient: Part::new(Some(gradient), field),
                injected: PointsPart::new(std::slice::from_ref(&source), Some(injected), steps),
            };
            waves.visit(phase, slab, &|slab: &mut Backward<T>, tile: &Tile| {
                let step = steps - 1 - tile.level;
                let (q, _) = now_and_next(&mut slab.fields, tile.level);
                for r in within(receivers, &tile.near.rows).filter(|&r| tile.near.has(receivers[r])) {
                    let Point { row, column } = receivers[r];
                    q.row(row)[column] += m.row(row)[column] * residual[r * each + first + step];
                }
                let field = q.rows();
                slab.injected
                    .set(&tile.near, step, |Point { row, column }| field.row(row)[column] / m.row(row)[column]);
                self.adjoint_memory(slab, &tile.near, tile.level);
                self.move_adjoint(slab, &tile.own, tile.level, &records[step]);
            });
        }
        if steps % 2 == 1 {
            std::mem::swap(&mut state.now, &mut state.before);
        }
    }

    /// Cells of `q` from `Q`, in the layer.
    fn adjoint_memory(&self, slab: &mut Backward<T>, cells: &Cells, level: usize) {
        let Backward { fields, f, g, .. } = slab;
        let ((q, _), f, g) = (now_and_next(fields, level), f.rows(), g.rows());
        for i in cells.rows.clone() {
            let (q, m) = (q.row(i), self.m_rows().row(i));
            for (piece, cells) in self.pieces(&cells.columns) {
                if self.frame().within(i, piece).is_some() {
                    let (f, g) = (self.across(f, i, (piece, &cells)), self.along(g, i, (piece, &cells)));
                    let (damping, q, m) = (self.damping_of(i, &cells), &mut q[cells.clone()], &m[cells]);
                    (self.kernels().adjoint_memory)(self.constants(), damping, q, m, f, g);
                }
            }
        }
    }

    /// Cells of `Q⁻`, `F⁻`, `G⁻` and the gradient.
    fn move_adjoint(&self, slab: &mut Backward<T>, cells: &Cells, level: usize, record: &SeedRecord<T>) {
        let [field, frame] = self.starts();
        let curvature = Rows::new(&record.curvature, field);
        let slopes = record.slopes.each_ref().map(|slope| Rows::new(slope, frame));
        let Backward { fields, f, g, gradient, .. } = slab;
        let ((q, next), all_m) = (now_and_next(fields, level), self.m_rows());
        let q = q.rows();
        for i in cells.rows.clone() {
            let (next, f, g, gradient) = (next.row(i), f.row(i), g.row(i), gradient.row(i));
            for (piece, cells) in self.pieces(&cells.columns) {
                let curvature = &curvature.row(i)[cells.clone()];
                let (next, gradient) = (&mut next[cells.clone()], &mut gradient[cells.clone()]);
                let q = self.cross(q, i, &cells);
                let Some(within) = self.frame().cells_within(i, piece, &cells) else {
                    let m = &all_m.row(i)[cells];
                    (self.kernels().adjoint_interior)(self.constants(), next, q, m, curvature, gradient);
                    continue;
                };
                let slopes = slopes.map(|slope| &slope.row(i)[within.clone()]);
                let (m, damping) = (self.cross(all_m, i, &cells), self.damping_of(i, &cells));
                let (f, g) = (&mut f[within.clone()], &mut g[within]);
                let row = AdjointLayer { next, q, m, f, g, record: curvature, slopes, gradient };
                (self.kernels().adjoint_layer)(self.constants(), damping, row);
            }
        }
    }
}
