//! The parts of answers that are data: capabilities, places in the Dockerfile, threads.

use std::path::Path;

use serde_json::{Value, json};

use super::values::Frame;
use crate::debug::inspect::Inspector;
use crate::debug::stepper::{Reason, Stepper, Stop};

/// What this adapter can do, and nothing else.
pub(super) fn capabilities() -> Value {
    json!({
        "supportsConfigurationDoneRequest": true,
        "supportsFunctionBreakpoints": true,
        "supportsConditionalBreakpoints": true,
        "supportsHitConditionalBreakpoints": true,
        "supportsLogPoints": true,
        "supportsBreakpointLocationsRequest": true,
        "supportsEvaluateForHovers": true,
        "supportsStepBack": true,
        "supportsRestartFrame": true,
        "supportsRestartRequest": true,
        "supportsCompletionsRequest": true,
        "supportsExceptionInfoRequest": true,
        "supportsLoadedSourcesRequest": true,
        "supportsTerminateRequest": true,
        "supportTerminateDebuggee": true,
        "supportsDelayedStackTraceLoading": true,
        "supportsClipboardContext": true,
        "exceptionBreakpointFilters": [
            {
                "filter": "failure",
                "label": "Failed instructions",
                "description": "Stops where RUN, COPY or ADD fails, with the files as they are",
                "default": true,
            },
            {
                "filter": "cacheMiss",
                "label": "Cache misses",
                "description": "Stops before an instruction that the cache does not have",
                "default": false,
            },
        ],
    })
}

/// The number of a stage's thread.
pub(super) fn thread(stage: usize) -> usize {
    stage + 1
}

pub(super) fn source(path: &Path) -> Value {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    json!({ "name": name, "path": path.to_string_lossy() })
}

/// The stages that are there, as threads.
pub(super) fn threads(stepper: &Stepper) -> Value {
    let stages = stepper.stages();
    let mut threads: Vec<Value> = stages
        .iter()
        .map(|site| {
            let stage = site.stage().index;
            json!({ "id": thread(stage), "name": Inspector::stage_name(site, stage) })
        })
        .collect();
    if threads.is_empty() {
        threads.push(json!({ "id": 1, "name": "build" }));
    }
    json!({ "threads": threads })
}

/// A `stopped` event's body.
pub(super) fn stopped(stop: &Stop) -> Value {
    let reason = match stop.reason {
        Reason::Entry => "entry",
        Reason::Step => "step",
        Reason::Pause => "pause",
        Reason::Reached => "goto",
        Reason::Breakpoint(_) => "breakpoint",
        Reason::CacheMiss | Reason::Failure => "exception",
    };
    let mut body = json!({
        "reason": reason,
        "threadId": thread(stop.site.stage().index),
        "allThreadsStopped": true,
    });
    match (&stop.reason, stop.site.failure()) {
        (Reason::Breakpoint(id), _) => body["hitBreakpointIds"] = json!([id]),
        (Reason::CacheMiss, _) => {
            body["description"] = "Cache miss".into();
            body["text"] = stop.site.line().expanded.clone().into();
        }
        (_, Some(failure)) => {
            body["description"] = "Instruction failed".into();
            body["text"] = failure.message.clone().into();
        }
        _ => {}
    }
    body
}

/// A frame as a stack shows it. Triggers of a base image have a source of their own, whose number
/// is given by `reference`.
pub(super) fn frame(
    frame: &Frame,
    id: usize,
    path: &Path,
    one: usize,
    reference: impl FnOnce(&str) -> usize,
) -> Value {
    let line = frame.line();
    let (first, last) = line.source.lines(line.span);
    let name = Inspector::stage_name(&frame.site, frame.stage());
    let source = if line.on_build && line.source.name() != source_name(path) {
        let name = line.source.name();
        json!({ "name": name, "sourceReference": reference(line.source.text()) })
    } else {
        source(path)
    };
    json!({
        "id": id,
        "name": format!("{name}: {}", line.expanded.lines().next().unwrap_or_default()),
        "source": source,
        "line": first - 1 + one,
        "column": one,
        "endLine": last - 1 + one,
        "canRestart": frame.depth == 0,
    })
}

fn source_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
