//! What renderers keep of a running step: its name, its unfinished lines, its last output.

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::Duration;

use super::StreamKind;
use super::text::{self, Joiner};

/// How many lines of a failed step are repeated after the build.
const TAIL: usize = 20;

/// A step as a display sees it.
#[derive(Debug)]
pub(super) struct Step {
    /// On one line.
    pub(super) name: String,
    pub(super) started: Duration,
    joiners: [Joiner; 2],
    tail: VecDeque<String>,
}

impl Step {
    pub(super) fn new(name: &str, at: Duration) -> Self {
        Self {
            name: text::one_line(name),
            started: at,
            joiners: Default::default(),
            tail: VecDeque::new(),
        }
    }

    /// Takes output of the step and gives the lines it completes, cleaned.
    pub(super) fn output(
        &mut self,
        at: Duration,
        (stream, bytes): (StreamKind, &[u8]),
        color: bool,
        mut line: impl FnMut(&str),
    ) {
        let joiner = match stream {
            StreamKind::Stdout => &mut self.joiners[0],
            StreamKind::Stderr => &mut self.joiners[1],
        };
        let (started, tail) = (self.started, &mut self.tail);
        joiner.push(bytes, text::MAX_RAW, |raw, _| {
            let text = text::clean(raw, color);
            keep(tail, at.saturating_sub(started), &text);
            line(&text);
        });
    }

    /// Gives the last lines, those without a newline.
    pub(super) fn finish(&mut self, at: Duration, color: bool, mut line: impl FnMut(&str)) {
        for joiner in &mut self.joiners {
            joiner.finish(|raw, _| {
                let text = text::clean(raw, color);
                keep(&mut self.tail, at.saturating_sub(self.started), &text);
                line(&text);
            });
        }
    }

    /// The block that repeats the last output, between two rules as BuildKit has it. Nothing
    /// when there was none.
    pub(super) fn tail(&self) -> String {
        if self.tail.is_empty() {
            return String::new();
        }
        let mut block = format!("------\n > {}:\n", self.name);
        for line in &self.tail {
            // Writing to a string does not fail.
            let _ = writeln!(block, "{line}");
        }
        block.push_str("------\n");
        block
    }
}

fn keep(tail: &mut VecDeque<String>, since: Duration, line: &str) {
    if tail.len() == TAIL {
        tail.pop_front();
    }
    tail.push_back(format!("{} {line}", text::stamp(since)));
}
