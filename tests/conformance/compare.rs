//! What differs between a recording and a build, for people.

use std::fmt::Write as _;

use serde_json::Value;

use super::build::Builder;

/// None if nothing does. `words` is what the builder printed.
pub fn differences(expected: &Value, got: &Value, words: &str) -> Option<String> {
    let refused = |value: &Value| value["refused"] == true;
    match (refused(expected), refused(got)) {
        (false, true) => Some(format!("it was refused:\n{}", tail(words))),
        (true, false) => Some(format!(
            "it was built, but BuildKit refuses it: {}",
            expected["message"].as_str().unwrap_or_default()
        )),
        (true, true) => refusals(expected, got, words),
        (false, false) => {
            let report = lines(expected, got);
            (!report.is_empty()).then_some(report)
        }
    }
}

/// The words may differ, the place may not.
fn refusals(expected: &Value, got: &Value, words: &str) -> Option<String> {
    if Builder::is_reference() {
        let report = lines(expected, got);
        return (!report.is_empty()).then_some(report);
    }
    if words.trim().is_empty() {
        return Some("it was refused without a word".into());
    }
    let bound = |index: usize| expected["lines"][index].as_u64();
    let (Some(first), Some(last)) = (bound(0), bound(1)) else {
        return None;
    };
    let named = named_lines(words);
    if named.iter().any(|line| (first..=last).contains(line)) {
        return None;
    }
    let place = if first == last {
        format!("line {first}")
    } else {
        format!("lines {first} to {last}")
    };
    Some(format!(
        "the refusal does not name {place} of the Dockerfile:\n{}",
        tail(words)
    ))
}

/// The numbers of all `Dockerfile:3`.
fn named_lines(words: &str) -> Vec<u64> {
    words
        .split("ockerfile:")
        .skip(1)
        .filter_map(|rest| {
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            rest[..end].parse().ok()
        })
        .collect()
}

fn tail(words: &str) -> String {
    let lines: Vec<&str> = words.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

/// `-` is what BuildKit made, `+` what was made now.
fn lines(expected: &Value, got: &Value) -> String {
    let mut report = String::new();
    let mut sections: Vec<&String> = Vec::new();
    for value in [expected, got] {
        for name in value.as_object().into_iter().flat_map(|map| map.keys()) {
            if !sections.contains(&name) {
                sections.push(name);
            }
        }
    }
    for name in sections {
        let (expected, got) = (flat(&expected[name]), flat(&got[name]));
        if expected == got {
            continue;
        }
        let _ = writeln!(report, "{name}:");
        for line in diff(&expected, &got) {
            let _ = writeln!(report, "  {line}");
        }
    }
    report
}

fn flat(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        Value::Object(values) => values
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

/// The lines that are not common to both, in order (longest common subsequence).
fn diff(old: &[String], new: &[String]) -> Vec<String> {
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            common[i][j] = if a == b {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            i += 1;
            j += 1;
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            lines.push(format!("- {}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", new[j]));
            j += 1;
        }
    }
    lines
}
