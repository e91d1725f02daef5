//! Weights of differences and of places between points, and what kernels are handed: here rather than in the crate, whose
//! kernels would be compiled once more for its own tests.

use std::f64::consts::PI;

use treewave_kernels::side::ahead;
use treewave_kernels::sparse::axis_weights;
use treewave_kernels::{MAX_RADIUS, Shared, Stencil, first_derivative, second_derivative};

#[test]
fn order_8_has_the_published_weights() {
    let c = second_derivative(4);
    for (k, expected) in [-205.0 / 72.0, 8.0 / 5.0, -1.0 / 5.0, 8.0 / 315.0, -1.0 / 560.0].iter().enumerate() {
        assert!((c[k] - expected).abs() < 1e-15, "{k}: {} {expected}", c[k]);
    }
    let d = first_derivative(4);
    for (k, expected) in [0.0, 4.0 / 5.0, -1.0 / 5.0, 4.0 / 105.0, -1.0 / 280.0].iter().enumerate() {
        assert!((d[k] - expected).abs() < 1e-15, "{k}: {} {expected}", d[k]);
    }
}

#[test]
fn differences_are_exact_for_polynomials_up_to_their_order() {
    for radius in 1..=MAX_RADIUS {
        let (c, d) = (second_derivative(radius), first_derivative(radius));
        for power in 0..=2 * radius {
            let f = |k: i64| (k as f64 / radius as f64).powi(power as i32);
            let second: f64 = c[0] * f(0) + (1..=radius).map(|k| c[k] * (f(k as i64) + f(-(k as i64)))).sum::<f64>();
            let first: f64 = (1..=radius).map(|k| d[k] * (f(k as i64) - f(-(k as i64)))).sum();
            let h = 1.0 / radius as f64;
            let exact_second = if power == 2 { 2.0 } else { 0.0 };
            let exact_first = if power == 1 { 1.0 } else { 0.0 };
            assert!((second / (h * h) - exact_second).abs() < 1e-9, "order {} power {power}", 2 * radius);
            assert!((first / h - exact_first).abs() < 1e-10, "order {} power {power}", 2 * radius);
        }
    }
}

#[test]
fn a_field_that_is_the_same_everywhere_has_no_laplacian_with_rounded_weights() {
    let spacings_m = [[10.0, 10.0, 10.0], [8.0, 11.0, 9.0], [7.3, 1.1, 123.4]];
    for (radius, spacing_m) in (1..=MAX_RADIUS).flat_map(|radius| spacings_m.map(|spacing_m| (radius, spacing_m))) {
        for axes in [&[0, 2][..], &[0, 1, 2]] {
            let stencil = Stencil::<f32>::new(radius, axes, spacing_m);
            let of_z = || stencil.second[2][1..].iter().map(|&weight| 2.0 * f64::from(weight)).sum::<f64>();
            let neighbours: f64 = stencil.ratio.iter().map(|&ratio| f64::from(ratio) * of_z()).sum();
            let rounding = 0.5 * f64::from(f32::EPSILON) * neighbours;
            assert!((f64::from(stencil.centre) + neighbours).abs() <= rounding, "radius {radius}, {spacing_m:?}");
            let exact: f64 = axes.iter().map(|&axis| second_derivative(radius)[0] / spacing_m[axis].powi(2)).sum();
            assert!((f64::from(stencil.centre) / exact - 1.0).abs() < 3e-7, "radius {radius}, {spacing_m:?}");
        }
    }
}

#[test]
fn a_place_on_a_node_is_that_node() {
    assert_eq!(axis_weights(7.0, 20, false), vec![(7, 1.0)]);
    assert_eq!(axis_weights(0.0, 20, false), vec![(0, 1.0)]);
}

#[test]
fn band_limited_functions_are_interpolated_to_a_thousandth() {
    // Six points per wavelength; the bound is Hicks' figure for a half width of 4.
    let f = |x: f64| (2.0 * PI * x / 6.0 + 0.3).cos();
    for position in [10.1, 10.25, 10.5, 10.9] {
        let sum: f64 = axis_weights(position, 30, false).iter().map(|&(i, w)| w * f(i as f64)).sum();
        assert!((sum - f(position)).abs() < 2e-3, "{position}: {sum} {}", f(position));
    }
}

#[test]
fn a_free_surface_mirrors_with_opposite_sign() {
    // An odd function about the surface is interpolated as well near it as anywhere.
    let f = |x: f64| (2.0 * PI * x / 8.0).sin();
    for position in [0.3, 0.5, 1.7, 2.5] {
        let sum: f64 = axis_weights(position, 30, true).iter().map(|&(i, w)| w * f(i as f64)).sum();
        assert!((sum - f(position)).abs() < 2e-3, "{position}: {sum} {}", f(position));
        assert!(axis_weights(position, 30, true).iter().all(|&(i, _)| i > 0));
    }
}

#[test]
fn parts_are_written_by_several_threads_and_those_outside_are_refused() {
    let mut array = vec![0; 10];
    let shared = Shared::new(&mut array);
    std::thread::scope(|scope| {
        for (value, part) in [(1, 0..4), (2, 4..10)] {
            let shared = &shared;
            // SAFETY: the parts are apart.
            scope.spawn(move || unsafe { shared.write(part) }.fill(value));
        }
    });
    // SAFETY: nobody writes any more.
    assert_eq!(unsafe { shared.read(2..6) }, [1, 1, 2, 2]);
    for outside in [3..11, 11..11] {
        // SAFETY: nobody writes.
        let read = || unsafe { shared.read(outside.clone()) }.len();
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).is_err());
    }
}

#[test]
fn what_is_ready_ahead_of_successive_ranges_covers_all_once() {
    for n in 1..20 {
        for step in 1..7 {
            for radius in 0..5 {
                let mut next = 0;
                for start in (0..n).step_by(step) {
                    let range = start..(start + step).min(n);
                    let ready = ahead(range.clone(), radius, n);
                    assert!(ready.start == next && ready.end >= range.end);
                    assert!(ready.end >= (range.end + radius).min(n));
                    next = ready.end;
                }
                assert_eq!(next, n);
            }
        }
    }
}
