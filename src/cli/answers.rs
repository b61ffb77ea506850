//! The answers to `--call=outline`, `targets` and `subrequests.describe`, as text and as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use crate::dockerfile::ast::{Dockerfile, FromInst, Instruction, Kind};
use crate::lint::report::{Location, location, pretty};
use crate::plan::{Outline, Parameter, description};
use crate::source::SourceFile;

/// One entry of an answer.
#[derive(Debug, Serialize)]
struct Entry {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    default: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    required: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    base: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    platform: String,
    location: Location,
}

impl Entry {
    fn of(parameter: &Parameter) -> Self {
        Self {
            name: parameter.name.clone(),
            default: false,
            description: parameter.description.clone(),
            value: parameter.value.clone(),
            required: parameter.required,
            base: String::new(),
            platform: String::new(),
            location: location(Some(parameter.lines)),
        }
    }
}

/// What a build takes from outside.
pub(super) fn outline(outline: &Outline, source: &SourceFile, json: bool) -> String {
    if json {
        return outline_json(outline, source);
    }
    let mut text = String::new();
    if !outline.name.is_empty() || !outline.description.is_empty() {
        let name = if outline.name.is_empty() {
            "(default)"
        } else {
            &outline.name
        };
        let mut rows = vec![vec!["TARGET:", name]];
        if !outline.description.is_empty() {
            rows.push(vec!["DESCRIPTION:", &outline.description]);
        }
        text += &table(&rows, 1);
        text.push('\n');
    }
    if !outline.args.is_empty() {
        let head = vec!["BUILD ARG", "VALUE", "DESCRIPTION"];
        let rows = outline.args.iter();
        let rows = rows.map(|arg| vec![arg.name.as_str(), &arg.value, &arg.description]);
        text += &table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), 3);
        text.push('\n');
    }
    for (what, list) in [("SECRET", &outline.secrets), ("SSH", &outline.ssh)] {
        if !list.is_empty() {
            let rows = list.iter().map(|one| {
                let required = if one.required { "true" } else { "" };
                vec![one.name.as_str(), required]
            });
            let head = std::iter::once(vec![what, "REQUIRED"]);
            text += &table(&head.chain(rows).collect::<Vec<_>>(), 3);
            text.push('\n');
        }
    }
    text
}

fn outline_json(outline: &Outline, source: &SourceFile) -> String {
    #[derive(Serialize)]
    struct Answer {
        #[serde(skip_serializing_if = "String::is_empty")]
        name: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        description: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        args: Vec<Entry>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        secrets: Vec<Entry>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        ssh: Vec<Entry>,
        sources: [String; 1],
    }
    let entries = |list: &[Parameter]| list.iter().map(Entry::of).collect();
    let answer = Answer {
        name: outline.name.clone(),
        description: outline.description.clone(),
        args: entries(&outline.args),
        secrets: entries(&outline.secrets),
        ssh: entries(&outline.ssh),
        sources: [STANDARD.encode(source.text())],
    };
    pretty(&answer) + "\n"
}

/// The stages of a file.
pub(super) fn targets(dockerfile: &Dockerfile, json: bool) -> String {
    let stages = dockerfile.instructions.iter();
    let stages: Vec<(&Instruction, &FromInst)> = stages
        .filter_map(|inst| match &inst.kind {
            Kind::From(from) => Some((inst, from)),
            _ => None,
        })
        .collect();
    let last = stages.len().saturating_sub(1);
    let entries = stages.into_iter().enumerate().map(|(at, (inst, from))| {
        let name = from.stage_name().unwrap_or_default();
        Entry {
            description: description(inst, &name),
            name,
            default: at == last,
            value: String::new(),
            required: false,
            base: from.image.text.clone(),
            platform: from
                .platform
                .as_ref()
                .map_or(String::new(), |p| p.text.clone()),
            location: location(Some(inst.source.lines(inst.span))),
        }
    });
    let entries: Vec<Entry> = entries.collect();
    if json {
        #[derive(Serialize)]
        struct Answer {
            targets: Vec<Entry>,
            sources: [String; 1],
        }
        let answer = Answer {
            targets: entries,
            sources: [STANDARD.encode(dockerfile.source.text())],
        };
        return pretty(&answer) + "\n";
    }
    let names = entries
        .iter()
        .map(|entry| match (&*entry.name, entry.default) {
            ("", true) => "(default)".to_owned(),
            (name, true) => format!("{name} (default)"),
            (name, false) => name.to_owned(),
        });
    let names: Vec<String> = names.collect();
    let rows = names.iter().zip(&entries);
    let rows = rows.map(|(name, entry)| vec![name.as_str(), &entry.description]);
    let head = std::iter::once(vec!["TARGET", "DESCRIPTION"]);
    table(&head.chain(rows).collect::<Vec<_>>(), 1)
}

/// The questions there are.
pub(super) fn describe(json: bool) -> String {
    let questions = [
        (
            "outline",
            "List all parameters current build target supports",
        ),
        ("targets", "List all targets current build supports"),
        ("subrequests.describe", "List available subrequest types"),
    ];
    if !json {
        let head = std::iter::once(vec!["NAME", "VERSION", "DESCRIPTION"]);
        let rows = questions
            .iter()
            .map(|(name, about)| vec![*name, "1.0.0", about]);
        return table(&head.chain(rows).collect::<Vec<_>>(), 1);
    }
    let metadata =
        ["result.json", "result.txt"].map(|name| json!({"name": name, "description": ""}));
    let answer = questions.map(|(name, about)| {
        let opts = match name {
            "outline" => json!([{"name": "target", "description": "Target build stage"}]),
            "targets" => json!([]),
            _ => Value::Null,
        };
        json!({
            "name": format!("frontend.{name}"),
            "version": "1.0.0",
            "type": "rpc",
            "description": about,
            "opts": opts,
            "inputs": null,
            "metadata": metadata,
            "refs": null,
        })
    });
    pretty(&answer) + "\n"
}

/// Columns as wide as their widest cell and `gap`; the last is not padded.
fn table(rows: &[Vec<&str>], gap: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
            + gap
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            if at + 1 == row.len() {
                text += cell;
            } else {
                text += &format!("{cell:<width$}", width = widths[at]);
            }
        }
        text.push('\n');
    }
    text
}
