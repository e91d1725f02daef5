//! The page of all keys and the schema tell the same.

use super::super::schema::{dotted_keys, schema};
use serde_json::Value;
use std::collections::BTreeMap;

/// Keys that the page describes once although they stand in several places: as the place where they are described.
fn described_as(key: &str) -> String {
    let mut key = key.to_string();
    for (twin, original) in [
        ("model.true.", "model.start."),
        ("survey.receivers.x_m", "survey.sources.x_m"),
        ("survey.receivers.y_m", "survey.sources.y_m"),
        ("survey.receivers.z_m", "survey.sources.z_m"),
        ("survey.sources.y_m.", "survey.sources.x_m."),
        ("survey.sources.z_m.", "survey.sources.x_m."),
        ("stage.*.", "stage."),
    ] {
        if let Some(rest) = key.strip_prefix(twin) {
            key = format!("{original}{rest}");
        }
    }
    key
}

/// Key → cell of the column "default", of all rows of tables that begin with a key.
fn page() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", key, _unit, default, meaning, ""] = cells[..]
            && key.starts_with('`')
        {
            assert!(!meaning.is_empty(), "{key} has no meaning");
            let twice = rows.insert(key.trim_matches('`').to_string(), default.trim_matches('`').to_string());
            assert!(twice.is_none(), "{key} is described twice");
        }
    }
    rows
}

/// The default of a key, as the schema has it.
fn default_of(root: &Value, key: &str) -> Option<Value> {
    let mut node = root;
    for part in key.split('.') {
        while let Some(name) = node["$ref"].as_str() {
            node = &root["$defs"][name.trim_start_matches("#/$defs/")];
        }
        node = &node["properties"][part];
    }
    node.get("default").filter(|default| !default.is_null()).cloned()
}

#[test]
fn the_page_describes_every_key_once_and_no_other() {
    let schema = schema();
    let keys: Vec<String> = dotted_keys(&schema).iter().map(|key| described_as(key)).collect();
    let page = page();
    // Tables are headings of the page, not rows.
    let is_table = |key: &str| keys.iter().any(|other| other.starts_with(&format!("{key}.")));
    for key in &keys {
        let choice = ["survey.sources.x_m", "data.synthetic"].contains(&key.as_str());
        assert!(
            page.contains_key(key) || (is_table(key) && !choice) || key == "model.true",
            "{key} is missing in the page"
        );
    }
    for key in page.keys() {
        assert!(keys.contains(key), "{key} is in the page, but there is no such key");
    }
}

#[test]
fn the_page_gives_the_defaults_of_the_schema() {
    let schema = schema();
    let mut compared = 0;
    for (key, cell) in page() {
        let Some(default) = default_of(&schema, &key) else { continue };
        let text = match &default {
            Value::String(text) => format!("\"{text}\""),
            other => other.to_string(),
        };
        let same = cell == text || cell.parse::<f64>().ok().is_some_and(|number| Some(number) == default.as_f64());
        assert!(same, "{key}: the page says {cell}, the schema {text}");
        compared += 1;
    }
    assert!(compared >= 25, "only {compared} defaults were compared");
}

#[test]
fn every_key_has_a_description_in_the_schema() {
    fn walk(node: &Value, name: &str) {
        if let Some(properties) = node["properties"].as_object() {
            for (key, below) in properties {
                assert!(below["description"].is_string(), "{name}.{key} has no description");
            }
        }
    }
    let schema = schema();
    walk(&schema, "");
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        walk(definition, name);
    }
}
