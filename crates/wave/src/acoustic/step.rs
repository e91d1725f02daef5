//! Some steps of the field, and some steps back of the adjoint field, tile by tile.
//!
//! Safety of the parts of arrays in this module: a tile of a chunk writes to rows of its own planes and, in the layer of
//! axis x, of planes up to a reach ahead; it reads the field up to a reach around. [`Tiling::visit`] says which tiles are
//! computed at the same time: at level `l`, chunk `a..b` has the planes from `a + l skew` to `b − l skew`. With what the
//! other chunks write at levels of other parity, to the same one of the two arrays of the field, this does not overlap,
//! since the skew is at least the reach; and borders stay away from the layer of axis x. Memory variables of the other axes
//! belong to planes.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use treewave_core::Real;
use treewave_kernels::{Lines, Shared};

use super::Acoustic;
use super::parts::{Cells, record_row};
use crate::field::Field;
use crate::front::{Extent, deepest_of};
use crate::points::Points;
use crate::record::{Record, Scratch, SharedRecord};
use crate::state::State;
use crate::tiles::{MAX_LEVELS, Tile};

/// What comes into the field and is taken from it on the way, apart from the equation.
pub(crate) struct Exchange<'a, T> {
    /// Points that are injected at.
    pub sources: &'a Points<T>,
    /// What is injected after the step of a level, per source; or nothing.
    pub injected: &'a (dyn Fn(usize) -> Option<&'a [T]> + Sync),
    /// Points whose cells are taken, if any.
    pub receivers: Option<&'a Points<T>>,
    /// The cells of the receivers in the field before each level.
    pub taken: &'a mut [T],
}

/// The part of an [`Exchange`] that tiles share.
struct Shares<'a, 'b, T> {
    exchange: (&'b Points<T>, &'b (dyn Fn(usize) -> Option<&'a [T]> + Sync)),
    receivers: Option<(&'b Points<T>, Shared<'b, T>)>,
    levels: usize,
}

/// How many records become a part of the image at a level of so many: those of two steps at once, since the field of the first one is
/// still there in the second; a last one by itself.
fn images(level: usize, levels: usize) -> usize {
    if level % 2 == 1 { 2 } else { usize::from(level + 1 == levels) }
}

impl<T: Real + Send + Sync> Acoustic<T> {
    /// Some steps of the field without a source; `records` has one for each, or is empty.
    pub fn run_freely(&self, steps: usize, state: &mut State<T>, records: &mut [Record<T>]) {
        let (mut done, mut records, mut scratch) = (0, records, Scratch::default());
        while done < steps {
            let levels = self.tiling.levels().min(steps - done);
            let (now, later) = records.split_at_mut(levels.min(records.len()));
            let sources = &Points::none();
            let nothing = Exchange { sources, injected: &|_| None, receivers: None, taken: &mut [] };
            self.advance(levels, state, now, nothing, &Extent::all(&self.layout), &mut scratch);
            records = later;
            done += levels;
        }
    }

    /// Some steps of the field: `now` becomes `p[n+levels]`, `before` the one before.
    ///
    /// With `records`, one per step, what `m` is multiplied with is written to them: `L p`, what the layer adds, and the
    /// source, per padded cell, as far as [`Self::lit`] may reach; what is farther away is left as it is. Outside of `reached` the
    /// state is zero. How deep the field has come is returned.
    pub(crate) fn advance(
        &self,
        levels: usize,
        state: &mut State<T>,
        records: &mut [Record<T>],
        exchange: Exchange<T>,
        reached: &Extent,
        scratch: &mut Scratch<T>,
    ) -> usize {
        let scratch = self.room(records, scratch);
        let (kernels, stencil) = (&self.kernels, &self.stencil);
        let shares = self.take_first(levels, &state.now, exchange);
        let State { now, before, psi, zeta } = &mut *state;
        let fields = [Shared::new(now), Shared::new(before)];
        let (psi, zeta) = (psi.each_mut().map(|x| Shared::new(x)), zeta.each_mut().map(|x| Shared::new(x)));
        let mut records = records.iter_mut();
        let records: [Option<SharedRecord<T>>; MAX_LEVELS] =
            std::array::from_fn(|_| records.next().map(Record::shared));
        let lit = self.lit_later(reached);
        let depth = self.visit(levels, reached, &fields, &|tile, n| {
            let Tile { level, planes, rows } = tile;
            let (field, new) = (&fields[level % 2], &fields[1 - level % 2]);
            let record = records[*level].as_ref();
            // SAFETY: see the module.
            unsafe {
                if n == 0 {
                    if let Some(record) = record.filter(|_| lit.meets(tile)) {
                        self.rows_of(tile).for_each(|row| record_row(record, row).clear());
                    }
                    // No source is there.
                    return self.exchange(tile, &shares, new, None);
                }
                let packed = record.filter(|record| record.whole().is_none());
                let mut room = packed.map(|_| scratch.tile());
                let unpacked = room.as_mut().map(|room| Shared::new(room));
                let cells = match &unpacked {
                    Some(unpacked) => Some(Cells::of_tile(unpacked, tile, &self.layout)),
                    None => record.and_then(SharedRecord::whole).map(|all| Cells::of_grid(all, &self.layout)),
                };
                let (p, place) = (self.lines(field, planes, rows, n), (planes.start, rows.start));
                let (m, next) = (self.m_from(place), self.field_mut(new, &p, place));
                let ends = [self.ends_mut(&psi[2], &p, place), self.ends_mut(&zeta[2], &p, place)];
                let sides = self.sides(tile, [0, 1].map(|axis| [&psi[axis], &zeta[axis], &zeta[axis]]));
                match &cells {
                    Some(cells) => {
                        let p = Lines { record: cells.strides, ..p };
                        (kernels.record)(stencil, self.ends(n), sides, p, m, next, ends, cells.rows_mut(&p, place));
                        // What is packed is scaled by its row's largest value.
                        let end = if packed.is_some() { self.layout.row } else { self.layout.row_points(lit.depth) };
                        cells.clear(n..end, tile);
                    }
                    None => (kernels.step)(stencil, self.ends(n), sides, p, m, next, ends),
                }
                self.exchange(tile, &shares, new, cells.as_ref());
                if let (Some(packed), Some(unpacked)) = (packed, &unpacked) {
                    let row = self.layout.row;
                    let of_tile = unpacked.read(0..unpacked.len()).chunks_exact(row);
                    self.rows_of(tile)
                        .zip(of_tile)
                        .for_each(|(row, from)| record_row(packed, row).pack(packed.kept(from)));
                }
            }
        });
        if levels % 2 == 1 {
            std::mem::swap(&mut state.now, &mut state.before);
        }
        depth
    }

    /// Some steps back of the adjoint field `v = m λ`: `now` becomes `v[n+1−levels]`, `before` the one before that.
    ///
    /// `records` are those of the steps forward, level 0 last, and zero outside of an extent; `image.0 += v record` and
    /// `image.1 += record²`, per padded cell. `spare` has room for the memory `Z` of the axes x and y. Outside of `reached` the state is zero. How
    /// deep the field has come is returned.
    pub(crate) fn step_back(
        &self,
        levels: usize,
        (state, spare, reached): (&mut State<T>, &mut [Field<T>; 2], &Extent),
        (records, lit): (&[Record<T>], &Extent),
        image: (&mut [T], &mut [T]),
        exchange: Exchange<T>,
        scratch: &mut Scratch<T>,
    ) -> usize {
        let scratch = self.room(records, scratch);
        let (kernels, stencil, layout) = (&self.kernels, &self.stencil, &self.layout);
        let shares = self.take_first(levels, &state.now, exchange);
        let State { now, before, psi: p, zeta: [z_x, z_y, z_z] } = &mut *state;
        let fields = [Shared::new(now), Shared::new(before)];
        let p = p.each_mut().map(|x| Shared::new(x));
        let [spare_x, spare_y] = &mut *spare;
        let z = [[z_x, spare_x], [z_y, spare_y]].map(|both| both.map(|x| Shared::new(x)));
        let z_z = Shared::new(z_z);
        let (gradient, illumination) = (Shared::new(image.0), Shared::new(image.1));
        let depth = self.visit(levels, reached, &fields, &|tile, n| {
            let Tile { level, planes, rows } = tile;
            let (field, new) = (&fields[level % 2], &fields[1 - level % 2]);
            let (old_z, z) = ([&z[0][level % 2], &z[1][level % 2]], [&z[0][1 - level % 2], &z[1][1 - level % 2]]);
            // SAFETY: see the module.
            unsafe {
                let (v, place) = (self.lines(field, planes, rows, n), (planes.start, rows.start));
                let imaged = layout.row_points(lit.depth);
                let images = if lit.meets(tile) { images(*level, levels) } else { 0 };
                let records = &records[levels - 1 - level..][..images];
                let packed = records.iter().any(|record| record.whole().is_none());
                let cells = planes.len() * rows.len() * layout.row;
                let mut room = packed.then(|| scratch.tile());
                let mut rooms = room.as_mut().map_or(&mut [][..], |room| &mut room[..]).chunks_exact_mut(cells);
                let mut of_tile = [&[][..]; 2];
                // The earlier of these steps back first.
                for (of_tile, record) in of_tile.iter_mut().zip(records.iter().rev()) {
                    *of_tile = match record.whole() {
                        Some(all) => &all[layout.cell([place.0, place.1, 0])..],
                        None => {
                            let room = rooms.next().expect("room for two records");
                            let unpacked = room.chunks_exact_mut(layout.row);
                            self.rows_of(tile).zip(unpacked).for_each(|(row, to)| record.unpack(row, to));
                            room
                        }
                    };
                }
                let of_tile = &of_tile[..records.len()];
                let record = if packed { [rows.len() * layout.row, layout.row] } else { layout.cell_strides() };
                let v = Lines { record, ..v };
                let whole = Lines { n: layout.row, ..v };
                let [gradient, illumination] =
                    [&gradient, &illumination].map(|all| Cells::of_grid(all, layout).rows_mut(&whole, place));
                if n > 0 {
                    let (m, next) = (self.m_from(place), self.field_mut(new, &v, place));
                    let ends = [self.ends_mut(&p[2], &v, place), self.ends_mut(&z_z, &v, place)];
                    let sides = self.sides(tile, [0, 1].map(|axis| [&p[axis], z[axis], old_z[axis]]));
                    (kernels.image)(
                        stencil,
                        self.ends(n),
                        sides,
                        v,
                        m,
                        next,
                        ends,
                        (of_tile, imaged),
                        gradient,
                        illumination,
                    );
                }
                if n < imaged {
                    let rest = Lines { n: imaged - n, ..v };
                    of_tile.iter().for_each(|record| (kernels.illuminate)(rest, &record[n..], &mut illumination[n..]));
                }
                self.exchange(tile, &shares, new, None);
            }
        });
        if levels % 2 == 1 {
            std::mem::swap(&mut state.now, &mut state.before);
            spare.iter_mut().zip(&mut state.zeta).for_each(|(spare, z)| std::mem::swap(spare, z));
        }
        depth
    }

    /// Outside of what a wave has reached at a step, where the records of a group that ends with this step are zero, whatever
    /// the groups were in which they were made.
    pub(crate) fn lit(&self, reached: &Extent) -> Extent {
        reached.grown(self.tiling.levels() * self.reach, &self.layout)
    }

    /// What may be asked for of a record of a group that begins where the wave has come so far. The group on the way back ends less
    /// than two groups later, which leaves planes enough for a tile that belongs to [`Self::lit`] in part; its rows may be any.
    pub(crate) fn lit_later(&self, reached: &Extent) -> Extent {
        let grown = reached.grown(3 * self.tiling.levels() * self.reach, &self.layout);
        Extent { rows: 0..self.layout.n[1], ..grown }
    }

    /// Calls `body` for every tile of some levels, cut where what it may change ends if the state is zero outside of `reached` before
    /// the first; and with it, how many points of its rows that are. Returns how deep the fields have come.
    fn visit(
        &self,
        levels: usize,
        reached: &Extent,
        fields: &[Shared<T>; 2],
        body: &(impl Fn(&Tile, usize) + Sync),
    ) -> usize {
        let layout = &self.layout;
        let concerned: [Extent; MAX_LEVELS] =
            std::array::from_fn(|level| reached.grown((level + 1) * self.reach, layout));
        let deepest = AtomicUsize::new(reached.depth);
        self.tiling.visit(levels, &concerned[levels - 1].planes, &|tile| {
            let concerned = &concerned[tile.level];
            let n = layout.row_points(concerned.depth);
            for (part, is_reached) in concerned.cut(tile) {
                body(&part, if is_reached { n } else { 0 });
                // Both fields that will be left.
                if is_reached && part.level + 2 >= levels {
                    // SAFETY: see the module.
                    let row = |[ix, iy]: [usize; 2]| unsafe {
                        fields[1 - part.level % 2]
                            .read(layout.index([ix, iy, 0])..layout.index([ix, iy, concerned.depth]))
                    };
                    deepest.fetch_max(deepest_of(part.places().map(row), T::ZERO, deepest.load(Relaxed)), Relaxed);
                }
            }
        });
        deepest.into_inner()
    }

    /// Scratch with room for two records of a tile that are packed, if there are such.
    fn room<'s>(&self, records: &[Record<T>], scratch: &'s mut Scratch<T>) -> &'s Scratch<T> {
        if records.iter().any(|record| record.whole().is_none()) {
            scratch.reserve(2 * self.tiling.most_rows() * self.layout.row);
        }
        scratch
    }

    /// Adds to a field, and to its mirror image: `field += m Σ weight · point`.
    pub(crate) fn inject(&self, sources: &Points<T>, values: &[T], field: &mut [T]) {
        (0..sources.cells().len()).for_each(|cell| self.inject_cell(sources, cell, values, field, 0));
    }

    /// The same for one cell, in a part of a field that begins at `first`.
    fn inject_cell(&self, sources: &Points<T>, cell: usize, values: &[T], field: &mut [T], first: usize) {
        let [ix, iy, iz] = sources.cells()[cell];
        let place = self.layout.index([ix, iy, iz]);
        field[place - first] += self.m[place] * sources.spread(cell, values);
        if self.layout.free_surface && (1..=self.layout.radius).contains(&iz) {
            field[place - 2 * iz - first] = -field[place - first];
        }
    }

    /// The cells of points in a field.
    pub(crate) fn take(&self, points: &Points<T>, field: &[T], taken: &mut [T]) {
        taken.iter_mut().zip(points.cells()).for_each(|(taken, &cell)| *taken = field[self.layout.index(cell)]);
    }

    /// Takes the receivers' cells before the first level.
    fn take_first<'a, 'b>(&self, levels: usize, field: &[T], exchange: Exchange<'a, T>) -> Shares<'a, 'b, T>
    where
        'a: 'b,
    {
        let Exchange { sources, injected, receivers, taken } = exchange;
        let receivers = receivers.map(|receivers| {
            self.take(receivers, field, taken);
            (receivers, Shared::new(taken))
        });
        Shares { exchange: (sources, injected), receivers, levels }
    }

    /// What happens in a tile after its step: the mirror image, sources, receivers.
    ///
    /// # Safety
    /// The rows of the tile are not used.
    unsafe fn exchange(&self, tile: &Tile, shares: &Shares<T>, field: &Shared<T>, record: Option<&Cells<T>>) {
        let Tile { level, planes, rows } = tile;
        let layout = &self.layout;
        let stored =
            |ix: usize, iy: usize| layout.index([ix, iy, 0]) - layout.front..layout.index([ix, iy, 0]) + layout.n[2];
        if layout.free_surface {
            // Above a free surface, a stored row has the mirror image of the field, with opposite sign.
            for [ix, iy] in tile.places() {
                // SAFETY: the caller promises.
                let row = unsafe { field.write(stored(ix, iy)) };
                (1..=layout.radius).for_each(|k| row[layout.front - k] = -row[layout.front + k]);
            }
        }
        let (sources, injected) = shares.exchange;
        if let Some(values) = injected(*level) {
            for cell in sources.within(planes, rows) {
                let [ix, iy, iz] = sources.cells()[cell];
                let part = stored(ix, iy);
                // SAFETY: the caller promises.
                self.inject_cell(sources, cell, values, unsafe { field.write(part.clone()) }, part.start);
                if let Some(record) = record {
                    let place = record.place([ix, iy, iz]);
                    // SAFETY: the caller promises.
                    unsafe { record.array.write(place..place + 1)[0] += sources.spread(cell, values) };
                }
            }
        }
        if let Some((receivers, taken)) = shares.receivers.as_ref().filter(|_| level + 1 < shares.levels) {
            let first = (level + 1) * receivers.cells().len();
            for cell in receivers.within(planes, rows) {
                let place = layout.index(receivers.cells()[cell]);
                // SAFETY: the caller promises; every cell of the receivers belongs to one tile of the level.
                unsafe { taken.write(first + cell..first + cell + 1)[0] = field.read(place..place + 1)[0] };
            }
        }
    }
}
