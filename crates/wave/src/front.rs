//! How far a wave has come: steps are computed only where it can have arrived.
//!
//! Where nothing has arrived a field is zero, exactly: kernels set to zero what is below a threshold far below round-off, so
//! the scheme's precursors, which run ahead of the wave by a reach per step, end a little before it. What was not zero
//! spreads in a step by at most a reach. Leaving out the rest therefore changes no bit.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use treewave_core::Real;

use crate::layout::Layout;
use crate::points::Points;
use crate::tiles::Tile;

/// Some planes, some rows of each, and how far down the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub planes: Range<usize>,
    pub rows: Range<usize>,
    /// Cells of a row, from its begin on.
    pub depth: usize,
}

impl Extent {
    /// The whole grid.
    pub fn all(layout: &Layout) -> Self {
        Extent { planes: 0..layout.n[0], rows: 0..layout.n[1], depth: layout.n[2] }
    }

    /// The least that has all points.
    pub fn of<T: Real>(points: &Points<T>) -> Self {
        let along = |axis: usize| {
            let cells = || points.cells().iter().map(|cell| cell[axis]);
            cells().min().unwrap_or(0)..cells().max().map_or(0, |last| last + 1)
        };
        Extent { planes: along(0), rows: along(1), depth: along(2).end }
    }

    /// How many cells it has.
    pub fn cells(&self) -> usize {
        self.planes.len() * self.rows.len() * self.depth
    }

    /// What is up to `distance` away.
    pub fn grown(&self, distance: usize, layout: &Layout) -> Self {
        let grow = |range: &Range<usize>, n: usize| range.start.saturating_sub(distance)..(range.end + distance).min(n);
        let depth = (self.depth + distance).min(layout.n[2]);
        Extent { planes: grow(&self.planes, layout.n[0]), rows: grow(&self.rows, layout.n[1]), depth }
    }

    /// The rows of a tile that stand before, in and behind it, and whether they belong to it.
    pub fn cut(&self, tile: &Tile) -> impl Iterator<Item = (Tile, bool)> {
        let Tile { level, planes, rows } = tile.clone();
        let within = |row: usize| row.clamp(rows.start, rows.end);
        let meet = self.planes.start < planes.end && planes.start < self.planes.end;
        let (start, end) = if meet { (within(self.rows.start), within(self.rows.end)) } else { (rows.end, rows.end) };
        let parts = [(rows.start..start, false), (start..end, true), (end..rows.end, false)];
        let tile = move |(rows, inside)| (Tile { level, planes: planes.clone(), rows }, inside);
        parts.into_iter().filter(|(rows, _)| !rows.is_empty()).map(tile)
    }

    /// Whether some of a tile belongs to it.
    pub fn meets(&self, tile: &Tile) -> bool {
        self.cut(tile).any(|(_, inside)| inside)
    }

    /// What a wave has reached when it has spread by at most `distance`, and down to `depth`: with this, all of a field that is not
    /// zero. `is_silent` tells whether a part of it is zero.
    pub fn after(
        &self,
        distance: usize,
        depth: usize,
        is_silent: impl Fn(Range<usize>) -> bool,
        layout: &Layout,
    ) -> Self {
        let (inner, Extent { mut planes, mut rows, .. }) = (self, self.grown(distance, layout));
        let silent = |planes: Range<usize>, rows: Range<usize>| {
            planes.into_iter().all(|ix| {
                let (first, last) = (layout.index([ix, rows.start, 0]), layout.index([ix, rows.end - 1, 0]));
                is_silent(first..last + layout.n[2])
            })
        };
        while planes.start < inner.planes.start && silent(planes.start..planes.start + 1, rows.clone()) {
            planes.start += 1;
        }
        while planes.end > inner.planes.end && silent(planes.end - 1..planes.end, rows.clone()) {
            planes.end -= 1;
        }
        while rows.start < inner.rows.start && silent(planes.clone(), rows.start..rows.start + 1) {
            rows.start += 1;
        }
        while rows.end > inner.rows.end && silent(planes.clone(), rows.end - 1..rows.end) {
            rows.end -= 1;
        }
        Extent { planes, rows, depth }
    }
}

/// Whether all values are zero.
pub(crate) fn all_zero<T: Copy + PartialEq>(values: &[T], zero: T) -> bool {
    // Without an early exit, the look at a chunk is a few vector instructions.
    values.chunks(1024).all(|chunk| !chunk.iter().fold(false, |any, &x| any | (x != zero)))
}

/// The least number of cells, not below `depth`, behind which rows are zero.
pub(crate) fn deepest_of<'a, T: Copy + PartialEq + 'a>(
    rows: impl Iterator<Item = &'a [T]>,
    zero: T,
    depth: usize,
) -> usize {
    rows.fold(depth, |depth, row| {
        (depth..row.len()).find(|&depth| all_zero(&row[depth..], zero)).unwrap_or(row.len().max(depth))
    })
}

/// How far the wave of a shot has come after each step. It is learnt when the steps are made for the first time, and holds
/// whenever they are made again.
#[derive(Debug)]
pub(crate) struct Front {
    /// What has been reached up to step 0, 1, …
    reached: Mutex<Vec<Extent>>,
}

impl Front {
    /// Of a wave that begins at some points, for so many steps.
    pub fn of<T: Real>(source: &Points<T>, steps: usize) -> Self {
        let mut reached = Vec::with_capacity(steps + 1);
        reached.push(Extent::of(source));
        Front { reached: Mutex::new(reached) }
    }

    /// Of a wave that may be anywhere.
    pub fn everywhere() -> Self {
        Front { reached: Mutex::default() }
    }

    /// Of a wave that stays where it is for so many steps.
    pub fn standing(extent: Extent, steps: usize) -> Self {
        Front { reached: Mutex::new(vec![extent; steps + 1]) }
    }

    /// Bytes of what will be known after so many steps.
    pub fn bytes(steps: usize) -> usize {
        (steps + 1) * size_of::<Extent>()
    }

    /// What has been reached up to a step.
    pub fn at(&self, step: usize, layout: &Layout) -> Extent {
        self.reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(step)
            .cloned()
            .unwrap_or_else(|| Extent::all(layout))
    }

    /// Looks at the field after `levels` steps from `step`, each of which spread by at most `reach`, all of them down to `depth`:
    /// `is_silent` tells whether a part of it is zero.
    pub fn learn(
        &self,
        step: usize,
        levels: usize,
        reach: usize,
        depth: usize,
        is_silent: impl Fn(Range<usize>) -> bool,
        layout: &Layout,
    ) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if reached.len() != step + 1 {
            return;
        }
        let extent = reached[step].after(levels * reach, depth, is_silent, layout);
        reached.extend(std::iter::repeat_n(extent, levels));
    }
}
