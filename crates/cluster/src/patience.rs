//! How long a waiting rank sleeps between two looks at what has come.

use std::time::Duration;

/// The pause between two looks at the mail after a change; every further one is twice as long, up to a limit.
pub(crate) const PAUSE: Duration = Duration::from_micros(50);
/// The longest pause while this rank computes: what a look costs, about 20 µs, is then half a percent of one processor.
const BUSY_PAUSE: Duration = Duration::from_millis(4);
/// The longest pause while it has nothing to compute.
const IDLE_PAUSE: Duration = Duration::from_millis(1);

/// The longest pause of a rank that has so many shots in hand.
pub(crate) fn longest_pause(in_hand: usize) -> Duration {
    if in_hand > 0 { BUSY_PAUSE } else { IDLE_PAUSE }
}

/// The pause after one that brought nothing.
pub(crate) fn next_pause(pause: Duration, in_hand: usize) -> Duration {
    (2 * pause).min(longest_pause(in_hand))
}

/// The pause of a rank that has waited so long for the others to come to a collective call: an eighth of that, from 10 µs to 1 ms.
///
/// Where all come at the same time, as after the shots, a meeting still has ⌈log₂ P⌉ rounds, each with a look; pauses that grow faster
/// would make them milliseconds.
pub(crate) fn meeting_pause(waited: Duration) -> Duration {
    (waited / 8).clamp(Duration::from_micros(10), Duration::from_millis(1))
}
