//! The JSON schema of the configuration, and the check of a table against it.
//!
//! The schema is generated from the structs of [`super::keys`]; walking it finds every unknown key, wrong type and number
//! out of range at once, where a deserialiser stops at the first.

use super::document::{excerpt, join};
use super::error::Fact;
use super::keys::FileConfig;
use super::report::Report;
use serde_json::Value as Json;
use toml::Value;

/// The JSON schema (2020-12) of the configuration, for editors.
pub fn schema() -> Json {
    schemars::schema_for!(FileConfig).to_value()
}

/// The JSON schema as text.
pub fn schema_json() -> String {
    format!("{:#}", schema())
}

/// Checks a table against the schema; what cannot be used is reported and taken out.
pub(super) fn check(table: &mut toml::Table, report: &mut Report) {
    let schema = schema();
    let known = dotted_keys(&schema);
    Walker { schema: &schema, known: &known, report }.table(&schema, table, "");
}

/// All dotted keys; entries of lists are written `stage.*`.
pub(super) fn dotted_keys(schema: &Json) -> Vec<String> {
    let mut keys = Vec::new();
    gather(schema, schema, "", &mut keys);
    keys
}

fn gather(root: &Json, node: &Json, path: &str, keys: &mut Vec<String>) {
    for option in options(root, node) {
        if let Some(properties) = option["properties"].as_object() {
            for (key, below) in properties {
                let path = join(path, key);
                keys.push(path.clone());
                gather(root, below, &path, keys);
            }
        }
        if option["items"].is_object() {
            gather(root, &option["items"], &join(path, "*"), keys);
        }
    }
}

/// The schemas that a value may fit, references followed, `null` left out.
fn options<'a>(root: &'a Json, node: &'a Json) -> Vec<&'a Json> {
    if let Some(name) = node["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
        return options(root, &root["$defs"][name]);
    }
    match node["anyOf"].as_array().or(node["oneOf"].as_array()) {
        Some(list) => list.iter().flat_map(|option| options(root, option)).collect(),
        None if node["type"] == "null" => Vec::new(),
        None => vec![node],
    }
}

struct Walker<'a> {
    schema: &'a Json,
    known: &'a [String],
    report: &'a mut Report,
}

impl<'a> Walker<'a> {
    /// Takes out what cannot be used, so that the rest can still be checked; whether what is left is complete.
    fn table(&mut self, schema: &'a Json, table: &mut toml::Table, path: &str) -> bool {
        let properties = &schema["properties"];
        let names: Vec<String> = properties.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        let given: Vec<String> = table.keys().cloned().collect();
        for key in given {
            let below = join(path, &key);
            let usable = match properties.get(&key) {
                Some(node) => table.get_mut(&key).is_none_or(|value| self.value(node, value, &below)),
                None => {
                    let nearest = self.nearest_key(path, &key, &names);
                    self.report.add(&below, Fact::UnknownKey { nearest, known: names.clone() });
                    false
                }
            };
            if !usable {
                table.remove(&key);
            }
        }
        let mut complete = true;
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            if !table.contains_key(key) {
                let expected = self.expected(&properties[key]);
                let meaning = properties[key]["description"].as_str().unwrap_or_default();
                let meaning = meaning.trim_end_matches('.').to_string();
                let key = join(path, key);
                if self.report.clean(&[&key]) {
                    self.report.add(&key, Fact::Missing { expected, meaning });
                }
                complete = false;
            }
        }
        complete
    }

    /// Whether the value can be used; a number out of range can, for the sake of further checks.
    fn value(&mut self, node: &'a Json, value: &mut Value, path: &str) -> bool {
        let all = options(self.schema, node);
        let fitting: Vec<&Json> = all.into_iter().filter(|option| fits(option, value)).collect();
        if fitting.is_empty() {
            let (found, expected) = (format!("{} ({})", excerpt(value), kind(value)), self.expected(node));
            self.report.add(path, Fact::Type { found, expected });
            return false;
        }
        match value {
            // Of a choice only one option can be a table or a list.
            Value::Table(table) => self.table(fitting[0], table, path),
            Value::Array(list) => self.list(fitting[0], list, path),
            Value::String(word) => self.word(&fitting, word, path),
            Value::Integer(_) | Value::Float(_) => self.number(fitting[0], value, path),
            Value::Boolean(_) | Value::Datetime(_) => true,
        }
    }

    fn list(&mut self, schema: &'a Json, list: &mut [Value], path: &str) -> bool {
        let (least, most) = (schema["minItems"].as_u64().unwrap_or(0), schema["maxItems"].as_u64());
        let length = list.len() as u64;
        if length < least || most.is_some_and(|most| length > most) {
            let expected = match most {
                Some(most) if most == least => format!("{least} entries"),
                Some(most) => format!("{least} to {most} entries"),
                None => format!("at least {least} entries"),
            };
            self.report.add(path, Fact::Range { found: format!("{length} entries"), expected });
            return false;
        }
        let mut usable = true;
        for (i, entry) in list.iter_mut().enumerate() {
            usable &= self.value(&schema["items"], entry, &format!("{path}.{i}"));
        }
        usable
    }

    /// A string is free text unless all that may stand here are fixed words.
    fn word(&mut self, fitting: &[&Json], word: &str, path: &str) -> bool {
        let known: Option<Vec<String>> =
            fitting.iter().map(|option| option["const"].as_str().map(str::to_string)).collect();
        match known {
            Some(known) if !known.iter().any(|k| k == word) => {
                let nearest = nearest(word, known.iter());
                self.report.add(path, Fact::Choice { found: word.to_string(), nearest, known });
                false
            }
            _ => true,
        }
    }

    fn number(&mut self, schema: &Json, value: &Value, path: &str) -> bool {
        let number = match value {
            Value::Integer(i) => *i as f64,
            Value::Float(f) => *f,
            _ => return false,
        };
        let bound = |name: &str| schema[name].as_f64();
        let outside = !number.is_finite()
            || bound("minimum").is_some_and(|least| number < least)
            || bound("exclusiveMinimum").is_some_and(|below| number <= below)
            || bound("maximum").is_some_and(|most| number > most)
            || bound("exclusiveMaximum").is_some_and(|above| number >= above)
            || bound("multipleOf").is_some_and(|of| number % of != 0.0);
        if outside {
            self.report.add(path, Fact::Range { found: excerpt(value), expected: range(schema) });
        }
        // A negative count would not deserialise.
        !(outside && type_of(schema) == "integer")
    }

    /// What may stand here, in words.
    fn expected(&self, node: &Json) -> String {
        let mut words: Vec<String> = Vec::new();
        for option in options(self.schema, node) {
            let text = match (option["const"].as_str(), type_of(option)) {
                (Some(word), _) => format!("\"{word}\""),
                (_, "object") => {
                    let keys = option["properties"].as_object().into_iter().flatten();
                    format!("a table with {}", keys.map(|(k, _)| k.as_str()).collect::<Vec<_>>().join(", "))
                }
                (_, "array") => format!("a list ({} each)", self.expected(&option["items"])),
                (_, "string") => "text in quotes".into(),
                (_, "integer") => "a whole number".into(),
                (_, "number") => "a number".into(),
                (_, "boolean") => "true or false".into(),
                (_, other) => other.into(),
            };
            if !words.contains(&text) {
                words.push(text);
            }
        }
        words.join(" or ")
    }

    /// The key of this table that was probably meant, or the same key of another table.
    fn nearest_key(&self, path: &str, key: &str, names: &[String]) -> Option<String> {
        let elsewhere = || {
            let same = |known: &&String| known.rsplit('.').next() == Some(key) && known.as_str() != join(path, key);
            let mut matches = self.known.iter().filter(same);
            let first = matches.next()?;
            matches.next().is_none().then(|| first.clone())
        };
        nearest(key, names.iter()).or_else(elsewhere)
    }
}

/// The first type of a schema other than `null`.
fn type_of(option: &Json) -> &str {
    match &option["type"] {
        Json::Array(types) => types.iter().filter_map(Json::as_str).find(|t| *t != "null").unwrap_or("anything"),
        other => other.as_str().unwrap_or("anything"),
    }
}

fn fits(option: &Json, value: &Value) -> bool {
    match type_of(option) {
        "object" => value.is_table(),
        "array" => value.is_array(),
        "string" => value.is_str(),
        "integer" => value.is_integer(),
        "number" => value.is_float() || value.is_integer(),
        "boolean" => value.is_bool(),
        _ => false,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "a truth value",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// The range of a number, in words.
fn range(schema: &Json) -> String {
    let bound = |name: &str| schema[name].as_f64();
    let (least, most) = (bound("minimum"), bound("maximum"));
    if let (Some(least), Some(above)) = (least, bound("exclusiveMaximum")) {
        return format!("at least {least} and below {above}");
    }
    let mut text = match (least, bound("exclusiveMinimum"), most) {
        (Some(least), _, Some(most)) if least == most => format!("{least}"),
        (Some(least), _, Some(most)) => format!("{least} to {most}"),
        (Some(least), _, None) => format!("at least {least}"),
        (None, Some(below), Some(most)) => format!("above {below} and at most {most}"),
        (None, Some(below), None) => format!("above {below}"),
        (None, None, Some(most)) => format!("at most {most}"),
        (None, None, None) => "a finite number".into(),
    };
    if bound("multipleOf") == Some(2.0) {
        text += ", even";
    }
    text
}

/// The word most like the one found, if it is alike at all.
pub(super) fn nearest<'a>(found: &str, known: impl Iterator<Item = &'a String>) -> Option<String> {
    let likeness = |word: &str| {
        let letters = strsim::normalized_damerau_levenshtein(found, word);
        // `peak_frequency` is meant to be `peak_frequency_hz`, however long the unit.
        let begins = found.len() >= 4 && (word.starts_with(found) || found.starts_with(word));
        if begins { letters.max(0.8) } else { letters }
    };
    let best = known.map(|word| (likeness(word), word)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.55).then(|| best.1.clone())
}
