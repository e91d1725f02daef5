//! Runs: round trips in one file and in many, files of other runs, opening in plain tools.

use super::*;

fn run(iterations: usize) -> RunRecord {
    let grid = Grid::new(&[4, 3], &[20.0, 10.0], &[100.0, 0.0]).unwrap();
    let entry = |i: usize| RunEntry {
        vp: (0..12).map(|c| 1500.0 + (c * 7 + i) as f64 / 3.0).collect(),
        gradient: (0..12).map(|c| (c + i) as f64 * 1e-9).collect(),
        misfit: 1.0 / (i + 1) as f64,
        gradient_norm: 0.1,
        step_percent: 3.0,
        evaluations: 1 + i as u64,
        stage: i as u64 / 2,
        wall_s: i as f64,
        misfit_per_shot: vec![0.25, f64::NAN, 0.5],
        model_error: Some(0.1),
    };
    RunRecord {
        vp_start: vec![1500.0; 12],
        vp_true: Some(vec![1600.0; 12]),
        entries: (0..iterations).map(entry).collect(),
        config: "schema = 1\n".into(),
        provenance: vec![("ranks".into(), "3".into())],
        grid,
    }
}

fn same(a: &RunRecord, b: &RunRecord) {
    assert_eq!((&a.grid, &a.vp_start, &a.vp_true, &a.config), (&b.grid, &b.vp_start, &b.vp_true, &b.config));
    assert_eq!(a.entries.len(), b.entries.len());
    for (a, b) in a.entries.iter().zip(&b.entries) {
        assert_eq!(format!("{a:?}"), format!("{b:?}"));
    }
}

#[test]
fn a_run_comes_back_whole_in_one_file_and_in_many() {
    for limit in [u64::MAX, 0] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.h5");
        for iterations in 1..=4 {
            let record = run(iterations);
            publish_run(&path, &record, &Head::new("t", "s", "h"), limit).unwrap();
            same(&read_run(&path).unwrap(), &record);
        }
        assert_eq!(folder.path().join("iterations").exists(), limit == 0);
        assert_eq!(read_run(&path).unwrap().model(Some(2)).unwrap().vp_m_per_s(), run(4).entries[2].vp);
        assert!(read_run(&path).unwrap().model(Some(4)).is_err());
    }
}

#[test]
fn publishing_a_large_run_leaves_past_iterations_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    publish_run(&path, &run(2), &Head::new("t", "s", "h"), 0).unwrap();
    let first = folder.path().join("iterations/0000.h5");
    let before = std::fs::metadata(&first).unwrap().modified().unwrap();
    publish_run(&path, &run(3), &Head::new("t", "s", "h"), 0).unwrap();
    assert_eq!(std::fs::metadata(&first).unwrap().modified().unwrap(), before);
}

#[test]
fn iterations_of_another_run_in_the_same_folder_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    publish_run(&path, &run(3), &Head::new("t", "s", "h"), 0).unwrap();
    let mut other = run(2);
    for entry in &mut other.entries {
        entry.misfit *= 2.0;
        entry.vp.iter_mut().for_each(|v| *v += 1.0);
    }
    publish_run(&path, &other, &Head::new("t", "s", "h"), 0).unwrap();
    same(&read_run(&path).unwrap(), &other);
}

#[test]
fn a_run_can_be_opened_before_its_first_iteration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    publish_run(&path, &run(0), &Head::new("t", "s", "h"), 0).unwrap();
    same(&read_run(&path).unwrap(), &run(0));
}

#[test]
fn histories_of_different_lengths_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    for name in ["gradient_norm", "evaluations", "model_error"] {
        publish_run(&path, &run(3), &Head::new("t", "s", "h"), u64::MAX).unwrap();
        let file = hdf5::File::open_rw(&path).unwrap();
        file.unlink(name).unwrap();
        match name {
            "evaluations" => file.new_dataset_builder().with_data(&[1_i64]).create(name),
            _ => file.new_dataset_builder().with_data(&[0.5]).create(name),
        }
        .unwrap();
        drop(file);
        assert!(matches!(read_run(&path), Err(StorageError::Content { .. })), "{name}");
    }
}

#[test]
fn a_shape_that_no_file_of_this_size_can_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    for name in ["misfit", "evaluations"] {
        publish_run(&path, &run(3), &Head::new("t", "s", "h"), u64::MAX).unwrap();
        let file = hdf5::File::open_rw(&path).unwrap();
        file.unlink(name).unwrap();
        let empty = file.new_dataset_builder().chunk([1024]);
        match name {
            "evaluations" => empty.empty::<i64>().shape([1 << 50]).create(name),
            _ => empty.empty::<f64>().shape([1 << 50]).create(name),
        }
        .unwrap();
        drop(file);
        assert!(matches!(read_run(&path), Err(StorageError::Content { .. })), "{name}");
    }
}

#[test]
fn a_text_that_is_not_utf8_is_read_as_far_as_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    publish_run(&path, &RunRecord { config: "name = \"zebra\"".into(), ..run(1) }, &Head::new("t", "s", "h"), u64::MAX)
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(5).position(|word| word == b"zebra").expect("the text is in the file");
    bytes[at] = 0xff;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(read_run(&path).unwrap().config, "name = \"\u{fffd}ebra\"");
}
