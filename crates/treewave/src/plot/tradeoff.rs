//! Space against time of the reversal games.

use super::canvas::{Anchor, Canvas, Lettering, MUTED, Rgb};
use super::convergence::legend;
use super::frame::{Frame, Kind, NUMBER, Scale, Side};
use super::{Picture, PlotError};

/// Space overheads at time overheads.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceTime {
    /// The time overheads, growing.
    pub time: Vec<f64>,
    /// One entry for each number of steps.
    pub sizes: Vec<SpaceOfSize>,
    /// States in memory of a scheme with a disk, the same for all numbers of steps.
    pub with_disk: Vec<f64>,
}

/// The space overheads of one number of steps, one value per time.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceOfSize {
    /// The number of steps, for the legend.
    pub name: String,
    /// Bennett.
    pub bennett: Vec<f64>,
    /// Treeverse.
    pub treeverse: Vec<f64>,
    /// Revolve.
    pub revolve: Vec<f64>,
    /// Bennett and Treeverse by the formulas for real numbers of pebbles.
    pub formula: [Vec<f64>; 2],
}

const WIDTH: usize = 1700;
const HEIGHT: usize = 900;
const COLOURS: [Rgb; 6] = [[31, 95, 168], [214, 110, 20], [30, 135, 90], [176, 40, 60], [120, 80, 170], [90, 90, 90]];
const TREEVERSE: Option<[f64; 2]> = Some([14.0, 9.0]);
const REVOLVE: Option<[f64; 2]> = Some([2.0, 7.0]);
const DISK: Option<[f64; 2]> = Some([24.0, 8.0]);
const PALE: Rgb = [190, 190, 190];

/// The same colour, paler: for what is not counted but calculated.
fn pale(colour: Rgb) -> Rgb {
    colour.map(|c| 255 - (255 - c) / 3)
}

/// Draws the space of all games on the left, and that of Bennett over that of Treeverse on the right.
///
/// # Errors
/// Nothing to draw, curves of different lengths.
pub fn tradeoff(picture: &SpaceTime) -> Result<Picture, PlotError> {
    let expected = picture.time.len();
    if expected < 2 || picture.sizes.is_empty() {
        return Err(PlotError::Empty { what: "no time overhead or no number of steps".to_string() });
    }
    let of_size = |size: &SpaceOfSize| {
        let [bennett, treeverse] = &size.formula;
        [&size.bennett, &size.treeverse, &size.revolve, bennett, treeverse].map(Vec::len)
    };
    for found in picture.sizes.iter().flat_map(of_size).chain([picture.with_disk.len()]) {
        if found != expected {
            return Err(PlotError::Length { what: "a curve of the trade-off".to_string(), found, expected });
        }
    }
    let mut canvas = Canvas::new(WIDTH, HEIGHT);
    space(&mut canvas, picture);
    ratio(&mut canvas, picture);
    Ok(canvas.finish())
}

/// A frame from `left` on, its y axis upwards.
fn frame(picture: &SpaceTime, left: usize, y: Scale) -> Frame {
    let last = picture.time[picture.time.len() - 1];
    let x = Scale::linear(1.0, last, "time overhead T'/T");
    Frame { left, top: 150, width: 690, height: 640, x, y }
}

fn curve(canvas: &mut Canvas, frame: &Frame, x: &[f64], y: &[f64], colour: Rgb, width: f64, dash: Option<[f64; 2]>) {
    let points: Vec<[f64; 2]> = x.iter().zip(y).map(|(&x, &y)| frame.place(x, y)).collect();
    canvas.line(&points, width, colour, dash);
}

fn space(canvas: &mut Canvas, picture: &SpaceTime) {
    let top = picture.sizes.iter().flat_map(|size| &size.bennett).fold(10.0_f64, |top, &v| top.max(v));
    let scale = Scale { kind: Kind::Logarithmic, ..Scale::linear(1.5 * top, 1.0, "space overhead S'/S (states)") };
    let frame = frame(picture, 130, scale);
    frame.grid(canvas);
    for (size, colour) in picture.sizes.iter().zip(COLOURS.into_iter().cycle()) {
        curve(canvas, &frame, &picture.time, &size.formula[0], pale(colour), 4.0, None);
        curve(canvas, &frame, &picture.time, &size.bennett, colour, 3.0, None);
        curve(canvas, &frame, &picture.time, &size.treeverse, colour, 3.0, TREEVERSE);
        // lies under the one of Treeverse nearly everywhere, which the dots show through
        curve(canvas, &frame, &picture.time, &size.revolve, colour, 5.0, REVOLVE);
    }
    curve(canvas, &frame, &picture.time, &picture.with_disk, MUTED, 4.0, DISK);
    finish(canvas, &frame, "Space that each game needs");
    let ink = [60, 60, 60];
    let styles = [
        ("Bennett", ink, None),
        ("Treeverse", ink, TREEVERSE),
        ("Revolve", ink, REVOLVE),
        ("two-level, states in memory", MUTED, DISK),
        ("Bennett by the formula for real numbers", PALE, None),
    ];
    legend(canvas, [frame.left as f64, 40.0], &styles);
    sizes(canvas, picture, frame.left as f64);
}

fn ratio(canvas: &mut Canvas, picture: &SpaceTime) {
    let quotient = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a / b).collect() };
    let counted: Vec<Vec<f64>> = picture.sizes.iter().map(|size| quotient(&size.bennett, &size.treeverse)).collect();
    let calculated: Vec<Vec<f64>> =
        picture.sizes.iter().map(|size| quotient(&size.formula[0], &size.formula[1])).collect();
    let top = counted.iter().chain(&calculated).flatten().fold(1.0_f64, |top, &v| top.max(v));
    let frame = frame(picture, 970, Scale::linear(1.06 * top, 0.0, "S' of Bennett / S' of Treeverse"));
    frame.grid(canvas);
    for (quotient, colour) in calculated.iter().zip(COLOURS.into_iter().cycle()) {
        curve(canvas, &frame, &picture.time, quotient, pale(colour), 4.0, None);
    }
    for (quotient, colour) in counted.iter().zip(COLOURS.into_iter().cycle()) {
        curve(canvas, &frame, &picture.time, quotient, colour, 3.0, None);
    }
    finish(canvas, &frame, "Bennett over Treeverse");
}

fn finish(canvas: &mut Canvas, frame: &Frame, title: &str) {
    frame.outline(canvas);
    frame.title(canvas, title, frame.width as f64);
    frame.x_axis(canvas, frame.width as f64);
    frame.vertical(canvas, &frame.y, Side::Left, [34, 34, 34]);
}

/// The colours of the numbers of steps.
fn sizes(canvas: &mut Canvas, picture: &SpaceTime, left: f64) {
    canvas.text("steps T:", [left, 84.0], Lettering::new(NUMBER, Anchor(0.0, 0.5)));
    let names: Vec<_> =
        picture.sizes.iter().zip(COLOURS.into_iter().cycle()).map(|(s, c)| (s.name.as_str(), c, None)).collect();
    legend(canvas, [left + 110.0, 84.0], &names);
}
