//! Ranges of steps in parts that are short, so that a request to stop is met soon.

use std::ops::Range;
use std::time::{Duration, Instant};

/// A part that took longer is too long.
const LONG: Duration = Duration::from_secs(1);
/// A part that took less is so short that more steps can be taken together.
const SHORT: Duration = Duration::from_millis(250);
/// Steps of the first part: a multiple of the steps that evolutions like to compute together.
const FIRST: usize = 16;

/// How many steps are made without looking for a request to stop: about what fits a second.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    steps: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { steps: FIRST }
    }
}

impl Pace {
    /// The next part of a range, from its beginning; not empty unless the range is.
    pub fn first(&self, steps: &Range<usize>) -> Range<usize> {
        steps.start..steps.end.min(steps.start + self.steps)
    }

    /// The next part of a range, from its end.
    pub fn last(&self, steps: &Range<usize>) -> Range<usize> {
        steps.start.max(steps.end.saturating_sub(self.steps))..steps.end
    }

    /// Learns from a part that began at some time and has just been done.
    pub fn learn(&mut self, part: &Range<usize>, began: Instant) {
        let took = began.elapsed();
        if took > LONG {
            self.steps = (part.len() / 2).max(1);
        } else if took < SHORT && part.len() == self.steps {
            self.steps = self.steps.saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_range_from_either_end() {
        let (mut pace, mut rest, mut parts) = (Pace::default(), 3..1000, 0);
        while !rest.is_empty() {
            let part = pace.first(&rest);
            assert!(part.start == rest.start && !part.is_empty() && part.end <= 1000);
            rest.start = part.end;
            parts += 1;
            pace.learn(&part, Instant::now());
        }
        assert!(parts < 10, "quick parts grow: {parts}");
        let (pace, mut rest, mut seen) = (Pace::default(), 3..100, 0);
        while !rest.is_empty() {
            let part = pace.last(&rest);
            assert!(part.end == rest.end && !part.is_empty() && part.start >= 3);
            seen += part.len();
            rest.end = part.start;
        }
        assert_eq!(seen, 97);
    }

    #[test]
    fn long_parts_are_halved_down_to_one_step() {
        let mut pace = Pace::default();
        let long_ago = Instant::now().checked_sub(2 * LONG).expect("the clock has run so long");
        for expected in [8, 4, 2, 1, 1] {
            let part = pace.first(&(0..1000));
            pace.learn(&part, long_ago);
            assert_eq!(pace.first(&(0..1000)), 0..expected);
        }
    }
}
