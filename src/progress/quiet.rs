//! Shows nothing, unless a step fails: then its last output.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use super::step::Step;
use super::{Event, Render, StepId, StepOutcome};

/// The renderer of `--quiet`.
pub struct Quiet<W> {
    out: W,
    steps: HashMap<StepId, Step>,
    /// The ends of failed steps' output.
    failed: String,
}

impl<W: Write + Send> Quiet<W> {
    pub fn new(out: W) -> Self {
        Self {
            out,
            steps: HashMap::new(),
            failed: String::new(),
        }
    }
}

impl<W: Write + Send> Render for Quiet<W> {
    fn event(&mut self, at: Duration, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { step, name } => {
                self.steps.insert(*step, Step::new(name, at));
            }
            Event::Output {
                step,
                stream,
                bytes,
            } => {
                if let Some(step) = self.steps.get_mut(step) {
                    step.output(at, (*stream, bytes), false, |_| {});
                }
            }
            Event::Finished { step, outcome, .. } => {
                if let Some(mut step) = self.steps.remove(step)
                    && matches!(outcome, StepOutcome::Failed(_))
                {
                    step.finish(at, false, |_| {});
                    self.failed += &step.tail();
                }
            }
            Event::Note(_)
            | Event::Warning(_)
            | Event::Lint(_)
            | Event::Progress { .. }
            | Event::Built { .. } => {}
        }
        Ok(())
    }

    fn finish(&mut self, _at: Duration) -> io::Result<()> {
        self.out.write_all(self.failed.as_bytes())?;
        self.out.flush()
    }
}
