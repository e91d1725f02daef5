//! The gates of peers for adjoint, tangent and gradient, at the size they state.

use treewave_core::{Grid, Shot, Wavelet};
use treewave_wave::{Acoustic, AcousticShot, Top, time::stable_dt_s};

use crate::common::{
    Float, acoustic, derivatives, difference, dot, grid, half_squares, noise, norm, options, peak, rate, relative,
};

/// 60 x 70 (x 80) cells of 15 m, 500 ms, layer of 10 cells; constant or two layers.
struct Gate {
    grid: Grid,
    vp: Vec<f64>,
    order: usize,
    top: Top,
    dt_s: f64,
    steps: usize,
    shot: Shot,
}

const VP_MAX: f64 = 2600.0;
const PEAK_HZ: f64 = 10.0;

fn gate(dims: usize, order: usize, layers: bool, top: Top) -> Gate {
    let h = 15.0;
    let grid = grid(&[60, 70, 80][..dims], h, 0.0);
    let half = grid.shape()[2] / 2;
    let vp = (0..grid.len()).map(|i| if layers && grid.cell(i)[2] >= half { 2500.0 } else { 1500.0 }).collect();
    let dt_s = 0.95 * stable_dt_s(&grid, order, VP_MAX);
    let middle = |axis: usize| 0.5 * grid.end_m(axis);
    let receivers_m = (0..12).map(|i| [h * (5.0 * i as f64 + 0.3), middle(1), 1.4 * h]).collect();
    let shot = Shot { source_m: [middle(0), middle(1), 1.7 * h], receivers_m };
    Gate { vp, order, top, dt_s, steps: (0.5 / dt_s) as usize, shot, grid }
}

impl Gate {
    fn program<T: Float>(&self, vp: &[f64]) -> Acoustic<T> {
        acoustic(&self.grid, vp, options(self.order, 10, self.top, self.dt_s, VP_MAX, PEAK_HZ))
    }
    fn acoustic<T: Float>(&self) -> Acoustic<T> {
        self.program(&self.vp)
    }
    fn with_wavelet<'a, T: Float>(&self, acoustic: &'a Acoustic<T>, wavelet: &[f64]) -> AcousticShot<'a, T> {
        AcousticShot::new(acoustic, &self.shot, wavelet, self.steps, 1)
    }
    fn ricker(&self) -> Vec<f64> {
        Wavelet::ricker(PEAK_HZ, 1.2 / PEAK_HZ, 1.0, self.steps, self.dt_s).samples
    }
}

/// Relative errors of the dot products from sources to data and from the model to data.
fn dot_products(gate: &Gate, seed: u64) -> [f64; 2] {
    let acoustic = gate.acoustic::<f64>();
    let wavelet = noise(seed, gate.steps);
    let shot = gate.with_wavelet(&acoustic, &wavelet);
    let weights = noise(seed + 1, shot.samples() * gate.shot.receivers_m.len());
    let dvp = noise(seed + 2, gate.grid.len());
    let (data, born) = (shot.simulate().unwrap(), shot.born(&dvp).unwrap());
    let weighted = |traces: &[f64], derivative: &mut [f64]| {
        derivative.copy_from_slice(&weights);
        dot(traces, &weights)
    };
    let back = derivatives(&shot.with_misfit(weighted), 16);
    [relative(dot(&data, &weights), dot(&wavelet, &back.wavelet)), relative(dot(&born, &weights), dot(&dvp, &back.vp))]
}

fn check_dot_products(gates: impl Iterator<Item = (usize, usize, bool, Top)>) {
    let mut worst = [0.0_f64; 2];
    for (dims, order, layers, top) in gates {
        let found = dot_products(&gate(dims, order, layers, top), 100 * order as u64 + 7);
        println!("{dims}-D order {order} layers {layers} {top:?}: sources {:.1e}, model {:.1e}", found[0], found[1]);
        worst = [worst[0].max(found[0]), worst[1].max(found[1])];
    }
    println!("worst: sources {:.1e}, model {:.1e}", worst[0], worst[1]);
    assert!(worst.iter().all(|error| *error <= 1e-12), "{worst:?}");
}

#[test]
fn dot_products_hold_in_two_dimensions() {
    let tops = [Top::Absorbing, Top::FreeSurface];
    let all = [2, 4, 6, 8, 10, 12].into_iter();
    check_dot_products(all.flat_map(|o| tops.into_iter().flat_map(move |t| [(2, o, false, t), (2, o, true, t)])));
}

#[test]
fn dot_products_hold_in_three_dimensions() {
    let some = [(2, true, Top::FreeSurface), (8, false, Top::Absorbing), (12, true, Top::Absorbing)];
    check_dot_products(some.into_iter().map(|(order, layers, top)| (3, order, layers, top)));
}

#[test]
fn taylor_remainders_have_slopes_one_and_two() {
    for top in [Top::Absorbing, Top::FreeSurface] {
        let truth = gate(2, 8, true, top);
        // The smooth model is the two layers with a gradual change between them.
        let half = truth.grid.shape()[2] as f64 / 2.0;
        let smooth: Vec<f64> = (0..truth.grid.len())
            .map(|i| 2000.0 + 500.0 * ((truth.grid.cell(i)[2] as f64 + 0.5 - half) / 8.0).tanh())
            .collect();
        let dvp = difference(&truth.vp, &smooth);
        let wavelet = truth.ricker();
        let modelled = |vp: &[f64]| truth.with_wavelet(&truth.program::<f64>(vp), &wavelet).simulate().unwrap();
        let data = modelled(&truth.vp);
        let misfit = half_squares(&data);
        let acoustic = truth.program::<f64>(&smooth);
        let base = derivatives(&truth.with_wavelet(&acoustic, &wavelet).with_misfit(&misfit), 16);
        let slope = dot(&base.vp, &dvp);
        // The peers' seven steps; our gate for the slopes is over the four octaves of the smaller ones.
        let steps: Vec<f64> = (1..=7).map(|i| 0.5_f64.powi(i)).collect();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for h in &steps {
            let vp: Vec<f64> = smooth.iter().zip(&dvp).map(|(v, d)| v + h * d).collect();
            let mut residual = vec![0.0; data.len()];
            let change = misfit(&modelled(&vp), &mut residual) - base.misfit;
            first.push(change.abs());
            second.push((change - h * slope).abs());
        }
        let all = [rate(&steps, &first), rate(&steps, &second)];
        let small = [rate(&steps[2..], &first[2..]), rate(&steps[2..], &second[2..])];
        println!("{top:?}: slopes {:.3} {:.3}, of the smaller steps {:.3} {:.3}", all[0], all[1], small[0], small[1]);
        assert!((all[0] - 1.0).abs() <= 0.1 && (all[1] - 2.0).abs() <= 0.2, "{first:?} {second:?}");
        assert!((small[0] - 1.0).abs() <= 0.05 && (small[1] - 2.0).abs() <= 0.05, "{first:?} {second:?}");
    }
}

#[test]
fn modelling_is_linear_in_the_source() {
    for top in [Top::Absorbing, Top::FreeSurface] {
        let gate = gate(2, 8, true, top);
        let acoustic = gate.acoustic::<f64>();
        let wavelet = gate.ricker();
        let run = |factor: f64| {
            let scaled: Vec<f64> = wavelet.iter().map(|w| factor * w).collect();
            gate.with_wavelet(&acoustic, &scaled).simulate().unwrap()
        };
        let once = run(1.0);
        for factor in [-3.7, 1e-30, 1e-3, 1.234e5, 1e30] {
            let back: Vec<f64> = run(factor).iter().map(|p| p / factor).collect();
            let error = norm(&difference(&back, &once)) / norm(&once);
            println!("{top:?} a = {factor:e}: relative {error:.1e}");
            assert!(error <= 1e-12, "{factor}: {error:e}");
        }
    }
}

/// Traces and gradient of a shot whose wavelet and data are `2^exponent` times as large, scaled back.
fn scaled_back<T: Float>(gate: &Gate, exponent: i32) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let acoustic = gate.acoustic::<T>();
    let factor = 2f64.powi(exponent);
    let wavelet: Vec<f64> = gate.ricker().iter().map(|w| factor * w).collect();
    let traces = gate.with_wavelet(&acoustic, &wavelet).simulate().unwrap();
    let data: Vec<f64> = traces.iter().zip(noise(3, traces.len())).map(|(p, x)| p * (1.0 + x)).collect();
    let misfit = half_squares(&data);
    let back = derivatives(&gate.with_wavelet(&acoustic, &wavelet).with_misfit(&misfit), 16);
    let unscaled = |values: &[f64], power: i32| values.iter().map(|v| v / factor.powi(power)).collect::<Vec<_>>();
    (unscaled(&traces, 1), unscaled(&back.vp, 2), unscaled(&back.wavelet, 1))
}

#[test]
fn powers_of_two_change_no_digit() {
    let gate = gate(2, 4, true, Top::FreeSurface);
    let (single, double) = (scaled_back::<f32>(&gate, 0), scaled_back::<f64>(&gate, 0));
    assert!(peak(&single.0) > 0.0 && peak(&single.1) > 0.0 && peak(&double.2) > 0.0);
    for exponent in [-100, -7, 1, 100] {
        assert!(scaled_back::<f32>(&gate, exponent) == single, "f32, 2^{exponent}");
        assert!(scaled_back::<f64>(&gate, exponent) == double, "f64, 2^{exponent}");
    }
}

#[test]
fn a_gradient_from_snapshots_has_the_bits_of_one_from_all_states() {
    let gate = gate(2, 8, true, Top::FreeSurface);
    let acoustic = gate.acoustic::<f32>();
    let data = noise(4, gate.shot.receivers_m.len() * (gate.steps + 1));
    let misfit = half_squares(&data);
    let run = |segment| derivatives(&gate.with_wavelet(&acoustic, &gate.ricker()).with_misfit(&misfit), segment);
    let all = run(gate.steps);
    assert!(run((gate.steps as f64).sqrt() as usize) == all);
    assert!(run(1) == all);
}
