//! What `gradient` keeps until its file is written, so that the same command goes on with it: a ledger in `FILE.ledger`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use treewave_cluster::Failure;

use crate::fingerprint::Fingerprint;
use crate::ledger::EvaluationFiles;
use crate::session::Session;
use crate::study::Study;

/// The ledger of a gradient at the start model.
pub struct KeptGradient {
    directory: PathBuf,
    /// What is kept of it.
    pub files: EvaluationFiles,
}

impl KeptGradient {
    /// The one beside the file that the gradient of a stage is written to; nothing is made before there is something to keep.
    ///
    /// # Errors
    /// Code 3 if observed data cannot be read; the same on all ranks.
    pub fn of(study: &Study, session: &Session, stage: usize, file: &Path) -> Result<Self, Failure> {
        let mut name = file.file_name().unwrap_or_default().to_os_string();
        name.push(".ledger");
        let directory = file.with_file_name(name);
        let cluster = session.cluster.as_ref();
        let identity = Fingerprint::of(study, cluster)?.of_stage(stage, session.path.fused());
        let every = Duration::from_secs_f64(study.config.output.ledger_every_s);
        let files = EvaluationFiles::new(&directory, &identity, study.start.vp_m_per_s(), cluster.rank(), every);
        Ok(KeptGradient { directory, files })
    }

    /// Removes it, after the file was written.
    pub fn remove(self) {
        if let Err(error) = fs::remove_dir_all(&self.directory)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            // It takes room, and is never used again.
            log::warn!("{}: {error}", self.directory.display());
        }
    }
}
