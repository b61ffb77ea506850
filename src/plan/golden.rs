//! Golden folders: `fixtures/plan/<case>/Dockerfile` gives exactly `plan`, or the refusal in it.
//!
//! Lines `# plan: --target=x` or `# plan: --build-arg=A=b` in the file are its options.
//! `UPDATE_FIXTURES=1` writes what is missing or differs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::{Options, Plan, graph};
use crate::diag::{Diagnostics, Style};
use crate::dockerfile::parse;
use crate::image::{ImageConfig, Platform, Reference};
use crate::lint::Lint;
use crate::request::NamedContext;
use crate::source::SourceFile;

pub(super) fn options(text: &str) -> Options {
    let platform = Platform::new("linux", "amd64", None);
    let mut options = Options {
        build_args: BTreeMap::new(),
        target: None,
        build_platform: platform.clone(),
        target_platform: platform,
        platform_given: false,
        labels: Vec::new(),
        contexts: Vec::new(),
        trace: false,
    };
    for line in text
        .lines()
        .filter_map(|line| line.strip_prefix("# plan: "))
    {
        match line.split_once('=').expect("an option has a value") {
            ("--target", name) => options.target = Some(name.into()),
            ("--label", pair) => {
                let (name, value) = pair.split_once('=').unwrap();
                options.labels.push((name.into(), value.into()));
            }
            ("--build-arg", pair) => {
                let (name, value) = pair.split_once('=').unwrap();
                options.build_args.insert(name.into(), value.into());
            }
            ("--build-context", pair) => {
                let (name, value) = pair.split_once('=').unwrap();
                options.contexts.push((name.into(), context(value)));
            }
            (other, _) => panic!("unknown option {other}"),
        }
    }
    options
}

fn context(text: &str) -> NamedContext {
    match text.split_once(':') {
        Some(("docker-image", image)) => {
            let image = Reference::parse(image.trim_start_matches('/')).unwrap();
            NamedContext::Image(image.with_default_tag())
        }
        Some(("target", stage)) => NamedContext::Target(stage.into()),
        _ => NamedContext::Directory(text.into()),
    }
}

fn plan(text: &str, bases: &BTreeMap<String, ImageConfig>) -> Result<Plan, Diagnostics> {
    let source = SourceFile::new("Dockerfile", text);
    let parsed = parse(&source)?;
    let mut lint = Lint::default();
    let mut graph = graph(&parsed.dockerfile, options(text), &mut lint)?;
    loop {
        let wanted = graph.wanted();
        if wanted.is_empty() {
            return graph.bind(&mut lint);
        }
        for base in wanted {
            let name = base.reference.to_string();
            let config = bases
                .get(&name)
                .unwrap_or_else(|| panic!("bases.json has no {name}"));
            graph.supply(base.base, config.clone())?;
        }
    }
}

fn show(plan: &Plan) -> String {
    let mut text = String::new();
    for stage in &plan.stages {
        let mark = if stage.index == plan.target {
            " (target)"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "stage {} {:?} from {:?}{mark}",
            stage.index, stage.shown, stage.base
        );
        if !stage.from_title.is_empty() {
            let _ = writeln!(text, "  {}", stage.from_title);
        }
        for step in &stage.steps {
            let _ = writeln!(text, "  {}", step.title.replace('\n', "\\n"));
            let _ = writeln!(text, "    {}", serde_json::to_string(&step.action).unwrap());
        }
        let mut config = serde_json::to_value(&stage.config).unwrap();
        let history = config.as_object_mut().unwrap().remove("history").unwrap();
        let _ = writeln!(text, "  config {}", config["config"]);
        for item in history.as_array().into_iter().flatten() {
            let kind = if item["empty_layer"] == true {
                "-"
            } else {
                "+"
            };
            let _ = writeln!(text, "  history {kind} {}", item["created_by"]);
        }
    }
    text
}

#[test]
fn every_folder_gives_its_plan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/plan");
    let bases = fs_err::read_to_string(folder.join("bases.json")).unwrap();
    let bases: BTreeMap<String, ImageConfig> = serde_json::from_str(&bases).unwrap();
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    let mut cases = 0;
    for case in fs_err::read_dir(&folder).unwrap() {
        let case = case.unwrap().path();
        if !case.is_dir() {
            continue;
        }
        cases += 1;
        let text = fs_err::read_to_string(case.join("Dockerfile")).unwrap();
        let found = match plan(&text, &bases) {
            Ok(plan) => show(&plan),
            Err(errors) => errors.render(Style::default()),
        };
        let expected = fs_err::read_to_string(case.join("plan")).unwrap_or_default();
        if found != expected && update {
            fs_err::write(case.join("plan"), &found).unwrap();
        } else {
            assert_eq!(found, expected, "{}", case.display());
        }
    }
    assert!(cases >= 20, "only {cases} cases found");
}
