//! `treewave simulate`: forward modelling of all shots.

use std::path::Path;

use treewave_inversion::ExperimentError;
use treewave_wave::Scalar;

use super::with_precision;
use crate::band::Band;
use crate::cli::WhichModel;
use crate::config::sections::Synthetic;
use crate::observed::write_simulated;
use crate::session::Session;
use crate::study::{Study, unwritable};

/// Carries the verb out.
///
/// # Errors
/// Code 2 without the model asked for, 5 if the file cannot be written, and those of the modelling.
pub fn run(session: &Session, study: &Study, to: Option<&Path>, which: WhichModel) -> Result<i32, ExperimentError> {
    with_precision!(study, simulate(session, study, to, which))
}

fn simulate<T: Scalar>(
    session: &Session,
    study: &Study,
    to: Option<&Path>,
    which: WhichModel,
) -> Result<i32, ExperimentError> {
    let model = match which {
        WhichModel::Start => &study.start,
        WhichModel::True => study.truth()?,
    };
    let config = &study.config;
    let band = Band::new(config, model.grid(), &study.survey, None, model.range_m_per_s().1)?;
    let file = to.map_or_else(|| config.run.output.join("simulated.h5"), Path::to_path_buf);
    let ready = match file.parent() {
        Some(directory) if session.leads() && to.is_none() => {
            std::fs::create_dir_all(directory).map_err(|e| unwritable(format!("{}: {e}", directory.display())))
        }
        _ => Ok(()),
    };
    session.cluster.agree(ready)?;
    session.progress.begin("modelling", study.survey.shots.len());
    // As configured: nothing is added to the traces.
    let plain = Synthetic { space_order: config.physics.space_order, step: config.time.step, noise: 0.0, seed: 0 };
    write_simulated::<T>(study, model, &band, &plain, &session.simulation(), &file)?;
    session.progress.line(&format!("{}: {} shots", file.display(), study.survey.shots.len()));
    Ok(0)
}
