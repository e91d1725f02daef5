//! Values that can be written in more than one way.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The word that leaves a choice to Treewave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Auto {
    /// Chosen by Treewave.
    #[serde(rename = "auto")]
    Auto,
}

/// A value, or `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AutoOr<T> {
    /// Chosen by Treewave.
    Auto(Auto),
    /// This value.
    Value(T),
}

impl<T: Copy> AutoOr<T> {
    /// The choice is left to Treewave.
    pub const AUTO: Self = AutoOr::Auto(Auto::Auto);
    /// The value, `None` for `"auto"`.
    pub fn value(&self) -> Option<T> {
        match self {
            AutoOr::Auto(_) => None,
            AutoOr::Value(value) => Some(*value),
        }
    }
}

/// A number of bytes: a whole number, or text with a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Bytes {
    /// Bytes.
    Count(#[schemars(range(max = i64::MAX))] u64),
    /// A number with a unit, as `"4 GiB"` (2^30) or `"512 MB"` (10^6).
    Text(String),
}

impl Bytes {
    /// The number of bytes; on failure what was expected.
    pub fn count(&self) -> Result<u64, &'static str> {
        const EXPECTED: &str = "a whole number of bytes, or a number and one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB";
        let text = match self {
            Bytes::Count(count) => return Ok(*count),
            Bytes::Text(text) => text.trim(),
        };
        let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = (text[..split].parse::<f64>().map_err(|_| EXPECTED)?, text[split..].trim());
        let factor: f64 = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "tb" => 1e12,
            "kib" => 1024.0,
            "mib" => 1024f64.powi(2),
            "gib" => 1024f64.powi(3),
            "tib" => 1024f64.powi(4),
            _ => return Err(EXPECTED),
        };
        let bytes = (number * factor).round();
        // 2^63 is the largest that TOML's whole numbers can write back.
        if bytes < i64::MAX as f64 { Ok(bytes as u64) } else { Err("less than 2^63 bytes (8 EiB)") }
    }
}

/// Coordinates along one axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Line {
    /// One coordinate, the same for all positions, in m.
    One(f64),
    /// A list of coordinates in m.
    Many(Vec<f64>),
    /// Evenly spaced coordinates.
    Even(Even),
}

/// Evenly spaced coordinates; `count` or `step`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Even {
    /// First coordinate in m.
    pub start: f64,
    /// Last coordinate in m; with `step`, the line ends at or before it.
    pub stop: f64,
    /// Number of coordinates, both ends included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub count: Option<usize>,
    /// Distance in m from one coordinate to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
}

/// Most coordinates of one line: a slip of the pen in `step` must not fill the memory.
pub const MOST_COORDINATES: usize = 1_000_000;

impl Line {
    /// The coordinates in m; on failure what was found and what was expected.
    pub fn coordinates_m(&self) -> Result<Vec<f64>, (String, String)> {
        match self {
            Line::One(value) => Ok(vec![*value]),
            Line::Many(values) if values.is_empty() => Err(("an empty list".into(), "at least one coordinate".into())),
            Line::Many(values) => Ok(values.clone()),
            Line::Even(even) => even.coordinates_m(),
        }
    }
}

impl Even {
    fn coordinates_m(&self) -> Result<Vec<f64>, (String, String)> {
        let length = self.stop - self.start;
        match (self.count, self.step) {
            (Some(1), None) => Ok(vec![self.start]),
            (Some(count), None) => {
                let at = |i| self.start + length * (i as f64 / (count - 1) as f64);
                Ok((0..count).map(at).collect())
            }
            (None, Some(step)) => {
                // A line from 0 to 0.3 every 0.1 has four points in spite of rounding.
                let intervals = (length / step + 1e-9).floor();
                if step == 0.0 || intervals.is_nan() || intervals < 0.0 {
                    let found = format!("step = {step} from {} to {}", self.start, self.stop);
                    return Err((found, "a step other than 0 that leads from start to stop".into()));
                }
                if intervals >= MOST_COORDINATES as f64 {
                    let found = format!("step = {step} from {} to {}", self.start, self.stop);
                    return Err((found, format!("at most {MOST_COORDINATES} coordinates")));
                }
                Ok((0..=intervals as usize).map(|i| self.start + i as f64 * step).collect())
            }
            (None, None) => Err(("neither count nor step".into(), "one of them".into())),
            (Some(_), Some(_)) => Err(("both count and step".into(), "only one of them".into())),
        }
    }
}

/// Which shots to use: `"all"`, a list of numbers from 0, or `"first:end:step"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Shots {
    /// `"all"`, or `"first:end:step"` with `end` left out of the choice, as `"0:24:2"`; each part may be left out.
    Text(String),
    /// Numbers of shots, from 0, in the order of the survey.
    List(Vec<usize>),
}

impl Default for Shots {
    fn default() -> Self {
        Shots::Text("all".into())
    }
}

impl Shots {
    /// Whether the text can be understood; on failure what was expected.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Shots::Text(text) => slice(text).map(|_| ()),
            Shots::List(list) if list.is_empty() => Err("at least one shot".into()),
            Shots::List(list) => {
                let mut sorted = list.clone();
                sorted.sort_unstable();
                match sorted.windows(2).find(|w| w[0] == w[1]) {
                    Some(twice) => Err(format!("each shot once, {} stands twice", twice[0])),
                    None => Ok(()),
                }
            }
        }
    }

    /// The numbers of the shots used, out of `shots` in all, ascending.
    ///
    /// # Errors
    /// What was expected, if the choice is empty or goes beyond the survey.
    pub fn pick(&self, shots: usize) -> Result<Vec<usize>, String> {
        self.check()?;
        let picked: Vec<usize> = match self {
            Shots::Text(text) => {
                let (first, end, step) = slice(text)?;
                if let Some(end) = end.filter(|&end| end > shots) {
                    return Err(format!("an end of at most {shots}, the number of shots in the survey, not {end}"));
                }
                (first..end.unwrap_or(shots)).step_by(step).collect()
            }
            Shots::List(list) => {
                if let Some(beyond) = list.iter().find(|&&shot| shot >= shots) {
                    return Err(format!("shots from 0 to {}, not {beyond}", shots.saturating_sub(1)));
                }
                let mut list = list.clone();
                list.sort_unstable();
                list
            }
        };
        if picked.is_empty() { Err(format!("at least one of the {shots} shots")) } else { Ok(picked) }
    }
}

/// First, end (`None`: up to the last shot) and step.
fn slice(text: &str) -> Result<(usize, Option<usize>, usize), String> {
    let expected = || "\"all\", a list of shot numbers, or \"first:end:step\" such as \"0:24:2\"".to_string();
    if text == "all" {
        return Ok((0, None, 1));
    }
    let parts: Vec<&str> = text.split(':').map(str::trim).collect();
    if !(2..=3).contains(&parts.len()) {
        return Err(expected());
    }
    let part = |i: usize| -> Result<Option<usize>, String> {
        match parts.get(i) {
            None | Some(&"") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| expected()),
        }
    };
    let (first, end, step) = (part(0)?.unwrap_or(0), part(1)?, part(2)?.unwrap_or(1));
    if step == 0 {
        return Err("a step of at least 1".into());
    }
    match end {
        Some(end) if end <= first => Err(format!("an end above the first shot, {first}")),
        _ => Ok((first, end, step)),
    }
}
