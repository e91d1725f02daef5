//! The step of a block of rows: Laplacian, leapfrog and the layer of axis z in one pass over memory; forward, forward with
//! a record, and back.
#![allow(unsafe_code)]

use std::hint::black_box;

use treewave_core::Real;

use crate::ends::{EndRow, LayerEnd, adjoint_ends, layer_ends};
use crate::lines::{HALF, LANES, Lines};
use crate::side::{Arrays, SideLayer, SideRows, adjoint_side_rows, side_rows};
use crate::stencil::Stencil;
use crate::vector::{Vector, prefetch, prefetch_all, splats};

/// What a step does besides moving the field on.
const PLAIN: u8 = 0;
const RECORD: u8 = 1;
const IMAGE: u8 = 2;

/// `next = 2 now − next + m L now` for some rows, and the layer of axis z, whose memory variables are `[ψ, ζ]`. `P` planes are
/// stepped at once: neighbours along x are loaded once for all of them.
#[inline(always)]
pub(crate) fn step_lines<
    T: Real,
    V: Vector<T>,
    const R: usize,
    const D: usize,
    const AXES: usize,
    const P: usize,
    const FMA: bool,
>(
    stencil: &Stencil<T>,
    ends: &[LayerEnd<T>],
    sides: [Option<SideLayer<T>>; 2],
    now: Lines<T>,
    m: &[T],
    next: &mut [T],
    memory: [&mut [T]; 2],
) {
    tiles::<T, V, R, D, AXES, P, FMA, PLAIN>(
        stencil,
        ends,
        sides,
        now,
        m,
        next,
        memory,
        &mut [],
        (&[], 0),
        &mut [],
        &mut [],
    );
}

/// The same, and `record` is what `m` is multiplied with.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "an array each")]
pub(crate) fn record_lines<
    T: Real,
    V: Vector<T>,
    const R: usize,
    const D: usize,
    const AXES: usize,
    const P: usize,
    const FMA: bool,
>(
    stencil: &Stencil<T>,
    ends: &[LayerEnd<T>],
    sides: [Option<SideLayer<T>>; 2],
    now: Lines<T>,
    m: &[T],
    next: &mut [T],
    memory: [&mut [T]; 2],
    record: &mut [T],
) {
    tiles::<T, V, R, D, AXES, P, FMA, RECORD>(
        stencil,
        ends,
        sides,
        now,
        m,
        next,
        memory,
        record,
        (&[], 0),
        &mut [],
        &mut [],
    );
}

/// The same without writing a record; the memory variables are `[P, Z]`. `gradient += field record` and `illumination += record²`
/// for each of at most two records, in the first points of each row, so many of them: the last is that of `now`, one before it that of
/// what `next` holds before the step.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "an array each")]
pub(crate) fn image_lines<
    T: Real,
    V: Vector<T>,
    const R: usize,
    const D: usize,
    const AXES: usize,
    const P: usize,
    const FMA: bool,
>(
    stencil: &Stencil<T>,
    ends: &[LayerEnd<T>],
    sides: [Option<SideLayer<T>>; 2],
    now: Lines<T>,
    m: &[T],
    next: &mut [T],
    memory: [&mut [T]; 2],
    records: (&[&[T]], usize),
    gradient: &mut [T],
    illumination: &mut [T],
) {
    tiles::<T, V, R, D, AXES, P, FMA, IMAGE>(
        stencil,
        ends,
        sides,
        now,
        m,
        next,
        memory,
        &mut [],
        records,
        gradient,
        illumination,
    );
}

/// `illumination += record²`.
#[inline(always)]
pub(crate) fn illuminate_lines<T: Real, V: Vector<T>, const FMA: bool>(
    lines: Lines<T>,
    record: &[T],
    illumination: &mut [T],
) {
    for (x, y) in (0..lines.counts[0]).flat_map(|x| (0..lines.counts[1]).map(move |y| (x, y))) {
        let record = &record[x * lines.record[0] + y * lines.record[1]..][..lines.n];
        let illumination = &mut illumination[x * lines.cells[0] + y * lines.cells[1]..][..lines.n];
        for (sum, &r) in illumination.iter_mut().zip(record) {
            *sum = if FMA { r.mul_add(r, *sum) } else { r * r + *sum };
        }
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "an array each")]
fn tiles<
    T: Real,
    V: Vector<T>,
    const R: usize,
    const D: usize,
    const AXES: usize,
    const P: usize,
    const FMA: bool,
    const WHAT: u8,
>(
    stencil: &Stencil<T>,
    ends: &[LayerEnd<T>],
    sides: [Option<SideLayer<T>>; 2],
    now: Lines<T>,
    m: &[T],
    next: &mut [T],
    memory: [&mut [T]; 2],
    record: &mut [T],
    (recorded, imaged): (&[&[T]], usize),
    gradient: &mut [T],
    illumination: &mut [T],
) {
    const { assert!(LANES.is_multiple_of(V::LANES)) };
    let Lines { counts: [planes, rows], strides, cells, record: recorded_at, n, .. } = now;
    let memory_strides = now.memory;
    assert!(n.is_multiple_of(LANES), "rows are whole vectors");
    for stride in [strides[0], if AXES == 2 { strides[1] } else { 1 }, 1] {
        now.check(R, stride);
    }
    if shifts::<T, V>(R, AXES) {
        now.check(V::LANES, 1);
    }
    // Rows that are written do not overlap.
    let apart = |distances: [usize; 2]| {
        (rows < 2 || n <= distances[1]) && (planes < 2 || rows.max(1) * distances[1].max(n) <= distances[0])
    };
    assert!(apart(strides) && (WHAT != RECORD || apart(recorded_at)), "rows are apart");
    assert!(WHAT != IMAGE || apart(cells), "rows are apart");
    now.in_field(m, n);
    now.in_field(next, n);
    // On the way back whole vectors beside the ends are read.
    let radius = if WHAT == IMAGE { HALF } else { R };
    ends.iter().for_each(|end| end.check(&now, radius, [&memory[0][..], &memory[1][..]]));
    let memory = memory.map(<[T]>::as_mut_ptr);
    for axis in 0..2 {
        sides[axis].iter().for_each(|side| side.check(axis, &now, now.side_memory[axis]));
    }
    if WHAT == RECORD {
        now.in_record(record, n);
    }
    if WHAT == IMAGE {
        assert!(recorded.len() <= 2, "at most two records");
        recorded.iter().for_each(|record| now.in_record(record, n));
        now.in_cells(gradient, n);
        now.in_cells(illumination, n);
    }
    let pointers = Pointers {
        now: now.first(),
        m: m.as_ptr(),
        next: next.as_mut_ptr(),
        record: record.as_mut_ptr(),
        recorded: std::array::from_fn(|k| recorded.get(k).map_or(std::ptr::null(), |record| record.as_ptr())),
        images: if imaged > 0 { recorded.len() } else { 0 },
        gradient: gradient.as_mut_ptr(),
        illumination: illumination.as_mut_ptr(),
    };
    let arrays = Arrays { field: pointers.now, m: pointers.m, next: pointers.next, record: pointers.record };
    let planes_from = |x: usize| if x + P <= planes { P } else { 1 };
    let first_of = |x: usize, y: usize| {
        let of = |distances: [usize; 2]| x * distances[0] + y * distances[1];
        pointers.at(of(strides), of(cells), of(recorded_at))
    };
    let piece = if rows == 1 { piece(R, AXES, n) } else { n };
    if piece < n {
        for z in (0..n).step_by(piece) {
            let mut x = 0;
            while x < planes {
                let at = first_of(x, 0).at(z, z, z);
                // SAFETY: by the assertions above, all arrays hold the rows of these planes; the field holds `R` neighbours on
                // each side too; `V::LANES` divides `n` and `piece`. The functions of this module are compiled for, and put into
                // a table of, a path with the instructions of `V`.
                unsafe {
                    let (many, points) = (planes_from(x) == P, piece.min(n - z));
                    let imaged = imaged.saturating_sub(z);
                    some_planes::<T, V, R, AXES, FMA, WHAT, P>(
                        many,
                        stencil,
                        at,
                        strides,
                        cells,
                        recorded_at,
                        [points, imaged],
                    );
                }
                x += planes_from(x);
            }
        }
    }
    let mut x = 0;
    while x < planes {
        let at_once = planes_from(x);
        for y in 0..rows {
            let at = first_of(x, y);
            // SAFETY: as above; the ends were checked.
            unsafe {
                if piece >= n {
                    let many = at_once == P;
                    some_planes::<T, V, R, AXES, FMA, WHAT, P>(
                        many,
                        stencil,
                        at,
                        strides,
                        cells,
                        recorded_at,
                        [n, imaged],
                    );
                }
                // The compiler knows nothing of it, or the layers' weights would take up registers in the loop of the stencil.
                let beside = black_box(stencil);
                for u in 0..at_once {
                    let at = at.at(u * strides[0], u * cells[0], u * recorded_at[0]);
                    let own = (x + u) * memory_strides[0] + y * memory_strides[1];
                    let memory = memory.map(|memory| memory.wrapping_add(own));
                    if AXES == 2 && !ends.is_empty() {
                        // Those of the next row.
                        memory.iter().for_each(|p| prefetch_all(p.wrapping_add(memory_strides[1]), memory_strides[1]));
                    }
                    let row = EndRow { field: at.now, m: at.m, next: at.next, record: at.record, memory };
                    match WHAT {
                        PLAIN => layer_ends::<T, V::Half, R, D, FMA, false>(beside, ends, row),
                        RECORD => layer_ends::<T, V::Half, R, D, FMA, true>(beside, ends, row),
                        _ => adjoint_ends::<T, V::Half, R, D, FMA>(beside, ends, row),
                    }
                }
                for axis in 0..2 {
                    let Some(layer) = &sides[axis] else { continue };
                    let (ix, iy) = (layer.first[0] + x, layer.first[1] + y);
                    let (planes, row) = (ix..ix + at_once, iy..iy + 1);
                    let (range, others) = if axis == 0 { (planes, row) } else { (row, planes) };
                    let rows = SideRows { axis, layer, distances: now.side_memory[axis], lines: &now, arrays };
                    match WHAT {
                        PLAIN => side_rows::<T, V, R, D, FMA, false>(beside, rows, range, others),
                        RECORD => side_rows::<T, V, R, D, FMA, true>(beside, rows, range, others),
                        _ => adjoint_side_rows::<T, V, R, D, FMA>(beside, rows, range, others),
                    }
                }
            }
        }
        x += at_once;
    }
}

/// Points of a row that are stepped in all planes before the next: with long stencils in 2-D, where a plane is one row, the rows of a
/// stencil then stay in the first-level cache.
const fn piece(radius: usize, axes: usize, n: usize) -> usize {
    if axes == 1 && radius > 6 { 256 } else { n }
}

/// Sum over the distances 1 to `R` from a point, each with its weight.
#[inline(always)]
fn weighted<T: Real, V: Vector<T>, const R: usize, const FMA: bool>(c: &[V; R], pair: impl Fn(usize) -> V) -> V {
    let mut sum = c[0].times(pair(1));
    for k in 1..R {
        sum = c[k].times_plus::<FMA>(pair(k + 1), sum);
    }
    sum
}

/// Where the same point stands in each array; those that a step does without are dangling.
#[derive(Clone, Copy)]
struct Pointers<T> {
    now: *const T,
    m: *const T,
    next: *mut T,
    record: *mut T,
    recorded: [*const T; 2],
    /// How many records there are.
    images: usize,
    gradient: *mut T,
    illumination: *mut T,
}

impl<T> Pointers<T> {
    /// Another point: so many elements on in fields, gradients and records. Dangling pointers go on dangling.
    #[inline(always)]
    fn at(self, field: usize, cell: usize, record: usize) -> Self {
        Pointers {
            now: self.now.wrapping_add(field),
            m: self.m.wrapping_add(field),
            next: self.next.wrapping_add(field),
            record: self.record.wrapping_add(record),
            recorded: self.recorded.map(|recorded| recorded.wrapping_add(record)),
            images: self.images,
            gradient: self.gradient.wrapping_add(cell),
            illumination: self.illumination.wrapping_add(cell),
        }
    }
}

/// Whether neighbours along z are shifted out of registers, up to [`SHIFTED`] points apart. Of four planes at once, as with short stencils
/// in 2-D, there are not registers enough.
#[inline(always)]
const fn shifts<T, V: Vector<T>>(radius: usize, axes: usize) -> bool {
    V::SHIFTS && (axes == 2 || radius > 4)
}

/// Farther ones take up more registers than there are.
const SHIFTED: usize = 4;

/// [`planes_at_once`] of `P` planes, or of one if there are not so `many` left.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn some_planes<
    T: Real,
    V: Vector<T>,
    const R: usize,
    const AXES: usize,
    const FMA: bool,
    const WHAT: u8,
    const P: usize,
>(
    many: bool,
    stencil: &Stencil<T>,
    at: Pointers<T>,
    strides: [usize; 2],
    cells: [usize; 2],
    records: [usize; 2],
    points: [usize; 2],
) {
    // SAFETY: the caller promises.
    unsafe {
        if many {
            planes_at_once::<T, V, R, AXES, FMA, WHAT, P>(stencil, at, strides, cells, records, points);
        } else {
            planes_at_once::<T, V, R, AXES, FMA, WHAT, 1>(stencil, at, strides, cells, records, points);
        }
    }
}

/// The same row of `P` planes at once, `n` points of each, the first of them `imaged`; after the distances in fields those in gradients
/// and records.
///
/// # Safety
/// The processor has the instructions of `V`; `n` is a multiple of `V::LANES`; the arrays that the step needs hold these
/// points, and the field `R` neighbours on each side along each axis, along z a vector where vectors are shifted.
#[inline(always)]
unsafe fn planes_at_once<
    T: Real,
    V: Vector<T>,
    const R: usize,
    const AXES: usize,
    const FMA: bool,
    const WHAT: u8,
    const P: usize,
>(
    stencil: &Stencil<T>,
    at: Pointers<T>,
    [x, y]: [usize; 2],
    [cells, next_cell]: [usize; 2],
    [records, next_record]: [usize; 2],
    [n, imaged]: [usize; 2],
) {
    // SAFETY: every pointer is that of a point or of a neighbour that the caller promises, `V::LANES` of which follow.
    unsafe {
        // One set of weights for all axes: with one for each, most would find no register.
        let c: [V; R] = splats(&stencil.second[2][1..]);
        let ratio: [V; 2] = splats(&stencil.ratio);
        let c0 = V::splat(stencil.centre);
        for i in (0..n).step_by(V::LANES) {
            let at = at.at(i, i, i);
            if AXES == 2 {
                // The next row of what is read for the first time, and of what is written.
                for u in 0..P {
                    for stream in [at.now.wrapping_add(R * x), at.next.cast_const(), at.m] {
                        prefetch(stream.wrapping_add(u * x + y));
                    }
                    if WHAT == RECORD {
                        prefetch(at.record.wrapping_add(u * records + next_record));
                    }
                    if WHAT == IMAGE && at.images > 0 && i < imaged {
                        at.recorded.iter().for_each(|record| prefetch(record.wrapping_add(u * records + next_record)));
                        for stream in [at.gradient.cast_const(), at.illumination.cast_const()] {
                            prefetch(stream.wrapping_add(u * cells + next_cell));
                        }
                    }
                }
            }
            let own: [V; P] = std::array::from_fn(|u| V::load(at.now.add(u * x)));
            // Planes R before to R behind.
            let lower: [V; R] = std::array::from_fn(|k| V::load(at.now.sub((R - k) * x)));
            let upper: [V; R] = std::array::from_fn(|k| V::load(at.now.add((P + k) * x)));
            let plane = |u: isize| match u {
                u if u < 0 => lower[(R as isize + u) as usize],
                u if u < P as isize => own[u as usize],
                u => upper[u as usize - P],
            };
            for u in 0..P {
                let (p, at) = (own[u], at.at(u * x, u * cells, u * records));
                let mut w = c0.times(p);
                let (mut before, mut behind) = (p, p);
                if shifts::<T, V>(R, AXES) {
                    (before, behind) = (V::load(at.now.sub(V::LANES)), V::load(at.now.add(V::LANES)));
                }
                let along_z = weighted::<T, V, R, FMA>(&c, |d| {
                    if shifts::<T, V>(R, AXES) && d <= SHIFTED {
                        p.shifted(before, behind, d as isize).plus(p.shifted(before, behind, -(d as isize)))
                    } else {
                        V::load(at.now.add(d)).plus(V::load(at.now.sub(d)))
                    }
                });
                w = w.plus(along_z);
                if AXES == 2 {
                    let pair = |d: usize| V::load(at.now.add(d * y)).plus(V::load(at.now.sub(d * y)));
                    w = ratio[1].times_plus::<FMA>(weighted::<T, V, R, FMA>(&c, pair), w);
                }
                let pair = |d: usize| plane(u as isize + d as isize).plus(plane(u as isize - d as isize));
                w = ratio[0].times_plus::<FMA>(weighted::<T, V, R, FMA>(&c, pair), w);
                if WHAT == RECORD {
                    w.flush().store(at.record);
                }
                let old = V::load(at.next);
                if WHAT == IMAGE && at.images > 0 && i < imaged {
                    let (mut gradient, mut illumination) = (V::load(at.gradient), V::load(at.illumination));
                    if at.images == 2 {
                        let r = V::load(at.recorded[0]);
                        (gradient, illumination) =
                            (old.times_plus::<FMA>(r, gradient), r.times_plus::<FMA>(r, illumination));
                    }
                    let r = V::load(at.recorded[at.images - 1]);
                    (gradient, illumination) = (p.times_plus::<FMA>(r, gradient), r.times_plus::<FMA>(r, illumination));
                    gradient.store(at.gradient);
                    illumination.store(at.illumination);
                }
                let inertia = p.plus(p).minus(old);
                V::load(at.m).times_plus::<FMA>(w, inertia).flush().store(at.next);
            }
        }
    }
}
