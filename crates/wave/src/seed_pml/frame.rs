//! Where the auxiliary fields live: in the layer, and one cell beside it.

use std::ops::Range;

use treewave_core::Real;

use super::program::ALIGN;
use super::rows::Rows;

/// The part of a row that a kernel works on at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The cells of the layer at the beginning of the row.
    Low,
    /// The cells between.
    Centre,
    /// The cells of the layer at its end.
    High,
}

impl Piece {
    pub(crate) const ALL: [Piece; 3] = [Piece::Low, Piece::Centre, Piece::High];
}

/// A frame of cells around the interior: some rows are stored whole, of the others only both ends.
///
/// The frame is the layer with at least one cell more on the inside: the auxiliary fields are zero there, but the field feels
/// their neighbours. Each stored piece has one more element at either end, which is never written and stays zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Cells along x and z, the ring left out.
    n: [usize; 2],
    /// Whole rows at either end of x.
    rows: [usize; 2],
    /// Cells at either end of each other row.
    cells: [usize; 2],
    /// First element of row `i`; one entry more than rows with the ring.
    starts: Vec<usize>,
}

/// The two widths with one cell of reach; one piece for all where they meet.
fn with_reach(n: usize, layer: [usize; 2]) -> [usize; 2] {
    let [low, high] = layer.map(|width| if width == 0 { 0 } else { width + 1 });
    if low + high >= n && low + high > 0 { [n, 0] } else { [low, high] }
}

/// The two widths, wider by what makes the piece between begin and end at a multiple of [`ALIGN`], where there is room: its
/// vectors then begin at cache lines.
fn whole_lines(n: usize, [low, high]: [usize; 2]) -> [usize; 2] {
    let first = if low == 0 { 1 } else { (low + 1).next_multiple_of(ALIGN) };
    let end = n + 1 - high;
    let end = if high == 0 { end } else { end - end % ALIGN };
    if first < end { [first - 1, n + 1 - end] } else { [low, high] }
}

impl Frame {
    /// The frame of `n` cells along x and z with a layer of so many cells at either end of either axis.
    pub fn new(n: [usize; 2], layer: [[usize; 2]; 2]) -> Self {
        let cells = whole_lines(n[1], with_reach(n[1], layer[1]));
        let mut frame = Frame { n, rows: with_reach(n[0], layer[0]), cells, starts: Vec::new() };
        let ends = frame.cells.map(|cells| if cells == 0 { 0 } else { cells + 2 });
        let mut next = 0;
        for i in 0..=n[0] + 1 {
            frame.starts.push(next);
            next += match i {
                0 => 0,
                i if i > n[0] => 0,
                i if frame.is_whole(i) => n[1] + 2,
                _ => ends[0] + ends[1],
            };
        }
        frame.starts.push(next);
        frame
    }

    /// Elements of an array on the frame.
    pub fn elements(&self) -> usize {
        self.starts[self.n[0] + 1]
    }
    /// First element of each row, from the ring on.
    pub(crate) fn starts(&self) -> &[usize] {
        &self.starts
    }
    /// Whether row `i` (from 1) is stored whole.
    pub(crate) fn is_whole(&self, i: usize) -> bool {
        (1..=self.rows[0]).contains(&i) || (i + self.rows[1] > self.n[0] && i <= self.n[0])
    }
    /// The cells `k` (from 1) of a piece.
    pub(crate) fn range(&self, piece: Piece) -> Range<usize> {
        let (low, high) = (1 + self.cells[0], 1 + self.n[1] - self.cells[1]);
        match piece {
            Piece::Low => 1..low,
            Piece::Centre => low..high,
            Piece::High => high..self.n[1] + 1,
        }
    }
    /// Where a piece of row `i` stands within the stored row, without its zeros at the ends; nothing where it is not stored.
    pub(crate) fn within(&self, i: usize, piece: Piece) -> Option<Range<usize>> {
        let cells = self.range(piece);
        if cells.is_empty() {
            return None;
        }
        if self.is_whole(i) {
            return Some(cells);
        }
        let low = if self.cells[0] == 0 { 0 } else { self.cells[0] + 2 };
        match piece {
            Piece::Low => Some(cells),
            Piece::Centre => None,
            Piece::High => Some(low + 1..low + 1 + cells.len()),
        }
    }
    /// Where some cells of a piece of row `i` stand within the stored row; nothing where they are not stored.
    pub(super) fn cells_within(&self, i: usize, piece: Piece, cells: &Range<usize>) -> Option<Range<usize>> {
        let first = self.within(i, piece)?.start + cells.start - self.range(piece).start;
        Some(first..first + cells.len())
    }
    /// Some cells of a piece of row `i` of an array, with one element more at either end; zeros where nothing is stored.
    pub(super) fn with_ends<'a, T>(
        &self,
        array: Rows<'a, T>,
        i: usize,
        (piece, cells): (Piece, &Range<usize>),
        zeros: &'a [T],
    ) -> &'a [T] {
        let stored = (1..=self.n[0]).contains(&i).then(|| self.cells_within(i, piece, cells)).flatten();
        match stored {
            Some(within) => &array.row(i)[within.start - 1..within.end + 1],
            None => &zeros[..cells.len() + 2],
        }
    }
    /// An array of the frame spread over all points `(x, z)`, the ring included; zero where nothing is stored.
    pub fn spread<T: Real>(&self, array: &[T]) -> Vec<T> {
        let width = self.n[1] + 2;
        let mut points = vec![T::ZERO; (self.n[0] + 2) * width];
        for i in 1..=self.n[0] {
            for piece in Piece::ALL {
                if let Some(within) = self.within(i, piece) {
                    let from = &array[self.starts[i]..][within];
                    points[i * width..][self.range(piece)].copy_from_slice(from);
                }
            }
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_of_the_layer_and_beside_it_is_stored_once_and_no_other() {
        for (n, layer) in [
            ([9, 8], [[2, 3], [1, 2]]),
            ([9, 8], [[2, 3], [0, 2]]),
            ([9, 8], [[0, 0], [0, 0]]),
            ([9, 8], [[0, 0], [2, 0]]),
            ([9, 8], [[5, 3], [1, 1]]),
            ([9, 8], [[1, 1], [4, 3]]),
            ([3, 1], [[1, 1], [1, 0]]),
        ] {
            let frame = Frame::new(n, layer);
            let mut seen = vec![0; frame.elements()];
            for i in 1..=n[0] {
                for k in 1..=n[1] {
                    let near = |at: usize, n: usize, [low, high]: [usize; 2]| {
                        (low > 0 && at <= low + 1) || (high > 0 && at + high + 1 > n)
                    };
                    let expected = near(i, n[0], layer[0]) || near(k, n[1], layer[1]);
                    let piece = Piece::ALL.into_iter().find(|&p| frame.range(p).contains(&k)).unwrap();
                    let within = frame.within(i, piece);
                    assert!(!expected || within.is_some(), "{n:?} {layer:?}: cell {i}, {k}");
                    if let Some(within) = within {
                        seen[frame.starts[i] + within.start + k - frame.range(piece).start] += 1;
                    }
                }
            }
            assert!(seen.iter().all(|&count| count <= 1), "{n:?} {layer:?}: {seen:?}");
            // What is not a cell is a zero at the end of a piece: two per stored row or piece.
            let cells = seen.iter().filter(|&&count| count == 1).count();
            assert!(frame.elements() <= cells + 4 * n[0], "{n:?} {layer:?}");
        }
        let wide = Frame::new([1000, 1000], [[11, 11], [11, 11]]);
        // 15 and 17 cells at the ends of a row: the piece between goes from cell 16 to cell 984.
        assert_eq!(wide.range(Piece::Centre), 16..984);
        assert_eq!(wide.elements(), 24 * 1002 + 976 * 36);
    }
}
