//! Observed data: read per shot, brought to the sampling and band of a stage; or simulated first.

use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView2};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use sha2::{Digest, Sha256};
use treewave_cluster::{Cluster, Failure};
use treewave_core::signal::{LowPass, resample};
use treewave_core::{DataError, Model, Observer, ShotData, StopFlag, Survey};
use treewave_inversion::{Experiment, ExperimentError, SpillFactories};
use treewave_storage::{GatherFile, GatherWriter, Precision, write_text};
use treewave_wave::{Path as SimdPath, Scalar};

use crate::band::Band;
use crate::config::sections::{DataSource, Synthetic};
use crate::provenance;
use crate::study::{Study, bad_data, misconfigured, unwritable};

/// Largest distance in m by which positions in a file may differ from those of the survey.
const SAME_PLACE_M: f64 = 0.01;

/// The observed data of a stage.
pub struct Observed {
    file: GatherFile,
    path: PathBuf,
    record_s: f64,
    samples: usize,
    lead_samples: usize,
    low_pass: Option<LowPass>,
}

impl Observed {
    /// Opens a gather file for a band; its shots must be those of the survey.
    ///
    /// # Errors
    /// Code 3 for a file that cannot be read, or whose shots, receivers or duration do not fit.
    pub fn open(path: &Path, survey: &Survey, band: &Band) -> Result<Observed, Failure> {
        let file = GatherFile::open(path).map_err(bad_data)?;
        check_geometry(path, file.survey(), survey)?;
        let held_s = (file.survey().samples - 1) as f64 * file.survey().record_s;
        let asked_s = (survey.samples - 1) as f64 * survey.record_s;
        if held_s < asked_s * (1.0 - 1e-9) {
            return Err(bad_data(format!(
                "{}: the data last {held_s} s, the configuration asks for {asked_s} s; lower time.duration_s",
                path.display()
            )));
        }
        Ok(Observed {
            file,
            path: path.to_path_buf(),
            record_s: survey.record_s,
            samples: survey.samples,
            lead_samples: band.lead_samples,
            low_pass: band.low_pass,
        })
    }

    /// What deserves a word: data that are sampled too coarsely or too finely.
    pub fn notes(&self) -> Vec<String> {
        let held_s = self.file.survey().record_s;
        let mut notes = Vec::new();
        if (held_s - self.record_s).abs() > 1e-9 * held_s {
            notes.push(format!(
                "{}: sampled every {held_s} s, resampled to {} s, band-limited to {:.1} Hz",
                self.path.display(),
                self.record_s,
                0.5 / held_s.max(self.record_s)
            ));
        }
        notes
    }
}

impl ShotData for Observed {
    fn observed(&self, shot: usize) -> Result<Array2<f64>, DataError> {
        let held = self.file.read_shot(shot).map_err(|e| DataError(e.to_string()))?;
        let held_s = self.file.survey().record_s;
        let mut traces = Array2::zeros((held.nrows(), self.lead_samples + self.samples));
        for (from, mut to) in held.rows().into_iter().zip(traces.rows_mut()) {
            let mut series: Vec<f64> = from.to_vec();
            if let Some(sample) = series.iter().position(|x| !x.is_finite()) {
                return Err(DataError(format!(
                    "{}: sample {sample} of a trace is {}",
                    self.path.display(),
                    series[sample]
                )));
            }
            if (held_s - self.record_s).abs() > 1e-9 * held_s {
                series = resample(&series, held_s, self.record_s, 0.0, self.samples);
            }
            let mut padded = vec![0.0; self.lead_samples];
            padded.extend_from_slice(&series[..self.samples]);
            if let Some(filter) = self.low_pass {
                filter.apply(&mut padded, self.record_s);
            }
            to.assign(&ndarray::ArrayView1::from(&padded));
        }
        Ok(traces)
    }
}

/// Refuses a file with other shots, or other places, than the survey has.
pub(crate) fn check_geometry(path: &Path, held: &Survey, survey: &Survey) -> Result<(), Failure> {
    let refuse = |what: String| Err(bad_data(format!("{}: {what}", path.display())));
    if held.shots.len() != survey.shots.len() {
        return refuse(format!("the file has {} shots, the survey {}", held.shots.len(), survey.shots.len()));
    }
    let apart = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > SAME_PLACE_M);
    for (shot, (held, asked)) in held.shots.iter().zip(&survey.shots).enumerate() {
        if apart(&held.source_m, &asked.source_m) {
            let (found, expected) = (held.source_m, asked.source_m);
            return refuse(format!("shot {shot} has its source at {found:?} m, the survey at {expected:?} m"));
        }
        let (found, expected) = (held.receivers_m.len(), asked.receivers_m.len());
        if found != expected {
            return refuse(format!("shot {shot} has {found} traces, the survey {expected} receivers"));
        }
        let moved = held.receivers_m.iter().zip(&asked.receivers_m).position(|(a, b)| apart(a, b));
        if let Some(i) = moved {
            let (found, expected) = (held.receivers_m[i], asked.receivers_m[i]);
            return refuse(format!(
                "receiver {i} of shot {shot} stands at {found:?} m, in the survey at {expected:?} m"
            ));
        }
    }
    Ok(())
}

/// What simulating data needs besides the study.
pub struct Simulation<'a> {
    /// The ranks.
    pub cluster: &'a dyn Cluster,
    /// A request to stop.
    pub stop: &'a StopFlag,
    /// Who is told about progress.
    pub observer: &'a dyn Observer,
    /// Instructions of the kernels.
    pub path: SimdPath,
}

/// The file with the observed data: the one of the configuration, or one that is simulated into the output directory
/// unless the same simulation wrote it before.
///
/// # Errors
/// Code 2 without any data, 5 if they cannot be written, and those of the simulation.
pub fn observed_file<T: Scalar>(study: &Study, simulation: &Simulation) -> Result<PathBuf, ExperimentError> {
    match &study.config.data {
        Some(DataSource::Observed(path)) => Ok(path.clone()),
        Some(DataSource::Synthetic(how)) => synthetic_file::<T>(study, how, simulation),
        None => Err(no_data().into()),
    }
}

/// The configuration names no observed data.
pub fn no_data() -> Failure {
    misconfigured("there are no observed data: give [data] observed = \"FILE.h5\" or synthetic = true")
}

fn synthetic_file<T: Scalar>(
    study: &Study,
    how: &Synthetic,
    simulation: &Simulation,
) -> Result<PathBuf, ExperimentError> {
    let directory = &study.config.run.output;
    let (file, mark) = (directory.join("observed.h5"), directory.join("observed.sha256"));
    let truth = study.truth()?;
    let fingerprint = synthetic_fingerprint(study, truth);
    let fresh = std::fs::read_to_string(&mark).is_ok_and(|text| text.trim() == fingerprint) && file.exists();
    // The ranks of other nodes may see the directory later than rank 0.
    if simulation.cluster.any(simulation.cluster.rank() == 0 && fresh) {
        return Ok(file);
    }
    let vp_max = truth.range_m_per_s().1;
    let band = Band::synthetic(&study.config, study.grid(), &study.survey, vp_max, how)?;
    let prepared = if simulation.cluster.rank() == 0 { prepare(directory, &mark) } else { Ok(()) };
    simulation.cluster.agree(prepared)?;
    write_simulated::<T>(study, truth, &band, how, simulation, &file)?;
    let marked = match simulation.cluster.rank() {
        0 => write_text(&mark, &fingerprint).map_err(unwritable),
        _ => Ok(()),
    };
    simulation.cluster.agree(marked)?;
    Ok(file)
}

fn prepare(directory: &Path, mark: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(|e| unwritable(format!("{}: {e}", directory.display())))?;
    match std::fs::remove_file(mark) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(unwritable(format!("{}: {e}", mark.display()))),
        _ => Ok(()),
    }
}

/// What the synthetic data depend on.
fn synthetic_fingerprint(study: &Study, truth: &Model) -> String {
    let mut hash = Sha256::new();
    let matters = ["model.true", "physics", "boundary", "time", "survey", "wavelet", "data"];
    for (key, value) in study.config.physics_fingerprint() {
        if matters.iter().any(|prefix| key.starts_with(prefix)) {
            hash.update(format!("{key}={value}\n"));
        }
    }
    truth.vp_m_per_s().iter().for_each(|v| hash.update(v.to_le_bytes()));
    hash.update(env!("CARGO_PKG_VERSION"));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Simulates all shots of a model into a gather file.
///
/// # Errors
/// As [`Experiment::simulate`]; code 5 if the file cannot be written.
pub fn write_simulated<T: Scalar>(
    study: &Study,
    model: &Model,
    band: &Band,
    how: &Synthetic,
    simulation: &Simulation,
    file: &Path,
) -> Result<(), ExperimentError> {
    let shots: Vec<usize> = (0..study.survey.shots.len()).collect();
    let experiment = Experiment::<T> {
        grid: model.grid(),
        survey: &band.survey,
        shots: &shots,
        wavelet: &band.wavelet,
        steps_per_sample: band.steps_per_sample,
        options: band.options.clone(),
        path: simulation.path,
        cluster: simulation.cluster,
        stop: simulation.stop,
        observer: simulation.observer,
        spill: SpillFactories {
            states: &|_, _| unreachable!("modelling takes no snapshots"),
            residues: &|_, _| unreachable!("modelling takes no snapshots"),
        },
    };
    let precision = if size_of::<T>() == 4 { Precision::F32 } else { Precision::F64 };
    let head = provenance::head(&format!("{}: simulated data", study.config.run.name));
    let writer = match simulation.cluster.rank() {
        0 => Some(GatherWriter::create(file, &study.survey, precision, &head).map_err(unwritable)).transpose(),
        _ => Ok(None),
    };
    let mut writer = simulation.cluster.agree(writer)?;
    experiment.simulate(model.vp_m_per_s(), &mut |shot, traces| {
        let mut traces = traces.to_vec();
        add_noise(&mut traces, how.noise, how.seed, shot);
        let receivers = study.survey.shots[shot].receivers_m.len();
        let view = ArrayView2::from_shape((receivers, study.survey.samples), &traces).expect("traces fill the shot");
        writer.as_mut().expect("the sink is called on rank 0").write_shot(shot, view).map_err(unwritable)
    })?;
    let finished = writer.map_or(Ok(()), |writer| writer.finish().map_err(unwritable));
    Ok(simulation.cluster.agree(finished)?)
}

/// Adds white Gaussian noise whose root mean square is `fraction` of that of the shot; the same for the same seed and
/// shot (Box & Muller 1958).
pub(crate) fn add_noise(traces: &mut [f64], fraction: f64, seed: u64, shot: usize) {
    if fraction == 0.0 {
        return;
    }
    let rms = (traces.iter().map(|x| x * x).sum::<f64>() / traces.len() as f64).sqrt();
    let mut random = Pcg64::seed_from_u64(seed ^ (shot as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    for pair in traces.chunks_mut(2) {
        let (u, angle): (f64, f64) = (1.0 - random.random::<f64>(), std::f64::consts::TAU * random.random::<f64>());
        let radius = fraction * rms * (-2.0 * u.ln()).sqrt();
        pair[0] += radius * angle.cos();
        if let Some(second) = pair.get_mut(1) {
            *second += radius * angle.sin();
        }
    }
}
