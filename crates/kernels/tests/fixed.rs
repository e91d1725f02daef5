//! Memory variables in whole numbers: rows on every path against the formula, point by point, and what is told when they stray.

use treewave_kernels::fixed::{Around, BLOCK, Bits, Decay, PsiRow, Values, Weights};
use treewave_kernels::layer::radius_beside;
use treewave_kernels::{FixedKernels, MAX_RADIUS, Path, first_derivative};

/// Order 8.
const RADIUS: usize = 4;
/// Memory variables are in units so many times finer.
const FINE: f64 = 4096.0;
/// Points of a row: three blocks.
const N: usize = 3 * BLOCK;

/// A row of ψ along axis z, and the field that drives it.
struct Row {
    field: Vec<i32>,
    psi: Vec<f64>,
    codes: Vec<i8>,
    decay: [Vec<f64>; 3],
}

impl Row {
    /// Decays by `b` per step.
    fn new(b: f64) -> Row {
        let field = (0..N + 2 * MAX_RADIUS).map(|i| (i as i32).wrapping_mul(-1_640_531_527) / 64).collect();
        let psi = (0..N).map(|i| ((i * 7919 % 1009) as f64 - 500.0) * 1e6 + i as f64).collect();
        let decay = [-0.3, b, 1.0 / b].map(|value| vec![value; N]);
        Row { field, psi, codes: vec![0; N], decay }
    }

    fn first() -> Weights<f64> {
        let weights = first_derivative(radius_beside(RADIUS));
        std::array::from_fn(|k| weights[k + 1])
    }

    /// A step; whether something strayed. `each`: the coefficients are given per point.
    fn step(&mut self, path: Path, (wide, each, back): (bool, bool, bool), bits: Bits) -> bool {
        let kernels = FixedKernels::new(RADIUS, 2, path);
        let [a, b, inverse] = self.decay.each_ref().map(|all| if each { &all[..] } else { &all[..1] });
        let first = Row::first();
        let row = PsiRow { first: &first, decay: Decay { a, b, inverse }, psi: &mut self.psi, codes: &mut self.codes };
        let whole: Vec<i64> = self.field.iter().map(|&x| x.into()).collect();
        let field = if wide {
            Values::Wide(Around { field: &whole, at: MAX_RADIUS, stride: 1 })
        } else {
            Values::Low(Around { field: &self.field, at: MAX_RADIUS, stride: 1 })
        };
        kernels.psi(row, field, back, bits)
    }

    /// ψ one step on, and what it forgets, by the formula.
    fn expected(&self) -> (Vec<f64>, Vec<f64>) {
        let first = Row::first();
        let point = |i: usize| {
            let value = |at: usize| f64::from(self.field[at]);
            let at = i + MAX_RADIUS;
            let slope: f64 =
                (0..radius_beside(RADIUS)).map(|k| first[k] * (value(at + k + 1) - value(at - k - 1))).sum();
            let driven = self.decay[0][i] * slope * FINE;
            let new = (self.decay[1][i] * self.psi[i] + driven).round_ties_even();
            (new, self.psi[i] - ((new - driven) * self.decay[2][i]).round_ties_even())
        };
        (0..N).map(point).unzip()
    }
}

/// Paths of this processor, kinds of values and of coefficients.
fn kinds() -> impl Iterator<Item = (Path, bool, bool)> {
    let paths = [Path::Baseline, Path::Avx2, Path::Avx512].into_iter().filter(|&path| path <= Path::detect());
    paths.flat_map(|path| [(path, false, false), (path, false, true), (path, true, false), (path, true, true)])
}

#[test]
fn memory_variables_decay_by_the_formula_and_come_back_on_every_path() {
    for (path, wide, each) in kinds() {
        let mut row = Row::new(0.6);
        let (before, (new, forgotten)) = (row.psi.clone(), row.expected());
        assert!(!row.step(path, (wide, each, false), Bits::Two), "{path:?} {wide} {each}");
        assert_eq!(row.psi, new, "{path:?} {wide} {each}");
        assert!(row.codes.iter().zip(&forgotten).all(|(&code, &forgotten)| f64::from(code) == forgotten));
        assert!(forgotten.iter().any(|&forgotten| forgotten != 0.0));
        row.step(path, (wide, each, true), Bits::Two);
        assert_eq!(row.psi, before, "{path:?} {wide} {each}");
    }
}

#[test]
fn what_has_no_code_is_told_wherever_it_stands() {
    for (path, wide, each) in kinds() {
        // What a step leaves a tenth of is off by up to five.
        let mut row = Row::new(0.1);
        assert!(row.step(path, (wide, each, false), Bits::Two), "{path:?} {wide} {each}");
        for at in [0, BLOCK - 1, BLOCK + 3, N - 1] {
            for value in [f64::NAN, f64::INFINITY, 2f64.powi(52)] {
                let mut row = Row::new(0.6);
                row.psi[at] = value;
                assert!(row.step(path, (wide, each, false), Bits::Two), "{path:?} {wide} {each}: {value} at {at}");
            }
        }
        let mut row = Row::new(0.1);
        assert!(!row.step(path, (wide, each, false), Bits::Four), "{path:?} {wide} {each}");
    }
}

#[test]
fn one_code_too_many_in_the_row_is_told() {
    for (path, wide, _) in kinds() {
        for at in 0..N {
            let mut row = Row::new(0.6);
            // Among points that forget at most one unit, one that forgets up to 50.
            (row.decay[1][at], row.decay[2][at]) = (0.01, 100.0);
            let (_, forgotten) = row.expected();
            let strays = !(-1.0..=2.0).contains(&forgotten[at]);
            assert_eq!(row.step(path, (wide, true, false), Bits::Two), strays, "{path:?} {wide}: {at}");
        }
    }
}
