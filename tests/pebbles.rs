//! `treewave pebbles` from outside: every strategy, its counts against reference tables, its pictures, and what it refuses.

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{PROGRAM, errors};
use serde_json::Value;

type Row = HashMap<String, String>;

fn treewave(words: &[&str]) -> Output {
    Command::new(PROGRAM).arg("pebbles").args(words).output().expect("the program starts")
}

/// Standard output of a game that must be played.
fn told(words: &[&str]) -> String {
    let ended = treewave(words);
    assert_eq!(ended.status.code(), Some(0), "{words:?}: {}", errors(&ended));
    String::from_utf8(ended.stdout).expect("the program speaks UTF-8")
}

fn play(words: &[&str]) -> Value {
    let text = told(&[words, &["--json"]].concat());
    let counts: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{words:?}: {e}: {text}"));
    for key in ["advances", "total_forward", "reverse_steps", "peak_states", "stores", "restores"] {
        assert!(counts[key].is_u64(), "{words:?} does not tell {key}: {counts:#}");
    }
    counts
}

/// Every so many rows of a reference table, and the last one; nothing, with a line that says so, where it is absent.
fn rows(table: &str, every: usize) -> Vec<Row> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    if !folder.exists() {
        println!("skipped: ../shared is absent");
        return Vec::new();
    }
    let text = fs::read_to_string(folder.join(table)).expect("the table can be read");
    let mut lines = text.lines().map(|line| line.split(',').map(String::from).collect::<Vec<_>>());
    let head = lines.next().expect("the table has a head");
    let all: Vec<Row> = lines.map(|cells| head.iter().cloned().zip(cells).collect()).collect();
    let last = all.len() - 1;
    let picked: Vec<Row> =
        all.into_iter().enumerate().filter(|(i, _)| i % every == 0 || *i == last).map(|(_, row)| row).collect();
    assert!(picked.len() >= 6, "{table}: {} rows", picked.len());
    picked
}

/// Asserts that keys of the program's answer are columns of a row.
fn assert_told(counts: &Value, row: &Row, pairs: &[(&str, &str)]) {
    for (key, column) in pairs {
        assert_eq!(counts[key].as_f64(), row[*column].parse().ok(), "{key} is not {column}: {counts:#} for {row:?}");
    }
}

#[test]
fn bennett_counts_as_the_paper_s_program_does() {
    for row in rows("bennett_counts.csv", 23) {
        let words = ["--strategy", "bennett", "--steps", &row["n_steps"], "--blocks", &row["k"]];
        let run = play(&words);
        let pairs = [
            ("advances", "forward_steps"),
            ("reverse_steps", "reverse_steps"),
            ("total_forward", "total_steps"),
            ("peak_states", "peak_states_incl_initial"),
            ("clean_total_steps", "clean_total_steps"),
            ("steps_until_n_first_reached", "steps_until_n_first_reached"),
        ];
        assert_told(&run, &row, &pairs);
        let clean = play(&[&words[..], &["--end", "clean"]].concat());
        let pairs = [("total_forward", "clean_total_steps"), ("peak_states", "clean_peak_states_incl_initial")];
        assert_told(&clean, &row, &pairs);
        let reached = play(&[&words[..], &["--end", "reached"]].concat());
        assert_told(&reached, &row, &[("total_forward", "steps_until_n_first_reached")]);
    }
    for row in rows("fig5_bennett.csv", 1) {
        let run = play(&["--strategy", "bennett", "--steps", &row["n_steps"], "--blocks", &row["k"]]);
        assert_told(
            &run,
            &row,
            &[("total_forward", "total_forward_pass"), ("peak_states", "peak_states_incl_initial")],
        );
    }
}

#[test]
fn bennett_lists_the_moves_of_the_paper_s_program() {
    let words = ["--strategy", "bennett", "--steps", "16", "--blocks", "2", "--end", "clean", "--json", "--actions"];
    let game: Value = serde_json::from_str(&told(&words)).expect("one JSON object");
    let line = |row: &Row| format!("{} {}", if row["sign"] == "1" { "put" } else { "remove" }, row["square"]);
    let expected: Vec<Value> = rows("bennett_log_n16_k2_clean.csv", 1).iter().map(|row| line(row).into()).collect();
    assert!(expected.is_empty() || game["actions"] == Value::Array(expected));
    assert_eq!(game["actions"].as_array().map(Vec::len), Some(81));
}

#[test]
fn the_optimal_games_are_played_at_the_proven_minimum() {
    for row in rows("pebble_checkpoint_optimal.csv", 9) {
        let pebbles = &row["pebbles_excl_initial"];
        let words = ["--strategy", "optimal-checkpoint", "--steps", &row["n_squares"]];
        if row["min_put_steps"].is_empty() {
            assert_refused(&[&words[..], &["--pebbles", pebbles]].concat(), "need at least");
            continue;
        }
        let game = play(&[&words[..], &["--pebbles", pebbles]].concat());
        assert_told(&game, &row, &[("advances", "min_put_steps"), ("reverse_steps", "n_squares")]);
        // snapshots are counted with the initial state
        let snapshots = (pebbles.parse::<usize>().expect("a number") + 1).to_string();
        assert_eq!(play(&[&words[..], &["--snapshots", &snapshots]].concat()), game);
    }
    for row in rows("pebble_reversible_optimal.csv", 9) {
        let words = ["--strategy", "optimal-reversible", "--steps", &row["n_squares"]];
        let words = [&words[..], &["--pebbles", &row["pebbles_excl_initial"]]].concat();
        for (end, column) in [("reached", "min_moves_until_n_first_occupied"), ("clean", "min_moves_clean")] {
            let words = [&words[..], &["--end", end]].concat();
            if row[column].is_empty() {
                assert_refused(&words, "need at least");
            } else {
                assert_told(&play(&words), &row, &[("total_forward", column)]);
            }
        }
    }
}

#[test]
fn mixed_multistage_and_disk_revolve_count_as_published() {
    for row in rows("mixed_optimal_steps.csv", 7) {
        let game = play(&["--strategy", "mixed", "--steps", &row["n_steps"], "--snapshots", &row["units"]]);
        assert_told(&game, &row, &[("total_forward", "mixed_total_forward_steps"), ("reverse_steps", "n_steps")]);
    }
    for row in rows("multistage_disk_traffic.csv", 17) {
        let words = ["--strategy", "multistage", "--steps", &row["n_steps"], "--memory-slots", &row["ram_slots"]];
        let words = [&words[..], &["--disk-slots", &row["disk_slots"]]].concat();
        for trajectory in ["maximum", "revolve"] {
            let game = play(&[&words[..], &["--trajectory", trajectory]].concat());
            let writes = format!("disk_writes_trajectory_{trajectory}");
            let reads = format!("disk_reads_trajectory_{trajectory}");
            let pairs =
                [("total_forward", "total_forward_steps"), ("stores_disk", &*writes), ("restores_disk", &*reads)];
            assert_told(&game, &row, &pairs);
        }
    }
    for row in rows("twolevel_unlimited_disk.csv", 17) {
        let costs = ["uf", "ub", "wd", "rd"].map(|cost| row[cost].clone()).join(",");
        let words = ["--strategy", "disk-revolve", "--steps", &row["n_steps"], "--memory-slots", &row["ram_slots"]];
        let words = [&words[..], &["--costs", &costs]].concat();
        assert_told(&play(&words), &row, &[("cost", "disk_revolve_cost")]);
        for (reads, column) in
            [("many", "disk_revolve_cost"), ("once", "disk_revolve_one_read_cost"), ("periodic", "periodic_cost")]
        {
            assert_told(&play(&[&words[..], &["--disk-reads", reads]].concat()), &row, &[("cost", column)]);
        }
    }
}

/// Every strategy with options that fit it.
const GAMES: [&[&str]; 10] = [
    &["treeverse", "--snapshots", "3"],
    &["revolve", "--snapshots", "3"],
    &["bennett", "--blocks", "2"],
    &["two-level", "--memory-slots", "2", "--disk-slots", "2", "--costs", "1,2,1,1"],
    &["optimal-checkpoint", "--pebbles", "4"],
    &["optimal-reversible", "--pebbles", "5"],
    &["store-all"],
    &["mixed", "--snapshots", "3"],
    &["multistage", "--memory-slots", "2", "--disk-slots", "2"],
    &["disk-revolve", "--memory-slots", "2", "--costs", "1,2,1,1"],
];

#[test]
fn every_strategy_is_counted_listed_and_drawn() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = |name: &str| folder.path().join(name).to_str().expect("a plain name").to_string();
    for game in GAMES {
        let (svg, png) = (file(&format!("{}.svg", game[0])), file(&format!("{}.png", game[0])));
        let words = [&["--steps", "20", "--strategy"], game].concat();
        let counts = play(&words);
        let text = told(&[&words[..], &["--actions", "--svg", &svg, "-o", &png]].concat());
        for key in ["strategy", "advances", "peak_states"] {
            let value = counts[key].to_string();
            let line = format!("{key:15} {}", value.trim_matches('"'));
            assert!(text.lines().any(|told| told == line), "{game:?}: no line {line:?} in {text}");
        }
        assert!(text.lines().count() > 8, "{game:?} lists no action: {text}");
        let svg = fs::read_to_string(svg).expect("the drawing was written");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{game:?}");
        assert!(svg.contains(&format!("{}, 20 steps", game[0])), "{game:?}");
        let rects = svg.matches("<rect").count();
        let rows = counts["advances"].as_u64().expect("a number") as usize;
        assert!(rects > 20 * rows, "{game:?}: {rects} squares for {rows} puts");
        let png = fs::read(png).expect("the picture was written");
        assert!(png.starts_with(b"\x89PNG") && png.len() > 2000, "{game:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("it is a folder").count(), 2 * GAMES.len(), "a file was left behind");
}

#[test]
fn the_drawing_of_treeverse_shows_every_put_and_every_painted_square() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let svg = folder.path().join("game.svg");
    told(&["--strategy", "treeverse", "--steps", "20", "--snapshots", "3", "--svg", svg.to_str().expect("plain")]);
    let svg = fs::read_to_string(svg).expect("the drawing was written");
    let discs = |colour: &str| svg.matches(&format!("fill=\"{colour}\"/>\n")).count();
    // 45 puts and one in the legend; each hollow pebble is a black disc with a white one on it
    let black = svg.lines().filter(|line| line.starts_with("<circle") && line.contains("#000000")).count();
    let white = svg.lines().filter(|line| line.starts_with("<circle") && line.contains("#ffffff")).count();
    assert_eq!(black - white, 46);
    // 46 rows of 20 squares: grey or painted, the legend and the flag are painted too
    assert_eq!(discs("#b0b0b0") + discs("#e86a5c"), 46 * 20 + 2);
    let last_row: Vec<&str> = svg.lines().filter(|line| line.starts_with("<rect x")).collect();
    assert!(last_row[45 * 20..46 * 20].iter().all(|line| line.contains("#e86a5c")), "the board ends painted");
}

fn assert_refused(words: &[&str], says: &str) {
    let ended = treewave(words);
    assert_eq!(ended.status.code(), Some(2), "{words:?}: {}", errors(&ended));
    let said = errors(&ended);
    assert!(said.contains(says), "{words:?} does not say {says:?}: {said}");
    assert!(!said.contains("panicked"), "{words:?}: {said}");
}

#[test]
fn options_that_make_no_game_are_refused() {
    let huge = "18446744073709551615";
    let cases: [(&[&str], &str); 27] = [
        (&["--strategy", "chess", "--steps", "5"], "there are treeverse, revolve, bennett"),
        (&["--strategy", "revolve"], "--steps"),
        (&["--steps", "5"], "--strategy"),
        (&["--strategy", "revolve", "--steps", "0", "--snapshots", "2"], "give 1 to"),
        (&["--strategy", "revolve", "--steps", huge, "--snapshots", "2"], "give 1 to"),
        (&["--strategy", "revolve", "--steps", "5"], "needs --snapshots"),
        (&["--strategy", "revolve", "--steps", "5", "--snapshots", "0"], "at least 1 slot"),
        (&["--strategy", "revolve", "--steps", "5", "--snapshots", "2", "--blocks", "2"], "has no option --blocks"),
        (&["--strategy", "store-all", "--steps", "5", "--snapshots", "2"], "it takes none"),
        (&["--strategy", "bennett", "--steps", "5"], "needs --blocks"),
        (&["--strategy", "bennett", "--steps", "5", "--blocks", "1"], "at least 2"),
        (&["--strategy", "bennett", "--steps", "4000000000", "--blocks", "2"], "give fewer steps or more blocks"),
        (&["--strategy", "bennett", "--steps", "5", "--blocks", "2", "--end", "soon"], "clean"),
        (&["--strategy", "optimal-checkpoint", "--steps", "5"], "--snapshots or --pebbles"),
        (&["--strategy", "optimal-checkpoint", "--steps", "5", "--snapshots", "0"], "the initial state counts"),
        (&["--strategy", "optimal-checkpoint", "--steps", "5", "--snapshots", "3", "--pebbles", "2"], "not both"),
        (&["--strategy", "optimal-checkpoint", "--steps", "5", "--pebbles", "1"], "at least 2 pebble"),
        (&["--strategy", "optimal-checkpoint", "--steps", "9000000", "--pebbles", "9"], "fewer squares"),
        (&["--strategy", "optimal-reversible", "--steps", "9", "--pebbles", "3"], "at least 4 pebble"),
        (&["--strategy", "optimal-reversible", "--steps", "9", "--pebbles", "4", "--end", "clean"], "at least 5"),
        (&["--strategy", "mixed", "--steps", "5", "--snapshots", "0"], "at least 1"),
        (&["--strategy", "two-level", "--steps", "5", "--memory-slots", "1"], "needs --costs"),
        (&["--strategy", "disk-revolve", "--steps", "5", "--memory-slots", "1", "--costs", "1,2,3"], "four numbers"),
        (&["--strategy", "disk-revolve", "--steps", "5", "--memory-slots", "1", "--costs=-1,2,3,4"], "an advance"),
        (&["--strategy", "multistage", "--steps", "5", "--memory-slots", "1"], "needs --disk-slots"),
        (&["--strategy", "store-all", "--steps", "5", "-o", "game.jpg"], "must end in .png"),
        (&["--tradeoff"], "-o FILE.png"),
    ];
    for (words, says) in cases {
        assert_refused(words, says);
    }
    assert_refused(&["--tradeoff", "--strategy", "revolve", "-o", "x.png"], "--strategy");
    assert_refused(&["--tradeoff", "-o", "x.svg"], "must end in .png or .csv");
}

#[test]
fn games_too_large_for_a_picture_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("game.png");
    let words = |strategy, steps, option, value| ["--strategy", strategy, "--steps", steps, option, value];
    for words in [words("revolve", "500", "--snapshots", "20"), words("revolve", "300", "--snapshots", "2")] {
        assert_refused(&[&words[..], &["-o", file.to_str().expect("plain")]].concat(), "play fewer steps");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("it is a folder").count(), 0);
    let nowhere = folder.path().join("no/such/folder/game.png");
    let words = ["--strategy", "store-all", "--steps", "5", "-o", nowhere.to_str().expect("plain")];
    assert_eq!(treewave(&words).status.code(), Some(5));
}

#[test]
fn the_trade_off_is_drawn_and_tabled() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = |name: &str| -> PathBuf { folder.path().join(name) };
    told(&["--tradeoff", "-o", file("figure.png").to_str().expect("plain")]);
    let png = fs::read(file("figure.png")).expect("the picture was written");
    assert!(png.starts_with(b"\x89PNG") && png.len() > 20_000);
    let table = fs::read_to_string(file("figure.csv")).expect("the table was written");
    told(&["--tradeoff", "-o", file("alone.csv").to_str().expect("plain")]);
    assert_eq!(fs::read_to_string(file("alone.csv")).expect("the table was written"), table);
    assert_eq!(fs::read_dir(folder.path()).expect("it is a folder").count(), 3);
    let lines: Vec<Vec<f64>> = table
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|cell| cell.parse().unwrap_or_else(|e| panic!("{line}: {e}"))).collect())
        .collect();
    assert_eq!(lines.len(), 4 * 31);
    assert_eq!((lines[0][0], lines[123][0]), (100.0, 1e8));
    for line in lines {
        let [steps, time, treeverse, revolve, bennett, _, _, ratio] = line[..] else { panic!("{line:?}") };
        assert!(revolve <= treeverse && treeverse <= bennett, "{line:?}");
        assert!((ratio - bennett / treeverse).abs() < 1e-6, "{line:?}");
        // τnδ/(δ+1) advances reach n = C(τ+δ, δ): with the next τ that the time does not allow, n is reached
        let delta = treeverse - 1.0;
        let tau = (time * (delta + 1.0) / delta).floor() as u64 + 1;
        let reach = (1..=tau).fold(1.0, |reach, t| reach * (delta + t as f64) / t as f64);
        assert!(reach >= steps, "{line:?}: δ = {delta} is too few");
    }
}
