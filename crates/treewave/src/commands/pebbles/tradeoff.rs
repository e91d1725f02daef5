//! Space against time, as a picture and a table.

use treewave_reversal::game::tradeoff::{Tradeoff, TradeoffCurve, space_by_formula};

use super::{beside, refused};
use crate::cli::Pebbles;
use crate::commands::Outcome;
use crate::plot::{SpaceOfSize, SpaceTime, save, tradeoff};
use crate::study::misconfigured;

/// Numbers of steps.
const POWERS: [u32; 4] = [2, 4, 6, 8];

/// Time overheads as in the paper: 2 to 32.
const OVERHEADS: [u32; 31] = {
    let mut all = [2; 31];
    let mut i = 1;
    while i < all.len() {
        all[i] = all[i - 1] + 1;
        i += 1;
    }
    all
};

/// Draws the figure and writes the table beside it, or the table alone.
///
/// # Errors
/// Code 2 without a file to write, 5 if it cannot be written.
pub(super) fn run(arguments: &Pebbles) -> Outcome {
    let file = arguments.o.as_ref().ok_or_else(|| misconfigured("--tradeoff needs -o FILE.png or -o FILE.csv"))?;
    let mut table = String::from(
        "steps,time_overhead,treeverse_states,revolve_states,bennett_states,bennett_blocks,two_level_memory_states,\
         bennett_over_treeverse\n",
    );
    let mut picture = SpaceTime { time: OVERHEADS.map(f64::from).to_vec(), sizes: Vec::new(), with_disk: Vec::new() };
    for power in POWERS {
        let steps = 10_usize.pow(power);
        let curve = TradeoffCurve::new(steps);
        let all: Vec<Tradeoff> = picture
            .time
            .iter()
            .map(|&time| curve.at(time).expect("every game has a way within twice the time"))
            .collect();
        for (time, at) in picture.time.iter().zip(&all) {
            let ratio = at.bennett as f64 / at.treeverse as f64;
            let Tradeoff { treeverse, revolve, bennett, bennett_blocks, two_level_memory } = at;
            table += &format!(
                "{steps},{time},{treeverse},{revolve},{bennett},{bennett_blocks},{two_level_memory},{ratio:.6}\n"
            );
        }
        let values = |of: fn(&Tradeoff) -> u64| all.iter().map(|at| of(at) as f64).collect();
        let formula = OVERHEADS.map(|time| space_by_formula(steps, time));
        let formula = [formula.map(|(bennett, _)| bennett), formula.map(|(_, treeverse)| treeverse)];
        let name = format!("10{}", ["²", "⁴", "⁶", "⁸"][power as usize / 2 - 1]);
        picture.sizes.push(SpaceOfSize {
            name,
            bennett: values(|at| at.bennett),
            treeverse: values(|at| at.treeverse),
            revolve: values(|at| at.revolve),
            formula: formula.map(|values| values.to_vec()),
        });
        picture.with_disk = values(|at| at.two_level_memory);
    }
    if file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
        tradeoff(&picture).and_then(|picture| picture.save(file)).map_err(refused)?;
    }
    save(&beside(file, "csv"), table.as_bytes()).map_err(refused)?;
    Ok(0)
}
