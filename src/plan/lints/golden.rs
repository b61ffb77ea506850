//! Golden folders of the linter: `fixtures/lint/<case>/Dockerfile` gives exactly `check`, which is
//! what `bowline check` prints. Every rule has a folder of its name, and a page in `docs/lint`
//! that shows the same file.
//!
//! A line `# lint: ignore=PATH` in the file stands for an ignore file with that path.
//! `UPDATE_FIXTURES=1` writes what is missing or differs.

use std::path::{Path, PathBuf};

use crate::diag::{Diagnostics, Style};
use crate::dockerfile::{ast::Dockerfile, parse};
use crate::image::{ImageConfig, Platform};
use crate::lint::{self, Config, Lint, report, rules};
use crate::plan::golden::options;
use crate::plan::graph;
use crate::source::SourceFile;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/lint")
}

fn linter(dockerfile: &Dockerfile) -> Lint {
    let text = dockerfile.source.text();
    let check = dockerfile.directives.check.as_ref();
    let config = check.map_or("", |word| word.text.as_str());
    let ignored = text
        .lines()
        .find_map(|line| line.strip_prefix("# lint: ignore="))
        .map(|path| {
            let path = path.to_owned();
            let ignored: lint::Ignored = Box::new(move |found| found == path);
            ignored
        });
    Lint::new(Config::parse(config).unwrap())
        .with_ignored(ignored)
        .of_every_stage(true)
}

/// Every base image is the same, but for one of another platform.
fn base(name: &str) -> ImageConfig {
    let architecture = if name == "foreign:latest" {
        "arm64"
    } else {
        "amd64"
    };
    ImageConfig::scratch(&Platform::new("linux", architecture, None))
}

fn look(dockerfile: &Dockerfile, lint: &mut Lint) -> Result<(), Diagnostics> {
    lint::file(lint, dockerfile);
    let mut graph = graph(dockerfile, options(""), lint)?;
    loop {
        let wanted = graph.wanted();
        if wanted.is_empty() {
            return graph.bind(lint).map(drop);
        }
        for want in wanted {
            graph.supply(want.base, base(&want.reference.to_string()))?;
        }
    }
}

fn check(text: &str) -> String {
    let parsed = parse(&SourceFile::new("Dockerfile", text)).unwrap();
    let mut lint = linter(&parsed.dockerfile);
    let looked = look(&parsed.dockerfile, &mut lint);
    let mut shown = report::text(lint.findings(), "Dockerfile");
    if let Err(errors) = looked {
        shown += &errors.render(Style::default());
    }
    if let Some(violation) = lint.violation() {
        shown += &format!("error: {violation}\n");
    }
    shown
}

#[test]
fn every_folder_gives_its_warnings() {
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    let mut cases = 0;
    for case in fs_err::read_dir(fixtures()).unwrap() {
        let case = case.unwrap().path();
        cases += 1;
        let text = fs_err::read_to_string(case.join("Dockerfile")).unwrap();
        let found = check(&text);
        let expected = fs_err::read_to_string(case.join("check")).unwrap_or_default();
        if found != expected && update {
            fs_err::write(case.join("check"), &found).unwrap();
        } else {
            assert_eq!(found, expected, "{}", case.display());
        }
    }
    assert!(cases > rules::ALL.len(), "{cases}");
}

#[test]
fn every_rule_is_broken_by_its_folder() {
    for rule in rules::ALL {
        let path = fixtures().join(rule.name).join("Dockerfile");
        let text = fs_err::read_to_string(path).unwrap();
        let parsed = parse(&SourceFile::new("Dockerfile", text)).unwrap();
        let mut lint = linter(&parsed.dockerfile);
        // One of them cannot be built either.
        let _ = look(&parsed.dockerfile, &mut lint);
        let found = lint.findings().iter().any(|found| found.rule == rule);
        assert!(found, "{}", rule.name);
    }
}

#[test]
fn every_rule_has_a_page_with_its_example() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lint");
    let list = fs_err::read_to_string(pages.join("README.md")).unwrap();
    for rule in rules::ALL {
        let page = fs_err::read_to_string(pages.join(format!("{}.md", rule.name))).unwrap();
        assert!(page.starts_with(&format!("# {}\n", rule.name)), "{page}");
        let path = fixtures().join(rule.name).join("Dockerfile");
        let example = fs_err::read_to_string(path).unwrap();
        let lines = example.lines().filter(|line| !line.starts_with("# lint:"));
        for line in lines.filter(|line| !line.is_empty()) {
            assert!(
                page.contains(&format!("    {line}\n")),
                "{}: {line}",
                rule.name
            );
        }
        let entry = format!("[{name}]({name}.md)", name = rule.name);
        assert!(list.contains(&entry), "{entry}");
    }
}
