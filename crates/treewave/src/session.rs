//! What every computing verb needs: ranks, threads, the stop flag, progress.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use treewave_cluster::{Cluster, Failure, threads_per_rank};
use treewave_core::{Event, Observer, StopFlag};
use treewave_wave::Path as SimdPath;

use crate::cli::Common;
use crate::config::{self, Config};
use crate::deadline;
use crate::memory::peak_rss_bytes;
use crate::status::StatusFile;
use crate::study::{Study, misconfigured, unwritable};
use crate::terminal::PipedTerminal;

/// The ranks and what they share.
pub struct Session {
    /// The ranks.
    pub cluster: Box<dyn Cluster>,
    /// Threads of this rank.
    pub threads: usize,
    /// Instructions of the kernels: the best that all ranks have.
    pub path: SimdPath,
    /// A request to stop, set by SIGTERM, SIGINT and SIGUSR1.
    pub stop: StopFlag,
    /// Progress on rank 0.
    pub progress: Progress,
}

/// Reads a configuration with the overrides of the command line.
///
/// # Errors
/// Code 2.
pub fn load_config(path: &Path, common: &Common) -> Result<Config, Failure> {
    let mut overrides = common.overrides.clone();
    if let Some(output) = &common.output {
        let output = std::path::absolute(output).map_err(misconfigured)?;
        overrides.push(format!("run.output={}", toml::Value::String(output.to_string_lossy().into_owned())));
    }
    if let Some(threads) = common.threads {
        overrides.push(format!("parallel.threads_per_rank={threads}"));
    }
    config::load(path, &overrides).map_err(misconfigured)
}

impl Session {
    /// Starts the ranks, loads the study on all of them, and starts their threads.
    ///
    /// # Errors
    /// The same on all ranks; those of [`Study::load`], or an environment that does not work.
    pub fn start(config: &Path, common: &Common) -> Result<(Session, Result<Study, Failure>), Failure> {
        let cluster = treewave_cluster::start()?;
        let stop = StopFlag::default();
        catch_signals(&stop)?;
        deadline::watch(common.max_time, &stop)?;
        let progress = Progress::new(cluster.rank() == 0 && !common.quiet);
        let study = load_config(config, common).and_then(Study::load);
        let study = cluster.agree(study);
        let asked = study.as_ref().ok().and_then(|study| study.config.threads_per_rank);
        let automatic = threads_per_rank(cluster.as_ref());
        if let (None, Some(warning)) = (asked, &automatic.warning) {
            log::warn!("{warning}");
        }
        let threads = asked.unwrap_or(automatic.count);
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("stencil-{i}"))
            .build_global()
            .map_err(|e| unwritable(format!("cannot start {threads} threads: {e}")))?;
        let path = common_path(cluster.as_ref());
        Ok((Session { cluster, threads, path, stop, progress }, study))
    }

    /// The most memory that any rank has had so far; to be called by all ranks.
    pub fn peak_rss_bytes(&self) -> u64 {
        self.cluster.all_max(peak_rss_bytes() as i64) as u64
    }

    /// Whether this rank speaks for all.
    pub fn leads(&self) -> bool {
        self.cluster.rank() == 0
    }
}

/// The best path that every rank has.
fn common_path(cluster: &dyn Cluster) -> SimdPath {
    let paths = [SimdPath::Baseline, SimdPath::Avx2, SimdPath::Avx512];
    let own = paths.iter().position(|&path| path == SimdPath::detect()).expect("every path is in the list") as i64;
    let best = asked_path().map_or(own, |limit| own.min(limit));
    paths[-cluster.all_max(-best) as usize]
}

/// `TREEWAVE_SIMD=baseline|avx2` limits the instructions, to compare paths.
fn asked_path() -> Option<i64> {
    match std::env::var("TREEWAVE_SIMD").ok()?.as_str() {
        "baseline" => Some(0),
        "avx2" => Some(1),
        _ => None,
    }
}

/// SIGTERM, SIGINT and SIGUSR1 ask to stop; a second one ends the process at once.
fn catch_signals(stop: &StopFlag) -> Result<(), Failure> {
    use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
    let armed = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGUSR1] {
        let registered = signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, armed.clone())
            .and_then(|_| signal_hook::flag::register(signal, armed.clone()))
            .and_then(|_| signal_hook::flag::register(signal, stop.shared()));
        registered.map_err(|e| unwritable(format!("cannot catch signal {signal}: {e}")))?;
    }
    Ok(())
}

/// Frames per second of the bar.
const FRAMES_HZ: u8 = 8;

/// Where a rank that speaks may draw: its own terminal, or the one behind the launcher's pipe.
fn draw_target() -> ProgressDrawTarget {
    if std::io::stderr().is_terminal() {
        return ProgressDrawTarget::stderr_with_hz(FRAMES_HZ);
    }
    PipedTerminal::of_launcher().map_or_else(ProgressDrawTarget::hidden, |terminal| {
        ProgressDrawTarget::term_like_with_hz(Box::new(terminal), FRAMES_HZ)
    })
}

/// Progress of rank 0: a bar on a terminal, plain lines elsewhere.
pub struct Progress {
    speaks: bool,
    bar: ProgressBar,
    began: Instant,
    status: Mutex<StatusFile>,
}

impl Progress {
    fn new(speaks: bool) -> Self {
        let target = if speaks { draw_target() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{msg:>24} [{bar:40}] {pos}/{len} shots {elapsed_precise}");
        bar.set_style(style.expect("the template is valid").progress_chars("=> "));
        Progress { speaks, bar, began: Instant::now(), status: Mutex::default() }
    }

    /// What the following shots are for.
    pub fn begin(&self, what: &str, shots: usize) {
        self.bar.set_length(shots as u64);
        self.bar.set_position(0);
        self.bar.set_message(what.to_string());
        self.status(|status| status.count(0, shots));
    }

    /// Does something with the status file of the run.
    pub fn status<R>(&self, body: impl FnOnce(&mut StatusFile) -> R) -> R {
        body(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A line for the user, above the bar.
    pub fn line(&self, text: &str) {
        if self.speaks {
            self.bar.suspend(|| eprintln!("{text}"));
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

impl Observer for Progress {
    fn event(&self, event: Event) {
        match event {
            Event::Shot { shot, seconds } => log::debug!("shot {shot}: {seconds:.2} s"),
            Event::Progress { done, total } => {
                self.bar.set_position(done as u64);
                self.status(|status| status.count(done, total));
            }
            Event::Message(text) => self.line(&text),
        }
    }
}
