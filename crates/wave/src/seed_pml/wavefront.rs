//! The order in which the rows of some steps are computed.
//!
//! A group of steps ("levels") is computed tile by tile: a few rows at one level, behind them, by a distance that a step cannot
//! reach across, the next level, while what it reads is still in the cache. Threads work on chunks of rows: each level of a
//! chunk ends [`SKEW`] rows farther from its borders than the one before, and what is left there is computed when all chunks
//! are done. Every row is computed by the same operations whatever the order, so the bits do not depend on it.
//!
//! # References
//! Wolf & Lam (1991), "A data locality optimizing algorithm"; Krishnamoorthy et al. (2007), "Effective automatic
//! parallelization of stencil computations", for the split at borders.

use std::ops::Range;

/// Most steps of a group; it may have one level more, to make the last step complete.
pub(super) const MAX_STEPS: usize = 8;
/// Rows that each level stays behind the one before.
pub(super) const SKEW: usize = 3;
/// Rows of a tile.
const TILE: usize = 4;
/// Chunks per thread, where there are rows enough: threads that are done early find more to do.
const CHUNKS_PER_THREAD: usize = 2;

/// Rows of all arrays that a group works on.
pub(super) trait Slab: Send + Sized {
    /// Keeps the rows before `row`, and returns the others.
    fn split_off(&mut self, row: usize) -> Self;
}

/// A part of a level: the rows that are computed, and those whose turn it is of what is made ready for them before, up to one
/// and up to two rows farther.
///
/// Of the level before all rows are computed up to [`SKEW`] away from the rows of this tile. Each row is once in `rows`,
/// once in `near` and once in `far` of a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) level: usize,
    pub(super) rows: Range<usize>,
    pub(super) near: Range<usize>,
    pub(super) far: Range<usize>,
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
    /// Rows without the ring: 1 to n.
    n: usize,
    levels: usize,
    chunks: usize,
}

impl Wavefront {
    /// So many levels of the rows 1 to `n`, shared among threads.
    pub(super) fn new(n: usize, levels: usize, threads: usize) -> Self {
        assert!((1..=MAX_STEPS + 1).contains(&levels), "{levels} levels");
        let least = 2 * levels * SKEW + TILE;
        let chunks = if threads == 1 { 1 } else { (CHUNKS_PER_THREAD * threads).min(n / least).max(1) };
        Wavefront { n, levels, chunks }
    }

    /// Steps of which so many bytes hold what tiles read, with so many bytes for a row of all arrays.
    pub(super) fn steps_in(cache: usize, row: usize) -> usize {
        ((cache / row).saturating_sub(TILE) / SKEW).clamp(1, MAX_STEPS)
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
        1 + chunk * self.n / self.chunks
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

    /// The tiles of a chunk.
    fn chunk(&self, chunk: usize, body: &mut impl FnMut(&Tile)) {
        let all = 1..self.n + 1;
        let (begin, end) = (self.border(chunk), self.border(chunk + 1));
        let rows = |level: usize| {
            let cut = (level + 1) * SKEW;
            let begin = if begin == all.start { begin } else { begin + cut };
            begin..if end == all.end { end } else { end - cut }
        };
        // What is `margin` rows farther than a tile that goes through `rows` of `whole`.
        let ahead = |tile: &Range<usize>, whole: &Range<usize>, margin: usize| {
            let start =
                if tile.start == whole.start { whole.start.saturating_sub(margin) } else { tile.start + margin };
            start.clamp(all.start, all.end)..(tile.end + margin).min(all.end)
        };
        for front in (begin..end + (self.levels - 1) * SKEW).step_by(TILE) {
            for level in 0..self.levels {
                let (behind, whole) = (level * SKEW, rows(level));
                let (first, end) = (front.saturating_sub(behind), (front + TILE).saturating_sub(behind));
                let rows = first.max(whole.start)..end.min(whole.end);
                if rows.is_empty() {
                    continue;
                }
                let (near, far) = (ahead(&rows, &whole, 1), ahead(&rows, &whole, 2));
                body(&Tile { level, rows, near, far });
            }
        }
    }

    /// What chunks leave at a border.
    fn around(&self, border: usize, body: &mut impl FnMut(&Tile)) {
        for level in 0..self.levels {
            let reach = (level + 1) * SKEW;
            let within = |margin: usize| border - reach + margin..border + reach - margin;
            body(&Tile { level, rows: within(0), near: within(1), far: within(2) });
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

    /// Plays a group: of each row the levels that its two fields are at, of its memory, and of what is put into the field.
    fn play(n: usize, levels: usize, threads: usize) {
        let waves = Wavefront::new(n, levels, threads);
        let start = || vec![-1_i64; n + 2];
        // Field `l` stands in array `l % 2`; −1 and −2 are there at the beginning.
        let fields = Mutex::new([start(), vec![-2; n + 2], start(), start()]);
        for phase in [Phase::Chunks, Phase::Borders] {
            waves.visit(phase, Lent(0..n + 2), &|lent: &mut Lent, tile: &Tile| {
                let mut guard = fields.lock().unwrap();
                let [even, odd, memory, put] = &mut *guard;
                let level = tile.level as i64;
                let (now, next) = if tile.level.is_multiple_of(2) { (even, odd) } else { (odd, even) };
                let what = format!("{n} rows, {levels} levels, {threads} threads, {phase:?}, {tile:?}");
                let ring = |i: usize| i == 0 || i == n + 1;
                let reads = |array: &[i64], i: usize, at: i64| {
                    assert!(lent.0.contains(&i), "{what}: row {i} of {:?}", lent.0);
                    assert!(ring(i) || array[i] == at, "{what}: row {i} is at {} instead of {at}", array[i]);
                };
                if level > 0 {
                    // The memory moves on with the new field, as it was before anything was put into it.
                    for i in tile.far.clone() {
                        (i - 1..=i + 1).for_each(|i| reads(now, i, level - 1));
                        (i - 1..=i + 1).for_each(|i| reads(put, i, level - 2));
                        reads(memory, i, level - 2);
                        memory[i] = level - 1;
                    }
                    for i in tile.near.clone() {
                        reads(now, i, level - 1);
                        reads(put, i, level - 2);
                        put[i] = level - 1;
                    }
                }
                for i in tile.rows.clone() {
                    (i - 1..=i + 1).for_each(|i| reads(now, i, level - 1));
                    (i - 1..=i + 1).for_each(|i| reads(put, i, level - 1));
                    (i - 1..=i + 1).for_each(|i| reads(memory, i, level - 1));
                    reads(next, i, level - 2);
                    next[i] = level;
                }
            });
        }
        let guard = fields.lock().unwrap();
        let last = levels as i64 - 1;
        let [newest, memory, put] = [&guard[levels % 2], &guard[2], &guard[3]];
        assert!(newest[1..=n].iter().all(|&level| level == last), "{n} {levels} {threads}");
        assert!([memory, put].into_iter().flat_map(|x| &x[1..=n]).all(|&level| level == last - 1));
    }

    #[test]
    fn every_row_is_computed_once_after_what_it_depends_on() {
        for n in [1, 2, 3, 5, 40, 41, 97, 203, 250] {
            for levels in [1, 2, 3, 8, 9] {
                for threads in [1, 2, 3, 16] {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    pool.install(|| play(n, levels, threads));
                }
            }
        }
    }

    #[test]
    fn threads_have_chunks_enough_and_one_thread_has_no_border() {
        assert_eq!(Wavefront::new(1000, 9, 2).chunks, 4);
        assert_eq!(Wavefront::new(1000, 9, 1).chunks, 1);
        assert_eq!(Wavefront::new(100, 9, 2).chunks, 1);
        assert_eq!([100, 30_000, 60_000, 400_000].map(|row| Wavefront::steps_in(1 << 20, row)), [8, 8, 4, 1]);
    }
}
