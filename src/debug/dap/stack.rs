//! The stack of a stage, the texts it refers to, and why it has stopped.

use std::sync::{Arc, PoisonError};

use serde_json::{Value, json};

use super::answers;
use super::outbox::Answer;
use super::session::Session;
use super::values::Frame;
use crate::debug::command::plain;

impl Session {
    pub(super) fn stack(&self, arguments: &Value, one: usize) -> Value {
        let wanted = arguments["threadId"].as_u64().unwrap_or(0);
        let stages = self.stepper.stages();
        let site = stages
            .into_iter()
            .find(|site| answers::thread(site.stage().index) as u64 == wanted);
        let Some(site) = site else {
            return json!({ "stackFrames": [], "totalFrames": 0 });
        };
        let mut frames = self.flow.frames();
        let mut shown = Vec::new();
        for depth in 0..=site.callers().len() {
            let frame = Frame {
                site: Arc::clone(&site),
                depth,
            };
            frames.push(frame.clone());
            let reference = |text: &str| self.reference(text);
            shown.push(answers::frame(
                &frame,
                frames.len(),
                &self.path,
                one,
                reference,
            ));
        }
        let all = shown.len();
        let count = |name: &str| {
            arguments[name]
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
        };
        let levels = count("levels").filter(|&levels| levels > 0).unwrap_or(all);
        let first = count("startFrame").unwrap_or(0);
        let shown: Vec<Value> = shown.into_iter().skip(first).take(levels).collect();
        json!({ "stackFrames": shown, "totalFrames": all })
    }

    /// The number of a text that is in no file.
    pub(super) fn reference(&self, text: &str) -> usize {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let at = sources.iter().position(|known| known == text);
        let at = at.unwrap_or_else(|| {
            sources.push(text.to_owned());
            sources.len() - 1
        });
        at + 1
    }

    pub(super) fn source(&self, arguments: &Value) -> Answer {
        let number = arguments["sourceReference"]
            .as_u64()
            .or_else(|| arguments["source"]["sourceReference"].as_u64());
        let content = match number.filter(|number| *number > 0) {
            Some(number) => {
                let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
                let at = usize::try_from(number - 1).unwrap_or(usize::MAX);
                sources.get(at).cloned().ok_or("there is no such source")?
            }
            None if self.is_the_file(arguments) => {
                let catalog = self.stepper.catalog().ok_or("there is no Dockerfile yet")?;
                catalog.source.text().to_owned()
            }
            None => return Err("there is no such source".into()),
        };
        Ok(json!({ "content": content, "mimeType": "text/x-dockerfile" }))
    }

    pub(super) fn frame(&self, arguments: &Value) -> Result<Frame, String> {
        let number = arguments["frameId"].as_u64().unwrap_or(0);
        let at = usize::try_from(number)
            .ok()
            .and_then(|at| at.checked_sub(1));
        let frames = self.flow.frames();
        let found = at.and_then(|at| frames.get(at)).cloned();
        found.ok_or_else(|| "the frame belongs to a stop that is over".into())
    }

    pub(super) fn exception(&self) -> Answer {
        let stop = self.flow.stop();
        let stop = stop.as_ref().ok_or("the build is running")?;
        Ok(match stop.site.failure() {
            Some(failure) => json!({
                "exceptionId": "failure",
                "description": failure.message,
                "breakMode": "always",
                "details": { "message": plain(failure) },
            }),
            None => json!({
                "exceptionId": "cacheMiss",
                "description": stop.site.line().expanded,
                "breakMode": "always",
            }),
        })
    }
}
