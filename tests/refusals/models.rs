//! Model files that are no models.

use std::fs;

use super::*;

/// Writes a file as others make it.
fn file(path: &Path, write: impl FnOnce(&hdf5::File) -> hdf5::Result<()>) {
    let done = hdf5::File::create(path).and_then(|file| write(&file));
    done.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// A model whose attributes and axes others have spoiled.
fn spoiled(path: &Path, spoil: impl FnOnce(&hdf5::File, &hdf5::Dataset) -> hdf5::Result<()>) {
    file(path, |file| {
        let vp = ndarray::Array2::<f32>::from_elem([41, 31], 2000.0);
        let dataset = file.new_dataset_builder().with_data(&vp).create("vp")?;
        spoil(file, &dataset)
    });
}

fn spacing(dataset: &hdf5::Dataset, values: &[f64]) -> hdf5::Result<()> {
    dataset.new_attr_builder().with_data(values).create("spacing_m").map(drop)
}

fn text(dataset: &hdf5::Dataset, name: &str, value: &str) -> hdf5::Result<()> {
    let value: hdf5::types::VarLenUnicode = value.parse().expect("the text has no zero byte");
    dataset.new_attr::<hdf5::types::VarLenUnicode>().create(name)?.write_scalar(&value)
}

#[test]
fn models_that_are_no_models_are_refused() {
    let case = case();
    let at = |name: &str| case.path(name);
    let whole = at("model.h5");
    for (name, odd) in [("nan", f32::NAN), ("infinite", f32::INFINITY), ("zero", 0.0), ("negative", -1500.0)] {
        write_model(&at(&format!("{name}.h5")), [41, 31], Some(odd));
    }
    write_model(&at("narrow.h5"), [31, 31], None);
    cut(&whole, &at("cut.h5"), 0.5);
    cut(&whole, &at("header.h5"), 0.01);
    fs::write(at("text.h5"), "vp = 1500").expect("the folder can be written");
    fs::write(at("empty.h5"), "").expect("the folder can be written");
    fs::create_dir(at("folder.h5")).expect("the folder can be written");
    spoiled(&at("no-spacing.h5"), |_, _| Ok(()));
    spoiled(&at("spacing-0.h5"), |_, vp| spacing(vp, &[0.0]));
    spoiled(&at("spacing-nan.h5"), |_, vp| spacing(vp, &[f64::NAN]));
    spoiled(&at("spacing-3.h5"), |_, vp| spacing(vp, &[40.0, 40.0, 40.0]));
    spoiled(&at("spacing-other.h5"), |_, vp| spacing(vp, &[40.0, 20.0]));
    spoiled(&at("spacing-text.h5"), |_, vp| text(vp, "spacing_m", "40 m"));
    spoiled(&at("km.h5"), |_, vp| spacing(vp, &[40.0]).and(text(vp, "units", "km/s")));
    spoiled(&at("uneven.h5"), |file, _| {
        let mut x: Vec<f64> = (0..41).map(|i| 40.0 * f64::from(i)).collect();
        x[7] += 1.0;
        file.new_dataset_builder().with_data(&x).create("x")?;
        let z: Vec<f64> = (0..31).map(|i| 40.0 * f64::from(i)).collect();
        file.new_dataset_builder().with_data(&z).create("z").map(drop)
    });
    file(&at("line.h5"), |file| file.new_dataset_builder().with_data(&[2000.0_f32; 41]).create("vp").map(drop));
    file(&at("hyper.h5"), |file| file.new_dataset::<f32>().shape([2, 2, 2, 2]).create("vp").map(drop));
    file(&at("none.h5"), |file| file.new_dataset::<f32>().shape([0, 31]).create("vp").map(drop));
    file(&at("words.h5"), |file| {
        file.new_dataset::<hdf5::types::VarLenUnicode>().shape([41, 31]).create("vp").map(drop)
    });
    // A shape that nothing was ever written for, as damage to a header makes it.
    file(&at("huge.h5"), |file| {
        let vp = file.new_dataset::<f32>().chunk([64, 64]).shape([1 << 30, 1 << 30]).create("vp")?;
        spacing(&vp, &[40.0])
    });
    let cell = "cell (ix 10, iy 0, iz 20)";
    // The file, or the whole of model.start, and what the message names.
    for (start, named) in [
        ("nan.h5", &["nan.h5", "\"vp\"", "NaN", cell][..]),
        ("infinite.h5", &["infinite.h5", "\"vp\"", "inf", cell]),
        ("zero.h5", &["zero.h5", "\"vp\"", "0 m/s", cell]),
        ("negative.h5", &["negative.h5", "-1500 m/s", cell]),
        ("narrow.h5", &["model.start", "31 × 31", "41 × 31"]),
        ("spacing-other.h5", &["model.start", "40 × 20 m apart"]),
        ("cut.h5", &["cut.h5", "truncated"]),
        ("header.h5", &["header.h5", "truncated"]),
        ("absent.h5", &["absent.h5", "no such file"]),
        ("text.h5", &["text.h5", "not an HDF5 file (9 bytes"]),
        ("empty.h5", &["empty.h5", "not an HDF5 file (0 bytes"]),
        ("folder.h5", &["folder.h5", "not a regular file"]),
        ("no-spacing.h5", &["no-spacing.h5", "spacing_m"]),
        ("spacing-0.h5", &["spacing-0.h5", "spacing of axis x is 0 m"]),
        ("spacing-nan.h5", &["spacing-nan.h5", "spacing of axis x is NaN m"]),
        ("spacing-3.h5", &["spacing-3.h5", "\"spacing_m\"", "3 values"]),
        ("spacing-text.h5", &["spacing-text.h5", "\"spacing_m\"", "expected numbers"]),
        ("km.h5", &["km.h5", "km/s"]),
        ("uneven.h5", &["uneven.h5", "\"x\"", "point 7"]),
        ("line.h5", &["line.h5", "\"vp\"", "[41]"]),
        ("hyper.h5", &["hyper.h5", "\"vp\"", "[2, 2, 2, 2]"]),
        ("none.h5", &["none.h5", "\"vp\"", "[0, 31]"]),
        ("words.h5", &["words.h5", "\"vp\"", "expected numbers"]),
        ("huge.h5", &["huge.h5", "\"vp\"", "1073741824", "damaged"]),
        ("{ file = \"model.h5\", vp = \"vs\" }", &["model.h5", "\"vs\"", "the file has vp"]),
        ("{ run = \"model.h5\" }", &["model.h5", "vp_start"]),
        ("{ run = \"observed.h5\" }", &["observed.h5", "treewave_format", "gathers"]),
    ] {
        let key = match start.starts_with('{') {
            true => format!("model.start={start}"),
            false => format!("model.start={{ file = \"{start}\" }}"),
        };
        let ranks = if ["nan.h5", "cut.h5", "huge.h5"].contains(&start) { APART } else { ALIKE };
        assert_refused(&case, ranks, &set(&key), DATA, named);
    }
    let mask = "precondition.mask={ file = \"narrow.h5\", dataset = \"vp\" }";
    assert_refused(&case, ALIKE, &set(mask), DATA, &["narrow.h5", "the mask", "[31, 31]"]);
}
