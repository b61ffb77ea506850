//! A display for terminals: a few lines that change, under those of the steps that have ended.
//!
//! ```text
//!  => [builder 2/5] RUN apt-get install -y gcc                            12.4s
//!  => CACHED [builder 3/5] WORKDIR /src                                    0.0s
//! [+] building 15.2s (4/6)
//!  => [builder 4/5] RUN make                                               2.8s
//!     cc -c a.c
//!     cc -c b.c
//!  => [stage-1 1/2] FROM docker.io/library/debian:13                       1.0s
//!     downloading 3153aa388d02  ━━━━━━━━╸━━━━━━━━━━━  12.35MB / 30.00MB
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::step::Step;
use super::{Event, LintWarning, Render, StepId, StepOutcome, text};

/// How many lines of output a running step shows.
const TAIL: usize = 4;

/// How many parts of a step are shown at once.
const PARTS: usize = 4;

const RED: &str = "31";
const YELLOW: &str = "33";
const BLUE: &str = "34";
const FAINT: &str = "2";

/// The renderer of `--progress=tty`.
pub struct Tty<W> {
    multi: MultiProgress,
    out: W,
    header: ProgressBar,
    color: bool,
    steps: BTreeMap<StepId, State>,
    begun: usize,
    ended: usize,
    /// Whether the header has been drawn; before the first step there is nothing to head.
    shown: bool,
    failed: String,
    warnings: Vec<String>,
    lint: Vec<Arc<LintWarning>>,
}

struct State {
    step: Step,
    bar: ProgressBar,
    tail: Vec<ProgressBar>,
    lines: VecDeque<String>,
    parts: Vec<Part>,
}

struct Part {
    label: String,
    bar: ProgressBar,
}

impl<W: Write + Send> Tty<W> {
    /// Draws on `target`; with `color`, in colours and keeping those of the steps' output.
    /// What stays after the build is written to `out`, which is the same terminal.
    pub fn new(target: ProgressDrawTarget, out: W, color: bool) -> Self {
        let multi = MultiProgress::with_draw_target(target);
        Self {
            multi,
            out,
            header: plain_bar(),
            color,
            steps: BTreeMap::new(),
            begun: 0,
            ended: 0,
            shown: false,
            failed: String::new(),
            warnings: Vec::new(),
            lint: Vec::new(),
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn print(&self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            self.multi.println(text::one_line(line))?;
        }
        Ok(())
    }

    fn remove(&self, state: &State) {
        let bars = state.tail.iter().chain(state.parts.iter().map(|p| &p.bar));
        for bar in bars.chain([&state.bar]) {
            self.multi.remove(bar);
        }
    }

    fn draw(&mut self, at: Duration) {
        if !self.shown {
            return;
        }
        let (ended, begun) = (self.ended, self.begun);
        let elapsed = text::seconds(at);
        self.header
            .set_message(format!("[+] building {elapsed} ({ended}/{begun})"));
        for state in self.steps.values() {
            let elapsed = text::seconds(at.saturating_sub(state.step.started));
            state.bar.set_prefix(elapsed);
        }
    }

    fn started(&mut self, at: Duration, id: StepId, name: &str) {
        if !self.shown {
            self.shown = true;
            self.header = self.multi.add(plain_bar());
        }
        self.begun += 1;
        let step = Step::new(name, at);
        let bar = self.multi.add(step_bar());
        bar.set_message(format!(" => {}", step.name));
        let state = State {
            step,
            bar,
            tail: Vec::new(),
            lines: VecDeque::new(),
            parts: Vec::new(),
        };
        self.steps.insert(id, state);
        self.draw(at);
    }

    fn progress(&mut self, id: StepId, label: String, done: u64, total: u64) {
        let Some(state) = self.steps.get_mut(&id) else {
            return;
        };
        let over = total > 0 && done >= total;
        let at = state.parts.iter().position(|part| part.label == label);
        match at {
            Some(at) if over => self.multi.remove(&state.parts.remove(at).bar),
            Some(at) => state.parts[at].update(done, total),
            None if over || state.parts.len() >= PARTS => {}
            None => {
                let below = state.parts.last().map(|part| &part.bar);
                let below = below.or(state.tail.last()).unwrap_or(&state.bar);
                let bar = self.multi.insert_after(below, plain_bar());
                let part = Part { label, bar };
                part.update(done, total);
                state.parts.push(part);
            }
        }
    }

    fn output(&mut self, at: Duration, id: StepId, output: (super::StreamKind, &[u8])) {
        let Some(state) = self.steps.get_mut(&id) else {
            return;
        };
        let lines = &mut state.lines;
        state.step.output(at, output, self.color, |line| {
            if lines.len() == TAIL {
                lines.pop_front();
            }
            lines.push_back(line.replace('\t', "    "));
        });
        while state.tail.len() < state.lines.len() {
            let above = state.tail.last().unwrap_or(&state.bar);
            state.tail.push(self.multi.insert_after(above, plain_bar()));
        }
        for (bar, line) in state.tail.iter().zip(&state.lines) {
            let line = format!("    {line}");
            bar.set_message(if self.color {
                format!("\x1b[{FAINT}m{line}\x1b[0m")
            } else {
                line
            });
        }
    }

    fn finished(
        &mut self,
        at: Duration,
        id: StepId,
        outcome: &StepOutcome,
        took: Duration,
    ) -> io::Result<()> {
        let Some(mut state) = self.steps.remove(&id) else {
            return Ok(());
        };
        state.step.finish(at, self.color, |_| {});
        self.remove(&state);
        self.ended += 1;
        self.draw(at);
        let name = &state.step.name;
        let took = text::seconds(took);
        let (color, line) = match outcome {
            StepOutcome::Done => (BLUE, format!(" => {name}  {took}")),
            StepOutcome::Cached => (BLUE, format!(" => CACHED {name}")),
            StepOutcome::Failed(_) => (RED, format!(" => ERROR {name}  {took}")),
            StepOutcome::Cancelled => (YELLOW, format!(" => CANCELED {name}  {took}")),
        };
        if matches!(outcome, StepOutcome::Failed(_)) {
            self.failed += &state.step.tail();
        }
        self.multi.println(self.paint(color, &line))
    }
}

impl Part {
    fn update(&self, done: u64, total: u64) {
        let amount = text::amount(done, total);
        if total == 0 {
            self.bar
                .set_message(format!("    {}  {amount}", self.label));
            return;
        }
        let filled = usize::try_from(u128::from(done.min(total)) * 20 / u128::from(total));
        let filled = filled.unwrap_or(20);
        let (full, rest) = ("━".repeat(filled), "╌".repeat(20 - filled));
        self.bar
            .set_message(format!("    {}  {full}{rest}  {amount}", self.label));
    }
}

/// A line that is cut where the terminal ends.
fn plain_bar() -> ProgressBar {
    bar("{wide_msg}")
}

/// A line with a time at its right end.
fn step_bar() -> ProgressBar {
    bar("{wide_msg} {prefix:>7}")
}

fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::no_length().with_style(style)
}

impl<W: Write + Send> Render for Tty<W> {
    fn event(&mut self, at: Duration, event: &Event) -> io::Result<()> {
        match event {
            Event::Note(note) => self.print(note)?,
            Event::Warning(warning) => {
                self.print(&format!("WARN: {warning}"))?;
                self.warnings.push(warning.clone());
            }
            Event::Lint(warning) => {
                self.print(&format!("WARN: {}", warning.short))?;
                self.lint.push(Arc::clone(warning));
            }
            Event::Started { step, name } => self.started(at, *step, name),
            Event::Output {
                step,
                stream,
                bytes,
            } => self.output(at, *step, (*stream, bytes)),
            Event::Progress {
                step,
                part,
                status,
                done,
                total,
            } => self.progress(*step, text::label(status, part), *done, *total),
            Event::Finished {
                step,
                outcome,
                took,
            } => self.finished(at, *step, outcome, *took)?,
            Event::Built { image, tags, took } => {
                self.print(&format!("built {image} in {}", text::seconds(*took)))?;
                for tag in tags {
                    self.print(&format!("named {tag}"))?;
                }
            }
        }
        Ok(())
    }

    fn tick(&mut self, at: Duration) -> io::Result<()> {
        self.draw(at);
        Ok(())
    }

    fn finish(&mut self, _at: Duration) -> io::Result<()> {
        for state in self.steps.values() {
            self.remove(state);
        }
        self.steps.clear();
        self.multi.remove(&self.header);
        self.multi.clear()?;
        let mut text = std::mem::take(&mut self.failed);
        if !self.warnings.is_empty() {
            for line in super::repeat_warnings(&self.warnings).lines() {
                text += &text::one_line(line);
                text.push('\n');
            }
        }
        if !self.lint.is_empty() {
            text += &format!("\n{}\n", super::lint_summary(&self.lint, self.color));
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Script, failed, note, output, progress, started, stopped};
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A terminal in memory, which wraps at its right edge.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<Cells>>);

    #[derive(Debug, Default)]
    struct Cells {
        rows: Vec<Vec<char>>,
        row: usize,
        column: usize,
    }

    const WIDTH: usize = 60;

    impl Screen {
        fn text(&self) -> String {
            let cells = self.0.lock().unwrap();
            let rows = cells.rows.iter();
            let lines = rows.map(|row| row.iter().collect::<String>().trim_end().to_owned());
            lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
        }
    }

    impl indicatif::TermLike for Screen {
        fn width(&self) -> u16 {
            u16::try_from(WIDTH).unwrap()
        }
        fn height(&self) -> u16 {
            20
        }
        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            let mut cells = self.0.lock().unwrap();
            // A full row leaves the cursor on it until the next character.
            cells.row = cells.row.saturating_sub(n);
            Ok(())
        }
        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.0.lock().unwrap().row += n;
            Ok(())
        }
        fn move_cursor_right(&self, n: usize) -> io::Result<()> {
            self.0.lock().unwrap().column += n;
            Ok(())
        }
        fn move_cursor_left(&self, n: usize) -> io::Result<()> {
            let mut cells = self.0.lock().unwrap();
            cells.column = cells.column.saturating_sub(n);
            Ok(())
        }
        fn write_line(&self, s: &str) -> io::Result<()> {
            self.write_str(s)?;
            self.write_str("\n")
        }
        fn write_str(&self, s: &str) -> io::Result<()> {
            let mut cells = self.0.lock().unwrap();
            for c in s.chars() {
                match c {
                    '\n' => (cells.row, cells.column) = (cells.row + 1, 0),
                    '\r' => cells.column = 0,
                    c => {
                        if cells.column == WIDTH {
                            (cells.row, cells.column) = (cells.row + 1, 0);
                        }
                        let (row, column) = (cells.row, cells.column);
                        if cells.rows.len() <= row {
                            cells.rows.resize(row + 1, Vec::new());
                        }
                        let cells_row = &mut cells.rows[row];
                        if cells_row.len() <= column {
                            cells_row.resize(column + 1, ' ');
                        }
                        cells_row[column] = c;
                        cells.column += 1;
                    }
                }
            }
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            let mut cells = self.0.lock().unwrap();
            let row = cells.row;
            if let Some(cells_row) = cells.rows.get_mut(row) {
                cells_row.clear();
            }
            cells.column = 0;
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            indicatif::TermLike::write_str(self, str::from_utf8(bytes).unwrap())?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn terminal() -> (Screen, Tty<Screen>) {
        let screen = Screen::default();
        // No rate limit: every drawing is seen.
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        (screen.clone(), Tty::new(target, screen, false))
    }

    #[test]
    fn shows_what_runs_below_what_has_ended() {
        let (screen, mut tty) = terminal();
        let script = |ms: u64, event: Event| (Duration::from_millis(ms), event);
        for (at, event) in [
            script(0, note("network: pod shop/build-7")),
            script(0, started(1, "[internal] load build definition")),
            script(10, stopped(1, StepOutcome::Done, 10)),
            script(10, started(2, "[a 1/3] FROM busybox")),
            script(20, progress(2, "3153", "downloading", 5_000, 10_000)),
            script(
                20,
                started(
                    3,
                    "[b 1/2] RUN make a very long line of arguments that no terminal holds",
                ),
            ),
            script(30, output(3, b"one\ntwo\nthree\nfour\nfive\npart")),
            script(40, started(4, "[b 2/2] WORKDIR /x")),
            script(40, stopped(4, StepOutcome::Cached, 0)),
        ] {
            tty.event(at, &event).unwrap();
        }
        tty.tick(Duration::from_millis(2_530)).unwrap();
        assert_eq!(
            screen.text(),
            "\
network: pod shop/build-7
 => [internal] load build definition  0.0s
 => CACHED [b 2/2] WORKDIR /x
[+] building 2.5s (2/4)
 => [a 1/3] FROM busybox                                2.5s
    downloading 3153  ━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌  5.00kB / 10.00kB
 => [b 1/2] RUN make a very long line of arguments t    2.5s
    two
    three
    four
    five"
        );
    }

    #[test]
    fn leaves_the_end_of_a_failed_step() {
        let (screen, mut tty) = terminal();
        Script::new()
            .at(0, started(1, "[2/2] RUN false"))
            .at(30, output(1, b"one\ntwo"))
            .at(40, failed(1, "exit code: 1", 40))
            .play(&mut tty);
        assert_eq!(
            screen.text(),
            "\
\x20=> ERROR [2/2] RUN false  0.0s
------
 > [2/2] RUN false:
0.030 one
0.040 two
------"
        );
    }
}
