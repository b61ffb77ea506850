//! The file that keeps everything a build said, whole: what a display shortens, cleans or shows
//! only for a moment is found here.
//!
//! Every line begins with a time and, inside a step, its number and a mark: `|` for standard
//! output, `!` for standard error, nothing for what bowline says of the step. Output bytes stand
//! as they came. A line that does not end for [`MAX_LINE`] bytes continues on the next, whose
//! mark is doubled.
//!
//! ```text
//! 2026-01-02T03:04:05.213Z #4 [builder 2/5] RUN make
//! 2026-01-02T03:04:05.500Z #4 | cc -c a.c
//! 2026-01-02T03:04:06.413Z #4 DONE 1.2s
//! ```

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use jiff::{Timestamp, TimestampRound, Unit};

use super::text::{self, Joiner};
use super::{Event, Render, StepId, StepOutcome, StreamKind};

/// The longest piece of a line that is kept in memory.
const MAX_LINE: usize = 1 << 20;

/// The renderer of the log file.
pub struct Log<W> {
    out: W,
    start: Timestamp,
    streams: HashMap<(StepId, StreamKind), Stream>,
}

#[derive(Default)]
struct Stream {
    joiner: Joiner,
    /// Whether the line before was cut.
    inside: bool,
}

impl<W: Write + Send> Log<W> {
    /// `start` is the wall-clock time from which events are counted.
    pub fn new(out: W, start: Timestamp) -> Self {
        Self {
            out,
            start,
            streams: HashMap::new(),
        }
    }

    fn time(&self, at: Duration) -> String {
        let round = TimestampRound::new().smallest(Unit::Millisecond);
        let time = self.start.checked_add(at).unwrap_or(self.start);
        format!("{:.3}", time.round(round).unwrap_or(time))
    }

    fn lines(&mut self, at: Duration, step: Option<StepId>, text: &str) -> io::Result<()> {
        let time = self.time(at);
        let number = step.map(|id| format!("#{id} ")).unwrap_or_default();
        for line in text.lines() {
            writeln!(self.out, "{time} {number}{line}")?;
        }
        Ok(())
    }

    fn output(
        &mut self,
        at: Duration,
        id: StepId,
        kind: StreamKind,
        bytes: Option<&[u8]>,
    ) -> io::Result<()> {
        let time = self.time(at);
        let stream = self.streams.entry((id, kind)).or_default();
        let mark = match kind {
            StreamKind::Stdout => "|",
            StreamKind::Stderr => "!",
        };
        let (out, inside) = (&mut self.out, &mut stream.inside);
        let mut result = Ok(());
        let line = |line: &[u8], whole: bool| {
            if result.is_ok() {
                let again = if *inside { mark } else { "" };
                let head = format!("{time} #{id} {mark}{again} ");
                *inside = !whole;
                result = out.write_all(&[head.as_bytes(), line, b"\n"].concat());
            }
        };
        match bytes {
            Some(bytes) => stream.joiner.push(bytes, MAX_LINE, line),
            None => stream.joiner.finish(line),
        }
        result
    }

    fn finished(
        &mut self,
        at: Duration,
        id: StepId,
        outcome: &StepOutcome,
        took: Duration,
    ) -> io::Result<()> {
        for kind in [StreamKind::Stdout, StreamKind::Stderr] {
            self.output(at, id, kind, None)?;
            self.streams.remove(&(id, kind));
        }
        let end = match outcome {
            StepOutcome::Done => format!("DONE {}", text::seconds(took)),
            StepOutcome::Cached => "CACHED".to_owned(),
            StepOutcome::Failed(why) => format!("ERROR: {why}"),
            StepOutcome::Cancelled => "CANCELED".to_owned(),
        };
        self.lines(at, Some(id), &end)
    }
}

impl<W: Write + Send> Render for Log<W> {
    fn event(&mut self, at: Duration, event: &Event) -> io::Result<()> {
        match event {
            Event::Note(note) => self.lines(at, None, note)?,
            Event::Lint(warning) => {
                self.lines(at, None, &format!("WARN: {}", warning.short))?;
            }
            Event::Warning(warning) => self.lines(at, None, &format!("WARN: {warning}"))?,
            Event::Started { step, name } => self.lines(at, Some(*step), name)?,
            Event::Output {
                step,
                stream,
                bytes,
            } => self.output(at, *step, *stream, Some(bytes))?,
            Event::Progress {
                step,
                part,
                status,
                done,
                total,
            } => {
                // The ways to an end are many and say nothing afterwards.
                if *total > 0 && done >= total {
                    let label = text::label(status, part);
                    let line = format!("{label} {} done", text::size(*done));
                    self.lines(at, Some(*step), &line)?;
                }
            }
            Event::Finished {
                step,
                outcome,
                took,
            } => self.finished(at, *step, outcome, *took)?,
            Event::Built { image, tags, took } => {
                let names: String = tags.iter().map(|tag| format!("\nnamed {tag}")).collect();
                let took = text::seconds(*took);
                self.lines(at, None, &format!("built {image} in {took}{names}"))?;
            }
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Script, failed, note, output, progress, started, warning};
    use super::*;

    fn kept(script: Script) -> Vec<u8> {
        let mut out = Vec::new();
        let start = "2026-01-02T03:04:05.0009Z".parse().unwrap();
        script.play(&mut Log::new(&mut out, start));
        out
    }

    #[test]
    fn keeps_everything() {
        let log = kept(
            Script::new()
                .at(0, note("network: default"))
                .at(1, warning("one\ntwo"))
                .at(100, started(1, "[2/2] RUN <<EOF\nmake\nEOF"))
                .at(200, progress(1, "x", "loading", 5, 10))
                .at(201, progress(1, "x", "loading", 10, 10))
                .at(213, output(1, b"a\r\xff\x1b[31m"))
                .at(
                    214,
                    Event::Output {
                        step: 1,
                        stream: StreamKind::Stderr,
                        bytes: b"err\n".as_slice().into(),
                    },
                )
                .at(215, output(1, b"b\nc"))
                .at(300, failed(1, "exit code: 1", 200)),
        );
        assert_eq!(
            log,
            b"2026-01-02T03:04:05.001Z network: default\n\
              2026-01-02T03:04:05.002Z WARN: one\n\
              2026-01-02T03:04:05.002Z two\n\
              2026-01-02T03:04:05.101Z #1 [2/2] RUN <<EOF\n\
              2026-01-02T03:04:05.101Z #1 make\n\
              2026-01-02T03:04:05.101Z #1 EOF\n\
              2026-01-02T03:04:05.202Z #1 loading x 10B done\n\
              2026-01-02T03:04:05.215Z #1 ! err\n\
              2026-01-02T03:04:05.216Z #1 | a\r\xff\x1b[31mb\n\
              2026-01-02T03:04:05.301Z #1 | c\n\
              2026-01-02T03:04:05.301Z #1 ERROR: exit code: 1\n"
        );
    }

    #[test]
    fn a_line_without_end_continues() {
        let log = kept(
            Script::new()
                .at(0, started(1, "s"))
                .at(0, output(1, &[b'x'; MAX_LINE]))
                .at(0, output(1, b"yz\nnext\n")),
        );
        let text = String::from_utf8(log).unwrap();
        let ends: Vec<&str> = text.lines().map(|l| &l[l.len().min(28)..]).collect();
        let first = format!("| {}", "x".repeat(MAX_LINE));
        assert_eq!(ends, ["s", &first, "|| yz", "| next"]);
    }
}
