//! What the physics tests share: set-ups, one gradient, norms, analytic solutions, files of other codes.

use std::path::PathBuf;

use bytemuck::Pod;
use realfft::{RealFftPlanner, num_complex::Complex};
use treewave_core::{Grid, Position, Real, Shot};
use treewave_kernels::{Path, Simd};
use treewave_reversal::Evolution;
use treewave_wave::{Acoustic, AcousticOptions, AcousticShot, Boundary, Parallelism, RecordForm, Scratch, State, Top};

/// A scalar that the propagator runs on, with vector kernels.
pub trait Float: Simd + Pod + Send + Sync {}
impl<T: Simd + Pod + Send + Sync> Float for T {}

/// A grid of cubic cells with its first point at `first_m` on every axis.
pub fn grid(shape: &[usize], spacing_m: f64, first_m: f64) -> Grid {
    Grid::new(shape, &vec![spacing_m; shape.len()], &vec![first_m; shape.len()]).unwrap()
}

/// Serial options; `frequency_hz` shapes the layer only.
pub fn options(order: usize, width: usize, top: Top, dt_s: f64, vp_max: f64, frequency_hz: f64) -> AcousticOptions {
    AcousticOptions {
        space_order: order,
        boundary: Boundary { width_cells: width, top },
        dt_s,
        vp_max_m_per_s: vp_max,
        frequency_hz,
        parallelism: Parallelism::Serial,
        tile: None,
        records: RecordForm::default(),
    }
}

/// The program on the best path of this processor.
pub fn acoustic<T: Float>(grid: &Grid, vp: &[f64], options: AcousticOptions) -> Acoustic<T> {
    acoustic_on(grid, vp, options, Path::detect())
}

/// The program on a given path.
pub fn acoustic_on<T: Float>(grid: &Grid, vp: &[f64], options: AcousticOptions, path: Path) -> Acoustic<T> {
    let kernels = T::kernels(options.space_order / 2, grid.dims(), path);
    let vp: Vec<T> = vp.iter().map(|&v| T::from_f64(v)).collect();
    Acoustic::new(grid, &vp, options, kernels).unwrap()
}

/// Traces in Pa, one per receiver, sampled at every step.
pub fn traces<T: Float>(
    acoustic: &Acoustic<T>,
    source_m: Position,
    receivers_m: &[Position],
    wavelet: &[f64],
) -> Vec<Vec<f64>> {
    let shot = Shot { source_m, receivers_m: receivers_m.to_vec() };
    let shot = AcousticShot::new(acoustic, &shot, wavelet, wavelet.len(), 1);
    shot.simulate().unwrap().chunks(shot.samples()).map(<[f64]>::to_vec).collect()
}

/// Misfit of a shot and its derivatives.
#[derive(Debug, PartialEq)]
pub struct Derivatives {
    pub misfit: f64,
    pub vp: Vec<f64>,
    pub wavelet: Vec<f64>,
    pub illumination: Vec<f64>,
}

/// The gradient of a shot that has a misfit; a snapshot is kept every `segment` steps.
pub fn derivatives<T: Float>(shot: &AcousticShot<'_, T>, segment: usize) -> Derivatives {
    let steps = shot.steps();
    let mut state = shot.new_state();
    let (mut output, mut adjoint) = (shot.new_output(), shot.new_adjoint());
    let (mut snapshots, mut scratch): (Vec<State<T>>, _) = (Vec::new(), Scratch::default());
    shot.start(&mut state);
    for first in (0..steps).step_by(segment) {
        snapshots.push(state.clone());
        shot.advance(first..(first + segment).min(steps), &mut state, Some(&mut output), &mut scratch).unwrap();
    }
    let misfit = shot.turn(&state, &output, &mut adjoint).unwrap();
    let mut records: Vec<_> = (0..segment.min(steps)).map(|_| shot.new_record()).collect();
    while let Some(snapshot) = snapshots.pop() {
        let first = snapshots.len() * segment;
        let range = first..(first + segment).min(steps);
        let records = &mut records[..range.len()];
        state = snapshot;
        shot.advance_recording(range.clone(), &mut state, records, None, &mut scratch).unwrap();
        shot.pull_back(range, records, &mut adjoint, &mut scratch).unwrap();
    }
    Derivatives {
        misfit,
        vp: shot.gradient_vp(&adjoint),
        wavelet: shot.gradient_wavelet(&adjoint),
        illumination: shot.illumination(&adjoint),
    }
}

/// `½ Σ (p − d)²` and its derivative.
pub fn half_squares(data: &[f64]) -> impl Fn(&[f64], &mut [f64]) -> f64 + Sync + '_ {
    move |traces, derivative| {
        for ((r, p), d) in derivative.iter_mut().zip(traces).zip(data) {
            *r = p - d;
        }
        0.5 * dot(derivative, derivative)
    }
}

/// Deterministic numbers in −1 … 1.
pub fn noise(seed: u64, n: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect()
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// Largest magnitude.
pub fn peak<T: Real>(a: &[T]) -> f64 {
    a.iter().fold(0.0, |peak, x| x.value().abs().max(peak))
}

/// `|a − b|` relative to the larger.
pub fn relative(a: f64, b: f64) -> f64 {
    (a - b).abs() / a.abs().max(b.abs())
}

pub fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// `‖a − b‖ / ‖b‖`.
pub fn relative_l2(a: &[f64], b: &[f64]) -> f64 {
    norm(&difference(a, b)) / norm(b)
}

/// Slope of the straight line through `(log x, log y)` by least squares.
pub fn rate(x: &[f64], y: &[f64]) -> f64 {
    let (x, y): (Vec<f64>, Vec<f64>) = x.iter().zip(y).map(|(x, y)| (x.ln(), y.ln())).unzip();
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (mx, my) = (mean(&x), mean(&y));
    let (x, y): (Vec<f64>, Vec<f64>) = x.iter().zip(&y).map(|(x, y)| (x - mx, y - my)).unzip();
    dot(&x, &y) / dot(&x, &x)
}

/// The pressure in Pa at distance `r_m` from a line source of strength `wavelet` in N/m, in a homogeneous 2-D medium:
/// the convolution with `−i/4 H0⁽²⁾(ω r / c)`, on a time axis twenty times as long so that nothing wraps around.
pub fn line_source(wavelet: &[f64], dt_s: f64, r_m: f64, vp: f64) -> Vec<f64> {
    let long = 20 * wavelet.len();
    let mut time = wavelet.to_vec();
    time.resize(long, 0.0);
    let mut planner = RealFftPlanner::<f64>::new();
    let (forward, inverse) = (planner.plan_fft_forward(long), planner.plan_fft_inverse(long));
    let mut spectrum = forward.make_output_vec();
    forward.process(&mut time, &mut spectrum).unwrap();
    for (i, s) in spectrum.iter_mut().enumerate() {
        let x = std::f64::consts::TAU * i as f64 / (long as f64 * dt_s) * r_m / vp;
        let green =
            if i == 0 { Complex::new(0.0, 0.0) } else { Complex::new(-0.25 * libm::y0(x), -0.25 * libm::j0(x)) };
        *s *= green / long as f64;
    }
    // A real signal has real spectra at both ends.
    spectrum[long / 2].im = 0.0;
    inverse.process(&mut spectrum, &mut time).unwrap();
    time.truncate(wavelet.len());
    time
}

/// A file beside the repository, if that folder is there.
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    if !folder.is_dir() {
        println!("skipped: ../shared is absent");
        return None;
    }
    Some(folder.join(path))
}

/// A dataset as one row of numbers.
pub fn dataset(file: &hdf5::File, name: &str) -> Vec<f64> {
    file.dataset(name).unwrap().read_raw::<f64>().unwrap()
}
