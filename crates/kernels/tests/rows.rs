//! The kernels of rows against their definitions, written as plain loops, on every path that this processor has; and
//! what they refuse.

use treewave_core::Real;
use treewave_kernels::{Lines, Path, RowKernels, Shared, SideLayer, Simd, Stencil, second_derivative};

/// Numbers without pattern in −1 … 1 (a linear congruential generator).
fn noise(len: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn paths() -> Vec<Path> {
    [Path::Baseline, Path::Avx2, Path::Avx512].into_iter().filter(|&path| path <= Path::detect()).collect()
}

const SPACING_M: [f64; 3] = [8.0, 11.0, 9.0];

/// Rows of a field of noise, with room for the neighbours of radius 8.
struct Case {
    dims: usize,
    radius: usize,
    counts: [usize; 2],
    n: usize,
    strides: [usize; 2],
    start: usize,
    field: Vec<f64>,
}

impl Case {
    fn new(dims: usize, radius: usize, [planes, rows]: [usize; 2], n: usize) -> Self {
        let rows = if dims == 2 { 1 } else { rows };
        let sy = n + 24;
        let strides = [if dims == 2 { sy } else { sy * (rows + 16) }, sy];
        let start = 8 * strides[0] + if dims == 2 { 0 } else { 8 * sy } + 9;
        Case { dims, radius, counts: [planes, rows], n, strides, start, field: noise((planes + 17) * strides[0], 1) }
    }

    fn stencil<T: Real>(&self) -> Stencil<T> {
        Stencil::new(self.radius, if self.dims == 2 { &[0, 2] } else { &[0, 1, 2] }, SPACING_M)
    }

    /// Gradients stand close together, records have gaps of 16 between rows, memory variables of 3, and 5 more between planes.
    fn lines<'a, T>(&self, field: &'a [T]) -> Lines<'a, T> {
        let Case { counts, n, strides, start, .. } = *self;
        let memory = [counts[1] * (n + 3) + 5, n + 3];
        let (cells, record) = ([counts[1] * n, n], [counts[1] * (n + 16), n + 16]);
        Lines { field, start, counts, strides, cells, record, memory, side_memory: [memory; 2], n }
    }

    /// Planes and rows, with what stands before them in an array of given distances.
    fn rows(&self, [x, y]: [usize; 2]) -> impl Iterator<Item = usize> {
        let [planes, rows] = self.counts;
        (0..planes).flat_map(move |i| (0..rows).map(move |j| i * x + j * y))
    }

    /// Elements of an array of given distances.
    fn len(&self, [x, y]: [usize; 2]) -> usize {
        (self.counts[0] - 1) * x + (self.counts[1] - 1) * y + self.n
    }

    /// `L p` by its definition, so many elements behind the first point.
    fn laplacian(&self, place: usize) -> f64 {
        let c = second_derivative(self.radius);
        let at = (self.start + place) as i64;
        let mut sum = 0.0;
        for &axis in if self.dims == 2 { &[0, 2][..] } else { &[0, 1, 2] } {
            let stride = [self.strides[0], self.strides[1], 1][axis] as i64;
            for k in -(self.radius as i64)..=self.radius as i64 {
                let weight = c[k.unsigned_abs() as usize] / SPACING_M[axis].powi(2);
                sum += weight * self.field[(at + k * stride) as usize];
            }
        }
        sum
    }
}

fn scalars<T: Real>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&x| T::from_f64(x)).collect()
}

/// Steps a case in all three ways and compares with the definitions; returns all results, to be compared between paths.
fn check<T: Simd>(case: &Case, path: Path, tolerance: f64) -> Vec<T> {
    let kernels = T::kernels(case.radius, case.dims, path);
    let (stencil, len) = (case.stencil::<T>(), case.len(case.strides));
    let field = scalars::<T>(&case.field);
    let now = case.lines(&field);
    let (m, before) = (noise(len, 2), noise(len, 3));
    let (m_scalars, before_scalars) = (scalars::<T>(&m), scalars::<T>(&before));
    let records = case.len(now.record);
    let images: Vec<T> = scalars(&noise(case.len(now.cells), 4));
    let (mut next, mut record) = (before_scalars.clone(), vec![T::ZERO; records]);
    (kernels.record)(&stencil, &[], [None, None], now, &m_scalars, &mut next, [&mut [], &mut []], &mut record);
    let mut plain = before_scalars.clone();
    (kernels.step)(&stencil, &[], [None, None], now, &m_scalars, &mut plain, [&mut [], &mut []]);
    assert_eq!(plain, next, "a record changes no bit of the step");
    // Without a record, with that of this step, and with that of the step before it as well.
    let recorded = [5, 6].map(|seed| noise(records, seed));
    let recorded_scalars = recorded.each_ref().map(|record| scalars::<T>(record));
    let [older, newer] = recorded_scalars.each_ref().map(|record| &record[..]);
    let image = |records: &[&[T]], points: usize| {
        let (mut imaged, mut gradient, mut illumination) = (before_scalars.clone(), images.clone(), images.clone());
        let (step, none): (_, [&mut [T]; 2]) = (kernels.image, [&mut [], &mut []]);
        let of = (&mut gradient, &mut illumination);
        step(&stencil, &[], [None, None], now, &m_scalars, &mut imaged, none, (records, points), of.0, of.1);
        assert_eq!(imaged, next, "an image changes no bit of the step");
        (gradient, illumination)
    };
    for (records, points) in [(&[][..], case.n), (&[older, newer][..], 0)] {
        assert_eq!(image(records, points), (images.clone(), images.clone()), "nothing recorded, no image");
    }
    let (of_one, of_two, in_part) =
        (image(&[newer], case.n), image(&[older, newer], case.n), image(&[older, newer], 16));
    let mut lit = images.clone();
    [older, newer].into_iter().for_each(|record| (kernels.illuminate)(now, record, &mut lit));
    assert_eq!(lit, of_two.1, "illumination is that of an image");

    let mut touched = vec![false; len];
    let places = case.rows(case.strides).flat_map(|row| row..row + case.n);
    let cells = |distances: [usize; 2]| case.rows(distances).flat_map(|row| row..row + case.n);
    for ((place, cell), kept) in places.zip(cells(now.cells)).zip(cells(now.record)) {
        touched[place] = true;
        let (p, w) = (case.field[case.start + place], case.laplacian(place));
        let close = |found: T, expected: f64, what: &str| {
            let error = (found.value() - expected).abs();
            assert!(error <= tolerance, "{what}: {dims}-D, radius {r}, cell {cell}", dims = case.dims, r = case.radius);
        };
        close(next[place], 2.0 * p - before[place] + m[place] * w, "step");
        close(record[kept], w, "record");
        let (image, [older, newer]) = (images[cell].value(), recorded.each_ref().map(|record| record[kept]));
        close(of_one.0[cell], image + p * newer, "gradient");
        close(of_one.1[cell], image + newer.powi(2), "illumination");
        close(of_two.0[cell], image + before[place] * older + p * newer, "gradient of two");
        close(of_two.1[cell], image + older.powi(2) + newer.powi(2), "illumination of two");
    }
    for (i, cell) in case.rows(now.cells).flat_map(|row| (row..row + case.n).enumerate()) {
        let whole = if i < 16 { &of_two } else { &(images.clone(), images.clone()) };
        assert_eq!((in_part.0[cell], in_part.1[cell]), (whole.0[cell], whole.1[cell]), "in a part of the rows");
    }
    let between = (0..len).filter(|&place| !touched[place]);
    between.for_each(|place| assert!(next[place] == before_scalars[place], "what stands between rows is not touched"));
    [next, record, of_one.0, of_one.1, of_two.0, of_two.1].concat()
}

#[test]
fn steps_are_their_definitions_and_the_width_of_vectors_changes_no_bit() {
    for (dims, radius) in [2, 3].into_iter().flat_map(|dims| (1..=8).map(move |radius| (dims, radius))) {
        // Numbers of planes that are, and are not, whole tiles; rows longer than those that are worked on in one go.
        for (counts, n) in [([1, 1], 16), ([2, 2], 48), ([5, 2], 16), ([3, 3], 1040)] {
            let case = Case::new(dims, radius, counts, n);
            // Weights are of order 1/h²; f32 keeps seven digits of sums of some fifty terms.
            same_bits(&case, check::<f32>, 2e-6);
            same_bits(&case, check::<f64>, 1e-14);
        }
    }
}

/// Runs a check on every path; those that fuse products and sums must give the same bits.
fn same_bits<T: PartialEq>(case: &Case, check: fn(&Case, Path, f64) -> Vec<T>, tolerance: f64) {
    let results = paths().into_iter().map(|path| (path, check(case, path, tolerance)));
    let fused: Vec<_> = results.filter(|(path, _)| path.fused()).collect();
    fused.iter().for_each(|(path, found)| assert!(*found == fused[0].1, "{path:?} and {:?}", fused[0].0));
}

/// Whether a call of a kernel is refused.
fn refused(call: impl FnOnce() + std::panic::UnwindSafe) -> bool {
    std::panic::catch_unwind(call).is_err()
}

#[test]
fn arrays_that_are_too_short_are_refused_on_every_path() {
    for path in paths() {
        for dims in [2, 3] {
            let case = Case::new(dims, 4, [3, 2], 32);
            let kernels = <f64 as Simd>::kernels(4, dims, path);
            let stencil = case.stencil::<f64>();
            let len = case.len(case.strides);
            let step = |lines: Lines<f64>, m: usize, next: usize| {
                let (m, mut next) = (vec![0.0; m], vec![0.0; next]);
                (kernels.step)(&stencil, &[], [None, None], lines, &m, &mut next, [&mut [], &mut []]);
            };
            let whole = case.lines(&case.field);
            let reach = case.start + len + 4 * case.strides[0];
            assert!(!refused(|| step(whole, len, len)));
            assert!(!refused(|| step(Lines { field: &case.field[..reach], ..whole }, len, len)));
            assert!(refused(|| step(Lines { field: &case.field[..reach - 1], ..whole }, len, len)));
            assert!(refused(|| step(Lines { start: 4 * case.strides[0] - 1, ..whole }, len, len)));
            assert!(refused(|| step(whole, len - 1, len)));
            assert!(refused(|| step(whole, len, len - 1)));
            assert!(refused(|| step(Lines { n: 24, ..whole }, len, len)));
            // Sums that overflow are no way around the checks.
            let (huge, [x, y]) = (usize::MAX / 2 + 1, whole.strides);
            assert!(refused(|| step(Lines { start: usize::MAX, ..whole }, len, len)));
            assert!(refused(|| step(Lines { n: usize::MAX - 15, ..whole }, len, len)));
            assert!(refused(|| step(Lines { strides: [huge, y], ..whole }, len, len)));
            assert!(refused(|| step(Lines { counts: [huge, 2], strides: [2 * x, y], ..whole }, len, len)));
            assert!(refused(|| step(Lines { strides: [31, case.strides[1]], ..whole }, len, len)));
            let record = |cells: usize| {
                let (m, mut next, mut record) = (vec![0.0; len], vec![0.0; len], vec![0.0; cells]);
                (kernels.record)(&stencil, &[], [None, None], whole, &m, &mut next, [&mut [], &mut []], &mut record);
            };
            let kept = case.len(whole.record);
            assert!(!refused(|| record(kept)) && refused(|| record(kept - 1)));
            let image = |recorded: usize, cells: usize| {
                let (m, mut next, recorded) = (vec![0.0; len], vec![0.0; len], vec![0.0; recorded]);
                let (mut image, none) = (vec![0.0; cells], [&mut [][..], &mut []]);
                let mut other = image.clone();
                let images = (&mut image, &mut other);
                (kernels.image)(
                    &stencil,
                    &[],
                    [None, None],
                    whole,
                    &m,
                    &mut next,
                    none,
                    (&[&recorded], 32),
                    images.0,
                    images.1,
                );
            };
            let cells = case.len(whole.cells);
            assert!(!refused(|| image(kept, cells)));
            assert!(refused(|| image(kept - 1, cells)) && refused(|| image(kept, cells - 1)));
            // A layer of three cells on each side of sixteen along x; the lines begin at plane 2 and row 1.
            let side = |memory: usize, coefficients: usize, zeros: usize| {
                let (mut arrays, a) = ([0; 3].map(|_| vec![0.0; memory]), vec![0.1; coefficients]);
                let (m, mut next, zeros) = (vec![0.0; len], vec![0.0; len], vec![0.0; zeros]);
                let shared = arrays.each_mut().map(|array| Shared::new(array));
                let memory = [&shared[0], &shared[1], &shared[2]];
                let (a, zeros) = (&a[..], &zeros[..]);
                let layer = SideLayer { a, b: a, low: 3, high: 13, cells: 16, first: [2, 1], memory, zeros };
                let sides = [Some(layer), None];
                (kernels.step)(&stencil, &[], sides, whole, &m, &mut next, [&mut [], &mut []]);
            };
            let [x, y] = whole.side_memory[0];
            let held = 5 * x + (1 + whole.counts[1] - 1) * y + 32;
            assert!(!refused(|| side(held, 6, 32)) && refused(|| side(held - 1, 6, 32)));
            assert!(refused(|| side(held, 5, 32)) && refused(|| side(held, 6, 31)));
        }
    }
}

#[test]
fn vectors_of_one_scalar_and_of_four_give_the_same_bits() {
    let case = Case::new(3, 4, [3, 2], 32);
    let plain = RowKernels::<f64>::baseline(4, 3);
    let native = <f64 as Simd>::kernels(4, 3, Path::Baseline);
    let len = case.len(case.strides);
    let (m, before) = (noise(len, 2), noise(len, 3));
    let stepped = |kernels: &RowKernels<f64>| {
        let mut next = before.clone();
        (kernels.step)(&case.stencil(), &[], [None, None], case.lines(&case.field), &m, &mut next, [&mut [], &mut []]);
        next
    };
    // The first are those of dual numbers, the second those of floats on a processor without AVX2.
    assert_eq!(stepped(&plain), stepped(&native));
}
