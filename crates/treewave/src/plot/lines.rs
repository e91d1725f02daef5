//! Curves on linear or logarithmic axes.

use super::canvas::{Anchor, Canvas, Lettering, Rgb, WHITE, text_width};
use super::convergence::{legend, range};
use super::frame::{Frame, Kind, NUMBER, Scale};
use super::{Picture, PlotError};

/// An axis of a picture of curves.
#[derive(Clone, Debug, PartialEq)]
pub struct LineAxis {
    /// Quantity and unit.
    pub label: String,
    /// Whether equal lengths are equal ratios; values that are not positive are left out then.
    pub logarithmic: bool,
}

impl LineAxis {
    /// Equal lengths are equal differences.
    pub fn linear(label: &str) -> Self {
        LineAxis { label: label.to_string(), logarithmic: false }
    }
    /// Equal lengths are equal ratios.
    pub fn logarithmic(label: &str) -> Self {
        LineAxis { label: label.to_string(), logarithmic: true }
    }
}

/// A curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// For the legend.
    pub name: String,
    /// `[x, y]`, joined in the order given; gaps where not finite.
    pub points: Vec<[f64; 2]>,
    /// Whether each point has a marker.
    pub marked: bool,
}

/// Curves with common axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines {
    /// Written above.
    pub title: String,
    /// To the right.
    pub x: LineAxis,
    /// Upwards.
    pub y: LineAxis,
    /// Later ones on top.
    pub series: Vec<Series>,
}

/// Colours of the curves; those who see few colours tell them apart by their lightness.
const COLOURS: [Rgb; 6] = [[31, 95, 168], [200, 80, 22], [30, 135, 90], [140, 80, 160], [34, 34, 34], [170, 140, 20]];

/// Width and height of the picture in pixels, and of the room above the frame and below it.
const SIZE: [usize; 2] = [1600, 960];
const ROOM: [usize; 2] = [66, 88];

/// Draws curves with a legend where there is more than one.
///
/// # Errors
/// [`PlotError::Empty`] where no point can be shown.
pub fn lines(picture: &Lines) -> Result<Picture, PlotError> {
    let shown = |p: &[f64; 2]| {
        let axes = [&picture.x, &picture.y];
        p.iter().zip(axes).all(|(v, axis)| v.is_finite() && (*v > 0.0 || !axis.logarithmic))
    };
    let all = || picture.series.iter().flat_map(|s| &s.points).filter(|p| shown(p));
    if all().next().is_none() {
        return Err(PlotError::Empty { what: format!("`{}` has no point to show", picture.title) });
    }
    let names = picture.series.len() > 1;
    let top = ROOM[0] + if names { 40 } else { 0 };
    let height = SIZE[1] - top - ROOM[1];
    let x = scale(&picture.x, range(all().map(|p| p[0])), 0.02);
    let y = scale(&picture.y, range(all().map(|p| p[1])), 0.05);
    let y = Scale { low: y.high, high: y.low, ..y };
    let left = y.margin(height).max(100);
    let frame = Frame { left, top, width: SIZE[0] - left - 50, height, x, y };
    let mut canvas = Canvas::new(SIZE[0], SIZE[1]);
    frame.grid(&mut canvas);
    for (series, colour) in picture.series.iter().zip(COLOURS.into_iter().cycle()) {
        for piece in series.points.split(|p| !shown(p)) {
            let places: Vec<[f64; 2]> = piece.iter().map(|p| frame.place(p[0], p[1])).collect();
            canvas.line(&places, 3.0, colour, None);
            for &place in places.iter().filter(|_| series.marked || places.len() == 1) {
                canvas.disc(place, 7.0, colour);
                canvas.disc(place, 3.8, WHITE);
            }
        }
    }
    frame.outline(&mut canvas);
    frame.x_axis(&mut canvas, frame.width as f64);
    frame.y_axis(&mut canvas);
    let (middle, room) = (left as f64 + 0.5 * frame.width as f64, frame.width as f64);
    canvas.text_within(&picture.title, [middle, 50.0], room, Lettering::new(super::frame::TITLE, Anchor(0.5, 1.0)));
    if names {
        let entries: Vec<_> =
            picture.series.iter().zip(COLOURS.into_iter().cycle()).map(|(s, c)| (s.name.as_str(), c, None)).collect();
        let wide: f64 = entries.iter().map(|(name, ..)| 94.0 + text_width(name, NUMBER)).sum();
        legend(&mut canvas, [(middle - 0.5 * (wide - 40.0)).max(20.0), 82.0], &entries);
    }
    Ok(canvas.finish())
}

/// An axis over a range, with a share of it as room at both ends.
fn scale(axis: &LineAxis, (low, high): (f64, f64), room: f64) -> Scale {
    let label = axis.label.clone();
    if axis.logarithmic {
        let room = (high / low).powf(room).max(1.05);
        return Scale { low: low / room, high: high * room, kind: Kind::Logarithmic, label };
    }
    let room = if high > low { room * (high - low) } else { 0.1 * high.abs().max(1e-12) };
    Scale::linear(low - room, high + room, label)
}
