//! The differences from BuildKit that are known, with their reasons. Each must really be there.

use std::fs;

use super::case::folder;
use crate::support::engine_name;

pub struct Known(Vec<Entry>);

pub struct Entry {
    pub case: String,
    /// On this engine only.
    engine: Option<String>,
    reason: String,
}

impl Known {
    pub fn read() -> Self {
        let path = folder().join("known.txt");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let entry = |line: &str| {
            let (name, reason) = line
                .split_once(": ")
                .unwrap_or_else(|| panic!("{}: `{line}` is not `CASE: REASON`", path.display()));
            let (case, engine) = match name.split_once('@') {
                Some((case, engine)) => (case, Some(engine.to_owned())),
                None => (name, None),
            };
            Entry {
                case: case.to_owned(),
                engine,
                reason: reason.to_owned(),
            }
        };
        Self(
            text.lines()
                .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
                .map(entry)
                .collect(),
        )
    }

    pub fn all(&self) -> &[Entry] {
        &self.0
    }

    pub fn reason(&self, case: &str) -> Option<String> {
        let here = |entry: &&Entry| {
            entry.case == case
                && entry
                    .engine
                    .as_ref()
                    .is_none_or(|engine| *engine == engine_name())
        };
        self.0.iter().find(here).map(|entry| entry.reason.clone())
    }
}
