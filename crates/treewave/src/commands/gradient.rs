//! `treewave gradient`: misfit and gradient at the start model.

use std::path::Path;

use treewave_inversion::{BadShots, ExperimentError};
use treewave_storage::{GradientRecord, write_gradient};
use treewave_wave::Scalar;

use super::with_precision;
use crate::kept_gradient::KeptGradient;
use crate::provenance;
use crate::report::log_json;
use crate::session::Session;
use crate::stage::StageSetup;
use crate::study::{Study, unwritable};

/// Carries the verb out.
///
/// # Errors
/// Those of the set-up and the evaluation; code 5 if the file cannot be written.
pub fn run(session: &Session, study: &Study, to: Option<&Path>) -> Result<i32, ExperimentError> {
    with_precision!(study, gradient(session, study, to))
}

/// The gradient is that of the full band with all shots, or of the last stage.
fn gradient<T: Scalar>(session: &Session, study: &Study, to: Option<&Path>) -> Result<i32, ExperimentError> {
    let stage = study.config.stages.len() - 1;
    let setup = StageSetup::<T>::new(study, session, stage, 0)?;
    let file = to.map_or_else(|| study.config.run.output.join("gradient.h5"), Path::to_path_buf);
    let kept = KeptGradient::of(study, session, stage, &file)?;
    session.progress.begin("gradient", setup.shots.len());
    let result = setup.evaluate(study.start.vp_m_per_s(), BadShots::Fail, Some(&kept.files))?;
    let peak_rss_bytes = session.peak_rss_bytes();
    let written = if session.leads() {
        let record = GradientRecord {
            grid: study.grid(),
            gradient_vp: &result.gradient_vp,
            illumination: Some(&result.illumination),
            misfit: result.misfit,
            shots: &setup.shots,
            misfit_per_shot: &result.misfit_per_shot,
            log: log_json(&result.log, &setup.plan.reversal, peak_rss_bytes).to_string(),
            provenance: provenance::layout(session.cluster.as_ref(), session.threads, session.path),
        };
        let directory = file.parent().filter(|_| to.is_none());
        directory
            .map_or(Ok(()), std::fs::create_dir_all)
            .map_err(|e| unwritable(format!("{}: {e}", file.display())))
            .and_then(|()| {
                let head = provenance::head(&format!("{}: gradient", study.config.run.name));
                write_gradient(&file, &record, &head).map_err(unwritable)
            })
    } else {
        Ok(())
    };
    session.cluster.agree(written)?;
    if session.leads() {
        kept.remove();
    }
    session.progress.line(&format!("misfit {:.6e}; {}", result.misfit, file.display()));
    Ok(0)
}
