//! A rectangle with two axes around it, shared by every kind of picture.

use super::canvas::{Anchor, Canvas, GRID, INK, Lettering, MUTED, text_width};
use super::ticks::{self, Tick};

/// Sizes of the lettering in pixels.
pub(super) const TITLE: f64 = 26.0;
pub(super) const LABEL: f64 = 23.0;
pub(super) const NUMBER: f64 = 21.0;

/// Length of a tick, the room between it and its number, and between number and label, in pixels.
const TICK: f64 = 8.0;
const GAP: f64 = 6.0;
const LABEL_GAP: f64 = 16.0;

/// One direction of a frame: values from `low` (left or top) to `high` (right or bottom) on a linear or logarithmic
/// scale. For an axis that grows upwards `low` is the larger value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    pub low: f64,
    pub high: f64,
    pub kind: Kind,
    pub label: String,
}

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Linear,
    /// Linear, of whole numbers.
    Count,
    Logarithmic,
}

impl Scale {
    pub(super) fn linear(low: f64, high: f64, label: impl Into<String>) -> Self {
        Scale { low, high, kind: Kind::Linear, label: label.into() }
    }

    /// Share of the way from `low` to `high`.
    pub(super) fn share(&self, value: f64) -> f64 {
        if self.kind == Kind::Logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    fn ticks(&self, most: usize) -> (Vec<Tick>, i32) {
        let (low, high) = (self.low.min(self.high), self.low.max(self.high));
        let (mut ticks, power) = match self.kind {
            Kind::Logarithmic => ticks::logarithmic(low, high, most),
            kind => ticks::linear(low, high, most, kind == Kind::Count),
        };
        // On an axis shorter than the spacing of numbers a tick has no place.
        ticks.retain(|tick| (-1e-6..=1.0 + 1e-6).contains(&self.share(tick.at)));
        (ticks, power)
    }

    /// Room in pixels that numbers and label take beside a frame of some height.
    pub(super) fn margin(&self, height: usize) -> usize {
        let (ticks, _) = self.upright_ticks(height);
        let widest = ticks.iter().map(|t| text_width(&t.label, NUMBER)).fold(0.0, f64::max);
        (TICK + GAP + widest + LABEL_GAP + LABEL + 10.0).ceil() as usize
    }

    fn upright_ticks(&self, height: usize) -> (Vec<Tick>, i32) {
        self.fitting(height as f64, 9, |_| 2.0 * NUMBER)
    }

    fn level_ticks(&self, width: usize) -> (Vec<Tick>, i32) {
        self.fitting(width as f64, 12, |label| text_width(label, NUMBER) + 22.0)
    }

    /// The densest ticks, up to `most`, with at least the `extent` of their labels in pixels from one to the next.
    fn fitting(&self, length: f64, most: usize, extent: impl Fn(&str) -> f64) -> (Vec<Tick>, i32) {
        let mut most = most;
        loop {
            let (ticks, power) = self.ticks(most);
            let widest = ticks.iter().map(|t| extent(&t.label)).fold(0.0, f64::max);
            let places: Vec<f64> = ticks.iter().map(|t| self.share(t.at) * length).collect();
            let closest = places.windows(2).map(|w| (w[1] - w[0]).abs()).fold(f64::INFINITY, f64::min);
            if closest >= widest || most <= 2 {
                return (ticks, power);
            }
            most -= 1;
        }
    }
}

/// A rectangle on the canvas in pixels, with its scales.
pub(super) struct Frame {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
    pub x: Scale,
    pub y: Scale,
}

/// Where the numbers of a vertical axis stand.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Frame {
    /// Place of a pair of values in pixels.
    pub(super) fn place(&self, x: f64, y: f64) -> [f64; 2] {
        [self.left as f64 + self.x.share(x) * self.width as f64, self.top as f64 + self.y.share(y) * self.height as f64]
    }

    /// A line through values, as far as it runs inside of the frame.
    pub(super) fn curve(&self, canvas: &mut Canvas, points: &[[f64; 2]], colour: [u8; 3]) {
        let inside = |p: &[f64; 2]| {
            let shares = [self.x.share(p[0]), self.y.share(p[1])];
            shares.iter().all(|share| (0.0..=1.0).contains(share))
        };
        for piece in points.split(|p| !inside(p)) {
            let places: Vec<[f64; 2]> = piece.iter().map(|p| self.place(p[0], p[1])).collect();
            canvas.line(&places, 3.0, colour, None);
        }
    }

    fn right(&self) -> usize {
        self.left + self.width
    }
    fn bottom(&self) -> usize {
        self.top + self.height
    }

    /// The border.
    pub(super) fn outline(&self, canvas: &mut Canvas) {
        canvas.outline([self.left, self.top, self.width, self.height], 2, INK);
    }

    /// A title above, centred.
    pub(super) fn title(&self, canvas: &mut Canvas, title: &str, room: f64) {
        let at = [self.left as f64 + 0.5 * self.width as f64, self.top as f64 - 15.0];
        canvas.text_within(title, at, room, Lettering::new(TITLE, Anchor(0.5, 1.0)));
    }

    /// Numbers below, and the label in at most `room` pixels.
    pub(super) fn x_axis(&self, canvas: &mut Canvas, room: f64) {
        let (ticks, power) = self.x.level_ticks(self.width);
        let bottom = self.bottom() as f64;
        for tick in &ticks {
            let x = self.place(tick.at, self.y.high)[0].round();
            canvas.fill([x as usize - 1, self.bottom(), 2, TICK as usize], INK);
            let at = [x, bottom + TICK + GAP];
            canvas.text(&tick.label, at, Lettering::new(NUMBER, Anchor(0.5, 0.0)));
        }
        let at = [self.left as f64 + 0.5 * self.width as f64, bottom + TICK + GAP + NUMBER + 14.0];
        let label = with_power(&self.x.label, power);
        canvas.text_within(&label, at, room, Lettering::new(LABEL, Anchor(0.5, 0.0)));
    }

    /// Numbers and label of the frame's own vertical axis, on the left.
    pub(super) fn y_axis(&self, canvas: &mut Canvas) {
        self.vertical(canvas, &self.y, Side::Left, INK);
    }

    /// Numbers and label of a vertical axis; the label stays within the height of the frame.
    pub(super) fn vertical(&self, canvas: &mut Canvas, scale: &Scale, side: Side, colour: [u8; 3]) {
        let (ticks, power) = scale.upright_ticks(self.height);
        let (edge, sign) = match side {
            Side::Left => (self.left as f64, -1.0),
            Side::Right => (self.right() as f64, 1.0),
        };
        let ahead = if side == Side::Left { 1.0 } else { 0.0 };
        let mut widest = 0f64;
        for tick in &ticks {
            let y = (self.top as f64 + scale.share(tick.at) * self.height as f64).round();
            let from = if side == Side::Left { edge - TICK } else { edge };
            canvas.fill([from as usize, y as usize - 1, TICK as usize, 2], colour);
            widest = widest.max(text_width(&tick.label, NUMBER));
            let at = [edge + sign * (TICK + GAP), y];
            let lettering = Lettering { colour, ..Lettering::new(NUMBER, Anchor(ahead, 0.5)) };
            canvas.text(&tick.label, at, lettering);
        }
        let x = edge + sign * (TICK + GAP + widest + LABEL_GAP);
        let at = [x, self.top as f64 + 0.5 * self.height as f64];
        let lettering = Lettering { colour, upright: true, ..Lettering::new(LABEL, Anchor(0.5, ahead)) };
        canvas.text_within(&with_power(&scale.label, power), at, self.height as f64 + 40.0, lettering);
    }

    /// Faint lines at the ticks of both axes, to be drawn before the curves.
    pub(super) fn grid(&self, canvas: &mut Canvas) {
        for tick in self.x.level_ticks(self.width).0 {
            let x = self.place(tick.at, self.y.low)[0];
            canvas.fill([x.round() as usize, self.top, 1, self.height], GRID);
        }
        for tick in self.y.upright_ticks(self.height).0 {
            let y = self.place(self.x.low, tick.at)[1];
            canvas.fill([self.left, y.round() as usize, self.width, 1], GRID);
        }
    }

    /// A dashed vertical line at a value of the horizontal axis, with a text beside its upper end.
    pub(super) fn mark(&self, canvas: &mut Canvas, at: f64, text: &str, room: f64) {
        let x = self.place(at, self.y.low)[0];
        let (top, bottom) = (self.top as f64, self.bottom() as f64);
        canvas.line(&[[x, top], [x, bottom]], 2.0, MUTED, Some([9.0, 7.0]));
        let lettering = Lettering { colour: [90, 90, 90], ..Lettering::new(NUMBER, Anchor(0.0, 0.0)) };
        if room > 30.0 {
            canvas.text_within(text, [x + 8.0, top + 10.0], room - 12.0, lettering);
        }
    }
}

/// A label with the power of ten that its numbers are to be multiplied with, as part of the unit where there is one.
fn with_power(label: &str, power: i32) -> String {
    if power == 0 {
        return label.to_string();
    }
    let factor = ticks::power_of_ten(power);
    match label.strip_suffix(')').and_then(|l| l.rsplit_once('(')) {
        Some((name, unit)) => format!("{name}({factor} {unit})"),
        None => format!("{label} ({factor})"),
    }
}
