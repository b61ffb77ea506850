//! Turns the `docker:` artifacts of a `skaffold.yaml` into custom ones that bowline builds. Only
//! their lines change; comments in them stay.

use super::config::{Node, artifacts, builder, parse};

/// The new text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    pub text: String,
    /// The images whose artifacts changed.
    pub images: Vec<String>,
    /// What a person should look at.
    pub notes: Vec<String>,
}

/// Rewrites.
///
/// # Errors
/// When the text is no YAML.
pub fn rewrite(text: &str) -> Result<Rewritten, String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    // From the end, so that earlier lines keep their numbers.
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    let (mut images, mut notes) = (Vec::new(), Vec::new());
    for document in &parse(text)? {
        for artifact in artifacts(document) {
            let image = artifact.said("image").unwrap_or_default().to_owned();
            match builder(artifact) {
                "docker" => {}
                "custom" => continue,
                other => {
                    notes.push(format!("`{image}` is built by `{other}` and stays"));
                    continue;
                }
            }
            let first = artifact
                .pairs()
                .first()
                .map(|(key, _)| (key.line, key.column));
            let Some((line, column)) =
                first.filter(|(line, column)| is_block(lines[*line], *column))
            else {
                notes.push(format!(
                    "line {}: `{image}` is written in braces and stays",
                    artifact.line + 1
                ));
                continue;
            };
            let command = commands(artifact.get("docker"), &image, &mut notes);
            edits.push(edit(artifact, &lines, line, column, &command));
            images.push(image);
        }
    }
    edits.sort_by_key(|edit| std::cmp::Reverse((edit.0, edit.1)));
    let mut new: Vec<String> = lines.iter().map(ToString::to_string).collect();
    for (start, end, text) in edits {
        if start > 0 && !new[start - 1].ends_with('\n') {
            new[start - 1].push('\n');
        }
        new.splice(start..end, [text]);
    }
    let text = new.concat();
    Ok(Rewritten {
        text,
        images,
        notes,
    })
}

/// Whether a key at this column has nothing before it but dashes.
fn is_block(line: &str, column: usize) -> bool {
    line.chars().take(column).all(|c| matches!(c, ' ' | '-'))
}

/// The lines to replace, and by what.
fn edit(
    artifact: &Node,
    lines: &[&str],
    line: usize,
    column: usize,
    command: &Commands,
) -> (usize, usize, String) {
    let Some((key, value)) = artifact.entry("docker") else {
        let at = item_end(lines, line, column);
        return (at, at, block(&[], "", column, command));
    };
    let start = key.line;
    let end = if value.line > start {
        block_end(lines, start, column)
    } else {
        value.end.max(start) + 1
    };
    let before = &lines[start][..byte_of(lines[start], column)];
    let kept: Vec<&str> = lines[start..end]
        .iter()
        .filter_map(|line| comment(line))
        .collect();
    (start, end, block(&kept, before, column, command))
}

/// The first line after the block that a key at this place begins. Blank lines and comments at
/// its end are not its own.
fn block_end(lines: &[&str], line: usize, column: usize) -> usize {
    end_of(lines, line, |indent, text| {
        indent > column || indent == column && text.starts_with("- ")
    })
}

/// The first line after an item of a list whose keys stand at this column.
fn item_end(lines: &[&str], line: usize, column: usize) -> usize {
    end_of(lines, line, |indent, _| indent >= column)
}

fn end_of(lines: &[&str], line: usize, inside: impl Fn(usize, &str) -> bool) -> usize {
    let mut end = line + 1;
    for (at, text) in lines.iter().enumerate().skip(line + 1) {
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if !inside(text.len() - text.trim_start().len(), trimmed) {
            break;
        }
        end = at + 1;
    }
    end
}

fn byte_of(line: &str, column: usize) -> usize {
    line.char_indices()
        .nth(column)
        .map_or(line.len(), |(at, _)| at)
}

/// The comment in a line, if any. A `#` counts after a space, outside of quotes.
fn comment(line: &str) -> Option<&str> {
    let (mut quote, mut before) = (None, ' ');
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return Some(line[at..].trim_end()),
            (None, '"' | '\'') if matches!(before, ' ' | '[' | '{' | ',' | ':') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    None
}

fn block(comments: &[&str], before: &str, column: usize, command: &Commands) -> String {
    let pad = " ".repeat(column);
    let mut text = String::new();
    // A first key has its dash before it, and comments cannot stand between.
    let first = before.contains('-');
    if !first {
        text.extend(comments.iter().map(|comment| format!("{pad}{comment}\n")));
    }
    let head = if first { before } else { &pad };
    text.push_str(&format!("{head}custom:\n"));
    if first {
        text.extend(comments.iter().map(|comment| format!("{pad}  {comment}\n")));
    }
    text.push_str(&format!("{pad}  buildCommand: {}\n", yaml(&command.build)));
    text.push_str(&format!(
        "{pad}  dependencies:\n{pad}    command: {}\n",
        yaml(&command.deps)
    ));
    text
}

/// A scalar: plain where that is safe.
fn yaml(text: &str) -> String {
    let unsafe_ = text.contains(": ") || text.contains(" #") || text.ends_with(':');
    if unsafe_ {
        return format!("'{}'", text.replace('\'', "''"));
    }
    text.to_owned()
}

/// The two commands of a custom artifact.
struct Commands {
    build: String,
    deps: String,
}

/// What a `docker:` section says as flags.
fn commands(docker: Option<&Node>, image: &str, notes: &mut Vec<String>) -> Commands {
    let mut build = vec!["exec bowline skaffold".to_owned()];
    let mut deps = vec!["bowline skaffold deps".to_owned()];
    let mut flag = |name: &str, value: &str, for_deps: bool| {
        build.push(format!("{name} {}", word(value)));
        if for_deps {
            if is_plain(value) {
                deps.push(format!("{name} {value}"));
            } else {
                notes.push(format!("`{image}`: `{name} {value}` is not in the command for dependencies, where skaffold knows no quotes and no templates"));
            }
        }
    };
    let pairs = docker.map(Node::pairs).unwrap_or_default();
    let mut unknown = Vec::new();
    for (key, value) in pairs {
        let text = value.text().unwrap_or_default();
        match key.text().unwrap_or_default() {
            "dockerfile" if !text.is_empty() => flag("--file", text, true),
            "target" if !text.is_empty() => flag("--target", text, true),
            "buildArgs" => {
                for (name, value) in value.pairs() {
                    let (name, value) = (
                        name.text().unwrap_or_default(),
                        value.text().unwrap_or_default(),
                    );
                    match value {
                        "" | "~" | "null" => flag("--build-arg", name, true),
                        value => flag("--build-arg", &format!("{name}={value}"), true),
                    }
                }
            }
            "network" if text.eq_ignore_ascii_case("bridge") => flag("--network", "default", false),
            "network" if !text.is_empty() => flag("--network", text, false),
            "addHost" => value
                .items()
                .iter()
                .filter_map(Node::text)
                .for_each(|host| flag("--add-host", host, false)),
            "cliFlags" => value.items().iter().filter_map(Node::text).for_each(|one| {
                match one.split_once('=') {
                    Some((name, value)) if name.starts_with("--") => flag(name, value, false),
                    _ => flag("", one, false),
                }
            }),
            "secrets" => {
                for secret in value.items() {
                    let parts = ["id", "src", "env"].into_iter().filter_map(|name| {
                        secret.said(name).map(|value| format!("{name}={value}"))
                    });
                    flag("--secret", &parts.collect::<Vec<_>>().join(","), false);
                }
            }
            "ssh" if !text.is_empty() => flag("--ssh", text, false),
            "noCache" if text == "true" => flag("", "--no-cache", false),
            "pullParent" if text == "true" => flag("", "--pull", false),
            "squash" if text == "true" => flag("", "--squash", false),
            "cacheFrom" => unknown.push("cacheFrom".to_owned()),
            "dockerfile" | "target" | "network" | "ssh" | "noCache" | "pullParent" | "squash" => {}
            other => unknown.push(other.to_owned()),
        }
    }
    for name in unknown {
        notes.push(match name.as_str() {
            "cacheFrom" => format!("`{image}`: `cacheFrom` is gone, because bowline finds what the engine has built before"),
            name => format!("`{image}`: `docker.{name}` has no counterpart and is gone"),
        });
    }
    let tidy = |words: Vec<String>| words.join(" ").replace("  ", " ");
    Commands {
        build: tidy(build),
        deps: tidy(deps),
    }
}

/// Whether a shell, and skaffold's splitting at spaces, take it as it is.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c))
}

/// A word of the shell. A template becomes the variable that it stands for: skaffold's own
/// variables are seen as well then.
fn word(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    if !text.contains("{{") {
        return format!("'{}'", text.replace('\'', "'\\''"));
    }
    let mut out = String::from("\"");
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        push_quoted(&mut out, before);
        let Some((inside, after)) = after.split_once("}}") else {
            push_quoted(&mut out, "{{");
            rest = after;
            continue;
        };
        match inside.trim().strip_prefix('.') {
            Some(name) if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
                out.push_str(&format!("${{{name}}}"));
            }
            // A function of skaffold's templates.
            _ => out.push_str(&format!("{{{{{inside}}}}}")),
        }
        rest = after;
    }
    push_quoted(&mut out, rest);
    out.push('"');
    out
}

fn push_quoted(out: &mut String, text: &str) {
    for c in text.chars() {
        if matches!(c, '"' | '$' | '`' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_artifacts_become_custom_ones_and_all_else_stays() {
        let old = "# ours\napiVersion: skaffold/v4beta13\nkind: Config\nbuild:\n  # list\n  artifacts:\n    - image: app   # the app\n      context: app\n      docker:\n        dockerfile: build/Dockerfile # odd place\n        target: prod\n        buildArgs:\n          VERSION: \"{{.VERSION}}\"\n          TITLE: a b\n          TOKEN:\n        # as the pod\n        network: container:{{.POD}}\n        secrets:\n          - id: npm\n            src: .npmrc\n        cacheFrom: [x]\n      sync:\n        manual: [] # kept\n\n    # second\n    - image: plain\n    - docker: {dockerfile: Other}\n      image: third\n    - image: jibbed\n      jib: {}\n  local: {push: false}\n";
        let new = "# ours\napiVersion: skaffold/v4beta13\nkind: Config\nbuild:\n  # list\n  artifacts:\n    - image: app   # the app\n      context: app\n      # odd place\n      # as the pod\n      custom:\n        buildCommand: exec bowline skaffold --file build/Dockerfile --target prod --build-arg \"VERSION=${VERSION}\" --build-arg 'TITLE=a b' --build-arg TOKEN --network \"container:${POD}\" --secret id=npm,src=.npmrc\n        dependencies:\n          command: bowline skaffold deps --file build/Dockerfile --target prod --build-arg TOKEN\n      sync:\n        manual: [] # kept\n\n    # second\n    - image: plain\n      custom:\n        buildCommand: exec bowline skaffold\n        dependencies:\n          command: bowline skaffold deps\n    - custom:\n        buildCommand: exec bowline skaffold --file Other\n        dependencies:\n          command: bowline skaffold deps --file Other\n      image: third\n    - image: jibbed\n      jib: {}\n  local: {push: false}\n";
        let rewritten = rewrite(old).unwrap();
        assert_eq!(rewritten.text, new);
        assert_eq!(rewritten.images, ["app", "plain", "third"]);
        assert_eq!(rewritten.notes.len(), 4, "{:?}", rewritten.notes);
        assert_eq!(rewrite(new).unwrap().text, new);
    }

    #[test]
    fn what_cannot_be_edited_stays() {
        let text = "build: {artifacts: [{image: a}]}\n";
        let rewritten = rewrite(text).unwrap();
        assert_eq!((rewritten.text.as_str(), rewritten.notes.len()), (text, 1));
        assert!(rewrite("a: [").is_err());
        let end = rewrite("build:\n  artifacts:\n  - image: a").unwrap().text;
        assert_eq!(
            end,
            "build:\n  artifacts:\n  - image: a\n    custom:\n      buildCommand: exec bowline skaffold\n      dependencies:\n        command: bowline skaffold deps\n"
        );
    }
}
