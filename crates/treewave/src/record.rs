//! The history of a run, and how it is published.

use std::path::PathBuf;

use fail::fail_point;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use treewave_cluster::Failure;
use treewave_inversion::optimizer::{IterationReport, LbfgsState};
use treewave_inversion::{Control, Evaluated};
use treewave_storage::{RunEntry, RunRecord, publish_run};

use crate::fingerprint::Fingerprint;
use crate::provenance;
use crate::resume::{Point, forget_evaluations, no_entry, save_point};
use crate::session::{Progress, Session};
use crate::study::{Study, unwritable};

/// Above this size of a run file, iterations become files of their own.
const LARGE_BYTES: u64 = 1 << 30;

/// One iteration as it goes into the run file; iteration 0 is the start model.
pub struct Entry;

impl Entry {
    /// The start model and its misfit.
    pub fn start(study: &Study, evaluated: &Evaluated, stage: usize, wall_s: f64) -> RunEntry {
        entry(study, study.start.vp_m_per_s().to_vec(), Some(evaluated), evaluated.misfit, stage, wall_s)
    }

    /// An accepted iteration.
    pub fn iteration(
        study: &Study,
        control: &Control,
        state: &LbfgsState,
        evaluated: Option<Evaluated>,
        report: &IterationReport,
        stage: usize,
        wall_s: f64,
    ) -> RunEntry {
        let vp = control.vp(state.x());
        RunEntry {
            gradient_norm: report.projected_gradient_norm,
            step_percent: report.step_percent,
            evaluations: report.evaluations,
            ..entry(study, vp, evaluated.as_ref(), report.value, stage, wall_s)
        }
    }
}

fn entry(
    study: &Study,
    vp: Vec<f64>,
    evaluated: Option<&Evaluated>,
    misfit: f64,
    stage: usize,
    wall_s: f64,
) -> RunEntry {
    let shots = study.survey.shots.len();
    let mut misfit_per_shot = vec![f64::NAN; shots];
    if let Some(evaluated) = evaluated {
        evaluated
            .shots
            .iter()
            .zip(&evaluated.misfit_per_shot)
            .for_each(|(&shot, &misfit)| misfit_per_shot[shot] = misfit);
    }
    let model_error = study.truth.as_ref().map(|truth| relative_difference(&vp, truth.vp_m_per_s()));
    let gradient = evaluated.map_or_else(|| vec![0.0; vp.len()], |evaluated| evaluated.gradient_vp.clone());
    RunEntry {
        vp,
        gradient,
        misfit,
        gradient_norm: 0.0,
        step_percent: 0.0,
        evaluations: 1,
        stage: stage as u64,
        wall_s,
        misfit_per_shot,
        model_error,
    }
}

/// `‖a − b‖ / ‖b‖`.
fn relative_difference(a: &[f64], b: &[f64]) -> f64 {
    let difference: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    (difference / b.iter().map(|b| b * b).sum::<f64>()).sqrt()
}

/// The run so far; the same on all ranks, published by rank 0.
pub struct Record {
    run: RunRecord,
    /// Seconds of earlier processes of this run.
    before_s: f64,
    /// Shots that were left out, per stage.
    left_out: Vec<(usize, Vec<usize>)>,
    /// Of all entries but the newest.
    past: PastDigest,
    /// Entries in the run file, as far as is known.
    published: usize,
}

/// Tells the past entries of a run from all others, to the bit: they are in the run file, which has no checksum, and a
/// run goes on with none but its own.
#[derive(Clone, Default)]
struct PastDigest([u8; 32]);

impl PastDigest {
    /// Takes one more entry in.
    fn add(&mut self, entry: &RunEntry) {
        let mut hash = Sha256::new();
        hash.update(self.0);
        let scalars = [entry.misfit, entry.gradient_norm, entry.step_percent, entry.wall_s];
        let arrays = [&entry.vp[..], &entry.gradient, &scalars, &entry.misfit_per_shot, entry.model_error.as_slice()];
        for values in arrays {
            hash.update((values.len() as u64).to_le_bytes());
            values.iter().for_each(|v| hash.update(v.to_le_bytes()));
        }
        [entry.evaluations, entry.stage].iter().for_each(|count| hash.update(count.to_le_bytes()));
        self.0 = hash.finalize().into();
    }
}

impl Record {
    /// An empty run.
    pub fn new(study: &Study, session: &Session) -> Self {
        let run = RunRecord {
            grid: study.grid().clone(),
            vp_start: study.start.vp_m_per_s().to_vec(),
            vp_true: study.truth.as_ref().map(|truth| truth.vp_m_per_s().to_vec()),
            entries: Vec::new(),
            config: study.config.to_toml(),
            provenance: provenance::layout(session.cluster.as_ref(), session.threads, session.path),
        };
        Record { run, before_s: 0.0, left_out: Vec::new(), past: PastDigest::default(), published: 0 }
    }

    /// A run that goes on, with the shots that were left out of each stage, and so many entries in the run file.
    pub fn resumed(run: RunRecord, left_out: Vec<(usize, Vec<usize>)>, published: usize) -> Self {
        let before_s = run.entries.last().map_or(0.0, |entry| entry.wall_s);
        let mut past = PastDigest::default();
        run.entries.iter().rev().skip(1).rev().for_each(|entry| past.add(entry));
        let mut record = Record { run, before_s, left_out: Vec::new(), past, published };
        left_out.into_iter().for_each(|(stage, shots)| record.leave_out(stage, shots));
        record
    }

    /// The run itself.
    pub fn into_run(self) -> RunRecord {
        self.run
    }
    /// Whether not even the start model was evaluated.
    pub fn is_empty(&self) -> bool {
        self.run.entries.is_empty()
    }
    /// Iterations accepted.
    pub fn iteration(&self) -> usize {
        self.run.entries.len().saturating_sub(1)
    }
    /// The newest iteration.
    ///
    /// # Errors
    /// A bug of ours: not even the start model was evaluated.
    pub fn newest(&self) -> Result<&RunEntry, Failure> {
        self.run.entries.last().ok_or_else(no_entry)
    }
    /// Shots that are left out, per stage.
    pub fn all_left_out(&self) -> &[(usize, Vec<usize>)] {
        &self.left_out
    }
    /// Shots that are left out of a stage.
    pub fn left_out(&self, stage: usize) -> &[usize] {
        self.left_out.iter().find(|(known, _)| *known == stage).map_or(&[], |(_, shots)| shots)
    }
    /// Leaves shots out of a stage; the run file says so.
    pub fn leave_out(&mut self, stage: usize, shots: Vec<usize>) {
        if shots.is_empty() {
            return;
        }
        self.left_out.push((stage, shots));
        let stages = self.left_out.iter().map(|(stage, shots)| format!("stage {stage}: {shots:?}"));
        let text = stages.collect::<Vec<_>>().join("; ");
        self.run.provenance.retain(|(name, _)| name != "shots_left_out");
        self.run.provenance.push(("shots_left_out".into(), text));
    }
    /// The newest velocities in m/s.
    pub fn last_vp(&self, study: &Study) -> Vec<f64> {
        self.run.entries.last().map_or_else(|| study.start.vp_m_per_s().to_vec(), |entry| entry.vp.clone())
    }
    /// Relative L2 difference of the newest model and the true one.
    pub fn last_model_error(&self) -> Option<f64> {
        self.run.entries.last().and_then(|entry| entry.model_error)
    }
    /// Adds an iteration.
    pub fn push(&mut self, mut entry: RunEntry) {
        entry.wall_s += self.before_s;
        if let Some(newest) = self.run.entries.last() {
            self.past.add(newest);
        }
        self.run.entries.push(entry);
    }
    /// Tells the entries before the newest from those of any other run, in hexadecimal digits.
    pub fn past_digest(&self) -> String {
        self.past.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
    /// All evaluations of the run.
    fn evaluations(&self) -> u64 {
        self.run.entries.iter().map(|entry| entry.evaluations).sum()
    }
    /// The run in a line.
    pub fn summary(&self) -> String {
        let last = self.run.entries.last();
        let error = last.and_then(|e| e.model_error).map_or(String::new(), |e| format!(", model error {e:.4}"));
        let misfit = last.map_or(f64::NAN, |e| e.misfit);
        let seconds = last.map_or(0.0, |e| e.wall_s);
        format!(
            "{} iterations, {} gradients, J = {misfit:.6e}{error}, {seconds:.0} s",
            self.iteration(),
            self.evaluations()
        )
    }

    /// Makes the output directory and says that the run is under way.
    pub fn begin(&self, study: &Study, progress: &Progress) -> Result<(), Failure> {
        let directory = &study.config.run.output;
        std::fs::create_dir_all(directory).map_err(|e| unwritable(format!("{}: {e}", directory.display())))?;
        self.write_status(study, progress, "running")
    }

    /// Saves what a restart needs, then publishes the run file and the status.
    ///
    /// A restart file has the newest entry only. Those before it are in the run file by then, also where it is the first,
    /// or a process before was killed between the two.
    pub fn save(
        &mut self,
        study: &Study,
        progress: &Progress,
        point: &Point,
        fingerprint: &Fingerprint,
    ) -> Result<(), Failure> {
        fail_point!("iteration.save", |_| Ok(()));
        let newest = self.run.entries.pop().ok_or_else(no_entry)?;
        let before = if self.published < self.run.entries.len() { self.publish(study) } else { Ok(()) };
        self.run.entries.push(newest);
        before?;
        save_point(study, point, self, fingerprint)?;
        forget_evaluations(study);
        self.publish(study)?;
        self.published = self.run.entries.len();
        self.write_status(study, progress, if point.ended { "stage ended" } else { "running" })
    }

    /// Publishes the end of the run.
    pub fn finish(&mut self, study: &Study, progress: &Progress, reason: &str) -> Result<(), Failure> {
        self.run.provenance.retain(|(name, _)| name != "stopped_because");
        self.run.provenance.push(("stopped_because".into(), reason.into()));
        self.publish(study)?;
        // A process that was killed after its last iteration was saved has left it.
        forget_evaluations(study);
        self.write_status(study, progress, "done")
    }

    fn publish(&self, study: &Study) -> Result<(), Failure> {
        fail_point!("iteration.publish");
        let head = provenance::head(&format!("{}: inversion", study.config.run.name));
        publish_run(&run_file(study), &self.run, &head, LARGE_BYTES).map_err(unwritable)
    }

    /// Writes `status.json`, which `treewave status` reads.
    pub fn write_status(&self, study: &Study, progress: &Progress, state: &str) -> Result<(), Failure> {
        let last = self.run.entries.last();
        let run = json!({
            "state": state,
            "stage": last.map_or(0, |e| e.stage),
            "iteration": self.iteration(),
            "misfit": last.map(|e| e.misfit),
            "evaluations": self.evaluations(),
            "model_error": last.and_then(|e| e.model_error),
            "seconds": last.map_or(0.0, |e| e.wall_s),
        });
        let Value::Object(run) = run else { unreachable!("an object was made") };
        let file = study.config.run.output.join("status.json");
        progress.status(|status| status.publish(file, run)).map_err(unwritable)
    }
}

/// The run file of a study.
pub fn run_file(study: &Study) -> PathBuf {
    study.config.run.output.join("run.h5")
}
