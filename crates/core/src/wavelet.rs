//! Source wavelets.

use std::f64::consts::PI;

/// A source time function, sampled from time zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Wavelet {
    /// Values in N/m (2-D) or N (3-D): the strength `w(t)` of the point source.
    pub samples: Vec<f64>,
    /// Sampling interval in s.
    pub dt_s: f64,
}

/// The Ricker wavelet `(1 − 2a) exp(−a)` with `a = (π f (t − t0))²` at time `t_s`.
pub fn ricker(t_s: f64, peak_frequency_hz: f64, delay_s: f64) -> f64 {
    let a = (PI * peak_frequency_hz * (t_s - delay_s)).powi(2);
    (1.0 - 2.0 * a) * (-a).exp()
}

impl Wavelet {
    /// A Ricker wavelet of `samples` samples every `dt_s`.
    pub fn ricker(peak_frequency_hz: f64, delay_s: f64, amplitude: f64, samples: usize, dt_s: f64) -> Self {
        let samples = (0..samples).map(|i| amplitude * ricker(i as f64 * dt_s, peak_frequency_hz, delay_s)).collect();
        Wavelet { samples, dt_s }
    }
    /// Largest magnitude.
    pub fn peak(&self) -> f64 {
        self.samples.iter().fold(0.0, |m, s| s.abs().max(m))
    }
}
