//! A step, or a step back, plane by plane.
//!
//! The memory variables ψ of the axes x and y are needed in rows beside: forward they come first, back they go last.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use rayon::prelude::*;
use treewave_kernels::fixed::{LIMIT, PsiRow, SMALL, StepRow, ZetaRow};
use treewave_kernels::layer::{RADIUS, radius_beside};
use treewave_kernels::lines::LANES;

use super::around::{Wide, from_point, low_around};
use super::codes::{Codes, Part};
use super::state::{NOWHERE, join, large_ones, part};
use super::{Fixed, FixedLayout, FixedState, Level, NO_DECAY};
use crate::front::{Extent, deepest_of};
use crate::points::Points;
use crate::record::{Record, RowsMut, take};
use crate::tiles::Parallelism;

/// A memory variable and its codes in some planes.
struct Memory<'a> {
    values: &'a mut [f64],
    codes: Part<'a>,
}

/// Consecutive planes of a step.
struct Planes<'a> {
    /// Which they are.
    ix: Range<usize>,
    back: bool,
    low: &'a mut [i32],
    high: &'a mut [i8],
    large: &'a mut [[u32; 2]],
    record: Option<RowsMut<'a, f32>>,
    psi_z: Memory<'a>,
    /// Those of axis x are of planes in the layer only.
    zeta: [Memory<'a>; 3],
}

impl<'a> Planes<'a> {
    /// Takes the first planes, up to `count` of them.
    fn take(&mut self, count: usize, sizes: &FixedLayout) -> Planes<'a> {
        let layout = &sizes.layout;
        let ix = self.ix.start..self.ix.end.min(self.ix.start + count);
        self.ix.start = ix.end;
        let rows = ix.len() * layout.n[1];
        let of_memory = |axis: usize, memory: &mut Memory<'a>| {
            let planes = ix.clone().filter(|&ix| axis != 0 || layout.in_layer(0, ix).is_some()).count();
            let values = take(&mut memory.values, planes * sizes.memory_per_plane(axis));
            Memory { values, codes: memory.codes.take(planes * sizes.codes_per_plane(axis)) }
        };
        Planes {
            back: self.back,
            low: take(&mut self.low, ix.len() * layout.strides[0]),
            high: take(&mut self.high, ix.len() * layout.strides[0]),
            large: take(&mut self.large, rows),
            record: self.record.as_mut().map(|record| record.take(rows)),
            psi_z: of_memory(2, &mut self.psi_z),
            zeta: {
                let [x, y, z] = &mut self.zeta;
                [of_memory(0, x), of_memory(1, y), of_memory(2, z)]
            },
            ix,
        }
    }
}

/// Parts of a step per thread, so that none waits long for the last one.
const PARTS_PER_THREAD: usize = 8;

/// Rows that a thread works with.
struct Room {
    extra: Vec<f32>,
    record: Vec<f32>,
    codes: Vec<i8>,
    zeta: Vec<f64>,
    /// ψ of an end of a row, with what borders it.
    line: Vec<f64>,
    wide: Wide,
    /// A row of the next field.
    next: Vec<i64>,
    /// Twice a row and its increment.
    sum: Vec<i32>,
}

/// Sources, and what is injected.
pub(super) type Injected<'a> = (&'a Points<f32>, &'a [f32]);

impl Fixed<'_> {
    /// One step of a state, or, with codes that are used, one step back; whether a code was lost, and how deep the field that was
    /// computed goes. `record` is what `m` is multiplied with. Outside of `reached` the state is zero.
    pub(super) fn step(
        &self,
        state: &mut FixedState,
        codes: Codes,
        record: Option<&mut Record<f32>>,
        injected: Injected,
        reached: &Extent,
    ) -> (bool, usize) {
        let back = matches!(codes, Codes::Used(..));
        let concerned = reached.grown(self.acoustic.reach, &self.acoustic.layout);
        let deepest = AtomicUsize::new(reached.depth);
        let record = record.map(|record| (record.rows_mut(), self.acoustic.lit_later(reached)));
        let [[psi_x, zeta_x], [psi_y, zeta_y], [psi_z, zeta_z]] = self.codes(codes);
        let sides = [psi_x, psi_y];
        let others = (psi_z, [zeta_x, zeta_y, zeta_z]);
        if back {
            std::mem::swap(&mut state.now, &mut state.before);
            self.move_field(state, others, record, injected, (&concerned, &deepest), true);
            self.move_psi(true, state, sides, &concerned);
            return (false, deepest.into_inner());
        }
        let mut lost = self.move_psi(false, state, sides, &concerned);
        lost |= self.move_field(state, others, record, injected, (&concerned, &deepest), false);
        std::mem::swap(&mut state.now, &mut state.before);
        (lost, deepest.into_inner())
    }

    /// Does something with each, by the threads that there are.
    fn for_each<X: Send, S>(
        &self,
        items: Vec<X>,
        room: impl Fn() -> S + Sync + Send,
        work: impl Fn(&mut S, X) + Sync + Send,
    ) {
        match self.acoustic.options.parallelism {
            Parallelism::Serial => {
                let mut room = room();
                items.into_iter().for_each(|item| work(&mut room, item));
            }
            Parallelism::Threads => items.into_par_iter().for_each_init(room, work),
        }
    }

    /// The memory ψ of the axes x and y, one step on or back.
    fn move_psi(&self, back: bool, state: &mut FixedState, codes: [Part; 2], concerned: &Extent) -> bool {
        let layout = &self.acoustic.layout;
        let lost = AtomicBool::new(false);
        let FixedState { now, psi, .. } = state;
        for (axis, mut codes) in codes.into_iter().enumerate().filter(|&(axis, _)| layout.layer(axis) > 0) {
            let (row_len, bytes, layer) =
                (self.sizes.row_len(axis), self.sizes.code_bytes(axis), &self.sizes.axes[axis]);
            let n = layout.row_points(concerned.depth);
            let values = psi[axis].chunks_mut(self.sizes.memory_per_plane(axis));
            let memory = values.map(|values| (values, codes.take(self.sizes.codes_per_plane(axis))));
            let planes = (0..layout.n[0]).filter(|&ix| axis != 0 || layout.in_layer(0, ix).is_some());
            let planes = planes.zip(memory).filter(|(ix, _)| concerned.planes.contains(ix)).collect();
            let room = || (vec![0_i8; n], Wide::new());
            self.for_each(planes, room, |(room, wide), (ix, (values, mut codes))| {
                for iy in concerned.rows.clone() {
                    let Some(place) = layout.in_layer(axis, [ix, iy][axis]) else { continue };
                    let row = if axis == 0 { iy } else { place };
                    let mut codes = codes.row(row, bytes);
                    codes.recall(layer.bits, room);
                    let psi = PsiRow {
                        first: &self.first,
                        decay: layer.coefficients.at(place..place + 1),
                        psi: &mut values[row * row_len..][..n],
                        codes: room,
                    };
                    let is_busy = !self.busy(now, [ix, iy]).is_empty();
                    if self.kernels.psi(psi, wide.around(now, layout, axis, [ix, iy], is_busy), back, layer.bits) {
                        lost.store(true, Relaxed);
                    }
                    codes.keep(layer.bits, room);
                }
            });
        }
        lost.into_inner()
    }

    /// Everything else, one step on or back: of ψ of axis z and of all ζ, with their codes, and of the field.
    fn move_field(
        &self,
        state: &mut FixedState,
        (psi_codes, zeta_codes): (Part, [Part; 3]),
        record: Option<(RowsMut<f32>, Extent)>,
        injected: Injected,
        (concerned, deepest): (&Extent, &AtomicUsize),
        back: bool,
    ) -> bool {
        let (sizes, layout) = (&self.sizes, &self.acoustic.layout);
        let FixedState { now, before: next, psi: [psi_x, psi_y, psi_z], zeta: [zeta_x, zeta_y, zeta_z] } = state;
        let [codes_x, codes_y, codes_z] = zeta_codes;
        let (record, lit) = record.unzip();
        let mut all = Planes {
            ix: 0..layout.n[0],
            back,
            low: &mut next.low[layout.before()..],
            high: &mut next.high[layout.before()..],
            large: &mut next.large,
            record,
            psi_z: Memory { values: psi_z, codes: psi_codes },
            zeta: [(zeta_x, codes_x), (zeta_y, codes_y), (zeta_z, codes_z)]
                .map(|(values, codes)| Memory { values, codes }),
        };
        let each = match self.acoustic.options.parallelism {
            Parallelism::Serial => layout.n[0],
            Parallelism::Threads => layout.n[0].div_ceil(rayon::current_num_threads() * PARTS_PER_THREAD),
        };
        let parts = (0..layout.n[0].div_ceil(each)).map(|_| all.take(each, sizes)).collect();
        let lost = AtomicBool::new(false);
        let row = layout.row;
        let room = || Room {
            extra: vec![0.0; row],
            record: vec![0.0; row],
            codes: vec![0; row.max(self.sizes.row_len(2))],
            zeta: vec![0.0; row],
            line: vec![0.0; row + 2 * RADIUS],
            wide: Wide::new(),
            next: vec![0; row],
            sum: vec![0; row],
        };
        let step_rows = |room: &mut Room, plane: &mut Planes| {
            let ix = plane.ix.start;
            let rows = if concerned.planes.contains(&ix) { concerned.rows.clone() } else { 0..0 };
            let n = layout.row_points(concerned.depth);
            let lit = lit.as_ref().filter(|lit| lit.planes.contains(&ix));
            let silent = n..lit.map_or(n, |lit| layout.row_points(lit.depth));
            if let Some(record) = &mut plane.record
                && lit.is_some()
            {
                record.clear(0..rows.start);
                record.clear(rows.end..layout.n[1]);
            }
            for iy in rows {
                room.extra[..n].fill(0.0);
                let busy = self.busy(now, [ix, iy]);
                let is_busy = !busy.is_empty();
                let mut any = false;
                for (axis, psi) in [&**psi_x, &**psi_y].into_iter().enumerate() {
                    any |= self.side(axis, ([ix, iy], n), (now, is_busy), psi, plane, room);
                }
                any |= self.ends_of_row(([ix, iy], n), (now, is_busy), plane, room);
                any |= self.leapfrog([ix, iy], &silent, (now, busy), plane, injected, room);
                if any {
                    lost.store(true, Relaxed);
                }
                let first = layout.index([ix, iy, 0]) - layout.before() - ix * layout.strides[0];
                let row = &plane.low[first..][..concerned.depth];
                // What has no low bits is at rest: no wave jumps to the high ones.
                deepest.fetch_max(deepest_of([row].into_iter(), 0, deepest.load(Relaxed)), Relaxed);
            }
        };
        self.for_each(parts, room, |room, mut part| {
            while !part.ix.is_empty() {
                step_rows(room, &mut part.take(1, sizes));
            }
        });
        lost.into_inner()
    }

    /// The part of a row whose stencils may reach large values, in whole vectors; empty if there is none.
    fn busy(&self, field: &Level, [ix, iy]: [usize; 2]) -> Range<usize> {
        let layout = &self.acoustic.layout;
        let around = |i: usize| i.saturating_sub(layout.radius)..=i + layout.radius;
        let along_x = around(ix).map(|ix| field.large(layout, ix, iy));
        let along_y = around(iy).map(|iy| field.large(layout, ix, iy));
        let all = along_x.chain(along_y).filter(|&part| part != NOWHERE);
        let Some([begin, end]) = all.reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])]) else { return 0..0 };
        let begin = (begin as usize).saturating_sub(layout.radius) / LANES * LANES;
        begin..(end as usize + layout.radius).next_multiple_of(LANES).min(layout.row)
    }

    /// What the layer of axis x or y adds to the first `n` points of a row; its ζ one step on or back.
    fn side(
        &self,
        axis: usize,
        ([ix, iy], n): ([usize; 2], usize),
        (now, is_busy): (&Level, bool),
        psi: &[f64],
        plane: &mut Planes,
        room: &mut Room,
    ) -> bool {
        let layout = &self.acoustic.layout;
        let (cell, reach) = ([ix, iy][axis], radius_beside(layout.radius));
        let is_near = |i: usize| layout.in_layer(axis, i).is_some();
        let near = (cell.saturating_sub(reach)..=cell + reach).any(is_near);
        if layout.layer(axis) == 0 || !near {
            return false;
        }
        let (row_len, bytes, layer) = (self.sizes.row_len(axis), self.sizes.code_bytes(axis), &self.sizes.axes[axis]);
        let row_of = |i: Option<usize>| {
            let place = i.and_then(|i| layout.in_layer(axis, i));
            place.map_or(&self.zeros[..n], |place| {
                let row = if axis == 0 { place * layout.n[1] + iy } else { ix * layout.layer(1) + place };
                &psi[row * row_len..][..n]
            })
        };
        let psi = [
            std::array::from_fn(|k| row_of(cell.checked_sub(k + 1))),
            std::array::from_fn(|k| row_of(Some(cell + k + 1))),
        ];
        let place = layout.in_layer(axis, cell);
        let mut codes = Part::Dropped;
        let mut zeta = &mut room.zeta[..n];
        if let Some(place) = place {
            let (memory, row) = (&mut plane.zeta[axis], if axis == 0 { iy } else { place });
            codes = memory.codes.row(row, bytes);
            zeta = &mut memory.values[row * row_len..][..n];
        } else {
            // Only what ψ of cells nearby adds; there is no ζ.
            zeta.fill(0.0);
        }
        codes.recall(layer.bits, &mut room.codes[..n]);
        let row = ZetaRow {
            second: &self.second,
            first: &self.first,
            decay: place.map_or(NO_DECAY, |place| layer.coefficients.at(place..place + 1)),
            psi,
            zeta,
            codes: &mut room.codes[..n],
            unit: layer.unit,
            extra: &mut room.extra[..n],
        };
        let field = room.wide.around(now, layout, axis, [ix, iy], is_busy);
        let lost = self.kernels.zeta(row, field, plane.back, layer.bits);
        codes.keep(layer.bits, &room.codes[..n]);
        lost
    }

    /// What the layer of axis z adds to the first `n` points of a row; its ψ and ζ one step on or back.
    fn ends_of_row(
        &self,
        ([ix, iy], n): ([usize; 2], usize),
        (now, is_busy): (&Level, bool),
        plane: &mut Planes,
        room: &mut Room,
    ) -> bool {
        if self.sizes.ends.is_empty() {
            return false;
        }
        let (back, psi, zeta) = (plane.back, &mut plane.psi_z, &mut plane.zeta[2]);
        let (row_len, bytes, layer) = (self.sizes.row_len(2), self.sizes.code_bytes(2), &self.sizes.axes[2]);
        let (mut psi_codes, mut zeta_codes) = (psi.codes.row(iy, bytes), zeta.codes.row(iy, bytes));
        let (psi, zeta) = (&mut psi.values[iy * row_len..][..row_len], &mut zeta.values[iy * row_len..][..row_len]);
        let Room { codes, line, wide, extra, .. } = room;
        let (codes, coded) = (&mut codes[..row_len], self.sizes.coded(2));
        codes.fill(0);
        let field = wide.around(now, &self.acoustic.layout, 2, [ix, iy], is_busy);
        let mut lost = false;
        let mut move_psi = |psi: &mut [f64], codes: &mut [i8]| {
            psi_codes.recall(layer.bits, &mut codes[coded.clone()]);
            for end in self.sizes.ends.iter().filter(|end| end.begin < n) {
                let (part, decay) = (end.at..end.at + end.len(), end.coefficients.at(0..end.len()));
                let (psi, codes) = (&mut psi[part.clone()], &mut codes[part]);
                let row = PsiRow { first: &self.first, decay, psi, codes };
                lost |= self.kernels.psi(row, from_point(field, end.begin), back, layer.bits);
            }
            psi_codes.keep(layer.bits, &codes[coded.clone()]);
        };
        if !back {
            move_psi(psi, codes);
        }
        zeta_codes.recall(layer.bits, &mut codes[coded.clone()]);
        let mut lost_zeta = false;
        for end in self.sizes.ends.iter().filter(|end| end.begin < n) {
            let part = end.at..end.at + end.len();
            // ψ is zero beside the end.
            let line = &mut line[..end.len() + 2 * RADIUS];
            line.fill(0.0);
            line[RADIUS..][..end.len()].copy_from_slice(&psi[part.clone()]);
            let line = &*line;
            let row = ZetaRow {
                second: &self.second,
                first: &self.first,
                decay: end.coefficients.at(0..end.len()),
                psi: [
                    std::array::from_fn(|k| &line[RADIUS - 1 - k..][..end.len()]),
                    std::array::from_fn(|k| &line[RADIUS + 1 + k..][..end.len()]),
                ],
                zeta: &mut zeta[part.clone()],
                codes: &mut codes[part],
                unit: layer.unit,
                extra: &mut extra[end.begin..][..end.len()],
            };
            lost_zeta |= self.kernels.zeta(row, from_point(field, end.begin), back, layer.bits);
        }
        zeta_codes.keep(layer.bits, &codes[coded.clone()]);
        if back {
            move_psi(psi, codes);
        }
        lost | lost_zeta
    }

    /// What a step needs besides the field for a part of the row whose first point stands at `at` in fields.
    fn part_of_step<'a>(
        &'a self,
        at: usize,
        part: &Range<usize>,
        extra: &'a [f32],
        record: &'a mut [f32],
    ) -> StepRow<'a> {
        let (m, extra) = (&self.acoustic.m[at..][part.clone()], &extra[part.clone()]);
        StepRow { weights: &self.weights, scale: self.scale(), m, extra, record }
    }

    /// The field of a row up to where it is silent, one step on or back, with sources and the mirror image; whether a value is too large.
    /// The record of what is silent is zero.
    fn leapfrog(
        &self,
        [ix, iy]: [usize; 2],
        silent: &Range<usize>,
        (now, busy): (&Level, Range<usize>),
        plane: &mut Planes,
        (sources, values): Injected,
        room: &mut Room,
    ) -> bool {
        let (layout, acoustic, n) = (&self.acoustic.layout, self.acoustic, silent.start);
        let at = layout.index([ix, iy, 0]);
        // The row in its plane, with what stands before it.
        let first = at - layout.before() - ix * layout.strides[0] - layout.front;
        let (low, high) = (&mut plane.low[first..][..layout.front + n], &mut plane.high[first..][..layout.front + n]);
        let large = &mut plane.large[iy];
        let (planes, rows) = (ix..ix + 1, iy..iy + 1);
        let cells = sources.within(&planes, &rows);
        let strengths = cells.map(|cell| (sources.cells()[cell][2], sources.spread(cell, values)));
        let strengths: Vec<(usize, f32)> = strengths.collect();
        let was_large = *large != NOWHERE;
        let on_copy = !busy.is_empty() || was_large || !strengths.is_empty();
        let wants_record = on_copy || plane.record.is_some();
        let Room { extra, record: spare, wide, next, sum, .. } = room;
        // A row that is kept as it is is written where it is kept. The spare one is zero there since it was made.
        let mut whole = plane.record.as_mut().and_then(|kept| kept.whole(iy));
        if let Some(record) = &mut whole {
            record[silent.clone()].fill(0.0);
        }
        let is_whole = whole.is_some();
        let record = whole.unwrap_or(spare);
        let next = &mut next[..n];
        let around = [0, 1, 2].map(|axis| low_around(now, layout, axis, [ix, iy]));
        fn kept_if(wanted: bool, record: &mut [f32]) -> &mut [f32] {
            if wanted { record } else { &mut [] }
        }
        let mut lost = false;
        if on_copy {
            join(was_large, &low[layout.front..], &high[layout.front..], next);
            for part in [0..busy.start, busy.end..n].into_iter().filter(|part| !part.is_empty()) {
                // Twice the row, and its increment.
                let sum = &mut sum[part.clone()];
                sum.fill(0);
                self.kernels.step(
                    self.part_of_step(at, &part, extra, kept_if(wants_record, &mut record[part.clone()])),
                    around.map(|around| around.from(part.start)),
                    sum,
                );
                next[part].iter_mut().zip(sum).for_each(|(next, sum)| *next = i64::from(*sum) - *next);
            }
            if !busy.is_empty() {
                layout.axes().iter().for_each(|&axis| wide.gather(now, layout, axis, [ix, iy], &busy));
                let gathered = [0, 1, 2].map(|axis| wide.gathered(axis));
                self.kernels.wide_step(
                    self.part_of_step(at, &busy, extra, &mut record[busy.clone()]),
                    gathered,
                    &mut next[busy.clone()],
                );
            }
            for (iz, strength) in strengths {
                next[iz] +=
                    (f64::from(acoustic.m[at + iz]) * f64::from(strength) / self.sizes.unit).round_ties_even() as i64;
                record[iz] += strength;
            }
            let (place, largest) = large_ones(next);
            lost = largest >= LIMIT.unsigned_abs();
            *large = place;
            if was_large || place != NOWHERE {
                high.fill(0);
            }
            part(place != NOWHERE, next, &mut low[layout.front..], &mut high[layout.front..]);
        } else {
            if self.kernels.step(
                self.part_of_step(at, &(0..n), extra, kept_if(wants_record, &mut record[..n])),
                around,
                &mut low[layout.front..],
            ) >= SMALL
            {
                // They fit the low bits still.
                join(false, &low[layout.front..], &[], next);
                *large = large_ones(next).0;
                part(true, next, &mut low[layout.front..], &mut high[layout.front..]);
            }
        }
        if layout.free_surface {
            for k in 1..=layout.radius {
                let (mut value, below) = ([0], layout.front + k);
                join(*large != NOWHERE, &low[below..], &high[below..], &mut value);
                let above = layout.front - k..layout.front - k + 1;
                part(*large != NOWHERE, &[-value[0]], &mut low[above.clone()], &mut high[above]);
            }
        }
        if let Some(kept) = &mut plane.record
            && !is_whole
        {
            kept.pack(iy, spare);
        }
        lost
    }
}
