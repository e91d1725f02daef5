//! Mutated configurations are read and checked, or refused: no panic, no crash, no hang, and in bounded memory.

#[path = "../crates/storage/tests/common/campaign.rs"]
mod campaign;

use std::path::Path;

use campaign::{Dice, Outcome, campaign, damage, many_cases};
use treewave::config::keys::Equation;
use treewave::config::{Config, from_text};
use treewave::stage::stage_band;
use treewave::study::Study;

/// Configurations that are shipped.
const TEXTS: [&str; 5] = [
    include_str!("../configs/circle.toml"),
    include_str!("../configs/marmousi.toml"),
    include_str!("../configs/overthrust.toml"),
    include_str!("../configs/quickstart.toml"),
    include_str!("../configs/three-layers.toml"),
];

/// Values that stand where others stood.
const VALUES: [&str; 36] = [
    "0",
    "-1",
    "1",
    "2",
    "7",
    "1000000",
    "16777217",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
    "0.0",
    "-0.0",
    "1e-300",
    "1e-12",
    "1e-5",
    "1e5",
    "1e300",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "true",
    "\"\"",
    "\"auto\"",
    "\"constant\"",
    "\"seed-pml\"",
    "\"1e99 GiB\"",
    "\"::0\"",
    "[]",
    "{}",
    "[1000000, 1000000]",
    "[1000000, 1000000, 1000000]",
    "[1, 1]",
    "{ start = 0, stop = 1e9, count = 1000000 }",
    "{ synthetic = true }",
    "1979-05-27T07:32:00Z",
];

/// Address space of a process that reads configurations, in KiB.
const MEMORY_KIB: u64 = 1 << 20;
/// Cases that every test run makes.
const FEW: u64 = 2000;
/// One configuration in so many is loaded: models are made, and the time axes of all stages.
const LOADED: u64 = 4;

fn mutate(text: &str, dice: &mut Dice) -> String {
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    for _ in 0..1 + dice.below(3) {
        if lines.is_empty() {
            break;
        }
        let (at, other) = (dice.below(lines.len()), dice.below(lines.len()));
        match dice.below(9) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[other].clone()),
            2 => lines.swap(at, other),
            3..=5 => {
                // The value after any of the equals signs of the line.
                let signs: Vec<usize> = lines[at].match_indices('=').map(|(i, _)| i).collect();
                if !signs.is_empty() {
                    let begin = dice.pick(&signs) + 1;
                    let rest = &lines[at][begin..];
                    let end = begin + rest.find([',', '}', '#']).unwrap_or(rest.len());
                    lines[at].replace_range(begin..end, &format!(" {} ", dice.pick(&VALUES)));
                }
            }
            6 => lines[at] = lines[at].replacen(['a', 'e', 's'], "t", 1),
            7 => lines.truncate(at),
            _ => {
                let mut bytes = lines[at].clone().into_bytes();
                damage(&mut bytes, dice);
                lines[at] = String::from_utf8_lossy(&bytes).into_owned();
            }
        }
    }
    lines.join("\n")
}

/// Models and time axes, as `treewave check` makes them.
fn load(config: Config) -> Result<(), treewave_cluster::Failure> {
    let study = Study::load(config)?;
    if study.config.physics.equation == Equation::Acoustic {
        for stage in 0..study.config.stages.len() {
            stage_band(&study, stage)?;
        }
    }
    Ok(())
}

fn case(number: u64, folder: &Path) -> Outcome {
    let mut dice = Dice(number);
    let text = mutate(TEXTS[number as usize % TEXTS.len()], &mut dice);
    let Ok(config) = from_text(&text, folder, &[]) else { return Outcome::Refused };
    // A number of its own, so that every text is among the loaded ones.
    let loaded = dice.below(LOADED as usize) == 0;
    if loaded && load(config).is_err() { Outcome::Refused } else { Outcome::Accepted }
}

#[test]
fn mutated_configurations_are_accepted_or_refused() {
    let tally = campaign("mutated_configurations_are_accepted_or_refused", 0..FEW, MEMORY_KIB, case);
    tally.assert_all_ended_well("mutated configurations");
    assert!(tally.accepted > FEW / 20 && tally.refused > FEW / 20, "{}", tally.text());
}

#[test]
#[ignore = "several minutes"]
fn a_hundred_thousand_mutated_configurations_are_accepted_or_refused() {
    let test = "a_hundred_thousand_mutated_configurations_are_accepted_or_refused";
    campaign(test, 0..many_cases(), MEMORY_KIB, case).assert_all_ended_well("mutated configurations");
}
