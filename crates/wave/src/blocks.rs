//! Splitting a field into blocks of planes that threads work on.

use std::ops::Range;

/// How a sweep over a field is carried out. Results have the same bits either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parallelism {
    /// By the calling thread.
    Serial,
    /// By the threads of the current rayon pool.
    Threads,
}

/// How the elements of an array belong to the planes `ix`.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// So many for each plane, with so many before the first.
    Planes { first: usize, each: usize },
    /// So many for each plane of a layer: those below `lo` and those from `hi` on.
    Strip { lo: usize, hi: usize, each: usize },
}

impl Cut {
    /// Index of the first element of plane `ix`.
    pub fn offset(&self, ix: usize) -> usize {
        match *self {
            Cut::Planes { first, each } => first + ix * each,
            Cut::Strip { lo, hi, each } => (ix.min(lo) + ix.saturating_sub(hi)) * each,
        }
    }
}

/// How the elements of a plane belong to its rows `iy`.
#[derive(Clone, Copy, Debug)]
pub enum Rows {
    /// So many for each row, with so many before the first.
    Every { first: usize, each: usize },
    /// So many for each row of a layer: those below `lo` and those from `hi` on.
    Strip { lo: usize, hi: usize, each: usize },
}

/// A part of an array: the elements of a range of planes.
#[derive(Debug)]
pub struct Part<'a, T> {
    cut: Cut,
    rows: Rows,
    offset: usize,
    data: &'a mut [T],
}

impl<'a, T> Part<'a, T> {
    /// A whole array.
    pub fn new(data: &'a mut [T], cut: Cut, rows: Rows) -> Self {
        Part { cut, rows, offset: 0, data }
    }
    /// The elements of row `iy` of plane `ix`; nothing where the array has none.
    #[inline(always)]
    pub fn row(&mut self, ix: usize, iy: usize) -> &mut [T] {
        let place = self.place(ix, iy);
        &mut self.data[place]
    }
    /// All elements from those of row `iy` of plane `ix` on; nothing where the array has none for that row.
    #[inline(always)]
    pub fn from(&mut self, (ix, iy): (usize, usize)) -> &mut [T] {
        let place = self.place(ix, iy);
        if place.is_empty() || self.data.is_empty() { &mut [] } else { &mut self.data[place.start..] }
    }
    /// The same to read.
    #[inline(always)]
    pub fn get(&self, ix: usize, iy: usize) -> &[T] {
        &self.data[self.place(ix, iy)]
    }
    #[inline(always)]
    fn place(&self, ix: usize, iy: usize) -> Range<usize> {
        if matches!(self.cut, Cut::Strip { lo, hi, .. } if ix >= lo && ix < hi) {
            return 0..0;
        }
        let (begin, each) = match self.rows {
            Rows::Every { first, each } => (first + iy * each, each),
            Rows::Strip { lo, hi, .. } if iy >= lo && iy < hi => return 0..0,
            Rows::Strip { lo, hi, each } => ((iy.min(lo) + iy.saturating_sub(hi)) * each, each),
        };
        let begin = self.cut.offset(ix) - self.offset + begin;
        begin..begin + each
    }
    /// The elements of the planes before `ix` and those of the others.
    pub fn split(self, ix: usize) -> (Self, Self) {
        let at = self.cut.offset(ix);
        let middle = at.saturating_sub(self.offset).min(self.data.len());
        let (left, right) = self.data.split_at_mut(middle);
        (
            Part { cut: self.cut, rows: self.rows, offset: self.offset, data: left },
            Part { cut: self.cut, rows: self.rows, offset: self.offset + middle, data: right },
        )
    }
}

/// Calls `body(planes, parts)` for every block of `block` planes of `planes`, each with its parts of the arrays.
pub fn for_each_block<T: Send, const K: usize>(
    parallelism: Parallelism,
    planes: Range<usize>,
    block: usize,
    parts: [Part<'_, T>; K],
    body: &(impl Fn(Range<usize>, [Part<'_, T>; K]) + Sync),
) {
    // Blocks begin at multiples of `block`, so that per-block arrays fit.
    let first = planes.start / block;
    let last = planes.end.div_ceil(block);
    if last <= first + 1 {
        if !planes.is_empty() {
            body(planes, parts);
        }
        return;
    }
    let middle = (first + (last - first) / 2) * block;
    let mut left = [const { None }; K];
    let mut right = [const { None }; K];
    for (i, part) in parts.into_iter().enumerate() {
        let (l, r) = part.split(middle);
        left[i] = Some(l);
        right[i] = Some(r);
    }
    let [left, right] = [left, right].map(|side| side.map(|part| part.expect("every part was split")));
    let (before, behind) = (planes.start..middle, middle..planes.end);
    match parallelism {
        Parallelism::Serial => {
            for_each_block(parallelism, before, block, left, body);
            for_each_block(parallelism, behind, block, right, body);
        }
        Parallelism::Threads => {
            rayon::join(
                || for_each_block(parallelism, before, block, left, body),
                || for_each_block(parallelism, behind, block, right, body),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_seen_once_by_the_block_of_its_plane() {
        for parallelism in [Parallelism::Serial, Parallelism::Threads] {
            for block in 1..12 {
                // 11 planes of 3 rows with one element each; two more elements before the first.
                let (mut field, mut strip) = (vec![0; 2 + 3 * 11], vec![0; 2 * 5]);
                let parts = [
                    Part::new(&mut field, Cut::Planes { first: 2, each: 3 }, Rows::Every { first: 0, each: 1 }),
                    Part::new(&mut strip, Cut::Strip { lo: 2, hi: 8, each: 2 }, Rows::Strip { lo: 1, hi: 2, each: 1 }),
                ];
                for_each_block(parallelism, 0..11, block, parts, &|planes, mut parts| {
                    for (ix, iy) in planes.flat_map(|ix| (0..3).map(move |iy| (ix, iy))) {
                        parts[0].row(ix, iy)[0] += ix as i32 + 1;
                        parts[1].row(ix, iy).iter_mut().for_each(|x| *x += 10 * (ix as i32 + 1) + iy as i32);
                    }
                });
                assert!((0..33).all(|i| field[2 + i] == i as i32 / 3 + 1));
                assert_eq!(strip, vec![10, 12, 20, 22, 90, 92, 100, 102, 110, 112]);
            }
        }
    }
}
