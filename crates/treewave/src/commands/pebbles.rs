//! `treewave pebbles`: the reversal games, played, counted and drawn.

mod board;
mod game;
mod tradeoff;

use std::path::Path;

use treewave_cluster::Failure;

use super::{Outcome, print_json};
use crate::cli::Pebbles;
use crate::plot::{PlotError, pebbles, save};
use crate::study::{misconfigured, unwritable};
use game::Game;

/// Carries the verb out.
///
/// # Errors
/// Code 2 for an unknown strategy or parameters that do not fit it, 5 for a picture that cannot be written.
pub fn run(arguments: &Pebbles) -> Outcome {
    if let Some(file) = &arguments.o {
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
        let known: &[&str] = if arguments.tradeoff { &["png", "csv"] } else { &["png"] };
        if !known.contains(&ending.as_str()) {
            return Err(misconfigured(format!(
                "-o {}: the name of the file must end in .{}",
                file.display(),
                known.join(" or .")
            )));
        }
    }
    if arguments.tradeoff { tradeoff::run(arguments) } else { play(arguments) }
}

fn play(arguments: &Pebbles) -> Outcome {
    let game = Game::new(arguments)?;
    // drawn first: a game that is too large for a picture is refused before anything is printed
    if arguments.o.is_some() || arguments.svg.is_some() {
        let drawing = pebbles(&game.board(&counted_title(&game)?)).map_err(refused)?;
        if let Some(file) = &arguments.o {
            drawing.picture().save(file).map_err(refused)?;
        }
        if let Some(file) = &arguments.svg {
            save(file, drawing.svg().as_bytes()).map_err(refused)?;
        }
    }
    let mut object = game.counts()?;
    if arguments.json {
        if arguments.actions {
            object["actions"] = game.lines().collect();
        }
        print_json(&object);
        return Ok(0);
    }
    if arguments.actions {
        game.lines().for_each(|line| println!("{line}"));
    }
    for (key, value) in object.as_object().expect("it was made as an object") {
        println!("{key:15} {}", value.to_string().trim_matches('"'));
    }
    Ok(0)
}

/// What is written above a picture.
fn counted_title(game: &Game) -> Result<String, Failure> {
    let counts = game.counts()?;
    let of = |key: &str| counts[key].as_u64().unwrap_or_default();
    let moves = if game.is_reversible() {
        format!("{} puts, {} removals", of("advances"), of("reverse_steps"))
    } else {
        format!("{} advances", of("advances"))
    };
    Ok(format!("{}: {moves}, {} states", game.title(), of("peak_states")))
}

/// A picture that cannot be: too large, or not to be written there.
fn refused(error: PlotError) -> Failure {
    match error {
        PlotError::Write { .. } => unwritable(error),
        PlotError::TooLong { .. } => misconfigured(format!("{error}; play fewer steps, or leave out -o and --svg")),
        _ => misconfigured(error),
    }
}

/// The file beside another one, with another ending.
fn beside(file: &Path, ending: &str) -> std::path::PathBuf {
    file.with_extension(ending)
}
