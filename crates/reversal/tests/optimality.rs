//! The claim to be optimal, against a search through all games.

mod common;

use common::COSTS;
use std::cmp::Reverse as Least;
use std::collections::{BinaryHeap, HashMap};
use treewave_reversal::{Costs, revolve_advances, two_level_cost};

/// Everything that a game can be in the middle of; sets of steps as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Position {
    working: Option<usize>,
    adjoint: usize,
    memory: u32,
    disk: u32,
}

/// The positions that one action leads to, with its cost.
fn moves(from: Position, steps: usize, slots: (u32, u32), costs: &Costs) -> Vec<(f64, Position)> {
    let mut next = Vec::new();
    for step in 0..steps {
        let bit = 1 << step;
        for (tier, other) in [(from.memory, false), (from.disk, true)] {
            if tier & bit != 0 {
                let (memory, disk) =
                    if other { (from.memory, from.disk & !bit) } else { (from.memory & !bit, from.disk) };
                next.push((0.0, Position { memory, disk, ..from }));
                let read = if other { costs.read } else { 0.0 };
                next.push((read, Position { working: Some(step), ..from }));
            }
        }
    }
    if let Some(at) = from.working {
        if at < steps {
            next.push((costs.advance, Position { working: Some(at + 1), ..from }));
        }
        if at + 1 == from.adjoint {
            next.push((costs.adjoint, Position { working: None, adjoint: at, ..from }));
        }
        if from.memory.count_ones() < slots.0 {
            next.push((0.0, Position { memory: from.memory | 1 << at, ..from }));
        }
        if from.disk.count_ones() < slots.1 {
            next.push((costs.write, Position { disk: from.disk | 1 << at, ..from }));
        }
    }
    next
}

/// The least cost of all games, by Dijkstra's search; costs are multiples of 1/8, so that they are exact as integers.
fn searched(steps: usize, memory: u32, disk: u32, costs: &Costs) -> f64 {
    let start = Position { working: Some(0), adjoint: steps, memory: 0, disk: 0 };
    let mut known = HashMap::from([(start, 0)]);
    let mut open = BinaryHeap::from([Least((0u64, start))]);
    while let Some(Least((cost, position))) = open.pop() {
        if position.adjoint == 0 {
            return cost as f64 / 8.0;
        }
        if known[&position] < cost {
            continue;
        }
        for (more, next) in moves(position, steps, (memory, disk), costs) {
            let cost = cost + (8.0 * more) as u64;
            if known.get(&next).is_none_or(|&known| cost < known) {
                known.insert(next, cost);
                open.push(Least((cost, next)));
            }
        }
    }
    f64::INFINITY
}

#[test]
fn no_game_whatsoever_is_cheaper_than_two_level() {
    for steps in 2..=7 {
        for (memory, disk) in [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)] {
            for (write, read) in [(0.0, 0.0), (0.125, 0.5), (0.5, 0.125), (2.0, 1.0), (1.0, 4.0)] {
                let costs = Costs { write, read, ..COSTS };
                let found = two_level_cost(steps, memory, Some(disk), costs);
                let least = searched(steps, memory as u32, disk as u32, &costs);
                assert_eq!(found, Ok(least), "{steps} steps, R {memory}, D {disk}, {costs:?}");
            }
        }
    }
}

#[test]
fn no_game_whatsoever_advances_less_than_revolve() {
    let costs = Costs { advance: 1.0, adjoint: 0.0, write: 0.0, read: 0.0 };
    for steps in 2..=9 {
        for snapshots in 1..=3 {
            let least = searched(steps, snapshots as u32, 0, &costs);
            assert_eq!(revolve_advances(steps, snapshots).map(|advances| advances as f64), Some(least));
        }
    }
}
