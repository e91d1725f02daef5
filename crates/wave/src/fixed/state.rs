//! The state in fixed-point arithmetic, and what steps forget.

use treewave_kernels::fixed::SMALL;
use treewave_reversal::Snapshot;

use super::Fixed;
use crate::field::Field;
use crate::layout::Layout;

/// No large value is in a row.
pub(super) const NOWHERE: [u32; 2] = [0, 0];

/// A field at a step, in units.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// The low 32 bits, with a halo.
    pub low: Field<i32>,
    /// The high bits where a row has large values, else 0.
    pub high: Field<i8>,
    /// Where a row has values that need more than the low bits, the first cell and the one after the last, or zeros; `(ix, iy)`.
    pub large: Field<[u32; 2]>,
}

impl Level {
    fn new(layout: &Layout) -> Self {
        Level {
            low: Field::filled(layout.len, 0),
            high: Field::filled(layout.len, 0),
            large: Field::filled(layout.n[0] * layout.n[1], NOWHERE),
        }
    }

    /// Where a row of some plane has values that need more than the low bits. Rows outside of the grid have none.
    pub(super) fn large(&self, layout: &Layout, ix: usize, iy: usize) -> [u32; 2] {
        let inside = ix < layout.n[0] && iy < layout.n[1];
        if inside { self.large[ix * layout.n[1] + iy] } else { NOWHERE }
    }

    /// Whether there are such.
    pub(super) fn is_large(&self, layout: &Layout, ix: usize, iy: usize) -> bool {
        self.large(layout, ix, iy) != NOWHERE
    }

    /// The values at some places of a row.
    pub(super) fn read(&self, is_large: bool, from: usize, to: &mut [i64]) {
        join(is_large, &self.low[from..], &self.high[from..], to);
    }

    /// The value of a cell.
    pub(super) fn value(&self, layout: &Layout, [ix, iy, iz]: [usize; 3]) -> i64 {
        let mut value = [0];
        self.read(self.is_large(layout, ix, iy), layout.index([ix, iy, iz]), &mut value);
        value[0]
    }
}

/// The values of low bits and, where a row is large, high ones.
pub(super) fn join(is_large: bool, low: &[i32], high: &[i8], to: &mut [i64]) {
    if is_large {
        let joined = |low: i32, high: i8| i64::from(high) << 32 | i64::from(low as u32);
        to.iter_mut().zip(low).zip(high).for_each(|((to, &low), &high)| *to = joined(low, high));
    } else {
        to.iter_mut().zip(low).for_each(|(to, &low)| *to = low.into());
    }
}

/// Where values need more than the low bits, and the largest magnitude.
pub(super) fn large_ones(values: &[i64]) -> ([u32; 2], u64) {
    let largest = values.iter().fold(0, |largest, value| largest.max(value.unsigned_abs()));
    let is_large = |value: &i64| value.unsigned_abs() >= u64::from(SMALL);
    let place = |place: Option<usize>| place.map(|place| place as u32);
    let first = place(values.iter().position(is_large));
    let last = place(values.iter().rposition(is_large));
    (first.zip(last).map_or(NOWHERE, |(first, last)| [first, last + 1]), largest)
}

/// The low bits of values, and the high ones where a row is large, else 0.
pub(super) fn part(is_large: bool, values: &[i64], low: &mut [i32], high: &mut [i8]) {
    low.iter_mut().zip(values).for_each(|(low, &value)| *low = value as i32);
    high.iter_mut().zip(values).for_each(|(high, &value)| *high = if is_large { (value >> 32) as i8 } else { 0 });
}

/// Two time levels of a field and the memory variables of the layer, in units.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedState {
    /// The field at the step of the state.
    pub now: Level,
    /// The field one step before.
    pub before: Level,
    /// Memory ψ per axis: whole numbers of a 4096th of a unit, times the spacing.
    pub psi: [Field<f64>; 3],
    /// Memory ζ per axis, the same, times the spacing squared.
    pub zeta: [Field<f64>; 3],
}

impl FixedState {
    /// A state at rest.
    pub fn new(fixed: &Fixed) -> Self {
        let field = || Level::new(&fixed.acoustic.layout);
        let memory = |axis| Field::zeros(fixed.sizes.planes(axis) * fixed.sizes.memory_per_plane(axis));
        FixedState { now: field(), before: field(), psi: [0, 1, 2].map(memory), zeta: [0, 1, 2].map(memory) }
    }

    fn levels(&self) -> [&Level; 2] {
        [&self.now, &self.before]
    }
    fn memory(&self) -> impl Iterator<Item = &Field<f64>> {
        self.psi.iter().chain(&self.zeta)
    }
    fn split_mut(&mut self) -> ([&mut Level; 2], impl Iterator<Item = &mut Field<f64>>) {
        ([&mut self.now, &mut self.before], self.psi.iter_mut().chain(&mut self.zeta))
    }

    /// Sets everything to zero.
    pub fn clear(&mut self) {
        let (levels, memory) = self.split_mut();
        for Level { low, high, large } in levels {
            low.set_all(0);
            high.set_all(0);
            large.set_all(NOWHERE);
        }
        memory.for_each(|field| field.set_all(0.0));
    }
}

impl Snapshot for FixedState {
    fn copy_from(&mut self, other: &Self) {
        let (levels, memory) = self.split_mut();
        for (to, from) in levels.into_iter().zip(other.levels()) {
            to.low.copy_from(&from.low);
            to.high.copy_from(&from.high);
            to.large.copy_from(&from.large);
        }
        memory.zip(other.memory()).for_each(|(to, from)| to.copy_from(from));
    }
    fn parts(&self) -> Vec<&[u8]> {
        let levels = self.levels().into_iter().flat_map(|level| {
            [
                bytemuck::cast_slice::<i32, u8>(&level.low),
                bytemuck::cast_slice::<i8, u8>(&level.high),
                bytemuck::cast_slice::<[u32; 2], u8>(&level.large),
            ]
        });
        levels.chain(self.memory().map(|field| bytemuck::cast_slice::<f64, u8>(field))).collect()
    }
    fn parts_mut(&mut self) -> Vec<&mut [u8]> {
        let (levels, memory) = self.split_mut();
        let levels = levels.into_iter().flat_map(|Level { low, high, large }| {
            [
                bytemuck::cast_slice_mut::<i32, u8>(low),
                bytemuck::cast_slice_mut::<i8, u8>(high),
                bytemuck::cast_slice_mut::<[u32; 2], u8>(large),
            ]
        });
        levels.chain(memory.map(|field| bytemuck::cast_slice_mut::<f64, u8>(field))).collect()
    }
}

/// What some steps forget: the codes of the memory variables `[ψ, ζ]` per axis, step by step.
#[derive(Clone, Debug, PartialEq)]
pub struct Residue {
    /// `[axis][variable]`.
    pub(super) codes: [[Vec<u8>; 2]; 3],
}

impl Residue {
    /// Room for so many steps.
    pub fn new(fixed: &Fixed, steps: usize) -> Self {
        let of = |axis| vec![0; steps * fixed.sizes.planes(axis) * fixed.sizes.codes_per_plane(axis)];
        Residue { codes: [0, 1, 2].map(|axis| [of(axis), of(axis)]) }
    }
}

impl Snapshot for Residue {
    fn copy_from(&mut self, other: &Self) {
        let all = self.codes.iter_mut().flatten().zip(other.codes.iter().flatten());
        all.for_each(|(to, from)| to.copy_from_slice(from));
    }
    fn parts(&self) -> Vec<&[u8]> {
        self.codes.iter().flatten().map(Vec::as_slice).collect()
    }
    fn parts_mut(&mut self) -> Vec<&mut [u8]> {
        self.codes.iter_mut().flatten().map(Vec::as_mut_slice).collect()
    }
}
