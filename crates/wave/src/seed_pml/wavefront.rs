//! The order in which the rows of some steps are computed.
//!
//! A group of steps ("levels") is computed tile by tile: a few rows of some columns at one level, behind them, by a distance that a
//! step cannot reach across, the next level, while what it reads is still in the cache; then the next columns, skewed likewise. Threads work on chunks of rows: each level of a chunk ends [`SKEW`] rows farther from its borders than the one
//! before, and what is left there is computed when all chunks are done. Every cell is computed by the same operations whatever
//! the order, so the bits do not depend on it.
//!
//! # References
//! Wolf & Lam (1991), "A data locality optimizing algorithm"; Krishnamoorthy et al. (2007), "Effective automatic
//! parallelization of stencil computations", for the split at borders.

use std::ops::Range;

use super::program::ALIGN;
use super::rows::Point;

/// Most steps of a group; it may have one level more, to make the last step complete.
pub(super) const MAX_STEPS: usize = 8;
/// Rows that each level stays behind the one before.
pub(super) const SKEW: usize = 3;
/// Columns that it stays behind: more than a step reaches across, so that tiles begin at cache lines.
const COLUMN_SKEW: usize = ALIGN;
/// Rows of a tile.
const TILE: usize = 4;
/// Chunks per thread, where there are rows enough: threads that are done early find more to do.
const CHUNKS_PER_THREAD: usize = 2;

/// Rows of all arrays that a group works on.
pub(super) trait Slab: Send + Sized {
    /// Keeps the rows before `row`, and returns the others.
    fn split_off(&mut self, row: usize) -> Self;
}

/// A part of a level: the rows and columns that are computed, and those whose turn it is of what is made ready for them before, up
/// to one and up to two cells farther.
///
/// Of the level before all cells are computed up to [`SKEW`] away from those of this tile, or farther. Each cell is once in `own`, once in
/// `near` and once in `far` of a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) level: usize,
    pub(super) own: Cells,
    pub(super) near: Cells,
    pub(super) far: Cells,
}

/// Some columns of some rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cells {
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
}

impl Cells {
    pub(super) fn has(&self, point: Point) -> bool {
        self.rows.contains(&point.row) && self.columns.contains(&point.column)
    }
}

/// One of the two parts of a group, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Chunks,
    Borders,
}

/// The tiles of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wavefront {
    /// Rows and columns without the ring: 1 to n.
    n: [usize; 2],
    levels: usize,
    chunks: usize,
    /// Tiles side by side.
    across: usize,
}

/// What is `margin` farther than a tile that goes through `whole`, without what is farther than tiles before it.
fn ahead(tile: &Range<usize>, whole: &Range<usize>, margin: usize, n: usize) -> Range<usize> {
    let start = if tile.start == whole.start { whole.start.saturating_sub(margin) } else { tile.start + margin };
    start.clamp(1, n + 1)..(tile.end + margin).min(n + 1)
}

impl Wavefront {
    /// So many levels of the rows and columns 1 to `n`, in tiles of about so many columns, shared among threads.
    pub(super) fn new(n: [usize; 2], levels: usize, columns: usize, threads: usize) -> Self {
        assert!((1..=MAX_STEPS + 1).contains(&levels), "{levels} levels");
        let least = 2 * levels * SKEW + TILE;
        let chunks = if threads == 1 { 1 } else { (CHUNKS_PER_THREAD * threads).min(n[0] / least).max(1) };
        let across = n[1].div_ceil(columns).min(n[1] / ((levels + 1) * COLUMN_SKEW)).max(1);
        Wavefront { n, levels, chunks, across }
    }

    /// Columns of tiles of as many levels as there can be that so many bytes hold, with so many bytes for a cell of all arrays.
    pub(super) fn columns_in(cache: usize, cell: usize) -> usize {
        cache / (cell * (TILE + MAX_STEPS * SKEW))
    }

    /// Calls `body` for every tile of a phase, each after those that it depends on, with rows that contain it.
    pub(super) fn visit<S: Slab>(&self, phase: Phase, slab: S, body: &(impl Fn(&mut S, &Tile) + Sync)) {
        match phase {
            Phase::Chunks => self.spread(slab, 0..self.chunks, &|chunk| self.border(chunk), &|slab, chunk| {
                self.chunk(chunk, &mut |tile| body(slab, tile));
            }),
            Phase::Borders if self.chunks == 1 => {}
            Phase::Borders => {
                let middle = |border: usize| usize::midpoint(self.border(border - 1), self.border(border));
                self.spread(slab, 1..self.chunks, &middle, &|slab, border| {
                    self.around(self.border(border), &mut |tile| body(slab, tile));
                });
            }
        }
    }

    /// Where chunk `chunk` begins.
    fn border(&self, chunk: usize) -> usize {
        1 + chunk * self.n[0] / self.chunks
    }

    /// Does parts side by side, each with the rows from `cut(part)` on.
    fn spread<S: Slab>(
        &self,
        mut slab: S,
        parts: Range<usize>,
        cut: &(impl Fn(usize) -> usize + Sync),
        run: &(impl Fn(&mut S, usize) + Sync),
    ) {
        if parts.len() == 1 {
            return run(&mut slab, parts.start);
        }
        let middle = parts.start + parts.len() / 2;
        let high = slab.split_off(cut(middle));
        rayon::join(
            || self.spread(slab, parts.start..middle, cut, run),
            || self.spread(high, middle..parts.end, cut, run),
        );
    }

    /// The columns of a tile at a level.
    fn columns(&self, tile: usize, level: usize) -> Range<usize> {
        let begin = |tile: usize| match tile {
            0 => 1,
            tile if tile == self.across => self.n[1] + 1,
            tile => (tile * self.n[1] / self.across).next_multiple_of(ALIGN) - level * COLUMN_SKEW,
        };
        begin(tile)..begin(tile + 1)
    }

    /// A tile of some rows of those that are computed at a level.
    fn tile(&self, level: usize, rows: Range<usize>, whole: &Range<usize>, tile: usize) -> Tile {
        let (columns, all) = (self.columns(tile, level), 1..self.n[1] + 1);
        let cells = |margin: usize| Cells {
            rows: ahead(&rows, whole, margin, self.n[0]),
            columns: ahead(&columns, &all, margin, self.n[1]),
        };
        Tile { level, near: cells(1), far: cells(2), own: Cells { rows: rows.clone(), columns: columns.clone() } }
    }

    /// The tiles of a chunk.
    fn chunk(&self, chunk: usize, body: &mut impl FnMut(&Tile)) {
        let (begin, end) = (self.border(chunk), self.border(chunk + 1));
        let rows = |level: usize| {
            let cut = (level + 1) * SKEW;
            let begin = if chunk == 0 { begin } else { begin + cut };
            begin..if chunk + 1 == self.chunks { end } else { end - cut }
        };
        for tile in 0..self.across {
            for front in (begin..end + (self.levels - 1) * SKEW).step_by(TILE) {
                for level in 0..self.levels {
                    let (behind, whole) = (level * SKEW, rows(level));
                    let (first, end) = (front.saturating_sub(behind), (front + TILE).saturating_sub(behind));
                    let rows = first.max(whole.start)..end.min(whole.end);
                    if !rows.is_empty() {
                        body(&self.tile(level, rows, &whole, tile));
                    }
                }
            }
        }
    }

    /// What chunks leave at a border.
    fn around(&self, border: usize, body: &mut impl FnMut(&Tile)) {
        for tile in 0..self.across {
            for level in 0..self.levels {
                let reach = (level + 1) * SKEW;
                let within = |margin: usize| border - reach + margin..border + reach - margin;
                let mut tile = self.tile(level, within(0), &within(0), tile);
                // The chunks were farther ahead.
                (tile.near.rows, tile.far.rows) = (within(1), within(2));
                body(&tile);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Which rows a slab has.
    struct Lent(Range<usize>);

    impl Slab for Lent {
        fn split_off(&mut self, row: usize) -> Self {
            assert!(self.0.contains(&row), "{:?} cut at {row}", self.0);
            let high = row..self.0.end;
            self.0.end = row;
            Lent(high)
        }
    }

    /// Plays a group: of each cell the levels that its two fields are at, of its memory, and of what is put into the field.
    fn play(n: [usize; 2], levels: usize, columns: usize, threads: usize) {
        let waves = Wavefront::new(n, levels, columns, threads);
        let (width, len) = (n[1] + 2, (n[0] + 2) * (n[1] + 2));
        let start = |level: i64| vec![level; len];
        // Field `l` stands in array `l % 2`; −1 and −2 are there at the beginning.
        let fields = Mutex::new([start(-1), start(-2), start(-1), start(-1)]);
        let ring = |i: usize, k: usize| i == 0 || i > n[0] || k == 0 || k > n[1];
        let cells = |cells: &Cells| {
            let Cells { rows, columns } = cells.clone();
            rows.flat_map(move |i| columns.clone().map(move |k| (i, k)))
        };
        for phase in [Phase::Chunks, Phase::Borders] {
            waves.visit(phase, Lent(0..n[0] + 2), &|lent: &mut Lent, tile: &Tile| {
                let mut guard = fields.lock().unwrap();
                let [even, odd, memory, put] = &mut *guard;
                let level = tile.level as i64;
                let (now, next) = if tile.level.is_multiple_of(2) { (even, odd) } else { (odd, even) };
                let reads = |array: &[i64], (i, k): (usize, usize), at: i64| {
                    assert!(lent.0.contains(&i), "{n:?} {threads} {phase:?} {tile:?}: row {i} of {:?}", lent.0);
                    let found = array[i * width + k];
                    assert!(
                        ring(i, k) || found == at,
                        "{waves:?} {phase:?} {tile:?}: cell {i} {k} is at {found}, not {at}"
                    );
                };
                let cross = |(i, k): (usize, usize)| [(i, k), (i - 1, k), (i + 1, k), (i, k - 1), (i, k + 1)];
                if level > 0 {
                    // The memory moves on with the new field, as it was before anything was put into it.
                    for cell in cells(&tile.far) {
                        cross(cell).into_iter().for_each(|cell| reads(now, cell, level - 1));
                        cross(cell).into_iter().for_each(|cell| reads(put, cell, level - 2));
                        reads(memory, cell, level - 2);
                        memory[cell.0 * width + cell.1] = level - 1;
                    }
                    for cell in cells(&tile.near) {
                        reads(now, cell, level - 1);
                        reads(put, cell, level - 2);
                        put[cell.0 * width + cell.1] = level - 1;
                    }
                }
                for cell in cells(&tile.own) {
                    for array in [&*now, put, memory] {
                        cross(cell).into_iter().for_each(|cell| reads(array, cell, level - 1));
                    }
                    reads(next, cell, level - 2);
                    next[cell.0 * width + cell.1] = level;
                }
            });
        }
        let guard = fields.lock().unwrap();
        let all_are = |array: &[i64], level: i64| (0..len).all(|i| ring(i / width, i % width) || array[i] == level);
        let last = levels as i64 - 1;
        assert!(all_are(&guard[levels % 2], last), "{waves:?}");
        assert!(all_are(&guard[2], last - 1) && all_are(&guard[3], last - 1), "{waves:?}");
    }

    #[test]
    fn every_cell_is_computed_once_after_what_it_depends_on() {
        for threads in [1, 2, 16] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for n in [[1, 1], [2, 3], [5, 40], [41, 1], [97, 70], [203, 33], [250, 100]] {
                for (levels, columns) in [(1, 1000), (2, 9), (3, 30), (8, 1000), (9, 40)] {
                    pool.install(|| play(n, levels, columns, threads));
                }
            }
        }
    }

    #[test]
    fn threads_have_chunks_enough_and_one_thread_has_no_border() {
        let of = |n: usize, threads: usize| Wavefront::new([n, 3000], 9, 1000, threads);
        assert_eq!([of(1000, 2), of(1000, 1), of(100, 2)].map(|waves| waves.chunks), [4, 1, 1]);
        assert_eq!(of(1000, 2).across, 3);
        assert_eq!(of(1000, 2).columns(1, 2), 984..1984);
        assert_eq!(Wavefront::columns_in(28_000, 1), 1000);
    }
}
