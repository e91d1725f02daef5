//! Low-pass filtering and resampling of wavelets and traces.

use realfft::RealFftPlanner;
use std::f64::consts::PI;

/// Steepness of the low-pass: the gain falls with the power `−2 · ORDER` of the frequency above the corner.
const ORDER: i32 = 4;
/// What counts as silence before a wavelet, relative to its peak.
pub const SILENCE: f64 = 1e-6;
/// Half width of the interpolation of [`resample`] in samples of the coarser of the two series.
const HALF_WIDTH: f64 = 24.0;

/// A zero-phase low-pass: gain `1 / (1 + (f/f_c)^8)`, which is a fourth-order Butterworth filter run forward and back.
///
/// Its gain is 1 at frequency 0 and ½ at the corner. Acting before the propagation, on wavelet and data alike, it needs
/// no counterpart in the adjoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LowPass {
    /// Corner frequency in Hz.
    pub corner_hz: f64,
}

impl LowPass {
    /// Time in s after which the impulse response has fallen below [`SILENCE`] of its peak.
    ///
    /// The slowest pole of the filter lies at an angle of `π / (4 · ORDER)` from the real frequency axis.
    pub fn reach_s(&self) -> f64 {
        let decay_per_s = 2.0 * PI * self.corner_hz * (PI / (4.0 * ORDER as f64)).sin();
        -(SILENCE * 0.01).ln() / decay_per_s
    }

    /// Filters a series sampled every `dt_s`; outside, it is taken as zero.
    pub fn apply(&self, samples: &mut [f64], dt_s: f64) {
        let n = (samples.len() + (self.reach_s() / dt_s).ceil() as usize + 1).next_power_of_two();
        let mut planner = RealFftPlanner::<f64>::new();
        let (forward, inverse) = (planner.plan_fft_forward(n), planner.plan_fft_inverse(n));
        let mut series = forward.make_input_vec();
        series[..samples.len()].copy_from_slice(samples);
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut series, &mut spectrum).expect("the buffers were made for this transform");
        for (i, value) in spectrum.iter_mut().enumerate() {
            let f = i as f64 / (n as f64 * dt_s);
            *value *= 1.0 / ((1.0 + (f / self.corner_hz).powi(2 * ORDER)) * n as f64);
        }
        inverse.process(&mut spectrum, &mut series).expect("the buffers were made for this transform");
        samples.copy_from_slice(&series[..samples.len()]);
    }
}

/// The series at `n` times every `to_dt_s`, the first at time `first_s`, band-limited to what both samplings can hold;
/// outside the given samples it is taken as zero.
///
/// A Hann-windowed sinc over 24 samples of the coarser sampling on each side.
pub fn resample(samples: &[f64], from_dt_s: f64, to_dt_s: f64, first_s: f64, n: usize) -> Vec<f64> {
    let cutoff_dt_s = from_dt_s.max(to_dt_s);
    let reach_s = HALF_WIDTH * cutoff_dt_s;
    (0..n)
        .map(|i| {
            let t = first_s + i as f64 * to_dt_s;
            let first = ((t - reach_s) / from_dt_s).ceil().max(0.0) as usize;
            let last = (((t + reach_s) / from_dt_s).floor() + 1.0).clamp(0.0, samples.len() as f64) as usize;
            (first..last).map(|j| samples[j] * kernel(t - j as f64 * from_dt_s, cutoff_dt_s, reach_s)).sum::<f64>()
                * (from_dt_s / cutoff_dt_s)
        })
        .collect()
}

/// The windowed sinc of [`resample`].
fn kernel(t_s: f64, cutoff_dt_s: f64, reach_s: f64) -> f64 {
    let x = PI * t_s / cutoff_dt_s;
    let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
    sinc * 0.5 * (1.0 + (PI * t_s / reach_s).cos())
}

/// Frequencies in Hz and the amplitudes of a series sampled every `dt_s`, from 0 to the Nyquist frequency.
pub fn amplitude_spectrum(samples: &[f64], dt_s: f64) -> Vec<(f64, f64)> {
    let n = samples.len().next_power_of_two();
    let forward = RealFftPlanner::<f64>::new().plan_fft_forward(n);
    let mut series = forward.make_input_vec();
    series[..samples.len()].copy_from_slice(samples);
    let mut spectrum = forward.make_output_vec();
    forward.process(&mut series, &mut spectrum).expect("the buffers were made for this transform");
    spectrum.iter().enumerate().map(|(i, value)| (i as f64 / (n as f64 * dt_s), value.norm() * dt_s)).collect()
}

/// Number of samples of the series that come before its first one above [`SILENCE`] of its peak.
pub fn silent_samples(samples: &[f64]) -> usize {
    let peak = samples.iter().fold(0.0_f64, |m, s| m.max(s.abs()));
    samples.iter().position(|s| s.abs() > SILENCE * peak).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wavelet::ricker;

    #[test]
    fn the_low_pass_has_its_gain_and_no_phase() {
        let (dt, n) = (0.002, 4000);
        for (f, gain) in [(1.0, 1.0 / (1.0 + (1.0f64 / 4.0).powi(8))), (4.0, 0.5), (8.0, 1.0 / 257.0)] {
            let wave = |i: usize| (2.0 * PI * f * i as f64 * dt).cos() * (PI * i as f64 / n as f64).sin().powi(4);
            let mut samples: Vec<f64> = (0..n).map(wave).collect();
            LowPass { corner_hz: 4.0 }.apply(&mut samples, dt);
            // In the middle of the burst, where its amplitude does not change.
            for (i, sample) in samples.iter().enumerate().skip(n / 2 - 10).take(20) {
                assert!((sample - gain * wave(i)).abs() < 3e-3, "{f} Hz: {sample} {}", gain * wave(i));
            }
        }
    }

    #[test]
    fn nothing_wraps_around_and_the_reach_is_enough() {
        let (dt, n) = (0.004, 3000);
        let low_pass = LowPass { corner_hz: 3.0 };
        let mut samples = vec![0.0; n];
        samples[n / 2] = 1.0;
        low_pass.apply(&mut samples, dt);
        let peak = samples[n / 2];
        let reach = (low_pass.reach_s() / dt) as usize;
        assert!(reach < n / 2);
        assert!(samples[..n / 2 - reach].iter().all(|s| s.abs() < SILENCE * peak));
        assert!((samples[n / 2 - 30] - samples[n / 2 + 30]).abs() < 1e-12, "zero phase");
        let mut at_the_end = vec![0.0; 500];
        at_the_end[499] = 1.0;
        low_pass.apply(&mut at_the_end, dt);
        assert!(at_the_end[0].abs() < SILENCE * peak, "wrapped around: {}", at_the_end[0]);
    }

    #[test]
    fn resampling_keeps_a_wavelet_both_ways() {
        let f = |t: f64| ricker(t, 8.0, 0.2);
        let coarse: Vec<f64> = (0..250).map(|i| f(i as f64 * 0.008)).collect();
        for (i, x) in resample(&coarse, 0.008, 0.0013, -0.01, 1000).iter().enumerate() {
            let exact = f(-0.01 + i as f64 * 0.0013);
            assert!((x - exact).abs() < 1e-3, "finer, sample {i}: {x} {exact}");
        }
        let fine: Vec<f64> = (0..2000).map(|i| f(i as f64 * 0.001)).collect();
        for (i, x) in resample(&fine, 0.001, 0.007, 0.0, 200).iter().enumerate() {
            assert!((x - f(i as f64 * 0.007)).abs() < 1e-3, "coarser, sample {i}");
        }
        for (x, given) in resample(&coarse, 0.008, 0.008, 0.0, 250).iter().zip(&coarse) {
            assert!((x - given).abs() < 1e-12, "the same sampling");
        }
    }
}
