//! Arrays as colours: models, gradients, gathers, one or several to a picture.

use super::canvas::{Canvas, INK, Rgb};
use super::colour::{self, ColourScale};
use super::frame::{Frame, Kind, Scale, Side};
use super::{Picture, PlotError};
use ndarray::ArrayView2;

/// A regular axis of an array.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it is, for example `Depth`.
    pub name: String,
    /// Unit of `first` and `step`; metres are shown as kilometres where a panel is two or more of them long. Empty for
    /// plain numbers.
    pub unit: String,
    /// Position of the first cell.
    pub first: f64,
    /// From cell to cell, positive.
    pub step: f64,
}

impl Axis {
    /// An axis in m.
    pub fn metres(name: &str, first_m: f64, step_m: f64) -> Self {
        Axis { name: name.to_string(), unit: "m".to_string(), first: first_m, step: step_m }
    }
    /// A time axis in s.
    pub fn time(step_s: f64) -> Self {
        Axis { name: "Time".to_string(), unit: "s".to_string(), first: 0.0, step: step_s }
    }
    /// Plain numbers from zero on: traces, iterations.
    pub fn count(name: &str) -> Self {
        Axis { name: name.to_string(), unit: String::new(), first: 0.0, step: 1.0 }
    }

    /// Numbers without a unit.
    pub fn plain(name: &str, first: f64, step: f64) -> Self {
        Axis { name: name.to_string(), unit: String::new(), first, step }
    }

    /// Length of `cells` cells.
    pub(super) fn span(&self, cells: usize) -> f64 {
        cells as f64 * self.step
    }

    /// From the outer edge of the first cell to that of the last of `cells`; the unit suits lengths of `longest`.
    pub(super) fn scale(&self, cells: usize, longest: f64) -> Result<Scale, PlotError> {
        let Axis { name, unit, first, step } = self;
        if !(first.is_finite() && step.is_finite() && *step > 0.0) {
            return Err(PlotError::Axis { name: name.clone(), first: *first, step: *step });
        }
        let (unit, factor) = if unit == "m" && longest >= KILOMETRES_FROM_M { ("km", 1e-3) } else { (&unit[..], 1.0) };
        let label = if unit.is_empty() { name.clone() } else { format!("{name} ({unit})") };
        let low = (first - 0.5 * step) * factor;
        let kind = if unit.is_empty() && *step == 1.0 { Kind::Count } else { Kind::Linear };
        Ok(Scale { kind, ..Scale::linear(low, low + self.span(cells) * factor, label) })
    }
}

/// Axes of this length or more are labelled in kilometres.
const KILOMETRES_FROM_M: f64 = 2000.0;

/// An array to be drawn.
#[derive(Clone, Debug)]
pub struct Panel<'a> {
    /// Written above.
    pub title: String,
    /// `(horizontal, vertical)`: models `(x, z)`, gathers `(trace, time)`. What is not finite is drawn in grey.
    pub values: ArrayView2<'a, f64>,
    /// Axis 0 of the array, to the right.
    pub horizontal: Axis,
    /// Axis 1 of the array, downwards unless `upwards`.
    pub vertical: Axis,
    /// Whether the vertical axis grows upwards, as in pictures that show no ground.
    pub upwards: bool,
    /// Lines over the colours, through points (horizontal, vertical) in the units of the axes; what is outside is cut off.
    pub curves: Vec<Vec<[f64; 2]>>,
    /// The colours.
    pub scale: ColourScale,
    /// Whether a unit is as long on one axis as on the other (very long shapes are still made to fit).
    pub true_to_scale: bool,
}

impl<'a> Panel<'a> {
    /// A picture of the ground: values `(x, z)`, origin and spacing `[x, z]` in m.
    pub fn section(
        title: &str,
        values: ArrayView2<'a, f64>,
        origin_m: [f64; 2],
        spacing_m: [f64; 2],
        scale: ColourScale,
    ) -> Self {
        Panel {
            title: title.to_string(),
            values,
            horizontal: Axis::metres("Distance", origin_m[0], spacing_m[0]),
            vertical: Axis::metres("Depth", origin_m[1], spacing_m[1]),
            upwards: false,
            curves: Vec::new(),
            scale,
            true_to_scale: true,
        }
    }

    /// A gather: values `(trace, time)`, sampling interval in s; the horizontal axis counts traces.
    pub fn gather(title: &str, values: ArrayView2<'a, f64>, record_s: f64, scale: ColourScale) -> Self {
        Panel {
            title: title.to_string(),
            values,
            horizontal: Axis::count("Trace"),
            vertical: Axis::time(record_s),
            upwards: false,
            curves: Vec::new(),
            scale,
            true_to_scale: false,
        }
    }

    /// A map over two quantities, the vertical one upwards.
    pub fn map(
        title: &str,
        values: ArrayView2<'a, f64>,
        [horizontal, vertical]: [Axis; 2],
        scale: ColourScale,
    ) -> Self {
        Panel {
            title: title.to_string(),
            values,
            horizontal,
            vertical,
            upwards: true,
            curves: Vec::new(),
            scale,
            true_to_scale: false,
        }
    }

    /// Both axes, in the same unit where both are lengths.
    fn axes(&self) -> Result<(Scale, Scale), PlotError> {
        let (nx, nz) = self.values.dim();
        let longest = if self.horizontal.unit == self.vertical.unit {
            [self.horizontal.span(nx).max(self.vertical.span(nz)); 2]
        } else {
            [self.horizontal.span(nx), self.vertical.span(nz)]
        };
        let mut vertical = self.vertical.scale(nz, longest[1])?;
        if self.upwards {
            std::mem::swap(&mut vertical.low, &mut vertical.high);
        }
        Ok((self.horizontal.scale(nx, longest[0])?, vertical))
    }

    /// Width over height in a picture of some columns.
    fn aspect(&self, columns: usize) -> f64 {
        let (nx, nz) = self.values.dim();
        match (self.true_to_scale, columns) {
            (true, _) => nx as f64 * self.horizontal.step / (nz as f64 * self.vertical.step),
            (false, 1) => 1.4,
            (false, _) => 0.85,
        }
    }
}

/// Width of a full picture of one column, and of more; smallest and largest size of a panel; all in pixels.
const FULL: [usize; 2] = [1600, 2000];
const WIDTH: [f64; 2] = [150.0, 1440.0];
const HEIGHT: [f64; 2] = [170.0, 1000.0];

/// Room around a panel for numbers, labels and the colour bar, in pixels; more is made where they need it.
const LEFT: usize = 100;
const RIGHT: usize = 164;
const ABOVE: usize = 58;
const BELOW: usize = 88;

/// Place and width of the colour bar beside a panel, in pixels.
const BAR: [usize; 2] = [22, 24];

/// Colour of missing values.
const MISSING: Rgb = [190, 190, 190];

/// Colour of curves over panels: none of the maps comes near it.
const CURVE: Rgb = [220, 30, 60];

/// Draws panels, in the order given: below each other where they are wide, side by side where they are not.
///
/// A pixel shows the mean of the cells below it; where there is room, cells are blocks of whole pixels. Panels whose
/// colour scales are equal share their limits.
///
/// # Errors
/// No panel or one without values; an axis or colour limits that make no sense.
pub fn panels(panels: &[Panel]) -> Result<Picture, PlotError> {
    if panels.is_empty() {
        return Err(PlotError::Empty { what: "no panel".to_string() });
    }
    if let Some(panel) = panels.iter().find(|p| p.values.is_empty()) {
        return Err(PlotError::Empty { what: format!("panel `{}` has no values", panel.title) });
    }
    let columns = columns(panels);
    let frames = panels.iter().map(|p| framed(p, panels, columns)).collect::<Result<Vec<Framed>, _>>()?;
    let left = frames.iter().map(|f| f.frame.y.margin(f.frame.height)).fold(LEFT, usize::max);
    let beside = |f: &Framed| f.bar.left + f.bar.width + f.bar.y.margin(f.frame.height) - f.frame.width;
    let right = frames.iter().map(beside).fold(RIGHT, usize::max);
    let column_width: Vec<usize> = (0..columns)
        .map(|c| frames.iter().skip(c).step_by(columns).map(|f| f.frame.width).fold(0, usize::max) + left + right)
        .collect();
    let row_height: Vec<usize> = frames
        .chunks(columns)
        .map(|row| row.iter().map(|f| f.frame.height).fold(0, usize::max) + ABOVE + BELOW)
        .collect();
    let mut canvas = Canvas::new(column_width.iter().sum(), row_height.iter().sum::<usize>() + 8);
    for (i, (panel, mut framed)) in panels.iter().zip(frames).enumerate() {
        let (row, column) = (i / columns, i % columns);
        let x = column_width[..column].iter().sum::<usize>() + left;
        let y = row_height[..row].iter().sum::<usize>() + ABOVE;
        framed.shift(x, y);
        draw(&mut canvas, panel, &framed);
    }
    Ok(canvas.finish())
}

/// A panel's frame and that of its colour bar.
struct Framed {
    frame: Frame,
    bar: Frame,
    ends: [f64; 2],
}

impl Framed {
    fn shift(&mut self, right: usize, down: usize) {
        for frame in [&mut self.frame, &mut self.bar] {
            frame.left += right;
            frame.top += down;
        }
    }
}

/// The frames of a panel with its corner at the origin.
fn framed(panel: &Panel, all: &[Panel], columns: usize) -> Result<Framed, PlotError> {
    let (x, y) = panel.axes()?;
    let alike = all.iter().filter(|p| p.scale == panel.scale).flat_map(|p| p.values.iter().copied());
    let ends = panel.scale.ends(alike)?;
    let [width, height] = size(panel, columns);
    let values = Scale::linear(ends[1], ends[0], panel.scale.label.clone());
    let bar = Frame { left: width + BAR[0], top: 0, width: BAR[1], height, x: x.clone(), y: values };
    Ok(Framed { frame: Frame { left: 0, top: 0, width, height, x, y }, bar, ends })
}

/// How many panels stand side by side.
fn columns(panels: &[Panel]) -> usize {
    let free = panels.iter().all(|p| !p.true_to_scale);
    let aspect = panels.iter().map(|p| p.aspect(2)).fold(0.0, f64::max);
    let most = match aspect {
        _ if free => 3,
        a if a > 1.6 && panels.len() <= 4 => 1,
        a if a > 0.6 => 2,
        _ => 4,
    };
    most.min(panels.len())
}

/// Width and height in pixels of a panel in a picture of some columns.
fn size(panel: &Panel, columns: usize) -> [usize; 2] {
    let (nx, nz) = panel.values.dim();
    let aspect = panel.aspect(columns);
    let full = FULL[usize::from(columns > 1)] / columns;
    let width = (full as f64 - (LEFT + RIGHT) as f64).clamp(WIDTH[0], WIDTH[1]);
    let wide = whole_blocks(width.min(HEIGHT[1] * aspect).max(WIDTH[0]), nx);
    let height = (wide as f64 / aspect).clamp(HEIGHT[0], HEIGHT[1]);
    // Half a pixel more, so that square cells, which fit exactly, are not lost to rounding.
    [wide, whole_blocks(height + 0.5, nz)]
}

/// A length in pixels, shortened so that each cell gets whole pixels, unless that would cost much room.
fn whole_blocks(pixels: f64, cells: usize) -> usize {
    let whole = pixels as usize / cells * cells;
    if whole as f64 >= 0.8 * pixels { whole } else { pixels as usize }
}

fn draw(canvas: &mut Canvas, panel: &Panel, Framed { frame, bar, ends }: &Framed) {
    let (nx, nz) = panel.values.dim();
    let &Frame { left, top, width, height, .. } = frame;
    let table = colour::table(panel.scale.map);
    let row = |py: usize| if panel.upwards { height - 1 - py } else { py };
    let rows: Vec<Footprint> = (0..height).map(|py| footprint(row(py), height, nz)).collect();
    for px in 0..width {
        let columns = footprint(px, width, nx);
        for (py, row) in rows.iter().enumerate() {
            let colour = mean(&panel.values, &columns, row).map_or(MISSING, |v| table[colour::level(*ends, v)]);
            canvas.set(left + px, top + py, colour);
        }
    }
    for curve in &panel.curves {
        frame.curve(canvas, curve, CURVE);
    }
    frame.outline(canvas);
    let room = (width + 2 * LEFT - 24) as f64;
    frame.title(canvas, &panel.title, room);
    frame.x_axis(canvas, room);
    frame.y_axis(canvas);
    for py in 0..height {
        let share = 1.0 - (py as f64 + 0.5) / height as f64;
        let colour = table[colour::level([0.0, 1.0], share)];
        canvas.fill([bar.left, top + py, bar.width, 1], colour);
    }
    bar.outline(canvas);
    bar.vertical(canvas, &bar.y, Side::Right, INK);
}

/// The cells under a pixel, each with the share of a cell that the pixel covers.
pub(super) type Footprint = Vec<(usize, f64)>;

pub(super) fn footprint(pixel: usize, pixels: usize, cells: usize) -> Footprint {
    // In units of 1 / pixels of a cell everything is a whole number: no sliver of a neighbour slips in by rounding.
    let (first, last) = (pixel * cells, (pixel + 1) * cells);
    (first / pixels..last.div_ceil(pixels))
        .map(|cell| {
            let covered = last.min((cell + 1) * pixels) - first.max(cell * pixels);
            (cell, covered as f64 / pixels as f64)
        })
        .collect()
}

/// Mean of the finite values under a pixel.
fn mean(values: &ArrayView2<f64>, columns: &Footprint, rows: &Footprint) -> Option<f64> {
    let (mut sum, mut weight) = (0.0, 0.0);
    for &(i, a) in columns {
        for &(j, b) in rows {
            let value = values[[i, j]];
            if value.is_finite() {
                sum += a * b * value;
                weight += a * b;
            }
        }
    }
    (weight > 0.0).then(|| sum / weight)
}
