//! Tests that read `fixtures/parse` and `fixtures/errors` and compare whole results.
//!
//! `UPDATE_FIXTURES=1 cargo test` writes what came out instead; read the difference
//! before it is committed.

mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diag::{Diagnostics, Style};
use crate::dockerfile::ast::{Dockerfile, Kind};
use crate::dockerfile::expand;
use crate::dockerfile::parse;
use crate::source::SourceFile;

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(folder);
    let entries = fs::read_dir(&folder).expect("the folder is there");
    let mut cases: Vec<_> = entries
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    cases.sort();
    cases
}

fn source(case: &Path) -> Arc<SourceFile> {
    let bytes = fs::read(case.join("Dockerfile")).expect("there is a Dockerfile");
    SourceFile::from_bytes("Dockerfile", &bytes)
}

/// Compares with a file of the case, or writes it; gives a complaint.
fn compare(case: &Path, file: &str, found: &str) -> Option<String> {
    let path = case.join(file);
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(&path, found).expect("it can be written");
        return None;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let complaint = || {
        format!(
            "{}\n--- expected\n{expected}--- found\n{found}",
            path.display()
        )
    };
    (found != expected).then(complaint)
}

fn require_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// What only shows when a mount is resolved.
fn mount_errors(dockerfile: &Dockerfile) -> Diagnostics {
    let mut errors = Diagnostics::new();
    for instruction in &dockerfile.instructions {
        let Kind::Run(run) = &instruction.kind else {
            continue;
        };
        for mount in &run.mounts {
            let source = &instruction.source;
            let resolved = mount.resolve(source, &mut |word| {
                expand::expand_word(&word.text, &|_| None, dockerfile.directives.escape)
                    .map_err(|error| error.into_diagnostic(source, word))
            });
            errors.extend(resolved.err());
        }
    }
    errors
}

#[test]
fn files_become_trees() {
    let mut complaints = Vec::new();
    for case in cases("parse") {
        let found = match parse(&source(&case)) {
            Ok(parsed) => {
                let errors = mount_errors(&parsed.dockerfile);
                tree::tree(&parsed) + &errors.render(Style::default())
            }
            Err(errors) => errors.render(Style::default()),
        };
        complaints.extend(compare(&case, "tree", &found));
    }
    require_none(&complaints);
}

#[test]
fn errors_are_told_in_full() {
    let mut complaints = Vec::new();
    for case in cases("errors") {
        let errors = match parse(&source(&case)) {
            Ok(parsed) => mount_errors(&parsed.dockerfile),
            Err(errors) => errors,
        };
        if errors.is_empty() {
            complaints.push(format!("{} has no error", case.display()));
        }
        complaints.extend(compare(&case, "stderr", &errors.render(Style::default())));
    }
    require_none(&complaints);
}
