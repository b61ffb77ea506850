//! What may take long and is answered beside other requests: commands, values, completions.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Debuggee;
use super::outbox::{Answer, Outbox, Request};
use super::session::Session;
use super::values::Frame;
use crate::debug::command::{Desk, Done};
use crate::debug::show;
use crate::debug::stepper::Order;

impl Session {
    pub(super) async fn complete(&self, arguments: &Value) -> Answer {
        let text = arguments["text"].as_str().unwrap_or_default();
        let column = arguments["column"].as_u64().unwrap_or(1).saturating_sub(1);
        let column = usize::try_from(column).unwrap_or(usize::MAX);
        let line: String = text.chars().take(column).collect();
        let (begin, found) = self.flow.desk.lock().await.complete(&line);
        let start = line[..begin].chars().count();
        let length = line[begin..].chars().count();
        let target = |label: String| json!({ "label": label, "start": start, "length": length });
        Ok(json!({ "targets": found.into_iter().map(target).collect::<Vec<_>>() }))
    }

    /// Answers what may take long beside the other requests.
    pub(super) fn later(&self, request: Request, out: Outbox, can_run_in_terminal: bool) {
        let flow = self.flow.clone();
        if request.command == "variables" {
            tokio::spawn(async move {
                let number = request.arguments["variablesReference"]
                    .as_u64()
                    .unwrap_or(0);
                let number = usize::try_from(number).unwrap_or(0);
                let here = flow.desk.lock().await.inspector().cloned();
                let found = flow.table.open(number, here.as_deref()).await;
                out.respond(
                    &request,
                    found.map(|all| json!({ "variables": part(all, &request) })),
                );
            });
            return;
        }
        let frame = self.frame(&request.arguments).ok();
        let debuggee = self.debuggee.clone();
        tokio::spawn(async move {
            let text = request.arguments["expression"].as_str().unwrap_or_default();
            if request.arguments["context"] == "repl" {
                let Ok(mut desk) = flow.desk.try_lock() else {
                    out.respond(&request, Err("a command is still running".into()));
                    return;
                };
                let evaluated = repl(text, &mut desk, &*debuggee, &out, can_run_in_terminal);
                match evaluated.await {
                    Ok((text, order)) => {
                        let body = json!({ "result": text, "variablesReference": 0 });
                        out.respond(&request, Ok(body));
                        if let Some(order) = order {
                            let body = json!({ "threadId": 1, "allThreadsContinued": true });
                            out.event("continued", body);
                            flow.go(&mut desk, order);
                        }
                    }
                    Err(wrong) => out.respond(&request, Err(wrong)),
                }
                return;
            }
            let here = flow.desk.lock().await.inspector().cloned();
            let site = here.map(|here| Arc::clone(&here.site));
            let answer = match (frame, site) {
                (Some(frame), _) => evaluate(text, &frame),
                (None, Some(site)) => evaluate(text, &Frame { site, depth: 0 }),
                (None, None) => Err("the build is running".into()),
            };
            let body = |text| json!({ "result": text, "variablesReference": 0 });
            out.respond(&request, answer.map(body));
        });
    }
}

/// The part of a list that was asked for.
fn part(all: Vec<Value>, request: &Request) -> Vec<Value> {
    let number = |name: &str| {
        let number = request.arguments[name].as_u64()?;
        usize::try_from(number).ok()
    };
    let count = number("count")
        .filter(|&count| count > 0)
        .unwrap_or(usize::MAX);
    all.into_iter()
        .skip(number("start").unwrap_or(0))
        .take(count)
        .collect()
}

/// A variable's value, or a text with variables in it.
fn evaluate(text: &str, frame: &Frame) -> Result<String, String> {
    let text = text.trim();
    let variables = frame.scene().variables;
    let bare = text
        .trim_start_matches('$')
        .trim_start_matches('{')
        .trim_end_matches('}');
    if let Some(found) = variables.iter().rfind(|variable| variable.name == bare) {
        return Ok(found.value.clone());
    }
    if text.contains('$') {
        return show::expand_with(&variables, text);
    }
    Err(format!("there is no variable `{text}` here"))
}

/// A command of the editor's console: its output, and the order it would be.
async fn repl(
    text: &str,
    desk: &mut Desk,
    debuggee: &dyn Debuggee,
    out: &Outbox,
    can_run_in_terminal: bool,
) -> Result<(String, Option<Order>), String> {
    let mut said = String::new();
    let done = desk.run(text, &mut |piece| said.push_str(piece)).await?;
    match done {
        Done::Nothing | Done::Ran(0) => {}
        Done::Ran(status) => said.push_str(&format!("exit code {status}\n")),
        Done::Go(order) => return Ok((said, Some(order))),
        Done::Quit(_) => return Ok((said, Some(Order::End))),
        Done::Shell { container, command } => {
            if !can_run_in_terminal {
                return Err("the editor opens no terminals: use `exec`, or `!LINE`".into());
            }
            out.put(json!({
                "type": "request",
                "command": "runInTerminal",
                "arguments": {
                    "kind": "integrated",
                    "title": "bowline shell",
                    "cwd": "",
                    "args": debuggee.join(&container, &command),
                },
            }));
            said.push_str("the shell opens in a terminal\n");
        }
    }
    Ok((said.trim_end_matches('\n').to_owned(), None))
}
