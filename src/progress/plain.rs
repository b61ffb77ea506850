//! Lines for logs and pipes, in the form BuildKit made known:
//!
//! ```text
//! #4 [builder 2/5] RUN make
//! #4 0.213 cc -c a.c
//! #4 DONE 1.2s
//! ```
//!
//! One step speaks at a time. What others say meanwhile waits until that step ends, has been
//! silent for a while, or has made others wait for long. A step that ends is shown at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use super::step::Step;
use super::{Event, LintWarning, Render, StepId, StepOutcome, text};

/// A step that has been silent for so long gives way.
const SILENCE: Duration = Duration::from_secs(1);

/// A step that others have waited for so long gives way.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a part that takes long is shown before it is done.
const PART_EVERY: Duration = Duration::from_secs(5);

/// The renderer of `--progress=plain`.
pub struct Plain<W> {
    out: W,
    color: bool,
    /// What the next write will write.
    text: String,
    steps: BTreeMap<StepId, State>,
    current: Option<StepId>,
    last_output: Duration,
    /// Whether a blank line is due before the next block.
    separate: bool,
    failed: String,
    warnings: Vec<String>,
    lint: Vec<Arc<LintWarning>>,
}

struct State {
    step: Step,
    named: bool,
    /// Lines that have not been shown yet, and since when the first of them waits.
    waiting: Vec<String>,
    waiting_since: Duration,
    parts: Vec<Part>,
}

struct Part {
    label: String,
    done: u64,
    total: u64,
    started: Duration,
    shown: Duration,
    over: bool,
}

impl<W: Write + Send> Plain<W> {
    /// With `color`, the colours in the output of steps are kept.
    pub fn new(out: W, color: bool) -> Self {
        Self {
            out,
            color,
            text: String::new(),
            steps: BTreeMap::new(),
            current: None,
            last_output: Duration::ZERO,
            separate: false,
            failed: String::new(),
            warnings: Vec::new(),
            lint: Vec::new(),
        }
    }

    /// Lines about the whole build.
    fn block(&mut self, lines: &str) {
        self.leave_current();
        self.begin_block();
        for line in lines.lines() {
            self.text += &text::one_line(line);
            self.text.push('\n');
        }
    }

    fn begin_block(&mut self) {
        if self.separate {
            self.text.push('\n');
        }
        self.separate = true;
    }

    /// The step that speaks is interrupted, which its next lines show by its name.
    fn leave_current(&mut self) {
        if let Some(id) = self.current.take() {
            let _ = writeln!(self.text, "#{id} ...");
            if let Some(state) = self.steps.get_mut(&id) {
                state.named = false;
            }
        }
    }

    /// Shows what a step has to say, and makes it the one that speaks.
    fn speak(&mut self, at: Duration, id: StepId) {
        if self.current != Some(id) {
            self.leave_current();
        }
        let Some(state) = self.steps.get_mut(&id) else {
            return;
        };
        let lines = std::mem::take(&mut state.waiting);
        let name = (!state.named).then(|| state.step.name.clone());
        state.named = true;
        if let Some(name) = name {
            self.begin_block();
            let _ = writeln!(self.text, "#{id} {name}");
        }
        for line in lines {
            let _ = writeln!(self.text, "#{id} {line}");
        }
        self.current = Some(id);
        self.last_output = at;
    }

    /// Gives the word to the step that may have it now.
    fn schedule(&mut self, at: Duration) {
        let waits = |(id, state): (&StepId, &State)| {
            (!state.waiting.is_empty() || !state.named).then_some((state.waiting_since, *id))
        };
        let longest = self
            .steps
            .iter()
            .filter(|(id, _)| Some(**id) != self.current)
            .filter_map(waits)
            .min();
        if let Some(current) = self.current {
            if self
                .steps
                .get(&current)
                .is_some_and(|s| !s.waiting.is_empty())
            {
                self.speak(at, current);
            }
            let Some((since, next)) = longest else {
                return;
            };
            let silent = at.saturating_sub(self.last_output) >= SILENCE;
            if silent || at.saturating_sub(since) >= PATIENCE {
                self.speak(at, next);
            }
        } else if let Some((_, next)) = longest {
            self.speak(at, next);
        }
    }

    fn started(&mut self, at: Duration, id: StepId, name: &str) {
        let state = State {
            step: Step::new(name, at),
            named: false,
            waiting: Vec::new(),
            waiting_since: at,
            parts: Vec::new(),
        };
        self.steps.insert(id, state);
    }

    fn finished(&mut self, at: Duration, id: StepId, outcome: &StepOutcome, took: Duration) {
        let Some(mut state) = self.steps.remove(&id) else {
            return;
        };
        let mut last = Vec::new();
        let since = at.saturating_sub(state.step.started);
        state.step.finish(at, self.color, |line| {
            last.push(format!("{} {line}", text::stamp(since)));
        });
        if *outcome == StepOutcome::Done {
            last.extend(state.parts.iter_mut().filter_map(|part| part.end(at)));
        }
        last.push(match outcome {
            StepOutcome::Done => format!("DONE {}", text::seconds(took)),
            StepOutcome::Cached => "CACHED".to_owned(),
            StepOutcome::Failed(why) => format!("ERROR: {}", text::one_line(why)),
            StepOutcome::Cancelled => "CANCELED".to_owned(),
        });
        state.waiting.append(&mut last);
        if matches!(outcome, StepOutcome::Failed(_)) {
            self.failed += &state.step.tail();
        }
        self.steps.insert(id, state);
        self.speak(at, id);
        self.steps.remove(&id);
        self.current = None;
    }

    fn write(&mut self) -> io::Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl State {
    fn say(&mut self, at: Duration, line: String) {
        if self.waiting.is_empty() && self.named {
            self.waiting_since = at;
        }
        self.waiting.push(line);
    }

    /// Shows a part when it begins to take long and when it is done.
    fn progress(&mut self, at: Duration, label: &str, done: u64, total: u64) {
        let part = if let Some(known) = self.parts.iter_mut().find(|p| p.label == label) {
            known
        } else {
            self.parts.push(Part {
                label: label.to_owned(),
                done,
                total,
                started: at,
                shown: at,
                over: false,
            });
            let last = self.parts.len() - 1;
            &mut self.parts[last]
        };
        (part.done, part.total) = (done, total);
        let line = if total > 0 && done >= total {
            part.end(at)
        } else if !part.over && at.saturating_sub(part.shown) >= PART_EVERY {
            part.shown = at;
            Some(part.line(at))
        } else {
            None
        };
        if let Some(line) = line {
            self.say(at, line);
        }
    }
}

impl Part {
    fn line(&self, at: Duration) -> String {
        let mut line = self.label.clone();
        for more in [
            text::amount(self.done, self.total),
            text::seconds(at.saturating_sub(self.started)),
        ] {
            if !more.is_empty() {
                line.push(' ');
                line += &more;
            }
        }
        line
    }

    /// The line that says that it is done, once.
    fn end(&mut self, at: Duration) -> Option<String> {
        (!std::mem::replace(&mut self.over, true)).then(|| self.line(at) + " done")
    }
}

impl<W: Write + Send> Render for Plain<W> {
    fn event(&mut self, at: Duration, event: &Event) -> io::Result<()> {
        match event {
            Event::Note(note) => self.block(note),
            Event::Warning(warning) => {
                self.block(&format!("WARN: {warning}"));
                self.warnings.push(warning.clone());
            }
            Event::Lint(warning) => {
                self.block(&format!("WARN: {}", warning.short));
                self.lint.push(Arc::clone(warning));
            }
            Event::Started { step, name } => self.started(at, *step, name),
            Event::Output {
                step,
                stream,
                bytes,
            } => {
                if let Some(state) = self.steps.get_mut(step) {
                    let mut lines = Vec::new();
                    let since = text::stamp(at.saturating_sub(state.step.started));
                    state.step.output(at, (*stream, bytes), self.color, |line| {
                        lines.push(format!("{since} {line}"));
                    });
                    for line in lines {
                        state.say(at, line);
                    }
                }
            }
            Event::Progress {
                step,
                part,
                status,
                done,
                total,
            } => {
                if let Some(state) = self.steps.get_mut(step) {
                    state.progress(at, &text::label(status, part), *done, *total);
                }
            }
            Event::Finished {
                step,
                outcome,
                took,
            } => self.finished(at, *step, outcome, *took),
            Event::Built { image, tags, took } => {
                let names: String = tags.iter().map(|tag| format!("\nnamed {tag}")).collect();
                let took = text::seconds(*took);
                self.block(&format!("built {image} in {took}{names}"));
            }
        }
        self.schedule(at);
        self.write()
    }

    fn tick(&mut self, at: Duration) -> io::Result<()> {
        self.schedule(at);
        self.write()
    }

    fn finish(&mut self, _at: Duration) -> io::Result<()> {
        let failed = std::mem::take(&mut self.failed);
        self.text += &failed;
        let warnings = std::mem::take(&mut self.warnings);
        if !warnings.is_empty() {
            self.block(&super::repeat_warnings(&warnings));
        }
        let lint = std::mem::take(&mut self.lint);
        if !lint.is_empty() {
            self.block(&super::lint_summary(&lint, false));
        }
        self.write()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        Script, failed, note, output, progress, started, stopped, warning,
    };
    use super::*;
    use crate::progress::StreamKind::Stderr;

    fn shown(color: bool, script: Script) -> String {
        let mut out = Vec::new();
        script.play(&mut Plain::new(&mut out, color));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_build_of_three_steps() {
        let text = shown(
            false,
            Script::new()
                .at(0, note("RUN joins the network of pod `shop/build-7`"))
                .at(
                    10,
                    started(1, "[internal] load build definition from Dockerfile"),
                )
                .at(20, stopped(1, StepOutcome::Done, 10))
                .at(
                    20,
                    started(2, "[1/3] FROM docker.io/library/busybox:latest"),
                )
                .at(
                    30,
                    progress(2, "3153aa388d02", "downloading", 1_000_000, 12_345_678),
                )
                .at(
                    40,
                    progress(2, "3153aa388d02", "downloading", 2_000_000, 12_345_678),
                )
                .at(
                    5_040,
                    progress(2, "3153aa388d02", "downloading", 9_000_000, 12_345_678),
                )
                .at(
                    6_000,
                    progress(2, "3153aa388d02", "downloading", 12_345_678, 12_345_678),
                )
                .at(6_000, progress(2, "3153aa388d02", "extracting", 0, 0))
                .at(7_000, stopped(2, StepOutcome::Done, 6_980))
                .at(7_000, started(3, "[2/3] WORKDIR /src"))
                .at(7_000, stopped(3, StepOutcome::Cached, 0))
                .at(7_000, started(4, "[3/3] RUN make\nmore"))
                .at(7_213, output(4, b"cc -c a.c\ncc -"))
                .at(19_500, output(4, b"c b.c\r\n"))
                .at(
                    19_600,
                    Event::Output {
                        step: 4,
                        stream: Stderr,
                        bytes: b"no newline".as_slice().into(),
                    },
                )
                .at(20_000, stopped(4, StepOutcome::Done, 13_000))
                .at(
                    20_100,
                    Event::Built {
                        image: "sha256:5996".into(),
                        tags: vec!["app:1".into(), "app:latest".into()],
                        took: Duration::from_millis(20_100),
                    },
                ),
        );
        assert_eq!(
            text,
            "\
RUN joins the network of pod `shop/build-7`

#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s

#2 [1/3] FROM docker.io/library/busybox:latest
#2 downloading 3153aa388d02 9.00MB / 12.35MB 5.0s
#2 downloading 3153aa388d02 12.35MB / 12.35MB 6.0s done
#2 extracting 3153aa388d02 1.0s done
#2 DONE 7.0s

#3 [2/3] WORKDIR /src
#3 CACHED

#4 [3/3] RUN make more
#4 0.213 cc -c a.c
#4 12.50 cc -c b.c
#4 13.00 no newline
#4 DONE 13.0s

built sha256:5996 in 20.1s
named app:1
named app:latest
"
        );
    }

    #[test]
    fn one_step_speaks_at_a_time() {
        let text = shown(
            false,
            Script::new()
                .at(0, started(1, "[a 1/2] RUN one"))
                .at(10, started(2, "[b 1/2] RUN two"))
                .at(100, output(1, b"one 1\n"))
                .at(200, output(2, b"two 1\n"))
                .at(300, output(1, b"one 2\n"))
                .at(400, started(3, "[c 1/1] RUN three"))
                .at(500, stopped(3, StepOutcome::Cancelled, 100))
                .at(600, output(1, b"one 3\n"))
                .tick(1_600)
                .at(5_100, output(2, b"two 2\n"))
                .at(5_200, output(1, b"one 4\n"))
                .at(6_000, stopped(2, StepOutcome::Done, 5_990))
                .at(6_100, stopped(1, StepOutcome::Done, 6_100)),
        );
        assert_eq!(
            text,
            "\
#1 [a 1/2] RUN one
#1 0.100 one 1
#1 0.300 one 2
#1 ...

#3 [c 1/1] RUN three
#3 CANCELED

#2 [b 1/2] RUN two
#2 0.190 two 1
#2 ...

#1 [a 1/2] RUN one
#1 0.600 one 3
#1 ...

#2 [b 1/2] RUN two
#2 5.090 two 2
#2 DONE 6.0s

#1 [a 1/2] RUN one
#1 5.200 one 4
#1 DONE 6.1s
"
        );
    }

    #[test]
    fn a_failure_repeats_its_last_output_and_all_warnings() {
        let mut script = Script::new()
            .at(
                0,
                warning("Dockerfile:1: stage names should be lowercase\n  FROM a AS B"),
            )
            .at(0, started(1, "[2/2] RUN false"));
        for n in 1..=25 {
            script = script.at(n * 10, output(1, format!("line {n}\n").as_bytes()));
        }
        let text = shown(
            false,
            script.at(300, failed(1, "`/bin/sh -c false` exited with 1", 300)),
        );
        let lines = |range: std::ops::RangeInclusive<u64>, prefix: &str| -> String {
            range
                .map(|n| format!("{prefix}0.{n:02}0 line {n}\n"))
                .collect()
        };
        assert_eq!(
            text,
            format!(
                "\
WARN: Dockerfile:1: stage names should be lowercase
  FROM a AS B

#1 [2/2] RUN false
{}#1 ERROR: `/bin/sh -c false` exited with 1
------
 > [2/2] RUN false:
{}------

1 warning:
Dockerfile:1: stage names should be lowercase
  FROM a AS B
",
                lines(1..=25, "#1 "),
                lines(6..=25, "")
            )
        );
    }

    #[test]
    fn lines_are_bounded_and_have_no_carriage_return() {
        let raw = [vec![0xff; 200_000], b"\x1b[31m10%\r20%\n".to_vec()].concat();
        let text = shown(
            true,
            Script::new()
                .at(0, started(1, &"name ".repeat(30_000)))
                .at(0, output(1, &raw))
                .at(0, failed(1, &"why ".repeat(30_000), 0)),
        );
        assert!(text.lines().all(|line| line.len() < text::MAX_LINE));
        assert!(!text.contains('\r'));
        assert!(text.contains("0.000 20%\n"));
    }

    #[test]
    fn a_closed_pipe_is_an_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = Plain::new(Closed, false).event(Duration::ZERO, &note("x"));
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
