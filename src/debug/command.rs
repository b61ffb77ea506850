//! The commands of a debug session, as the terminal and an editor's console take them.

use std::sync::Arc;

use async_trait::async_trait;

use super::breakpoint::{Extras, Trigger};
use super::catalog::Catalog;
use super::inspect::Inspector;
use super::logs::Logs;
use super::stepper::{Order, Stepper, Stop};
use super::words::{fit, split};
use super::{help, show};
use crate::build::{Command, Held, Moment};
use crate::diag::{Diagnostic, Style, suggest};

/// What is debugged, as far as commands must know it.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The Dockerfile as it is now.
    ///
    /// # Errors
    /// With what is wrong with it.
    async fn read(&self) -> Result<Catalog, Vec<Diagnostic>>;
}

/// What a command came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    Nothing,
    Go(Order),
    /// A terminal is to be connected to this container.
    Shell {
        container: String,
        command: Command,
    },
    /// A command ended with this status.
    Ran(i64),
    Quit(u8),
}

/// Where a command's output goes, piece by piece.
pub type Say<'a> = &'a mut (dyn FnMut(&str) + Send);

/// What commands work with.
pub struct Desk {
    pub stepper: Arc<Stepper>,
    pub logs: Arc<Logs>,
    pub subject: Arc<dyn Subject>,
    /// The width of what is shown, in columns.
    pub width: usize,
    /// Whether the build is over and can only be looked at.
    pub after_the_fact: bool,
    inspector: Option<Arc<Inspector>>,
    last: Option<(Held, Moment)>,
    listed: usize,
}

type Result<T, E = String> = std::result::Result<T, E>;

/// A diagnostic for people who see only text.
pub fn plain(diagnostic: &Diagnostic) -> String {
    diagnostic.render(Style::default()).trim_end().to_owned()
}

impl Desk {
    pub fn new(stepper: Arc<Stepper>, logs: Arc<Logs>, subject: Arc<dyn Subject>) -> Self {
        Self {
            stepper,
            logs,
            subject,
            width: 80,
            after_the_fact: false,
            inspector: None,
            last: None,
            listed: 0,
        }
    }

    /// The build has stopped here.
    pub fn arrive(&mut self, stop: &Stop) -> Arc<Inspector> {
        let inspector = Inspector::new(Arc::clone(&stop.site), Arc::clone(&self.logs));
        let inspector = Arc::new(inspector);
        self.inspector = Some(Arc::clone(&inspector));
        self.listed = 0;
        inspector
    }

    /// It goes on: what was opened is closed.
    pub fn leave(&mut self) {
        self.inspector = None;
        self.last = None;
    }

    pub fn inspector(&self) -> Option<&Arc<Inspector>> {
        self.inspector.as_ref()
    }

    fn here(&self) -> Result<Arc<Inspector>> {
        let found = self.inspector.clone();
        found.ok_or_else(|| "the build is running: pause it first".into())
    }

    /// Carries a line out.
    ///
    /// # Errors
    /// With what is wrong, in one or more lines.
    pub async fn run(&mut self, line: &str, say: Say<'_>) -> Result<Done> {
        let line = line.trim();
        if let Some(shell_line) = line.strip_prefix('!') {
            let shell = self.here()?.site.scene().shell.clone();
            let command = Command {
                args: shell
                    .into_iter()
                    .chain([shell_line.trim().to_owned()])
                    .collect(),
                ..Command::default()
            };
            return self.exec(None, command, None, say).await;
        }
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        if name.is_empty() {
            return Ok(Done::Nothing);
        }
        let Some(about) = help::find(name) else {
            let names = help::COMMANDS.iter().map(|about| about.name);
            return Err(match suggest(name, names) {
                Some(near) => format!("there is no command `{name}`, did you mean `{near}`?"),
                None => format!("there is no command `{name}`, `help` lists them"),
            });
        };
        if about.takes.is_empty() && !rest.is_empty() {
            return Err(format!("`{}` takes nothing", about.name));
        }
        match about.name {
            "help" => say(&help::text(rest, self.width)?),
            "continue" | "next" | "step" | "out" | "until" | "back" | "restart" | "retry"
            | "reload" | "run" => return self.order(about.name, rest).await.map(Done::Go),
            "quit" => {
                let code = if rest.is_empty() { Ok(0) } else { rest.parse() };
                let code = code.map_err(|_| format!("`{rest}` is not an exit code"))?;
                return Ok(Done::Quit(code));
            }
            "break" => say(&self.add(rest, false)?),
            "tbreak" => say(&self.add(rest, true)?),
            "breakpoints" => say(&show::breakpoints(&self.stepper)),
            "delete" | "disable" | "enable" => self.alter(about.name, rest)?,
            "list" => {
                let text = self.list(rest)?;
                say(&text);
            }
            "where" => say(&show::callers(&self.here()?.site)),
            "stages" => say(&show::stages(&self.stepper, &self.here()?.site)),
            "info" => say(&show::info(&*self.here()?, self.width).await),
            "vars" => say(&show::variables(&self.here()?.site, rest, self.width)?),
            "print" => say(&format!("{}\n", show::expand(&self.here()?.site, rest)?)),
            "config" => say(&show::config(&self.here()?.site)),
            "ls" => say(&show::list(&*self.here()?, rest, self.width).await?),
            "cat" => say(&show::file(&*self.here()?, rest).await?),
            "du" => say(&show::sizes(&*self.here()?, rest, self.width).await?),
            "changes" => say(&show::changes(&*self.here()?, rest, self.width).await?),
            "why" => say(&format!("{}\n", self.here()?.why())),
            "log" => say(&show::log(&*self.here()?, rest)?),
            "shell" => {
                let asked = Asked::parse(rest)?;
                return self.shell(asked).await;
            }
            "exec" => {
                let asked = Asked::parse(rest)?;
                if asked.command.args.is_empty() {
                    return Err("`exec` needs a command".into());
                }
                return self
                    .exec(asked.moment, asked.command, asked.tools, say)
                    .await;
            }
            "keep" => {
                self.keep().await?;
                say("the build goes on with these files\n");
            }
            other => return Err(format!("there is no command `{other}`")),
        }
        Ok(Done::Nothing)
    }

    async fn order(&mut self, name: &str, rest: &str) -> Result<Order> {
        let here = self.here()?;
        if self.after_the_fact {
            return Err("the build is over: `bowline debug` runs it again".into());
        }
        let site = &here.site;
        let number = |what: &str| -> Result<usize> {
            let number = rest.parse().ok().filter(|number| *number > 0);
            number.ok_or_else(|| format!("`{name}` takes {what}, not `{rest}`"))
        };
        Ok(match name {
            "continue" => Order::Continue,
            "next" => Order::Next,
            "step" => Order::Into,
            "out" => Order::Out,
            "retry" if site.moment() == Moment::Before => {
                return Err("this instruction has not been carried out yet".into());
            }
            "retry" => Order::Retry,
            "run" => Order::Restart,
            "until" => {
                let line = number("a line")?;
                let found = self.stepper.line_of(&Trigger::Line(line));
                found.ok_or_else(|| format!("no instruction follows line {line}"))?;
                Order::Until(line)
            }
            "back" => {
                let count = if rest.is_empty() {
                    1
                } else {
                    number("a count")?
                };
                self.back(&here, count)?
            }
            "restart" => Order::BackTo {
                line: if rest.is_empty() {
                    site.index()
                } else {
                    let line = here.index_of(number("a line")?).map_err(|e| plain(&e))?;
                    if line > site.index() {
                        return Err("that line is still ahead: `until` runs to it".into());
                    }
                    line
                },
                fresh: true,
            },
            _ => {
                let read = self.subject.read().await;
                read.map_err(|wrong| {
                    let texts: Vec<String> = wrong.iter().map(plain).collect();
                    texts.join("\n")
                })?;
                Order::Reload
            }
        })
    }

    /// `count` instructions back: after an instruction, the first step is before it.
    fn back(&self, here: &Inspector, count: usize) -> Result<Order> {
        let done = usize::from(here.site.moment() != Moment::Before);
        let line = (here.site.index() + done).checked_sub(count);
        match line {
            Some(line) => Ok(Order::BackTo { line, fresh: false }),
            None => Err("the stage begins here: there is nothing before its `FROM`".into()),
        }
    }

    /// The order of an editor's button.
    ///
    /// # Errors
    /// When there is nothing to go back to, or the build is over.
    pub async fn order_of(&mut self, name: &str) -> Result<Order> {
        self.order(name, "").await
    }

    fn add(&self, rest: &str, once: bool) -> Result<String> {
        let (place, extras) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        match place {
            "" => return Ok(show::breakpoints(&self.stepper)),
            "fail" if extras.is_empty() => {
                self.stepper.stop_on_failure(true);
                return Ok("stops on failures\n".into());
            }
            "miss" if extras.is_empty() => {
                self.stepper.stop_on_miss(true);
                return Ok("stops on cache misses\n".into());
            }
            _ => {}
        }
        let trigger = match place.parse() {
            Ok(line) => Trigger::Line(line),
            Err(_) => Trigger::Stage(place.to_owned()),
        };
        let added = self.stepper.add(trigger, &extras_of(extras)?)?;
        if once {
            self.stepper.retain(|breakpoint| {
                breakpoint.once |= breakpoint.id == added.id;
                true
            });
        }
        Ok(show::added(&self.stepper, &added))
    }

    fn alter(&self, name: &str, rest: &str) -> Result<()> {
        match (name, rest) {
            ("delete", "fail") => self.stepper.stop_on_failure(false),
            ("delete", "miss") => self.stepper.stop_on_miss(false),
            ("delete", "all") => self.stepper.retain(|_| false),
            _ => {
                let number: u64 = rest
                    .parse()
                    .map_err(|_| format!("`{name}` takes a breakpoint's number"))?;
                let mut found = false;
                self.stepper.retain(|breakpoint| {
                    if breakpoint.id != number {
                        return true;
                    }
                    found = true;
                    breakpoint.enabled = name == "enable";
                    name != "delete"
                });
                if !found {
                    return Err(format!("there is no breakpoint {number}"));
                }
            }
        }
        Ok(())
    }

    fn list(&mut self, rest: &str) -> Result<String> {
        let catalog = self.stepper.catalog().ok_or("there is no Dockerfile yet")?;
        let here = self.inspector.clone();
        let current = here.as_ref().and_then(|here| here.file_line());
        let count = catalog.source.line_count();
        let (first, last) = match rest {
            "all" => (1, count),
            "" if self.listed > 0 => (self.listed + 1, self.listed + 11),
            "" => show::around(current.unwrap_or(1)),
            text => {
                let line = text
                    .parse()
                    .map_err(|_| "`list` takes a line or `all`".to_owned())?;
                show::around(line)
            }
        };
        if first > count {
            self.listed = 0;
            return Err("the Dockerfile ends here".into());
        }
        self.listed = last.min(count);
        Ok(show::source(
            &self.stepper,
            here.as_deref(),
            first,
            last,
            self.width,
        ))
    }

    async fn open(&mut self, moment: Option<Moment>, tools: Option<&str>) -> Result<()> {
        let here = self.here()?;
        let moment = moment.unwrap_or_else(|| here.site.moment());
        // The one before goes away first: it may hold what this one wants.
        self.last = None;
        let held = here.work(moment).await.map_err(|error| plain(&error))?;
        if let Some(image) = tools {
            let brought = here.site.bring(&held, image).await;
            brought.map_err(|error| plain(&error))?;
        }
        self.last = Some((held, moment));
        Ok(())
    }

    async fn shell(&mut self, asked: Asked) -> Result<Done> {
        self.open(asked.moment, asked.tools.as_deref()).await?;
        let here = self.here()?;
        let (held, _) = self.last.as_ref().expect("it was just opened");
        let mut command = asked.command;
        if command.args.is_empty() {
            let own = here.site.scene().shell.first().cloned();
            let usual = ["/bin/bash", "/bin/sh", "/bin/ash", "/busybox/sh"];
            let own = own.filter(|own| own != "/bin/sh").into_iter();
            let known: Vec<String> = own.chain(usual.map(str::to_owned)).collect();
            let found = here.first_of(held, &known).await;
            let found = found.map_err(|error| plain(&error))?;
            let shell = found.ok_or(
                "the image has no shell: `shell --tools busybox` brings the files of an image \
                 that has one",
            )?;
            command.args = vec![shell];
        }
        command.stdin = true;
        Ok(Done::Shell {
            container: held.container().to_owned(),
            command,
        })
    }

    /// The container of the last shell.
    pub fn held(&self) -> Option<&Held> {
        self.last.as_ref().map(|(held, _)| held)
    }

    async fn exec(
        &mut self,
        moment: Option<Moment>,
        command: Command,
        tools: Option<String>,
        say: Say<'_>,
    ) -> Result<Done> {
        self.open(moment, tools.as_deref()).await?;
        let (held, _) = self.last.as_ref().expect("it was just opened");
        let status = super::shell::run(held, &command, say).await;
        status.map(Done::Ran).map_err(|error| plain(&error))
    }

    async fn keep(&mut self) -> Result<()> {
        let here = self.here()?;
        if self.after_the_fact {
            return Err("the build is over: there is nothing to go on with".into());
        }
        let (held, moment) = self
            .last
            .as_ref()
            .ok_or("nothing was run at this stop that could be kept")?;
        if *moment != here.site.moment() {
            return Err("only the state at which the build stands can be kept".into());
        }
        let kept = here.site.keep(held, *moment).await;
        kept.map_err(|error| plain(&error))
    }

    /// What may stand at the end of a line: where the word begins, and the words.
    pub fn complete(&self, line: &str) -> (usize, Vec<String>) {
        let begin = line.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let word = &line[begin..];
        let before = line[..begin].trim();
        let mut found: Vec<String> = if before.is_empty() {
            let names = help::COMMANDS.iter().map(|about| about.name.to_owned());
            names.collect()
        } else {
            let command = before.split_whitespace().next().unwrap_or_default();
            match help::find(command).map_or("", |about| about.name) {
                "help" => help::COMMANDS.iter().map(|a| a.name.to_owned()).collect(),
                "break" | "tbreak" => self.places(),
                "vars" | "print" => self.variables(),
                "shell" | "exec" => [
                    "--before",
                    "--after",
                    "--failed",
                    "--user",
                    "--workdir",
                    "--env",
                    "--tools",
                ]
                .map(str::to_owned)
                .to_vec(),
                "delete" => vec!["all".into(), "fail".into(), "miss".into()],
                "list" => vec!["all".into()],
                _ => Vec::new(),
            }
        };
        found.retain(|candidate| candidate.starts_with(word) && candidate != word);
        found.sort();
        found.dedup();
        (begin, found)
    }

    fn places(&self) -> Vec<String> {
        let mut found = vec!["fail".to_owned(), "miss".to_owned()];
        if let Some(catalog) = self.stepper.catalog() {
            for entry in &catalog.entries {
                if let Some((_, name)) = &entry.stage {
                    found.extend(name.clone());
                    found.push(entry.lines.0.to_string());
                }
            }
        }
        found
    }

    fn variables(&self) -> Vec<String> {
        let Some(here) = &self.inspector else {
            return Vec::new();
        };
        let variables = here.site.scene().variables.iter();
        variables.map(|variable| variable.name.clone()).collect()
    }
}

/// `if CONDITION`, `hits N` and `log TEXT`, in any order but with `log` last.
fn extras_of(text: &str) -> Result<Extras> {
    let mut extras = Extras::default();
    let mut into: Option<&mut Option<String>> = None;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        match word {
            "if" => into = Some(&mut extras.condition),
            "hits" => into = Some(&mut extras.hits),
            "log" => {
                extras.log = Some(after.trim().to_owned());
                break;
            }
            word => {
                let text = into
                    .as_mut()
                    .ok_or_else(|| format!("`{word}` is none of `if`, `hits` and `log`"))?;
                let text = text.get_or_insert_default();
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(word);
            }
        }
        rest = after.trim_start();
    }
    Ok(extras)
}

/// What `shell` and `exec` were asked for.
#[derive(Default)]
struct Asked {
    moment: Option<Moment>,
    tools: Option<String>,
    command: Command,
}

impl Asked {
    fn parse(text: &str) -> Result<Self> {
        let mut asked = Self::default();
        let mut words = split(text)?.into_iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| format!("`{word}` needs a value"))
            };
            match word.as_str() {
                "--before" => asked.moment = Some(Moment::Before),
                "--after" => asked.moment = Some(Moment::After),
                "--failed" => asked.moment = Some(Moment::Failed),
                "--user" | "-u" => asked.command.user = Some(value()?),
                "--workdir" | "-w" => asked.command.directory = Some(value()?),
                "--env" | "-e" => {
                    let pair = value()?;
                    let (name, value) = pair
                        .split_once('=')
                        .ok_or_else(|| format!("`{}` is not `NAME=VALUE`", fit(&pair, 40)))?;
                    asked.command.env.push((name.to_owned(), value.to_owned()));
                }
                "--tools" => asked.tools = Some(value()?),
                "--" => {
                    asked.command.args = words.collect();
                    break;
                }
                flag if flag.starts_with('-') => return Err(format!("there is no flag `{flag}`")),
                _ => {
                    asked.command.args = std::iter::once(word).chain(words).collect();
                    break;
                }
            }
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breakpoints_are_read() {
        let extras = extras_of("if A == 1 && B hits >= 2 log at {A} if so").unwrap();
        assert_eq!(extras.condition.as_deref(), Some("A == 1 && B"));
        assert_eq!(extras.hits.as_deref(), Some(">= 2"));
        assert_eq!(extras.log.as_deref(), Some("at {A} if so"));
        assert!(extras_of("when A").is_err());
    }

    #[test]
    fn shells_are_read() {
        let asked = Asked::parse("--before -u app --env A='b c' ls -l /").unwrap();
        assert_eq!(asked.moment, Some(Moment::Before));
        assert_eq!(asked.command.user.as_deref(), Some("app"));
        assert_eq!(asked.command.env, [("A".to_owned(), "b c".to_owned())]);
        assert_eq!(asked.command.args, ["ls", "-l", "/"]);
        assert!(Asked::parse("--nope").is_err() && Asked::parse("--user").is_err());
    }
}
