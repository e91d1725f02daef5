//! Pictures: models, gradients, gathers, convergence curves, velocity logs and pebble games as PNG.
//!
//! Every function takes plain data and returns a [`Picture`], which is written to a file or embedded in a report.
//! [`panels`] draws arrays as colours; [`convergence`], [`logs`], [`tradeoff`] and, for all else, [`lines`] draw curves. Games of
//! [`pebbles`] are a [`Drawing`], which can be written as SVG as well.
//!
//! The lettering is DejaVu Sans, embedded in the program, so that pictures look the same on every machine.

mod canvas;
mod colour;
mod convergence;
mod drawing;
mod frame;
mod lines;
mod logs;
mod panels;
mod pebbles;
mod ticks;
mod tradeoff;

pub use colour::{ColourMap, ColourScale, Limits};
pub use convergence::{Convergence, convergence};
pub use drawing::Drawing;
pub use lines::{LineAxis, Lines, Series, lines};
pub use logs::{Curve, Log, Logs, logs};
pub use panels::{Axis, Panel, panels};
pub use pebbles::{LARGEST_BOARD, PebbleGame, PebbleRow, pebbles};
pub use ticks::unit;
pub use tradeoff::{SpaceOfSize, SpaceTime, tradeoff};

use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a picture cannot be drawn or written.
#[derive(Debug, Error)]
pub enum PlotError {
    #[error("there is nothing to draw: {what}")]
    Empty { what: String },
    #[error("{what} is {found} long, a picture shows up to {expected}")]
    TooLong { what: String, found: usize, expected: usize },
    #[error("{what} has {found} values, expected {expected}")]
    Length { what: String, found: usize, expected: usize },
    #[error("the colour limits of `{label}` are {low} and {high}; they must be finite and growing")]
    Limits { label: String, low: f64, high: f64 },
    #[error("the percentile of `{label}` is {found}, it must be above 0 and at most 100")]
    Percentile { label: String, found: f64 },
    #[error("axis `{name}` starts at {first} with step {step}; both must be finite and the step positive")]
    Axis { name: String, first: f64, step: f64 },
    #[error("cannot encode the picture: {0}")]
    Encode(String),
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

/// A finished picture, three bytes (red, green, blue) per pixel, row by row from the top.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }
    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }
    /// The pixels, `3 · width · height` bytes.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The picture as the bytes of a PNG file; with a palette where 256 colours are enough.
    ///
    /// # Errors
    /// [`PlotError::Encode`], should the encoder fail.
    pub fn png(&self) -> Result<Vec<u8>, PlotError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Best);
        let palette = self.palette();
        let data = match &palette {
            Some((colours, indices)) => {
                encoder.set_color(png::ColorType::Indexed);
                encoder.set_palette(colours.as_slice());
                encoder.set_filter(png::FilterType::NoFilter);
                indices
            }
            None => {
                encoder.set_color(png::ColorType::Rgb);
                encoder.set_adaptive_filter(png::AdaptiveFilterType::Adaptive);
                &self.rgb
            }
        };
        let failed = |e: png::EncodingError| PlotError::Encode(e.to_string());
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(data).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(bytes)
    }

    /// Writes the picture as a PNG file, complete or not at all: first under a temporary name, then renamed.
    ///
    /// # Errors
    /// What the file system says, with the path.
    pub fn save(&self, path: &Path) -> Result<(), PlotError> {
        save(path, &self.png()?)
    }

    /// The colours in use and the index of each pixel's colour, if a palette can hold them.
    fn palette(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut index = std::collections::HashMap::new();
        let mut colours = Vec::new();
        let mut indices = Vec::with_capacity(self.width * self.height);
        for pixel in self.rgb.chunks_exact(3) {
            let next = index.len();
            let &mut i = index.entry([pixel[0], pixel[1], pixel[2]]).or_insert_with(|| {
                colours.extend_from_slice(pixel);
                next
            });
            indices.push(u8::try_from(i).ok()?);
        }
        Some((colours, indices))
    }
}

/// Writes a file, complete or not at all: first under a temporary name, then renamed.
///
/// # Errors
/// What the file system says, with the path.
pub fn save(path: &Path, bytes: &[u8]) -> Result<(), PlotError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(name);
    std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path)).map_err(|source| {
        // The temporary file may not exist; what matters is the first failure.
        let _ = std::fs::remove_file(&temporary);
        PlotError::Write { path: path.to_owned(), source }
    })
}

#[cfg(test)]
mod tests;
