//! Raw binary and npy files that cannot become models.

use std::fs;
use std::process::Command;

use super::*;

/// Imports a file and asserts that it is refused, with no model written.
fn refused(case: &Case, file: &str, words: &[&str], code: i32, named: &[&str]) {
    let what = format!("import {file} {words:?}");
    assert_soon(&what, || {
        let mut import = Command::new(common::PROGRAM);
        import.arg("import").arg(case.path(file)).args(words).arg("-o").arg(case.path("imported.h5"));
        assert_told(&what, &import.output().expect("the program starts"), code, named);
        assert!(!case.path("imported.h5").exists(), "{what} wrote a model");
    });
}

/// An npy file with any header.
fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn raw_files_that_do_not_match_their_description_are_refused() {
    let case = Case::new("");
    let mut bytes: Vec<u8> = [2000.0_f32; 12].iter().flat_map(|v| v.to_le_bytes()).collect();
    fs::write(case.path("whole.bin"), &bytes).expect("the folder can be written");
    bytes[20..24].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(case.path("nan.bin"), &bytes).expect("the folder can be written");
    fs::write(case.path("empty.bin"), "").expect("the folder can be written");
    fs::create_dir(case.path("folder.bin")).expect("the folder can be written");
    let shape = ["--shape", "3,4", "--spacing-m", "10"];
    let with = |words: &[&'static str]| [&shape[..], words].concat();
    let data: &[(&str, Vec<&str>, &[&str])] = &[
        ("absent.bin", with(&[]), &["no such file"]),
        ("empty.bin", with(&[]), &["0 bytes", "48"]),
        ("folder.bin", with(&[]), &["folder.bin"]),
        ("nan.bin", with(&[]), &["NaN", "ix 1, iy 0, iz 1"]),
        ("whole.bin", with(&["--dtype", "f64-le"]), &["48 bytes", "takes 96", "--dtype"]),
        ("whole.bin", with(&["--scale", "0"]), &["0 m/s", "ix 0"]),
        ("whole.bin", with(&["--scale=-1"]), &["-2000 m/s", "ix 0"]),
        ("whole.bin", vec!["--shape", "3,5", "--spacing-m", "10"], &["48 bytes", "takes 60", "--shape"]),
        ("whole.bin", vec!["--shape", "99999999999,99999999999", "--spacing-m", "10"], &["more than any file"]),
        (
            "whole.bin",
            vec!["--shape", "4000000000,4000000000,4000000000", "--spacing-m", "10"],
            &["more than any file"],
        ),
    ];
    for (file, words, named) in data {
        let named: Vec<&str> = named.iter().copied().chain([*file]).collect();
        refused(&case, file, words, DATA, &named);
    }
    for (words, named) in [
        (&["--spacing-m", "10"][..], "--shape"),
        (&["--shape", "0,4", "--spacing-m", "10"], "axis x has 0 points"),
        (&["--shape", "3", "--spacing-m", "10"], "2 or 3 axes"),
        (&["--shape", "3,4", "--spacing-m=-10"], "-10 m"),
        (&["--shape", "3,4", "--spacing-m", "nan"], "NaN m"),
        (&["--shape", "3,4", "--spacing-m", "1,2,3"], "axes"),
        (&["--shape", "three,4", "--spacing-m", "10"], "three"),
        (&["--shape", "3,4", "--spacing-m", "10", "--dtype", "i32"], "i32"),
    ] {
        refused(&case, "whole.bin", words, CONFIGURATION, &[named]);
    }
    let unwritable = case.path("whole.bin").join("model.h5");
    let mut import = Command::new(common::PROGRAM);
    import.arg("import").arg(case.path("whole.bin")).args(shape).arg("-o").arg(&unwritable);
    assert_told(
        "a folder that is a file",
        &import.output().expect("it starts"),
        ENVIRONMENT,
        &["whole.bin", "cannot create the folder"],
    );
}

#[test]
fn npy_files_that_are_no_models_are_refused() {
    let case = Case::new("");
    let data = [0_u8; 48];
    let files: &[(&str, Vec<u8>, &str)] = &[
        ("other.npy", b"PK\x03\x04".to_vec(), "not an npy file"),
        ("empty.npy", Vec::new(), "not an npy file"),
        ("header.npy", npy("'<f4'", "(3, 4)", &data)[..40].to_vec(), "cut short"),
        ("length.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}".to_vec(), "cut short"),
        ("version.npy", b"\x93NUMPY\x07\x00\x00\x00\x00\x00".to_vec(), "version 7.0"),
        ("integers.npy", npy("'<i4'", "(3, 4)", &data), "<i4"),
        ("complex.npy", npy("'<c8'", "(3, 2)", &data), "<c8"),
        ("objects.npy", npy("'|O'", "(3, 4)", &data), "|O"),
        ("records.npy", npy("[('vp', '<f4')]", "(3, 4)", &data), "records"),
        ("short.npy", npy("'<f4'", "(3, 4)", &data[..47]), "takes 48 bytes, 47 follow"),
        ("long.npy", npy("'<f4'", "(3, 3)", &data), "takes 36 bytes, 48 follow"),
        ("huge.npy", npy("'<f4'", "(3000000000, 4000000000)", &data), "more than any file"),
        ("large.npy", npy("'<f8'", "(3000000, 400000)", &data), "takes 9600000000000 bytes"),
        ("negative.npy", npy("'<f4'", "(-3, -4)", &data), "cannot be understood"),
        ("nested.npy", npy(&"(".repeat(50_000), "(3, 4)", &data), "records"),
        ("line.npy", npy("'<f4'", "(12,)", &data), "2 or 3 axes"),
        ("none.npy", npy("'<f4'", "(0, 4)", &[]), "0 points"),
        ("zeros.npy", npy("'<f4'", "(3, 4)", &data), "0 m/s"),
    ];
    for (name, bytes, named) in files {
        fs::write(case.path(name), bytes).expect("the folder can be written");
        refused(&case, name, &["--spacing-m", "10"], DATA, &[name, named]);
    }
    let words = ["--shape", "3,4", "--spacing-m", "10"];
    refused(&case, "zeros.npy", &words, CONFIGURATION, &["--shape does not go with an npy file"]);
}
