//! Arrays that are stored row by row, and parts of them.

use std::ops::Range;

use super::wavefront::Cells;

/// Rows of an array, to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a, T> {
    data: &'a [T],
    /// First element of each row of the array.
    starts: &'a [usize],
    /// Row that `data` begins with.
    first: usize,
}

impl<'a, T> Rows<'a, T> {
    /// An array whose row `i` begins at `starts[i]`.
    pub(super) fn new(data: &'a [T], starts: &'a [usize]) -> Self {
        Rows { data, starts, first: 0 }
    }
    /// A row.
    pub(super) fn row(&self, i: usize) -> &'a [T] {
        let before = self.starts[self.first];
        &self.data[self.starts[i] - before..self.starts[i + 1] - before]
    }
}

/// Rows of an array, to write, or only to read; or nothing.
#[derive(Debug)]
pub(super) struct Part<'a, T> {
    data: Data<'a, T>,
    starts: &'a [usize],
    first: usize,
}

#[derive(Debug)]
enum Data<'a, T> {
    Write(&'a mut [T]),
    Read(&'a [T]),
}

impl<'a, T> Part<'a, T> {
    /// An array whose row `i` begins at `starts[i]`; or nothing.
    pub(super) fn new(data: Option<&'a mut [T]>, starts: &'a [usize]) -> Self {
        Part { data: Data::Write(data.unwrap_or_default()), starts, first: 0 }
    }
    /// An array that is only read.
    pub(super) fn to_read(data: &'a [T], starts: &'a [usize]) -> Self {
        Part { data: Data::Read(data), starts, first: 0 }
    }
    fn data(&self) -> &[T] {
        match &self.data {
            Data::Write(data) => data,
            Data::Read(data) => data,
        }
    }
    /// Whether there is nothing.
    pub(super) fn is_nothing(&self) -> bool {
        self.data().is_empty()
    }
    /// The rows, to read.
    pub(super) fn rows(&self) -> Rows<'_, T> {
        Rows { data: self.data(), starts: self.starts, first: self.first }
    }
    /// A row; empty if there is nothing.
    pub(super) fn row(&mut self, i: usize) -> &mut [T] {
        let Data::Write(data) = &mut self.data else { panic!("an array that is only read") };
        if data.is_empty() {
            return &mut [];
        }
        let before = self.starts[self.first];
        &mut data[self.starts[i] - before..self.starts[i + 1] - before]
    }
    /// Keeps the rows before `row`, and returns the others.
    pub(super) fn split_off(&mut self, row: usize) -> Self {
        let middle = (self.starts[row] - self.starts[self.first]).min(self.data().len());
        let (low, high) = match std::mem::replace(&mut self.data, Data::Read(&[])) {
            Data::Write(data) => {
                let (low, high) = data.split_at_mut(middle);
                (Data::Write(low), Data::Write(high))
            }
            Data::Read(data) => {
                let (low, high) = data.split_at(middle);
                (Data::Read(low), Data::Read(high))
            }
        };
        self.data = low;
        Part { data: high, starts: self.starts, first: row }
    }
}

/// Points that belong to rows, sorted by them, with so many values each, to write.
#[derive(Debug)]
pub(super) struct PointsPart<'a, T> {
    pub(super) points: &'a [Point],
    pub(super) values: &'a mut [T],
    each: usize,
}

/// A point of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) row: usize,
    pub(super) column: usize,
}

/// The points that stand in some rows, of a list that is sorted by rows.
pub(super) fn within(points: &[Point], rows: &Range<usize>) -> Range<usize> {
    points.partition_point(|point| point.row < rows.start)..points.partition_point(|point| point.row < rows.end)
}

impl<'a, T> PointsPart<'a, T> {
    /// Points with `each` values, or with none at all.
    pub(super) fn new(points: &'a [Point], values: Option<&'a mut [T]>, each: usize) -> Self {
        match values {
            Some(values) => PointsPart { points, values, each },
            None => PointsPart { points: &[], values: &mut [], each },
        }
    }
    /// Keeps the points before `row`, and returns the others.
    pub(super) fn split_off(&mut self, row: usize) -> Self {
        let (low, high) = self.points.split_at(within(self.points, &(0..row)).end);
        let (kept, rest) = std::mem::take(&mut self.values).split_at_mut(low.len() * self.each);
        (self.points, self.values) = (low, kept);
        PointsPart { points: high, values: rest, each: self.each }
    }
    /// Value `n` of every point in some columns of some rows becomes what `value` says of the point.
    pub(super) fn set(&mut self, cells: &Cells, n: usize, value: impl Fn(Point) -> T) {
        for i in within(self.points, &cells.rows).filter(|&i| cells.columns.contains(&self.points[i].column)) {
            self.values[i * self.each + n] = value(self.points[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_part_with_its_elements() {
        // Row 3 has one element only; rows 0 and 7 are the ring.
        let starts = [0, 0, 2, 4, 5, 7, 9, 11, 11];
        let mut data: Vec<usize> = (0..11).collect();
        let mut low = Part::new(Some(&mut data[..]), &starts);
        let mut high = low.split_off(4);
        let mut none = Part::<usize>::new(None, &starts);
        assert!(none.split_off(4).is_nothing() && none.row(3).is_empty() && !high.is_nothing());
        for (part, i, row) in [(&mut low, 2, &[2, 3][..]), (&mut high, 4, &[5, 6])] {
            assert_eq!(part.row(i), row);
            assert_eq!(part.rows().row(i), row);
        }
        assert_eq!((low.row(3), high.row(6)), (&mut [4][..], &mut [9, 10][..]));
        assert!(high.row(7).is_empty());
        assert_eq!(Rows::new(&[7; 11], &starts).row(3), [7]);
        let mut low = Part::to_read(&[7; 11], &starts);
        assert_eq!((low.split_off(4).rows().row(6), low.rows().row(2)), (&[7, 7][..], &[7, 7][..]));
    }

    #[test]
    fn points_go_with_their_rows() {
        let points = [(2, 5), (2, 6), (4, 1), (9, 3)].map(|(row, column)| Point { row, column });
        let mut values = [0; 8];
        let mut low = PointsPart::new(&points, Some(&mut values), 2);
        let mut high = low.split_off(4);
        assert_eq!((low.points.len(), high.points.len()), (2, 2));
        low.set(&Cells { rows: 0..4, columns: 0..9 }, 1, |point| 10 * point.row + point.column);
        high.set(&Cells { rows: 0..10, columns: 2..9 }, 0, |point| point.column);
        assert_eq!(values, [0, 25, 0, 26, 0, 0, 3, 0]);
        assert_eq!(within(&points, &(2..4)), 0..2);
        assert_eq!(within(&points, &(5..9)), 3..3);
    }
}
