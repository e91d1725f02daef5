//! Collects what is wrong, so that all of it is told at once.

use super::error::{Fact, Place, Problem};
use std::collections::BTreeMap;

/// The problems found so far, and where each key was set.
pub(super) struct Report {
    file: String,
    places: BTreeMap<String, Place>,
    problems: Vec<Problem>,
}

impl Report {
    /// A report on a file, by the name that messages give it.
    pub(super) fn new(file: &str) -> Self {
        Report { file: file.into(), places: BTreeMap::new(), problems: Vec::new() }
    }

    /// Notes where a key was set; what stood below it is forgotten.
    pub(super) fn place(&mut self, key: &str, place: Place) {
        let below = format!("{key}.");
        self.places.retain(|k, _| !k.starts_with(&below));
        self.places.insert(key.into(), place);
    }

    /// Adds a problem of a key, at its place or that of the nearest table around it. Of one key only the first is kept.
    pub(super) fn add(&mut self, key: &str, fact: Fact) {
        if !self.problems.iter().any(|p| p.key == key) {
            let place = self.find(key);
            self.problems.push(Problem { file: self.file.clone(), place, key: key.into(), fact });
        }
    }

    /// Adds a problem that has no key, at a line.
    pub(super) fn add_at(&mut self, place: Place, fact: Fact) {
        self.problems.push(Problem { file: self.file.clone(), place, key: String::new(), fact });
    }

    /// Adds a contradiction: what was found, what was expected, what to do. Where something below the key is wrong already,
    /// that is the cause, and nothing is added.
    pub(super) fn rule(&mut self, key: &str, found: impl ToString, expected: impl ToString, advice: impl ToString) {
        if self.clean(&[key]) {
            let (found, expected, advice) = (found.to_string(), expected.to_string(), advice.to_string());
            self.add(key, Fact::Rule { found, expected, advice });
        }
    }

    /// Whether none of these keys, nor a key below, has a problem: only then does a check between them make sense.
    pub(super) fn clean(&self, keys: &[&str]) -> bool {
        let touches = |problem: &str, key: &str| {
            problem == key || problem.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'))
        };
        !self.problems.iter().any(|p| keys.iter().any(|key| touches(&p.key, key)))
    }

    /// The problems found so far.
    pub(super) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The problems, in the order of the file.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|p| match p.place {
            Place::Line(line) => line,
            Place::File => 0,
            Place::Override(_) => usize::MAX,
        });
        self.problems
    }

    fn find(&self, key: &str) -> Place {
        let mut key = key;
        loop {
            if let Some(place) = self.places.get(key) {
                return place.clone();
            }
            match key.rfind('.') {
                Some(dot) => key = &key[..dot],
                None => return Place::File,
            }
        }
    }
}
