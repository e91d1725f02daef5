//! The program is the scheme, the adjoint its transpose, the tangent its derivative; whatever the layer.

use treewave_autodiff::{Dual, Tape, Var};
use treewave_core::Real;
use treewave_kernels::{Path, SeedKernels};
use treewave_wave::seed_pml::{SeedPml, SeedPmlOptions, SeedPmlShot, squared_difference};
use treewave_wave::{Parallelism, SeedLayer, SeedPmlError};

use crate::case::{Case, dot, noise, norm, recorded, relative, ricker, transpose};
use crate::plain::Plain;

/// Round-off of some hundred steps.
const ROUND_OFF: f64 = 1e-12;

/// A case whose every part is active: a varying model, source and receivers inside the layer, in a corner, beside it.
fn case(points: [usize; 2], width_cells: usize, sides: [[bool; 2]; 2], steps: usize) -> Case {
    let layer = SeedLayer { width_cells, reference_vp_m_per_s: 2000.0, reflection: 1e-4, sides };
    let options =
        SeedPmlOptions { points, spacing_m: [10.0, 8.0], dt_s: 1e-3, layer, parallelism: Parallelism::Serial };
    let c2 = noise(1, points[0] * points[1]).iter().map(|x| (2000.0 + 400.0 * x).powi(2)).collect();
    let last = points.map(|n| n - 2);
    let at = |x: f64, z: f64| [x, z].into_iter().zip(last).map(|(share, n)| 1 + (share * (n - 1) as f64) as usize);
    let point = |x, z| at(x, z).collect::<Vec<_>>().try_into().expect("two indices");
    Case {
        options,
        c2,
        source: point(0.25, 0.2),
        receivers: vec![point(0.0, 0.0), point(0.5, 0.6), point(1.0, 0.4), point(0.3, 1.0), point(0.25, 0.2)],
        wavelet: ricker(steps + 1, 6.0, 18.0, 1e4),
        steps,
    }
}

const ALL: [[bool; 2]; 2] = [[true; 2]; 2];

/// Layers on all sides, on some, on none; meeting in the middle; grids down to a single cell.
fn cases() -> Vec<Case> {
    vec![
        case([21, 19], 5, ALL, 80),
        case([21, 19], 5, [[true, true], [false, true]], 80),
        case([21, 19], 5, [[false, true], [true, false]], 81),
        case([21, 19], 4, [[false, false], [true, true]], 80),
        case([19, 23], 4, [[true, true], [false, false]], 80),
        case([19, 17], 0, ALL, 60),
        case([19, 17], 1, ALL, 60),
        case([13, 21], 7, ALL, 60),
        case([21, 13], 7, ALL, 60),
        case([12, 11], 9, ALL, 60),
        case([70, 12], 3, ALL, 40),
        case([5, 4], 2, ALL, 30),
        case([3, 3], 1, ALL, 20),
        case([3, 9], 3, ALL, 20),
    ]
}

fn name(case: &Case) -> String {
    let layer = &case.options.layer;
    format!("{:?} points, {} cells, {:?}", case.options.points, layer.width_cells, layer.sides)
}

#[test]
fn fields_are_those_of_the_scheme_written_plainly() {
    for case in cases() {
        let mut plain = Plain::at_rest(&case);
        (0..case.steps).for_each(|n| plain.step(&case, &case.c2, case.wavelet[n]));
        let program = case.program();
        let (_, state) = case.shot(&program).simulate().unwrap();
        for (field, plain) in [(&state.now, &plain.now), (&state.before, &plain.before)] {
            assert!(relative(&program.points(field), plain) <= ROUND_OFF, "{}", name(&case));
        }
        for (frame, plain) in [(&state.phi, &plain.phi), (&state.psi, &plain.psi)] {
            let error: Vec<f64> = program.frame().spread(frame).iter().zip(plain).map(|(f, p)| f - p).collect();
            assert!(norm(&error) <= ROUND_OFF * norm(plain), "{}", name(&case));
        }
    }
}

#[test]
fn sources_to_data_and_final_field_and_back_satisfy_the_dot_product_test() {
    for case in cases() {
        let program = case.program();
        let case = Case { wavelet: noise(5, case.steps), ..case };
        let (weights, last) = (noise(6, case.steps * case.receivers.len()), noise(7, case.points()));
        let shot = case.shot(&program);
        let (data, state) = shot.simulate().unwrap();
        let adjoint = transpose(&case, &program, &weights, &last);
        let left = dot(&data, &weights) + dot(&program.points(&state.now), &last);
        let right = dot(&case.wavelet, &shot.gradient_wavelet(&adjoint));
        let size = norm(&data) * norm(&weights);
        assert!((left - right).abs() <= ROUND_OFF * size, "{}: {left:e} {right:e}", name(&case));
    }
}

#[test]
fn initial_fields_to_data_and_back_satisfy_the_dot_product_test() {
    for case in cases() {
        let program = case.program();
        let weights = noise(8, case.steps * case.receivers.len());
        let silent = Case { wavelet: vec![0.0; case.steps], ..case.clone() };
        let shot = silent.shot(&program);
        let (mut state, mut output) = (program.new_state(), shot.new_output());
        let (mut u0, mut before0) = (noise(9, case.points()), noise(10, case.points()));
        let [nx, nz] = case.options.points;
        for (i, k) in (0..nx).flat_map(|i| (0..nz).map(move |k| (i, k))) {
            if i == 0 || i == nx - 1 || k == 0 || k == nz - 1 {
                (u0[i * nz + k], before0[i * nz + k]) = (0.0, 0.0);
            }
            state.now[program.index([i, k])] = u0[i * nz + k];
            state.before[program.index([i, k])] = before0[i * nz + k];
        }
        shot.run(0..case.steps, &mut state, None, Some(&mut output)).unwrap();
        let data = shot.by_trace(&output);
        let adjoint = transpose(&silent, &program, &weights, &vec![0.0; case.points()]);
        let left = dot(&data, &weights);
        let right = dot(&u0, &shot.gradient_u0(&adjoint)) + dot(&before0, &shot.gradient_before0(&adjoint));
        assert!((left - right).abs() <= ROUND_OFF * norm(&data) * norm(&weights), "{}", name(&case));
    }
}

#[test]
fn dual_numbers_along_the_model_give_the_hand_written_gradient() {
    type D = Dual<f64, 1>;
    for case in cases() {
        let change: Vec<f64> = noise(11, case.points()).iter().zip(&case.c2).map(|(x, c)| 0.1 * x * c).collect();
        let c2: Vec<D> = case.c2.iter().zip(&change).map(|(&value, &t)| Dual { value, tangent: [t] }).collect();
        let (program, plain) = (case.program_of(&c2), case.program());
        let wavelet: Vec<D> = case.wavelet.iter().map(|&w| D::from_f64(w)).collect();
        let shot = SeedPmlShot::new(&program, case.source, &case.receivers, &wavelet, case.steps).unwrap();
        let tangent: Vec<f64> = shot.simulate().unwrap().0.iter().map(|d| d.tangent[0]).collect();
        let weights = noise(12, tangent.len());
        let adjoint = transpose(&case, &plain, &weights, &vec![0.0; case.points()]);
        let left = dot(&tangent, &weights);
        let right = dot(&change, &case.shot(&plain).gradient_c2(&adjoint));
        let size = norm(&tangent) * norm(&weights);
        assert!((left - right).abs() <= ROUND_OFF * size, "{}: {left:e} {right:e}", name(&case));
    }
}

#[test]
fn every_entry_of_the_gradients_is_the_derivative_by_dual_numbers() {
    const N: usize = 6;
    type D = Dual<f64, N>;
    let case = case([13, 12], 3, [[true, true], [false, true]], 50);
    let (n, plain) = (case.points(), case.program());
    let target = noise(13, case.steps * case.receivers.len());
    let shot = case.shot(&plain);
    let (traces, _) = shot.simulate().unwrap();
    let mut residual = vec![0.0; traces.len()];
    let size = traces.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
    let target: Vec<f64> = target.iter().map(|x| size * x).collect();
    squared_difference(&traces, &target, &mut residual);
    let adjoint = transpose(&case, &plain, &residual, &vec![0.0; n]);
    // What can vary, one list: squared velocity, wavelet, initial field, the field before.
    let gradient = [
        shot.gradient_c2(&adjoint),
        shot.gradient_wavelet(&adjoint),
        shot.gradient_u0(&adjoint),
        shot.gradient_before0(&adjoint),
    ];
    let begin = [0, n, n + case.wavelet.len(), 2 * n + case.wavelet.len()];
    let mut found = vec![0.0; 3 * n + case.wavelet.len()];
    for first in (0..found.len()).step_by(N) {
        let seeded = |value: f64, place: usize| {
            let direction = place.wrapping_sub(first);
            if direction < N { D::variable(value, direction) } else { D::from_f64(value) }
        };
        let list = |values: &[f64], part: usize| -> Vec<D> {
            values.iter().enumerate().map(|(i, &value)| seeded(value, begin[part] + i)).collect()
        };
        let (c2, wavelet) = (list(&case.c2, 0), list(&case.wavelet, 1));
        let program = case.program_of(&c2);
        let shot = SeedPmlShot::new(&program, case.source, &case.receivers, &wavelet, case.steps).unwrap();
        let (mut state, mut output) = (program.new_state(), shot.new_output());
        let [nx, nz] = case.options.points;
        for (i, k) in (1..nx - 1).flat_map(|i| (1..nz - 1).map(move |k| (i, k))) {
            state.now[program.index([i, k])] = seeded(0.0, begin[2] + i * nz + k);
            state.before[program.index([i, k])] = seeded(0.0, begin[3] + i * nz + k);
        }
        shot.run(0..case.steps, &mut state, None, Some(&mut output)).unwrap();
        let mut loss = D::ZERO;
        for (trace, &target) in shot.by_trace(&output).iter().zip(&target) {
            loss += (*trace - D::from_f64(target)) * (*trace - D::from_f64(target));
        }
        let count = N.min(found.len() - first);
        found[first..first + count].copy_from_slice(&loss.tangent[..count]);
    }
    for (part, gradient) in gradient.iter().enumerate() {
        let found = &found[begin[part]..][..gradient.len()];
        let largest = gradient.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
        assert!(largest > 0.0);
        for (i, (f, g)) in found.iter().zip(gradient).enumerate() {
            assert!((f - g).abs() <= ROUND_OFF * largest, "part {part}, entry {i}: {f:e} {g:e}");
        }
    }
}

#[test]
fn every_entry_of_the_gradients_is_the_derivative_by_tape() {
    for case in cases() {
        let (n, plain) = (case.points(), case.program());
        let shot = case.shot(&plain);
        let (traces, _) = shot.simulate().unwrap();
        let size = traces.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
        let target: Vec<f64> = noise(17, traces.len()).iter().map(|x| size * x).collect();
        let mut residual = vec![0.0; traces.len()];
        let value = squared_difference(&traces, &target, &mut residual);
        let adjoint = transpose(&case, &plain, &residual, &vec![0.0; n]);

        let mut tape = Tape::<f64>::start();
        let mut variables =
            |values: &[f64]| -> Vec<Var<f64>> { values.iter().map(|&value| tape.variable(value)).collect() };
        let (c2, wavelet) = (variables(&case.c2), variables(&case.wavelet));
        let (u0, before0) = (variables(&vec![0.0; n]), variables(&vec![0.0; n]));
        let program = case.program_of(&c2);
        let taped = SeedPmlShot::new(&program, case.source, &case.receivers, &wavelet, case.steps).unwrap();
        let (mut state, mut output) = (program.new_state(), taped.new_output());
        let [nx, nz] = case.options.points;
        for (i, k) in (1..nx - 1).flat_map(|i| (1..nz - 1).map(move |k| (i, k))) {
            state.now[program.index([i, k])] = u0[i * nz + k];
            state.before[program.index([i, k])] = before0[i * nz + k];
        }
        taped.run(0..case.steps, &mut state, None, Some(&mut output)).unwrap();
        let mut loss = Var::<f64>::ZERO;
        for (&trace, &target) in taped.by_trace(&output).iter().zip(&target) {
            let difference = trace - Var::from_f64(target);
            loss += difference * difference;
        }
        assert!((loss.value - value).abs() <= ROUND_OFF * value, "{}", name(&case));
        let by_tape = tape.pull_back(&[(loss, 1.0)]);
        for (what, variables, gradient) in [
            ("c²", c2, shot.gradient_c2(&adjoint)),
            ("wavelet", wavelet, shot.gradient_wavelet(&adjoint)),
            ("u0", u0, shot.gradient_u0(&adjoint)),
            ("u⁻0", before0, shot.gradient_before0(&adjoint)),
        ] {
            let found: Vec<f64> = variables.iter().map(|&variable| by_tape.of(variable)).collect();
            let error: Vec<f64> = found.iter().zip(&gradient).map(|(f, g)| f - g).collect();
            assert!(norm(&gradient) > 0.0 || case.points() == 9, "{}: no gradient by {what}", name(&case));
            assert!(norm(&error) <= ROUND_OFF * norm(&gradient), "{}, {what}: {:e}", name(&case), norm(&error));
        }
    }
}

#[test]
fn taylor_remainders_fall_with_slopes_one_and_two() {
    let case = case([31, 27], 6, ALL, 90);
    let program = case.program();
    let (at_start, _) = case.shot(&program).simulate().unwrap();
    let target: Vec<f64> = at_start.iter().zip(noise(14, at_start.len())).map(|(d, x)| d * (1.0 + 0.3 * x)).collect();
    let misfit = |traces: &[f64]| squared_difference(traces, &target, &mut vec![0.0; target.len()]);
    let mut residual = vec![0.0; target.len()];
    let value = squared_difference(&at_start, &target, &mut residual);
    let adjoint = transpose(&case, &program, &residual, &vec![0.0; case.points()]);
    let gradient = case.shot(&program).gradient_c2(&adjoint);
    // Uphill everywhere, so that the first order leads.
    let change: Vec<f64> = noise(15, case.points())
        .iter()
        .zip(&gradient)
        .zip(&case.c2)
        .map(|((x, g), c)| (x.abs() * c).copysign(*g))
        .collect();
    let slope = dot(&gradient, &change);
    let remainders: Vec<[f64; 2]> = (0..5)
        .map(|octave| {
            let h = 1e-4 / 2f64.powi(octave);
            let c2 = case.c2.iter().zip(&change).map(|(c, d)| c + h * d).collect();
            let moved = Case { c2, ..case.clone() };
            let program = moved.program();
            let difference = misfit(&moved.shot(&program).simulate().unwrap().0) - value;
            [difference.abs(), (difference - h * slope).abs()]
        })
        .collect();
    for order in [0, 1] {
        for pair in remainders.windows(2) {
            let measured = (pair[0][order] / pair[1][order]).log2();
            assert!((measured - (order + 1) as f64).abs() <= 0.05, "{measured}, {remainders:?}");
        }
    }
}

#[test]
fn vector_paths_that_fuse_give_the_same_bits_and_the_baseline_the_same_numbers() {
    let case = case([45, 53], 6, ALL, 60);
    let gradient = |kernels: SeedKernels<f64>| {
        let program = SeedPml::new(case.options.clone(), &case.c2, kernels).unwrap();
        let weights = noise(16, case.steps * case.receivers.len());
        let adjoint = transpose(&case, &program, &weights, &vec![0.0; case.points()]);
        let (traces, _) = case.shot(&program).simulate().unwrap();
        [traces, case.shot(&program).gradient_c2(&adjoint)].concat()
    };
    let baseline = gradient(SeedKernels::baseline());
    let paths = [Path::Avx2, Path::Avx512].into_iter().filter(|&path| path <= Path::detect());
    let fused: Vec<Vec<f64>> = paths.map(|path| gradient(SeedKernels::on(path))).collect();
    for other in &fused {
        assert!(relative(other, &baseline) <= ROUND_OFF);
        assert_eq!(other, &fused[0]);
    }
}

#[test]
fn what_cannot_be_computed_is_refused() {
    let sound = case([21, 19], 5, ALL, 10);
    let refused = |options: SeedPmlOptions, c2: &[f64]| {
        SeedPml::new(options, c2, SeedKernels::<f64>::baseline()).expect_err("a refusal")
    };
    let options = SeedPmlOptions { dt_s: 3e-3, ..sound.options.clone() };
    assert!(matches!(refused(options, &sound.c2), SeedPmlError::Unstable { .. }));
    // A layer that damps more than its explicit decay can bear.
    let layer = SeedLayer { reference_vp_m_per_s: 1e5, ..sound.options.layer.clone() };
    let options = SeedPmlOptions { layer, ..sound.options.clone() };
    assert!(matches!(refused(options, &sound.c2), SeedPmlError::Unstable { .. }));
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut c2 = sound.c2.clone();
        c2[2 * 19 + 3] = value;
        let error = refused(sound.options.clone(), &c2);
        assert!(matches!(error, SeedPmlError::Velocity { point: [2, 3], .. }), "{error}");
    }
    let options = SeedPmlOptions { points: [2, 19], ..sound.options.clone() };
    assert!(matches!(refused(options, &sound.c2[..38]), SeedPmlError::TooSmall { .. }));
    let program = sound.program();
    for point in [[0, 4], [4, 0], [20, 4], [4, 18], [30, 4]] {
        let error = SeedPmlShot::new(&program, point, &[], &[], 0).err().expect("a refusal");
        assert!(matches!(error, SeedPmlError::Outside { .. }), "{error}");
    }
}

#[test]
fn a_field_that_is_beyond_reason_stops_the_run_with_its_place() {
    let case = case([21, 19], 5, ALL, 70);
    let program = case.program();
    let shot = case.shot(&program);
    for value in [f64::NAN, 1e30] {
        let mut state = program.new_state();
        state.now[program.index([7, 8])] = value;
        let error = shot.run(0..70, &mut state, None, None).expect_err("a blow-up");
        assert!(matches!(error, SeedPmlError::BlowUp { step: 64, .. }), "{error}");
    }
}

#[test]
fn records_do_not_change_the_run() {
    let case = case([40, 21], 5, ALL, 40);
    let program = case.program();
    let shot = case.shot(&program);
    let (state, output, _) = recorded(&program, &shot);
    let (traces, plain) = shot.simulate().unwrap();
    assert!(state == plain && shot.by_trace(&output) == traces);
}
