//! The terminal's face of the stepper: a prompt at every stop, or commands from a file.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedReceiver;

use super::command::{Desk, Done};
use super::logs::Held;
use super::stepper::{News, Reason, Stop};
use super::terminal::{Raw, Tty};
use super::{shell, show};
use crate::build::Command;

const PROMPT: &str = "(bowline) ";

/// Where commands come from.
pub enum Input {
    /// A person, with line editing; lines are remembered in the file.
    Person { history: PathBuf, term: String },
    /// A file or a pipe, with the name it has in messages.
    Script {
        name: String,
        lines: Box<dyn BufRead + Send>,
    },
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With the build.
    Over,
    /// By `quit`, with this exit code.
    Quit(u8),
    /// A command of a script failed.
    Script {
        /// `file:line`
        place: String,
        wrong: String,
        /// Whether a command in a container failed, and not one of ours.
        by_status: bool,
    },
}

/// The conversation.
pub struct Console {
    desk: Arc<Mutex<Desk>>,
    news: UnboundedReceiver<News>,
    events: Arc<Held>,
    runtime: Handle,
    out: Box<dyn Write + Send>,
    lines: Lines,
    /// Said again by an empty line.
    last: String,
}

enum Lines {
    Person {
        editor: Box<Editor<Completion, FileHistory>>,
        history: PathBuf,
        term: String,
    },
    Script {
        name: String,
        lines: Box<dyn BufRead + Send>,
        number: usize,
    },
}

struct Completion(Arc<Mutex<Desk>>);

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let line = line.get(..position).unwrap_or(line);
        // While a command runs nobody types, so the lock is free.
        Ok(self
            .0
            .try_lock()
            .map_or((position, Vec::new()), |desk| desk.complete(line)))
    }
}

impl Hinter for Completion {
    type Hint = String;
}
impl Highlighter for Completion {}
impl Validator for Completion {}
impl Helper for Completion {}

/// What became of a prompt.
enum Read {
    Line(String),
    /// Ctrl-C: the line is given up.
    Again,
    End,
}

/// What a line of commands did to the session.
enum After {
    Stay,
    Gone,
    End(End),
}

impl Console {
    /// # Errors
    /// When the terminal cannot be used.
    pub fn new(
        desk: Desk,
        news: UnboundedReceiver<News>,
        events: Arc<Held>,
        input: Input,
        runtime: Handle,
        out: Box<dyn Write + Send>,
    ) -> io::Result<Self> {
        let desk = Arc::new(Mutex::new(desk));
        let lines = match input {
            Input::Person { history, term } => {
                let config = Config::builder().auto_add_history(true).build();
                let mut editor = Editor::with_config(config).map_err(io::Error::other)?;
                editor.set_helper(Some(Completion(Arc::clone(&desk))));
                // The first session has no history.
                let _ = editor.load_history(&history);
                Lines::Person {
                    editor: Box::new(editor),
                    history,
                    term,
                }
            }
            Input::Script { name, lines } => Lines::Script {
                name,
                lines,
                number: 0,
            },
        };
        Ok(Self {
            desk,
            news,
            events,
            runtime,
            out,
            lines,
            last: String::new(),
        })
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&mut self, text: &str) {
        // When nobody reads any more, the session learns it elsewhere.
        let _ = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
    }

    /// Runs the session to its end. Blocks: it belongs on a thread of its own.
    pub fn run(&mut self) -> End {
        // What is dropped here is removed in the background.
        let runtime = self.runtime.clone();
        let _inside = runtime.enter();
        loop {
            let news = {
                let (runtime, news) = (self.runtime.clone(), &mut self.news);
                runtime.block_on(news.recv())
            };
            match news {
                Some(News::Stopped(stop)) => {
                    self.events.hold();
                    let ended = self.stopped(stop);
                    self.events.release();
                    if let Some(end) = ended {
                        return end;
                    }
                }
                Some(News::Log { text, line }) => self.say(&format!("line {line}: {text}\n")),
                Some(News::Began(_) | News::Left(_) | News::Gone(_)) => {}
                Some(News::Over) | None => return End::Over,
            }
        }
    }

    /// The conversation at one stop.
    fn stopped(&mut self, stop: Stop) -> Option<End> {
        if let Some((width, _)) = Tty::size() {
            self.desk().width = usize::from(width).clamp(40, 200);
        }
        let greeting = {
            let mut desk = self.desk();
            let here = desk.arrive(&stop);
            let mut text = show::headline(&stop.reason, &here);
            let line = here.file_line();
            if let (Reason::Failure, Some(failure)) = (&stop.reason, stop.site.failure()) {
                text.push_str(&super::command::plain(failure));
                text.push('\n');
                text.push_str(show::AFTER_FAILURE);
            } else {
                let (first, last) = show::around(line.unwrap_or(1));
                let (stepper, width) = (&desk.stepper, desk.width);
                text.push_str(&show::source(stepper, Some(&here), first, last, width));
                if line.is_none() {
                    let trigger = &stop.site.line().expanded;
                    text.push_str(&format!("trigger: {trigger}\n"));
                }
            }
            text
        };
        self.say(&greeting);
        let mut stop = Some(stop);
        loop {
            let line = match self.read() {
                Read::Line(line) => line,
                Read::Again => continue,
                Read::End => {
                    self.desk().leave();
                    return Some(End::Quit(0));
                }
            };
            match self.carry_out(&line, &mut stop) {
                After::Stay => {}
                After::Gone => return None,
                After::End(end) => return Some(end),
            }
        }
    }

    fn carry_out(&mut self, line: &str, stop: &mut Option<Stop>) -> After {
        let line = line.trim();
        if line.starts_with('#') {
            return After::Stay;
        }
        let (line, forgiving) = match (&self.lines, line.strip_prefix('-')) {
            (Lines::Script { .. }, Some(rest)) => (rest.trim(), true),
            _ => (line, false),
        };
        let line = if line.is_empty() && matches!(self.lines, Lines::Person { .. }) {
            self.last.clone()
        } else {
            line.to_owned()
        };
        let again = ["n", "next", "s", "step", "l", "list", "back"];
        self.last = if again.contains(&line.as_str()) {
            line.clone()
        } else {
            String::new()
        };
        let done = {
            let desk = Arc::clone(&self.desk);
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            let out = &mut self.out;
            let mut say = |text: &str| {
                let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            };
            self.runtime.block_on(desk.run(&line, &mut say))
        };
        let wrong = match done {
            Ok(Done::Nothing | Done::Ran(0)) => return After::Stay,
            Ok(Done::Go(order)) => {
                self.desk().leave();
                if let Some(stop) = stop.take() {
                    stop.go(order);
                }
                return After::Gone;
            }
            Ok(Done::Quit(code)) => {
                self.desk().leave();
                return After::End(End::Quit(code));
            }
            Ok(Done::Shell { command, .. }) => match self.shell(&command) {
                Ok(_) => return After::Stay,
                Err(wrong) => (wrong, false),
            },
            Ok(Done::Ran(status)) => (format!("the command ended with exit code {status}"), true),
            Err(wrong) => (wrong, false),
        };
        let (wrong, by_status) = wrong;
        if let (Lines::Script { name, number, .. }, false) = (&self.lines, forgiving) {
            let place = format!("{name}:{number}");
            self.desk().leave();
            return After::End(End::Script {
                place,
                wrong,
                by_status,
            });
        }
        self.say(&format!("{}\n", wrong.trim_end()));
        After::Stay
    }

    fn shell(&mut self, command: &Command) -> Result<i64, String> {
        let Lines::Person { term, .. } = &self.lines else {
            return Err("a shell needs a terminal: use `exec`, or `!LINE`".into());
        };
        let raw = Raw::enter().map_err(|error| format!("the terminal cannot be used: {error}"))?;
        let terminal = raw.terminal(term.clone());
        let desk = self.desk();
        let held = desk.held().ok_or("there is no container")?;
        let attached = shell::attach(held.engine(), held.container(), command, terminal);
        let status = self.runtime.block_on(attached);
        drop(raw);
        status.map_err(|error| super::command::plain(&error))
    }

    fn read(&mut self) -> Read {
        match &mut self.lines {
            Lines::Person {
                editor, history, ..
            } => match editor.readline(PROMPT) {
                Ok(line) => {
                    // A history that cannot be written is a comfort less.
                    let _ = editor.append_history(history);
                    Read::Line(line)
                }
                Err(ReadlineError::Interrupted) => Read::Again,
                Err(_) => Read::End,
            },
            Lines::Script { lines, number, .. } => {
                let mut line = String::new();
                match lines.read_line(&mut line) {
                    Ok(0) | Err(_) => Read::End,
                    Ok(_) => {
                        *number += 1;
                        let line = line.trim_end().to_owned();
                        self.say(&format!("{PROMPT}{line}\n"));
                        Read::Line(line)
                    }
                }
            }
        }
    }
}
