//! How long a gradient takes on many ranks, and where the time goes: a plan, simulated (see `docs/scaling.md`).

use std::time::Duration;

use serde_json::{Map, Value, json};
use treewave_cluster::simulation::{Gradient, Machine, Prediction, predict};

use super::plan::Planned;
use crate::cli::MachineOptions;

/// Shares below this are not told in words.
const WORTH_TELLING: f64 = 0.0005;

/// A stage's gradient on a machine.
pub(super) struct Scaling {
    machine: Machine,
    /// On all ranks.
    pub(super) prediction: Prediction,
    /// Ranks, seconds and efficiency on 1, 2, 4, … ranks if none of them fails.
    curve: Vec<(usize, f64, f64)>,
}

/// The machine that the options tell, with so many ranks that do so many shots side by side.
fn machine(options: &MachineOptions, ranks: usize, planned: &Planned) -> Machine {
    Machine {
        ranks_per_node: options.ranks_per_node as usize,
        workers: planned.gradient.shots_at_once,
        latency_s: options.latency.as_secs_f64(),
        bandwidth: options.bandwidth,
        disk_bandwidth: options.disk_bandwidth.unwrap_or(planned.disk_bandwidth),
        storage_bandwidth: options.storage_bandwidth,
        node_mtbf_s: options.node_mtbf,
        requeue_s: options.requeue_wait.as_secs_f64(),
        ..Machine::of_ranks(ranks)
    }
}

impl Scaling {
    /// Simulates a gradient of a stage on so many ranks, each of whose saves of the ledger follow at least `ledger_every` after the
    /// last. All shots are taken to be alike: their costs were measured on one.
    pub(super) fn new(planned: &Planned, ranks: usize, ledger_every: Duration, options: &MachineOptions) -> Self {
        let machine = machine(options, ranks, planned);
        let shot_s = vec![planned.gradient.reversal.seconds; planned.shots];
        let gradient =
            Gradient { shot_s: &shot_s, spilled_bytes: planned.moved_bytes(), cells: planned.cells, ledger_every };
        let fewer = std::iter::successors(Some(1), |ranks| Some(2 * ranks)).take_while(|&fewer| fewer < ranks);
        let on = |ranks| {
            let prediction = predict(&Machine { ranks, node_mtbf_s: f64::INFINITY, ..machine }, &gradient);
            (ranks, prediction.seconds, prediction.shares.computing)
        };
        let curve = fewer.chain([ranks]).map(on).collect();
        Scaling { machine, prediction: predict(&machine, &gradient), curve }
    }

    /// As an object of `plan --json`.
    pub(super) fn json(&self) -> Value {
        let Scaling { machine, prediction, curve } = self;
        let shares = prediction.shares.named().map(|(name, share)| (name.to_string(), json!(share)));
        let curve = curve.iter().map(|(ranks, seconds, efficiency)| {
            json!({"ranks": ranks, "seconds_without_failures": seconds, "efficiency": efficiency})
        });
        json!({
            // Null where failures come so fast that no gradient is ever done.
            "seconds": prediction.seconds,
            "seconds_without_failures": prediction.seconds_without_failures,
            "efficiency": prediction.shares.computing,
            "shares": shares.into_iter().collect::<Map<String, Value>>(),
            "curve": curve.collect::<Vec<Value>>(),
            "machine": {
                "nodes": machine.nodes(),
                "ranks_per_node": machine.ranks_per_node,
                "latency_s": machine.latency_s,
                "bandwidth_bytes_per_s": machine.bandwidth,
                "disk_bandwidth_bytes_per_s": machine.disk_bandwidth,
                "storage_bandwidth_bytes_per_s": machine.storage_bandwidth,
                "node_mtbf_s": machine.node_mtbf_s,
                "requeue_wait_s": machine.requeue_s,
            },
        })
    }

    /// In words: the seconds and where they go; efficiencies on fewer ranks, if there are fewer.
    pub(super) fn text(&self) -> Vec<String> {
        let Scaling { machine, prediction, curve } = self;
        if prediction.seconds.is_infinite() {
            return vec!["gradient   never done: nodes fail too often".into()];
        }
        let words = |name| match name {
            "disk" => "waiting for disks",
            "begin" => "waiting for the first shot",
            "answers" => "waiting for shots",
            "end" => "idle at the end",
            "sum" => "sums",
            "ledger" => "saving",
            name => name,
        };
        let shares = prediction.shares.named().into_iter().filter(|(_, share)| *share >= WORTH_TELLING);
        let shares: Vec<String> =
            shares.map(|(name, share)| format!("{} {:.1} %", words(name), 100.0 * share)).collect();
        let mut lines = vec![format!("gradient   {:.1} s: {}", prediction.seconds, shares.join(", "))];
        if machine.ranks > 1 {
            let efficiencies = curve.iter().map(|(ranks, _, share)| format!("{ranks}: {:.1} %", 100.0 * share));
            let efficiencies: Vec<String> = efficiencies.collect();
            lines.push(format!("efficiency {} (ranks, without failures)", efficiencies.join(", ")));
        }
        lines
    }
}
