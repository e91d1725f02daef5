//! Places where tests kill the process, slow it down or have the disk full; in builds with the feature `failpoints` alone.
//!
//! - `FAILPOINTS` as the crate `fail` reads it: `file.write=3*off->return` has the disk full from the fourth write on,
//!   `shot.begin=50%sleep(20)` delays shots, `shots.order=return` has them done in the opposite order, and
//!   `iteration.save=return` saves nothing.
//!   `part.always=return` keeps shots under way at every look.
//! - `TREEWAVE_KILL=RANK:COUNT` kills a rank when it comes to its COUNT-th place, counted from 1; with `RANK:COUNT:PLACE`
//!   only this place counts.
//! - `TREEWAVE_PLACES=FOLDER` has every rank write the names of the places it comes to into a file of that folder.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fail::FailScenario;

/// All places, by the names they have in the sources.
pub const PLACES: [&str; 24] = [
    "file.create",
    "file.write",
    "file.close",
    "file.sync",
    "file.read_back",
    "file.rename",
    "file.published",
    "folder.create",
    "folder.sync",
    "spill.create",
    "spill.unlink",
    "spill.write",
    "spill.read",
    "ledger.forget_others",
    "ledger.remove",
    "iteration.save",
    "iteration.publish",
    "shots.order",
    "shot.begin",
    "shot.summed",
    "shot.end",
    "gradient.sum",
    "gradient.done",
    "message.collective",
];

/// The place where a shot under way was kept, which a short shot does not come to.
pub const PART_SAVED: &str = "part.saved";

/// Those that there are besides where there are several ranks.
pub const PLACES_OF_RANKS: [&str; 2] = ["message.report", "message.answer"];

/// Reads the environment; the places are as asked for until the answer is dropped.
pub fn set_up() -> FailScenario<'static> {
    let scenario = FailScenario::setup();
    let rank = ["OMPI_COMM_WORLD_RANK", "PMI_RANK"].iter().find_map(|name| std::env::var(name).ok());
    let rank = rank.unwrap_or_else(|| "0".into());
    let kill = std::env::var("TREEWAVE_KILL").ok();
    let mut words = kill.iter().flat_map(|text| text.split(':'));
    let here = words.next() == Some(&rank);
    let at = words.next().filter(|_| here).map(|count| count.parse::<u64>().expect("TREEWAVE_KILL is RANK:COUNT"));
    let only = words.next().map(String::from);
    let file = std::env::var_os("TREEWAVE_PLACES").map(|folder| PathBuf::from(folder).join(&rank));
    if at.is_none() && file.is_none() {
        return scenario;
    }
    let watch = Arc::new(Watch { at, only, file, count: AtomicU64::new(0) });
    for place in PLACES.iter().chain(&PLACES_OF_RANKS).chain([&PART_SAVED]) {
        let watch = watch.clone();
        fail::cfg_callback(*place, move || watch.come_to(place)).expect("a place takes a callback");
    }
    scenario
}

/// What is done at every place.
struct Watch {
    at: Option<u64>,
    only: Option<String>,
    file: Option<PathBuf>,
    count: AtomicU64,
}

impl Watch {
    fn come_to(&self, place: &str) {
        if let Some(file) = &self.file {
            let mut file = OpenOptions::new().append(true).create(true).open(file).expect("the folder can be written");
            writeln!(file, "{place}").expect("the file can be written");
        }
        if self.only.as_ref().is_none_or(|only| only == place)
            && Some(self.count.fetch_add(1, Ordering::SeqCst) + 1) == self.at
        {
            // As a kill: nothing is written, nothing is closed.
            std::process::abort();
        }
    }
}
