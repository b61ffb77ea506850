//! Which module may name which: reads `src` and fails on an arrow that must not exist.
//!
//! The reasons are in `docs/architecture.md`. A module's row holds all it may name; a new module
//! needs a row, so that somebody thinks of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const MAY_NAME: &[(&str, &[&str])] = &[
    ("image", &[]),
    ("source", &[]),
    ("init", &[]),
    ("diag", &["source"]),
    ("engine", &["image"]),
    ("progress", &["image"]),
    ("request", &["engine", "image"]),
    ("dockerfile", &["source", "diag", "image"]),
    ("lint", &["dockerfile", "source", "image"]),
    ("context", &["source", "diag", "image"]),
    ("fetch", &["context", "request", "diag", "image"]),
    ("caches", &["registry", "cache", "request", "image"]),
    ("registry", &["fetch", "request", "diag", "image"]),
    (
        "plan",
        &["dockerfile", "lint", "request", "source", "diag", "image"],
    ),
    ("cache", &["plan", "context", "image"]),
    ("sandbox", &["engine", "image", "diag", "init"]),
    ("skaffold", &["source", "diag"]),
    (
        "output",
        &[
            "engine", "registry", "context", "image", "diag", "progress", "request",
        ],
    ),
    (
        "build",
        &[
            "plan",
            "dockerfile",
            "context",
            "cache",
            "engine",
            "fetch",
            "init",
            "progress",
            "request",
            "source",
            "diag",
            "image",
        ],
    ),
    (
        "run",
        &[
            "sandbox",
            "fetch",
            "build",
            "plan",
            "lint",
            "dockerfile",
            "context",
            "cache",
            "caches",
            "registry",
            "engine",
            "output",
            "progress",
            "request",
            "source",
            "diag",
            "image",
        ],
    ),
    (
        "debug",
        &[
            "build",
            "plan",
            "dockerfile",
            "engine",
            "progress",
            "source",
            "diag",
            "image",
        ],
    ),
    (
        "cli",
        &[
            "skaffold",
            "sandbox",
            "debug",
            "run",
            "build",
            "plan",
            "lint",
            "dockerfile",
            "context",
            "cache",
            "caches",
            "registry",
            "engine",
            "output",
            "progress",
            "request",
            "source",
            "diag",
            "image",
        ],
    ),
];

/// Functions of their arguments: they run in an editor and in a fuzzer as well.
const PURE: &[&str] = &[
    "image",
    "source",
    "diag",
    "dockerfile",
    "lint",
    "plan",
    "request",
    "skaffold",
];

/// What a pure module does not touch.
const WORLD: &[&str] = &[
    "tokio::",
    "fs_err",
    "std::fs",
    "std::env",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
];

/// The path below `src`, with the text, of every source file.
type Files = BTreeMap<PathBuf, String>;

#[test]
fn no_forbidden_arrow() {
    let complaints = complaints(&read(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src"
    ))));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn complaints(files: &Files) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in files {
        let module = module(path);
        if module == "lib" || module == "main" {
            continue;
        }
        let place = path.display();
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == module) else {
            complaints.push(format!(
                "{place}: `{module}` has no row in the table of arrows"
            ));
            continue;
        };
        let code = code(text);
        for name in names(&code) {
            if name != module && !allowed.contains(&name.as_str()) {
                complaints.push(format!("{place}: `{module}` may not name `{name}`"));
            }
        }
        if code.contains("super::super") {
            complaints.push(format!(
                "{place}: `super::super` hides an arrow, say `crate::`"
            ));
        }
        if code.contains("bollard") && !path.starts_with("engine/docker") {
            complaints.push(format!("{place}: only `engine::docker` may name `bollard`"));
        }
        let face = ["debug/console", "debug/dap"];
        if face
            .iter()
            .any(|face| path.starts_with(face) || path.starts_with(format!("{face}.rs")))
            && names(&code).iter().any(|name| name == "engine")
        {
            complaints.push(format!(
                "{place}: a face of the debugger may not name `engine`"
            ));
        }
        if code.contains("engine::docker") && !matches!(module.as_str(), "cli" | "engine") {
            complaints.push(format!("{place}: only `cli` may choose `engine::docker`"));
        }
        if PURE.contains(&module.as_str()) {
            for word in WORLD.iter().filter(|word| code.contains(**word)) {
                complaints.push(format!(
                    "{place}: `{module}` is pure and may not use `{word}`"
                ));
            }
        }
    }
    for (row, _) in MAY_NAME {
        if !files.keys().any(|path| module(path) == *row) {
            complaints.push(format!("there is no module `{row}`, but a row for it"));
        }
    }
    complaints
}

/// The first part of a path below `src`: `plan/graph.rs` and `plan.rs` are `plan`.
fn module(path: &Path) -> String {
    let first = path.components().next().expect("the path is not empty");
    let first = Path::new(first.as_os_str());
    first.with_extension("").display().to_string()
}

/// The text without comments and without the tests, which may read what they like.
fn code(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let is_tests = |at: &usize| {
        let next = lines.get(at + 1).copied().unwrap_or_default();
        lines[*at] == "#[cfg(test)]" && next.starts_with("mod ") && next.ends_with('{')
    };
    let end = (0..lines.len()).find(is_tests).unwrap_or(lines.len());
    let code = lines[..end]
        .iter()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| [line, "\n"]).collect()
}

/// The modules in `crate::x` and `crate::{x, y::z}`.
fn names(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + found.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(group_names(group)),
            None => names.extend(word(rest)),
        }
    }
    names
}

/// The first word of each item of a group, up to the brace that closes it.
fn group_names(group: &str) -> Vec<String> {
    let (mut names, mut depth, mut begins) = (Vec::new(), 0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                names.extend(word(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

fn word(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

fn read(src: &Path) -> Files {
    let (mut files, mut left) = (Files::new(), vec![src.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            // The files of tests may read what they like.
            let name = path.file_stem().unwrap().to_str().unwrap();
            if matches!(name, "tests" | "golden" | "testing") {
                continue;
            }
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                files.insert(path.strip_prefix(src).unwrap().to_owned(), text);
            }
        }
    }
    files
}

/// The check itself fails when it should.
#[test]
fn forbidden_arrows_are_found() {
    for (path, text, complaint) in [
        (
            "dockerfile/parse.rs",
            "use crate::engine::Engine;\n",
            "dockerfile/parse.rs: `dockerfile` may not name `engine`",
        ),
        (
            "plan.rs",
            "use crate::{\n    image::{self, Platform},\n    cli,\n};\n",
            "plan.rs: `plan` may not name `cli`",
        ),
        (
            "progress/plain.rs",
            "fn f() { crate::build::x() }\n",
            "progress/plain.rs: `progress` may not name `build`",
        ),
        (
            "run/mod.rs",
            "use crate::engine::docker::DockerEngine;\n",
            "run/mod.rs: only `cli` may choose `engine::docker`",
        ),
        (
            "build/exec.rs",
            "use bollard::Docker;\n",
            "build/exec.rs: only `engine::docker` may name `bollard`",
        ),
        (
            "cache/key.rs",
            "use super::super::run;\n",
            "cache/key.rs: `super::super` hides an arrow, say `crate::`",
        ),
        (
            "plan/graph.rs",
            "let text = std::fs::read(path);\n",
            "plan/graph.rs: `plan` is pure and may not use `std::fs`",
        ),
        (
            "debug/console.rs",
            "use crate::engine::Engine;\n",
            "debug/console.rs: a face of the debugger may not name `engine`",
        ),
        (
            "compose/mod.rs",
            "",
            "compose/mod.rs: `compose` has no row in the table of arrows",
        ),
    ] {
        let mut files = sound();
        files.insert(path.into(), text.to_owned());
        assert_eq!(complaints(&files), [complaint]);
    }
    let mut files = sound();
    files.remove(Path::new("image.rs"));
    assert_eq!(
        complaints(&files),
        ["there is no module `image`, but a row for it"]
    );
}

#[test]
fn allowed_arrows_are_not_found() {
    let mut files = sound();
    let text = "//! See [`crate::cli`].\nuse crate::image::Platform;\n// use crate::run;\n\
        macro_rules! m { () => { $crate::cli } }\n\
        #[cfg(test)]\nmod tests {\n    use crate::cli;\n    use std::fs;\n}\n";
    files.insert("plan/graph.rs".into(), text.to_owned());
    files.insert(
        "lib.rs".into(),
        "pub use crate::engine::docker;\n".to_owned(),
    );
    assert_eq!(complaints(&files), [""; 0]);
}

/// One empty file for each module.
fn sound() -> Files {
    let file = |(name, _): &(&str, _)| (PathBuf::from(format!("{name}.rs")), String::new());
    MAY_NAME.iter().map(file).collect()
}
