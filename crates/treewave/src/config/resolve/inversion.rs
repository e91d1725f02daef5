//! How the experiment is inverted: reversal, optimiser, preconditioning, stages, threads.

use super::Surroundings;
use crate::config::keys::{self, FileConfig, Strategy};
use crate::config::report::Report;
use crate::config::sections::*;
use crate::config::values::{Bytes, Shots};
use treewave_reversal::planner::{MemoryLimit, StepCosts};

pub(super) fn reversal(typed: &mut FileConfig, around: &Surroundings, report: &mut Report) -> Option<Reversal> {
    let reversal = &mut typed.reversal;
    let memory_bytes = bytes("reversal.memory", &reversal.memory, report);
    let disk_bytes = bytes("reversal.disk", &reversal.disk, report);
    if memory_bytes == Some(0) {
        let advice = "even a reversal on disk keeps its records in memory; try \"1 GiB\"";
        report.rule("reversal.memory", "0", "more than 0 bytes", advice);
    }
    if reversal.strategy == Strategy::TwoLevel && disk_bytes == Some(0) {
        let advice = "set disk, e.g. \"50 GiB\", or use strategy = \"revolve\"";
        report.rule("reversal.disk", "0 with strategy = \"two-level\"", "disk space for its snapshots", advice);
    }
    let counted = !matches!(reversal.strategy, Strategy::Auto | Strategy::StoreAll | Strategy::Inversion);
    if reversal.snapshots.is_some() && !counted && report.clean(&["reversal.strategy"]) {
        let found = "snapshots with a strategy that does not count them";
        let expected = "strategy = \"treeverse\", \"revolve\", \"two-level\" or \"bennett\"";
        report.rule("reversal.snapshots", found, expected, "choose one of them, or give memory instead");
    }
    if reversal.strategy == Strategy::StoreAll && reversal.segment_steps.is_some() {
        let found = "segment_steps with strategy = \"store-all\"";
        report.rule("reversal.segment_steps", found, "another strategy", "remove it: every step is recorded");
    }
    if reversal.strategy != Strategy::Bennett && reversal.blocks.is_some() && report.clean(&["reversal.strategy"]) {
        let found = "blocks with a strategy that has none";
        report.rule("reversal.blocks", found, "strategy = \"bennett\"", "choose it, or remove blocks");
    }
    let scratch = expand(&reversal.scratch, around, report)?;
    reversal.scratch = scratch;
    let scratch = around.path("reversal.scratch", &mut reversal.scratch, report);
    let memory = match reversal.snapshots {
        Some(snapshots) => MemoryLimit::Snapshots(snapshots),
        None => MemoryLimit::Bytes(memory_bytes?),
    };
    let costs = reversal.costs.as_mut().map(|costs| StepCosts {
        advance: costs.advance,
        record: *costs.record.get_or_insert(costs.advance),
        pull_back: costs.pull_back,
        write: costs.write,
        read: costs.read,
    });
    Some(Reversal {
        strategy: reversal.strategy.choice(),
        memory,
        disk_bytes: disk_bytes?,
        scratch,
        segment_steps: reversal.segment_steps,
        blocks: reversal.blocks,
        costs,
    })
}

fn bytes(key: &str, value: &Bytes, report: &mut Report) -> Option<u64> {
    match value.count() {
        Ok(bytes) => Some(bytes),
        Err(expected) => {
            let found = match value {
                Bytes::Text(text) => format!("\"{text}\""),
                Bytes::Count(count) => count.to_string(),
            };
            report.rule(key, found, expected, "write it like \"4 GiB\" or \"512 MB\"");
            None
        }
    }
}

/// Replaces `$NAME` and `${NAME}` by environment variables; `$TMPDIR` is known even where it is not set.
fn expand(text: &str, around: &Surroundings, report: &mut Report) -> Option<String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        expanded += &rest[..dollar];
        let after = &rest[dollar + 1..];
        let (name, end) = match after.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
            Some((name, _)) => (name, name.len() + 2),
            None => {
                let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
                (&after[..end], end)
            }
        };
        let fallback = || (name == "TMPDIR").then(|| std::env::temp_dir().to_string_lossy().into_owned());
        let set = (around.variable)(name).filter(|value| !name.is_empty() && !value.is_empty());
        let Some(value) = set.or_else(fallback) else {
            let found = format!("${name} in \"{text}\", which is not set");
            let advice = format!("set {name}, or write the directory out");
            report.rule("reversal.scratch", found, "environment variables that are set", advice);
            return None;
        };
        expanded += &value;
        rest = &after[end..];
    }
    Some(expanded + rest)
}

pub(super) fn optimizer(typed: &FileConfig, report: &mut Report) -> Optimizer {
    let optimizer = &typed.optimizer;
    if let Err(expected) = typed.inversion.shots.check() {
        report.rule("inversion.shots", found(&typed.inversion.shots), expected, "correct the choice of shots");
    }
    let bounds = optimizer.bounds.map(|bounds| bounds.vp_m_per_s);
    if let Some([low, high]) = bounds
        && low >= high
    {
        let advice = "write the lower bound first";
        report.rule("optimizer.bounds.vp_m_per_s", format!("[{low}, {high}]"), "lowest below highest", advice);
    }
    Optimizer {
        kind: optimizer.kind,
        parameter: typed.inversion.parameter,
        memory: optimizer.memory,
        vp_bounds_m_per_s: bounds,
        gradient_tolerance: optimizer.gradient_tolerance,
        decrease_tolerance: optimizer.decrease_tolerance,
    }
}

fn found(shots: &Shots) -> String {
    match shots {
        Shots::Text(text) => format!("\"{text}\""),
        Shots::List(list) if list.len() > 8 => format!("a list of {} shots", list.len()),
        Shots::List(list) => format!("{list:?}"),
    }
}

pub(super) fn precondition(typed: &mut FileConfig, around: &Surroundings, report: &mut Report) -> Precondition {
    let precondition = &mut typed.precondition;
    let mask = precondition
        .mask
        .as_mut()
        .map(|mask| (around.path("precondition.mask.file", &mut mask.file, report), mask.dataset.clone()));
    Precondition {
        water_bottom_m: precondition.water_bottom_m,
        mask,
        illumination_floor: precondition.illumination.then_some(precondition.illumination_floor),
    }
}

pub(super) fn stages(typed: &mut FileConfig, report: &mut Report, notes: &mut Vec<String>) -> Vec<Stage> {
    if typed.stage.is_empty() {
        typed.stage.push(keys::Stage::default());
    }
    let (optimizer, smooth_m) = (&typed.optimizer, typed.precondition.smooth_m);
    let mut stages: Vec<Stage> = Vec::new();
    for (i, stage) in typed.stage.iter_mut().enumerate() {
        let shots = stage.shots.get_or_insert_with(|| typed.inversion.shots.clone()).clone();
        let at = format!("stage.{i}.shots");
        if let Err(expected) = shots.check()
            && shots != typed.inversion.shots
        {
            report.rule(&at, found(&shots), expected, "correct the choice of shots");
        }
        if stage.max_evaluations.is_none() {
            stage.max_evaluations = optimizer.max_evaluations;
        }
        stages.push(Stage {
            lowpass_hz: stage.lowpass_hz,
            iterations: *stage.iterations.get_or_insert(optimizer.iterations),
            max_evaluations: stage.max_evaluations,
            max_step_percent: *stage.max_step_percent.get_or_insert(optimizer.max_step_percent),
            smooth_m: *stage.smooth_m.get_or_insert(smooth_m),
            shots,
        });
    }
    let band = |stage: &Stage| stage.lowpass_hz.unwrap_or(f64::INFINITY);
    for (i, pair) in stages.windows(2).enumerate() {
        if band(&pair[1]) < band(&pair[0]) {
            notes.push(format!("stage {} has a narrower band than stage {i}: usually the band widens", i + 1));
        }
    }
    stages
}

pub(super) fn parallel(typed: &FileConfig, report: &mut Report) {
    let keys = [
        ("parallel.threads_per_rank", typed.parallel.threads_per_rank, "\"auto\" takes all processors"),
        ("parallel.shots_at_once", typed.parallel.shots_at_once, "\"auto\" takes the fastest"),
    ];
    for (key, value, advice) in keys {
        if let Some(number) = value.value()
            && !(1..=1024).contains(&number)
        {
            report.rule(key, number, "1 to 1024, or \"auto\"", advice);
        }
    }
}
