//! Damaged files: every truncation and many damaged bytes of models, gathers, runs, npy and restart files are refused or
//! read, with no panic, no crash, no hang, and in bounded memory.

mod common;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use common::campaign::{Dice, Outcome, Tally, campaign, damage, many_cases, write};
use common::{grid, head, survey, velocities};
use ndarray::ShapeBuilder;
use treewave_core::Model;
use treewave_storage::*;

/// Address space of a process that reads damaged files, in KiB.
const MEMORY_KIB: u64 = 2 << 20;
/// Cases of a campaign that every test run makes.
const FEW: u64 = 2000;

type Read = fn(&Path) -> Result<(), Box<dyn std::error::Error>>;

/// The bytes of a small whole file, its name, and how it is read.
struct Sample {
    name: &'static str,
    bytes: Vec<u8>,
    read: Read,
}

impl Sample {
    fn outcome(&self, bytes: &[u8], folder: &Path) -> Outcome {
        let path = write(folder, self.name, bytes);
        if (self.read)(&path).is_ok() { Outcome::Accepted } else { Outcome::Refused }
    }
}

/// Whatever a picture could show of a file.
fn look(path: &Path) -> Result<(), StorageError> {
    for (name, _) in list_datasets(path)? {
        // One damaged dataset does not end the look at the others.
        let _ = read_array(path, &name);
    }
    Ok(())
}

fn read_model_file(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let _ = look(path);
    let _ = read_field(path, "mask");
    Ok(read_model(path, "vp").map(drop)?)
}

fn read_gathers(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let _ = look(path);
    let gathers = GatherFile::open(path)?;
    (0..gathers.survey().shots.len()).try_for_each(|shot| gathers.read_shot(shot).map(drop))?;
    Ok(())
}

fn read_run_file(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let _ = look(path);
    Ok(read_run(path).map(drop)?)
}

fn read_npy_file(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let _ = read_npy_series(path);
    let grid = |shape: &[usize]| treewave_core::Grid::new(shape, &vec![10.0; shape.len()], &vec![0.0; shape.len()]);
    Ok(read_npy_model(path, &grid, 1.0).map(drop)?)
}

fn read_sealed(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    Ok(unseal(path).map(drop)?)
}

/// A model as others make it: chunked, no scales, attributes of several kinds, a group that is linked twice.
fn foreign(path: &Path) -> hdf5::Result<()> {
    let file = hdf5::File::create(path)?;
    let vp = ndarray::Array2::<f32>::from_elem((6, 5), 2000.0);
    let group = file.create_group("inner")?;
    group.new_dataset_builder().with_data(&vp).create("rho")?;
    file.link_hard("inner", "again")?;
    let dataset = file.new_dataset_builder().with_data(&vp).chunk((3, 5)).create("vp")?;
    dataset.new_attr::<f64>().shape(2).create("spacing_m")?.write(&[20.0, 10.0])?;
    let units: hdf5::types::VarLenUnicode = "m/s".parse().expect("it has no zero byte");
    dataset.new_attr::<hdf5::types::VarLenUnicode>().create("units")?.write_scalar(&units)?;
    Ok(())
}

fn npy<T: ndarray_npy::WritableElement + Clone>(value: T, shape: (usize, usize), fortran: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let array = ndarray::Array2::from_elem(shape.set_f(fortran), value);
    ndarray_npy::WriteNpyExt::write_npy(&array, &mut bytes).expect("writes");
    bytes
}

fn hdf5_samples() -> &'static [Sample] {
    static SAMPLES: OnceLock<Vec<Sample>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("whole.h5");
        let take = |name, read| Sample { name, bytes: fs::read(&path).expect("it was written"), read };
        let flat = Model::new(grid(&[6, 5]), velocities(30)).expect("a model");
        write_model(&path, &flat, Precision::F32, &head()).expect("writes");
        let model = take("model.h5", read_model_file as Read);
        foreign(&path).expect("writes");
        let foreign = take("foreign.h5", read_model_file);
        let survey = survey(&[2, 3], 4, 0.004);
        let mut writer = GatherWriter::create(&path, &survey, Precision::F32, &head()).expect("creates");
        for (shot, traces) in [(0, 2), (1, 3)] {
            writer.write_shot(shot, ndarray::Array2::zeros((traces, 4)).view()).expect("writes");
        }
        writer.finish().expect("publishes");
        let gathers = take("gathers.h5", read_gathers);
        publish_run(&path, &run(&flat), &head(), u64::MAX).expect("publishes");
        vec![model, foreign, gathers, take("run.h5", read_run_file)]
    })
}

fn run(model: &Model) -> RunRecord {
    let entry = RunEntry {
        vp: model.vp_m_per_s().to_vec(),
        gradient: vec![1.0; 30],
        misfit: 2.0,
        gradient_norm: 1.0,
        step_percent: 0.0,
        evaluations: 1,
        stage: 0,
        wall_s: 1.0,
        misfit_per_shot: vec![1.0, 1.0],
        model_error: None,
    };
    RunRecord {
        grid: model.grid().clone(),
        vp_start: model.vp_m_per_s().to_vec(),
        vp_true: None,
        entries: vec![entry.clone(), entry],
        config: "schema = 1".into(),
        provenance: Vec::new(),
    }
}

fn plain_samples() -> &'static [Sample] {
    static SAMPLES: OnceLock<Vec<Sample>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("whole.rst");
        let arrays = vec![("x".to_string(), vec![1.0, 2.0]), ("y".to_string(), vec![3.0; 4])];
        seal(&path, &Sealed { number: 3, text: "{\"stage\": 1}".into(), arrays }).expect("writes");
        let sealed = Sample { name: "a.rst", bytes: fs::read(&path).expect("it was written"), read: read_sealed };
        let of = |bytes| Sample { name: "model.npy", bytes, read: read_npy_file };
        vec![of(npy(2000.0_f32, (6, 5), false)), of(npy(2000.0_f64, (6, 5), true)), sealed]
    })
}

/// A sample with damaged bytes.
fn damaged(samples: &[Sample], number: u64, folder: &Path) -> Outcome {
    let (mut dice, sample) = (Dice(number), &samples[number as usize % samples.len()]);
    let mut bytes = sample.bytes.clone();
    damage(&mut bytes, &mut dice);
    sample.outcome(&bytes, folder)
}

/// The sample and the length of a truncation: first all lengths of the first sample, then those of the next.
fn truncation(samples: &[Sample], mut number: u64) -> (&Sample, usize) {
    let sample = samples.iter().find(|sample| {
        let fits = number < sample.bytes.len() as u64;
        number -= if fits { 0 } else { sample.bytes.len() as u64 };
        fits
    });
    (sample.expect("there is no such truncation"), number as usize)
}

fn truncations(test: &str, samples: &[Sample], every: u64) -> Tally {
    let all: u64 = samples.iter().map(|sample| sample.bytes.len() as u64).sum();
    campaign(test, 0..all.div_ceil(every), MEMORY_KIB, |number, folder| {
        let (sample, length) = truncation(samples, number * every);
        sample.outcome(&sample.bytes[..length], folder)
    })
}

#[test]
fn the_samples_are_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for sample in hdf5_samples().iter().chain(plain_samples()) {
        let path = write(folder.path(), sample.name, &sample.bytes);
        (sample.read)(&path).unwrap_or_else(|e| panic!("{}: {e}", sample.name));
    }
}

#[test]
fn truncated_files_are_refused() {
    let hdf5 = truncations("truncated_files_are_refused", hdf5_samples(), 23);
    hdf5.assert_all_ended_well("every 23rd truncation of HDF5 files");
    assert_eq!(hdf5.accepted, 0);
}

#[test]
fn truncated_plain_files_are_refused() {
    let plain = truncations("truncated_plain_files_are_refused", plain_samples(), 1);
    plain.assert_all_ended_well("every truncation of npy and restart files");
    assert_eq!(plain.accepted, 0);
}

#[test]
fn damaged_hdf5_files_are_read_or_refused() {
    let tally = campaign("damaged_hdf5_files_are_read_or_refused", 0..FEW, MEMORY_KIB, |number, folder| {
        damaged(hdf5_samples(), number, folder)
    });
    assert!(tally.accepted > FEW / 100 && tally.refused > FEW / 100, "{}", tally.text());
    tally.assert_all_ended_well("damaged HDF5 files");
}

#[test]
fn damaged_plain_files_are_read_or_refused() {
    let tally = campaign("damaged_plain_files_are_read_or_refused", 0..FEW, MEMORY_KIB, |number, folder| {
        damaged(plain_samples(), number, folder)
    });
    tally.assert_all_ended_well("damaged npy and restart files");
    assert!(tally.accepted > FEW / 100 && tally.refused > FEW / 100, "{}", tally.text());
}

#[test]
#[ignore = "several minutes"]
fn every_truncation_of_hdf5_files_is_refused() {
    let tally = truncations("every_truncation_of_hdf5_files_is_refused", hdf5_samples(), 1);
    tally.assert_all_ended_well("every truncation of HDF5 files");
    assert_eq!(tally.accepted, 0);
}

#[test]
#[ignore = "several minutes"]
fn a_hundred_thousand_damaged_hdf5_files_are_read_or_refused() {
    let test = "a_hundred_thousand_damaged_hdf5_files_are_read_or_refused";
    let tally = campaign(test, 0..many_cases(), MEMORY_KIB, |number, folder| damaged(hdf5_samples(), number, folder));
    tally.assert_all_ended_well("damaged HDF5 files");
}

#[test]
#[ignore = "several minutes"]
fn a_hundred_thousand_damaged_plain_files_are_read_or_refused() {
    let test = "a_hundred_thousand_damaged_plain_files_are_read_or_refused";
    let tally = campaign(test, 0..many_cases(), MEMORY_KIB, |number, folder| damaged(plain_samples(), number, folder));
    tally.assert_all_ended_well("damaged npy and restart files");
}
