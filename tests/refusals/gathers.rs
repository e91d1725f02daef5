//! Gather files that are damaged or do not fit, and wavelets that are none.

use std::fs;

use super::*;

/// Changes a file of observed data.
fn change(path: &Path, change: impl FnOnce(&hdf5::File) -> hdf5::Result<()>) {
    let done = hdf5::File::open_rw(path).and_then(|file| change(&file));
    done.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// Sets values of a dataset.
fn put<T: hdf5::H5Type + Copy>(file: &hdf5::File, dataset: &str, at: &[usize], value: T) -> hdf5::Result<()> {
    let dataset = file.dataset(dataset)?;
    let mut values = dataset.read_raw::<T>()?;
    at.iter().for_each(|&at| values[at] = value);
    dataset.as_writer().write_raw(&values)
}

/// Puts another dataset in the place of one.
fn replace<T: hdf5::H5Type>(file: &hdf5::File, name: &str, values: &[T]) -> hdf5::Result<()> {
    file.unlink(name)?;
    file.new_dataset_builder().with_data(values).create(name).map(drop)
}

/// Samples of a trace.
const SAMPLES: usize = 201;

type Change = fn(&hdf5::File) -> hdf5::Result<()>;

/// What is done to the file, and what the message names.
const CHANGES: &[(&str, Change, &[&str])] = &[
    ("no data", |file| file.unlink("data"), &["no dataset \"data\""]),
    ("no time", |file| file.unlink("time"), &["no dataset \"time\""]),
    ("no receivers", |file| file.unlink("receiver_x"), &["no dataset \"receiver_x\""]),
    ("no shots", |file| file.unlink("shot"), &["no dataset \"shot\""]),
    (
        "late",
        |file| replace(file, "time", &(1..=SAMPLES).map(|i| 0.004 * i as f64).collect::<Vec<_>>()),
        &["`time` begins at 0.004 s"],
    ),
    ("uneven", |file| put(file, "time", &[9], 1.0_f64), &["\"time\"", "point 9"]),
    (
        "back",
        |file| replace(file, "time", &(0..SAMPLES).map(|i| -0.004 * i as f64).collect::<Vec<_>>()),
        &["`time` steps by -0.004 s"],
    ),
    ("few times", |file| replace(file, "time", &[0.0, 0.004]), &["`time` has 2 values", "201 samples"]),
    ("unsorted", |file| put(file, "shot", &[17], 0_i64), &["shot 0 comes up again at trace 17"]),
    ("moving source", |file| put(file, "source_x", &[12], 500.0), &["shot 1", "trace 12", "500"]),
    (
        "other source",
        |file| put(file, "source_x", &[9, 10, 11, 12, 13, 14, 15, 16, 17], 500.0),
        &["shot 1 has its source", "500"],
    ),
    ("no place", |file| put(file, "receiver_z", &[3], f64::NAN), &["\"receiver_z\" is NaN", "[3]"]),
    ("other component", |file| put(file, "component", &[5], 1_i64), &["trace 5 is not pressure"]),
    ("contradiction", |file| put(file, "shot_first_trace", &[1], 8_i64), &["`shot_first_trace` contradicts `shot`"]),
    ("short column", |file| replace(file, "receiver_x", &[0.0; 17]), &["\"receiver_x\" has shape [17]", "[18]"]),
    (
        "words",
        |file| replace(file, "receiver_x", &[hdf5::types::VarLenUnicode::new()]),
        &["\"receiver_x\"", "expected numbers"],
    ),
    ("one axis", |file| replace(file, "data", &[0.0_f32; 18]), &["\"data\" has shape [18]", "(trace, time)"]),
    ("other kind", |file| text(file, "treewave_format", "model"), &["treewave_format", "\"model\""]),
    ("version", |file| file.attr("schema_version")?.write_scalar(&99_i64), &["schema version 99"]),
    ("milliseconds", |file| text(&*file.dataset("time")?, "units", "ms"), &["\"time\" has units \"ms\""]),
];

/// Replaces a text attribute.
fn text(location: &hdf5::Location, name: &str, value: &str) -> hdf5::Result<()> {
    location.delete_attr(name)?;
    let value: hdf5::types::VarLenUnicode = value.parse().expect("the text has no zero byte");
    location.new_attr::<hdf5::types::VarLenUnicode>().create(name)?.write_scalar(&value)
}

#[test]
fn gathers_that_contradict_themselves_are_refused() {
    let case = case();
    for (what, spoil, named) in CHANGES {
        let name = format!("{}.h5", what.replace(' ', "-"));
        fs::copy(case.path("observed.h5"), case.path(&name)).expect("the folder can be written");
        change(&case.path(&name), spoil);
        let ranks = if *what == "no data" { APART } else { ALIKE };
        let named: Vec<&str> = named.iter().copied().chain([&*name]).collect();
        assert_refused(&case, ranks, &set(&format!("data.observed=\"{name}\"")), DATA, &named);
    }
}

#[test]
fn data_that_do_not_fit_are_refused() {
    let case = case();
    for (name, share) in [("cut.h5", 0.5), ("end.h5", 0.999), ("header.h5", 0.002)] {
        cut(&case.path("observed.h5"), &case.path(name), share);
    }
    for (name, key_and_value) in [
        ("three.h5", "survey.sources.x_m.count=3"),
        ("few.h5", "survey.receivers.x_m.stop=1400"),
        ("moved.h5", "survey.receivers.z_m=120"),
        ("short.h5", "time.duration_s=0.4"),
    ] {
        simulate(&case, &case.path(name), &set(key_and_value));
    }
    for (name, named) in [
        ("absent.h5", &["no such file"][..]),
        ("cut.h5", &["truncated"]),
        ("end.h5", &["truncated"]),
        ("header.h5", &["truncated"]),
        ("model.h5", &["no dataset \"data\""]),
        ("three.h5", &["3 shots", "2"]),
        ("few.h5", &["shot 0", "8 traces", "9 receivers"]),
        ("moved.h5", &["receiver 0 of shot 0", "120", "80"]),
        ("short.h5", &["0.4 s", "0.8 s"]),
    ] {
        let ranks = if ["cut.h5", "three.h5"].contains(&name) { APART } else { ALIKE };
        let named: Vec<&str> = named.iter().copied().chain([name]).collect();
        assert_refused(&case, ranks, &set(&format!("data.observed=\"{name}\"")), DATA, &named);
    }
    let survey = "survey={ file = \"absent.h5\" }";
    assert_refused(&case, ALIKE, &set(survey), DATA, &["absent.h5", "no such file"]);
}

/// The data of a shot under checksums, chunk by chunk, with a damaged byte in the last shot.
fn damage_a_chunk(path: &Path) {
    /// A number that stands nowhere else in the file.
    const MARK: f32 = 1.234_567_9e-21;
    change(path, |file| {
        let mut traces = file.dataset("data")?.read_2d::<f32>()?;
        traces[[17, 100]] = MARK;
        file.unlink("data")?;
        file.new_dataset_builder().with_data(&traces).chunk([9, SAMPLES]).fletcher32().create("data").map(drop)
    });
    let mut bytes = fs::read(path).expect("the file is there");
    let at = bytes.windows(4).position(|window| window == MARK.to_le_bytes()).expect("the mark is in the file");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("the folder can be written");
}

/// The rank that gets the shot meets the bad sample or chunk; the others are at work or wait.
#[test]
fn bad_data_of_one_shot_end_all_ranks_with_one_message() {
    let case = case();
    for name in ["nan.h5", "infinite.h5", "chunk.h5"] {
        fs::copy(case.path("observed.h5"), case.path(name)).expect("the folder can be written");
    }
    change(&case.path("nan.h5"), |file| put(file, "data", &[12 * SAMPLES + 7], f32::NAN));
    change(&case.path("infinite.h5"), |file| put(file, "data", &[9 * SAMPLES], f32::INFINITY));
    damage_a_chunk(&case.path("chunk.h5"));
    for (name, named) in [
        ("nan.h5", ["shot 1", "nan.h5", "NaN", "[12, 7]"]),
        ("infinite.h5", ["shot 1", "infinite.h5", "inf", "[9, 0]"]),
        ("chunk.h5", ["shot 1", "chunk.h5", "cannot read shot 1", "data"]),
    ] {
        for &ranks in APART {
            let (what, output) = (format!("{name} on {ranks} ranks"), format!("{name}-{ranks}"));
            assert_soon(&what, || {
                let _ = fs::remove_dir_all(case.path(&output));
                let observed = format!("data.observed=\"{name}\"");
                let words = [&set(&observed)[..], &["--quiet"]].concat();
                assert_told(&what, &case.run(layout(ranks, 1), "invert", &output, &words), DATA, &named);
                assert!(!case.path(&output).join("run.h5").exists(), "{what}: a run file was published");
                assert!(case.scratch_is_empty());
            });
        }
    }
}

#[test]
fn wavelets_that_are_none_are_refused() {
    let case = case();
    fs::write(case.path("words.txt"), "0.0 1.0 two 3.0").expect("the folder can be written");
    fs::write(case.path("nan.txt"), "0.0 NaN").expect("the folder can be written");
    fs::write(case.path("bytes.txt"), b"\xff\xfe").expect("the folder can be written");
    fs::write(case.path("cut.npy"), b"\x93NUMPY\x01\x00\x76").expect("the folder can be written");
    for (file, named) in [
        ("absent.txt", &["No such file"][..]),
        ("words.txt", &["entry 2", "\"two\""]),
        ("nan.txt", &["sample 1", "NaN"]),
        ("bytes.txt", &["UTF-8"]),
        ("cut.npy", &["cut short"]),
        ("absent.npy", &["no such file"]),
        ("model.h5", &["no dataset \"wavelet\""]),
    ] {
        let wavelet = format!("wavelet={{ kind = \"file\", file = \"{file}\", dt_s = 0.004 }}");
        let named: Vec<&str> = named.iter().copied().chain([file]).collect();
        assert_refused(&case, ALIKE, &set(&wavelet), DATA, &named);
    }
    let of_two_axes = "wavelet={ kind = \"file\", file = \"model.h5\", dataset = \"vp\", dt_s = 0.004 }";
    assert_refused(&case, ALIKE, &set(of_two_axes), DATA, &["model.h5", "\"vp\"", "[41, 31]"]);
}
