//! Gathers: round trips in any order of writing, readers in several processes, refusals.

mod common;

use std::path::Path;
use std::process::Command;

use common::{head, survey, verify_with_plain_tools};
use ndarray::Array2;
use treewave_core::{ShotData, Survey};
use treewave_storage::*;

fn traces(shot: usize, receivers: usize, samples: usize) -> Array2<f64> {
    Array2::from_shape_fn((receivers, samples), |(r, t)| (shot * 10_000 + r * 100) as f64 + (t as f64 * 0.1).sin())
}

fn write(path: &Path, survey: &Survey, precision: Precision, order: &[usize]) {
    let mut writer = GatherWriter::create(path, survey, precision, &head()).expect("creates");
    for &shot in order {
        let data = traces(shot, survey.shots[shot].receivers_m.len(), survey.samples);
        writer.write_shot(shot, data.view()).expect("writes");
    }
    writer.finish().expect("publishes");
}

#[test]
fn shots_written_in_any_order_come_back_with_their_geometry() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("observed.h5");
    for (receivers, samples) in [(&[5, 5, 5][..], 40), (&[3, 1, 7, 2], 11), (&[1], 1)] {
        let mut survey = survey(receivers, samples, 0.0041);
        survey.shots[0].receivers_m[0][1] = 12.5;
        let order: Vec<usize> = (0..receivers.len()).rev().collect();
        write(&path, &survey, Precision::F64, &order);
        let file = GatherFile::open(&path).expect("opens");
        assert_eq!(file.survey(), &survey);
        for (shot, &n) in receivers.iter().enumerate() {
            assert_eq!(file.read_shot(shot).expect("reads"), traces(shot, n, samples));
            assert_eq!(file.observed(shot).expect("reads"), traces(shot, n, samples));
        }
        write(&path, &survey, Precision::F32, &order);
        let rounded = GatherFile::open(&path).expect("opens").read_shot(0).expect("reads");
        assert_eq!(rounded, traces(0, receivers[0], samples).mapv(|v| f64::from(v as f32)));
    }
}

#[test]
fn gathers_open_in_plain_tools() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (even, uneven) = (folder.path().join("even.h5"), folder.path().join("uneven.h5"));
    write(&even, &survey(&[5, 5, 5], 40, 0.004), Precision::F32, &[0, 1, 2]);
    write(&uneven, &survey(&[3, 1, 7], 11, 0.002), Precision::F64, &[2, 0, 1]);
    verify_with_plain_tools(&[&even, &uneven]);
}

#[test]
fn data_is_chunked_by_shot() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("observed.h5");
    write(&path, &survey(&[5, 5, 5], 40, 0.004), Precision::F32, &[0, 1, 2]);
    let file = hdf5::File::open(&path).expect("opens");
    assert_eq!(file.dataset("data").expect("opens").chunk(), Some(vec![5, 40]));
}

/// The child of the next test: with the variable set it reads the shots of the file that it names.
#[test]
fn a_rank_reads_its_shots() {
    let Ok(path) = std::env::var("TREEWAVE_TEST_GATHERS") else { return };
    let file = GatherFile::open(Path::new(&path)).expect("a second process opens the file");
    assert_eq!(file.read_shot(1).expect("reads"), traces(1, 5, 40));
    println!("the child has read its shot");
}

#[test]
fn several_processes_read_one_file_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("observed.h5");
    write(&path, &survey(&[5, 5, 5], 40, 0.004), Precision::F64, &[0, 1, 2]);
    // Even a program that holds the file for writing, as a notebook may, does not shut the ranks out.
    for held_for_writing in [true, false] {
        let writer = held_for_writing.then(|| hdf5::File::open_rw(&path).expect("opens"));
        let reader = (!held_for_writing).then(|| GatherFile::open(&path).expect("opens"));
        read_in_a_child(&path);
        drop((writer, reader));
    }
}

fn read_in_a_child(path: &Path) {
    let child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "a_rank_reads_its_shots", "--nocapture"])
        .env("TREEWAVE_TEST_GATHERS", path)
        .output()
        .expect("the child runs");
    let told = String::from_utf8_lossy(&child.stdout);
    let complaint = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && told.contains("the child has read its shot"), "{told}{complaint}");
}

#[test]
fn a_writer_that_is_not_finished_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("observed.h5");
    let survey = survey(&[2, 2, 2], 4, 0.004);
    let mut writer = GatherWriter::create(&path, &survey, Precision::F64, &head()).expect("creates");
    writer.write_shot(1, traces(1, 2, 4).view()).expect("writes");
    assert!(!path.exists(), "a published file is complete");
    let refusal = writer.finish().expect_err("shots 0 and 2 are missing").to_string();
    assert!(refusal.contains("2 shots") && refusal.contains("0, 2"), "{refusal}");
    drop(GatherWriter::create(&path, &survey, Precision::F64, &head()).expect("creates"));
    assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 0);
}

#[test]
fn impossible_surveys_and_wrong_shapes_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("observed.h5");
    let create = |survey: &Survey| GatherWriter::create(&path, survey, Precision::F64, &head());
    for impossible in [survey(&[], 4, 0.004), survey(&[2, 0], 4, 0.004), survey(&[2], 0, 0.004), survey(&[2], 4, 0.0)] {
        assert!(matches!(create(&impossible), Err(StorageError::Content { .. })));
    }
    let mut writer = create(&survey(&[2, 3], 4, 0.004)).expect("creates");
    for (shot, shape) in [(0, (3, 4)), (1, (3, 5))] {
        let refusal = writer.write_shot(shot, Array2::zeros(shape).view());
        assert!(matches!(refusal, Err(StorageError::Shape { .. })), "{refusal:?}");
    }
    assert!(matches!(writer.write_shot(2, Array2::zeros((2, 4)).view()), Err(StorageError::Content { .. })));
}

/// Changes one dataset of a good file and opens the file.
fn spoiled(change: impl Fn(&hdf5::File)) -> Result<GatherFile, StorageError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("observed.h5");
    write(&path, &survey(&[2, 2, 2], 4, 0.004), Precision::F64, &[0, 1, 2]);
    let file = hdf5::File::open_rw(&path).expect("opens");
    change(&file);
    drop(file);
    GatherFile::open(&path)
}

fn overwrite<T: hdf5::H5Type>(name: &str, values: &[T]) -> impl Fn(&hdf5::File) {
    move |file| file.dataset(name).expect("opens").write_raw(values).expect("writes")
}

#[test]
fn contradictions_in_the_geometry_are_refused() {
    spoiled(|_| ()).expect("the unspoiled file opens");
    let told = |change: &dyn Fn(&hdf5::File)| spoiled(change).expect_err("refused").to_string();
    let unsorted = told(&overwrite("shot", &[0_i64, 0, 1, 0, 2, 2]));
    assert!(unsorted.contains("shot 0 comes up again at trace 3"), "{unsorted}");
    let first = told(&overwrite("shot_first_trace", &[0_i64, 2, 5]));
    assert!(first.contains("shot_first_trace"), "{first}");
    let moved = told(&overwrite("source_x", &[0.0, 0.0, 10.1, 10.2, 20.2, 20.2]));
    assert!(moved.contains("shot 1: trace 3"), "{moved}");
    let late = told(&overwrite("time", &[0.004, 0.008, 0.012, 0.016]));
    assert!(late.contains("begins at 0.004 s"), "{late}");
    let uneven = told(&overwrite("time", &[0.0, 0.004, 0.009, 0.012]));
    assert!(uneven.contains("not regular"), "{uneven}");
    let elastic = told(&overwrite("component", &[0_i64, 0, 0, 2, 0, 0]));
    assert!(elastic.contains("trace 3 is not pressure"), "{elastic}");
    let nowhere = told(&overwrite("receiver_z", &[0.0, 0.0, 0.0, f64::NAN, 0.0, 0.0]));
    assert!(nowhere.contains("receiver_z") && nowhere.contains("[3]"), "{nowhere}");
    let lost = told(&|file: &hdf5::File| file.unlink("receiver_x").expect("unlinks"));
    assert!(lost.contains("receiver_x") && lost.contains("source_x"), "{lost}");
    let broken = spoiled(overwrite("data", &[[0.0, 1.0, f64::NAN, 2.0]; 6].concat())).expect("opens");
    assert!(matches!(broken.read_shot(1), Err(StorageError::Value { index, .. }) if index == [2, 2]));
    assert!(matches!(broken.read_shot(3), Err(StorageError::Content { .. })));
}

#[test]
fn a_two_dimensional_file_needs_no_y_and_no_list_of_first_traces() {
    let bare = spoiled(|file| {
        for name in ["source_y", "receiver_y", "shot_first_trace", "component"] {
            file.unlink(name).expect("unlinks");
        }
        overwrite("shot", &[7_i64, 7, 1003, 1003, 9, 9])(file);
    });
    let bare = bare.expect("opens");
    assert_eq!(bare.survey(), &survey(&[2, 2, 2], 4, 0.004));
    assert_eq!(bare.shot_numbers(), [7, 1003, 9]);
}

#[test]
fn another_kind_of_file_and_a_later_version_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.h5");
    let grid = common::grid(&[3, 4]);
    let ones = [NamedField { name: "data", values: &[1.0; 12], units: "1", long_name: "ones" }];
    write_fields(&path, &grid, &ones, Precision::F64, &head()).expect("writes");
    assert!(matches!(GatherFile::open(&path), Err(StorageError::Format { .. })));
    let later = spoiled(|file| file.attr("schema_version").expect("there").write_scalar(&99_i64).expect("writes"));
    assert!(matches!(later, Err(StorageError::SchemaVersion { found: 99, .. })));
}
