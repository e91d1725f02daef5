//! The order in which the parts of some time steps are computed.
//!
//! A group of steps ("levels") is computed tile by tile: a few planes, and of each a few rows, at one level. Behind the
//! tile that is computed at one level, by a distance that the stencil cannot reach across, follows the next level, while
//! what it reads is still in the cache: a wavefront along x, and tiles skewed along y. Threads work on chunks of planes. At the
//! border of two chunks each level ends earlier than the one before; what is left there is computed when both are done.
//! All of it computes the same values as one step after the other, so the bits are the same.
//!
//! # References
//! Wolf & Lam (1991), "A data locality optimizing algorithm", for skewed tiles; Krishnamoorthy et al.
//! (2007), "Effective automatic parallelization of stencil computations", for the split at borders.

use std::ops::{Range, RangeInclusive};

use rayon::prelude::*;

use crate::layout::Layout;

/// How a sweep over a field is carried out. Results have the same bits either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parallelism {
    /// By the calling thread.
    Serial,
    /// By the threads of the current rayon pool.
    Threads,
}

/// Most levels of a group.
pub const MAX_LEVELS: usize = 16;
/// Planes of a tile.
const PLANES: usize = 4;
/// Least planes of a chunk, so that what chunks read of each other matters little.
const LEAST_CHUNK: usize = 16;
/// Chunks per thread, where there are planes enough: threads that are done early find more to do, and do not wait long for each
/// other.
const CHUNKS_PER_THREAD: usize = 2;

/// The shape of tiles: what stays in a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileShape {
    /// Steps that are computed together, at most [`MAX_LEVELS`].
    pub levels: usize,
    /// Rows along y.
    pub rows: usize,
}

/// Bytes of a tile and of what it reads: they should stay in the second-level cache.
const CACHE: usize = 1 << 20;
/// Most levels that are chosen unless asked for.
const ENOUGH_LEVELS: usize = 8;

impl TileShape {
    /// One step after the other, in blocks that stay in the second-level cache.
    pub const PLAIN: TileShape = TileShape { levels: 1, rows: 64 };

    /// What is worth trying on a grid with scalars of some bytes, the likely best first.
    pub fn candidates(layout: &Layout, scalar: usize) -> [TileShape; 2] {
        let likely = TileShape::of(layout, scalar);
        let several =
            if layout.dims == 3 { TileShape { levels: 3, rows: 64 } } else { TileShape { levels: 4, ..likely } };
        [likely, if likely == TileShape::PLAIN { several } else { TileShape::PLAIN }]
    }

    /// The shape for a grid and scalars of some bytes: in 2-D, where the arrays of a step do not stay in the cache,
    /// as many levels as do. In 3-D a wavefront does not fit: what it saves at its front it reads again at its sides.
    pub fn of(layout: &Layout, scalar: usize) -> TileShape {
        let (arrays, reach) = (3 * scalar, layout.reach());
        if layout.dims == 3 || arrays * layout.len <= 2 * CACHE {
            return TileShape::PLAIN;
        }
        let planes = CACHE / (arrays * layout.strides[0]);
        let levels = planes.saturating_sub(PLANES + 2 * reach) / reach.next_multiple_of(PLANES);
        TileShape { levels: levels.clamp(1, ENOUGH_LEVELS), ..TileShape::PLAIN }
    }
}

/// A part of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Which step of the group.
    pub level: usize,
    /// The planes.
    pub planes: Range<usize>,
    /// The rows of each.
    pub rows: Range<usize>,
}

impl Tile {
    /// Planes and rows.
    pub fn places(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let rows = self.rows.clone();
        self.planes.clone().flat_map(move |ix| rows.clone().map(move |iy| [ix, iy]))
    }
}

/// The tiles of a grid.
#[derive(Clone, Debug)]
pub struct Tiling {
    shape: TileShape,
    /// How far each level stays behind the one before.
    skew: usize,
    reach: usize,
    /// Planes and rows.
    n: [usize; 2],
    threads: usize,
    /// Where borders between chunks may be: not in the layer of axis x.
    between: RangeInclusive<usize>,
}

impl Tiling {
    /// The tiles of a grid. A point of a step may depend on points up to `reach` away one step before, and what is in the
    /// layer of axis x on what is `reach` away in the same step.
    pub fn new(layout: &Layout, shape: TileShape, reach: usize, parallelism: Parallelism) -> Self {
        let n = [layout.n[0], layout.n[1]];
        let shape = TileShape { levels: shape.levels.clamp(1, MAX_LEVELS), rows: shape.rows.max(1) };
        let skew = reach.next_multiple_of(PLANES);
        let threads = if parallelism == Parallelism::Threads { rayon::current_num_threads() } else { 1 };
        // A border leaves room for the levels to end earlier, away from the layer.
        let room = (shape.levels - 1) * skew;
        let first = (layout.lo[0] + reach).max(PLANES) + room;
        let last = (layout.high(0).min(n[0] - PLANES.min(n[0]))).saturating_sub(reach + room);
        Tiling { shape, skew, reach, n, threads, between: first..=last }
    }

    /// How many chunks there are, and where each begins; the next begins where one ends, at last the end of the grid. They share the `busy`
    /// planes evenly.
    fn chunks(&self, busy: &Range<usize>) -> (usize, impl Fn(usize) -> usize + Sync) {
        // Away from the next border, too.
        let least = LEAST_CHUNK.max(2 * (self.shape.levels - 1) * self.skew + self.reach) + PLANES;
        let chunks = if self.threads > 1 { (CHUNKS_PER_THREAD * self.threads).min(busy.len() / least) } else { 1 };
        let (start, len, end) = (busy.start, busy.len(), self.n[0]);
        let even = move |i: usize| (start + i * len / chunks).next_multiple_of(PLANES);
        let inner = (1..chunks).filter(|&i| self.between.contains(&even(i)));
        let (first, chunks) = (inner.clone().next().unwrap_or(1), inner.count() + 1);
        let border = move |chunk: usize| match chunk {
            0 => 0,
            _ if chunk == chunks => end,
            _ => even(first + chunk - 1),
        };
        (chunks, border)
    }

    /// Most levels of a group.
    pub fn levels(&self) -> usize {
        self.shape.levels
    }

    /// Most rows of a tile.
    pub fn most_rows(&self) -> usize {
        let last = self.shape.rows + (self.shape.levels - 1) * self.skew;
        PLANES * last.min(self.n[1])
    }

    /// Calls `body` for every tile of a group of levels, each after those that it depends on. Threads share the `busy` planes; there is
    /// little to do in others.
    ///
    /// Tiles that are computed at the same time belong to different chunks, or to the surroundings of different borders: at
    /// level `l`, chunk `a..b` has the planes from `a + l skew` to `b − l skew`, border `b` those between.
    pub fn visit(&self, levels: usize, busy: &Range<usize>, body: &(impl Fn(&Tile) + Sync)) {
        assert!((1..=self.shape.levels).contains(&levels), "{levels} levels");
        let (chunks, border) = self.chunks(busy);
        if chunks == 1 {
            self.chunk(0..self.n[0], levels, body);
            return;
        }
        let of = |chunk: usize| border(chunk)..border(chunk + 1);
        (0..chunks).into_par_iter().with_max_len(1).for_each(|chunk| self.chunk(of(chunk), levels, body));
        if levels > 1 {
            (1..chunks).into_par_iter().with_max_len(1).for_each(|chunk| self.border(border(chunk), levels, body));
        }
    }

    /// The tiles of a chunk, as a wavefront along x for each tile along y.
    fn chunk(&self, Range { start: begin, end }: Range<usize>, levels: usize, body: &impl Fn(&Tile)) {
        let planes = |level: usize| {
            let begin = if begin == 0 { 0 } else { begin + level * self.skew };
            begin..if end == self.n[0] { end } else { end - level * self.skew }
        };
        for tile in 0..self.tiles() {
            for front in (begin..end + (levels - 1) * self.skew).step_by(PLANES) {
                for level in 0..levels {
                    let Some(first) = front.checked_sub(level * self.skew) else { break };
                    let all = planes(level);
                    let planes = first.max(all.start)..(first + PLANES).min(all.end);
                    self.call(level, planes, tile, body);
                }
            }
        }
    }

    /// The tiles that two chunks leave at their border.
    fn border(&self, middle: usize, levels: usize, body: &impl Fn(&Tile)) {
        for tile in 0..self.tiles() {
            for level in 1..levels {
                let all = middle - level * self.skew..middle + level * self.skew;
                for first in all.clone().step_by(PLANES) {
                    self.call(level, first..(first + PLANES).min(all.end), tile, body);
                }
            }
        }
    }

    fn call(&self, level: usize, planes: Range<usize>, tile: usize, body: &impl Fn(&Tile)) {
        let rows = self.row(tile, level)..self.row(tile + 1, level);
        if !planes.is_empty() && !rows.is_empty() {
            body(&Tile { level, planes, rows });
        }
    }

    /// Tiles along y.
    fn tiles(&self) -> usize {
        self.n[1].div_ceil(self.shape.rows)
    }

    /// The first row of a tile at a level.
    fn row(&self, tile: usize, level: usize) -> usize {
        if tile == self.tiles() { self.n[1] } else { (tile * self.shape.rows).saturating_sub(level * self.skew) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use treewave_core::Grid;

    use super::*;
    use crate::layout::{Boundary, Top};

    /// Visits the tiles of a grid; every point must be computed once at each level, after what it depends on, and nothing that
    /// others still need may be overwritten.
    fn check(shape: [usize; 2], width: usize, radius: usize, tile: TileShape, reach: usize, threads: usize) {
        let grid = Grid::new(&[shape[0], shape[1], 9], &[1.0; 3], &[0.0; 3]).unwrap();
        let layout = Layout::new(&grid, Boundary { width_cells: width, top: Top::Absorbing }, radius);
        let [nx, ny, _] = layout.n;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let tiling = pool.install(|| Tiling::new(&layout, tile, reach, Parallelism::Threads));
        for (levels, busy) in [(tiling.levels(), 0..nx), (1, 0..nx), (tiling.levels(), nx / 3..nx / 2)] {
            // Level of which each point of both arrays is the result; −1 before the group, −2 two steps before.
            let fields = Mutex::new([vec![-1_i64; nx * ny], vec![-2; nx * ny]]);
            pool.install(|| {
                tiling.visit(levels, &busy, &|tile| {
                    let level = tile.level as i64;
                    let mut fields = fields.lock().unwrap();
                    for (ix, iy) in tile.planes.clone().flat_map(|ix| tile.rows.clone().map(move |iy| (ix, iy))) {
                        let near = |i: usize, n: usize| i.saturating_sub(reach)..(i + reach + 1).min(n);
                        for (x, y) in near(ix, nx).map(|x| (x, iy)).chain(near(iy, ny).map(|y| (ix, y))) {
                            assert_eq!(fields[tile.level % 2][x * ny + y], level - 1, "{tile:?} reads {x} {y}");
                        }
                        let written = &mut fields[1 - tile.level % 2][ix * ny + iy];
                        assert_eq!(*written, level - 2, "{tile:?} writes");
                        *written = level;
                    }
                });
            });
            let fields = fields.into_inner().unwrap();
            assert!(fields[levels % 2].iter().all(|&level| level == levels as i64 - 1));
        }
    }

    #[test]
    fn every_point_is_computed_once_after_what_it_depends_on() {
        for threads in [1, 2, 5] {
            for (levels, rows) in [(1, 64), (1, 3), (2, 16), (3, 5), (4, 24), (16, 8)] {
                for (radius, reach) in [(1, 2), (2, 4), (4, 4), (8, 8)] {
                    for (shape, width) in [([150, 31], 10), ([90, 1], 20), ([3, 2], 0), ([1, 40], 3)] {
                        check(shape, width, radius, TileShape { levels, rows }, reach, threads);
                    }
                }
            }
        }
    }

    #[test]
    fn threads_share_the_busy_planes_evenly_in_chunks_that_keep_the_layer_whole() {
        let grid = Grid::new(&[256, 9, 9], &[1.0; 3], &[0.0; 3]).unwrap();
        let layout = Layout::new(&grid, Boundary { width_cells: 20, top: Top::Absorbing }, 4);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for levels in [1, 3] {
            let shape = TileShape { levels, rows: 64 };
            let tiling = pool.install(|| Tiling::new(&layout, shape, 4, Parallelism::Threads));
            let room = 4 * (levels - 1) + 4;
            for (busy, most) in [(0..296, 52), (100..260, 32), (0..120, 48), (280..296, 16)] {
                let (chunks, border) = tiling.chunks(&busy);
                let borders = (0..=chunks).map(border).collect::<Vec<_>>();
                let shares =
                    borders.windows(2).map(|chunk| chunk[1].min(busy.end).saturating_sub(chunk[0].max(busy.start)));
                assert!(shares.clone().sum::<usize>() == busy.len() && shares.max() <= Some(most), "{borders:?}");
                let inner = &borders[1..borders.len() - 1];
                assert!(inner.iter().all(|b| (20 + room..=276 - room).contains(b)), "{borders:?}");
            }
            let alone = Tiling::new(&layout, shape, 4, Parallelism::Serial);
            assert_eq!(alone.chunks(&(0..296)).0, 1);
        }
    }
}
