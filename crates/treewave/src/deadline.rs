//! When a run must be over: `--max-time`, and the end of the allocation that Slurm has given.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use treewave_cluster::Failure;
use treewave_core::StopFlag;

use crate::study::unwritable;

/// What stopping takes at most, a second of steps and the saving of a large run among it.
const STOPPING: Duration = Duration::from_secs(30);
/// Slurm keeps its limits to half a minute or so.
const SLURM_IS_EARLY: Duration = Duration::from_secs(60);

/// Asks to stop in time, by a thread that sleeps until then.
///
/// # Errors
/// Code 5 if there are no more threads.
pub fn watch(max_time: Option<Duration>, stop: &StopFlag) -> Result<(), Failure> {
    let slurm_end = std::env::var("SLURM_JOB_END_TIME").ok().and_then(|text| text.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let Some(left) = time_left(max_time, slurm_end, now) else { return Ok(()) };
    let stop = stop.clone();
    let watching = std::thread::Builder::new().name("deadline".into()).spawn(move || {
        std::thread::sleep(left);
        log::info!("time is nearly up");
        stop.request();
    });
    watching.map(drop).map_err(|e| unwritable(format!("no thread could be started to watch the time: {e}")))
}

/// The time until a stop must be asked for; `slurm_end_s` counts from 1970 as `now` does.
fn time_left(max_time: Option<Duration>, slurm_end_s: Option<u64>, now: Duration) -> Option<Duration> {
    // Of a short time a quarter is enough.
    let own = max_time.map(|max_time| max_time - STOPPING.min(max_time / 4));
    let slurm = slurm_end_s.map(|end| Duration::from_secs(end).saturating_sub(now + STOPPING + SLURM_IS_EARLY));
    own.into_iter().chain(slurm).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_asked_for_before_the_earliest_end() {
        let (minute, now) = (Duration::from_secs(60), Duration::from_secs(1_800_000_000));
        assert_eq!(time_left(None, None, now), None);
        assert_eq!(time_left(Some(10 * minute), None, now), Some(10 * minute - STOPPING));
        assert_eq!(time_left(Some(Duration::from_secs(4)), None, now), Some(Duration::from_secs(3)));
        let end = Some(now.as_secs() + 300);
        assert_eq!(time_left(None, end, now), Some(Duration::from_secs(210)));
        assert_eq!(time_left(Some(minute), end, now), Some(Duration::from_secs(45)));
        assert_eq!(time_left(Some(10 * minute), end, now), Some(Duration::from_secs(210)));
        assert_eq!(time_left(None, Some(5), now), Some(Duration::ZERO), "an end in the past");
    }
}
