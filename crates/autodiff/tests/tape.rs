//! Reverse mode against what is known on paper, and against forward mode.

use treewave_autodiff::{Complex, Dual, Gradient, Tape, TapeScalar, TapeUsage, Var, gradient};
use treewave_core::Real;

/// The gradient of a program of two inputs by forward mode.
fn forward(f: impl Fn(&[Dual<f64, 2>]) -> Dual<f64, 2>, at: [f64; 2]) -> [f64; 2] {
    f(&[Dual::variable(at[0], 0), Dual::variable(at[1], 1)]).tangent
}

fn assert_near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        // a few dozen roundings at most
        assert!((f - e).abs() <= 1e-14 * e.abs().max(1.0), "{what}: {found:?} instead of {expected:?}");
    }
}

/// The worked example of the seed paper: y = z sin x.
fn example<R: Real>(x: R, z: R) -> R {
    z * x.sin()
}

#[test]
fn the_worked_example_has_the_gradient_of_the_paper_both_ways() {
    let (x, z) = (2.0_f64, 3.0_f64);
    let exact = [z * x.cos(), x.sin()];
    let Gradient { value, gradient, usage } = gradient(|v: &[Var<f64>]| example(v[0], v[1]), &[x, z]);
    assert_eq!(value.to_bits(), example(x, z).to_bits());
    assert_eq!(gradient, exact);
    assert_eq!(forward(|v| example(v[0], v[1]), [x, z]), exact);
    // two inputs, sin and product: a count, a slot for the adjoint each; three arguments with place and slope
    assert_eq!(usage, TapeUsage { inputs: 2, operations: 2, bytes: 4 * (1 + 8) + 3 * (4 + 8) });
}

/// Every operation of `Real`, in a form that no two of them cancel.
fn everything<R: Real>(x: R, z: R) -> R {
    let mut y = (x * x + R::ONE).sqrt() / (R::from_f64(2.0) - z.sin()) + x.mul_add(z.cos(), (x * z).exp());
    y -= ((x - z).abs() + R::ONE).ln();
    y *= -x;
    y += z.flush() * R::from_f64(0.25);
    y / z
}

#[test]
fn every_operation_has_the_slope_that_forward_mode_has_and_the_value_of_plain_numbers() {
    for at in [[0.3, 1.1], [-1.2, 0.4], [2.0, -0.7]] {
        let reverse = gradient(|v: &[Var<f64>]| everything(v[0], v[1]), &at);
        assert_eq!(reverse.value.to_bits(), everything(at[0], at[1]).to_bits());
        assert_near(&reverse.gradient, &forward(|v| everything(v[0], v[1]), at), "everything");
    }
}

/// The length of a Collatz-like walk and what it does to the number on the way: loops and branches that depend on values.
fn walk<R: Real>(mut x: R, z: R) -> R {
    let mut steps = 0;
    while x > R::ONE && steps < 100 {
        x = if x.value() as i64 % 2 == 0 { x / R::from_f64(2.0) } else { x * z + R::ONE };
        steps += 1;
    }
    x
}

#[test]
fn branches_and_loops_are_followed() {
    // 6 → 3 → 10 → 5 → 16 → 8 → 4 → 2 → 1
    let (x, z) = (6.0, 3.0);
    let reverse = gradient(|v: &[Var<f64>]| walk(v[0], v[1]), &[x, z]);
    assert_eq!(reverse.value, 1.0);
    // x₁ = x / 2, x₂ = x₁ z + 1, x₄ = x₂ z / 2 + 1, x₈ = x₄ / 16
    assert_near(&reverse.gradient, &[z * z / 64.0, (x / 2.0 * z + (x / 2.0 * z + 1.0)) / 32.0], "walk");
}

#[test]
fn numbers_that_are_overwritten_in_place_keep_their_history() {
    // prefix products in one array, then reversed and mixed in place
    fn mix<R: Real>(inputs: &[R]) -> R {
        let mut a = inputs.to_vec();
        for i in 1..a.len() {
            let before = a[i - 1];
            a[i] *= before;
        }
        a.reverse();
        for i in 0..a.len() - 1 {
            let next = a[i + 1];
            a[i] -= next.sin();
            let square = a[i] * a[i];
            a[i + 1] += square;
        }
        a[a.len() - 1]
    }
    let at = [0.9, 1.1, -0.7, 1.3, 0.8];
    let reverse = gradient(|v: &[Var<f64>]| mix(v), &at);
    let variables: Vec<Dual<f64, 5>> = at.iter().enumerate().map(|(i, &v)| Dual::variable(v, i)).collect();
    assert_near(&reverse.gradient, &mix(&variables).tangent, "mix");
    assert!(reverse.gradient.iter().all(|slope| slope.abs() > 1e-3), "each input matters: {:?}", reverse.gradient);
}

#[test]
fn results_that_do_not_depend_on_an_input_have_no_slope() {
    let Gradient { gradient, usage, .. } = gradient(|v: &[Var<f64>]| v[0] * v[0], &[3.0, 5.0]);
    assert_eq!(gradient, [6.0, 0.0]);
    assert_eq!(usage.operations, 1);
    let constant = treewave_autodiff::gradient(|_: &[Var<f64>]| Var::ONE.exp(), &[3.0]);
    assert_eq!((constant.value, constant.gradient, constant.usage.operations), (1f64.exp(), vec![0.0], 0));
}

#[test]
fn seeds_of_several_results_add_up() {
    let mut tape = Tape::<f64>::start();
    let (x, z) = (tape.variable(2.0), tape.variable(5.0));
    let (product, sum) = (x * z, x + z);
    let adjoints = tape.pull_back(&[(product, 10.0), (sum, 1.0), (x, 100.0), (Var::ONE, 7.0)]);
    assert_eq!([adjoints.of(x), adjoints.of(z), adjoints.of(product)], [151.0, 21.0, 10.0]);
    assert_eq!(adjoints.of(Var::ONE), 0.0);
}

#[test]
fn a_tape_of_duals_gives_products_with_the_hessian() {
    fn f<R: Real>(v: &[R]) -> R {
        everything(v[0], v[1])
    }
    let (at, direction) = ([0.3, 1.1], [0.6, -1.7]);
    type D = Dual<f64, 1>;
    let moved = [0, 1].map(|i| D { value: at[i], tangent: [direction[i]] });
    let product = gradient(|v: &[Var<D>]| f(v), &moved).gradient;
    type Second = Dual<Dual<f64, 2>, 2>;
    let variable = |i: usize| Second::variable(Dual::variable(at[i], i), i);
    let hessian = f(&[variable(0), variable(1)]).tangent.map(|row| row.tangent);
    let expected = hessian.map(|row| row[0] * direction[0] + row[1] * direction[1]);
    assert_near(&[product[0].tangent[0], product[1].tangent[0]], &expected, "Hessian times direction");
    assert_near(&[product[0].value, product[1].value], &forward(f, at), "gradient");
}

#[test]
fn single_precision_has_a_tape_too() {
    assert_eq!(gradient(|v: &[Var<f32>]| example(v[0], v[1]), &[2.0, 3.0]).gradient, [3.0 * 2f32.cos(), 2f32.sin()]);
}

#[test]
fn a_dropped_tape_leaves_nothing_behind() {
    for _ in 0..2 {
        let mut tape = Tape::<f64>::start();
        let x = tape.variable(2.0);
        let _ = x * x;
        assert_eq!(tape.usage().operations, 1);
    }
    let caught = std::panic::catch_unwind(|| {
        let _tape = Tape::<f64>::start();
        panic!("in the middle of a program");
    });
    assert!(caught.is_err());
    assert_eq!(Tape::<f64>::start().usage(), TapeUsage::default());
}

#[test]
fn variables_out_of_place_are_noticed() {
    fn stale<T: TapeScalar>(one: T) -> Var<T> {
        Tape::start().variable(one)
    }
    let after_the_end = || stale(1.0) * Var::ONE;
    let on_another_tape = || {
        let old = stale(1.0);
        let _tape = Tape::<f64>::start();
        old * old
    };
    let on_another_thread = || {
        let mut tape = Tape::<f64>::start();
        let x = tape.variable(1.0);
        let elsewhere = move || {
            let _tape = Tape::<f64>::start();
            x + x
        };
        std::thread::scope(|scope| scope.spawn(elsewhere).join()).expect("noticed")
    };
    let twice_open = || {
        let _first = Tape::<f64>::start();
        stale(1.0)
    };
    for misuse in [&after_the_end as &dyn Fn() -> Var<f64>, &on_another_tape, &on_another_thread, &twice_open] {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(misuse));
        assert!(caught.is_err());
    }
    // and the stack is as good as new
    assert_eq!(gradient(|v: &[Var<f64>]| v[0] * v[0], &[3.0]).gradient, [6.0]);
}

#[test]
fn variables_branch_like_plain_numbers() {
    let mut tape = Tape::<f64>::start();
    let (a, b) = (tape.variable(1.0), tape.variable(1.0));
    assert!(a == b && a <= b && a == Var::ONE && a > Var::ZERO);
    let tiny = tape.variable(1e-250);
    let zero = tape.variable(0.0);
    let kept = zero.flush();
    let adjoints = tape.pull_back(&[(tiny.flush(), 1.0), (kept, 1.0)]);
    // a value that is flushed loses its slope, an exact zero is not flushed
    assert_eq!([adjoints.of(tiny), adjoints.of(zero)], [0.0, 1.0]);
}

/// |exp(z)² + 1 / z|² over any scalar.
fn complex_objective<R: Real>(v: &[R]) -> R {
    let z = Complex::new(v[0], v[1]);
    (z.exp() * z.exp() + Complex::ONE / z).norm_sqr()
}

#[test]
fn complex_programs_are_differentiated_as_pairs_of_reals() {
    let at = [0.4, -0.8];
    let reverse = gradient(|v: &[Var<f64>]| complex_objective(v), &at);
    assert_near(&reverse.gradient, &forward(complex_objective, at), "tape and dual");
    // for J = |w|² with w = f(z) analytic: (∂J/∂re, ∂J/∂im) = 2 conj(f′) w
    let z = Complex::new(at[0], at[1]);
    let w = (z + z).exp() + Complex::ONE / z;
    let slope = (z + z).exp().scale(2.0) - Complex::ONE / (z * z);
    let expected = (slope.conj() * w).scale(2.0);
    assert_near(&reverse.gradient, &[expected.re, expected.im], "by hand");
}
