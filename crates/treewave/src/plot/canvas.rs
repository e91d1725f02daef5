//! A sheet of pixels: rectangles, smooth lines, lettering.

use super::Picture;
use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};

/// Red, green, blue.
pub(super) type Rgb = [u8; 3];

pub(super) const WHITE: Rgb = [255, 255, 255];
pub(super) const INK: Rgb = [34, 34, 34];
pub(super) const MUTED: Rgb = [136, 136, 136];
pub(super) const GRID: Rgb = [224, 224, 224];

static FONT: &[u8] = include_bytes!("../../assets/DejaVuSans-subset.ttf");

/// Height of a capital letter over the size of the font.
pub(super) const CAP_HEIGHT: f32 = 0.729;

/// Steps of the smoothing of edges: few, so that most pictures fit a palette.
const SHADES: f32 = 12.0;

/// Where a text sits: the share of its width and of its capital height that lies before the given point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Anchor(pub f64, pub f64);

/// How a text is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lettering {
    pub size: f64,
    pub colour: Rgb,
    pub anchor: Anchor,
    /// Turned by a quarter, to be read from below.
    pub upright: bool,
}

impl Lettering {
    pub(super) fn new(size: f64, anchor: Anchor) -> Self {
        Lettering { size, colour: INK, anchor, upright: false }
    }
}

pub(super) struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Canvas {
    /// A white sheet.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Canvas { width, height, rgb: vec![255; 3 * width * height] }
    }

    pub(super) fn finish(self) -> Picture {
        Picture { width: self.width, height: self.height, rgb: self.rgb }
    }

    /// Sets one pixel; nothing happens outside of the sheet.
    pub(super) fn set(&mut self, x: usize, y: usize, colour: Rgb) {
        if x < self.width && y < self.height {
            self.rgb[3 * (y * self.width + x)..][..3].copy_from_slice(&colour);
        }
    }

    fn blend(&mut self, x: i64, y: i64, colour: Rgb, coverage: f32) {
        if x < 0 || y < 0 || x >= self.width as i64 || y >= self.height as i64 {
            return;
        }
        let coverage = (coverage.clamp(0.0, 1.0) * SHADES).round() / SHADES;
        let pixel = &mut self.rgb[3 * (y as usize * self.width + x as usize)..][..3];
        for (old, new) in pixel.iter_mut().zip(colour) {
            *old = (*old as f32 + (new as f32 - *old as f32) * coverage).round() as u8;
        }
    }

    /// Fills the pixels from `(x, y)` on, `width` by `height`.
    pub(super) fn fill(&mut self, [x, y, width, height]: [usize; 4], colour: Rgb) {
        for py in y..y + height {
            for px in x..x + width {
                self.set(px, py, colour);
            }
        }
    }

    /// A frame of `line` pixels around a rectangle, outside of it.
    pub(super) fn outline(&mut self, [x, y, width, height]: [usize; 4], line: usize, colour: Rgb) {
        let (left, top) = (x.saturating_sub(line), y.saturating_sub(line));
        self.fill([left, top, width + 2 * line, line], colour);
        self.fill([left, y + height, width + 2 * line, line], colour);
        self.fill([left, y, line, height], colour);
        self.fill([x + width, y, line, height], colour);
    }

    /// A line through finite points (nothing is drawn else), smooth at its edges, with round joints; `dash` gives the lengths of stroke and gap.
    pub(super) fn line(&mut self, points: &[[f64; 2]], width: f64, colour: Rgb, dash: Option<[f64; 2]>) {
        if points.len() < 2 || points.iter().flatten().any(|v| !v.is_finite()) {
            return;
        }
        let strokes = match dash {
            Some(lengths) => dashes(points, lengths),
            None => points.windows(2).map(|w| [w[0], w[1]]).collect(),
        };
        let reach = 0.5 * width + 1.0;
        let bound = |axis: usize, pick: fn(f64, f64) -> f64, start: f64| {
            strokes.iter().flatten().map(|p| p[axis]).fold(start, pick)
        };
        let limit = |v: f64, end: usize| v.clamp(0.0, end as f64) as usize;
        let x0 = limit(bound(0, f64::min, f64::INFINITY) - reach, self.width);
        let x1 = limit(bound(0, f64::max, f64::NEG_INFINITY) + reach + 1.0, self.width);
        let y0 = limit(bound(1, f64::min, f64::INFINITY) - reach, self.height);
        let y1 = limit(bound(1, f64::max, f64::NEG_INFINITY) + reach + 1.0, self.height);
        // Strokes overlap at the joints; the larger coverage counts, so that joints are no darker than strokes.
        let mut covered = vec![0f32; (x1 - x0) * (y1 - y0)];
        for [a, b] in strokes {
            let range = |axis: usize, low: usize, high: usize| {
                let (first, last) = (a[axis].min(b[axis]) - reach, a[axis].max(b[axis]) + reach + 1.0);
                (first.max(low as f64) as usize)..(last.clamp(low as f64, high as f64) as usize)
            };
            for py in range(1, y0, y1) {
                for px in range(0, x0, x1) {
                    let distance = distance([px as f64 + 0.5, py as f64 + 0.5], a, b);
                    let coverage = (0.5 * width + 0.5 - distance).clamp(0.0, 1.0) as f32;
                    let cell = &mut covered[(py - y0) * (x1 - x0) + px - x0];
                    *cell = cell.max(coverage);
                }
            }
        }
        for (i, coverage) in covered.into_iter().enumerate().filter(|(_, c)| *c > 0.0) {
            self.blend((x0 + i % (x1 - x0)) as i64, (y0 + i / (x1 - x0)) as i64, colour, coverage);
        }
    }

    /// A filled disc.
    pub(super) fn disc(&mut self, centre: [f64; 2], radius: f64, colour: Rgb) {
        self.line(&[centre, centre], 2.0 * radius, colour, None);
    }

    /// Letters a text at a point.
    pub(super) fn text(&mut self, text: &str, at: [f64; 2], lettering: Lettering) {
        let Lettering { size, colour, anchor, upright } = lettering;
        let before = (anchor.0 * text_width(text, size), anchor.1 * CAP_HEIGHT as f64 * size);
        // The start of the base line; the sheet's axes seen along the text are (x, y) or, turned, (-y, x).
        let origin = if upright { [at[0] - before.1, at[1] + before.0] } else { [at[0] - before.0, at[1] - before.1] };
        let cap = CAP_HEIGHT as f64 * size;
        let base = if upright { [origin[0] + cap, origin[1]] } else { [origin[0], origin[1] + cap] };
        let base = base.map(|v| v.round() as i64);
        for (_, glyph) in glyphs(text, size) {
            let Some(outline) = font().outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|gx, gy, coverage| {
                let (along, down) = (corner.x as i64 + gx as i64, corner.y as i64 + gy as i64);
                let (x, y) =
                    if upright { (base[0] + down, base[1] - along - 1) } else { (base[0] + along, base[1] + down) };
                self.blend(x, y, colour, coverage);
            });
        }
    }

    /// Letters a text in at most `room` pixels: smaller down to 60 %, then shortened.
    pub(super) fn text_within(&mut self, text: &str, at: [f64; 2], room: f64, mut lettering: Lettering) {
        let wanted = text_width(text, lettering.size);
        if wanted > room {
            lettering.size *= (room / wanted).max(0.6);
        }
        let mut shown = text.to_string();
        while text_width(&shown, lettering.size) > room && shown.chars().count() > 2 {
            let keep = shown.chars().count() - 2;
            shown = shown.chars().take(keep).chain(['…']).collect();
        }
        self.text(&shown, at, lettering);
    }
}

/// Width of a text in pixels.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    glyphs(text, size).last().map_or(0.0, |(end, _)| f64::from(*end))
}

fn font() -> &'static FontRef<'static> {
    static PARSED: std::sync::OnceLock<FontRef<'static>> = std::sync::OnceLock::new();
    PARSED.get_or_init(|| FontRef::try_from_slice(FONT).expect("the embedded font is valid, a test draws with it"))
}

/// The glyphs of a text set from the origin, each with the place where the next one starts.
fn glyphs(text: &str, size: f64) -> Vec<(f32, Glyph)> {
    // The library measures sizes from descender to ascender, typographers by the em.
    let em = font().units_per_em().unwrap_or(2048.0);
    let scale = PxScale::from(size as f32 * font().height_unscaled() / em);
    let scaled = font().as_scaled(scale);
    let (mut x, mut previous) = (0.0, None);
    text.chars()
        .map(|c| {
            let id = font().glyph_id(c);
            if let Some(before) = previous {
                x += scaled.kern(before, id);
            }
            previous = Some(id);
            let glyph = id.with_scale_and_position(scale, point(x, 0.0));
            x += scaled.h_advance(id);
            (x, glyph)
        })
        .collect()
}

/// Distance of a point from the segment between two others.
fn distance(p: [f64; 2], a: [f64; 2], b: [f64; 2]) -> f64 {
    let (along, from) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let length2 = along[0] * along[0] + along[1] * along[1];
    let t = if length2 > 0.0 { ((from[0] * along[0] + from[1] * along[1]) / length2).clamp(0.0, 1.0) } else { 0.0 };
    (from[0] - t * along[0]).hypot(from[1] - t * along[1])
}

/// Cuts a line into strokes.
fn dashes(points: &[[f64; 2]], lengths: [f64; 2]) -> Vec<[[f64; 2]; 2]> {
    let mut strokes = Vec::new();
    let (mut drawing, mut left) = (true, lengths[0]);
    for w in points.windows(2) {
        let length = (w[1][0] - w[0][0]).hypot(w[1][1] - w[0][1]);
        let at = |s: f64| [0, 1].map(|i| w[0][i] + (w[1][i] - w[0][i]) * s / length);
        let mut s = 0.0;
        while s < length {
            let step = left.min(length - s);
            if drawing {
                strokes.push([at(s), at(s + step)]);
            }
            s += step;
            left -= step;
            if left <= 0.0 {
                drawing = !drawing;
                left = lengths[usize::from(!drawing)];
            }
        }
    }
    strokes
}
