//! No text makes the configuration panic.

use super::super::from_text;
use super::super::templates::TEMPLATES;
use proptest::prelude::*;
use std::path::Path;

/// What a mutation puts into a text: pieces of TOML and numbers at the edge.
const PIECES: &[&str] = &[
    "",
    "\"",
    "'",
    "=",
    "[",
    "]",
    "{",
    "}",
    ",",
    ".",
    "\n",
    "#",
    "-",
    "1",
    "0",
    "-1",
    "1e400",
    "nan",
    "-inf",
    "true",
    "\"auto\"",
    "9223372036854775807",
    "99999999999999999999",
    "1979-05-27",
    "\u{0}",
    "é",
    "[[stage]]\n",
    "a.b = 1\n",
    "[]",
    "{}",
    "\"$X\"",
    "\"::0\"",
    "1e-300",
    "0x10",
    "\"8 EiB\"",
    "\"1e99 GiB\"",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_configurations_never_panic(
        template in 0..TEMPLATES.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..12usize, 0..PIECES.len()), 1..4),
    ) {
        let mut text: Vec<char> = TEMPLATES[template].text.chars().collect();
        for (at, removed, piece) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + removed).min(text.len());
            text.splice(at..end, PIECES[piece].chars());
        }
        let text: String = text.into_iter().collect();
        if let Ok(config) = from_text(&text, Path::new("/project"), &[]) {
            prop_assert_eq!(from_text(&config.to_toml(), Path::new("/project"), &[]).unwrap(), config);
        }
    }

    #[test]
    fn values_of_any_kind_never_panic(
        key in prop::sample::select(super::super::schema::dotted_keys(&super::super::schema())),
        value in prop::sample::select(PIECES),
    ) {
        let set = format!("{}={value}", key.replace('*', "0"));
        if let Ok(config) = from_text(TEMPLATES[0].text, Path::new("/project"), &[set]) {
            prop_assert_eq!(from_text(&config.to_toml(), Path::new("/project"), &[]).unwrap(), config);
        }
    }

    #[test]
    fn overrides_of_any_text_never_panic(set in "\\PC{0,40}") {
        let _ = from_text(TEMPLATES[0].text, Path::new("/project"), &[set]);
    }
}
