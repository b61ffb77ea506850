//! Plays events to renderers in tests.

use std::time::Duration;

use super::{Event, Render, StepId, StepOutcome, StreamKind};

/// Events with the milliseconds at which they come.
#[derive(Default)]
pub(super) struct Script(Vec<(u64, Option<Event>)>);

impl Script {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn at(mut self, ms: u64, event: Event) -> Self {
        self.0.push((ms, Some(event)));
        self
    }

    pub(super) fn tick(mut self, ms: u64) -> Self {
        self.0.push((ms, None));
        self
    }

    pub(super) fn play(self, render: &mut dyn Render) {
        let mut last = Duration::ZERO;
        for (ms, event) in self.0 {
            last = Duration::from_millis(ms);
            match event {
                Some(event) => render.event(last, &event).unwrap(),
                None => render.tick(last).unwrap(),
            }
        }
        render.finish(last).unwrap();
    }
}

pub(super) fn note(text: &str) -> Event {
    Event::Note(text.into())
}

pub(super) fn warning(text: &str) -> Event {
    Event::Warning(text.into())
}

pub(super) fn started(step: StepId, name: &str) -> Event {
    Event::Started {
        step,
        name: name.into(),
    }
}

pub(super) fn output(step: StepId, bytes: &[u8]) -> Event {
    Event::Output {
        step,
        stream: StreamKind::Stdout,
        bytes: bytes.to_vec().into(),
    }
}

pub(super) fn progress(step: StepId, part: &str, status: &str, done: u64, total: u64) -> Event {
    Event::Progress {
        step,
        part: part.into(),
        status: status.into(),
        done,
        total,
    }
}

pub(super) fn stopped(step: StepId, outcome: StepOutcome, ms: u64) -> Event {
    Event::Finished {
        step,
        outcome,
        took: Duration::from_millis(ms),
    }
}

pub(super) fn failed(step: StepId, why: &str, ms: u64) -> Event {
    stopped(step, StepOutcome::Failed(why.into()), ms)
}
