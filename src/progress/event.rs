//! The events of a build.

use std::sync::Arc;
use std::time::Duration;

/// The number of a step in the progress display: `#1`, `#2`, … in the order of their start.
pub type StepId = u32;

/// Which output stream of a step a piece of text came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamKind {
    Stdout,
    Stderr,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    Done,
    /// Found in the cache, nothing was run.
    Cached,
    /// In short; the diagnostic that ends the build says it in full.
    Failed(String),
    /// Stopped because something else failed or the build was cancelled.
    Cancelled,
}

/// What the linter found, as BuildKit tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintWarning {
    /// `RULE: message (line 3)`
    pub short: String,
    /// What the rule is about.
    pub detail: String,
    /// Where it is explained; may be empty.
    pub url: String,
    /// The Dockerfile.
    pub file: String,
    pub text: Arc<str>,
    /// First and last line.
    pub lines: (usize, usize),
    /// The lines around it, where details are asked for.
    pub excerpt: Option<String>,
}

/// Something that happened in a build.
#[derive(Debug, Clone)]
pub enum Event {
    /// One line about the whole build, such as the network that RUN steps join.
    Note(String),
    /// A warning, already rendered without colour; shown again after the build.
    Warning(String),
    /// A rule of the linter is broken; shown again after the build.
    Lint(Arc<LintWarning>),
    /// A step begins: `[builder 2/5] RUN make`, `[internal] load .dockerignore`.
    Started { step: StepId, name: Arc<str> },
    /// Output of a step's container, in the pieces in which it came.
    Output {
        step: StepId,
        stream: StreamKind,
        bytes: bytes::Bytes,
    },
    /// A part of a step that takes time: a layer of a pull, hashing, an upload.
    /// `total` of 0 means unknown. The part is over when `done` equals `total` or the step ends.
    Progress {
        step: StepId,
        part: Arc<str>,
        status: Arc<str>,
        done: u64,
        total: u64,
    },
    Finished {
        step: StepId,
        outcome: StepOutcome,
        took: Duration,
    },
    /// The build succeeded: the image's ID and names.
    Built {
        image: String,
        tags: Vec<String>,
        took: Duration,
    },
}

/// Where events go. Called from many tasks at once; must not block for long.
pub trait Sink: Send + Sync {
    fn emit(&self, event: Event);

    /// Returns when what was emitted before has been shown.
    fn flush(&self) {}
}

/// Drops every event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Null;

impl Sink for Null {
    fn emit(&self, _event: Event) {}
}

/// Gives every event to each of several sinks, in order.
pub struct Tee(pub Vec<Arc<dyn Sink>>);

impl Sink for Tee {
    fn emit(&self, event: Event) {
        if let Some((last, others)) = self.0.split_last() {
            for sink in others {
                sink.emit(event.clone());
            }
            last.emit(event);
        }
    }

    fn flush(&self) {
        self.0.iter().for_each(|sink| sink.flush());
    }
}
