//! Numbers that other codes measured.

use treewave_core::{Shot, Wavelet, wavelet::ricker};
use treewave_reversal::Evolution;
use treewave_wave::{AcousticShot, Parallelism, Scratch, Top, time::stable_dt_s};

use crate::common::{
    Float, acoustic, dataset, derivatives, difference, dot, grid, half_squares, noise, norm, options, peak, relative,
    relative_l2, shared, traces,
};

/// Misfit of the circle problem and its gradient inside the model, both as sums over samples without the step.
struct Circle {
    misfit_per_shot: Vec<f64>,
    gradient: Vec<f64>,
}

/// The circle problem on its model of 101 × 101 cells extended by 140 cells, from where nothing returns in time.
fn circle<T: Float>(file: &hdf5::File) -> Circle {
    const EXTENSION: usize = 140;
    const N: usize = 101;
    let (h, dt_s, hz) = (10.0, 1e-3, 10.0);
    let extended = grid(&[N + 2 * EXTENSION, N + 2 * EXTENSION], h, -(EXTENSION as f64) * h);
    let inside: Vec<(usize, usize)> =
        (0..N * N).map(|i| (i, extended.index([i / N + EXTENSION, 0, i % N + EXTENSION]))).collect();
    let vp0 = vec![2500.0; extended.len()];
    let mut vp_true = vp0.clone();
    for (&(_, place), v) in inside.iter().zip(dataset(file, "vp_true")) {
        vp_true[place] = v;
    }
    // The peer adds the wavelet to the cell, we its strength per cell volume; its last sample has no effect.
    let wavelet: Vec<f64> = dataset(file, "wavelet")[..1000].iter().map(|w| w * h * h).collect();
    let cells = |name| dataset(file, name).chunks(2).map(|c| [c[0] * h, 0.0, c[1] * h]).collect::<Vec<_>>();
    let receivers_m = cells("receiver_cells");
    let programs = [&vp_true, &vp0].map(|vp| {
        let options = options(8, 0, Top::Absorbing, dt_s, 3000.0, hz);
        acoustic::<T>(&extended, vp, treewave_wave::AcousticOptions { parallelism: Parallelism::Threads, ..options })
    });
    let mut found = Circle { misfit_per_shot: Vec::new(), gradient: vec![0.0; N * N] };
    for source_m in cells("source_cells") {
        let shot = Shot { source_m, receivers_m: receivers_m.clone() };
        let [truth, start] = programs.each_ref().map(|program| AcousticShot::new(program, &shot, &wavelet, 1000, 1));
        let data = truth.simulate().unwrap();
        let misfit = half_squares(&data);
        let of_shot = derivatives(&start.with_misfit(&misfit), 32);
        found.misfit_per_shot.push(of_shot.misfit);
        for &(i, place) in &inside {
            found.gradient[i] += of_shot.vp[place];
        }
    }
    found
}

/// Checks a circle problem against the peers' numbers.
fn check_circle<T: Float>(name: &str, misfit_tolerance: f64, gradient_tolerance: f64) {
    let Some(path) = shared("data/refs/peer_circle_gradient.h5") else { return };
    let file = hdf5::File::open(path).unwrap();
    let found = circle::<T>(&file);
    let misfit: f64 = found.misfit_per_shot.iter().sum();
    let (expected, reference) = (79744.93651, dataset(&file, "gradient_v"));
    // Close to the receivers the two peers differ themselves, so rows 10 to 89 are compared.
    let rows = 10 * 101..90 * 101;
    let error = relative_l2(&found.gradient[rows.clone()], &reference[rows]);
    println!(
        "circle {name}: J {misfit:.5}, relative {:.1e}; gradient relative L2 {error:.1e}",
        relative(misfit, expected)
    );
    assert!(relative(misfit, expected) <= misfit_tolerance, "{misfit}");
    for (found, expected) in found.misfit_per_shot.iter().zip(dataset(&file, "misfit_per_shot")) {
        assert!(relative(*found, expected) <= misfit_tolerance, "{found} {expected}");
    }
    assert!(error <= gradient_tolerance, "{error:e}");
    let contrast = difference(&dataset(&file, "vp_true"), &dataset(&file, "vp0"));
    let slope = dot(&found.gradient, &contrast);
    assert!(relative(slope, -172532.3798) <= gradient_tolerance, "{slope}");
}

#[test]
fn the_circle_gradient_equals_the_peers_in_double_precision() {
    check_circle::<f64>("f64", 1e-6, 1e-5);
}

#[test]
fn the_circle_gradient_equals_the_peers_in_single_precision() {
    check_circle::<f32>("f32", 1e-4, 1e-3);
}

#[test]
fn a_two_layer_snapshot_equals_the_peers() {
    let Some(path) = shared("data/refs/simwave_wavefield-2d-so-2.npy") else { return };
    let file: ndarray::Array3<f32> = ndarray_npy::read_npy(path).unwrap();
    let (n, h, extra) = (501, 10.0, 10);
    let grid = grid(&[n, n], h, 0.0);
    let layered = |iz: usize| [1500.0, 1750.0, 2000.0][(iz >= 250) as usize + (iz > 250) as usize];
    let vp: Vec<f64> = (0..grid.len()).map(|i| layered(grid.cell(i)[2])).collect();
    // The peer runs at the very limit, rounded to f32; ours is refused above the limit.
    let limit_s = stable_dt_s(&grid, 2, 2000.0);
    let dt_s = f64::from(limit_s as f32).min(limit_s);
    let samples = ((1.0 + dt_s) / dt_s).ceil() as usize;
    assert_eq!(samples, 284);
    let acoustic = acoustic::<f64>(&grid, &vp, options(2, extra, Top::Absorbing, dt_s, 2000.0, 10.0));
    // The peer's wavelet is sampled on 0 … 1 s, whatever the step.
    let wavelet: Vec<f64> =
        (0..samples - 1).map(|i| h * h * ricker(i as f64 / (samples - 1) as f64, 10.0, 0.1)).collect();
    let shot = Shot { source_m: [2500.0, 0.0, 2500.0], receivers_m: Vec::new() };
    let shot = AcousticShot::new(&acoustic, &shot, &wavelet, samples - 1, 1);
    let mut state = shot.new_state();
    shot.advance(0..samples - 1, &mut state, None, &mut Scratch::default()).unwrap();
    let field = shot.physical_field(&state);
    let reference: Vec<f64> = (0..grid.len())
        .map(|i| {
            let [ix, _, iz] = grid.cell(i);
            f64::from(file[[0, iz + extra, ix + extra]])
        })
        .collect();
    let error = relative_l2(&field, &reference);
    println!("two-layer snapshot: relative L2 {error:.1e}, norm {:.5}", norm(&field));
    assert!(error <= 1e-4, "{error:e}");
}

#[test]
fn direct_waves_are_as_close_to_the_analytic_ones_as_the_peers() {
    let Some(path) = shared("data/refs/deepwave_direct_2d.h5") else { return };
    let file = hdf5::File::open(path).unwrap();
    let (n, h, dt_s, vp, samples) = (50, 5.0, 1e-4, 1500.0, 9014);
    let grid = grid(&[n, n], h, 0.0);
    // The peer's sign is the opposite of ours.
    let expected: Vec<f64> = dataset(&file, "expected").iter().map(|p| -p).collect();
    let amplitudes: Vec<f64> = dataset(&file, "source_amplitude").iter().map(|w| w * h * h).collect();
    let cells = |name| dataset(&file, name).chunks(2).map(|c| [c[0] * h, 0.0, c[1] * h]).collect::<Vec<_>>();
    let (sources, receivers) = (cells("source_cells"), cells("receiver_cells"));
    for (order, measured, factor) in [(2, 15.44, 1.05), (4, 1.441, 1.05), (6, 0.2213, 2.0), (8, 0.0918, 2.0)] {
        let acoustic = acoustic::<f64>(&grid, &vec![vp; n * n], options(order, 20, Top::Absorbing, dt_s, vp, 25.0));
        // Two shots of two sources each, which superpose.
        let mut found = vec![0.0; expected.len()];
        for (i, source_m) in sources.iter().enumerate() {
            let first = i / 2 * 2;
            let wavelet = &amplitudes[i * samples..][..samples - 1];
            let of_source = traces(&acoustic, *source_m, &receivers[first..first + 2], wavelet).concat();
            found[first * samples..][..2 * samples].iter_mut().zip(of_source).for_each(|(sum, p)| *sum += p);
        }
        let error = norm(&difference(&found, &expected));
        println!("direct wave order {order}: L2 {error:.4} of {:.2} (peer {measured})", norm(&expected));
        assert!(error <= factor * measured, "order {order}: {error}");
    }
}

#[test]
fn single_precision_satisfies_the_peers_dot_product_gate() {
    // 301 x 151 cells of 10 m in layers, two shots, 15 Hz, 2000 steps of 0.75 ms.
    let grid = grid(&[301, 151], 10.0, 0.0);
    let layers = [1500.0, 2000.0, 2500.0, 3000.0, 3500.0];
    let vp: Vec<f64> = (0..grid.len()).map(|i| layers[(grid.cell(i)[2] / 31).min(4)]).collect();
    let (dt_s, steps, hz) = (0.75e-3, 2000, 15.0);
    let acoustic = acoustic::<f32>(&grid, &vp, options(8, 20, Top::Absorbing, dt_s, 3500.0, hz));
    let wavelet = Wavelet::ricker(hz, 1.5 / hz, 1.0, steps, dt_s).samples;
    for (seed, x_m) in [(31, 755.0), (32, 2240.0)] {
        let receivers_m = (0..30).map(|i| [100.0 * i as f64 + 33.0, 0.0, 20.0]).collect();
        let shot = Shot { source_m: [x_m, 0.0, 25.0], receivers_m };
        let shot = AcousticShot::new(&acoustic, &shot, &wavelet, steps, 1);
        let data = shot.simulate().unwrap();
        // Data-like weights: what the adjoint of a misfit gets.
        let weights: Vec<f64> = data.iter().zip(noise(seed, data.len())).map(|(d, x)| d * (1.0 + 0.5 * x)).collect();
        let dvp: Vec<f64> = noise(seed + 10, grid.len()).iter().map(|x| 50.0 * x).collect();
        let born = shot.born(&dvp).unwrap();
        let weighted = |traces: &[f64], derivative: &mut [f64]| {
            derivative.copy_from_slice(&weights);
            dot(traces, &weights)
        };
        let back = derivatives(&shot.with_misfit(weighted), 45);
        let errors = [
            relative(dot(&data, &weights), dot(&wavelet, &back.wavelet)),
            // Noise cancels in the sum, so the error is relative to what Cauchy and Schwarz allow.
            (dot(&born, &weights) - dot(&dvp, &back.vp)).abs() / (norm(&born) * norm(&weights)),
        ];
        println!("f32 dot products: sources {:.1e}, model {:.1e}; peak {:.1e} Pa", errors[0], errors[1], peak(&data));
        assert!(errors.iter().all(|e| *e <= 5e-4), "{errors:?}");
    }
}
