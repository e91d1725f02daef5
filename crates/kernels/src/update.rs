//! The step of a block of rows: Laplacian and leapfrog in one pass over memory, forward, forward with a record, and back.
#![allow(unsafe_code)]

use treewave_core::Real;

use crate::lines::{LANES, Lines, holds};
use crate::stencil::Stencil;
use crate::vector::{Vector, prefetch, splats};

/// What a step does besides moving the field on.
const PLAIN: u8 = 0;
const RECORD: u8 = 1;
const IMAGE: u8 = 2;

/// Points of a row that are worked on before the next row: what the stencil needs of them stays in the first-level cache.
const TILE: usize = 1024;

/// Rows ahead that are fetched into the cache: what is read for the first time, and what is written.
const AHEAD: usize = 2;

/// `next = 2 now − next + m L now` for some rows; those of `m` and `next` are as far apart as those of `now`.
#[inline(always)]
pub(crate) fn step_lines<T: Real, V: Vector<T>, const R: usize, const AXES: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    now: Lines<T>,
    m: &[T],
    next: &mut [T],
) {
    tiles::<T, V, R, AXES, FMA, PLAIN>(stencil, now, m, next, &mut [], &[], &mut [], &mut []);
}

/// The same, and `record = L now`, whose rows follow each other without gaps.
#[inline(always)]
pub(crate) fn record_lines<T: Real, V: Vector<T>, const R: usize, const AXES: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    now: Lines<T>,
    m: &[T],
    next: &mut [T],
    record: &mut [T],
) {
    tiles::<T, V, R, AXES, FMA, RECORD>(stencil, now, m, next, record, &[], &mut [], &mut []);
}

/// The same without writing a record; `gradient += now record` and `illumination += record²`.
#[inline(always)]
pub(crate) fn image_lines<T: Real, V: Vector<T>, const R: usize, const AXES: usize, const FMA: bool>(
    stencil: &Stencil<T>,
    now: Lines<T>,
    m: &[T],
    next: &mut [T],
    record: &[T],
    gradient: &mut [T],
    illumination: &mut [T],
) {
    tiles::<T, V, R, AXES, FMA, IMAGE>(stencil, now, m, next, &mut [], record, gradient, illumination);
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "an array each")]
fn tiles<T: Real, V: Vector<T>, const R: usize, const AXES: usize, const FMA: bool, const WHAT: u8>(
    stencil: &Stencil<T>,
    now: Lines<T>,
    m: &[T],
    next: &mut [T],
    record: &mut [T],
    recorded: &[T],
    gradient: &mut [T],
    illumination: &mut [T],
) {
    const { assert!(LANES.is_multiple_of(V::LANES)) };
    let Lines { count, line, n, .. } = now;
    assert!(n.is_multiple_of(LANES), "rows are whole vectors");
    for stride in [now.strides[0], if AXES == 2 { now.strides[1] } else { 1 }, 1] {
        now.check(R, stride);
    }
    assert!(line == now.strides[AXES - 1] && n <= line);
    assert!(holds(m, count, line, n) && holds(next, count, line, n));
    assert!(WHAT != RECORD || holds(record, count, n, n));
    assert!(WHAT != IMAGE || holds(recorded, count, n, n));
    assert!(WHAT != IMAGE || (holds(gradient, count, n, n) && holds(illumination, count, n, n)));
    let pointers = Pointers {
        now: now.first(),
        m: m.as_ptr(),
        next: next.as_mut_ptr(),
        record: record.as_mut_ptr(),
        recorded: recorded.as_ptr(),
        gradient: gradient.as_mut_ptr(),
        illumination: illumination.as_mut_ptr(),
    };
    let distances = Distances { x: now.strides[0], line, cells: n };
    for first in (0..n).step_by(TILE) {
        let width = TILE.min(n - first);
        for i in (0..count).step_by(2) {
            // SAFETY: by the assertions above, all arrays hold the points `first..first + width` of the rows `i` and, if it
            // is one of them, `i + 1`; the field holds `R` neighbours on each side too; `V::LANES` divides `width`. The
            // functions of this module are compiled for, and put into a table of, a path with the instructions of `V`.
            unsafe {
                let at = pointers.at(i * line + first, i * n + first);
                if i + 1 < count {
                    rows::<T, V, R, AXES, FMA, WHAT, 2>(stencil, at, distances, width);
                } else {
                    rows::<T, V, R, AXES, FMA, WHAT, 1>(stencil, at, distances, width);
                }
            }
        }
    }
}

/// Where the same point stands in each array; those that a step does without are dangling.
#[derive(Clone, Copy)]
struct Pointers<T> {
    now: *const T,
    m: *const T,
    next: *mut T,
    record: *mut T,
    recorded: *const T,
    gradient: *mut T,
    illumination: *mut T,
}

impl<T> Pointers<T> {
    /// Another point: so many elements on in fields, and so many in records. Dangling pointers go on dangling.
    #[inline(always)]
    fn at(self, field: usize, cell: usize) -> Self {
        Pointers {
            now: self.now.wrapping_add(field),
            m: self.m.wrapping_add(field),
            next: self.next.wrapping_add(field),
            record: self.record.wrapping_add(cell),
            recorded: self.recorded.wrapping_add(cell),
            gradient: self.gradient.wrapping_add(cell),
            illumination: self.illumination.wrapping_add(cell),
        }
    }
}

/// Distances in memory: along x, between rows in fields, between rows in records.
#[derive(Clone, Copy)]
struct Distances {
    x: usize,
    line: usize,
    cells: usize,
}

/// `U` rows at once, `n` points of each: neighbours along y (in 2-D x) are loaded once for all of them.
///
/// # Safety
/// The processor has the instructions of `V`; `n` is a multiple of `V::LANES`; the arrays that the step needs hold these
/// points, and the field `R` neighbours on each side along each axis.
#[inline(always)]
unsafe fn rows<
    T: Real,
    V: Vector<T>,
    const R: usize,
    const AXES: usize,
    const FMA: bool,
    const WHAT: u8,
    const U: usize,
>(
    stencil: &Stencil<T>,
    at: Pointers<T>,
    distances: Distances,
    n: usize,
) {
    let Distances { x, line, cells } = distances;
    // SAFETY: every pointer is that of a point or of a neighbour that the caller promises, `V::LANES` of which follow.
    unsafe {
        let cx: [V; R] = splats(&stencil.second[0][1..]);
        let cl: [V; R] = splats(&stencil.second[AXES - 1][1..]);
        let cz: [V; R] = splats(&stencil.second[2][1..]);
        let c0 = V::splat(stencil.centre);
        for i in (0..n).step_by(V::LANES) {
            let at = at.at(i, i);
            // Rows R before to R behind, along the axis of the rows.
            let lower: [V; R] = std::array::from_fn(|k| V::load(at.now.sub((R - k) * line)));
            let own: [V; U] = std::array::from_fn(|u| V::load(at.now.add(u * line)));
            let upper: [V; R] = std::array::from_fn(|k| V::load(at.now.add((U + k) * line)));
            let across = |u: usize, k: isize| {
                let row = u as isize + k;
                match row {
                    row if row < 0 => lower[(R as isize + row) as usize],
                    row if row < U as isize => own[row as usize],
                    row => upper[row as usize - U],
                }
            };
            for u in 0..U {
                let (p, at) = (own[u], at.at(u * line, u * cells));
                if AXES == 2 {
                    for stream in [at.now.wrapping_add(R * x), at.next.cast_const(), at.m] {
                        prefetch(stream.wrapping_add(AHEAD * line));
                    }
                }
                let mut w = c0.times(p);
                for k in 0..R {
                    let d = k + 1;
                    w = cz[k].times_plus::<FMA>(V::load(at.now.add(d)).plus(V::load(at.now.sub(d))), w);
                    w = cl[k].times_plus::<FMA>(across(u, d as isize).plus(across(u, -(d as isize))), w);
                    if AXES == 2 {
                        w = cx[k].times_plus::<FMA>(V::load(at.now.add(d * x)).plus(V::load(at.now.sub(d * x))), w);
                    }
                }
                if WHAT == RECORD {
                    w.flush().store(at.record);
                }
                if WHAT == IMAGE {
                    let r = V::load(at.recorded);
                    p.times_plus::<FMA>(r, V::load(at.gradient)).store(at.gradient);
                    r.times_plus::<FMA>(r, V::load(at.illumination)).store(at.illumination);
                }
                let inertia = p.plus(p).minus(V::load(at.next));
                V::load(at.m).times_plus::<FMA>(w, inertia).flush().store(at.next);
            }
        }
    }
}
