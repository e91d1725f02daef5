use super::*;

type C = Complex<f64>;

fn assert_near(found: C, expected: C) {
    assert!((found - expected).abs() <= 1e-15 * expected.abs().max(1.0), "{found:?} instead of {expected:?}");
}

#[test]
fn the_arithmetic_is_that_of_a_field() {
    let (a, b, c) = (C::new(0.3, -1.2), C::new(-0.7, 0.4), C::new(1.5, 2.5));
    assert_eq!(C::I * C::I, -C::ONE);
    assert_eq!(a + b, b + a);
    assert_near(a * b, b * a);
    assert_near(a * (b + c), a * b + a * c);
    assert_near((a / b) * b, a);
    assert_near(a / a, C::ONE);
    assert_near(a - a, C::ZERO);
    assert_eq!(C::from(2.0) * a, a.scale(2.0));
    let mut d = a;
    d += b;
    d -= c;
    d *= a;
    assert_eq!(d, (a + b - c) * a);
}

#[test]
fn conjugates_and_magnitudes_belong_together() {
    let z = C::new(3.0, -4.0);
    assert_eq!(z * z.conj(), C::from(25.0));
    assert_eq!((z.norm_sqr(), z.abs()), (25.0, 5.0));
    assert_near(C::new(1.0, 2.0) / C::new(3.0, -4.0), C::new(-0.2, 0.4));
}

#[test]
fn the_exponential_follows_euler() {
    use std::f64::consts::PI;
    assert_near(C::new(0.0, PI).exp(), -C::ONE);
    assert_near(C::new(0.5, 0.25).exp() * C::new(-0.2, 1.0).exp(), C::new(0.3, 1.25).exp());
    assert_near(C::from_polar(2.0, PI / 3.0), C::new(1.0, 3f64.sqrt()));
}
