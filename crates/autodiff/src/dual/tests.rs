use super::*;

/// A function that uses every operation.
fn f<R: Real>(x: R) -> R {
    let mut y = (x * x + R::ONE).sqrt() / (R::from_f64(2.0) - x.sin()) + x.mul_add(x.cos(), x.exp());
    y -= (x.abs() + R::ONE).ln();
    y *= -x;
    y += x.flush();
    y
}

type Second = Dual<Dual<f64, 1>, 1>;

/// Value, first and second derivative.
fn twice(f: impl Fn(Second) -> Second, x: f64) -> [f64; 3] {
    let y = f(Dual::variable(Dual::variable(x, 0), 0));
    assert_eq!(y.value.tangent[0].to_bits(), y.tangent[0].value.to_bits(), "both levels see the same first derivative");
    [y.value.value, y.tangent[0].value, y.tangent[0].tangent[0]]
}

fn assert_near(found: [f64; 3], expected: [f64; 3], what: &str) {
    for (found, expected) in found.into_iter().zip(expected) {
        // a few roundings of numbers of order one
        assert!((found - expected).abs() <= 1e-14 * expected.abs().max(1.0), "{what}: {found} instead of {expected}");
    }
}

#[test]
fn derivatives_equal_central_differences() {
    for x in [-1.3, 0.4, 2.0] {
        let h = 1e-6;
        let numeric = (f(x + h) - f(x - h)) / (2.0 * h);
        let exact = f(Dual::<f64, 1>::variable(x, 0)).tangent[0];
        assert!((numeric - exact).abs() < 1e-8 * exact.abs().max(1.0), "{x}: {numeric} {exact}");
    }
}

#[test]
fn nested_duals_give_the_second_derivative_of_every_operation() {
    for x in [0.3_f64, 1.7] {
        let (s, c, e) = (x.sin(), x.cos(), x.exp());
        assert_near(twice(|x| x.sin(), x), [s, c, -s], "sin");
        assert_near(twice(|x| x.cos(), x), [c, -s, -c], "cos");
        assert_near(twice(|x| x.exp(), x), [e, e, e], "exp");
        assert_near(twice(|x| x.ln(), x), [x.ln(), 1.0 / x, -1.0 / (x * x)], "ln");
        let root = x.sqrt();
        assert_near(twice(|x| x.sqrt(), x), [root, 0.5 / root, -0.25 / (x * root)], "sqrt");
        assert_near(twice(|x| (-x).abs(), x), [x, 1.0, 0.0], "abs");
        assert_near(twice(|x| Second::ONE / x, x), [1.0 / x, -1.0 / x.powi(2), 2.0 / x.powi(3)], "quotient");
        assert_near(twice(|x| x * x * x, x), [x.powi(3), 3.0 * x * x, 6.0 * x], "product");
        let fused = [x * s + c, x * c, c - x * s];
        assert_near(twice(|x| x.mul_add(x.sin(), x.cos()), x), fused, "mul_add");
        // (x − e⁻ˣ)² with everything in place
        let in_place = |x: Second| {
            let mut y = x;
            y -= (-x).exp();
            y += Second::ZERO;
            y *= y;
            y.flush()
        };
        let (u, up, upp) = (x - 1.0 / e, 1.0 + 1.0 / e, -1.0 / e);
        assert_near(twice(in_place, x), [u * u, 2.0 * u * up, 2.0 * (up * up + u * upp)], "in place");
    }
}

#[test]
fn nested_duals_in_several_directions_give_the_hessian() {
    // y = z sin x: [−z sin x, cos x; cos x, 0]
    let (x, z) = (2.0, 3.0);
    type Hessian = Dual<Dual<f64, 2>, 2>;
    let variable = |value, i| Hessian::variable(Dual::variable(value, i), i);
    let y = variable(z, 1) * variable(x, 0).sin();
    let hessian = y.tangent.map(|row| row.tangent);
    assert_eq!(hessian, [[-z * x.sin(), x.cos()], [x.cos(), 0.0]]);
}

#[test]
fn three_levels_give_the_third_derivative() {
    let x = Dual::<Second, 1>::variable(Dual::variable(Dual::variable(0.7, 0), 0), 0);
    let third = x.sin().tangent[0].tangent[0].tangent[0];
    assert!((third + 0.7_f64.cos()).abs() < 1e-15, "{third}");
}

#[test]
fn flushing_drops_the_derivative_with_the_value() {
    let same = |a: Dual<f64, 1>, b: Dual<f64, 1>| (a.value, a.tangent) == (b.value, b.tangent);
    let tiny = Dual::<f64, 1> { value: 1e-250, tangent: [1.0] };
    assert!(same(tiny.flush(), Dual::ZERO));
    // An exact zero is not flushed: the field before the first wave is zero for every model.
    let zero = Dual::<f64, 1> { value: 0.0, tangent: [1.0] };
    assert!(same(zero.flush(), zero));
}

#[test]
fn comparisons_see_values_alone() {
    let (a, b) = (Dual::<f64, 1>::variable(1.0, 0), Dual::constant(1.0));
    assert!(a == b && a <= b && a >= b && a < Dual::constant(2.0));
    assert_eq!(Dual::<f64, 1>::constant(-0.0).abs().value.to_bits(), 0.0_f64.to_bits());
}
