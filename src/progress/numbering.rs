//! A step as the progress display sees it: started, then finished in one way or another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Event, Sink, StepId, StepOutcome, StreamKind};

/// Numbers the steps of a build.
pub struct Numbering {
    sink: Arc<dyn Sink>,
    last: AtomicU32,
}

impl Numbering {
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        Self {
            sink,
            last: AtomicU32::new(0),
        }
    }

    /// Starts a step.
    pub fn start(&self, name: &str) -> Running {
        let step = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.sink.emit(Event::Started {
            step,
            name: name.into(),
        });
        Running {
            sink: Arc::clone(&self.sink),
            step,
            since: Instant::now(),
            over: false,
        }
    }

    /// A step that was found in the cache.
    pub fn cached(&self, name: &str) {
        self.start(name).finish(StepOutcome::Cached);
    }

    pub fn warning(&self, text: String) {
        self.sink.emit(Event::Warning(text));
    }

    pub fn note(&self, text: String) {
        self.sink.emit(Event::Note(text));
    }
}

/// A running step. Dropped in the middle, it counts as cancelled.
pub struct Running {
    sink: Arc<dyn Sink>,
    step: StepId,
    since: Instant,
    over: bool,
}

impl Running {
    pub fn output(&self, stream: StreamKind, bytes: Bytes) {
        self.sink.emit(Event::Output {
            step: self.step,
            stream,
            bytes,
        });
    }

    pub fn part(&self, part: &str, status: &str, done: u64, total: u64) {
        let (part, status) = (part.into(), status.into());
        self.sink.emit(Event::Progress {
            step: self.step,
            part,
            status,
            done,
            total,
        });
    }

    pub fn took(&self) -> Duration {
        self.since.elapsed()
    }

    pub fn finish(mut self, outcome: StepOutcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: StepOutcome) {
        self.over = true;
        let took = self.took();
        self.sink.emit(Event::Finished {
            step: self.step,
            outcome,
            took,
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            self.end(StepOutcome::Cancelled);
        }
    }
}
