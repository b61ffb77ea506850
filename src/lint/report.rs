//! What `bowline check` prints: BuildKit's text and BuildKit's JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::{Finding, excerpt};
use crate::source::SourceFile;

/// The findings for a person, in the order of the file, which is called `name`.
#[must_use]
pub fn text(findings: &[Finding], name: &str) -> String {
    let mut text = match findings.len() {
        0 => return String::new(),
        1 => "Check complete, 1 warning has been found!\n".to_owned(),
        n => format!("Check complete, {n} warnings have been found!\n"),
    };
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|found| found.lines.0);
    for found in sorted {
        text += &format!("\nWARNING: {}", found.rule.name);
        if !found.rule.url.is_empty() {
            text += &format!(" - {}", found.rule.url);
        }
        text += &format!("\n{}\n", found.message);
        text += &excerpt(name, &found.source, found.lines);
    }
    text
}

/// The findings for a program; `error` is why the file cannot be built, and where.
#[must_use]
pub fn json(
    findings: &[Finding],
    source: &SourceFile,
    error: Option<(&str, Option<(usize, usize)>)>,
) -> String {
    let warnings = findings.iter().map(|found| Warning {
        rule_name: found.rule.name,
        description: found.rule.description,
        url: found.rule.url,
        detail: &found.message,
        location: location(Some(found.lines)),
    });
    let warnings: Vec<Warning<'_>> = warnings.collect();
    let report = Report {
        warnings: (!warnings.is_empty()).then_some(warnings),
        sources: [Source {
            filename: source.name(),
            data: STANDARD.encode(source.text()),
            language: "Dockerfile",
        }],
        build_error: error.map(|(message, lines)| BuildError {
            message,
            location: location(lines),
        }),
    };
    pretty(&report)
}

/// JSON as Go indents it.
pub fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("strings and numbers are JSON")
}

/// Lines as BuildKit names them: a range for each.
#[must_use]
pub fn location(lines: Option<(usize, usize)>) -> Location {
    let place = |line| Place { line };
    let ranges = lines.map_or(Vec::new(), |(first, last)| {
        let lines = first..=last;
        lines
            .map(|line| Range {
                start: place(line),
                end: place(line),
            })
            .collect()
    });
    Location { ranges }
}

#[derive(Serialize)]
struct Report<'a> {
    warnings: Option<Vec<Warning<'a>>>,
    sources: [Source<'a>; 1],
    #[serde(rename = "buildError", skip_serializing_if = "Option::is_none")]
    build_error: Option<BuildError<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Warning<'a> {
    rule_name: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    url: &'a str,
    detail: &'a str,
    location: Location,
}

#[derive(Serialize)]
struct Source<'a> {
    filename: &'a str,
    data: String,
    language: &'static str,
}

#[derive(Serialize)]
struct BuildError<'a> {
    message: &'a str,
    location: Location,
}

/// Lines of a file.
#[derive(Debug, Serialize)]
pub struct Location {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ranges: Vec<Range>,
}

#[derive(Debug, Serialize)]
struct Range {
    start: Place,
    end: Place,
}

#[derive(Debug, Serialize)]
struct Place {
    line: usize,
}
