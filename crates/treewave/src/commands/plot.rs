//! `treewave plot`: pictures of what the files hold.

use ndarray::{Array2, ArrayD, Axis as Dimension, Ix2};
use treewave_cluster::Failure;
use treewave_storage::{LabelledArray, list_datasets, read_array, read_run};

use super::Outcome;
use crate::cli::Plot;
use crate::plot::{
    Axis, ColourScale, Convergence, Curve, Limits, Log, Logs, Panel, Picture, convergence, logs, panels, unit,
};
use crate::study::{bad_data, misconfigured, unwritable};

/// Share of the magnitudes that gathers are clipped at.
const GATHER_PERCENTILE: f64 = 97.0;

/// Up to this many traces are drawn as curves.
const FEW_TRACES: usize = 8;

/// Carries the verb out.
///
/// # Errors
/// Code 3 for a file or dataset that cannot be drawn, 2 for arguments that do not fit it, 5 if the picture cannot be
/// written.
pub fn run(arguments: &Plot) -> Outcome {
    let names: Vec<String> =
        list_datasets(&arguments.file).map_err(bad_data)?.into_iter().map(|(name, _)| name).collect();
    let has = |name: &str| names.iter().any(|n| n.trim_start_matches('/') == name);
    let is_run = has("misfit") && has("vp") && has("vp_start");
    let picture = match (&arguments.dataset, is_run) {
        _ if !arguments.logs_at_m.is_empty() => velocity_logs(arguments, &has)?,
        (None, true) => comparison(arguments, &has)?,
        (Some(name), true) if name == "misfit" || name == "convergence" => course(arguments)?,
        (name, _) => {
            let default = ["data", "gradient_vp", "gradient_c2", "vp"].into_iter().find(|name| has(name));
            let name = name.as_deref().or(default).ok_or_else(|| {
                misconfigured(format!("{}: give --dataset, one of {}", arguments.file.display(), names.join(", ")))
            })?;
            one(arguments, name.trim_start_matches('/'), &has)?
        }
    };
    picture.save(&arguments.o).map_err(unwritable)?;
    println!("{}", arguments.o.display());
    Ok(0)
}

/// A section or a gather.
fn one(arguments: &Plot, name: &str, has: &dyn Fn(&str) -> bool) -> Result<Picture, Failure> {
    let array = read_array(&arguments.file, name).map_err(bad_data)?;
    let axes: Vec<&str> = array.axes.iter().map(|axis| axis.name.as_str()).collect();
    if axes == ["trace", "time"] {
        return gather(arguments, &array, has);
    }
    if array.values.ndim() == 1 {
        return Err(misconfigured(format!(
            "{}: {name} has one axis ({}); a run's misfit and two- or three-dimensional datasets can be drawn",
            arguments.file.display(),
            axes[0]
        )));
    }
    let section = Section::of(arguments, &array)?;
    let title = capitalised(array.long_name.as_deref().unwrap_or(name));
    let scale = scale_of(arguments, name, &array, has)?;
    draw(&[section.panel(&title, scale)])
}

/// A 2-D section through a model, gradient or history.
struct Section {
    values: Array2<f64>,
    origin_m: [f64; 2],
    spacing_m: [f64; 2],
}

impl Section {
    fn of(arguments: &Plot, array: &LabelledArray) -> Result<Section, Failure> {
        let mut values: ArrayD<f64> = array.values.clone();
        let mut axes = array.axes.clone();
        // A large run keeps the last iteration only, along an axis of one entry.
        if matches!(axes[0].name.as_str(), "iteration" | "last_iteration") {
            let held = &axes[0].values;
            let (first, last) = (held[0], held[held.len() - 1]);
            let wanted = arguments.iteration.map_or(last, |iteration| iteration as f64);
            let Some(place) = held.iter().position(|&iteration| iteration == wanted) else {
                let file = arguments.file.display();
                let others = if first > 0.0 { "; those before have files of their own in iterations/" } else { "" };
                return Err(misconfigured(format!(
                    "{file}: --iteration {wanted}: there are {first} to {last}{others}"
                )));
            };
            values = values.index_axis(Dimension(0), place).to_owned();
            axes.remove(0);
        }
        if values.ndim() == 3 {
            let y = &axes[1].values;
            let wanted = arguments.y_m.unwrap_or(0.5 * (y[0] + y[y.len() - 1]));
            let nearest = (0..y.len()).min_by(|&a, &b| (y[a] - wanted).abs().total_cmp(&(y[b] - wanted).abs()));
            values = values.index_axis(Dimension(1), nearest.unwrap_or(0)).to_owned();
            axes.remove(1);
        }
        let shape = values.shape().to_vec();
        let values = values.into_dimensionality::<Ix2>().map_err(|_| {
            bad_data(format!(
                "{}: {} has shape {shape:?}; sections have two axes",
                arguments.file.display(),
                array.name
            ))
        })?;
        let start = |i: usize| axes[i].values.first().copied().unwrap_or(0.0);
        let step = |i: usize| axes[i].values.get(1).map_or(1.0, |second| second - start(i));
        Ok(Section { values, origin_m: [start(0), start(1)], spacing_m: [step(0), step(1)] })
    }

    fn panel(&self, title: &str, scale: ColourScale) -> Panel<'_> {
        Panel::section(title, self.values.view(), self.origin_m, self.spacing_m, scale)
    }
}

fn read_section(arguments: &Plot, name: &str) -> Result<Section, Failure> {
    Section::of(arguments, &read_array(&arguments.file, name).map_err(bad_data)?)
}

/// Velocities of a file share their limits, so that its models can be compared.
fn scale_of(
    arguments: &Plot,
    name: &str,
    array: &LabelledArray,
    has: &dyn Fn(&str) -> bool,
) -> Result<ColourScale, Failure> {
    let unit = unit(array.units.as_deref().unwrap_or(""));
    if name.starts_with("gradient") {
        let label = format!("Gradient ({unit})");
        return Ok(ColourScale::difference(label));
    }
    if !name.starts_with("vp") {
        let label = capitalised(array.long_name.as_deref().unwrap_or(name));
        let label = if unit.is_empty() { label } else { format!("{label} ({unit})") };
        return Ok(ColourScale { limits: Limits::Full, label, ..ColourScale::velocity() });
    }
    let mut limits = [f64::INFINITY, f64::NEG_INFINITY];
    for name in ["vp_true", "vp_start"].into_iter().filter(|name| has(name)) {
        widen(&mut limits, &read_section(arguments, name)?.values);
    }
    if limits[0] >= limits[1] {
        return Ok(ColourScale::velocity());
    }
    Ok(ColourScale { limits: Limits::Given(limits[0], limits[1]), ..ColourScale::velocity() })
}

/// With a capital letter, as titles and axes have.
fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn widen(limits: &mut [f64; 2], values: &Array2<f64>) {
    for v in values {
        (limits[0], limits[1]) = (limits[0].min(*v), limits[1].max(*v));
    }
}

/// True, start and inverted model with the same limits, and what the inversion changed.
fn comparison(arguments: &Plot, has: &dyn Fn(&str) -> bool) -> Result<Picture, Failure> {
    let (start, inverted) = (read_section(arguments, "vp_start")?, read_section(arguments, "vp")?);
    let truth = has("vp_true").then(|| read_section(arguments, "vp_true")).transpose()?;
    let mut limits = [f64::INFINITY, f64::NEG_INFINITY];
    for section in [Some(&start), Some(&inverted), truth.as_ref()].into_iter().flatten() {
        widen(&mut limits, &section.values);
    }
    let scale = ColourScale { limits: Limits::Given(limits[0], limits[1]), ..ColourScale::velocity() };
    let change = Section { values: &inverted.values - &start.values, ..start };
    let start = read_section(arguments, "vp_start")?;
    let mut list = Vec::new();
    list.extend(truth.as_ref().map(|truth| truth.panel("True model", scale.clone())));
    list.push(start.panel("Start model", scale.clone()));
    list.push(inverted.panel("Inverted model", scale));
    list.push(change.panel("Inverted minus start", ColourScale::difference("Difference (m/s)")));
    draw(&list)
}

fn draw(list: &[Panel]) -> Result<Picture, Failure> {
    panels(list).map_err(bad_data)
}

/// The traces of one shot.
fn gather(arguments: &Plot, array: &LabelledArray, has: &dyn Fn(&str) -> bool) -> Result<Picture, Failure> {
    let all = array.values.view().into_dimensionality::<Ix2>().expect("a gather has two axes");
    let mut rows = 0..all.nrows();
    if has("shot_first_trace") {
        let first = read_array(&arguments.file, "shot_first_trace").map_err(bad_data)?;
        let first: Vec<usize> = first.values.iter().map(|&i| i as usize).collect();
        if arguments.shot >= first.len() {
            let (file, last) = (arguments.file.display(), first.len() - 1);
            return Err(misconfigured(format!("{file}: --shot {}: there are 0 to {last}", arguments.shot)));
        }
        rows = first[arguments.shot]..first.get(arguments.shot + 1).copied().unwrap_or(all.nrows());
    }
    let time = &array.axes[1].values;
    let record_s = time.get(1).map_or(1.0, |t| t - time[0]);
    if rows.len() <= FEW_TRACES {
        return pulses(arguments, array, rows, has);
    }
    let view = all.slice_axis(Dimension(0), rows.into());
    let title = format!("Shot {}", arguments.shot);
    draw(&[Panel::gather(&title, view, record_s, ColourScale::gather(GATHER_PERCENTILE))])
}

/// A few traces as curves against time.
fn pulses(
    arguments: &Plot,
    array: &LabelledArray,
    rows: std::ops::Range<usize>,
    has: &dyn Fn(&str) -> bool,
) -> Result<Picture, Failure> {
    let column = |name: &str| -> Result<Option<ArrayD<f64>>, Failure> {
        has(name).then(|| read_array(&arguments.file, name).map(|a| a.values).map_err(bad_data)).transpose()
    };
    let places = (column("receiver_x")?, column("receiver_z")?);
    let title = |trace: usize| match &places {
        (Some(x), Some(z)) => format!("({}, {}) m", x[trace], z[trace]),
        _ => format!("trace {trace}"),
    };
    let at = if places.0.is_some() && places.1.is_some() { ", receivers at (x, z)" } else { "" };
    let name = format!("shot {}{at}", arguments.shot);
    let time = &array.axes[1].values;
    let step_s = time.get(1).map_or(1.0, |t| t - time[0]);
    let log = |trace: usize| {
        let values = array.values.index_axis(Dimension(0), trace).iter().copied().collect();
        Log { title: title(trace), curves: vec![Curve { name: name.clone(), values }] }
    };
    let unit = unit(array.units.as_deref().unwrap_or("Pa"));
    let picture = Logs {
        depth: Axis { first: time[0], ..Axis::time(step_s) },
        label: format!("Pressure ({unit})"),
        logs: rows.map(log).collect(),
    };
    logs(&picture).map_err(bad_data)
}

/// Misfit and model error against gradient evaluations.
fn course(arguments: &Plot) -> Result<Picture, Failure> {
    let run = read_run(&arguments.file).map_err(bad_data)?;
    let mut evaluations = 0.0;
    let (mut count, mut misfit, mut error, mut stages) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (i, entry) in run.entries.iter().enumerate() {
        evaluations += entry.evaluations as f64;
        if i == 0 || run.entries[i - 1].stage != entry.stage {
            stages.push((evaluations, format!("stage {}", entry.stage)));
        }
        count.push(evaluations);
        misfit.push(entry.misfit);
        error.extend(entry.model_error);
    }
    let picture = Convergence {
        title: "Convergence".into(),
        count_label: "Gradient evaluations".into(),
        model_error: (error.len() == count.len()).then_some(error),
        model_error_label: "Relative L2 model error".into(),
        misfit_label: "Misfit (Pa² s)".into(),
        count,
        misfit,
        stages,
    };
    convergence(&picture).map_err(bad_data)
}

/// Velocity against depth at given places.
fn velocity_logs(arguments: &Plot, has: &dyn Fn(&str) -> bool) -> Result<Picture, Failure> {
    let models = [("vp_true", "true"), ("vp_start", "start"), ("vp", "inverted")];
    let mut sections = Vec::new();
    for (name, label) in models.into_iter().filter(|(name, _)| has(name)) {
        sections.push((label, read_section(arguments, name)?));
    }
    let Some((_, first)) = sections.first() else {
        return Err(misconfigured(format!("{}: there is no velocity to draw logs of", arguments.file.display())));
    };
    let (origin, spacing) = (first.origin_m, first.spacing_m);
    let columns = first.values.nrows();
    let mut list = Vec::new();
    for &x in &arguments.logs_at_m {
        let column = ((x - origin[0]) / spacing[0]).round();
        if !(column >= 0.0 && (column as usize) < columns) {
            let last = origin[0] + (columns - 1) as f64 * spacing[0];
            return Err(misconfigured(format!("--logs-at-m {x}: the model spans {} to {last} m", origin[0])));
        }
        let curve = |(label, section): &(&str, Section)| Curve {
            name: label.to_string(),
            values: section.values.row(column as usize).to_vec(),
        };
        list.push(Log { title: format!("x = {:.2} km", x / 1000.0), curves: sections.iter().map(curve).collect() });
    }
    let depth = Axis::metres("Depth", origin[1], spacing[1]);
    logs(&Logs { depth, label: "P-wave velocity (m/s)".into(), logs: list }).map_err(bad_data)
}
