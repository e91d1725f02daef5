//! A point source in a homogeneous 3-D medium: `p = w(t − r/c) / (4π r)`.

use treewave_core::{Wavelet, wavelet::ricker};
use treewave_wave::Top;

use crate::common::{Float, acoustic, difference, grid, norm, options, rate, relative_l2, traces};

const VP: f64 = 2000.0;
const PEAK_HZ: f64 = 10.0;
const DELAY_S: f64 = 0.12;
const END_S: f64 = 0.34;
/// From the source to the receiver in m: on the points of every grid below.
const AWAY_M: [f64; 3] = [200.0, 100.0, 100.0];

/// Trace and analytic solution. The cube is so large that nothing returns from its sides in time.
fn run<T: Float>(order: usize, spacing_m: f64, dt_s: f64) -> (Vec<f64>, Vec<f64>) {
    let half_m = 400.0;
    let n = (2.0 * half_m / spacing_m).round() as usize + 1;
    let grid = grid(&[n, n, n], spacing_m, -half_m);
    let acoustic = acoustic::<T>(&grid, &vec![VP; grid.len()], options(order, 0, Top::Absorbing, dt_s, VP, PEAK_HZ));
    let steps = (END_S / dt_s).round() as usize;
    let wavelet = Wavelet::ricker(PEAK_HZ, DELAY_S, 1.0, steps, dt_s).samples;
    let source = [-100.0, -100.0, 0.0];
    let receiver = [0, 1, 2].map(|a| source[a] + AWAY_M[a]);
    let numeric = traces(&acoustic, source, &[receiver], &wavelet).remove(0);
    let r_m = norm(&AWAY_M);
    let analytic = (0..=steps).map(|n| {
        let t_s = n as f64 * dt_s - r_m / VP;
        if t_s < 0.0 { 0.0 } else { ricker(t_s, PEAK_HZ, DELAY_S) / (4.0 * std::f64::consts::PI * r_m) }
    });
    (numeric, analytic.collect())
}

#[test]
fn a_point_source_gives_the_analytic_trace_with_the_order_of_the_scheme() {
    // Order 2 with a step that falls as the spacing, higher orders with one that falls as its square.
    for (order, power, least) in [(2, 1, 1.8), (4, 2, 3.7)] {
        let spacings_m = [25.0, 20.0, 12.5];
        let errors = spacings_m.map(|h| {
            let dt_s = 4e-3 * (h / 25.0_f64).powi(power);
            let (numeric, analytic) = run::<f64>(order, h, dt_s);
            relative_l2(&numeric, &analytic)
        });
        let slope = rate(&spacings_m, &errors);
        println!("3-D order {order}: {:.2e} {:.2e} {:.2e}, rate {slope:.3}", errors[0], errors[1], errors[2]);
        assert!(slope >= least, "order {order}: {errors:?}, rate {slope}");
    }
    let (numeric, analytic) = run::<f64>(8, 12.5, 0.5e-3);
    let error = relative_l2(&numeric, &analytic);
    println!("3-D order 8, 16 points per wavelength: relative L2 {error:.2e}");
    assert!(error <= 1e-3, "{error:e}");
}

#[test]
fn single_precision_follows_double_precision() {
    let (single, double) = (run::<f32>(8, 20.0, 2e-3).0, run::<f64>(8, 20.0, 2e-3).0);
    let error = norm(&difference(&single, &double)) / norm(&double);
    println!("3-D f32 against f64: relative L2 {error:.2e}");
    // 170 steps, each of which rounds the leapfrog's sum to 6e-8.
    assert!(error <= 1e-5, "{error:e}");
}
