//! When a rank saves what it has summed so far within a gradient.

use std::time::Duration;

/// Saves take at most one part in this many of the time.
const PARTS: u32 = 20;

/// Whether it is time to save again, so long after the last save, which `took` some time: after every shot if `every` is
/// zero, else not sooner than `every`, nor so soon that saves would take more than a twentieth of the time.
pub fn save_is_due(elapsed: Duration, every: Duration, took: Duration) -> bool {
    every.is_zero() || elapsed >= every.max(PARTS * took)
}

/// What a first save takes, before one has been measured: every rank saves so many bytes at about the same time to a file system that gives
/// 1 GB/s to a process and 20 GB/s to all.
pub fn guessed_save(bytes: f64, ranks: usize) -> Duration {
    Duration::from_secs_f64(bytes / f64::min(1e9, 20e9 / ranks as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saves_take_a_twentieth_of_the_time_at_most() {
        let [second, minute] = [1, 60].map(Duration::from_secs);
        assert!(save_is_due(Duration::ZERO, Duration::ZERO, minute), "zero is after every shot");
        assert!(!save_is_due(59 * second, minute, second) && save_is_due(minute, minute, second));
        assert!(!save_is_due(199 * second, minute, 10 * second) && save_is_due(200 * second, minute, 10 * second));
    }

    #[test]
    fn a_first_save_is_guessed_by_what_a_process_and_the_file_system_give() {
        assert_eq!(guessed_save(2e9, 10), Duration::from_secs(2));
        assert_eq!(guessed_save(0.48e9, 10_000), Duration::from_secs(240));
    }
}
