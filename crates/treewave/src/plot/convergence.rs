//! The course of an inversion: misfit, stages, model error.

use super::canvas::{Anchor, Canvas, INK, Lettering, Rgb, WHITE, text_width};
use super::frame::{Frame, Kind, NUMBER, Scale, Side};
use super::{Picture, PlotError};

/// The course of an inversion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Convergence {
    /// Written above.
    pub title: String,
    /// What `count` counts: `Iteration`, `Gradient evaluations`.
    pub count_label: String,
    /// Iterations or evaluations so far, growing.
    pub count: Vec<f64>,
    /// What `misfit` is, with its unit.
    pub misfit_label: String,
    /// Misfit after as many; shown on a logarithmic axis, values that are not positive are left out.
    pub misfit: Vec<f64>,
    /// Where stages start, and what they are called.
    pub stages: Vec<(f64, String)>,
    /// What `model_error` is.
    pub model_error_label: String,
    /// Model error after as many, shown on an axis of its own, where the true model is known.
    pub model_error: Option<Vec<f64>>,
}

/// Width of the picture in pixels.
const WIDTH: usize = 1600;

const MISFIT: Rgb = [31, 95, 168];
const MODEL_ERROR: Rgb = [200, 80, 22];

/// Draws misfit, and model error where known, against iterations or evaluations.
///
/// # Errors
/// Series of different lengths, or no positive misfit at all.
pub fn convergence(course: &Convergence) -> Result<Picture, PlotError> {
    let expected = course.count.len();
    let series = [("misfit", Some(&course.misfit)), ("model_error", course.model_error.as_ref())];
    for (what, values) in series {
        if let Some(found) = values.map(Vec::len).filter(|&found| found != expected) {
            return Err(PlotError::Length { what: what.to_string(), found, expected });
        }
    }
    let points = finite(&course.count, &course.misfit, |v| v > 0.0);
    let errors = course.model_error.as_ref().map(|e| finite(&course.count, e, |_| true)).filter(|e| !e.is_empty());
    if points.is_empty() {
        return Err(PlotError::Empty { what: "no positive misfit".to_string() });
    }
    let (height, y) = (700, misfit_scale(course, &points));
    let second = errors.as_ref().map(|errors| padded(errors, &course.model_error_label));
    let left = y.margin(height).max(100);
    let right = second.as_ref().map_or(50, |scale| scale.margin(height));
    let frame = Frame { left, top: 66, width: WIDTH - left - right, height, x: count_scale(course, &points), y };
    let mut canvas = Canvas::new(WIDTH, 870);
    frame.grid(&mut canvas);
    marks(&mut canvas, &frame, course);
    let mut ink = INK;
    if let (Some(errors), Some(y)) = (errors, second) {
        let second = Frame { x: frame.x.clone(), y, ..frame };
        curve(&mut canvas, &second, &[&errors[..]], MODEL_ERROR, false);
        second.vertical(&mut canvas, &second.y, Side::Right, MODEL_ERROR);
        // Two axes: each has the colour of its curve, which makes a legend unnecessary.
        ink = MISFIT;
    }
    // A stage has data of its own: its misfit does not go on from that of the stage before.
    let starts = |x: f64| course.stages.iter().filter(|(at, _)| *at <= x).count();
    let stages: Vec<_> = points.chunk_by(|a, b| starts(a[0]) == starts(b[0])).collect();
    curve(&mut canvas, &frame, &stages, MISFIT, true);
    frame.outline(&mut canvas);
    frame.title(&mut canvas, &course.title, frame.width as f64);
    frame.x_axis(&mut canvas, frame.width as f64);
    frame.vertical(&mut canvas, &frame.y, Side::Left, ink);
    Ok(canvas.finish())
}

/// Pairs of finite values.
fn finite(x: &[f64], y: &[f64], accept: impl Fn(f64) -> bool) -> Vec<[f64; 2]> {
    let pairs = x.iter().zip(y).map(|(&x, &y)| [x, y]);
    pairs.filter(|p| p[0].is_finite() && p[1].is_finite() && accept(p[1])).collect()
}

pub(super) fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)))
}

fn count_scale(course: &Convergence, points: &[[f64; 2]]) -> Scale {
    let (low, high) = range(points.iter().map(|p| p[0]));
    let room = if high > low { 0.02 * (high - low) } else { 1.0 };
    Scale { kind: Kind::Count, ..Scale::linear(low - room, high + room, course.count_label.clone()) }
}

fn misfit_scale(course: &Convergence, points: &[[f64; 2]]) -> Scale {
    let (low, high) = range(points.iter().map(|p| p[1]));
    // Room above for the names of the stages.
    let (below, above) = (0.05, if course.stages.is_empty() { 0.06 } else { 0.14 });
    let decades = (high / low).log10().max(0.3);
    Scale {
        low: high * 10f64.powf(above * decades),
        high: low * 10f64.powf(-below * decades),
        kind: Kind::Logarithmic,
        label: course.misfit_label.clone(),
    }
}

fn padded(points: &[[f64; 2]], label: &str) -> Scale {
    let (low, high) = range(points.iter().map(|p| p[1]));
    let room = if high > low { 0.14 * (high - low) } else { 0.1 * high.abs().max(1e-12) };
    Scale::linear(high + room, low - 0.6 * room, label)
}

/// Curves with markers, filled or hollow.
pub(super) fn curve(canvas: &mut Canvas, frame: &Frame, pieces: &[&[[f64; 2]]], colour: Rgb, filled: bool) {
    // Beyond some density markers would merge into a thick line.
    let marked = pieces.iter().map(|p| p.len()).sum::<usize>() * 14 <= frame.width;
    for piece in pieces {
        let places: Vec<[f64; 2]> = piece.iter().map(|p| frame.place(p[0], p[1])).collect();
        canvas.line(&places, 3.0, colour, None);
        for &place in places.iter().filter(|_| marked || places.len() == 1) {
            canvas.disc(place, 6.5, colour);
            if !filled {
                canvas.disc(place, 3.6, WHITE);
            }
        }
    }
}

/// The starts of the stages, with their names where there is room.
fn marks(canvas: &mut Canvas, frame: &Frame, course: &Convergence) {
    let end = (frame.left + frame.width) as f64;
    let place = |at: f64| frame.place(at, frame.y.low)[0];
    for (i, (at, name)) in course.stages.iter().enumerate() {
        if !(at.is_finite() && (0.0..=1.0).contains(&frame.x.share(*at))) {
            continue;
        }
        let next = course.stages.get(i + 1).map_or(end, |(next, _)| place(*next).min(end));
        frame.mark(canvas, *at, name, next - place(*at));
    }
}

/// A legend: coloured strokes with names, in a row from `at` on.
pub(super) fn legend(canvas: &mut Canvas, at: [f64; 2], names: &[(&str, Rgb, Option<[f64; 2]>)]) {
    let mut x = at[0];
    for (name, colour, dash) in names {
        canvas.line(&[[x, at[1]], [x + 44.0, at[1]]], 3.0, *colour, *dash);
        canvas.text(name, [x + 54.0, at[1]], Lettering::new(NUMBER, Anchor(0.0, 0.5)));
        x += 54.0 + text_width(name, NUMBER) + 40.0;
    }
}
