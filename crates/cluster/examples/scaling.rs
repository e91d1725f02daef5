//! The tables of `docs/scaling.md`, by simulation: `cargo run --release -p treewave-cluster --example scaling`.
//!
//! Unless a table says otherwise: the usual machine with two ranks per node, a model of 10⁶ cells, a ledger once a minute, shots of 60 s in
//! the mean.

use std::time::{Duration, Instant};

use treewave_cluster::simulation::{Gradient, Machine, Prediction, predict, sum_bytes, sum_s};

const MEAN_S: f64 = 60.0;
const CELLS: usize = 1_000_000;
const MINUTE: Duration = Duration::from_secs(60);
const YEAR_S: f64 = 365.25 * 86400.0;

fn main() {
    let began = Instant::now();
    strong_scaling();
    shots_per_rank();
    order();
    sums();
    disks();
    failures();
    ledger();
    short_shots();
    eprintln!("all in {:.1} s", began.elapsed().as_secs_f64());
}

fn usual(ranks: usize) -> Machine {
    Machine { ranks_per_node: 2, ..Machine::of_ranks(ranks) }
}

fn work(shot_s: &[f64]) -> Gradient<'_> {
    Gradient { shot_s, spilled_bytes: 0.0, cells: CELLS, ledger_every: MINUTE }
}

/// Costs that are spread evenly from the cheapest to `spread` times that, the dearest first.
fn costs(shots: usize, mean_s: f64, spread: f64) -> Vec<f64> {
    let cheapest = 2.0 * mean_s / (1.0 + spread);
    let place = |i: usize| if shots > 1 { i as f64 / (shots - 1) as f64 } else { 0.5 };
    (0..shots).map(|i| cheapest * (spread - (spread - 1.0) * place(i))).collect()
}

/// The same costs in an order that knows nothing of them.
fn shuffled(costs: &[f64]) -> Vec<f64> {
    let mut places: Vec<(u64, f64)> = costs.iter().enumerate().map(|(i, &cost)| (random(i as u64), cost)).collect();
    places.sort_by_key(|(place, _)| *place);
    places.into_iter().map(|(_, cost)| cost).collect()
}

/// A number that looks random, the same for the same seed (splitmix64: Steele, Lea & Flood 2014).
fn random(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn table(title: &str, columns: &[&str]) {
    println!("\n{title}\n\n| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
}

fn row(words: &[String]) {
    println!("| {} |", words.join(" | "));
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

/// Seconds, and shares in percent.
fn parts(prediction: &Prediction) -> Vec<String> {
    let shares = prediction.shares.named().map(|(_, share)| percent(share));
    std::iter::once(format!("{:.1}", prediction.seconds)).chain(shares).collect()
}

const PARTS: [&str; 9] = ["s", "computing", "disk", "begin", "answers", "end", "sum", "ledger", "failures"];

fn strong_scaling() {
    for (what, spread, exponent) in
        [("equal", 1.0, 6), ("of 1 to 4 units", 4.0, 6), ("equal", 1.0, 7), ("equal", 1.0, 8)]
    {
        let costs = costs(100_000, MEAN_S, spread);
        table(&format!("100,000 shots, {what}, 10^{exponent} cells; shares in %"), &[&["ranks"], &PARTS[..]].concat());
        for ranks in [1, 100, 1000, 2000, 5000, 10_000] {
            let work = Gradient { cells: 10usize.pow(exponent), ..work(&costs) };
            row(&[vec![ranks.to_string()], parts(&predict(&usual(ranks), &work))].concat());
        }
    }
}

fn shots_per_rank() {
    let columns = ["ranks", "spread", "100 each", "10 each", "3 each", "2 each", "1.5 each", "1 each"];
    table("Efficiency in % by shots per rank, no failures", &columns);
    for ranks in [10, 100, 1000, 10_000] {
        for spread in [1.0, 2.0, 4.0] {
            let efficiency = |each: f64| {
                let costs = costs((each * ranks as f64) as usize, MEAN_S, spread);
                let machine = Machine { node_mtbf_s: f64::INFINITY, ..usual(ranks) };
                percent(predict(&machine, &work(&costs)).shares.computing)
            };
            // A million shots say nothing new.
            let hundred = if ranks <= 1000 { efficiency(100.0) } else { "–".into() };
            let rest = [10.0, 3.0, 2.0, 1.5, 1.0].map(efficiency);
            row(&[vec![ranks.to_string(), format!("1:{spread}"), hundred], rest.to_vec()].concat());
        }
    }
}

fn order() {
    let columns = ["ranks", "shots", "dearest first", "any order"];
    table("Idle at the end in %, shots of 1 to 4 units", &columns);
    for (ranks, each) in [(100, 100), (100, 10), (1000, 10), (1000, 3), (10_000, 10)] {
        let costs = costs(ranks * each, MEAN_S, 4.0);
        let end = |costs: &[f64]| {
            let machine = Machine { node_mtbf_s: f64::INFINITY, ..usual(ranks) };
            percent(predict(&machine, &work(costs)).shares.end)
        };
        row(&[ranks.to_string(), (ranks * each).to_string(), end(&costs), end(&shuffled(&costs))]);
    }
}

fn sums() {
    let columns = [
        "cells",
        "bytes of a rank",
        "100 ranks, 1, 2, 8 per node",
        "10,000 ranks, 1, 2, 8 per node",
        "rank 0 keeps it",
    ];
    table("Seconds of the sum", &columns);
    for exponent in 6..10 {
        let cells = 10usize.pow(exponent);
        let bytes = sum_bytes(cells);
        let seconds = |ranks: usize| {
            let on = [1, 2, 8].map(|ranks_per_node| {
                format!("{:.2}", sum_s(&Machine { ranks_per_node, ..Machine::of_ranks(ranks) }, bytes))
            });
            on.join(", ")
        };
        let kept = bytes / treewave_cluster::simulation::PROCESS_STORAGE_BANDWIDTH;
        row(&[
            format!("10^{exponent}"),
            format!("{:.2} GB", bytes / 1e9),
            seconds(100),
            seconds(10_000),
            format!("{kept:.2}"),
        ]);
    }
}

fn disks() {
    let columns = ["spilled per shot", "1 rank per node", "2", "4", "8"];
    table("Efficiency in % on 64 ranks, 640 shots, disks of 1 GB/s", &columns);
    let costs = costs(640, MEAN_S, 1.0);
    for gigabytes in [1.0, 10.0, 20.0, 50.0, 100.0] {
        let efficiency = [1, 2, 4, 8].map(|ranks_per_node| {
            let machine = Machine { ranks_per_node, node_mtbf_s: f64::INFINITY, ..usual(64) };
            // Written and read once.
            let work = Gradient { spilled_bytes: 2e9 * gigabytes, ..work(&costs) };
            percent(predict(&machine, &work).shares.computing)
        });
        row(&[vec![format!("{gigabytes} GB")], efficiency.to_vec()].concat());
    }
}

fn failures() {
    let columns = ["ranks", "shots", "of", "node fails every", "a node fails every", "lost to failures, %"];
    table("Ten minutes to start again, 10 shots per rank", &columns);
    for (ranks, shot_s) in [(100, 600.0), (1000, 600.0), (10_000, 60.0)] {
        let costs = costs(10 * ranks, shot_s, 1.0);
        for years in [1.0, 5.0, 20.0] {
            let machine = Machine { node_mtbf_s: years * YEAR_S, ..usual(ranks) };
            let job_h = machine.node_mtbf_s / machine.nodes() as f64 / 3600.0;
            let lost = predict(&machine, &work(&costs)).shares.failures;
            row(&[
                ranks.to_string(),
                (10 * ranks).to_string(),
                format!("{shot_s} s"),
                format!("{years} years"),
                format!("{job_h:.1} h"),
                percent(lost),
            ]);
        }
    }
}

fn ledger() {
    let columns = ["cells", "a save", "every minute", "10 minutes", "hour", "never"];
    table("Saving and failures together in %, 1000 ranks, 10,000 shots of 600 s, a node fails every year", &columns);
    let costs = costs(10_000, 600.0, 1.0);
    for cells in [1_000_000, 10_000_000, 100_000_000] {
        let machine = Machine { node_mtbf_s: YEAR_S, ..usual(1000) };
        let lost = [60, 600, 3600, 10_000_000].map(|seconds| {
            let work = Gradient { cells, ledger_every: Duration::from_secs(seconds), ..work(&costs) };
            let shares = predict(&machine, &work).shares;
            percent(shares.ledger + shares.failures)
        });
        let save_s = sum_bytes(cells) / (machine.storage_bandwidth / 1000.0);
        row(&[vec![format!("{cells:e}"), format!("{save_s:.1} s")], lost.to_vec()].concat());
    }
}

fn short_shots() {
    let columns = ["shots of", "100 ranks", "1000 ranks", "10,000 ranks"];
    table("Efficiency in %, 10 equal shots per rank, 10^4 cells, no failures", &columns);
    for shot_s in [0.01, 0.1, 1.0, 10.0] {
        let efficiency = [100, 1000, 10_000].map(|ranks| {
            let costs = costs(10 * ranks, shot_s, 1.0);
            let machine = Machine { node_mtbf_s: f64::INFINITY, ..usual(ranks) };
            percent(predict(&machine, &Gradient { cells: 10_000, ..work(&costs) }).shares.computing)
        });
        row(&[vec![format!("{shot_s} s")], efficiency.to_vec()].concat());
    }
}
