//! The cost tables of the two-level game, and the decisions read from them.
//!
//! With D rows of N lengths the work is N²D/2 sums. Where that is affordable, every length is in the table and the
//! result is the optimum. Above, lengths are sampled: all short ones, then 2^bits per octave, with straight lines in
//! between; every cut of a span is still tried at each sampled length of its left and of its right part. The tests
//! compare the cost of the schedules so found with the optimum.

use super::Costs;
use super::grid::Grid;
use crate::schedule::revolve::revolve_advances;

/// Sums spent on a table with all lengths: about a second on one core.
const EXACT_SUMS: f64 = 1.4e9;

/// Longest chain whose table holds all lengths: reading a cut from it takes as many sums.
const EXACT_LENGTH: usize = 6000;

/// How much work a table may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// All lengths where affordable, finely sampled lengths elsewhere.
    Full,
    /// Coarsely sampled lengths.
    Rough,
    /// Finely sampled lengths, however few they are: for tests.
    #[cfg(test)]
    Sampled,
}

/// Costs without the constant share of the adjoint steps, by length.
pub(super) struct Table {
    grid: Grid,
    costs: Costs,
    /// M: without disk.
    memory: Vec<f64>,
    /// Rows for 1, 2, … disk slots; a longer supply of slots is served by the last one.
    rows: Vec<Row>,
    /// Disk slots to spend; `None` if the only row is that of an unlimited supply.
    slots: Option<usize>,
}

/// The costs with a number of disk slots.
struct Row {
    /// K: the first state is in one of the slots.
    on_disk: Vec<f64>,
    /// F: the first state is the working state.
    free: Vec<f64>,
}

impl Table {
    pub(super) fn new(
        longest: usize,
        memory_slots: usize,
        disk_slots: Option<usize>,
        costs: &Costs,
        effort: Effort,
    ) -> Self {
        let unlimited = |grid| {
            let mut table = Table::empty(grid, memory_slots, costs, None);
            let row = table.fill(None);
            table.rows.push(row);
            table
        };
        if disk_slots == Some(0) {
            return Table::empty(Table::grid(longest, 1, effort), memory_slots, costs, Some(0));
        }
        let table = unlimited(Table::grid(longest, 1, effort));
        let Some(slots) = disk_slots.filter(|&slots| slots < table.disk_slots_used(longest)) else {
            return table;
        };
        let mut table = Table::empty(Table::grid(longest, slots, effort), memory_slots, costs, Some(slots));
        while table.rows.len() < slots {
            let row = table.fill(Some(table.rows.len()));
            // what one more slot does not improve, no further slot does
            if table.rows.last().is_some_and(|last| last.on_disk == row.on_disk && last.free == row.free) {
                break;
            }
            table.rows.push(row);
        }
        table
    }

    /// The lengths for a number of rows.
    fn grid(longest: usize, rows: usize, effort: Effort) -> Grid {
        let exact_sums = 0.5 * (longest as f64).powi(2) * rows as f64;
        let (finest, sums) = match effort {
            Effort::Full if longest <= EXACT_LENGTH && exact_sums <= EXACT_SUMS => return Grid::exact(longest),
            Effort::Full => (8, 3e8),
            Effort::Rough => (4, 5e6),
            #[cfg(test)]
            Effort::Sampled => (8, 3e8),
        };
        let affordable = |bits: &u32| (Grid::new(longest, *bits).points() as f64).powi(2) * rows as f64 <= sums;
        Grid::new(longest, (2..=finest).rev().find(affordable).unwrap_or(2))
    }

    fn empty(grid: Grid, memory_slots: usize, costs: &Costs, slots: Option<usize>) -> Self {
        let in_memory = |index| match revolve_advances(grid.length(index), memory_slots) {
            Some(advances) => costs.advance * advances as f64,
            None => f64::INFINITY,
        };
        Table { memory: (0..grid.points()).map(in_memory).collect(), grid, costs: *costs, rows: Vec::new(), slots }
    }

    /// The row for one more disk slot than the rows so far; for an unlimited supply without `rows_below`.
    fn fill(&self, rows_below: Option<usize>) -> Row {
        if self.grid.points() == self.grid.length(self.grid.points() - 1) + 1 {
            self.fill_exactly(rows_below)
        } else {
            self.fill_sampled(rows_below)
        }
    }

    /// The free costs that the right part of a cut has, where they are known before the row is filled.
    fn free_below(&self, rows_below: Option<usize>) -> Option<&[f64]> {
        rows_below.map(|rows| if rows == 0 { &self.memory[..] } else { &self.rows[rows - 1].free })
    }

    fn fill_exactly(&self, rows_below: Option<usize>) -> Row {
        let points = self.grid.points();
        let Costs { advance, write, read, .. } = self.costs;
        let mut row =
            Row { on_disk: self.memory[..2.min(points)].to_vec(), free: self.memory[..2.min(points)].to_vec() };
        // the right parts backwards, so that both operands of the sums are read forwards
        let below = self.free_below(rows_below);
        let mut right = match below {
            Some(free) => free.iter().rev().copied().collect(),
            None => vec![f64::INFINITY; points],
        };
        let mut left = vec![f64::INFINITY; points];
        for n in 1..points {
            if n > 1 {
                let first = points - n; // right[first] belongs to n − 1, left[1] to 1
                let cut = least_sum(&right[first..points - 1], &left[1..n]);
                row.on_disk.push(self.memory[n].min(cut));
                row.free.push(self.memory[n].min(write + row.on_disk[n]));
            }
            left[n] = n as f64 * advance + read + row.on_disk[n];
            if below.is_none() {
                right[points - 1 - n] = row.free[n];
            }
        }
        row
    }

    fn fill_sampled(&self, rows_below: Option<usize>) -> Row {
        let mut row = Row { on_disk: self.memory[..2].to_vec(), free: self.memory[..2].to_vec() };
        for index in 2..self.grid.points() {
            let on_disk = self.memory[index].min(self.least_sampled_cut(&row, index, self.free_below(rows_below)));
            row.on_disk.push(on_disk);
            row.free.push(self.memory[index].min(self.costs.write + on_disk));
        }
        row
    }

    /// The least cost of a cut of the grid length `index`, the first one that `row` does not hold yet.
    fn least_sampled_cut(&self, row: &Row, index: usize, below: Option<&[f64]>) -> f64 {
        let Costs { advance, write, read, .. } = self.costs;
        let (n, known) = (self.grid.length(index), self.grid.length(index - 1));
        let gap = (n - known) as f64;
        let mut least = f64::INFINITY;
        for part in 1..index {
            let length = self.grid.length(part);
            // `length` on the left
            let rest = n - length;
            let step = length as f64 * advance + read + row.on_disk[part];
            let cost = match below {
                Some(free) => step + self.grid.value(free, rest),
                None if rest <= known => step + self.grid.value(&row.free, rest),
                // the right part lies between the last known length and n itself, whose value is on the line to it:
                // solved for that value
                None => {
                    let share = (rest - known) as f64 / gap;
                    (step + write * share) * gap / length as f64 + row.free[index - 1]
                }
            };
            // `length` on the right
            let free = below.unwrap_or(&row.free)[part];
            let left = n - length;
            let step = left as f64 * advance + free + read;
            let other = if left <= known {
                step + self.grid.value(&row.on_disk, left)
            } else {
                // likewise: pieces of this length are taken off the right end until the last known length is left
                row.on_disk[index - 1] + step * gap / length as f64
            };
            least = least.min(cost).min(other);
        }
        least
    }

    /// The row in force where `depth` disk slots are taken: costs without (F) or with (K) one of the rest.
    fn row(&self, depth: usize) -> Option<&Row> {
        let left = self.slots.map_or(1, |slots| slots.saturating_sub(depth));
        left.min(self.rows.len()).checked_sub(1).map(|index| &self.rows[index])
    }

    fn free(&self, depth: usize) -> &[f64] {
        self.row(depth).map_or(&self.memory, |row| &row.free)
    }

    /// The least cost of a span of `n` whose first state is the working state, `depth` disk slots being taken.
    pub(super) fn cost(&self, depth: usize, n: usize) -> f64 {
        self.grid.value(self.free(depth), n)
    }

    /// Whether the first state of such a span is to be written to disk.
    pub(super) fn writes(&self, depth: usize, n: usize) -> bool {
        let Some(row) = self.row(depth) else { return false };
        let memory = self.grid.value(&self.memory, n);
        // the table alone settles most spans; the rest is decided by the very cut that will be made, so that rounding
        // cannot lead to a state that is written and then not read
        let close = memory * (1.0 + 1e-9);
        n > 1
            && self.costs.write + self.grid.value(&row.on_disk, n) < close
            && self.best_cut(depth, n).is_some_and(|(cost, _)| self.costs.write + cost < memory)
    }

    /// Where to cut a span of `n` whose first state is in the disk slot `depth`: the length of the left part, or
    /// `None` if it is to be moved into memory.
    pub(super) fn cut_length(&self, depth: usize, n: usize) -> Option<usize> {
        self.best_cut(depth, n).map(|(_, left)| left)
    }

    /// The cheapest cut with its cost, if there is one that is cheaper than the span in memory.
    fn best_cut(&self, depth: usize, n: usize) -> Option<(f64, usize)> {
        let row = self.row(depth)?;
        let below = self.free(depth + 1);
        let mut best = (self.grid.value(&self.memory, n), None);
        let mut consider = |left: usize| {
            let cost = left as f64 * self.costs.advance
                + self.grid.value(below, n - left)
                + self.costs.read
                + self.grid.value(&row.on_disk, left);
            if cost < best.0 {
                best = (cost, Some(left));
            }
        };
        let parts = (1..self.grid.points()).map(|index| self.grid.length(index)).take_while(|&part| part < n);
        for part in parts {
            consider(part);
            consider(n - part);
        }
        best.1.map(|left| (best.0, left))
    }

    /// Disk slots in use at most when `n` are reversed.
    pub(super) fn disk_slots_used(&self, n: usize) -> usize {
        let (mut most, mut spans) = (0, vec![(n, 0, false)]);
        while let Some((n, depth, on_disk)) = spans.pop() {
            if !on_disk && !self.writes(depth, n) {
                continue;
            }
            most = most.max(depth + 1);
            if let Some(left) = self.cut_length(depth, n) {
                spans.push((left, depth, true));
                spans.push((n - left, depth + 1, false));
            }
        }
        most
    }
}

/// The least a\[i\] + b\[i\], in eight strands that the compiler turns into vector instructions.
fn least_sum(a: &[f64], b: &[f64]) -> f64 {
    const STRANDS: usize = 8;
    let mut least = [f64::INFINITY; STRANDS];
    let (a_blocks, a_rest) = a.as_chunks::<STRANDS>();
    let (b_blocks, b_rest) = b.as_chunks::<STRANDS>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for strand in 0..STRANDS {
            let sum = x[strand] + y[strand];
            // a plain comparison is one instruction; f64::min is not
            least[strand] = if sum < least[strand] { sum } else { least[strand] };
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(x, y)| x + y);
    least.into_iter().chain(rest).fold(f64::INFINITY, f64::min)
}
