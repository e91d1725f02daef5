//! Defaults, paths, derived values, and writing them back.

use super::super::keys::{Equation, OptimizerKind, Parameter, Precision, Records};
use super::super::sections::{ConstantGrid, DataSource, ModelOrigin, SurveySource, TimeStep, WaveletSource};
use super::super::templates::TEMPLATES;
use super::super::values::Shots;
use super::super::{Surroundings, from_text, load, may_change, parse};
use super::{SMALLEST, accepted, read};
use std::path::Path;
use treewave_reversal::planner::{Choice, MemoryLimit, StepCosts};

const TRUE_MODEL: &str = "model.true={builtin=\"foldbelt\"}";

#[test]
fn defaults_are_those_of_the_documentation() {
    let config = accepted(SMALLEST, &[]);
    assert_eq!(
        (config.run.name.as_str(), config.run.output.as_path()),
        ("treewave", Path::new("/project/runs/treewave"))
    );
    assert_eq!((config.physics.equation, config.physics.space_order), (Equation::Acoustic, 8));
    assert_eq!((config.physics.precision, config.boundary.width_cells), (Precision::F32, 20));
    assert_eq!((config.time.record_s, config.time.samples), (0.004, 501));
    assert_eq!(config.time.step, TimeStep::Courant(1.0));
    assert_eq!(config.wavelet, WaveletSource::Ricker { peak_frequency_hz: 6.0, delay_s: 0.25, amplitude: 1.0 });
    assert_eq!(config.data, None);
    assert_eq!((config.reversal.strategy, config.reversal.memory), (Choice::Auto, MemoryLimit::Bytes(4 << 30)));
    assert_eq!((config.reversal.disk_bytes, config.reversal.segment_steps), (0, None));
    assert_eq!(config.records, Records::Full);
    assert_eq!((config.optimizer.kind, config.optimizer.memory), (OptimizerKind::LBfgs, 10));
    assert_eq!((config.optimizer.parameter, config.precondition.illumination_floor), (Parameter::Vp, Some(0.001)));
    assert_eq!(config.stages.len(), 1);
    assert_eq!((config.stages[0].iterations, config.stages[0].max_step_percent), (20, 3.0));
    assert_eq!((config.threads_per_rank, config.shots_at_once, config.output.data), (None, None, false));
    assert_eq!(config.vp_bounds_m_per_s((2000.0, 4000.0)), [1500.0, 5000.0]);
    assert!(config.notes.is_empty());
}

#[test]
fn the_three_layers_have_the_wavelet_and_the_layer_of_the_paper() {
    let text = super::super::templates::template("three-layers").expect("a template").text;
    let config = accepted(text, &[]);
    let WaveletSource::Ricker { peak_frequency_hz, delay_s, amplitude } = config.wavelet else { panic!("a Ricker") };
    for k in [0, 150, 198, 199, 230, 998] {
        // Width 30 and shift 200 samples, amplitude 1e6; samples count from one.
        let q = (k + 1) as f64 - 200.0;
        let norm = 2.0 / (90.0_f64.sqrt() * std::f64::consts::PI.powf(0.25));
        let expected = 1e6 * norm * (1.0 - q * q / 900.0) * (-q * q / 1800.0).exp();
        let found = amplitude * treewave_core::wavelet::ricker(k as f64 * 1e-4, peak_frequency_hz, delay_s);
        assert!((found - expected).abs() <= 1e-9 * expected.abs() + 1e-16 * 1e6, "{k}: {found} {expected}");
    }
    assert!(config.notes.is_empty(), "{:?}", config.notes);
    assert_eq!((config.time.samples, config.time.step), (1000, TimeStep::StepsPerSample(1)));
    let short = accepted(text, &["boundary={width_cells=12}"]);
    assert_eq!((short.boundary.reflection, short.boundary.reference_vp_m_per_s), (Some(0.001), Some(1000.0)));
    assert_eq!(short.boundary.sides, config.boundary.sides);
}

#[test]
fn written_back_and_read_again_every_configuration_is_the_same() {
    let mut texts: Vec<String> = TEMPLATES.iter().map(|template| template.text.to_string()).collect();
    texts.push(SMALLEST.into());
    texts.push(
        r#"schema = 1
        model = { start = { run = "a/run.h5", iteration = 3, water_to_m = 40 }, true = { builtin = "constant", vp_m_per_s = 2500 } }
        time = { duration_s = 1.5, dt_s = 0.001, record_s = 0.003 }
        survey = { file = "g.h5" }
        wavelet = { kind = "file", file = "w.npy", dt_s = 0.002, amplitude = -1e30 }
        data.synthetic = { noise_percent = 1.0, seed = 7, dt_s = "auto" }
        reversal = { strategy = "revolve", snapshots = 5, scratch = "spill", costs = { advance = 1, pull_back = 2, write = 3, read = 4 } }
        inversion = { parameter = "log-vp", shots = [3, 1], records = "half" }
        optimizer = { max_evaluations = 9, bounds = { vp_m_per_s = [1400, 5000] } }
        precondition.mask = { file = "m.h5" }
        stage = [ { lowpass_hz = 3, shots = "::2" }, { smooth_m = 5 } ]
        parallel = { threads_per_rank = 3, shots_at_once = 2 }
        output.data = true"#
            .into(),
    );
    for text in &texts {
        let once = accepted(text, &[]);
        let again = from_text(&once.to_toml(), Path::new("/elsewhere"), &[]).unwrap();
        assert_eq!(again, once);
        assert_eq!(again.to_toml(), once.to_toml());
        assert_eq!(again.physics_fingerprint(), once.physics_fingerprint());
    }
}

#[test]
fn paths_are_relative_to_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("case.toml");
    std::fs::write(&file, SMALLEST.replace("{ builtin = \"foldbelt\" }", "{ file = \"models/a.h5\" }")).unwrap();
    let config = load(&file, &["data.observed=/data/observed.h5".into(), "reversal.scratch=spill".into()]).unwrap();
    let model = ModelOrigin::File { path: folder.path().join("models/a.h5"), vp: "vp".into() };
    assert_eq!(config.start.origin, model);
    assert_eq!(config.data, Some(DataSource::Observed("/data/observed.h5".into())));
    assert_eq!(config.reversal.scratch, folder.path().join("spill"));
    assert_eq!((config.run.name.as_str(), config.run.output), ("case", folder.path().join("runs/case")));
}

#[test]
fn the_observed_data_of_a_survey_file_are_used_unless_others_are_named() {
    let text = SMALLEST.lines().filter(|line| !line.starts_with("survey")).collect::<Vec<_>>().join("\n");
    let config = accepted(&text, &["survey.file=g.h5"]);
    assert_eq!(config.survey, SurveySource::File("/project/g.h5".into()));
    assert_eq!(config.data, Some(DataSource::Observed("/project/g.h5".into())));
    let config = accepted(&text, &["survey.file=g.h5", "data.observed=o.h5"]);
    assert_eq!(config.data, Some(DataSource::Observed("/project/o.h5".into())));
}

#[test]
fn sizes_are_understood_with_binary_and_decimal_units() {
    for (text, bytes) in [
        ("4 GiB", 4 << 30),
        ("4GiB", 4 << 30),
        ("1.5 KiB", 1536),
        ("512 MB", 512_000_000),
        ("2 tb", 2_000_000_000_000),
        ("17 B", 17),
        ("\"17\"", 17),
        ("123456", 123_456),
    ] {
        assert_eq!(
            accepted(SMALLEST, &[&format!("reversal.memory={text}")]).reversal.memory,
            MemoryLimit::Bytes(bytes),
            "{text}"
        );
    }
}

#[test]
fn snapshots_replace_the_memory_budget_and_recording_costs_what_a_step_costs() {
    let costs = "reversal.costs={advance=2,pull_back=3,write=4,read=5}";
    let reversal = accepted(SMALLEST, &["reversal.strategy=revolve", "reversal.snapshots=5", costs]).reversal;
    assert_eq!((reversal.memory, reversal.segment_steps), (MemoryLimit::Snapshots(5), None));
    let bennett = accepted(SMALLEST, &["reversal.strategy=bennett", "reversal.blocks=20"]).reversal;
    assert_eq!((bennett.strategy, bennett.blocks, reversal.blocks), (Choice::Bennett, Some(20), None));
    let expected = StepCosts { advance: 2.0, record: 2.0, pull_back: 3.0, write: 4.0, read: 5.0 };
    assert_eq!(reversal.costs, Some(expected));
}

#[test]
fn scratch_takes_environment_variables_and_knows_tmpdir_without_one() {
    let variable = |name: &str| match name {
        "NODE_DISK" => Some("/fast".to_string()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let around = Surroundings { folder: Path::new("/project"), name: "case", variable: &variable };
    let scratch = |text: &str| {
        let set = format!("reversal.scratch={text}");
        parse(SMALLEST, "case.toml", &around, &[set]).unwrap().reversal.scratch
    };
    assert_eq!(scratch("$NODE_DISK/spill"), Path::new("/fast/spill"));
    assert_eq!(scratch("${NODE_DISK}2/$NODE_DISK"), Path::new("/fast2//fast"));
    assert_eq!(scratch("$TMPDIR"), std::env::temp_dir());
    assert_eq!(scratch("here"), Path::new("/project/here"));
    let empty = parse(SMALLEST, "case.toml", &around, &["reversal.scratch=$EMPTY/x".into()]).unwrap_err().to_string();
    assert!(empty.contains("$EMPTY in \"$EMPTY/x\", which is not set"), "{empty}");
}

#[test]
fn synthetic_data_differ_from_the_inversion_unless_asked_otherwise() {
    let synthetic = |overrides: &[&str]| {
        let config = accepted(SMALLEST, &[&[TRUE_MODEL], overrides].concat());
        match config.data {
            Some(DataSource::Synthetic(synthetic)) => (synthetic, config.notes),
            other => panic!("{other:?}"),
        }
    };
    let (plain, notes) = synthetic(&["data.synthetic=true"]);
    assert_eq!((plain.space_order, plain.step, plain.noise, plain.seed), (12, TimeStep::Courant(0.6), 0.0, 0));
    assert!(notes.is_empty());
    assert_eq!(synthetic(&["data.synthetic=true", "physics.space_order=16"]).0.space_order, 12);
    let (noisy, _) = synthetic(&["data.synthetic={snr_db=20,seed=7}"]);
    assert!((noisy.noise - 0.1).abs() < 1e-15 && noisy.seed == 7);
    assert_eq!(synthetic(&["data.synthetic={noise_percent=5}"]).0.noise, 0.05);
    let (_, notes) = synthetic(&["data.synthetic={space_order=8,courant=1.0}"]);
    assert!(notes.len() == 1 && notes[0].contains("better than they are"), "{notes:?}");
    assert_eq!(accepted(SMALLEST, &["data.synthetic=false"]).data, None);
}

#[test]
fn a_number_of_samples_survives_the_rounding_of_decimal_fractions() {
    for (duration, record, samples) in [("0.3", "0.1", 4), ("5.0", "0.005", 1001), ("1.2345", "0.0005", 2470)] {
        let set = [format!("time.duration_s={duration}"), format!("time.record_s={record}")];
        assert_eq!(accepted(SMALLEST, &[&set[0], &set[1], "wavelet.delay_s=0.1"]).time.samples, samples);
    }
}

#[test]
fn stages_inherit_what_they_do_not_override() {
    let text = format!(
        "{SMALLEST}\n[[stage]]\nlowpass_hz = 4\nshots = \"0:2:2\"\n[[stage]]\nmax_step_percent = 1\nsmooth_m = 7\n"
    );
    let config =
        accepted(&text, &["optimizer.iterations=5", "optimizer.max_evaluations=8", "precondition.smooth_m=30"]);
    let [first, second] = &config.stages[..] else { panic!("two stages") };
    assert_eq!((first.iterations, first.max_evaluations, first.smooth_m), (5, Some(8), 30.0));
    assert_eq!((first.lowpass_hz, first.shots.pick(2).unwrap()), (Some(4.0), vec![0]));
    assert_eq!((second.lowpass_hz, second.max_step_percent, second.smooth_m), (None, 1.0, 7.0));
    assert_eq!(second.shots.pick(2).unwrap(), [0, 1]);
    let reversed = accepted(&text, &["stage.0.lowpass_hz=9", "stage.1.lowpass_hz=4"]);
    assert!(reversed.notes[0].contains("stage 1 has a narrower band than stage 0"), "{:?}", reversed.notes);
}

#[test]
fn shots_are_picked_in_ascending_order() {
    let pick = |text: &str, shots| Shots::Text(text.into()).pick(shots);
    assert_eq!(pick("all", 3).unwrap(), [0, 1, 2]);
    assert_eq!(pick("0:24:2", 24).unwrap(), (0..24).step_by(2).collect::<Vec<_>>());
    assert_eq!(pick("1:", 4).unwrap(), [1, 2, 3]);
    assert_eq!(pick("::3", 7).unwrap(), [0, 3, 6]);
    assert_eq!(Shots::List(vec![4, 0]).pick(5).unwrap(), [0, 4]);
    assert!(pick("0:25", 24).unwrap_err().contains("at most 24"));
    assert!(pick("9:", 5).unwrap_err().contains("at least one of the 5 shots"));
    assert!(Shots::List(vec![5]).pick(5).unwrap_err().contains("shots from 0 to 4, not 5"));
}

#[test]
fn a_constant_model_takes_the_grid_of_the_other_one() {
    let start = "model.start={builtin=\"constant\",vp_m_per_s=2500}";
    let config = accepted(SMALLEST, &[start, TRUE_MODEL]);
    assert_eq!(config.start.origin, ModelOrigin::Constant { vp_m_per_s: 2500.0, grid: None });
    let start = "model.start={builtin=\"constant\",vp_m_per_s=2500,shape=[9,8],spacing_m=5}";
    let grid = Some(ConstantGrid { shape: vec![9, 8], spacing_m: 5.0 });
    assert_eq!(accepted(SMALLEST, &[start]).start.origin, ModelOrigin::Constant { vp_m_per_s: 2500.0, grid });
}

#[test]
fn every_template_is_a_valid_configuration_and_every_file_a_template() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .inspect(|path| {
            let config = load(path, &[]).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(config.run.name, path.file_stem().unwrap().to_string_lossy());
        })
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut templates: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
    templates.sort();
    assert_eq!(names, templates);
}

#[test]
fn the_example_jobs_have_the_geometry_and_the_budgets_of_their_cases() {
    for (name, sources, receivers, evaluations, samples) in
        [("marmousi", 24, 451, 60, 1251), ("overthrust", 16, 201, 15, 801), ("circle", 9, 101, 12, 801)]
    {
        let config = accepted(super::super::templates::template(name).unwrap().text, &[]);
        let SurveySource::Lines(lines) = &config.survey else { panic!("{name}") };
        assert_eq!(lines.sources.positions_m().unwrap().len(), sources, "{name}");
        assert_eq!(lines.receivers.positions().positions_m().unwrap().len(), receivers, "{name}");
        let limits: usize = config.stages.iter().map(|stage| stage.max_evaluations.unwrap()).sum();
        assert!(limits <= evaluations, "{name}: {limits}");
        assert_eq!(config.time.samples, samples);
    }
    let quickstart = accepted(super::super::templates::template("quickstart").unwrap().text, &[]);
    assert_eq!((quickstart.stages.len(), quickstart.reversal.strategy), (2, Choice::TwoLevel));
}

#[test]
fn the_fingerprint_changes_with_the_result_and_with_nothing_else() {
    let text = format!("{SMALLEST}\n[[stage]]\nlowpass_hz = 4\n");
    let print = |sets: &[&str]| accepted(&text, sets).physics_fingerprint();
    let plain = print(&[]);
    for set in [
        "reversal.memory=1 GB",
        "reversal.strategy=revolve",
        "parallel.threads_per_rank=2",
        "parallel.shots_at_once=2",
        "output.data=true",
        "output.ledger_every_s=5",
        "run.output=there",
        "optimizer.iterations=7",
        "stage.0.iterations=3",
        "stage.0.max_evaluations=3",
        "time.courant=1",
    ] {
        assert_eq!(print(&[set]), plain, "{set}");
    }
    for (set, key) in [
        ("time.duration_s=3.0", "time.duration_s"),
        ("run.name=other", "run.name"),
        ("stage.0.lowpass_hz=5", "stage.0.lowpass_hz"),
        ("optimizer.memory=5", "optimizer.memory"),
        ("inversion.shots=[0]", "inversion.shots"),
        ("inversion.records=half", "inversion.records"),
        ("survey.sources.x_m=[100,201]", "survey.sources.x_m"),
        ("data.observed=b.h5", "data.observed"),
    ] {
        let changed = print(&[set]);
        let differs = |key: &str| {
            let value =
                |list: &[(String, String)]| list.iter().find(|entry| entry.0 == key).map(|entry| entry.1.clone());
            value(&plain) != value(&changed)
        };
        assert!(differs(key), "{set}");
    }
    assert!(plain.iter().all(|(key, _)| !may_change(key)));
}

#[test]
fn the_fingerprint_does_not_notice_that_a_project_has_moved() {
    let text = SMALLEST.replace("{ builtin = \"foldbelt\" }", "{ file = \"models/a.h5\" }");
    let here = read(&text, &[]).unwrap();
    let there = from_text(&text, Path::new("/other/place"), &[]).unwrap();
    assert_ne!(here, there);
    assert_eq!(here.physics_fingerprint(), there.physics_fingerprint());
}
