//! When a rank saves what it has summed so far within a gradient.

use std::time::Duration;

/// Saves take at most one part in this many of the time.
const PARTS: u32 = 20;

/// Whether it is time to save again, so long after the last save, which `took` some time: after every shot if `every` is
/// zero, else not sooner than `every`, nor so soon that saves would take more than a twentieth of the time.
pub fn save_is_due(elapsed: Duration, every: Duration, took: Duration) -> bool {
    every.is_zero() || elapsed >= every.max(PARTS * took)
}
