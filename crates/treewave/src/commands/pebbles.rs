//! `treewave pebbles`: the reversal games, played.

use serde_json::json;
use treewave_reversal::{Action, Costs, Machine, Strategy, Tier};

use super::{Outcome, print_json};
use crate::cli::Pebbles;
use crate::study::misconfigured;

/// Carries the verb out.
///
/// # Errors
/// Code 2 for an unknown strategy or parameters that do not fit it.
pub fn run(arguments: &Pebbles) -> Outcome {
    let (strategy, costs) = strategy(arguments)?;
    let schedule = strategy.schedule(arguments.steps).map_err(misconfigured)?;
    let mut actions = Vec::new();
    let listed = schedule.inspect(|&action| {
        if arguments.actions {
            actions.push(action);
        }
    });
    let counts = Machine::play(arguments.steps, listed);
    let counts = counts.expect("schedules of strategies are legal");
    let mut object = json!({
        "strategy": strategy.name(),
        "steps": arguments.steps,
        "advances": counts.advances,
        "total_forward": counts.total_forward(),
        "reverse_steps": counts.pulled_back,
        "peak_states": counts.peak_states(),
        "stores": counts.stores_after_initial(),
        "restores": counts.restores.total(),
        "stores_disk": counts.stores.disk,
        "restores_disk": counts.restores.disk,
    });
    if let Some(costs) = costs {
        object["cost"] = json!(counts.cost(&costs));
    }
    if arguments.json {
        if arguments.actions {
            object["actions"] = actions.iter().map(|action| json!(line(action))).collect();
        }
        print_json(&object);
    } else {
        actions.iter().for_each(|action| println!("{}", line(action)));
        for (key, value) in object.as_object().expect("it was made as an object") {
            println!("{key:15} {}", value.to_string().trim_matches('"'));
        }
    }
    Ok(0)
}

fn strategy(arguments: &Pebbles) -> Result<(Strategy, Option<Costs>), treewave_cluster::Failure> {
    let snapshots = || {
        let missing = || misconfigured(format!("--strategy {} needs --snapshots", arguments.strategy));
        arguments.snapshots.ok_or_else(missing)
    };
    Ok(match arguments.strategy.as_str() {
        "store-all" => (Strategy::StoreAll, None),
        "treeverse" => (Strategy::Treeverse { snapshots: snapshots()? }, None),
        "revolve" => (Strategy::Revolve { snapshots: snapshots()? }, None),
        "two-level" => {
            let [advance, adjoint, write, read] = arguments.costs[..] else {
                return Err(misconfigured("--strategy two-level needs --costs UF,UB,WD,RD (four numbers)"));
            };
            let missing = || misconfigured("--strategy two-level needs --memory-slots");
            let memory_slots = arguments.memory_slots.ok_or_else(missing)?;
            let costs = Costs { advance, adjoint, write, read };
            (Strategy::TwoLevel { memory_slots, disk_slots: arguments.disk_slots, costs }, Some(costs))
        }
        other => {
            let known = "treeverse, revolve, two-level and store-all";
            return Err(misconfigured(format!("there is no strategy {other:?}; there are {known}")));
        }
    })
}

/// An action in words.
fn line(action: &Action) -> String {
    let tier = |tier| if tier == Tier::Memory { "memory" } else { "disk" };
    match *action {
        Action::Store { step, slot } => format!("store {step} {} {}", tier(slot.tier), slot.index),
        Action::Restore { step, slot } => format!("restore {step} {} {}", tier(slot.tier), slot.index),
        Action::Advance { from, to } => format!("advance {from} {to}"),
        Action::Reverse { from, to } => format!("reverse {from} {to}"),
        Action::Discard { slot } => format!("discard {} {}", tier(slot.tier), slot.index),
    }
}
