//! Logs and plans in words and as JSON.

use serde_json::{Value, json};
use treewave_reversal::{Log, ReversalPlan, Strategy};

/// The log of reversals as JSON; counts are sums over shots and ranks, peaks the highest. `peak_rss_bytes` is the most
/// memory that a rank had.
pub fn log_json(log: &Log, plan: &ReversalPlan, peak_rss_bytes: u64) -> Value {
    let c = &log.counts;
    json!({
        "strategy": plan.strategy.name(),
        "segment_steps": plan.segment_steps,
        "advances": c.advances,
        "recorded": c.recorded,
        "pulled_back": c.pulled_back,
        "stores_memory": c.stores.memory,
        "stores_disk": c.stores.disk,
        "restores_memory": c.restores.memory,
        "restores_disk": c.restores.disk,
        "uncomputed": c.uncomputed,
        "peak_slots_memory": c.peak_slots.memory,
        "peak_slots_disk": c.peak_slots.disk,
        "peak_records": c.peak_records,
        "recompute_factor": log.recompute_factor(),
        "bytes_written": log.bytes_written,
        "bytes_read": log.bytes_read,
        "seconds_waited": log.seconds_waited,
        "seconds_advance": log.seconds_advance,
        "seconds_record": log.seconds_record,
        "seconds_pull_back": log.seconds_pull_back,
        "seconds_snapshots": log.seconds_snapshots,
        "peak_rss_bytes": peak_rss_bytes,
    })
}

/// Bytes for people.
pub fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A plan in one line.
pub fn plan_text(plan: &ReversalPlan) -> String {
    let what = if plan.strategy == Strategy::Inversion { "blocks of forgotten bits" } else { "snapshots" };
    let slots = match (plan.memory_slots, plan.disk_slots) {
        (0, 0) => "no snapshots".to_string(),
        (memory, 0) => format!("{memory} {what} in memory"),
        (memory, disk) => format!("{memory} {what} in memory, {disk} on disk"),
    };
    format!(
        "{}: {} steps in segments of {}, {slots}, {:.2} forward steps per step",
        plan.strategy.name(),
        plan.steps,
        plan.segment_steps,
        plan.recompute_factor
    )
}
