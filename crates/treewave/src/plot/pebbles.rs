//! A pebble game: squares across, moves down.

use super::PlotError;
use super::canvas::{Anchor, INK, Lettering, MUTED, Rgb, WHITE, text_width};
use super::drawing::{Drawing, Mark};

/// A game, move by move.
#[derive(Clone, Debug, PartialEq)]
pub struct PebbleGame {
    /// Written above.
    pub title: String,
    /// Squares of the board; the last one is flagged.
    pub squares: usize,
    /// The board before the first move, and after each.
    pub rows: Vec<PebbleRow>,
}

/// The board after a move.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PebbleRow {
    /// The square that a pebble was put on.
    pub placed: Option<usize>,
    /// The squares that pebbles were removed from.
    pub removed: Vec<usize>,
    /// The squares with the other pebbles.
    pub standing: Vec<usize>,
    /// The painted squares are those from here on.
    pub painted_from: usize,
}

/// The board with the most squares, and the longest game, that a picture shows.
pub const LARGEST_BOARD: (usize, usize) = (400, 4000);

const SQUARE: Rgb = [176, 176, 176];
const PAINTED: Rgb = [232, 106, 92];
const STANDING: Rgb = [96, 96, 96];
const PLACED: Rgb = [0, 0, 0];

/// Room around the board in pixels.
const LEFT: usize = 76;
const TOP: usize = 104;
const BOTTOM: usize = 64;

/// Draws a game as the paper does.
///
/// # Errors
/// No square, no row, or a larger game than [`LARGEST_BOARD`].
pub fn pebbles(game: &PebbleGame) -> Result<Drawing, PlotError> {
    let (squares, rows) = (game.squares, game.rows.len());
    if squares == 0 || rows == 0 {
        return Err(PlotError::Empty { what: "the game has no move".to_string() });
    }
    let (most_squares, most_rows) = LARGEST_BOARD;
    for (what, found, expected) in [("the board", squares, most_squares), ("the game", rows, most_rows)] {
        if found > expected {
            return Err(PlotError::TooLong { what: what.to_string(), found, expected });
        }
    }
    let layout = Layout::new(squares, rows);
    let mut marks = Vec::new();
    for (i, row) in game.rows.iter().enumerate() {
        layout.row(row, i, &mut marks);
    }
    layout.axes(&mut marks);
    let legend = legend(&mut marks, layout.bottom() + 22.0);
    let width = (LEFT + squares * layout.cell + 24).max(legend.max(text_width(&game.title, 20.0)).ceil() as usize + 32);
    marks.push(Mark::Text(game.title.clone(), [16.0, 16.0], Lettering::new(20.0, Anchor(0.0, 0.0))));
    Ok(Drawing { width, height: TOP + rows * layout.cell + BOTTOM, marks })
}

/// Where squares are, in pixels.
struct Layout {
    squares: usize,
    rows: usize,
    /// From a square to the next.
    cell: usize,
    /// Between two squares.
    gap: usize,
}

impl Layout {
    fn new(squares: usize, rows: usize) -> Self {
        // large enough to see every pebble, and no larger than a screen or two where that leaves the choice
        let cell = (2400 / squares.max(rows)).clamp(10, 24);
        Layout { squares, rows, cell, gap: cell / 8 }
    }

    fn bottom(&self) -> f64 {
        (TOP + self.rows * self.cell) as f64
    }

    fn centre(&self, square: usize, row: usize) -> [f64; 2] {
        let side = self.cell as f64;
        let at = |start: usize, i: usize| start as f64 + i as f64 * side + 0.5 * (side - self.gap as f64);
        [at(LEFT, square), at(TOP, row)]
    }

    fn row(&self, row: &PebbleRow, index: usize, marks: &mut Vec<Mark>) {
        let side = self.cell - self.gap;
        let radius = 0.31 * side as f64;
        for square in 0..self.squares {
            let place = [LEFT + square * self.cell, TOP + index * self.cell, side, side];
            marks.push(Mark::Rectangle(place, if square >= row.painted_from { PAINTED } else { SQUARE }));
        }
        for &square in &row.standing {
            marks.push(Mark::Disc(self.centre(square, index), radius, STANDING));
        }
        for &square in &row.removed {
            hollow(marks, self.centre(square, index), radius);
        }
        if let Some(square) = row.placed {
            marks.push(Mark::Disc(self.centre(square, index), radius, PLACED));
        }
    }

    fn axes(&self, marks: &mut Vec<Mark>) {
        let muted = |anchor| Lettering { colour: MUTED, ..Lettering::new(13.0, anchor) };
        let spacing = if self.cell >= 16 { 5 } else { 10 };
        for square in (0..self.squares).step_by(spacing) {
            let at = [self.centre(square, 0)[0], TOP as f64 - 8.0];
            marks.push(Mark::Text(square.to_string(), at, muted(Anchor(0.5, 1.0))));
        }
        for row in (0..self.rows).step_by(spacing) {
            let at = [LEFT as f64 - 10.0, self.centre(0, row)[1]];
            marks.push(Mark::Text(row.to_string(), at, muted(Anchor(1.0, 0.5))));
        }
        let ink = |anchor| Lettering::new(15.0, anchor);
        marks.push(Mark::Text("square".into(), [LEFT as f64, TOP as f64 - 30.0], ink(Anchor(0.0, 1.0))));
        let upright = Lettering { upright: true, ..ink(Anchor(1.0, 0.0)) };
        marks.push(Mark::Text("step".into(), [18.0, TOP as f64], upright));
        // the flag of the last square
        let [x, _] = self.centre(self.squares - 1, 0);
        let foot = TOP as f64 - 3.0;
        marks.push(Mark::Line(vec![[x, foot], [x, foot - 26.0]], 2.0, INK));
        marks.push(Mark::Rectangle([x as usize, foot as usize - 27, 12, 9], PAINTED));
    }
}

fn hollow(marks: &mut Vec<Mark>, centre: [f64; 2], radius: f64) {
    marks.push(Mark::Disc(centre, radius, PLACED));
    marks.push(Mark::Disc(centre, radius - 1.4, WHITE));
}

/// What the signs mean; the width of that.
fn legend(marks: &mut Vec<Mark>, y: f64) -> f64 {
    let mut x = 22.0;
    for (i, name) in ["put", "removed", "standing", "painted square"].into_iter().enumerate() {
        match i {
            0 => marks.push(Mark::Disc([x, y], 6.5, PLACED)),
            1 => hollow(marks, [x, y], 6.5),
            2 => marks.push(Mark::Disc([x, y], 6.5, STANDING)),
            _ => marks.push(Mark::Rectangle([x as usize - 7, y as usize - 7, 14, 14], PAINTED)),
        }
        marks.push(Mark::Text(name.into(), [x + 14.0, y], Lettering::new(15.0, Anchor(0.0, 0.5))));
        x += 14.0 + text_width(name, 15.0) + 28.0;
    }
    x
}
