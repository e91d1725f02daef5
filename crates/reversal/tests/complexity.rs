//! How space and time of the games grow: the trade-off of the paper's figure, and the slopes of the table in the
//! documentation.

use std::time::Instant;
use treewave_reversal::game::tradeoff::{Tradeoff, TradeoffCurve, slope, space_by_formula};
use treewave_reversal::game::{OptimalReversible, bennett_counts};
use treewave_reversal::{Machine, Strategy, revolve_advances, treeverse_advances};

fn treeverse_time(steps: usize, delta: usize) -> u64 {
    let schedule = Strategy::Treeverse { snapshots: delta }.schedule(steps).expect("a schedule");
    Machine::play(steps, schedule).expect("a legal schedule").advances
}

#[test]
fn advances_of_treeverse_are_known_without_walking() {
    for steps in (1..=40).chain([100, 333, 1000, 9999]) {
        for delta in [1, 2, 3, 5, 8, 13, 40, 200] {
            if delta > 1 || steps <= 1000 {
                assert_eq!(treeverse_advances(steps, delta), treeverse_time(steps, delta), "{steps}, {delta}");
            }
        }
    }
}

#[test]
fn the_space_of_the_trade_off_is_enough_and_one_state_less_is_not() {
    for steps in [100, 1000] {
        let curve = TradeoffCurve::new(steps);
        for overhead in [2.0, 2.5, 3.0, 5.0, 8.0, 16.0, 32.0] {
            let Tradeoff { treeverse, revolve, bennett, bennett_blocks, .. } =
                curve.at(overhead).expect("there is a way");
            let allowed = (overhead * steps as f64) as u64;
            let delta = treeverse as usize - 1;
            assert!(treeverse_time(steps, delta) <= allowed);
            assert!((1..delta).all(|delta| treeverse_time(steps, delta) > allowed), "{steps} steps, {overhead}");
            let snapshots = revolve as usize - 1;
            assert!(revolve_advances(steps, snapshots).is_some_and(|advances| advances <= allowed));
            assert!(
                snapshots == 1 || revolve_advances(steps, snapshots - 1).is_some_and(|advances| advances > allowed)
            );
            let counts = bennett_counts(steps, bennett_blocks as usize, false);
            assert!(counts.total() <= allowed && counts.peak_pebbles == bennett);
            for blocks in 2..=steps {
                let counts = bennett_counts(steps, blocks, false);
                assert!(counts.total() > allowed || counts.peak_pebbles >= bennett, "{blocks} blocks are better");
            }
            assert!(treeverse <= bennett, "{steps} steps, {overhead}");
        }
        assert!(curve.at(1.9).is_none() && curve.at(f64::NAN).is_none() && curve.at(f64::INFINITY).is_none());
    }
}

#[test]
fn the_trade_off_of_a_hundred_million_steps_takes_seconds() {
    let began = Instant::now();
    let curve = TradeoffCurve::new(100_000_000);
    let at: Vec<Tradeoff> = [2.0, 4.0, 16.0, 32.0].into_iter().map(|x| curve.at(x).expect("a way")).collect();
    println!("{at:?} in {:.1?}", began.elapsed());
    assert!(began.elapsed().as_secs_f64() < 60.0, "generous: the machine may be busy");
    assert!(at.windows(2).all(|pair| pair[1].treeverse < pair[0].treeverse && pair[1].bennett < pair[0].bennett));
    // reversible computing needs more space, all the more the more time there is
    let ratio = |one: &Tradeoff| one.bennett as f64 / one.treeverse as f64;
    assert!(at[..3].windows(2).all(|pair| ratio(&pair[1]) > ratio(&pair[0])), "{at:?}");
}

#[test]
fn the_formulas_of_the_paper_hold_where_the_games_are_exact() {
    // 20 = C(6, 3); Bennett's 16 = 4², (2 − 1/4) times the steps, 2·3 pebbles besides the first and the last
    assert!((space_by_formula(20, 3).1 - 3.0).abs() < 1e-9);
    let game = bennett_counts(16, 4, false);
    assert_eq!((game.total(), game.peak_pebbles), (28, 8));
    for (steps, time) in [(10_000, 4), (1_000_000, 8), (100_000_000, 16)] {
        let (bennett, treeverse) = space_by_formula(steps, time);
        let at = TradeoffCurve::new(steps).at(f64::from(time)).expect("a way");
        // the formula takes the time to be τn, a little more than it is, which spares less than a pebble; or more pebbles,
        // since they are whole
        assert!((at.treeverse as f64 - 1.0 - treeverse).abs() < 1.0, "{at:?}, {treeverse}");
        // whole numbers of blocks and levels, and the pebbles on the first and on the last square
        assert!((bennett..1.5 * bennett).contains(&(at.bennett as f64)), "{at:?}, {bennett}");
    }
}

/// What is measured for a row of the table.
fn measured(row: &str) -> Option<f64> {
    let powers = |base: usize, from: u32, to: u32| (from..=to).map(move |power| base.pow(power));
    let fit = |points: Vec<(f64, f64)>| Some(slope(&points));
    let space_at = |overhead: f64, of: fn(&Tradeoff) -> u64| {
        let steps = powers(10, 4, 8);
        let point = |steps| {
            let states = of(&TradeoffCurve::new(steps).at(overhead).expect("a way"));
            (steps as f64, states as f64)
        };
        fit(steps.map(point).collect())
    };
    let per_log2 = |space: Vec<(f64, f64)>| {
        // a straight line over log₂ T: the slope of a power law over T, of 2 to the power of the space
        Some(1.0 / slope(&space.into_iter().map(|(steps, states)| (2f64.powf(states), steps)).collect::<Vec<_>>()))
    };
    match row {
        "checkpoint, T′/T ≤ 2: S′" => space_at(2.0, |at| at.treeverse),
        "checkpoint, T′/T ≤ 3: S′" => space_at(3.0, |at| at.treeverse),
        "checkpoint, T′/T ≤ 4: S′" => space_at(4.0, |at| at.treeverse),
        "checkpoint, δ = 1: T′" => {
            fit(powers(2, 10, 20).map(|n| (n as f64, treeverse_advances(n, 1) as f64)).collect())
        }
        "checkpoint, δ = 2: T′" => {
            fit(powers(2, 14, 26).map(|n| (n as f64, treeverse_advances(n, 2) as f64)).collect())
        }
        "checkpoint, δ = τ: S′ per log₂ T" => {
            // η(δ, δ) steps
            let reach = |delta: u64| (1..=delta).fold(1.0, |reach, d| reach * (delta + d) as f64 / d as f64);
            per_log2((8..=16).map(|delta| (reach(delta), delta as f64 + 1.0)).collect())
        }
        "reversible, T′/T ≤ 4: S′" => space_at(4.0, |at| at.bennett),
        "reversible, T′/T ≤ 8: S′" => space_at(8.0, |at| at.bennett),
        "reversible, k = 2: T′" => {
            fit(powers(2, 4, 26).map(|n| (n as f64, bennett_counts(n, 2, true).total() as f64)).collect())
        }
        "reversible, k = 2: S′ per log₂ T" => {
            per_log2(powers(2, 4, 26).map(|n| (n as f64, bennett_counts(n, 2, true).peak_pebbles as f64)).collect())
        }
        "reversible, least S′: T′" => {
            // p pebbles leave square 2^(p−1) alone on the board
            let point = |p: usize| {
                let best = OptimalReversible::new(1 << (p - 1), p).ok().and_then(|player| player.moves_clean());
                best.map(|moves| ((1 << (p - 1)) as f64, moves as f64))
            };
            fit((3..=10).filter_map(point).collect())
        }
        _ => None,
    }
}

#[test]
fn the_slopes_in_the_documentation_are_those_measured() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/theory/pebble-games.md");
    let page = std::fs::read_to_string(page).expect("the page is part of the sources");
    let (mut rows, mut wrong) = (0, Vec::new());
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", row, _theory, told, ""] = cells[..] else { continue };
        let Some(found) = measured(row) else { continue };
        println!("{row}: {found:.3}");
        if told != format!("{found:.2}") {
            wrong.push(format!("{row}: the page says {told}, measured was {found:.3}"));
        }
        rows += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(rows, 11);
}
