//! The experiment: run, models, physics, time, survey, wavelet, data.

use super::{MOST_STEPS, Surroundings, time_step, whole_multiple};
use crate::config::BUILTIN_MODELS;
use crate::config::error::Fact;
use crate::config::keys::{self, Equation, FileConfig, Precision, Records, Side, WaveletKind};
use crate::config::report::Report;
use crate::config::schema::nearest;
use crate::config::sections::*;
use crate::config::values::AutoOr;
use std::f64::consts::{PI, SQRT_2};

pub(super) fn run(typed: &mut FileConfig, around: &Surroundings, report: &mut Report) -> Run {
    let name = typed.run.name.get_or_insert_with(|| around.name.to_string()).clone();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(allowed) {
        let expected = "1 to 64 of the characters a-z, A-Z, 0-9, `-`, `_`, `.`, the first no `.`";
        report.rule("run.name", format!("\"{name}\""), expected, "choose a shorter or plainer name");
    }
    let output = typed.run.output.get_or_insert_with(|| format!("runs/{name}"));
    Run { output: around.path("run.output", output, report), name }
}

pub(super) fn model(
    key: &str,
    typed: &mut keys::ModelSource,
    around: &Surroundings,
    report: &mut Report,
) -> Option<ModelSource> {
    refuse_strangers(key, typed, report);
    if typed.keep_water && typed.smooth_m == 0.0 {
        let at = format!("{key}.keep_water");
        report.rule(&at, "keep_water without smooth_m", "both", "add smooth_m, or remove keep_water");
    }
    if typed.water_m_per_s.is_some() && typed.water_to_m == 0.0 {
        let at = format!("{key}.water_m_per_s");
        report.rule(
            &at,
            "water_m_per_s without water_to_m",
            "both",
            "add water_to_m, the depth that the water reaches",
        );
    }
    Some(ModelSource {
        origin: origin(key, typed, around, report)?,
        smooth_m: typed.smooth_m,
        keep_water: typed.keep_water,
        water_to_m: typed.water_to_m,
        water_m_per_s: typed.water_m_per_s.unwrap_or(1500.0),
    })
}

/// Exactly one of file, builtin and run, and no key of another form.
fn refuse_strangers(key: &str, typed: &keys::ModelSource, report: &mut Report) {
    let forms = [("file", typed.file.is_some()), ("builtin", typed.builtin.is_some()), ("run", typed.run.is_some())];
    let given: Vec<&str> = forms.iter().filter(|form| form.1).map(|form| form.0).collect();
    let expected = "exactly one of file, builtin and run";
    match given.as_slice() {
        [_] => {}
        [] => return report.rule(key, "none of file, builtin and run", expected, "say where the model comes from"),
        many => return report.rule(key, many.join(" and "), expected, "keep one of them"),
    }
    let constant = typed.builtin.as_deref() == Some("constant");
    let strangers = [
        ("vp", typed.vp.is_some(), given[0] == "file", "file"),
        ("shape", typed.shape.is_some(), given[0] == "builtin", "builtin"),
        ("spacing_m", typed.spacing_m.is_some(), given[0] == "builtin", "builtin"),
        ("vp_m_per_s", typed.vp_m_per_s.is_some(), constant, "builtin = \"constant\""),
        ("iteration", typed.iteration.is_some(), given[0] == "run", "run"),
    ];
    for (name, present, welcome, owner) in strangers {
        if present && !welcome {
            let at = format!("{key}.{name}");
            report.rule(&at, format!("{name} beside {}", given[0]), format!("it only with {owner}"), "remove it");
        }
    }
}

fn origin(key: &str, typed: &mut keys::ModelSource, around: &Surroundings, report: &mut Report) -> Option<ModelOrigin> {
    if let Some(file) = &mut typed.file {
        let path = around.path(&format!("{key}.file"), file, report);
        return Some(ModelOrigin::File { path, vp: typed.vp.get_or_insert_with(|| "vp".into()).clone() });
    }
    if let Some(run) = &mut typed.run {
        let path = around.path(&format!("{key}.run"), run, report);
        return Some(ModelOrigin::Run { path, iteration: typed.iteration });
    }
    let name = typed.builtin.clone()?;
    if !BUILTIN_MODELS.contains(&name.as_str()) {
        let known: Vec<String> = BUILTIN_MODELS.iter().map(|m| m.to_string()).collect();
        let nearest = nearest(&name, known.iter());
        report.add(&format!("{key}.builtin"), Fact::Choice { found: name, nearest, known });
        return None;
    }
    let (shape, spacing_m) = (typed.shape.clone(), typed.spacing_m);
    if name != "constant" {
        return Some(ModelOrigin::Builtin { name, shape, spacing_m });
    }
    let grid = match (shape, spacing_m) {
        (Some(shape), Some(spacing_m)) => Some(ConstantGrid { shape, spacing_m }),
        (None, None) => None,
        _ => {
            let advice = "add the other, or remove it to take the grid of the other model";
            report.rule(key, "only one of shape and spacing_m", "both or none", advice);
            return None;
        }
    };
    let Some(vp_m_per_s) = typed.vp_m_per_s else {
        let advice = "add vp_m_per_s, e.g. vp_m_per_s = 2500";
        report.rule(key, "builtin = \"constant\" without vp_m_per_s", "its velocity", advice);
        return None;
    };
    Some(ModelOrigin::Constant { vp_m_per_s, grid })
}

/// A constant model without a grid takes that of the other model, which must have one.
pub(super) fn grids(typed: &FileConfig, report: &mut Report) {
    let homeless = |m: &keys::ModelSource| m.builtin.as_deref() == Some("constant") && m.shape.is_none();
    let other_is_homeless = typed.model.truth.as_ref().is_none_or(homeless);
    if homeless(&typed.model.start) && other_is_homeless && report.clean(&["model.start", "model.true"]) {
        let advice = "add shape = [nx, nz] and spacing_m";
        report.rule("model.start", "a constant model without a grid", "a grid in one of the models", advice);
    }
}

pub(super) fn physics(typed: &FileConfig, report: &mut Report) {
    let physics = &typed.physics;
    if typed.reversal.strategy == keys::Strategy::Inversion {
        let (key, advice) = ("reversal.strategy", "choose another strategy, or let strategy = \"auto\" choose");
        if physics.equation == Equation::SeedPml {
            let found = "inversion with equation = \"seed-pml\"";
            report.rule(key, found, "an equation whose steps can be undone: \"acoustic\"", advice);
        } else if physics.precision != Precision::F32 {
            report.rule(key, "inversion with precision = \"f64\"", "precision = \"f32\"", advice);
        }
    }
    if physics.equation == Equation::SeedPml {
        if physics.space_order != 2 {
            let found = format!("space_order = {} with equation = \"seed-pml\"", physics.space_order);
            report.rule("physics.space_order", found, "2, the order of this equation", "set space_order = 2");
        }
        if physics.precision != Precision::F64 {
            let found = "precision = \"f32\" with equation = \"seed-pml\"";
            report.rule("physics.precision", found, "\"f64\"", "set precision = \"f64\"");
        }
        if typed.inversion.records != Records::Full {
            let found = "records = \"half\" with equation = \"seed-pml\"";
            report.rule("inversion.records", found, "\"full\"", "remove it");
        }
        if let Some(stage) = typed.stage.iter().position(|stage| stage.lowpass_hz.is_some()) {
            let found = "lowpass_hz with equation = \"seed-pml\"";
            report.rule(&format!("stage.{stage}.lowpass_hz"), found, "the full band", "remove it, or filter the data");
        }
        if typed.boundary.top == keys::Top::FreeSurface {
            let found = "top = \"free-surface\" with equation = \"seed-pml\"";
            report.rule(
                "boundary.top",
                found,
                "\"absorbing\"",
                "leave z-min out of boundary.sides: the edge then reflects",
            );
        }
    }
}

/// The layer of the seed paper's equation: defaults are filled in, other equations have none of its keys.
pub(super) fn layer(typed: &mut FileConfig, report: &mut Report) {
    let boundary = &mut typed.boundary;
    if typed.physics.equation != Equation::SeedPml {
        let keys = [
            ("sides", boundary.sides.is_some()),
            ("reflection", boundary.reflection.is_some()),
            ("reference_vp_m_per_s", boundary.reference_vp_m_per_s.is_some()),
        ];
        for (name, _) in keys.into_iter().filter(|(_, given)| *given) {
            let expected = "it only with physics.equation = \"seed-pml\"";
            report.rule(&format!("boundary.{name}"), name, expected, "remove it");
        }
        return;
    }
    boundary.sides.get_or_insert_with(|| vec![Side::XMin, Side::XMax, Side::ZMin, Side::ZMax]);
    boundary.reflection.get_or_insert(0.001);
    boundary.reference_vp_m_per_s.get_or_insert(1000.0);
}

pub(super) fn time(typed: &FileConfig, report: &mut Report) -> Option<Time> {
    let time = &typed.time;
    if !report.clean(&["time"]) {
        return None;
    }
    let seed_pml = typed.physics.equation == Equation::SeedPml;
    let dt_s = time.dt_s.value().or(seed_pml.then_some(time.record_s));
    let step = time_step("time.dt_s", dt_s, time.courant, time.record_s, report);
    if seed_pml && step.is_some_and(|step| step != TimeStep::StepsPerSample(1)) {
        let found = format!("dt_s = {} with equation = \"seed-pml\"", dt_s.unwrap_or_default());
        let expected = format!("record_s = {}: this equation samples every step", time.record_s);
        report.rule("time.dt_s", found, expected, "remove dt_s, and give the time step as record_s");
    }
    let Some(intervals) = whole_multiple(time.duration_s, time.record_s) else {
        let times = time.duration_s / time.record_s;
        if times > MOST_STEPS as f64 {
            let found = format!("duration_s = {} with record_s = {}", time.duration_s, time.record_s);
            report.rule("time.duration_s", found, format!("at most {MOST_STEPS} samples"), "raise record_s");
            return None;
        }
        let shown = (times * 1e6).round() / 1e6;
        let found = format!("duration_s = {}, which is {shown} times record_s = {}", time.duration_s, time.record_s);
        let near = times.round().max(1.0) * time.record_s;
        let advice = format!("set duration_s = {near}, or another record_s");
        report.rule("time.duration_s", found, "a whole multiple", advice);
        return None;
    };
    Some(Time { record_s: time.record_s, samples: intervals + 1, step: step? })
}

pub(super) fn survey(typed: &mut FileConfig, around: &Surroundings, report: &mut Report) -> Option<SurveySource> {
    let survey = &mut typed.survey;
    if let Some(file) = &mut survey.file {
        if survey.sources.is_some() || survey.receivers.is_some() {
            let found = "file together with sources or receivers";
            report.rule("survey", found, "either the file or both lines", "remove one of them");
        }
        return Some(SurveySource::File(around.path("survey.file", file, report)));
    }
    let (Some(sources), Some(receivers)) = (&survey.sources, &survey.receivers) else {
        let found = match (&survey.sources, &survey.receivers) {
            (None, None) => "neither file nor sources and receivers",
            (Some(_), None) => "sources without receivers",
            _ => "receivers without sources",
        };
        report.rule("survey", found, "file, or sources and receivers", "say where sources and receivers are");
        return None;
    };
    let as_positions = receivers.positions();
    let mut counts = Vec::new();
    for (key, positions) in [("survey.sources", sources), ("survey.receivers", &as_positions)] {
        counts.extend(positions.check(key, report));
    }
    if sources.y_m.is_some() != receivers.y_m.is_some() && !receivers.relative && report.clean(&["survey"]) {
        let found = "y_m for only one of sources and receivers";
        report.rule("survey", found, "y_m for both (3-D) or none (2-D)", "add or remove y_m");
    }
    let lines = SurveyLines { sources: sources.clone(), receivers: receivers.clone() };
    (counts.len() == 2).then(|| SurveySource::Lines(Box::new(lines)))
}

pub(super) fn wavelet(typed: &mut FileConfig, around: &Surroundings, report: &mut Report) -> Option<WaveletSource> {
    if !report.clean(&["wavelet.kind"]) {
        return None;
    }
    let wavelet = &mut typed.wavelet;
    if wavelet.amplitude == 0.0 {
        report.rule("wavelet.amplitude", "0", "any other number", "a source of strength 0 makes no wave");
    }
    let kind = match wavelet.kind {
        WaveletKind::Ricker => "ricker",
        WaveletKind::RickerSamples => "ricker-samples",
        WaveletKind::File => "file",
    };
    let owned = [
        ("peak_frequency_hz", wavelet.peak_frequency_hz.is_some(), "ricker"),
        ("delay_s", wavelet.delay_s.is_some(), "ricker"),
        ("width_samples", wavelet.width_samples.is_some(), "ricker-samples"),
        ("shift_samples", wavelet.shift_samples.is_some(), "ricker-samples"),
        ("file", wavelet.file.is_some(), "file"),
        ("dataset", wavelet.dataset.is_some(), "file"),
        ("dt_s", wavelet.dt_s.is_some(), "file"),
    ];
    for (name, present, owner) in owned {
        if present && owner != kind {
            let (found, expected) =
                (format!("{name} with kind = \"{kind}\""), format!("it only with kind = \"{owner}\""));
            report.rule(&format!("wavelet.{name}"), found, expected, "remove it, or change kind");
        }
    }
    let amplitude = wavelet.amplitude;
    if wavelet.kind == WaveletKind::RickerSamples {
        let (Some(width), Some(shift)) = (wavelet.width_samples, wavelet.shift_samples) else {
            let found = "kind = \"ricker-samples\" without width_samples or shift_samples";
            report.rule("wavelet", found, "both", "add both, e.g. width_samples = 30 and shift_samples = 200");
            return None;
        };
        let (delay_s, time) = ((shift - 1.0) * typed.time.record_s, &typed.time);
        peaks_in_time(delay_s, time, report);
        // (1 − q²/a²) exp(−q²/2a²) 2 / (√(3a) π^¼) with q counted in samples.
        let norm = 2.0 / ((3.0 * width).sqrt() * PI.powf(0.25));
        let peak_frequency_hz = 1.0 / (SQRT_2 * PI * width * typed.time.record_s);
        return Some(WaveletSource::Ricker { peak_frequency_hz, delay_s, amplitude: amplitude * norm });
    }
    if wavelet.kind == WaveletKind::Ricker {
        let Some(peak_frequency_hz) = wavelet.peak_frequency_hz else {
            let found = "a Ricker wavelet without peak_frequency_hz";
            report.rule("wavelet", found, "its peak frequency", "add peak_frequency_hz, e.g. 6.0");
            return None;
        };
        let delay_s = *wavelet.delay_s.get_or_insert(1.5 / peak_frequency_hz);
        peaks_in_time(delay_s, &typed.time, report);
        return Some(WaveletSource::Ricker { peak_frequency_hz, delay_s, amplitude });
    }
    let (Some(file), Some(dt_s)) = (&mut wavelet.file, wavelet.dt_s) else {
        let advice = "add both: the file with the samples and their interval in s";
        report.rule("wavelet", "kind = \"file\" without file or dt_s", "file and dt_s", advice);
        return None;
    };
    let dataset = wavelet.dataset.get_or_insert_with(|| "wavelet".into()).clone();
    Some(WaveletSource::File { path: around.path("wavelet.file", file, report), dataset, dt_s, amplitude })
}

/// Refuses a wavelet that peaks after the traces end.
fn peaks_in_time(delay_s: f64, time: &keys::Time, report: &mut Report) {
    if report.clean(&["wavelet", "time"]) && delay_s >= time.duration_s {
        let found = format!("the wavelet peaks at {delay_s} s, the traces end at {} s", time.duration_s);
        report.rule("wavelet", found, "a peak before the end", "raise time.duration_s or let it peak earlier");
    }
}

pub(super) fn data(
    typed: &mut FileConfig,
    time: Option<Time>,
    around: &Surroundings,
    report: &mut Report,
    notes: &mut Vec<String>,
) -> Option<DataSource> {
    let options = match typed.data.synthetic {
        None | Some(keys::Synthetic::Switch(false)) => {
            let file = typed.data.observed.as_mut().or(typed.survey.file.as_mut())?;
            return Some(DataSource::Observed(around.path("data.observed", file, report)));
        }
        Some(keys::Synthetic::Switch(true)) => keys::SyntheticOptions::default(),
        Some(keys::Synthetic::Options(options)) => options,
    };
    if typed.data.observed.is_some() {
        report.rule("data", "both observed and synthetic", "one of them", "remove the other");
    }
    if typed.model.truth.is_none() && report.clean(&["model.true"]) {
        let advice = "add true = { … } to [model], or give data.observed";
        report.rule("data.synthetic", "synthetic data without model.true", "a model to simulate them from", advice);
    }
    let (filled, synthetic) = synthetic(options, typed, report)?;
    let same_step = time.is_some_and(|time| time.step == synthetic.step);
    // The seed paper's equation has no other order or time step.
    let other = typed.physics.equation != Equation::SeedPml;
    if other && same_step && synthetic.space_order == typed.physics.space_order {
        notes.push(
            "synthetic data are simulated with the order and time step of the inversion: errors of the discretisation \
             cancel and results look better than they are"
                .into(),
        );
    }
    typed.data.synthetic = Some(keys::Synthetic::Options(filled));
    Some(DataSource::Synthetic(synthetic))
}

/// Fills in the defaults and gives the validated form of both.
fn synthetic(
    mut options: keys::SyntheticOptions,
    typed: &FileConfig,
    report: &mut Report,
) -> Option<(keys::SyntheticOptions, Synthetic)> {
    let order = typed.physics.space_order;
    let seed_pml = typed.physics.equation == Equation::SeedPml;
    let other_order = match order {
        _ if seed_pml => 2,
        13.. => order - 4,
        _ => order + 4,
    };
    let space_order = *options.space_order.get_or_insert(other_order);
    if seed_pml && space_order != 2 {
        let found = format!("space_order = {space_order} with equation = \"seed-pml\"");
        report.rule("data.synthetic.space_order", found, "2, the order of this equation", "remove it");
    }
    if seed_pml {
        let steps = [("dt_s", options.dt_s.is_some()), ("courant", options.courant.is_some())];
        for (name, _) in steps.into_iter().filter(|(_, given)| *given) {
            let found = format!("{name} with equation = \"seed-pml\"");
            let expected = "the time step of the inversion, time.record_s";
            report.rule(&format!("data.synthetic.{name}"), found, expected, "remove it");
        }
    } else {
        options.courant.get_or_insert(0.6);
        options.dt_s.get_or_insert(AutoOr::AUTO);
    }
    let (courant, dt_s) = (options.courant.unwrap_or(0.6), options.dt_s.and_then(|dt_s| dt_s.value()));
    let step = match report.clean(&["time.record_s", "data.synthetic.dt_s"]) {
        true if seed_pml => TimeStep::StepsPerSample(1),
        true => time_step("data.synthetic.dt_s", dt_s, courant, typed.time.record_s, report)?,
        false => return None,
    };
    let noise = match (options.noise_percent, options.snr_db) {
        (Some(_), Some(_)) => {
            report.rule("data.synthetic", "both noise_percent and snr_db", "one of them", "remove the other");
            return None;
        }
        (Some(percent), None) => percent / 100.0,
        (None, Some(db)) => 10f64.powf(-db / 20.0),
        (None, None) => 0.0,
    };
    let seed = *options.seed.get_or_insert(0);
    Some((options, Synthetic { space_order, step, noise, seed }))
}
