//! `treewave check`: everything that can be wrong before anything is computed.

use std::path::Path;

use treewave_storage::GatherFile;
use treewave_wave::time::stable_dt_s;

use super::{Outcome, with_precision};
use crate::cli::Common;
use crate::config::keys::Equation;
use crate::config::schema_json;
use crate::config::sections::DataSource;
use crate::observed::Observed;
use crate::session::load_config;
use crate::stage::{check_budget, stage_band};
use crate::study::{Study, bad_data};

/// Fewer points per shortest wavelength than this deserve a warning.
pub(super) const ENOUGH_POINTS: f64 = 3.0;

/// Carries the verb out.
///
/// # Errors
/// Code 2 for a configuration that cannot be, 3 for data that cannot be used.
pub fn run(config: Option<&Path>, schema: bool, common: &Common) -> Outcome {
    if schema {
        println!("{}", schema_json());
        return Ok(0);
    }
    let path = config.expect("clap asks for a configuration without --schema");
    let study = Study::load(load_config(path, common)?)?;
    if study.config.physics.equation == Equation::SeedPml {
        return super::seed_pml::check(&study);
    }
    let (slowest, fastest) = study.start.range_m_per_s();
    let grid = study.grid();
    println!("model     {:?} cells, {slowest} to {fastest} m/s", grid.dataset_shape());
    let traces: usize = study.survey.shots.iter().map(|shot| shot.receivers_m.len()).sum();
    let (shots, samples) = (study.survey.shots.len(), study.survey.samples);
    println!("survey    {shots} shots, {traces} traces of {samples} samples every {} s", study.survey.record_s);
    for stage in 0..study.config.stages.len() {
        let band = stage_band(&study, stage)?;
        with_precision!(study, check_budget(&study, &band))?;
        let limit_s = stable_dt_s(grid, band.options.space_order, band.options.vp_max_m_per_s);
        let spacing_m = grid.axes().iter().map(|&a| grid.spacing_m()[a]).fold(0.0, f64::max);
        let points = slowest / band.highest_hz / spacing_m;
        println!(
            "stage {stage}   {} steps of {:.6} s (limit {limit_s:.6} s), up to {:.1} Hz, {points:.1} points per shortest wavelength",
            band.steps(),
            band.options.dt_s,
            band.highest_hz
        );
        if points < ENOUGH_POINTS {
            println!(
                "warning: stage {stage} has {points:.1} points per shortest wavelength at {:.1} Hz, fewer than {ENOUGH_POINTS}: \
                 expect numerical dispersion; use a finer model, a lower frequency or lowpass_hz",
                band.highest_hz
            );
        }
        if let Some(DataSource::Observed(file)) = &study.config.data {
            Observed::open(file, &study.survey, &band)?;
            let held = GatherFile::open(file).map_err(bad_data)?;
            println!("data      {}: {} shots", file.display(), held.survey().shots.len());
        }
    }
    study.notes.iter().for_each(|note| println!("note: {note}"));
    println!("fine");
    Ok(0)
}
