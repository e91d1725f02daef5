//! What the tests share: golden files, and a small chaotic evolution with a hand-written adjoint.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod lorenz;

use std::collections::HashMap;
use treewave_reversal::{Costs, DiskReads, Strategy, Trajectory};

/// The rows of a golden file by column name; `None`, with a message, where the shared folder is absent.
pub fn golden(name: &str) -> Option<Vec<HashMap<String, String>>> {
    let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    if !std::path::Path::new(shared).exists() {
        println!("skipped: ../shared is absent");
        return None;
    }
    let path = format!("{shared}/golden/{name}");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let row = |line: &str| columns.iter().map(|c| c.to_string()).zip(line.split(',').map(String::from)).collect();
    Some(lines.map(row).collect())
}

/// A column of a row as a number.
pub fn number<T: std::str::FromStr>(row: &HashMap<String, String>, column: &str) -> T {
    row[column].parse().unwrap_or_else(|_| panic!("{column} is no number in {row:?}"))
}

/// Reproducible numbers below a bound (xorshift).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

pub const COSTS: Costs = Costs { advance: 1.0, adjoint: 2.0, write: 3.0, read: 2.0 };

/// Every strategy that any number of steps is played by in no time, with that many slots of each tier, or blocks.
pub fn strategies(memory: usize, disk: usize) -> Vec<Strategy> {
    vec![
        Strategy::StoreAll,
        Strategy::Treeverse { snapshots: memory },
        Strategy::Revolve { snapshots: memory },
        Strategy::TwoLevel { memory_slots: memory, disk_slots: Some(disk), costs: COSTS },
        Strategy::TwoLevel { memory_slots: memory, disk_slots: None, costs: COSTS },
        Strategy::Multistage { memory_slots: memory, disk_slots: disk, trajectory: Trajectory::Maximum },
        Strategy::Multistage { memory_slots: memory, disk_slots: disk, trajectory: Trajectory::Revolve },
        Strategy::DiskRevolve { memory_slots: memory, costs: COSTS, reads: DiskReads::Many },
        Strategy::DiskRevolve { memory_slots: memory, costs: COSTS, reads: DiskReads::Periodic },
        Strategy::Bennett { blocks: memory + 1 },
    ]
}
