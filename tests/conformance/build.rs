//! Runs a case with a builder, and says what came of it in the words of `expected.json`.

use std::env;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::case::{Case, Copy, Invocation, SALT, SERVER};
use super::serve::Server;
use super::tree::Tree;
use crate::support::{self, Bowline, Docker, Finished, docker::Saved, finish, script};

const LIMIT: Duration = Duration::from_secs(180);

/// Who builds.
pub enum Builder {
    Bowline(Bowline),
    /// The reference: BuildKit, through `docker buildx` of the engine under test.
    Buildx,
}

impl Builder {
    pub fn chosen() -> Self {
        if Self::is_reference() {
            Self::Buildx
        } else {
            Self::Bowline(Bowline::new())
        }
    }

    pub fn is_reference() -> bool {
        match env::var("BOWLINE_TEST_BUILDER").as_deref() {
            Ok("buildx") => true,
            Ok("bowline" | "") | Err(_) => false,
            Ok(other) => panic!("BOWLINE_TEST_BUILDER is `{other}`, not `bowline` or `buildx`"),
        }
    }

    fn build(&self, copy: &Copy, tag: &str, invocation: Invocation) -> Finished {
        let mut command = match self {
            Self::Bowline(bowline) => {
                let mut command = bowline.command();
                command.arg("build");
                command
            }
            Self::Buildx => {
                let mut command = match support::engine_name().as_str() {
                    "own" => Docker::command(),
                    name => {
                        let mut command = Command::new(script("engine.sh"));
                        command.args(["docker", name]);
                        command
                    }
                };
                command
                    .args(["buildx", "build"])
                    .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
                    .env_remove("BUILDX_BUILDER");
                command
            }
        };
        command
            .args(["--progress=plain", "--tag", tag])
            .args(&invocation.arguments)
            .envs(invocation.environment)
            .current_dir(copy.path());
        finish(&mut command, invocation.input, LIMIT)
    }
}

/// A result, and the builder's own words for whoever has to find out why.
pub struct Observed {
    pub result: Value,
    pub words: String,
}

/// Builds a case as often as it wants, and looks at the last image.
pub fn observe(case: &Case, builder: &Builder, salt: &str) -> Result<Observed, String> {
    let server = case.is_served().then(Server::start).transpose()?;
    let address = server.as_ref().map(|server| server.address().to_owned());
    let copy = case.copy(salt, address)?;
    if let Some(server) = &server {
        server.serve(copy.path().join("www"));
    }
    let tag = format!("bowline-conformance:{salt}");
    let remover = Remover(vec![tag.clone(), copy.base_image()]);
    if case.has_base() {
        let invocation = Invocation {
            arguments: vec!["--no-cache".into(), "base".into()],
            environment: Vec::new(),
            input: None,
        };
        let finished = builder.build(&copy, &copy.base_image(), invocation);
        if !finished.success() {
            return Err(format!("base/Dockerfile: {}", finished.stderr));
        }
    }
    let mut again = Vec::new();
    let mut words = String::new();
    for build in 1..=case.builds() {
        case.change(&copy, build)?;
        let finished = builder.build(&copy, &tag, case.invocation(&copy, build)?);
        words = finished.everything();
        if !finished.success() {
            if build != case.builds() && !case.may_fail(build) {
                return Err(format!("build {build} failed: {words}"));
            }
            if build == case.builds() {
                let result = plain(refusal(&words), &copy);
                return Ok(Observed { result, words });
            }
        }
        if build > 1 {
            again.push(steps(&words));
        }
    }
    let saved = Docker::save(&tag)?;
    drop(remover);
    let mut result = describe(&saved, &case.timed())?;
    if !again.is_empty() {
        result.insert("again".into(), Value::Array(again));
    }
    Ok(Observed {
        result: plain(Value::Object(result), &copy),
        words,
    })
}

struct Remover(Vec<String>);

impl Drop for Remover {
    fn drop(&mut self) {
        for name in &self.0 {
            Docker::remove_image(name);
        }
    }
}

/// What an image is, as far as builders decide it.
pub fn described(saved: &Saved) -> Result<Value, String> {
    describe(saved, &[]).map(Value::Object)
}

fn describe(saved: &Saved, timed: &[String]) -> Result<Map<String, Value>, String> {
    let busybox = busybox()?;
    let above = saved.layers.first() == busybox.layers.first();
    let tree = Tree::of_layers(&saved.layers)?;
    let nothing = Tree::default();
    let base = if above { &busybox.tree } else { &nothing };
    let (base_layers, base_history) = if above {
        (busybox.layers.len(), busybox.history)
    } else {
        (0, 0)
    };
    let history = saved.config["history"].as_array().into_iter().flatten();
    let history: Vec<String> = history.skip(base_history).map(history_line).collect();
    let mut result = Map::new();
    result.insert("base".into(), json!(if above { "busybox" } else { "" }));
    result.insert("tree".into(), json!(tree.lines(base, timed)));
    let missing = tree.missing(base);
    if !missing.is_empty() {
        result.insert("missing".into(), json!(missing));
    }
    result.insert("config".into(), config(&saved.config));
    result.insert("history".into(), json!(history));
    result.insert("layers".into(), json!(saved.layers.len() - base_layers));
    Ok(result)
}

struct Busybox {
    tree: Tree,
    layers: Vec<Vec<u8>>,
    history: usize,
}

fn busybox() -> Result<&'static Busybox, String> {
    static BUSYBOX: OnceLock<Result<Busybox, String>> = OnceLock::new();
    BUSYBOX
        .get_or_init(|| {
            let saved = Docker::save("busybox:latest")?;
            Ok(Busybox {
                tree: Tree::of_layers(&saved.layers)?,
                history: saved.config["history"].as_array().map_or(0, Vec::len),
                layers: saved.layers,
            })
        })
        .as_ref()
        .map_err(Clone::clone)
}

fn history_line(entry: &Value) -> String {
    let kind = if entry["empty_layer"] == true {
        "empty"
    } else {
        "layer"
    };
    format!(
        "{kind}: {}",
        entry["created_by"].as_str().unwrap_or_default()
    )
}

/// What a container gets from the image, with the author; an absent value and an empty one mean
/// the same.
fn config(image: &Value) -> Value {
    let mut config: Vec<(String, Value)> = Vec::new();
    if let Some(values) = image["config"].as_object() {
        for (name, value) in values {
            config.push((name.clone(), value.clone()));
        }
    }
    config.push(("author".into(), image["author"].clone()));
    config.retain(|(_, value)| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(values) => !values.is_empty(),
        _ => true,
    });
    // The daemon's own fields of old images, which no builder sets.
    config.retain(|(name, _)| !matches!(name.as_str(), "Hostname" | "Image"));
    sorted(Value::Object(config.into_iter().collect()))
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(values) => {
            let mut values: Vec<_> = values.into_iter().collect();
            values.sort_by(|a, b| a.0.cmp(&b.0));
            let sort = |(name, value)| (name, sorted(value));
            Value::Object(values.into_iter().map(sort).collect())
        }
        other => other,
    }
}

/// Which steps of the Dockerfile ran, and which came from the cache, of the plain progress:
/// `#5 [stage 2/3] RUN x`, then `#5 CACHED`.
fn steps(progress: &str) -> Value {
    let mut titles: Vec<(String, String, &str)> = Vec::new();
    for line in progress.lines() {
        let Some((number, text)) = line
            .strip_prefix('#')
            .and_then(|line| line.split_once(' '))
            .filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()))
        else {
            continue;
        };
        let known = titles.iter_mut().find(|(known, _, _)| known == number);
        match known {
            Some((_, _, state)) if text == "CACHED" => *state = "cached",
            Some(_) => {}
            None => titles.push((number.to_owned(), text.to_owned(), "ran")),
        }
    }
    let mut steps: Vec<(String, Value)> = titles
        .into_iter()
        .filter(|(_, title, _)| {
            // Whether a base image counts as cached says nothing.
            let instruction = title.split_once("] ").map_or("", |(_, rest)| rest);
            title.starts_with('[')
                && !title.starts_with("[internal]")
                && !title.starts_with("[auth]")
                && !instruction.starts_with("FROM ")
        })
        .map(|(_, title, state)| (title, json!(state)))
        .collect();
    steps.sort_by(|a, b| a.0.cmp(&b.0));
    Value::Object(steps.into_iter().collect())
}

fn refusal(words: &str) -> Value {
    let message = words
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("ERROR: "))
        .unwrap_or_default();
    let message = message
        .trim_start_matches("failed to build: ")
        .trim_start_matches("failed to solve: ");
    let mut refusal = Map::new();
    refusal.insert("refused".into(), json!(true));
    refusal.insert("message".into(), json!(without_references(message)));
    let lines = marked_lines(words);
    if let (Some(first), Some(last)) = (lines.iter().min(), lines.iter().max()) {
        refusal.insert("lines".into(), json!([first, last]));
    }
    Value::Object(refusal)
}

/// `of ref 7f767995-…::mm10…:` is another one each time.
fn without_references(message: &str) -> String {
    let words: Vec<&str> = message.split(' ').collect();
    let mut shown = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let reference = index > 1 && words[index - 2] == "of" && words[index - 1] == "ref";
        shown.push(if reference { "…:" } else { word });
    }
    shown.join(" ")
}

/// The lines that BuildKit marks (`   3 | >>> COPY nothing /`), or else names.
fn marked_lines(words: &str) -> Vec<u64> {
    let marked = |line: &str| -> Option<u64> {
        let (number, rest) = line.split_once('|')?;
        rest.starts_with(" >>>")
            .then(|| number.trim().parse().ok())?
    };
    let mut lines: Vec<u64> = words.lines().filter_map(marked).collect();
    if lines.is_empty() {
        for lead in ["parse error on line ", "parse error on lines "] {
            if let Some((_, rest)) = words.split_once(lead) {
                let numbers = rest.split([':', ' ']).next().unwrap_or_default();
                lines = numbers.split('-').filter_map(|n| n.parse().ok()).collect();
            }
        }
    }
    lines
}

/// The same in every run.
fn plain(value: Value, copy: &Copy) -> Value {
    let text = |text: String| {
        let text = text.replace(&copy.salt, SALT);
        let text = match &copy.server {
            Some(server) => text.replace(server, SERVER),
            None => text,
        };
        text.replace(&*copy.path().to_string_lossy(), "@CASE@")
    };
    match value {
        Value::String(string) => Value::String(text(string)),
        Value::Array(values) => values.into_iter().map(|value| plain(value, copy)).collect(),
        Value::Object(values) => Value::Object(
            values
                .into_iter()
                .map(|(name, value)| (text(name), plain(value, copy)))
                .collect(),
        ),
        other => other,
    }
}
