//! The kernels of rows against their definitions, written as plain loops, on every path that this processor has; and
//! what they refuse.

use treewave_core::Real;
use treewave_kernels::{Lines, Path, RowKernels, Simd, Stencil, second_derivative};

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
    count: usize,
    n: usize,
    strides: [usize; 2],
    start: usize,
    field: Vec<f64>,
}

impl Case {
    fn new(dims: usize, radius: usize, count: usize, n: usize) -> Self {
        let (sy, rows) = (n + 24, count + 16);
        let strides = [if dims == 2 { sy } else { sy * rows }, sy];
        let planes = if dims == 2 { 1 } else { 17 };
        let start = if dims == 2 { 8 * sy + 9 } else { 8 * strides[0] + 8 * sy + 9 };
        Case { dims, radius, count, n, strides, start, field: noise(planes * rows * sy, 1) }
    }

    fn stencil<T: Real>(&self) -> Stencil<T> {
        Stencil::new(self.radius, if self.dims == 2 { &[0, 2] } else { &[0, 1, 2] }, SPACING_M)
    }

    fn lines<'a, T>(&self, field: &'a [T]) -> Lines<'a, T> {
        let Case { count, n, strides, start, dims, .. } = *self;
        Lines { field, start, strides, count, line: strides[dims - 2], n }
    }

    /// `L p` by its definition at point `j` of row `i`.
    fn laplacian(&self, i: usize, j: usize) -> f64 {
        let c = second_derivative(self.radius);
        let at = (self.start + i * self.strides[self.dims - 2] + j) as i64;
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
    let (stencil, line) = (case.stencil::<T>(), case.strides[case.dims - 2]);
    let (field, len) = (scalars::<T>(&case.field), (case.count - 1) * line + case.n);
    let now = case.lines(&field);
    let (m, before) = (noise(len, 2), noise(len, 3));
    let (m_scalars, before_scalars) = (scalars::<T>(&m), scalars::<T>(&before));
    let cells = case.count * case.n;
    let images: Vec<T> = scalars(&noise(cells, 4));
    let recorded = noise(cells, 5);
    let (mut next, mut record) = (before_scalars.clone(), vec![T::ZERO; cells]);
    (kernels.record)(&stencil, now, &m_scalars, &mut next, &mut record);
    let mut plain = before_scalars.clone();
    (kernels.step)(&stencil, now, &m_scalars, &mut plain);
    assert_eq!(plain, next, "a record changes no bit of the step");
    let (mut imaged, mut gradient, mut illumination) = (before_scalars.clone(), images.clone(), images.clone());
    let recorded_scalars = scalars::<T>(&recorded);
    (kernels.image)(&stencil, now, &m_scalars, &mut imaged, &recorded_scalars, &mut gradient, &mut illumination);
    assert_eq!(imaged, next, "an image changes no bit of the step");

    let mut touched = vec![false; len];
    for (i, j) in (0..case.count).flat_map(|i| (0..case.n).map(move |j| (i, j))) {
        let (place, cell) = (i * line + j, i * case.n + j);
        touched[place] = true;
        let (p, w) = (case.field[case.start + place], case.laplacian(i, j));
        let close = |found: T, expected: f64, what: &str| {
            let error = (found.value() - expected).abs();
            assert!(
                error <= tolerance,
                "{what}: {dims}-D, radius {r}, row {i}, point {j}",
                dims = case.dims,
                r = case.radius
            );
        };
        close(next[place], 2.0 * p - before[place] + m[place] * w, "step");
        close(record[cell], w, "record");
        close(gradient[cell], images[cell].value() + p * recorded[cell], "gradient");
        close(illumination[cell], images[cell].value() + recorded[cell].powi(2), "illumination");
    }
    let between = (0..len).filter(|&place| !touched[place]);
    between.for_each(|place| assert!(next[place] == before_scalars[place], "what stands between rows is not touched"));
    [next, record, gradient, illumination].concat()
}

#[test]
fn steps_are_their_definitions_and_the_width_of_vectors_changes_no_bit() {
    for (dims, radius) in [2, 3].into_iter().flat_map(|dims| (1..=8).map(move |radius| (dims, radius))) {
        // Odd and even numbers of rows; rows longer than those that are worked on in one go.
        for (count, n) in [(1, 16), (2, 48), (5, 16), (3, 1040)] {
            let case = Case::new(dims, radius, count, n);
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
            let case = Case::new(dims, 4, 3, 32);
            let kernels = <f64 as Simd>::kernels(4, dims, path);
            let stencil = case.stencil::<f64>();
            let line = case.strides[dims - 2];
            let len = 2 * line + 32;
            let step = |lines: Lines<f64>, m: usize, next: usize| {
                let (m, mut next) = (vec![0.0; m], vec![0.0; next]);
                (kernels.step)(&stencil, lines, &m, &mut next);
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
            assert!(refused(|| step(Lines { line: line - 1, ..whole }, len, len)));
            let record = |cells: usize| {
                let (m, mut next, mut record) = (vec![0.0; len], vec![0.0; len], vec![0.0; cells]);
                (kernels.record)(&stencil, whole, &m, &mut next, &mut record);
            };
            assert!(!refused(|| record(96)) && refused(|| record(95)));
            let memory = |cells: usize| {
                let mut psi = vec![0.0; cells];
                (kernels.psi)(&stencil, 0, [0.1, 0.2], whole, &mut psi);
            };
            assert!(!refused(|| memory(96)) && refused(|| memory(95)));
            let layer = |across: usize, zeta: usize| {
                let (rows, mut zeta) = (vec![0.0; across], vec![0.0; zeta]);
                let (m, mut next) = (vec![0.0; len], vec![0.0; len]);
                (kernels.layer)(&stencil, 0, [0.1, 0.2], whole, &[&rows[..]; 5], &mut zeta, &m, &mut next, &mut []);
            };
            assert!(!refused(|| layer(96, 96)) && refused(|| layer(95, 96)) && refused(|| layer(96, 95)));
        }
    }
}

#[test]
fn vectors_of_one_scalar_and_of_four_give_the_same_bits() {
    let case = Case::new(3, 4, 3, 32);
    let plain = RowKernels::<f64>::baseline(4, 3);
    let native = <f64 as Simd>::kernels(4, 3, Path::Baseline);
    let len = 2 * case.strides[1] + 32;
    let (m, before) = (noise(len, 2), noise(len, 3));
    let stepped = |kernels: &RowKernels<f64>| {
        let mut next = before.clone();
        (kernels.step)(&case.stencil(), case.lines(&case.field), &m, &mut next);
        next
    };
    // The first are those of dual numbers, the second those of floats on a processor without AVX2.
    assert_eq!(stepped(&plain), stepped(&native));
}
