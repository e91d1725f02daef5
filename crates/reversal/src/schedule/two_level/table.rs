//! The cost tables of the two-level game, and the decisions read from them.
//!
//! With D rows of N lengths the work is N²D/2 sums. Where that is affordable, every length is in the table and the
//! result is the optimum. Above, lengths are sampled: all short ones, then 2^bits per octave, with straight lines in
//! between; for each of them, every sampled length of its left and of its right part is tried as a cut. The schedules
//! so found were never more than 0.3 % above the optimum in the cases that the tests compare.

use super::Costs;
use super::grid::Grid;
use crate::schedule::revolve::revolve_advances;

/// Sums spent on a table with all lengths: about a second on one core.
const EXACT_SUMS: f64 = 2.5e9;

/// How much work a table may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// All lengths where affordable, finely sampled lengths elsewhere.
    Full,
    /// Coarsely sampled lengths.
    Rough,
    /// So many bits, whatever the length: for tests.
    #[cfg(test)]
    Sampled(u32),
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
    /// The length of the left part of the best cut behind K; 0 if there is none.
    left: Vec<u32>,
}

impl Row {
    /// The row up to length 1, where nothing is cut and nothing costs.
    fn new(points: usize) -> Self {
        let costs = || {
            let mut costs = Vec::with_capacity(points);
            costs.extend([0.0; 2]);
            costs
        };
        let mut left = Vec::with_capacity(points);
        left.extend([0; 2]);
        Row { on_disk: costs(), free: costs(), left }
    }

    /// Appends the next length from its best cut, or from its cost in memory if that is not higher.
    fn push(&mut self, memory: f64, cut: (f64, usize), write: f64) {
        let (on_disk, left) = if cut.0 < memory { cut } else { (memory, 0) };
        self.on_disk.push(on_disk);
        self.free.push(memory.min(write + on_disk));
        // no chain is longer than MAX_STEPS
        self.left.push(left as u32);
    }
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
            Effort::Full if exact_sums <= EXACT_SUMS => return Grid::exact(longest),
            Effort::Full => (6, 6e7),
            Effort::Rough => (3, 3e6),
            #[cfg(test)]
            Effort::Sampled(bits) => (bits, f64::INFINITY),
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
        let mut row = Row::new(points);
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
                let (cost, position) = least_sum(&right[first..points - 1], &left[1..n]);
                row.push(self.memory[n], (cost, position + 1), write);
            }
            left[n] = n as f64 * advance + read + row.on_disk[n];
            if below.is_none() {
                right[points - 1 - n] = row.free[n];
            }
        }
        row
    }

    fn fill_sampled(&self, rows_below: Option<usize>) -> Row {
        let mut row = Row::new(self.grid.points());
        for index in 2..self.grid.points() {
            let cut = self.least_sampled_cut(&row, index, self.free_below(rows_below));
            row.push(self.memory[index], cut, self.costs.write);
        }
        row
    }

    /// The least cost of a cut of the grid length `index`, the first one that `row` does not hold yet.
    fn least_sampled_cut(&self, row: &Row, index: usize, below: Option<&[f64]>) -> (f64, usize) {
        let Costs { advance, write, read, .. } = self.costs;
        let (n, known) = (self.grid.length(index), self.grid.length(index - 1));
        let gap = (n - known) as f64;
        let mut least = (f64::INFINITY, 0);
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
            for candidate in [(cost, length), (other, left)] {
                if candidate.0 < least.0 {
                    least = candidate;
                }
            }
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
        // decided by the very cut that will be made, so that rounding cannot lead to a state that is written in vain
        self.best_cut(depth, n).is_some_and(|(cost, _)| self.costs.write + cost < self.grid.value(&self.memory, n))
    }

    /// Where to cut a span of `n` whose first state is in the disk slot `depth`: the length of the left part, or
    /// `None` if it is to be moved into memory.
    pub(super) fn cut_length(&self, depth: usize, n: usize) -> Option<usize> {
        self.best_cut(depth, n).map(|(_, left)| left)
    }

    /// The cheapest cut with its cost, if there is one that is cheaper than the span in memory.
    ///
    /// Between two grid lengths, the cuts of either are tried with the same left and with the same right part.
    fn best_cut(&self, depth: usize, n: usize) -> Option<(f64, usize)> {
        let row = self.row(depth)?;
        let below = self.free(depth + 1);
        let mut best = (self.grid.value(&self.memory, n), 0);
        let (index, rest) = self.grid.locate(n);
        for neighbour in index..=index + usize::from(rest > 0) {
            let (length, left) = (self.grid.length(neighbour), row.left[neighbour] as usize);
            // subtracting first would go below 0 where the neighbour is longer
            for left in [left, (n + left).saturating_sub(length)] {
                if left == 0 || left >= n || row.left[neighbour] == 0 {
                    continue;
                }
                let cost = left as f64 * self.costs.advance
                    + self.grid.value(below, n - left)
                    + self.costs.read
                    + self.grid.value(&row.on_disk, left);
                if cost < best.0 {
                    best = (cost, left);
                }
            }
        }
        (best.1 > 0).then_some(best)
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

/// The least a\[i\] + b\[i\] and the first place where it is, in eight strands that the compiler turns into vector
/// instructions.
fn least_sum(a: &[f64], b: &[f64]) -> (f64, usize) {
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
    let least = least.into_iter().chain(rest).fold(f64::INFINITY, f64::min);
    let place = a.iter().zip(b).position(|(x, y)| x + y == least);
    (least, place.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::TwoLevel;
    use super::*;
    use crate::schedule::segments::{Segments, Tasks};

    fn costs(write: f64, read: f64) -> Costs {
        Costs { advance: 1.0, adjoint: 1.0, write, read }
    }

    /// The cost of the schedule that is made from a table.
    fn played(n: usize, memory_slots: usize, disk_slots: Option<usize>, costs: Costs, effort: Effort) -> f64 {
        let table = Table::new(n, memory_slots, disk_slots, &costs, effort);
        let game = TwoLevel { segments: n, memory_slots, table: table.into() };
        let tasks = Tasks::new(game, Segments::new(n, 1).expect("some steps"));
        crate::Machine::play(n, tasks).expect("a legal schedule").cost(&costs)
    }

    #[test]
    fn sampled_tables_cost_less_than_one_percent_over_the_optimum() {
        let mut worst: f64 = 0.0;
        for (memory, disk) in [(0, 7), (1, 1), (1, 4), (1, 50), (3, 1), (3, 10), (10, 5), (10, 20), (10, 100), (30, 10)]
        {
            for (write, read) in [(0.0, 0.0), (2.0, 2.0), (10.0, 4.0), (100.0, 50.0)] {
                let costs = costs(write, read);
                let optimum = played(1500, memory, Some(disk), costs, Effort::Full);
                // the coarsest sampling in use, and what the planner compares with
                for bits in [5, 3] {
                    let sampled = played(1500, memory, Some(disk), costs, Effort::Sampled(bits));
                    let excess = sampled / optimum - 1.0;
                    assert!((0.0..0.01).contains(&excess), "R {memory}, D {disk}, wd {write}, {bits} bits: {excess}");
                    worst = worst.max(excess);
                }
            }
        }
        println!("worst excess {:.3} %", 100.0 * worst);
    }

    #[test]
    fn sampled_tables_stay_near_the_optimum_of_long_chains() {
        // with a disk that costs nothing, its slots are as good as memory: the optimum is known for any length
        for (memory, disk) in [(5, 20), (1, 200), (30, 30)] {
            let n = 1_000_000;
            let optimum = revolve_advances(n, memory + disk).expect("slots") as f64 + n as f64;
            let excess = played(n, memory, Some(disk), costs(0.0, 0.0), Effort::Full) / optimum - 1.0;
            assert!((0.0..0.01).contains(&excess), "R {memory}, D {disk}: {excess}");
        }
        // with an unlimited disk, the exact table is affordable for this length
        for (memory, write) in [(1, 2.0), (5, 30.0)] {
            let costs = costs(write, write);
            let optimum = played(12_000, memory, None, costs, Effort::Full);
            let excess = played(12_000, memory, None, costs, Effort::Sampled(5)) / optimum - 1.0;
            assert!((0.0..0.01).contains(&excess), "R {memory}: {excess}");
        }
    }

    #[test]
    fn the_least_sum_is_found_wherever_it_stands() {
        for length in 1..40 {
            for place in 0..length {
                let a: Vec<f64> = (0..length).map(|i| if i == place { 1.0 } else { 5.0 }).collect();
                assert_eq!(least_sum(&a, &vec![2.0; length]), (3.0, place));
            }
        }
    }
}
