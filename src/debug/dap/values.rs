//! What an editor shows at a stop: scopes, and what is in them, opened one by one.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::build::Site;
use crate::debug::command::plain;
use crate::debug::inspect::Inspector;
use crate::debug::show;
use crate::plan::{Line, Scene};

/// How many files of one directory, or changes of one step, are shown.
const MOST: usize = 2000;

/// How much of a file is shown as its value.
const MOST_TEXT: usize = 64 << 10;

/// One frame: a stage at an instruction.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) site: Arc<Site>,
    /// 0 is the stage itself, then who waits for it.
    pub(super) depth: usize,
}

impl Frame {
    pub(super) fn stage(&self) -> usize {
        match self.depth.checked_sub(1) {
            None => self.site.stage().index,
            Some(at) => self.site.callers()[at].0,
        }
    }

    fn index(&self) -> usize {
        match self.depth.checked_sub(1) {
            None => self.site.index(),
            Some(at) => self.site.callers()[at].1,
        }
    }

    pub(super) fn line(&self) -> Line {
        let stage = self.site.plan().stage(self.stage());
        stage.expect("a walked stage is planned").lines[self.index()].clone()
    }

    pub(super) fn scene(&self) -> Scene {
        if self.depth == 0 {
            return self.site.scene().clone();
        }
        let stage = self.site.plan().stage(self.stage());
        let lines = &stage.expect("a walked stage is planned").lines;
        lines[self.index().saturating_sub(1)].after.clone()
    }
}

/// Something that can be opened.
#[derive(Clone)]
pub(super) enum Node {
    Instruction(Frame),
    Variables(Frame),
    Config(Value),
    Mounts(Frame),
    Directory(String),
    File(String),
    Changes,
}

/// The open things of a stop, by the numbers that the editor knows them by.
#[derive(Default)]
pub(super) struct Table {
    nodes: Mutex<Vec<Node>>,
}

impl Table {
    pub(super) fn clear(&self) {
        self.nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn add(&self, node: Node) -> usize {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.push(node);
        nodes.len()
    }

    fn get(&self, number: usize) -> Option<Node> {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.get(number.checked_sub(1)?).cloned()
    }

    pub(super) fn scopes(&self, frame: &Frame) -> Value {
        let mut scopes = vec![
            ("Instruction", Node::Instruction(frame.clone()), false),
            ("ARG and ENV", Node::Variables(frame.clone()), false),
            ("Image config", Node::Config(config(frame)), false),
        ];
        if frame.depth == 0 {
            scopes.push(("Mounts", Node::Mounts(frame.clone()), false));
            // These ask the engine, so they are not opened unasked.
            scopes.push(("Changes", Node::Changes, true));
            scopes.push(("Files", Node::Directory("/".into()), true));
        }
        let scope = |(name, node, expensive)| {
            json!({
                "name": name,
                "variablesReference": self.add(node),
                "expensive": expensive,
            })
        };
        json!({ "scopes": scopes.into_iter().map(scope).collect::<Vec<_>>() })
    }

    /// What is in something.
    pub(super) async fn open(
        &self,
        number: usize,
        here: Option<&Inspector>,
    ) -> Result<Vec<Value>, String> {
        let node = self.get(number);
        let node = node.ok_or("it belongs to a stop that is over")?;
        let running = || "the build is running".to_owned();
        Ok(match node {
            Node::Instruction(frame) => self.instruction(&frame, here).await,
            Node::Variables(frame) => {
                let variables = frame.scene().variables;
                let shown = variables.into_iter().map(|variable| {
                    let origin = variable.origin.to_string();
                    json!({
                        "name": variable.name,
                        "value": variable.value,
                        "type": origin,
                        "evaluateName": format!("${{{}}}", variable.name),
                        "variablesReference": 0,
                    })
                });
                shown.collect()
            }
            Node::Config(config) => self.members(&config),
            Node::Mounts(frame) => {
                let mounts = frame.site.mounts();
                let mounts = mounts.iter().enumerate();
                mounts
                    .map(|(at, mount)| leaf(&at.to_string(), mount))
                    .collect()
            }
            Node::Directory(path) => {
                let here = here.ok_or_else(running)?;
                let files = here.list(&path).await.map_err(|error| plain(&error))?;
                let shown = files.iter().take(MOST).map(|file| {
                    let row = file.row(file.name());
                    let (mode, owner, size) = (&row[0], &row[1], &row[2]);
                    let value = format!("{mode} {owner} {size}");
                    let node = match file.kind {
                        'd' => Some(Node::Directory(file.path.clone())),
                        '-' => Some(Node::File(file.path.clone())),
                        _ => None,
                    };
                    let value = match file.kind {
                        'l' => format!("{value}-> {}", file.target),
                        _ => value,
                    };
                    json!({
                        "name": file.name(),
                        "value": value.trim_end(),
                        "variablesReference": node.map_or(0, |node| self.add(node)),
                    })
                });
                shown.collect()
            }
            Node::File(path) => {
                let here = here.ok_or_else(running)?;
                let content = here.view(&path, MOST_TEXT).await;
                let content = content.map_err(|error| plain(&error))?;
                vec![leaf("content", &show::text_of(content))]
            }
            Node::Changes => {
                let here = here.ok_or_else(running)?;
                let (line, changes) = here.changes(None).await.map_err(|error| plain(&error))?;
                if changes.is_empty() {
                    return Ok(vec![leaf("none", &format!("line {line} changed no files"))]);
                }
                let shown = changes.iter().take(MOST);
                shown
                    .map(|change| {
                        let row = change.file.row("");
                        let kind = format!("{:?}", change.kind).to_lowercase();
                        leaf(
                            &change.file.path,
                            format!("{kind} {} {}", row[0], row[2]).trim_end(),
                        )
                    })
                    .collect()
            }
        })
    }

    async fn instruction(&self, frame: &Frame, here: Option<&Inspector>) -> Vec<Value> {
        let (line, scene) = (frame.line(), frame.scene());
        let user = match scene.config.config.user.as_str() {
            "" => "root",
            user => user,
        };
        let mut rows = vec![
            leaf("written", &line.written),
            leaf("expanded", &line.expanded),
            leaf("user", user),
            leaf("workdir", &scene.cwd),
            leaf("shell", &scene.shell.join(" ")),
        ];
        let here = here.filter(|_| frame.depth == 0);
        if let Some(here) = here {
            rows.push(leaf("network", &here.network().await));
            rows.push(leaf("cache", &here.why()));
            if let Some(log) = here.log() {
                rows.push(leaf("log", &log));
            }
        }
        rows
    }

    fn members(&self, value: &Value) -> Vec<Value> {
        let member = |name: String, value: &Value| match value {
            Value::Object(_) | Value::Array(_) => json!({
                "name": name,
                "value": value.to_string(),
                "variablesReference": self.add(Node::Config(value.clone())),
            }),
            Value::String(text) => leaf(&name, text),
            other => leaf(&name, &other.to_string()),
        };
        match value {
            Value::Object(members) => {
                let members = members.iter();
                members
                    .map(|(name, value)| member(name.clone(), value))
                    .collect()
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items
                    .map(|(at, value)| member(at.to_string(), value))
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}

fn leaf(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value, "variablesReference": 0 })
}

fn config(frame: &Frame) -> Value {
    let config = frame.scene().config.config;
    serde_json::to_value(config).expect("a config is plain data")
}
