//! Velocity logs: what a borehole would have measured, in several models.

use super::canvas::{Canvas, Rgb};
use super::convergence::legend;
use super::frame::{Frame, Scale};
use super::panels::Axis;
use super::{Picture, PlotError};

/// One curve of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// For the legend, for example `true`, `start`, `inverted`; curves of equal rank in all logs should share it.
    pub name: String,
    /// One value per depth; gaps where not finite.
    pub values: Vec<f64>,
}

/// The curves at one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Written above, for example `x = 3.2 km`.
    pub title: String,
    /// The curves, later ones on top.
    pub curves: Vec<Curve>,
}

/// Logs with common axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Logs {
    /// Depth of the values.
    pub depth: Axis,
    /// What the values are, with their unit.
    pub label: String,
    /// Left to right.
    pub logs: Vec<Log>,
}

/// Colour and dash of the first, second, … curve: the truth black, the start grey and dashed, results in colour.
pub(super) const STYLES: [(Rgb, Option<[f64; 2]>); 6] = [
    ([34, 34, 34], None),
    ([130, 130, 130], Some([12.0, 8.0])),
    ([200, 60, 30], None),
    ([31, 95, 168], None),
    ([30, 135, 90], None),
    ([140, 80, 160], None),
];

/// At most this many logs side by side.
const IN_A_ROW: usize = 6;

/// Draws logs side by side, depth downwards, all with the same axes.
///
/// # Errors
/// No log, none with a finite value, or curves of different lengths.
pub fn logs(picture: &Logs) -> Result<Picture, PlotError> {
    let all = || picture.logs.iter().flat_map(|log| &log.curves);
    let Some(samples) = all().map(|c| c.values.len()).next().filter(|&n| n > 0) else {
        return Err(PlotError::Empty { what: "no log has a value".to_string() });
    };
    if let Some(odd) = all().find(|c| c.values.len() != samples) {
        let what = format!("curve `{}`", odd.name);
        return Err(PlotError::Length { what, found: odd.values.len(), expected: samples });
    }
    let finite = all().flat_map(|c| &c.values).filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), &v| (lo.min(v), hi.max(v)));
    if low > high {
        return Err(PlotError::Empty { what: "no log has a finite value".to_string() });
    }
    let room = if high > low { 0.06 * (high - low) } else { 0.05 * high.abs().max(1e-12) };
    let depth = picture.depth.scale(samples, picture.depth.span(samples))?;

    let columns = picture.logs.len().min(IN_A_ROW);
    let rows = picture.logs.len().div_ceil(IN_A_ROW);
    let (height, above, gap, between) = (720, 104, 44, 150);
    let left = depth.margin(height);
    let width = ((1600 - left - 40 + gap) / columns - gap).min(420);
    let total = (left + columns * (width + gap) - gap + 40).max(640);
    let mut canvas = Canvas::new(total, above + rows * (height + between) - 50);
    for (i, log) in picture.logs.iter().enumerate() {
        let (row, column) = (i / IN_A_ROW, i % IN_A_ROW);
        let frame = Frame {
            left: left + column * (width + gap),
            top: above + row * (height + between),
            width,
            height,
            x: Scale::linear(low - room, high + room, picture.label.clone()),
            y: depth.clone(),
        };
        frame.grid(&mut canvas);
        for (curve, (colour, dash)) in log.curves.iter().zip(STYLES.iter().cycle()) {
            draw(&mut canvas, &frame, &curve.values, *colour, *dash);
        }
        frame.outline(&mut canvas);
        frame.title(&mut canvas, &log.title, (width + gap - 14) as f64);
        frame.x_axis(&mut canvas, (width + gap - 14) as f64);
        if column == 0 {
            frame.y_axis(&mut canvas);
        }
    }
    let longest = picture.logs.iter().map(|log| &log.curves).max_by_key(|c| c.len());
    let names: Vec<_> = longest
        .into_iter()
        .flatten()
        .zip(STYLES.iter().cycle())
        .map(|(c, (colour, dash))| (c.name.as_str(), *colour, *dash))
        .collect();
    legend(&mut canvas, [left as f64, 30.0], &names);
    Ok(canvas.finish())
}

/// One curve: each value holds over its cell, so that sharp contacts stay sharp.
fn draw(canvas: &mut Canvas, frame: &Frame, values: &[f64], colour: Rgb, dash: Option<[f64; 2]>) {
    let cell = (frame.y.high - frame.y.low) / values.len() as f64;
    let mut run: Vec<[f64; 2]> = Vec::new();
    for (i, value) in values.iter().enumerate() {
        if value.is_finite() {
            let top = frame.y.low + i as f64 * cell;
            run.push(frame.place(*value, top));
            run.push(frame.place(*value, top + cell));
        } else {
            canvas.line(&run, 2.6, colour, dash);
            run.clear();
        }
    }
    canvas.line(&run, 2.6, colour, dash);
}
