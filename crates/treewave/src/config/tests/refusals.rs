//! Every key refuses what it cannot mean, and the message says where, what was found and what to do.

use super::super::BUILTIN_MODELS;
use super::{SMALLEST, accepted, read, refused};
use treewave_reversal::planner::Choice;

/// Override, key that the message must name, words it must hold.
const REFUSALS: &[(&str, &str, &str)] = &[
    ("schema=2", "schema", "found 2, expected 1"),
    ("schema=\"1\"", "schema", "expected a whole number"),
    ("run.name=a/b", "run.name", "1 to 64"),
    ("run.name=.hidden", "run.name", "the first no `.`"),
    ("run.name=7", "run.name", "found 7 (a whole number), expected text in quotes"),
    ("run.output=\"\"", "run.output", "an empty path"),
    ("run=3", "run", "expected a table with name, output"),
    ("model.start={}", "model.start", "exactly one of file, builtin and run"),
    ("model.start.file=a.h5", "model.start", "file and builtin; expected exactly one"),
    ("model.start.run=a.h5", "model.start", "builtin and run"),
    ("model.start.vp=vp", "model.start.vp", "only with file"),
    ("model.start.builtin=foldbeld", "model.start.builtin", "did you mean `foldbelt`?"),
    ("model.start.builtin=mars", "model.start.builtin", "known are `foldbelt`, `layers`, `lens`"),
    ("model.start={file=\"a.h5\",shape=[3,3]}", "model.start.shape", "only with builtin"),
    ("model.start={file=\"a.h5\",spacing_m=3}", "model.start.spacing_m", "only with builtin"),
    ("model.start={file=\"\"}", "model.start.file", "an empty path"),
    ("model.start={file=\"a.h5\",iteration=3}", "model.start.iteration", "only with run"),
    ("model.start.iteration=-1", "model.start.iteration", "found -1, expected at least 0"),
    ("model.start.shape=[10]", "model.start.shape", "found 1 entries, expected 2 to 3 entries"),
    ("model.start.shape=[10,0]", "model.start.shape.1", "found 0, expected 1 to 1000000"),
    ("model.start.shape=[10,2.5]", "model.start.shape.1", "expected a whole number"),
    ("model.start.spacing_m=0", "model.start.spacing_m", "found 0, expected above 0"),
    ("model.start.vp_m_per_s=2000", "model.start.vp_m_per_s", "only with builtin = \"constant\""),
    ("model.start={builtin=\"constant\",shape=[9,9],spacing_m=1}", "model.start", "without vp_m_per_s"),
    (
        "model.start={builtin=\"constant\",vp_m_per_s=2000,shape=[9,9]}",
        "model.start",
        "only one of shape and spacing_m",
    ),
    ("model.start={builtin=\"constant\",vp_m_per_s=2000}", "model.start", "a constant model without a grid"),
    ("model.start={builtin=\"constant\",vp_m_per_s=20}", "model.start.vp_m_per_s", "expected 100 to 15000"),
    ("model.start.smooth_m=-1", "model.start.smooth_m", "found -1, expected 0 to 1000000"),
    ("model.start.keep_water=true", "model.start.keep_water", "add smooth_m"),
    ("model.start.keep_water=1", "model.start.keep_water", "expected true or false"),
    ("model.start.water_to_m=nan", "model.start.water_to_m", "found nan"),
    ("model.start.water_m_per_s=1500", "model.start.water_m_per_s", "add water_to_m"),
    ("model.true={}", "model.true", "exactly one"),
    ("physics.equation=acustic", "physics.equation", "did you mean `acoustic`?"),
    ("physics.equation=seed-pml", "physics.space_order", "set space_order = 2"),
    ("physics.space_order=7", "physics.space_order", "found 7, expected 2 to 16, even"),
    ("physics.space_order=18", "physics.space_order", "2 to 16"),
    ("physics.space_order=8.0", "physics.space_order", "expected a whole number"),
    ("physics.precision=f16", "physics.precision", "f32"),
    ("boundary.width_cells=201", "boundary.width_cells", "0 to 200"),
    ("boundary.width_cells=-1", "boundary.width_cells", "0 to 200"),
    ("boundary.sides=[\"left\"]", "boundary.sides.0", "`x-min`, `x-max`, `z-min`, `z-max`"),
    ("boundary.sides=[\"x-min\"]", "boundary.sides", "only with physics.equation = \"seed-pml\""),
    ("boundary.reflection=1", "boundary.reflection", "above 0 and at most 0.99"),
    ("boundary.reflection=0.1", "boundary.reflection", "only with physics.equation = \"seed-pml\""),
    ("boundary.reference_vp_m_per_s=0", "boundary.reference_vp_m_per_s", "1 to 1000000"),
    ("boundary.reference_vp_m_per_s=9", "boundary.reference_vp_m_per_s", "only with physics.equation = \"seed-pml\""),
    ("boundary.top=free", "boundary.top", "did you mean `free-surface`?"),
    ("time.duration_s=0", "time.duration_s", "above 0"),
    ("time.duration_s=inf", "time.duration_s", "found inf"),
    ("time.duration_s=\"2\"", "time.duration_s", "found \"2\" (text), expected a number"),
    ("time.duration_s=2.001", "time.duration_s", "which is 500.25"),
    ("time.record_s=0", "time.record_s", "above 0"),
    ("time.record_s=3", "time.duration_s", "a whole multiple"),
    ("time.dt_s=0.003", "time.dt_s", "divides time.record_s = 0.004"),
    ("time.dt_s=-0.001", "time.dt_s", "positive step"),
    ("time.dt_s=0.008", "time.dt_s", "divides"),
    ("time.dt_s=automatic", "time.dt_s", "did you mean `auto`?"),
    ("time.dt_s=true", "time.dt_s", "expected \"auto\" or a number"),
    ("time.courant=1.1", "time.courant", "above 0 and at most 1"),
    ("survey={}", "survey", "neither file nor sources and receivers"),
    ("survey={sources={x_m=1,z_m=1}}", "survey", "sources without receivers"),
    ("survey.file=a.h5", "survey", "file together with sources or receivers"),
    ("survey.sources={z_m=1}", "survey.sources.x_m", "missing"),
    ("survey.sources.x_m=[]", "survey.sources.x_m", "an empty list"),
    ("survey.sources.x_m=[1,\"2\"]", "survey.sources.x_m.1", "expected a number"),
    ("survey.sources.x_m=here", "survey.sources.x_m", "a number or a list (a number each) or a table with"),
    ("survey.sources.x_m={start=0}", "survey.sources.x_m.stop", "missing"),
    ("survey.sources.x_m={start=0,stop=9}", "survey.sources.x_m", "neither count nor step"),
    ("survey.sources.x_m={start=0,stop=9,step=1,count=10}", "survey.sources.x_m", "both count and step"),
    ("survey.sources.x_m={start=0,stop=9,step=0}", "survey.sources.x_m", "a step other than 0"),
    ("survey.sources.x_m={start=0,stop=9,step=-1}", "survey.sources.x_m", "leads from start to stop"),
    ("survey.sources.x_m={start=0,stop=9,step=1e-9}", "survey.sources.x_m", "at most 1000000 coordinates"),
    ("survey.sources.x_m={start=0,stop=9,count=0}", "survey.sources.x_m.count", "1 to 1000000"),
    ("survey.sources.x_m={start=0,stop=9,number=3}", "survey.sources.x_m.number", "unknown key"),
    ("survey.sources.z_m=[1,2,3]", "survey.sources", "3 depths for 2 positions"),
    ("survey.sources.y_m=0", "survey", "y_m for only one of"),
    ("survey.receivers.relative=yes", "survey.receivers.relative", "true or false"),
    ("wavelet.kind=rikker", "wavelet.kind", "did you mean `ricker`?"),
    ("wavelet={}", "wavelet", "without peak_frequency_hz"),
    ("wavelet.peak_frequency_hz=0", "wavelet.peak_frequency_hz", "above 0"),
    ("wavelet.delay_s=-1", "wavelet.delay_s", "0 to 100000"),
    ("wavelet.delay_s=2", "wavelet", "peaks at 2 s, the traces end at 2 s"),
    ("wavelet.width_samples=3", "wavelet.width_samples", "only with kind = \"ricker-samples\""),
    ("wavelet.shift_samples=3", "wavelet.shift_samples", "only with kind = \"ricker-samples\""),
    ("wavelet={kind=\"ricker-samples\",width_samples=3}", "wavelet", "width_samples = 30 and shift_samples = 200"),
    ("wavelet={kind=\"ricker-samples\",width_samples=0,shift_samples=3}", "wavelet.width_samples", "above 0"),
    ("wavelet={kind=\"ricker-samples\",width_samples=3,shift_samples=0}", "wavelet.shift_samples", "1 to"),
    ("wavelet={kind=\"ricker-samples\",width_samples=3,shift_samples=501}", "wavelet", "the traces end at 2 s"),
    ("wavelet.amplitude=0", "wavelet.amplitude", "any other number"),
    ("wavelet.file=w.npy", "wavelet.file", "only with kind = \"file\""),
    ("wavelet.dataset=w", "wavelet.dataset", "only with kind = \"file\""),
    ("wavelet.dt_s=0.001", "wavelet.dt_s", "only with kind = \"file\""),
    ("wavelet.kind=file", "wavelet.peak_frequency_hz", "only with kind = \"ricker\""),
    ("wavelet={kind=\"file\",file=\"w.npy\"}", "wavelet", "file and dt_s"),
    ("data.observed=3", "data.observed", "text in quotes"),
    ("data.synthetic=true", "data.synthetic", "without model.true"),
    ("data.synthetic=maybe", "data.synthetic", "true or false or a table with"),
    ("data.synthetic={space_order=3}", "data.synthetic.space_order", "even"),
    ("data.synthetic={dt_s=0.0015}", "data.synthetic.dt_s", "divides"),
    ("data.synthetic={courant=0}", "data.synthetic.courant", "above 0"),
    ("data.synthetic={noise_percent=-1}", "data.synthetic.noise_percent", "0 to 10000"),
    ("data.synthetic={snr_db=1000}", "data.synthetic.snr_db", "-40 to 200"),
    ("data.synthetic={seed=-1}", "data.synthetic.seed", "0 to"),
    ("misfit.kind=l3", "misfit.kind", "l2"),
    ("reversal.strategy=revolver", "reversal.strategy", "did you mean `revolve`?"),
    ("reversal.strategy=quick", "reversal.strategy", "`treeverse`, `revolve`, `two-level`, `bennett`"),
    ("reversal.blocks=5", "reversal.blocks", "strategy = \"bennett\""),
    ("reversal.blocks=1", "reversal.blocks", "2 to 1000000"),
    ("reversal.memory=0", "reversal.memory", "more than 0 bytes"),
    ("reversal.memory=4 gigs", "reversal.memory", "a number and one of B, kB"),
    ("reversal.memory=-5", "reversal.memory", "found -5"),
    ("reversal.memory=99999999 TiB", "reversal.memory", "less than 2^63 bytes"),
    ("reversal.disk=1.5", "reversal.disk", "found 1.5"),
    ("reversal.strategy=two-level", "reversal.disk", "set disk"),
    ("reversal.scratch=$NO_SUCH_VARIABLE_HERE/x", "reversal.scratch", "$NO_SUCH_VARIABLE_HERE"),
    ("reversal.scratch=a$", "reversal.scratch", "not set"),
    ("reversal.snapshots=3", "reversal.snapshots", "treeverse"),
    ("reversal.snapshots=0", "reversal.snapshots", "1 to 1000000"),
    ("reversal.segment_steps=0", "reversal.segment_steps", "1 to 1000000"),
    ("reversal.costs={advance=1}", "reversal.costs.pull_back", "missing"),
    ("reversal.costs={advance=0,pull_back=1,write=1,read=1}", "reversal.costs.advance", "above 0"),
    ("reversal.costs={advance=1,pull_back=0,write=1,read=1}", "reversal.costs.pull_back", "above 0"),
    ("reversal.costs={advance=1,record=0,pull_back=1,write=1,read=1}", "reversal.costs.record", "above 0"),
    ("reversal.costs={advance=1,pull_back=1,write=-1,read=1}", "reversal.costs.write", "at least 0"),
    ("reversal.costs={advance=1,pull_back=1,write=1,read=-1}", "reversal.costs.read", "at least 0"),
    ("inversion.parameter=impedance", "inversion.parameter", "`vp`, `slowness2`, `log-vp`"),
    ("inversion.records=quarter", "inversion.records", "`full`, `half`"),
    ("inversion.shots=some", "inversion.shots", "first:end:step"),
    ("inversion.shots=4:2", "inversion.shots", "an end above the first shot, 4"),
    ("inversion.shots=0:4:0", "inversion.shots", "a step of at least 1"),
    ("inversion.shots=0:4:1:1", "inversion.shots", "first:end:step"),
    ("inversion.shots=[]", "inversion.shots", "at least one shot"),
    ("inversion.shots=[1,1]", "inversion.shots", "1 stands twice"),
    ("inversion.shots=[-1]", "inversion.shots.0", "at least 0"),
    ("optimizer.kind=lbfgs", "optimizer.kind", "did you mean `l-bfgs`?"),
    ("optimizer.memory=0", "optimizer.memory", "1 to 1000"),
    ("optimizer.iterations=-1", "optimizer.iterations", "0 to"),
    ("optimizer.max_evaluations=0", "optimizer.max_evaluations", "1 to"),
    ("optimizer.max_step_percent=0", "optimizer.max_step_percent", "above 0 and at most 100"),
    ("optimizer.bounds={vp_m_per_s=[2000]}", "optimizer.bounds.vp_m_per_s", "expected 2 entries"),
    ("optimizer.bounds={vp_m_per_s=[3000,2000]}", "optimizer.bounds.vp_m_per_s", "lowest below highest"),
    ("optimizer.bounds={vp_m_per_s=[3,2000]}", "optimizer.bounds.vp_m_per_s.0", "100 to 15000"),
    ("optimizer.gradient_tolerance=1", "optimizer.gradient_tolerance", "at least 0 and below 1"),
    ("optimizer.decrease_tolerance=-1", "optimizer.decrease_tolerance", "at least 0 and below 1"),
    ("precondition.water_bottom_m=-1", "precondition.water_bottom_m", "0 to"),
    ("precondition.mask={dataset=\"m\"}", "precondition.mask.file", "missing"),
    ("precondition.mask={file=\"m.h5\",dataset=3}", "precondition.mask.dataset", "text in quotes"),
    ("precondition.smooth_m=-1", "precondition.smooth_m", "0 to"),
    ("precondition.illumination=0.1", "precondition.illumination", "true or false"),
    ("precondition.illumination_floor=0", "precondition.illumination_floor", "above 0 and at most 1"),
    ("stage=3", "stage", "expected a list"),
    ("stage=[{lowpass_hz=0}]", "stage.0.lowpass_hz", "above 0"),
    ("stage=[{},{iterations=-1}]", "stage.1.iterations", "0 to"),
    ("stage=[{max_evaluations=0}]", "stage.0.max_evaluations", "1 to"),
    ("stage=[{max_step_percent=200}]", "stage.0.max_step_percent", "at most 100"),
    ("stage=[{smooth_m=-1}]", "stage.0.smooth_m", "0 to"),
    ("stage=[{shots=\"1:0\"}]", "stage.0.shots", "an end above"),
    ("stage=[{lowpas_hz=3}]", "stage.0.lowpas_hz", "did you mean `lowpass_hz`?"),
    ("parallel.threads_per_rank=0", "parallel.threads_per_rank", "1 to 1024"),
    ("parallel.threads_per_rank=4.0", "parallel.threads_per_rank", "\"auto\" or a whole number"),
    ("parallel.shots_at_once=0", "parallel.shots_at_once", "1 to 1024"),
    ("output.data=1", "output.data", "true or false"),
    ("output.ledger_every_s=-1", "output.ledger_every_s", "0 to 86400"),
];

#[test]
fn every_key_refuses_what_it_cannot_mean() {
    for (set, key, words) in REFUSALS {
        let messages = refused(SMALLEST, &[set]);
        let named = messages.iter().find(|message| message.contains(&format!(": {key}: ")));
        let message = named.unwrap_or_else(|| panic!("--set {set}: no message names {key}: {messages:#?}"));
        assert!(message.contains(words), "--set {set}: {message:?} does not say {words:?}");
    }
}

/// What the seed paper's equation refuses: override, key, part of the message.
const SEED_PML_REFUSALS: [(&str, &str, &str); 10] = [
    ("inversion.records=half", "inversion.records", "remove it"),
    ("physics.space_order=8", "physics.space_order", "set space_order = 2"),
    ("physics.precision=f32", "physics.precision", "set precision = \"f64\""),
    ("boundary.top=free-surface", "boundary.top", "leave z-min out of boundary.sides"),
    ("time.dt_s=0.00005", "time.dt_s", "samples every step"),
    ("stage=[{},{lowpass_hz=50}]", "stage.1.lowpass_hz", "full band"),
    ("data.synthetic={space_order=4}", "data.synthetic.space_order", "2, the order of this equation"),
    ("data.synthetic={dt_s=0.0001}", "data.synthetic.dt_s", "time.record_s"),
    ("data.synthetic={courant=0.5}", "data.synthetic.courant", "time.record_s"),
    ("wavelet.peak_frequency_hz=5", "wavelet.peak_frequency_hz", "only with kind = \"ricker\""),
];

#[test]
fn the_seed_papers_equation_refuses_what_it_cannot_compute() {
    let text = super::super::templates::template("three-layers").expect("a template").text;
    for (set, key, part) in SEED_PML_REFUSALS {
        let error = read(text, &[set]).expect_err(set);
        let [problem] = error.problems() else { panic!("{set}: {error}") };
        assert!(problem.key == key && problem.to_string().contains(part), "{set}: {problem}");
    }
}

#[test]
fn every_key_of_the_schema_has_a_refusal() {
    let schema = super::super::schema();
    // Lines of positions and models come in several places; one of each is refused above.
    let twin = |key: &str| {
        ["model.true.", "survey.receivers.", "survey.sources.y_m", "survey.sources.z_m"]
            .iter()
            .any(|p| key.starts_with(p))
    };
    let tables = ["model", "physics", "boundary", "time", "wavelet", "data", "misfit", "reversal", "inversion"];
    let more = ["optimizer", "precondition", "parallel", "output", "survey.sources", "survey.receivers"];
    let free = ["model.start.file", "model.start.run", "wavelet.file", "survey.file", "stage.*"];
    for key in super::super::schema::dotted_keys(&schema) {
        let exempt = twin(&key)
            || tables.contains(&key.as_str())
            || more.contains(&key.as_str())
            || free.contains(&key.as_str())
            || ["model.true", "optimizer.bounds", "precondition.mask", "reversal.costs"].contains(&key.as_str());
        let matches = |found: &str| {
            let starred: Vec<&str> =
                found.split('.').map(|part| if part.parse::<usize>().is_ok() { "*" } else { part }).collect();
            let starred = starred.join(".");
            starred == key || starred.strip_prefix(&key).is_some_and(|rest| rest == ".*")
        };
        let parts = ["survey.sources.x_m.start", "survey.sources.x_m.step"].contains(&key.as_str());
        assert!(exempt || parts || REFUSALS.iter().any(|(_, k, _)| matches(k)), "no refusal of {key} is tested");
    }
}

#[test]
fn an_unknown_key_is_told_with_line_and_nearest_key() {
    let text = format!("{SMALLEST}\n[physics]\nspaceorder = 8\n");
    assert_eq!(refused(&text, &[]), ["configuration:10: physics.spaceorder: unknown key; did you mean `space_order`?"]);
}

#[test]
fn a_key_in_the_wrong_table_is_told_where_it_belongs() {
    let text = format!("{SMALLEST}\n[boundary]\nspace_order = 8\n[time2]\n");
    let messages = refused(&SMALLEST.replace("schema = 1", "schema = 1\nequation = \"acoustic\""), &[]);
    assert_eq!(messages, ["configuration:3: equation: unknown key; did you mean `physics.equation`?"]);
    let messages = refused(&text, &[]);
    assert!(
        messages.contains(&"configuration:11: time2: unknown key; did you mean `time`?".to_string()),
        "{messages:?}"
    );
}

#[test]
fn an_unknown_key_like_no_other_lists_the_known_ones() {
    let messages = refused(SMALLEST, &["boundary.zzz=1"]);
    assert_eq!(
        messages,
        [
            "--set boundary.zzz=1: boundary.zzz: unknown key; known are `reference_vp_m_per_s`, `reflection`, `sides`, `top`, `width_cells`"
        ]
    );
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = r#"schema = 1
run.nmae = "x"
model.start = { builtin = "foldbelt" }
time.duration_s = 2.001
survey.file = "g.h5"
[wavelet]
peak_frequency_hz = -6.0
[physics]
space_order = 7
precision = "double"
[reversal]
memory = "lots"
"#;
    let messages = refused(text, &["optimizer.memory=0"]);
    let begins = |i: usize, start: &str| assert!(messages[i].starts_with(start), "{i}: {messages:#?}");
    begins(0, "configuration:2: run.nmae: unknown key; did you mean `name`?");
    begins(1, "configuration:4: time.duration_s: ");
    begins(2, "configuration:7: wavelet.peak_frequency_hz: found -6");
    begins(3, "configuration:9: physics.space_order: found 7, expected 2 to 16, even");
    begins(4, "configuration:10: physics.precision: found \"double\"; known are `f32`, `f64`");
    begins(5, "configuration:12: reversal.memory: \"lots\"; expected a whole number of bytes");
    begins(6, "--set optimizer.memory=0: optimizer.memory: found 0, expected 1 to 1000");
    assert_eq!(messages.len(), 7, "{messages:#?}");
}

#[test]
fn one_mistake_is_told_once() {
    for set in [
        "survey.sources=3",
        "survey.sources.x_m=here",
        "wavelet.kind=rikker",
        "wavelet.peak_frequency_hz=high",
        "model.start.builtin=3",
        "time.record_s=often",
        "reversal.disk=much",
        "optimizer.bounds={vp_m_per_s=[0,0]}",
    ] {
        let messages = refused(SMALLEST, &[set]);
        let expected = if set.contains("bounds") { 2 } else { 1 };
        assert_eq!(messages.len(), expected, "--set {set}: {messages:#?}");
    }
    let sets = ["precondition.mask={}", "reversal.strategy=two-level"];
    assert_eq!(refused(SMALLEST, &sets).len(), 2, "a mistake in an optional table hides no other");
    let sets = ["model.true=3", "data.synthetic=true", "reversal.strategy=fast", "reversal.snapshots=3"];
    assert_eq!(refused(SMALLEST, &sets).len(), 2);
}

#[test]
fn what_defines_the_problem_must_be_there() {
    let messages = refused("schema = 1", &[]);
    for key in ["model", "time", "survey", "wavelet"] {
        assert!(messages.iter().any(|m| m.starts_with(&format!("configuration: {key}: missing"))), "{messages:#?}");
    }
    assert_eq!(messages.len(), 4);
    assert!(refused("", &[]).iter().any(|m| m.contains("schema: missing; expected a whole number (Version")));
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    let messages = refused("schema = 1\n[model\nstart = 3\n", &[]);
    assert!(messages[0].starts_with("configuration:2: not valid TOML: "), "{messages:?}");
    let messages = refused("schema = 1\nschema = 1\n", &[]);
    assert!(messages[0].starts_with("configuration:2: not valid TOML: duplicate key"), "{messages:?}");
}

#[test]
fn several_problems_are_listed_under_one_heading() {
    let error = super::read("schema = 1", &[]).unwrap_err().to_string();
    assert!(error.starts_with("4 problems in the configuration:\n  configuration: model: missing"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = super::super::load(std::path::Path::new("/no/such/case.toml"), &[]).unwrap_err().to_string();
    assert!(error.starts_with("/no/such/case.toml: No such file"), "{error}");
}

#[test]
fn the_strategies_are_those_of_the_planner() {
    for (word, choice) in Choice::NAMES {
        let config = accepted(SMALLEST, &[&format!("reversal.strategy={word}"), "reversal.disk=1 GB"]);
        assert_eq!(config.reversal.strategy, choice);
    }
    let schema = super::super::schema();
    assert_eq!(schema["$defs"]["Strategy"]["oneOf"].as_array().unwrap().len(), Choice::NAMES.len());
}

#[test]
fn the_built_in_models_of_core_are_known() {
    assert!(treewave_core::builtin::BUILTIN_NAMES.iter().all(|name| BUILTIN_MODELS.contains(name)));
}
