//! TOML text and overrides → one table, with the place of every key.

use super::error::{Fact, Place};
use super::report::Report;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// Parses the text and applies the overrides in order; what is wrong goes to the report.
pub(super) fn read(text: &str, overrides: &[String], report: &mut Report) -> Option<Table> {
    let (spanned, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        report.add_at(Place::Line(line), Fact::Syntax { message: error.message().trim().replace('\n', "; ") });
    }
    if !errors.is_empty() {
        return None;
    }
    let mut table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            report.add_at(Place::Line(line), Fact::Syntax { message: error.message().trim().replace('\n', "; ") });
            return None;
        }
    };
    note_places(text, spanned.get_ref(), "", report);
    for set in overrides {
        if let Err(message) = apply(&mut table, set, report) {
            report.add_at(Place::Override(set.clone()), Fact::Override { message });
        }
    }
    Some(table)
}

/// Line of a byte, from 1.
fn line_of(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|&b| b == b'\n').count()
}

fn note_places(text: &str, table: &DeTable, path: &str, report: &mut Report) {
    for (key, value) in table {
        let path = join(path, key.get_ref());
        report.place(&path, Place::Line(line_of(text, key.span().start)));
        note_value(text, value.get_ref(), &path, report);
    }
}

fn note_value(text: &str, value: &DeValue, path: &str, report: &mut Report) {
    match value {
        DeValue::Table(table) => note_places(text, table, path, report),
        DeValue::Array(array) => {
            for (i, entry) in array.iter().enumerate() {
                // Only tables: a list of a million numbers needs no million places.
                if let DeValue::Table(_) = entry.get_ref() {
                    let path = format!("{path}.{i}");
                    report.place(&path, Place::Line(line_of(text, entry.span().start)));
                    note_value(text, entry.get_ref(), &path, report);
                }
            }
        }
        _ => {}
    }
}

/// A dotted key one level down.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

/// Applies `a.b.c=value`; numbers in the key count entries of lists from 0.
fn apply(table: &mut Table, set: &str, report: &mut Report) -> Result<(), String> {
    let (key, typed) = set.split_once('=').ok_or("there is no `=`")?;
    let parts: Vec<&str> = key.trim().split('.').map(str::trim).collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(format!("the key \"{}\" has an empty part", key.trim()));
    }
    let (last, tables) = parts.split_last().ok_or("the key is empty")?;
    let mut place = Target::Table(table);
    let mut path = String::new();
    for part in tables {
        path = join(&path, part);
        place = place.enter(part, &path)?;
    }
    place.set(last, value_of(typed.trim()), &join(&path, last))?;
    report.place(&parts.join("."), Place::Override(set.to_string()));
    Ok(())
}

/// What an override is written to on its way down.
enum Target<'a> {
    Table(&'a mut Table),
    List(&'a mut Vec<Value>),
}

impl<'a> Target<'a> {
    fn enter(self, part: &str, path: &str) -> Result<Target<'a>, String> {
        let value = match self {
            Target::Table(table) => table.entry(part).or_insert_with(|| Value::Table(Table::new())),
            Target::List(list) => {
                let index = index_of(part, list.len(), path)?;
                &mut list[index]
            }
        };
        match value {
            Value::Table(table) => Ok(Target::Table(table)),
            Value::Array(list) => Ok(Target::List(list)),
            other => Err(format!("{path} is {}, so nothing can be set inside it", excerpt(other))),
        }
    }

    fn set(self, part: &str, value: Value, path: &str) -> Result<(), String> {
        match self {
            Target::Table(table) => {
                table.insert(part.to_string(), value);
            }
            Target::List(list) => {
                let index = index_of(part, list.len(), path)?;
                list[index] = value;
            }
        }
        Ok(())
    }
}

fn index_of(part: &str, length: usize, path: &str) -> Result<usize, String> {
    match part.parse::<usize>() {
        Ok(index) if index < length => Ok(index),
        _ => Err(format!("{path} does not exist: the list has {length} entries, numbered from 0")),
    }
}

/// A TOML value as typed, or the plain text: shells take the quotes away.
fn value_of(typed: &str) -> Value {
    let as_toml = format!("value = {typed}").parse::<Table>().ok().filter(|table| table.len() == 1);
    as_toml.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(typed.to_string()))
}

/// A value in a message: its text, cut when long.
pub(super) fn excerpt(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string().replace('\n', " ");
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain("…".chars()).collect()
}
