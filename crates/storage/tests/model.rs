//! Models: round trips, the ways a grid is told, refusals.

mod common;

use std::fs;
use std::path::Path;

use common::{grid, head, shared, velocities, verify_with_plain_tools};
use treewave_core::Model;
use treewave_storage::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn model(shape: &[usize]) -> Model {
    let grid = grid(shape);
    let cells = grid.len();
    Model::new(grid, velocities(cells)).expect("a possible model")
}

#[test]
fn a_model_comes_back_bit_equal_in_f64_with_its_grid() {
    let folder = folder();
    for shape in [&[31, 17][..], &[5, 7, 9], &[1, 4], &[3, 1, 1]] {
        let (path, model) = (folder.path().join("model.h5"), model(shape));
        write_model(&path, &model, Precision::F64, &head()).expect("writes");
        assert_eq!(read_model(&path, "vp").expect("reads"), model);
        write_model(&path, &model, Precision::F32, &head()).expect("replaces");
        let back = read_model(&path, "vp").expect("reads");
        assert_eq!(back.grid(), model.grid());
        for (a, b) in back.vp_m_per_s().iter().zip(model.vp_m_per_s()) {
            assert_eq!(*a, f64::from(*b as f32));
        }
    }
    assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 1, "a temporary file was left behind");
}

#[test]
fn models_open_in_plain_tools() {
    let folder = folder();
    let (flat, solid) = (folder.path().join("flat.h5"), folder.path().join("solid.h5"));
    write_model(&flat, &model(&[31, 17]), Precision::F32, &head()).expect("writes");
    let solid_model = model(&[5, 7, 9]);
    let mask = vec![1.0; 5 * 7 * 9];
    let fields = [
        NamedField { name: "vp", values: solid_model.vp_m_per_s(), units: "m/s", long_name: "P-wave velocity" },
        NamedField { name: "mask", values: &mask, units: "1", long_name: "cells to invert" },
    ];
    write_fields(&solid, solid_model.grid(), &fields, Precision::F64, &head()).expect("writes");
    verify_with_plain_tools(&[&flat, &solid]);
}

#[test]
fn shared_models_have_the_shapes_and_ranges_that_their_table_says() {
    for (file, shape, spacing, range) in [
        ("marmousi_devito_1601x401_7p5m.h5", [1601, 1, 401], 7.5, (1028.0, 4700.0)),
        ("overthrust_judi_401x121_25m.h5", [401, 1, 121], 25.0, (1500.0, 5500.0)),
        ("smiwiz_marmousi_461x151_20m.h5", [461, 1, 151], 20.0, (1500.0, 5500.0)),
        ("marmousi2_ads_202x68_52m.h5", [202, 1, 68], 52.2222, (1500.0, 4698.0)),
    ] {
        let Some(path) = shared(&format!("data/models/{file}")) else { return };
        let model = read_model(&path, "vp").expect(file);
        assert_eq!(model.grid().shape(), shape, "{file}");
        assert!((model.grid().spacing_m()[2] - spacing).abs() < 1e-4, "{file}");
        let (lowest, highest) = model.range_m_per_s();
        assert!((lowest - range.0).abs() < 1.0 && (highest - range.1).abs() < 1.0, "{file}: {lowest} {highest}");
    }
    let Some(path) = shared("data/models/marmousi2_ads_202x68_52m.h5") else { return };
    let mask = read_field(&path, "mask").expect("a mask");
    assert!(mask.values.iter().all(|&v| v == 0.0 || v == 1.0));
    // The water has no shear velocity: fine for a field, not for a model.
    read_field(&path, "vs").expect("a field may hold zeros");
    let Some(path) = shared("data/refs/peer_circle_gradient.h5") else { return };
    let circle = read_model(&path, "vp_true").expect("one spacing for both axes, on the root");
    assert_eq!((circle.grid().spacing_m(), circle.grid().origin_m()), ([10.0, 1.0, 10.0], [0.0; 3]));
}

/// A file as others make it, without Treewave's conventions.
struct Foreign {
    file: hdf5::File,
}

impl Foreign {
    fn new(path: &Path, shape: [usize; 2]) -> Self {
        let file = hdf5::File::create(path).expect("creates");
        file.new_dataset::<f32>()
            .shape(shape)
            .create("vp")
            .expect("creates")
            .write_raw(&vec![2000.0_f32; shape[0] * shape[1]])
            .expect("writes");
        Foreign { file }
    }
    fn axis(self, name: &str, values: &[f64]) -> Self {
        self.file.new_dataset_builder().with_data(values).create(name).expect("creates");
        self
    }
    fn attribute(self, name: &str, values: &[f64]) -> Self {
        self.file.new_attr_builder().with_data(values).create(name).expect("creates");
        self
    }
    fn value(self, cell: [usize; 2], value: f32) -> Self {
        let vp = self.file.dataset("vp").expect("opens");
        vp.write_slice(&ndarray::arr2(&[[value]]), ndarray::s![cell[0]..cell[0] + 1, cell[1]..cell[1] + 1])
            .expect("writes");
        self
    }
}

#[test]
fn plain_axis_datasets_tell_the_grid_and_uneven_ones_are_refused() {
    let folder = folder();
    let path = folder.path().join("foreign.h5");
    drop(Foreign::new(&path, [3, 4]).axis("x", &[5.0, 7.0, 9.0]).axis("z", &[0.0, 0.5, 1.0, 1.5]));
    let grid = read_model(&path, "vp").expect("reads").grid().clone();
    assert_eq!((grid.spacing_m(), grid.origin_m()), ([2.0, 1.0, 0.5], [5.0, 0.0, 0.0]));

    drop(Foreign::new(&path, [3, 4]).axis("x", &[5.0, 7.0, 9.0]).axis("z", &[0.0, 0.5, 1.1, 1.5]));
    match read_model(&path, "vp") {
        Err(StorageError::Irregular { axis, index, found, expected, .. }) => {
            assert_eq!((axis.as_str(), index, found, expected), ("z", 2, 1.1, 1.0));
        }
        other => panic!("{other:?}"),
    }
    // Ten metres at 500 km, kept in four bytes: steps are off by up to 0.03 m, which is rounding and not a fault.
    let rounded: Vec<f64> = (0..3).map(|i| f64::from((500_000.1 + 10.01 * f64::from(i)) as f32)).collect();
    drop(Foreign::new(&path, [3, 4]).axis("x", &rounded).axis("z", &[0.0, 0.5, 1.0, 1.5]));
    read_model(&path, "vp").expect("rounding passes");
}

#[test]
fn a_stale_spacing_attribute_gives_way_to_the_axis_itself() {
    let folder = folder();
    let path = folder.path().join("strided.h5");
    let foreign = Foreign::new(&path, [3, 2]).axis("x", &[0.0, 20.0, 40.0]).axis("z", &[0.0, 10.0]);
    let x = foreign.file.dataset("x").expect("opens");
    x.new_attr::<f64>().create("spacing").expect("creates").write_scalar(&10.0).expect("writes");
    drop((x, foreign));
    assert_eq!(read_model(&path, "vp").expect("reads").grid().spacing_m()[0], 20.0);
}

#[test]
fn attributes_tell_the_grid_where_there_are_no_axes() {
    let folder = folder();
    let path = folder.path().join("foreign.h5");
    drop(Foreign::new(&path, [3, 4]).attribute("spacing_m", &[20.0, 10.0]).attribute("origin_m", &[1.0, 2.0]));
    let grid = read_model(&path, "vp").expect("reads").grid().clone();
    assert_eq!((grid.spacing_m(), grid.origin_m()), ([20.0, 1.0, 10.0], [1.0, 0.0, 2.0]));
    drop(Foreign::new(&path, [3, 4]).attribute("spacing_m", &[20.0, 10.0, 5.0]));
    assert!(matches!(read_model(&path, "vp"), Err(StorageError::Content { .. })));
    drop(Foreign::new(&path, [3, 4]));
    assert!(matches!(read_model(&path, "vp"), Err(StorageError::NoSpacing { .. })));
    drop(Foreign::new(&path, [3, 4]).attribute("spacing_m", &[-20.0]));
    assert!(matches!(read_model(&path, "vp"), Err(StorageError::Grid { .. })));
}

#[test]
fn transposed_axes_and_foreign_units_are_refused() {
    let folder = folder();
    let path = folder.path().join("transposed.h5");
    let write = |axes: [&str; 2], units: &str, axis_units: &str| {
        let mut file = PublicFile::create(&path, "model", &head()).expect("creates");
        for axis in axes {
            file.axis(&Axis::regular(axis, 0.0, 1.0, 2, axis_units, axis)).expect("writes");
        }
        let label = Label { name: "vp", axes: &axes, units, long_name: "P-wave velocity" };
        file.write(&label, &[2.0; 4], Precision::F64).expect("writes");
        file.publish().expect("publishes");
        read_model(&path, "vp")
    };
    write(["x", "z"], "m/s", "m").expect("reads");
    write(["x", "z"], "m s-1", "metres").expect("reads");
    assert!(matches!(write(["z", "x"], "m/s", "m"), Err(StorageError::AxisOrder { .. })));
    assert!(matches!(write(["x", "z"], "km/s", "m"), Err(StorageError::Units { .. })));
    assert!(matches!(write(["x", "z"], "m/s", "km"), Err(StorageError::Units { .. })));
}

#[test]
fn refusals_name_what_is_there_and_the_cell() {
    let folder = folder();
    let path = folder.path().join("foreign.h5");
    assert!(matches!(read_model(&path, "vp"), Err(StorageError::MissingFile { .. })));
    assert!(matches!(read_model(folder.path(), "vp"), Err(StorageError::Io { .. })));
    for value in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        drop(Foreign::new(&path, [3, 4]).attribute("spacing_m", &[20.0]).value([2, 1], value));
        let refusal = read_model(&path, "vp").expect_err("refused").to_string();
        assert!(refusal.contains("ix 2, iy 0, iz 1"), "{refusal}");
    }
    drop(Foreign::new(&path, [3, 4]).attribute("spacing_m", &[20.0]).value([2, 1], f32::NAN));
    match read_field(&path, "vp") {
        Err(StorageError::Value { index, .. }) => assert_eq!(index, [2, 1]),
        other => panic!("{other:?}"),
    }
    match read_model(&path, "vp_true") {
        Err(StorageError::MissingDataset { available, .. }) => assert_eq!(available, ["vp"]),
        other => panic!("{other:?}"),
    }
    drop(Foreign::new(&path, [3, 4]).axis("line", &[1.0, 2.0]));
    assert!(matches!(read_model(&path, "line"), Err(StorageError::Shape { .. })));
    let file = hdf5::File::append(&path).expect("opens");
    file.new_dataset::<hdf5::types::VarLenUnicode>().shape([2, 2]).create("names").expect("creates");
    drop(file);
    assert!(matches!(read_model(&path, "names"), Err(StorageError::Type { .. })));
    fs::write(&path, "vp = 1500").expect("writes");
    assert!(matches!(read_model(&path, "vp"), Err(StorageError::NotHdf5 { bytes: 9, .. })));
}

#[test]
fn text_that_is_not_utf_8_is_shown_as_far_as_it_can_be() {
    let folder = folder();
    let path = folder.path().join("latin.h5");
    let foreign = Foreign::new(&path, [3, 4]).attribute("spacing_m", &[20.0]);
    let latin: hdf5::types::FixedAscii<8> = hdf5::types::FixedAscii::from_ascii(b"km/s   ").expect("ASCII");
    let vp = foreign.file.dataset("vp").expect("opens");
    vp.new_attr::<hdf5::types::FixedAscii<8>>().create("units").expect("creates").write_scalar(&latin).expect("writes");
    drop((vp, foreign));
    let mut bytes = fs::read(&path).expect("reads");
    let at = bytes.windows(4).position(|w| w == b"km/s").expect("the unit is in the file");
    bytes[at] = 0xe9;
    fs::write(&path, bytes).expect("writes");
    let refusal = read_model(&path, "vp").expect_err("refused").to_string();
    assert!(refusal.contains("units \"\u{fffd}m/s"), "{refusal}");
}

#[test]
fn every_truncation_of_a_model_is_refused() {
    let folder = folder();
    let (path, cut) = (folder.path().join("model.h5"), folder.path().join("cut.h5"));
    write_model(&path, &model(&[13, 11]), Precision::F64, &head()).expect("writes");
    let whole = fs::read(&path).expect("reads");
    for length in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        fs::write(&cut, &whole[..length]).expect("writes");
        match read_model(&cut, "vp") {
            Err(StorageError::NotHdf5 { .. }) if length < 8 => {}
            Err(StorageError::Damaged { bytes, .. }) if length >= 8 => assert_eq!(bytes as usize, length),
            other => panic!("cut to {length} of {}: {other:?}", whole.len()),
        }
    }
}

#[test]
fn a_field_of_another_length_is_refused_and_leaves_the_older_file() {
    let folder = folder();
    let path = folder.path().join("model.h5");
    let model = model(&[3, 4]);
    write_model(&path, &model, Precision::F64, &head()).expect("writes");
    let short = [NamedField { name: "rho", values: &[1.0; 11], units: "kg/m3", long_name: "density" }];
    let refusal = write_fields(&path, model.grid(), &short, Precision::F64, &head());
    assert!(matches!(refusal, Err(StorageError::Content { .. })), "{refusal:?}");
    assert_eq!(read_model(&path, "vp").expect("the older file"), model);
    assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 1, "a temporary file was left behind");
}

#[test]
fn an_array_for_a_picture_comes_with_its_axes() {
    let folder = folder();
    let path = folder.path().join("model.h5");
    let model = model(&[5, 7, 9]);
    write_model(&path, &model, Precision::F64, &head()).expect("writes");
    let array = read_array(&path, "vp").expect("reads");
    assert_eq!(array.values.shape(), [5, 7, 9]);
    assert_eq!(array.units.as_deref(), Some("m/s"));
    let names: Vec<&str> = array.axes.iter().map(|axis| axis.name.as_str()).collect();
    assert_eq!(names, ["x", "y", "z"]);
    assert_eq!(array.axes[1].values, model.grid().axis_m(1));
    assert_eq!(read_array(&path, "z").expect("reads").values.shape(), [9]);

    drop(Foreign::new(&path, [3, 4]).axis("line", &[1.0, f64::NAN]).attribute("spacing_m", &[20.0]));
    let array = read_array(&path, "vp").expect("reads");
    assert_eq!((array.axes[0].name.as_str(), array.axes[0].values[2]), ("x", 40.0));
    let line = read_array(&path, "line").expect("not-a-number can be left out of a picture");
    assert_eq!(line.axes[0].name, "axis_0");
    assert_eq!(list_datasets(&path).expect("lists"), [("line".into(), vec![2]), ("vp".into(), vec![3, 4])]);
}

#[test]
fn text_files_and_hashes_are_as_the_tools_make_them() {
    let folder = folder();
    let path = folder.path().join("deep/status.json");
    write_text(&path, "abc").expect("writes, and makes the folder");
    // SHA-256 of "abc", the example of FIPS 180-2.
    assert_eq!(file_hash(&path).expect("reads"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert!(matches!(file_hash(folder.path().join("no").as_path()), Err(StorageError::MissingFile { .. })));
    assert!(write_text(Path::new("/proc/treewave/status.json"), "abc").is_err());
}
