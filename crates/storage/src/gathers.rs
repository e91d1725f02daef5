//! Gathers: the traces of a survey, sorted by shot.
//!
//! | dataset | axes | unit |
//! |---|---|---|
//! | `data` | `(trace, time)` | Pa |
//! | `time` | `(time)` | s |
//! | `shot` | `(trace)` | number of the shot, from 0 |
//! | `source_x source_y source_z receiver_x receiver_y receiver_z` | `(trace)` | m |
//! | `component` | `(trace)` | 0: pressure |
//! | `shot_first_trace` | `(shot_index)` | first trace of the shot |

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hdf5::Dataset;
use ndarray::{Array2, ArrayView2, Axis as Dimension, s};
use treewave_core::{DataError, Position, Shot, ShotData, Survey};

use crate::axes::{check_units, read_axis, regular};
use crate::crash::CrashWatch;
use crate::error::StorageError;
use crate::head::Head;
use crate::public_file::{Axis, Label, Precision, PublicFile};
use crate::reader::Reader;

/// Code of the only component that Treewave models, in the dataset `component`.
const PRESSURE: i64 = 0;

/// Writes a gathers file shot by shot, in any order, holding no trace back. One process writes.
///
/// The file appears under its name when [`GatherWriter::finish`] succeeds; a writer that is dropped leaves nothing.
#[derive(Debug)]
pub struct GatherWriter {
    // Before `file` in the order of drops: the last handle closes the HDF5 file.
    data: Dataset,
    file: PublicFile,
    path: PathBuf,
    precision: Precision,
    first_trace: Vec<usize>,
    samples: usize,
    missing: BTreeSet<usize>,
}

impl GatherWriter {
    /// Reserves a file for all traces of a survey and writes its geometry.
    ///
    /// # Errors
    /// [`StorageError::Content`] for a survey without shots, a shot without receivers, or a sampling interval that is
    /// not positive; [`StorageError::Io`], [`StorageError::Hdf5`].
    pub fn create(path: &Path, survey: &Survey, precision: Precision, head: &Head) -> Result<Self, StorageError> {
        check_survey(path, survey)?;
        let mut file = PublicFile::create(path, "gathers", head)?;
        let first_trace = first_traces(survey);
        let traces = first_trace[survey.shots.len()];
        let numbers: Vec<i64> = (0..traces as i64).collect();
        file.index_axis("trace", &numbers, "trace, sorted by shot")?;
        file.axis(&Axis::regular("time", 0.0, survey.record_s, survey.samples, "s", "time"))?;
        file.index_axis("shot_index", &numbers[..survey.shots.len()], "shot, counted from 0")?;
        write_geometry(&mut file, survey, &first_trace)?;
        let largest = survey.shots.iter().map(|shot| shot.receivers_m.len()).max().unwrap_or(1);
        let label = Label { name: "data", axes: &["trace", "time"], units: "Pa", long_name: "pressure" };
        let data = file.reserve(&label, largest, precision)?;
        let missing = (0..survey.shots.len()).collect();
        Ok(GatherWriter { data, file, path: path.into(), precision, first_trace, samples: survey.samples, missing })
    }

    /// Writes the traces of one shot, `(trace, time)` in Pa, in the order of the survey's receivers. A shot that is
    /// written again is replaced.
    ///
    /// # Errors
    /// [`StorageError::Content`] for a shot that the survey has not; [`StorageError::Shape`] for another number of
    /// traces or samples than the survey's; [`StorageError::Hdf5`], as on a full disk.
    pub fn write_shot(&mut self, shot: usize, traces: ArrayView2<f64>) -> Result<(), StorageError> {
        let shots = self.first_trace.len() - 1;
        if shot >= shots {
            let what = format!("shot {shot} cannot be written, the survey has shots 0 to {}", shots - 1);
            return Err(StorageError::content(&self.path, what));
        }
        let rows = self.first_trace[shot]..self.first_trace[shot + 1];
        let expected = [rows.len(), self.samples];
        if traces.shape() != expected {
            return Err(StorageError::Shape {
                path: self.path.clone(),
                dataset: format!("data of shot {shot}"),
                found: traces.shape().to_vec(),
                expected: format!("{expected:?} (trace, time)"),
            });
        }
        self.file.reach_write()?;
        let written = match self.precision {
            Precision::F32 => self.data.write_slice(&traces.mapv(|v| v as f32), s![rows, ..]),
            Precision::F64 => self.data.write_slice(&traces.as_standard_layout(), s![rows, ..]),
        };
        written.map_err(|e| self.file.error(format!("write shot {shot}"), &e))?;
        self.missing.remove(&shot);
        Ok(())
    }

    /// Publishes the file.
    ///
    /// # Errors
    /// [`StorageError::Content`] where shots were not written; [`StorageError::Io`], [`StorageError::Hdf5`].
    pub fn finish(self) -> Result<(), StorageError> {
        let GatherWriter { data, file, path, missing, .. } = self;
        if !missing.is_empty() {
            let shots: Vec<String> = missing.iter().take(10).map(usize::to_string).collect();
            let (count, list) = (missing.len(), shots.join(", "));
            return Err(StorageError::content(&path, format!("{count} shots were not written, first of all {list}")));
        }
        drop(data);
        file.publish()
    }
}

fn check_survey(path: &Path, survey: &Survey) -> Result<(), StorageError> {
    let refuse = |what: String| Err(StorageError::content(path, what));
    if survey.shots.is_empty() {
        return refuse("a survey without shots cannot be written".into());
    }
    if survey.samples == 0 || !(survey.record_s > 0.0 && survey.record_s.is_finite()) {
        return refuse(format!("{} samples every {} s cannot be written", survey.samples, survey.record_s));
    }
    match survey.shots.iter().position(|shot| shot.receivers_m.is_empty()) {
        Some(shot) => refuse(format!("shot {shot} has no receivers; its source would be lost in a table of traces")),
        None => Ok(()),
    }
}

/// First trace of every shot, and the number of traces.
fn first_traces(survey: &Survey) -> Vec<usize> {
    let mut first = vec![0];
    for shot in &survey.shots {
        first.push(first[first.len() - 1] + shot.receivers_m.len());
    }
    first
}

fn write_geometry(file: &mut PublicFile, survey: &Survey, first_trace: &[usize]) -> Result<(), StorageError> {
    let shots = || survey.shots.iter().enumerate();
    let per_trace = |of: &dyn Fn(&Shot, &Position) -> f64| -> Vec<f64> {
        shots().flat_map(|(_, shot)| shot.receivers_m.iter().map(|r| of(shot, r)).collect::<Vec<_>>()).collect()
    };
    let trace = &["trace"][..];
    let numbers: Vec<i64> = shots().flat_map(|(i, shot)| vec![i as i64; shot.receivers_m.len()]).collect();
    file.write_integers(&Label { name: "shot", axes: trace, units: "1", long_name: "shot of the trace" }, &numbers)?;
    for (axis, letter) in ["x", "y", "z"].iter().enumerate() {
        let (name, long_name) = (format!("source_{letter}"), format!("{letter} of the source"));
        let label = Label { name: &name, axes: trace, units: "m", long_name: &long_name };
        file.write(&label, &per_trace(&|shot, _| shot.source_m[axis]), Precision::F64)?;
        let (name, long_name) = (format!("receiver_{letter}"), format!("{letter} of the receiver"));
        let label = Label { name: &name, axes: trace, units: "m", long_name: &long_name };
        file.write(&label, &per_trace(&|_, receiver| receiver[axis]), Precision::F64)?;
    }
    let label = Label { name: "component", axes: trace, units: "1", long_name: "what the receiver records" };
    file.write_integers(&label, &vec![PRESSURE; numbers.len()])?;
    file.text_of("component", "flag_meanings", "pressure")?;
    let label =
        Label { name: "shot_first_trace", axes: &["shot_index"], units: "1", long_name: "first trace of the shot" };
    let first: Vec<i64> = first_trace[..survey.shots.len()].iter().map(|&t| t as i64).collect();
    file.write_integers(&label, &first)
}

/// A gathers file open for reading: its geometry in memory, its traces on disk. Any number of ranks may read it.
#[derive(Debug)]
pub struct GatherFile {
    path: PathBuf,
    data: Dataset,
    survey: Survey,
    first_trace: Vec<usize>,
    shot_numbers: Vec<i64>,
}

impl GatherFile {
    /// Opens a file and reads its geometry, not its traces. In 2-D the datasets of `y` may be absent.
    ///
    /// # Errors
    /// Those of opening a file; [`StorageError::Content`] where the geometry contradicts itself, names the trace and
    /// what is expected: traces sorted by shot, one source per shot, time from 0 on in equal steps, pressure only.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let _watch = CrashWatch::over(path);
        let reader = Reader::open(path)?;
        reader.check_format("gathers")?;
        let data = reader.dataset("data")?;
        reader.check_numeric(&data, "dataset \"data\"")?;
        let &[traces, samples] = &data.shape()[..] else {
            let (found, expected) = (data.shape(), "(trace, time)".to_string());
            return Err(StorageError::Shape { path: path.into(), dataset: "data".into(), found, expected });
        };
        let record_s = read_sampling(&reader, samples)?;
        let table = TraceTable::read(&reader, traces)?;
        let first_trace = table.first_traces(&reader)?;
        let mut shots = Vec::with_capacity(first_trace.len() - 1);
        for (i, bounds) in first_trace.windows(2).enumerate() {
            shots.push(table.shot(path, i, bounds[0]..bounds[1])?);
        }
        let shot_numbers = first_trace[..shots.len()].iter().map(|&t| table.shot[t]).collect();
        let survey = Survey { shots, samples, record_s };
        Ok(GatherFile { path: path.into(), data, survey, first_trace, shot_numbers })
    }

    /// Sources, receivers and sampling.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// The number that each shot has in the file, as in field records.
    pub fn shot_numbers(&self) -> &[i64] {
        &self.shot_numbers
    }

    /// Reads the traces of one shot, `(trace, time)` in Pa, and no other.
    ///
    /// # Errors
    /// [`StorageError::Content`] for a shot that is not there; [`StorageError::Value`] with trace and sample where a
    /// number is not finite; [`StorageError::Hdf5`].
    pub fn read_shot(&self, shot: usize) -> Result<Array2<f64>, StorageError> {
        let shots = self.survey.shots.len();
        if shot >= shots {
            let what = format!("there is no shot {shot}, the file has shots 0 to {}", shots - 1);
            return Err(StorageError::content(&self.path, what));
        }
        let rows = self.first_trace[shot]..self.first_trace[shot + 1];
        let _watch = CrashWatch::over(&self.path);
        let read = self.data.read_slice_2d::<f64, _>(s![rows.clone(), ..]);
        let traces = read.map_err(|e| StorageError::hdf5(&self.path, format!("read shot {shot}"), &e))?;
        for (trace, samples) in traces.axis_iter(Dimension(0)).enumerate() {
            if let Some(at) = samples.iter().position(|v| !v.is_finite()) {
                let (dataset, index) = ("data".into(), vec![rows.start + trace, at]);
                return Err(StorageError::Value { path: self.path.clone(), dataset, index, value: samples[at] });
            }
        }
        Ok(traces)
    }
}

impl ShotData for GatherFile {
    fn observed(&self, shot: usize) -> Result<Array2<f64>, DataError> {
        self.read_shot(shot).map_err(|e| DataError(e.to_string()))
    }
}

/// The sampling interval in s; refuses times that do not begin at 0 or are uneven.
fn read_sampling(reader: &Reader, samples: usize) -> Result<f64, StorageError> {
    let axis = read_axis(reader, &reader.dataset("time")?)?;
    check_units(&reader.path, "dataset \"time\"", &axis.units, "s")?;
    let refuse = |what: String| Err(StorageError::content(&reader.path, what));
    if axis.values.len() != samples || samples == 0 {
        return refuse(format!("`time` has {} values, `data` has {samples} samples per trace", axis.values.len()));
    }
    let (first, step) = regular(&axis).map_err(|(index, expected)| StorageError::Irregular {
        path: reader.path.clone(),
        axis: "time".into(),
        index,
        found: axis.values[index],
        expected,
    })?;
    match step {
        Some(step) if !(step > 0.0 && step.is_finite()) => {
            refuse(format!("`time` steps by {step} s, expected a positive step"))
        }
        Some(step) if first.abs() > 1e-6 * step => {
            refuse(format!("`time` begins at {first} s, expected 0: shift the traces so that the source starts at 0"))
        }
        Some(step) => Ok(step),
        None => refuse("`time` has one value and no attribute `spacing`, the sampling interval is unknown".into()),
    }
}

/// What the file says about each trace.
struct TraceTable {
    shot: Vec<i64>,
    source: [Vec<f64>; 3],
    receiver: [Vec<f64>; 3],
}

impl TraceTable {
    fn read(reader: &Reader, traces: usize) -> Result<Self, StorageError> {
        let check = |name: &str, found: usize| match found == traces {
            true => Ok(()),
            false => Err(StorageError::Shape {
                path: reader.path.clone(),
                dataset: name.into(),
                found: vec![found],
                expected: format!("[{traces}], one value per trace of `data`"),
            }),
        };
        let column = |name: String, optional: bool| -> Result<Vec<f64>, StorageError> {
            if optional && !reader.has(&name) {
                return Ok(vec![0.0; traces]);
            }
            let dataset = reader.dataset(&name)?;
            let units = reader.text(&dataset, "units")?.unwrap_or_default();
            check_units(&reader.path, &format!("dataset {name:?}"), &units, "m")?;
            let values = reader.numbers(&dataset, &format!("dataset {name:?}"))?;
            check(&name, values.len())?;
            crate::model::check_finite(&reader.path, &name, &[traces], &values)?;
            Ok(values)
        };
        let place = |what: &str| -> Result<[Vec<f64>; 3], StorageError> {
            let y = column(format!("{what}_y"), true)?;
            Ok([column(format!("{what}_x"), false)?, y, column(format!("{what}_z"), false)?])
        };
        let shot = reader.integers("shot")?;
        check("shot", shot.len())?;
        if traces == 0 {
            return Err(StorageError::content(&reader.path, "the file has no traces"));
        }
        if reader.has("component")
            && let Some(trace) = reader.integers("component")?.iter().position(|&c| c != PRESSURE)
        {
            let what = format!("trace {trace} is not pressure (`component` must be {PRESSURE}); leave such traces out");
            return Err(StorageError::content(&reader.path, what));
        }
        Ok(TraceTable { shot, source: place("source")?, receiver: place("receiver")? })
    }

    /// First trace of every shot and the number of traces, from runs of equal numbers in `shot`.
    fn first_traces(&self, reader: &Reader) -> Result<Vec<usize>, StorageError> {
        let traces = self.shot.len();
        let mut first: Vec<usize> = (0..traces).filter(|&t| t == 0 || self.shot[t] != self.shot[t - 1]).collect();
        let mut seen = BTreeSet::new();
        if let Some(&trace) = first.iter().find(|&&t| !seen.insert(self.shot[t])) {
            let number = self.shot[trace];
            let what = format!("shot {number} comes up again at trace {trace}; traces must be sorted by shot");
            return Err(StorageError::content(&reader.path, what));
        }
        if reader.has("shot_first_trace") {
            let told = reader.integers("shot_first_trace")?;
            if told != first.iter().map(|&t| t as i64).collect::<Vec<_>>() {
                let what = "`shot_first_trace` contradicts `shot`; remove it, or correct it";
                return Err(StorageError::content(&reader.path, what));
            }
        }
        first.push(traces);
        Ok(first)
    }

    fn shot(&self, path: &Path, shot: usize, traces: std::ops::Range<usize>) -> Result<Shot, StorageError> {
        let at = |of: &[Vec<f64>; 3], trace: usize| -> Position { [of[0][trace], of[1][trace], of[2][trace]] };
        let source_m = at(&self.source, traces.start);
        if let Some(trace) = traces.clone().find(|&t| at(&self.source, t) != source_m) {
            let found = at(&self.source, trace);
            let what = format!(
                "shot {shot}: trace {trace} has its source at {found:?} m, trace {} at {source_m:?} m; a shot has one source",
                traces.start
            );
            return Err(StorageError::content(path, what));
        }
        Ok(Shot { source_m, receivers_m: traces.map(|t| at(&self.receiver, t)).collect() })
    }
}
