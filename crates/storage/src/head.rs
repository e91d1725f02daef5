//! Where a file comes from.

use std::time::{SystemTime, UNIX_EPOCH};

/// The root attributes that tell where a file comes from. `Conventions`, `treewave_format`, `schema_version` and
/// `created` come from the writer.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// What the file shows, for readers.
    pub title: String,
    /// The program that wrote it, with version and commit.
    pub source: String,
    /// What was done to get here, such as the command line.
    pub history: String,
}

impl Head {
    /// A head from title, source and history.
    pub fn new(title: impl Into<String>, source: impl Into<String>, history: impl Into<String>) -> Self {
        Head { title: title.into(), source: source.into(), history: history.into() }
    }
}

/// A time as `2026-01-31T23:59:59Z`, in UTC.
pub fn utc_text(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (mut days, in_day) = (seconds / 86_400, seconds % 86_400);
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
    format!("{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", month + 1, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn utc_text_knows_leap_days_and_centuries() {
        // Seconds from `date -u -d ... +%s`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc_text(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
