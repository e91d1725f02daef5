//! Sweeps over rows, split into blocks that threads work on. Every row is computed by the same operations whatever the
//! split, so the bits do not depend on it.

use std::ops::Range;

use crate::tiles::Parallelism;

/// An array, or a part of it, that is written row by row.
#[derive(Debug)]
pub(crate) struct Part<'a, T> {
    data: &'a mut [T],
    /// First element of each row.
    starts: &'a [usize],
    /// Row that `data` begins with.
    first: usize,
}

impl<'a, T> Part<'a, T> {
    /// An array whose row `i` begins at `starts[i]`; or nothing.
    pub(crate) fn new(data: Option<&'a mut [T]>, starts: &'a [usize]) -> Self {
        Part { data: data.unwrap_or_default(), starts, first: 0 }
    }
    fn row(&mut self, i: usize) -> &mut [T] {
        if self.data.is_empty() {
            return &mut [];
        }
        let before = self.starts[self.first];
        &mut self.data[self.starts[i] - before..self.starts[i + 1] - before]
    }
    fn split(self, i: usize) -> (Self, Self) {
        let middle = (self.starts[i] - self.starts[self.first]).min(self.data.len());
        let (low, high) = self.data.split_at_mut(middle);
        (Part { data: low, ..self }, Part { data: high, starts: self.starts, first: i })
    }
}

/// Calls `body(i, rows)` for every row of `range`, each with its rows of the arrays.
pub(crate) fn sweep<T: Send, const K: usize>(
    parallelism: Parallelism,
    range: Range<usize>,
    block: usize,
    mut parts: [Part<'_, T>; K],
    body: &(impl Fn(usize, [&mut [T]; K]) + Sync),
) {
    if range.len() <= block {
        for i in range {
            body(i, parts.each_mut().map(|part| part.row(i)));
        }
        return;
    }
    let middle = range.start + range.len() / 2;
    let (mut low, mut high) = ([const { None }; K], [const { None }; K]);
    for (place, part) in parts.into_iter().enumerate() {
        let (l, h) = part.split(middle);
        (low[place], high[place]) = (Some(l), Some(h));
    }
    let [low, high] = [low, high].map(|side| side.map(|part| part.expect("every part was split")));
    let (before, behind) = (range.start..middle, middle..range.end);
    match parallelism {
        Parallelism::Serial => {
            sweep(parallelism, before, block, low, body);
            sweep(parallelism, behind, block, high, body);
        }
        Parallelism::Threads => {
            rayon::join(
                || sweep(parallelism, before, block, low, body),
                || sweep(parallelism, behind, block, high, body),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_seen_once_with_its_elements() {
        for parallelism in [Parallelism::Serial, Parallelism::Threads] {
            for block in 1..9 {
                // Rows 1 to 6; row 3 has no element in the second array, and there is no third array.
                let (mut field, mut frame) = (vec![0; 16], vec![0; 10]);
                let (field_starts, frame_starts) = ([0, 2, 4, 6, 8, 10, 12, 14, 16], [0, 0, 2, 4, 4, 6, 8, 10, 10]);
                let parts = [
                    Part::new(Some(&mut field[..]), &field_starts),
                    Part::new(Some(&mut frame[..]), &frame_starts),
                    Part::new(None, &field_starts),
                ];
                sweep(parallelism, 1..7, block, parts, &|i, [field, frame, none]| {
                    assert!(none.is_empty() && field.len() == 2);
                    field.iter_mut().chain(frame).for_each(|x| *x += i);
                });
                assert_eq!(field, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 0, 0]);
                assert_eq!(frame, [1, 1, 2, 2, 4, 4, 5, 5, 6, 6]);
            }
        }
    }
}
