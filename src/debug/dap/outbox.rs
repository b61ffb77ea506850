//! What goes to the editor: responses, events, the lines of the build.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::wire;

pub(super) type Answer = Result<Value, String>;

/// Writes messages as they come.
pub(super) async fn write(
    mut messages: mpsc::UnboundedReceiver<Value>,
    mut output: impl AsyncWrite + Unpin,
) {
    while let Some(message) = messages.recv().await {
        let framed = wire::frame(&message);
        if output.write_all(&framed).await.is_err() || output.flush().await.is_err() {
            return;
        }
    }
}

/// Where messages to the editor go.
#[derive(Clone)]
pub(super) struct Outbox {
    pub(super) send: mpsc::UnboundedSender<Value>,
    pub(super) sequence: Arc<AtomicI64>,
}

impl Outbox {
    pub(super) fn put(&self, mut message: Value) {
        message["seq"] = (self.sequence.fetch_add(1, Ordering::SeqCst) + 1).into();
        // An editor that has gone is noticed by its input.
        let _ = self.send.send(message);
    }

    #[expect(clippy::needless_pass_by_value, reason = "bodies are made for it")]
    pub(super) fn event(&self, event: &str, body: Value) {
        self.put(json!({ "type": "event", "event": event, "body": body }));
    }

    pub(super) fn output(&self, category: &str, text: &str) {
        self.event("output", json!({ "category": category, "output": text }));
    }

    pub(super) fn respond(&self, request: &Request, answer: Answer) {
        let mut response = json!({
            "type": "response",
            "request_seq": request.sequence,
            "command": request.command,
            "success": answer.is_ok(),
        });
        match answer {
            // Nothing needs a body here, but there are clients that look for one.
            Ok(Value::Null) => response["body"] = json!({}),
            Ok(body) => response["body"] = body,
            Err(wrong) => {
                let first = wrong.lines().next().unwrap_or_default().to_owned();
                response["message"] = first.into();
                response["body"] = json!({
                    "error": { "id": 1, "format": wrong, "showUser": false },
                });
            }
        }
        self.put(response);
    }
}

/// The lines of a build, to the editor's console.
pub(super) struct Lines(pub(super) Outbox);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.output("stdout", &String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) struct Request {
    pub(super) sequence: Value,
    pub(super) command: String,
    pub(super) arguments: Value,
}
