//! A picture as a list of marks, drawn in pixels or written as SVG.

use super::Picture;
use super::canvas::{Anchor, CAP_HEIGHT, Canvas, Lettering, Rgb};
use std::fmt::Write;

/// Something that is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mark {
    /// A filled rectangle: left, top, width, height in whole pixels.
    Rectangle([usize; 4], Rgb),
    /// A filled disc: centre, radius.
    Disc([f64; 2], f64, Rgb),
    /// A line through points, of some width.
    Line(Vec<[f64; 2]>, f64, Rgb),
    /// A text at a point.
    Text(String, [f64; 2], Lettering),
}

/// A finished drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) marks: Vec<Mark>,
}

impl Drawing {
    /// The drawing in pixels.
    pub fn picture(&self) -> Picture {
        let mut canvas = Canvas::new(self.width, self.height);
        for mark in &self.marks {
            match mark {
                Mark::Rectangle(place, colour) => canvas.fill(*place, *colour),
                Mark::Disc(centre, radius, colour) => canvas.disc(*centre, *radius, *colour),
                Mark::Line(points, width, colour) => canvas.line(points, *width, *colour, None),
                Mark::Text(text, at, lettering) => canvas.text(text, *at, *lettering),
            }
        }
        canvas.finish()
    }

    /// The drawing as an SVG document.
    pub fn svg(&self) -> String {
        let (width, height) = (self.width, self.height);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"DejaVu Sans, sans-serif\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
        );
        for mark in &self.marks {
            // a string takes everything that is written to it
            let _ = match mark {
                Mark::Rectangle([x, y, width, height], colour) => writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{}\"/>",
                    hex(*colour)
                ),
                Mark::Disc([x, y], radius, colour) => {
                    writeln!(svg, "<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"{radius:.2}\" fill=\"{}\"/>", hex(*colour))
                }
                Mark::Line(points, width, colour) => {
                    let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.2},{y:.2}")).collect();
                    writeln!(
                        svg,
                        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width:.2}\"/>",
                        points.join(" "),
                        hex(*colour)
                    )
                }
                Mark::Text(text, at, lettering) => writeln!(svg, "{}", text_element(text, *at, *lettering)),
            };
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn hex([red, green, blue]: Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn text_element(text: &str, at: [f64; 2], lettering: Lettering) -> String {
    let Lettering { size, colour, anchor: Anchor(before, above), upright } = lettering;
    let anchor = match before {
        x if x < 0.25 => "start",
        x if x > 0.75 => "end",
        _ => "middle",
    };
    // from the anchor down to the base line, seen along the text
    let down = (1.0 - above) * CAP_HEIGHT as f64 * size;
    let [x, y] = if upright { [at[0] + down, at[1]] } else { [at[0], at[1] + down] };
    let turn = if upright { format!(" transform=\"rotate(-90 {x:.2} {y:.2})\"") } else { String::new() };
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<text x=\"{x:.2}\" y=\"{y:.2}\" font-size=\"{size:.1}\" text-anchor=\"{anchor}\" fill=\"{}\"{turn}>{escaped}</text>",
        hex(colour)
    )
}
