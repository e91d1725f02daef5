//! Lines of positions.

use super::super::geometry::{BuiltSurvey, GeometryError, build};
use super::super::sections::SurveySource;
use super::{SMALLEST, accepted};
use treewave_core::{Grid, Survey};

fn survey(sets: &[&str], grid: &Grid) -> Result<BuiltSurvey, GeometryError> {
    let config = accepted(SMALLEST, sets);
    let SurveySource::Lines(lines) = &config.survey else { panic!("lines") };
    build(lines, grid, &config.time)
}

fn plane() -> Grid {
    Grid::new(&[41, 21], &[10.0, 10.0], &[0.0, 0.0]).unwrap()
}

fn volume() -> Grid {
    Grid::new(&[41, 31, 21], &[10.0; 3], &[0.0; 3]).unwrap()
}

#[test]
fn a_line_is_written_in_four_ways() {
    let same = |line: &str| survey(&[&format!("survey.sources.x_m={line}")], &plane()).unwrap().survey;
    let list = same("[100, 200, 300]");
    assert_eq!(
        list.shots.iter().map(|s| s.source_m).collect::<Vec<_>>(),
        [[100.0, 0.0, 10.0], [200.0, 0.0, 10.0], [300.0, 0.0, 10.0]]
    );
    assert_eq!(same("{ start = 100, stop = 300, count = 3 }"), list);
    assert_eq!(same("{ start = 100, stop = 300, step = 100 }"), list);
    assert_eq!(same("{ start = 100, stop = 399, step = 100 }"), list);
    assert_eq!(same("200").shots.len(), 1);
    assert_eq!(same("{ start = 100, stop = 300, count = 1 }").shots[0].source_m, [100.0, 0.0, 10.0]);
    let backwards = same("{ start = 300, stop = 100, step = -100 }");
    assert_eq!(backwards.shots[2], list.shots[0]);
}

#[test]
fn decimal_steps_reach_the_end_of_the_line() {
    let built = survey(&["survey.receivers.x_m={ start = 0, stop = 0.3, step = 0.1 }"], &plane()).unwrap();
    assert_eq!(built.survey.shots[0].receivers_m.len(), 4);
}

#[test]
fn depths_go_with_positions_one_by_one_and_a_single_x_is_a_borehole() {
    let built = survey(&["survey.sources.z_m=[10, 20]"], &plane()).unwrap();
    assert_eq!(built.survey.shots[1].source_m, [200.0, 0.0, 20.0]);
    let built =
        survey(&["survey.receivers={ x_m = 380, z_m = { start = 0, stop = 200, step = 10 } }"], &plane()).unwrap();
    assert_eq!(built.survey.shots[0].receivers_m.len(), 21);
    assert_eq!(built.survey.shots[0].receivers_m[20], [380.0, 0.0, 200.0]);
}

#[test]
fn x_and_y_span_a_grid_in_three_dimensions() {
    let sets = ["survey.sources.y_m=[0, 50, 100]", "survey.receivers.y_m={ start = 0, stop = 300, count = 4 }"];
    let Survey { shots, .. } = survey(&sets, &volume()).unwrap().survey;
    assert_eq!((shots.len(), shots[0].receivers_m.len()), (6, 20));
    assert_eq!((shots[1].source_m, shots[3].source_m), ([100.0, 50.0, 10.0], [200.0, 0.0, 10.0]));
    assert_eq!(shots[0].receivers_m[1], [0.0, 100.0, 20.0]);
}

#[test]
fn y_goes_with_the_dimensions_of_the_model() {
    let error = survey(&[], &volume()).unwrap_err().to_string();
    assert!(error.contains("survey.sources: y_m is missing") && error.contains("3 dimensions"), "{error}");
    let error = survey(&["survey.sources.y_m=0", "survey.receivers.y_m=0"], &plane()).unwrap_err().to_string();
    assert!(error.contains("y_m is given") && error.contains("remove y_m"), "{error}");
}

#[test]
fn relative_receivers_follow_the_source_and_stop_at_the_edge_of_the_model() {
    let receivers = "survey.receivers={ x_m = { start = -150, stop = 150, step = 50 }, z_m = 20, relative = true }";
    let built = survey(&[receivers], &plane()).unwrap();
    let x = |shot: usize| built.survey.shots[shot].receivers_m.iter().map(|r| r[0]).collect::<Vec<_>>();
    assert_eq!(x(0), [0.0, 50.0, 100.0, 150.0, 200.0, 250.0]);
    assert_eq!(x(1), [50.0, 100.0, 150.0, 200.0, 250.0, 300.0, 350.0]);
    assert_eq!(built.notes, ["1 of 14 traces have their receiver outside the model and are left out"]);
    assert!(survey(&[], &plane()).unwrap().notes.is_empty());
}

#[test]
fn a_shot_without_receivers_is_refused() {
    let error = survey(&["survey.receivers={ x_m = 5000, z_m = 20, relative = true }"], &plane()).unwrap_err();
    assert!(matches!(error, GeometryError::NoReceivers { shot: 0, receivers: 1, .. }), "{error}");
}
