//! Where the wall time of a build went: each moment is shared by the steps that ran in it, and
//! what no step took is told by when it was.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use super::{Event, Render, StepId, text};

/// The renderer of `--timing`: silent until the end.
pub struct Timing<W> {
    out: W,
    running: BTreeMap<StepId, Step>,
    rows: Vec<Row>,
    /// Everything before this is accounted for.
    until: Duration,
    before: Duration,
    between: Duration,
    /// Since the last step ended.
    after: Duration,
}

struct Step {
    name: String,
    began: Duration,
    share: Duration,
}

#[derive(Debug, PartialEq)]
struct Row {
    name: String,
    share: Duration,
    took: Duration,
}

impl<W: Write + Send> Timing<W> {
    pub fn new(out: W) -> Self {
        Self {
            out,
            running: BTreeMap::new(),
            rows: Vec::new(),
            until: Duration::ZERO,
            before: Duration::ZERO,
            between: Duration::ZERO,
            after: Duration::ZERO,
        }
    }

    /// Gives the time since the last event to those whose time it was.
    fn pass(&mut self, at: Duration) {
        let passed = at.saturating_sub(self.until);
        self.until = at;
        let count = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        if count > 0 {
            for step in self.running.values_mut() {
                step.share += passed / count;
            }
        } else if self.rows.is_empty() {
            self.before += passed;
        } else {
            self.after += passed;
        }
    }

    fn end(&mut self, id: StepId, at: Duration) {
        if let Some(step) = self.running.remove(&id) {
            self.rows.push(Row {
                name: step.name,
                share: step.share,
                took: at.saturating_sub(step.began),
            });
        }
    }

    fn table(&self) -> String {
        let mut rows: Vec<(String, Duration, Duration)> = self
            .rows
            .iter()
            .map(|row| (row.name.clone(), row.share, row.took))
            .collect();
        rows.sort_by_key(|(_, share, _)| std::cmp::Reverse(*share));
        for (name, share) in [
            ("before the first step", self.before),
            ("between steps", self.between),
            ("after the last step", self.after),
        ] {
            rows.push((name.to_owned(), share, share));
        }
        let mut table = format!("timing: {}s in all\n", text::stamp(self.until));
        for (name, share, took) in rows {
            if took < Duration::from_millis(1) {
                continue;
            }
            let percent = 100.0 * share.as_secs_f64() / self.until.as_secs_f64().max(1e-9);
            table.push_str(&format!(
                "{:>8}s {percent:>3.0}%  {name}",
                text::stamp(share)
            ));
            if took > share + share / 10 {
                table.push_str(&format!(", {}s beside others", text::stamp(took)));
            }
            table.push('\n');
        }
        table
    }
}

impl<W: Write + Send> Render for Timing<W> {
    fn event(&mut self, at: Duration, event: &Event) -> io::Result<()> {
        self.pass(at);
        match event {
            Event::Started { step, name } => {
                self.between += std::mem::take(&mut self.after);
                let step_now = Step {
                    name: text::one_line(name),
                    began: at,
                    share: Duration::ZERO,
                };
                self.running.insert(*step, step_now);
            }
            Event::Finished { step, .. } => self.end(*step, at),
            Event::Note(_)
            | Event::Warning(_)
            | Event::Lint(_)
            | Event::Output { .. }
            | Event::Progress { .. }
            | Event::Built { .. } => {}
        }
        Ok(())
    }

    fn finish(&mut self, at: Duration) -> io::Result<()> {
        self.pass(at);
        self.out.write_all(self.table().as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::StepOutcome;

    #[test]
    fn each_moment_is_counted_once() {
        let mut out = Vec::new();
        let mut timing = Timing::new(&mut out);
        let started = |step, name: &str| Event::Started {
            step,
            name: name.into(),
        };
        let finished = |step| Event::Finished {
            step,
            outcome: StepOutcome::Done,
            took: Duration::ZERO,
        };
        let events = [
            (100, started(1, "one")),
            (200, started(2, "two")),
            (400, finished(1)),
            (500, finished(2)),
            (600, started(3, "three")),
            (1600, finished(3)),
        ];
        for (at, event) in events {
            timing.event(Duration::from_millis(at), &event).unwrap();
        }
        timing.finish(Duration::from_secs(2)).unwrap();
        let expected = "timing: 2.000s in all
   1.000s  50%  three
   0.200s  10%  one, 0.300s beside others
   0.200s  10%  two, 0.300s beside others
   0.100s   5%  before the first step
   0.100s   5%  between steps
   0.400s  20%  after the last step
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
