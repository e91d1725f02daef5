//! `--set key=value`.

use super::super::keys::{Precision, Top};
use super::super::sections::TimeStep;
use super::{SMALLEST, accepted, refused};
use treewave_reversal::planner::MemoryLimit;

#[test]
fn overrides_replace_add_and_nest() {
    let config = accepted(
        SMALLEST,
        &["time.duration_s=1.0", "physics.precision=f64", "boundary.top = \"free-surface\"", "time.dt_s=0.002"],
    );
    assert_eq!(config.time.samples, 251);
    assert_eq!(config.physics.precision, Precision::F64);
    assert_eq!(config.boundary.top, Top::FreeSurface);
    assert_eq!(config.time.step, TimeStep::StepsPerSample(2));
}

#[test]
fn the_last_override_of_a_key_counts() {
    assert_eq!(accepted(SMALLEST, &["time.duration_s=1.0", "time.duration_s=4.0"]).time.samples, 1001);
}

#[test]
fn words_need_no_quotes_and_may_hold_spaces_and_equal_signs() {
    let config = accepted(SMALLEST, &["reversal.memory=512 MB", "run.output=a=b"]);
    assert_eq!(config.reversal.memory, MemoryLimit::Bytes(512_000_000));
    assert_eq!(config.run.output, std::path::Path::new("/project/a=b"));
}

#[test]
fn entries_of_lists_are_reached_by_number() {
    let text = format!("{SMALLEST}\n[[stage]]\nlowpass_hz = 3\n[[stage]]\n");
    let config = accepted(&text, &["stage.1.lowpass_hz=5", "survey.sources.x_m.0=150"]);
    assert_eq!(config.stages[0].lowpass_hz, Some(3.0));
    assert_eq!(config.stages[1].lowpass_hz, Some(5.0));
    let messages = refused(&text, &["stage.2.iterations=5"]);
    assert_eq!(
        messages,
        ["--set stage.2.iterations=5: stage.2 does not exist: the list has 2 entries, numbered from 0; expected \
          key=value, for example --set time.duration_s=2.5"]
    );
}

#[test]
fn overrides_that_make_no_sense_are_refused() {
    for (set, words) in [
        ("time.duration_s", "there is no `=`"),
        ("=3", "has an empty part"),
        ("time..duration_s=3", "has an empty part"),
        ("schema.x=3", "schema is 1, so nothing can be set inside it"),
    ] {
        let messages = refused(SMALLEST, &[set]);
        assert!(messages[0].starts_with(&format!("--set {set}: ")) && messages[0].contains(words), "{messages:?}");
    }
}

#[test]
fn a_problem_inside_an_overridden_table_names_the_override() {
    let messages = refused(SMALLEST, &["survey.sources={x_m=1}"]);
    assert_eq!(messages[0].split(": ").next(), Some("--set survey.sources={x_m=1}"), "{messages:?}");
}

#[test]
fn one_override_cannot_smuggle_in_a_second_key() {
    let messages = refused(SMALLEST, &["time.duration_s=2.0\nfoo = 3"]);
    assert!(messages[0].contains("expected a number"), "{messages:?}");
}
