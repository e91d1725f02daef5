//! The adjoint is the transpose, the tangent the derivative, of the very program that runs.

#[path = "common/noise.rs"]
mod noise;

use noise::noise;
use treewave_autodiff::{Dual, Var, gradient};
use treewave_core::{Grid, Real, Shot, Wavelet};
use treewave_kernels::{Path, RowKernels, Simd};
use treewave_reversal::Evolution;
use treewave_wave::{
    Acoustic, AcousticOptions, AcousticShot, Boundary, Parallelism, RecordForm, Scratch, Top, time::stable_dt_s,
};

/// A small problem whose every part is active: layers on all sides, off-grid positions, a varying model.
struct Case {
    grid: Grid,
    vp: Vec<f64>,
    shot: Shot,
    options: AcousticOptions,
    wavelet: Vec<f64>,
    steps: usize,
    steps_per_sample: usize,
}

fn case(dims: usize, order: usize, top: Top) -> Case {
    let (shape, spacing): (&[usize], &[f64]) =
        if dims == 2 { (&[23, 19], &[10.0, 9.0]) } else { (&[14, 13, 12], &[10.0, 11.0, 9.0]) };
    let grid = Grid::new(shape, spacing, &[100.0, -50.0, 0.0][..dims]).unwrap();
    let vp: Vec<f64> = noise(1, grid.len())
        .iter()
        .enumerate()
        .map(|(i, x)| 1800.0 + 20.0 * grid.cell(i)[2] as f64 + 200.0 * x)
        .collect();
    let o = grid.origin_m();
    let place = |x: f64, y: f64, z: f64| [o[0] + x, if dims == 2 { 0.0 } else { o[1] + y }, o[2] + z];
    let shot = Shot {
        source_m: place(61.0, 52.0, 7.0),
        receivers_m: vec![
            place(20.0, 33.0, 9.0),
            place(93.0, 71.7, 41.3),
            place(77.7, 44.0, 4.5),
            place(0.0, 0.0, 90.0),
        ],
    };
    let vp_max = 2600.0;
    let dt_s = 0.9 * stable_dt_s(&grid, order, vp_max);
    let (steps, steps_per_sample) = (90, 3);
    let options = AcousticOptions {
        space_order: order,
        boundary: Boundary { width_cells: 5, top },
        dt_s,
        vp_max_m_per_s: vp_max,
        frequency_hz: 25.0,
        parallelism: Parallelism::Serial,
        tile: None,
        records: RecordForm::default(),
    };
    Case {
        grid,
        vp,
        shot,
        options,
        wavelet: Wavelet::ricker(25.0, 0.04, 3.0, steps, dt_s).samples,
        steps,
        steps_per_sample,
    }
}

impl Case {
    fn acoustic(&self) -> Acoustic<f64> {
        let kernels = f64::kernels(self.options.space_order / 2, self.grid.dims(), Path::detect());
        Acoustic::new(&self.grid, &self.vp, self.options.clone(), kernels).unwrap()
    }
    fn shot<'a>(&self, acoustic: &'a Acoustic<f64>, wavelet: &[f64]) -> AcousticShot<'a, f64> {
        AcousticShot::new(acoustic, &self.shot, wavelet, self.steps, self.steps_per_sample)
    }
    /// Gradient with respect to vp, and to the wavelet, of `⟨traces, weights⟩`.
    fn transpose(&self, acoustic: &Acoustic<f64>, weights: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let functional = |traces: &[f64], derivative: &mut [f64]| {
            derivative.copy_from_slice(weights);
            dot(traces, weights)
        };
        let shot = self.shot(acoustic, &self.wavelet).with_misfit(functional);
        let (mut state, mut output, mut adjoint) = (shot.new_state(), shot.new_output(), shot.new_adjoint());
        let mut records: Vec<_> = (0..self.steps).map(|_| shot.new_record()).collect();
        let mut scratch = Scratch::default();
        shot.start(&mut state);
        shot.advance_recording(0..self.steps, &mut state, &mut records, Some(&mut output), &mut scratch).unwrap();
        shot.turn(&state, &output, &mut adjoint).unwrap();
        shot.pull_back(0..self.steps, &records, &mut adjoint, &mut scratch).unwrap();
        (shot.gradient_vp(&adjoint), shot.gradient_wavelet(&adjoint))
    }
    fn samples(&self) -> usize {
        self.shot.receivers_m.len() * (self.steps / self.steps_per_sample + 1)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn relative(a: f64, b: f64) -> f64 {
    (a - b).abs() / a.abs().max(b.abs())
}

fn cases() -> impl Iterator<Item = (String, Case)> {
    let tops = [Top::Absorbing, Top::FreeSurface];
    let all = [2, 3]
        .into_iter()
        .flat_map(move |dims| [2, 4, 6, 8, 10, 12, 16].into_iter().flat_map(move |o| tops.map(|t| (dims, o, t))));
    all.map(|(dims, order, top)| (format!("{dims}-D order {order} {top:?}"), case(dims, order, top)))
}

#[test]
fn sources_to_data_and_back_satisfy_the_dot_product_test() {
    for (name, case) in cases() {
        let acoustic = case.acoustic();
        let wavelet = noise(5, case.steps);
        let weights = noise(6, case.samples());
        let data = case.shot(&acoustic, &wavelet).simulate().unwrap();
        let (_, back) = case.transpose(&acoustic, &weights);
        let error = relative(dot(&data, &weights), dot(&wavelet, &back));
        assert!(error <= 1e-12, "{name}: {error:e}");
    }
}

#[test]
fn model_to_data_and_back_satisfy_the_dot_product_test() {
    for (name, case) in cases() {
        let acoustic = case.acoustic();
        let dvp = noise(7, case.grid.len());
        let weights = noise(8, case.samples());
        let data = case.shot(&acoustic, &case.wavelet).born(&dvp).unwrap();
        let (gradient, _) = case.transpose(&acoustic, &weights);
        let error = relative(dot(&data, &weights), dot(&dvp, &gradient));
        assert!(error <= 1e-12, "{name}: {error:e}");
    }
}

#[test]
fn dual_numbers_give_the_hand_written_tangent_and_gradient() {
    type D = Dual<f64, 1>;
    for (name, case) in cases() {
        let dvp: Vec<f64> = noise(9, case.grid.len()).iter().map(|x| 100.0 * x).collect();
        let vp: Vec<D> = case.vp.iter().zip(&dvp).map(|(&value, &t)| Dual { value, tangent: [t] }).collect();
        let kernels = RowKernels::<D>::baseline(case.options.space_order / 2, case.grid.dims());
        let acoustic = Acoustic::new(&case.grid, &vp, case.options.clone(), kernels).unwrap();
        let shot = AcousticShot::new(&acoustic, &case.shot, &case.wavelet, case.steps, case.steps_per_sample);
        let dual = shot.simulate_dual();
        let plain = case.acoustic();
        let tangent = case.shot(&plain, &case.wavelet).born(&dvp).unwrap();
        let size = tangent.iter().fold(0.0_f64, |m, t| m.max(t.abs()));
        for (d, t) in dual.iter().zip(&tangent) {
            assert!((d - t).abs() <= 1e-12 * size, "{name}: {d:e} {t:e}");
        }
        let weights = noise(10, case.samples());
        let (gradient, _) = case.transpose(&plain, &weights);
        let error = relative(dot(&dual, &weights), dot(&dvp, &gradient));
        assert!(error <= 1e-12, "{name}: {error:e}");
    }
}

#[test]
fn the_tape_gives_every_entry_of_the_hand_written_gradient() {
    type V = Var<f64>;
    for (dims, order, top) in [(2, 8, Top::Absorbing), (2, 4, Top::FreeSurface), (3, 2, Top::Absorbing)] {
        // A tape holds every operation of a run, so it is a short one.
        let case = Case { steps: if dims == 2 { 60 } else { 24 }, ..case(dims, order, top) };
        let weights = noise(13, case.samples());
        let kernels = RowKernels::<V>::baseline(order / 2, dims);
        let functional = |vp: &[V]| {
            let acoustic = Acoustic::new(&case.grid, vp, case.options.clone(), kernels).unwrap();
            let shot = AcousticShot::new(&acoustic, &case.shot, &case.wavelet, case.steps, case.steps_per_sample);
            let traces = shot.simulate_scalars().unwrap();
            traces.iter().zip(&weights).fold(V::ZERO, |sum, (&trace, &w)| sum + trace * V::from_f64(w))
        };
        let tape = gradient(functional, &case.vp);
        let (by_hand, _) = case.transpose(&case.acoustic(), &weights);
        let size = by_hand.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
        assert!(size > 0.0 && tape.usage.operations > 1_000_000);
        for (t, g) in tape.gradient.iter().zip(&by_hand) {
            assert!((t - g).abs() <= 1e-12 * size, "{dims}-D order {order} {top:?}: {t:e} {g:e}");
        }
    }
}

trait SimulateDual {
    fn simulate_dual(&self) -> Vec<f64>;
}

impl SimulateDual for AcousticShot<'_, Dual<f64, 1>> {
    /// The derivatives of the traces, `(trace, time)`.
    fn simulate_dual(&self) -> Vec<f64> {
        self.simulate_scalars().unwrap().iter().map(|d| d.tangent[0]).collect()
    }
}

#[test]
fn taylor_remainders_fall_with_slopes_one_and_two() {
    for dims in [2, 3] {
        for top in [Top::Absorbing, Top::FreeSurface] {
            let case = case(dims, 8, top);
            let dvp: Vec<f64> = noise(11, case.grid.len()).iter().map(|x| 60.0 * x).collect();
            let data = |scale: f64| {
                let vp: Vec<f64> = case.vp.iter().zip(&dvp).map(|(v, d)| v + scale * d).collect();
                Case { vp, ..self::case(dims, 8, top) }.acoustic()
            };
            let modelled = |acoustic: &Acoustic<f64>| case.shot(acoustic, &case.wavelet).simulate().unwrap();
            let base = case.acoustic();
            let observed: Vec<f64> =
                modelled(&base).iter().zip(noise(12, case.samples())).map(|(d, x)| d * (1.0 + 0.1 * x)).collect();
            let misfit = |traces: &[f64]| 0.5 * traces.iter().zip(&observed).map(|(p, d)| (p - d).powi(2)).sum::<f64>();
            let at_base = modelled(&base);
            let residual: Vec<f64> = at_base.iter().zip(&observed).map(|(p, d)| p - d).collect();
            let slope = dot(&case.transpose(&base, &residual).0, &dvp);
            let remainders: Vec<(f64, f64)> = (0..5)
                .map(|i| {
                    let h = 0.5 / 2f64.powi(i);
                    let difference = misfit(&modelled(&data(h))) - misfit(&at_base);
                    (difference.abs(), (difference - h * slope).abs())
                })
                .collect();
            for pair in remainders.windows(2).skip(1) {
                let second = (pair[0].1 / pair[1].1).log2();
                assert!((second - 2.0).abs() <= 0.05, "{dims}-D {top:?}: second-order slope {second}, {remainders:?}");
            }
        }
    }
}
