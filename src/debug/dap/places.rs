//! Breakpoints as an editor sets them, and where they may stand.

use std::path::Path;

use serde_json::{Value, json};

use super::answers;
use super::session::Session;
use crate::debug::breakpoint::{Breakpoint, Extras, Trigger};

impl Session {
    pub(super) fn is_the_file(&self, arguments: &Value) -> bool {
        let Some(path) = arguments["source"]["path"].as_str() else {
            return false;
        };
        let whole = |path: &Path| fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        whole(Path::new(path)) == whole(&self.path)
    }

    /// Sets the breakpoints of a file: all of them, those of before are gone.
    pub(super) fn set_breakpoints(&self, arguments: &Value, one: usize) -> Vec<Value> {
        let asked = arguments["breakpoints"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if !self.is_the_file(arguments) {
            let wrong = json!({
                "verified": false,
                "message": "it is not the Dockerfile of this build",
            });
            return vec![wrong; asked.len()];
        }
        self.stepper
            .retain(|breakpoint| !matches!(breakpoint.trigger, Trigger::Line(_)));
        let set = asked.iter().map(|breakpoint| {
            let line = breakpoint["line"].as_u64().unwrap_or(0);
            let line = usize::try_from(line)
                .unwrap_or(usize::MAX)
                .saturating_add(1)
                - one;
            let added = self.stepper.add(Trigger::Line(line), &extras(breakpoint));
            self.shown(added, one)
        });
        set.collect()
    }

    pub(super) fn set_stages(&self, arguments: &Value) -> Value {
        let asked = arguments["breakpoints"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        self.stepper
            .retain(|breakpoint| !matches!(breakpoint.trigger, Trigger::Stage(_)));
        let set = asked.iter().map(|breakpoint| {
            let name = breakpoint["name"].as_str().unwrap_or_default().to_owned();
            let added = self.stepper.add(Trigger::Stage(name), &extras(breakpoint));
            self.shown(added, 1)
        });
        json!({ "breakpoints": set.collect::<Vec<_>>() })
    }

    pub(super) fn shown(&self, added: Result<Breakpoint, String>, one: usize) -> Value {
        match added {
            Ok(breakpoint) => {
                let line = self.stepper.line_of(&breakpoint.trigger).unwrap_or(1);
                json!({
                    "id": breakpoint.id,
                    "verified": true,
                    "line": line - 1 + one,
                    "source": answers::source(&self.path),
                })
            }
            Err(wrong) => json!({ "verified": false, "message": wrong }),
        }
    }

    pub(super) fn locations(&self, arguments: &Value, one: usize) -> Value {
        let number = |name: &str| {
            let number = arguments[name].as_u64()?;
            Some(usize::try_from(number).ok()?.saturating_add(1) - one)
        };
        let first = number("line").unwrap_or(1);
        let last = number("endLine").unwrap_or(first);
        let catalog = self.stepper.catalog();
        let entries = catalog.iter().flat_map(|catalog| &catalog.entries);
        let within = entries
            .filter(|entry| entry.stage.is_some() && (first..=last).contains(&entry.lines.0));
        let found: Vec<Value> = within
            .map(|entry| json!({ "line": entry.lines.0 - 1 + one }))
            .collect();
        json!({ "breakpoints": found })
    }
}

fn extras(breakpoint: &Value) -> Extras {
    let text = |name: &str| breakpoint[name].as_str().map(str::to_owned);
    Extras {
        condition: text("condition"),
        hits: text("hitCondition"),
        log: text("logMessage"),
    }
}
