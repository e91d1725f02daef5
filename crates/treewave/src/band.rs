//! The time axis of a stage: its band, the wavelet in it, and the steps.

use treewave_cluster::Failure;
use treewave_core::signal::{LowPass, resample, silent_samples};
use treewave_core::wavelet::ricker;
use treewave_core::{Grid, Survey};
use treewave_storage::read_array;
use treewave_wave::time::stable_dt_s;
use treewave_wave::{AcousticOptions, Boundary, Parallelism, RecordForm, Top};

use crate::config::sections::{Synthetic, TimeStep, WaveletSource};
use crate::config::{Config, MOST_STEPS, keys};
use crate::study::{bad_data, misconfigured};

/// The discrete program of a stage and its source.
#[derive(Clone, Debug)]
pub struct Band {
    /// The low-pass that wavelet and data have passed.
    pub low_pass: Option<LowPass>,
    /// Samples before time zero, so that the filtered wavelet begins in silence.
    pub lead_samples: usize,
    /// The survey with the leading samples.
    pub survey: Survey,
    /// Source time function at every step, from the first leading sample on.
    pub wavelet: Vec<f64>,
    /// Steps per recorded sample.
    pub steps_per_sample: usize,
    /// The discrete program.
    pub options: AcousticOptions,
    /// Highest frequency with at least a hundredth of the wavelet's largest amplitude, in Hz.
    pub highest_hz: f64,
}

impl Band {
    /// The band of a stage below `lowpass_hz` (`None`: all), for velocities up to `vp_max_m_per_s`.
    ///
    /// # Errors
    /// Code 2 for a time step above the stability limit, code 3 for a wavelet that cannot be read.
    pub fn new(
        config: &Config,
        grid: &Grid,
        survey: &Survey,
        lowpass_hz: Option<f64>,
        vp_max_m_per_s: f64,
    ) -> Result<Band, Failure> {
        Band::with(config, grid, survey, lowpass_hz, vp_max_m_per_s, config.physics.space_order, config.time.step)
    }

    /// The full band with the order and time step of synthetic data.
    ///
    /// # Errors
    /// As [`Band::new`].
    pub fn synthetic(
        config: &Config,
        grid: &Grid,
        survey: &Survey,
        vp_max_m_per_s: f64,
        how: &Synthetic,
    ) -> Result<Band, Failure> {
        Band::with(config, grid, survey, None, vp_max_m_per_s, how.space_order, how.step)
    }

    fn with(
        config: &Config,
        grid: &Grid,
        survey: &Survey,
        lowpass_hz: Option<f64>,
        vp_max_m_per_s: f64,
        space_order: usize,
        step: TimeStep,
    ) -> Result<Band, Failure> {
        let record_s = survey.record_s;
        let limit_s = stable_dt_s(grid, space_order, vp_max_m_per_s);
        let steps_per_sample = match step {
            TimeStep::Courant(fraction) => (record_s / (fraction * limit_s) - 1e-9).ceil().max(1.0) as usize,
            TimeStep::StepsPerSample(steps) => steps,
        };
        let dt_s = record_s / steps_per_sample as f64;
        if dt_s > limit_s {
            return Err(misconfigured(format!(
                "time.dt_s = {dt_s} s is above the stability limit of {limit_s:.6} s (space order {space_order}, \
                 velocities up to {vp_max_m_per_s} m/s); use a smaller dt_s, or \"auto\""
            )));
        }
        let low_pass = lowpass_hz.map(|corner_hz| LowPass { corner_hz });
        let longest = low_pass.map_or(0, |filter| (filter.reach_s() / record_s).ceil() as usize);
        let steps = longest.saturating_add(survey.samples - 1).saturating_mul(steps_per_sample);
        if steps > MOST_STEPS {
            let why = match lowpass_hz.filter(|_| longest > survey.samples) {
                Some(corner_hz) => {
                    format!("the filter of lowpass_hz = {corner_hz} rings for so long; raise lowpass_hz")
                }
                None => "raise time.dt_s or time.courant, or use a coarser model".into(),
            };
            return Err(misconfigured(format!(
                "time: {} s in steps of {dt_s:e} s are more than {MOST_STEPS} steps: {why}",
                longest.saturating_add(survey.samples - 1) as f64 * record_s
            )));
        }
        let wave = WaveletSamples::new(config)?;
        let filtered = |lead: usize| {
            let steps = (survey.samples - 1 + lead) * steps_per_sample;
            let mut wavelet = wave.at(-(lead as f64) * record_s, dt_s, steps);
            if let Some(filter) = low_pass {
                filter.apply(&mut wavelet, dt_s);
            }
            wavelet
        };
        // As many leading samples as the filtered wavelet needs, found from one with plenty.
        let lead_samples = match low_pass {
            None => 0,
            Some(_) => longest - (silent_samples(&filtered(longest)) / steps_per_sample).min(longest),
        };
        let wavelet = filtered(lead_samples);
        let (dominant_hz, highest_hz) = frequencies(&wavelet, dt_s);
        let top = match config.boundary.top {
            keys::Top::Absorbing => Top::Absorbing,
            keys::Top::FreeSurface => Top::FreeSurface,
        };
        let options = AcousticOptions {
            space_order,
            boundary: Boundary { width_cells: config.boundary.width_cells, top },
            dt_s,
            vp_max_m_per_s,
            frequency_hz: dominant_hz,
            parallelism: Parallelism::Threads,
            tile: None,
            records: RecordForm { half: config.records == keys::Records::Half, skipped_cells: 0 },
        };
        let survey = Survey { samples: survey.samples + lead_samples, ..survey.clone() };
        Ok(Band { low_pass, lead_samples, survey, wavelet, steps_per_sample, options, highest_hz })
    }

    /// Number of time steps.
    pub fn steps(&self) -> usize {
        (self.survey.samples - 1) * self.steps_per_sample
    }
}

/// The wavelet as it is given.
pub(crate) enum WaveletSamples {
    Ricker { peak_frequency_hz: f64, delay_s: f64, amplitude: f64 },
    Samples { samples: Vec<f64>, dt_s: f64 },
}

impl WaveletSamples {
    /// Reads it where it is in a file.
    ///
    /// # Errors
    /// Code 3 for a file that cannot be read.
    pub(crate) fn new(config: &Config) -> Result<Self, Failure> {
        Ok(match &config.wavelet {
            &WaveletSource::Ricker { peak_frequency_hz, delay_s, amplitude } => {
                WaveletSamples::Ricker { peak_frequency_hz, delay_s, amplitude }
            }
            WaveletSource::File { path, dataset, dt_s, amplitude } => {
                let samples = read_samples(path, dataset)?;
                if let Some(i) = samples.iter().position(|s| !s.is_finite()) {
                    return Err(bad_data(format!("{}: sample {i} of the wavelet is {}", path.display(), samples[i])));
                }
                WaveletSamples::Samples { samples: samples.iter().map(|s| amplitude * s).collect(), dt_s: *dt_s }
            }
        })
    }

    /// Samples every `dt_s` from `first_s` on; zero before the first sample given and before time zero of a Ricker
    /// wavelet only as far as it is.
    pub(crate) fn at(&self, first_s: f64, dt_s: f64, n: usize) -> Vec<f64> {
        match self {
            WaveletSamples::Ricker { peak_frequency_hz, delay_s, amplitude } => {
                (0..n).map(|i| amplitude * ricker(first_s + i as f64 * dt_s, *peak_frequency_hz, *delay_s)).collect()
            }
            WaveletSamples::Samples { samples, dt_s: given_s } => resample(samples, *given_s, dt_s, first_s, n),
        }
    }
}

fn read_samples(path: &std::path::Path, dataset: &str) -> Result<Vec<f64>, Failure> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("h5" | "hdf5" | "nc") => {
            let array = read_array(path, dataset).map_err(bad_data)?;
            if array.values.ndim() != 1 {
                let shape = array.values.shape();
                return Err(bad_data(format!(
                    "{}: the wavelet {dataset:?} has shape {shape:?}, expected one axis",
                    path.display()
                )));
            }
            Ok(array.values.into_iter().collect())
        }
        Some("npy") => treewave_storage::read_npy_series(path).map_err(bad_data),
        _ => {
            let text = std::fs::read_to_string(path).map_err(|e| bad_data(format!("{}: {e}", path.display())))?;
            let number = |(i, word): (usize, &str)| {
                let expected = || bad_data(format!("{}: entry {i} is {word:?}, expected a number", path.display()));
                word.parse().map_err(|_| expected())
            };
            text.split_whitespace().enumerate().map(number).collect()
        }
    }
}

/// Frequency of the largest amplitude, and the highest with at least a hundredth of it, in Hz.
pub(crate) fn frequencies(wavelet: &[f64], dt_s: f64) -> (f64, f64) {
    let spectrum = treewave_core::signal::amplitude_spectrum(wavelet, dt_s);
    let peak = spectrum.iter().fold((0.0, 0.0_f64), |best, &(f, a)| if a > best.1 { (f, a) } else { best });
    let highest = spectrum.iter().rev().find(|(_, a)| *a >= 0.01 * peak.1).map_or(0.0, |(f, _)| *f);
    // A silent wavelet has no frequency; any positive one keeps the layer defined.
    (if peak.0 > 0.0 { peak.0 } else { 1.0 / (wavelet.len() as f64 * dt_s) }, highest)
}
