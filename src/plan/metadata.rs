//! Instructions that change only the image config. They cost nothing: no engine is asked.

use super::args::Vars;
use super::errors::{at, expand_failed};
use super::history::{self, go_duration, go_plain, go_quoted, go_rune};
use super::lints::Noticed;
use super::ports;
use super::state::State;
use crate::diag::Diagnostic;
use crate::dockerfile::ast::{
    ArgItem, Command, Healthcheck, HealthcheckCmd, Instruction, Pairs, Word,
};
use crate::dockerfile::expand::expand_words;
use crate::image::{self, ordered_env_set};
use std::collections::BTreeMap;

type Done = Result<(), Diagnostic>;

impl State {
    pub(super) fn env(&mut self, inst: &Instruction, pairs: &Pairs) -> Done {
        // Every word is expanded before any is set: `ENV a=1 b=$a` takes the old `a`.
        let pairs = self.expand_pairs(inst, pairs)?;
        let mut line = String::from("ENV");
        for (name, value) in pairs {
            self.notice(Noticed::Variable(name.clone()));
            line.push_str(&format!(" {name}={value}"));
            self.vars.set(&name, value.clone());
            ordered_env_set(&mut self.image.config.env, &name, &value);
        }
        history::metadata(&mut self.image, line);
        Ok(())
    }

    pub(super) fn label(&mut self, inst: &Instruction, pairs: &Pairs) -> Done {
        let pairs = self.expand_pairs(inst, pairs)?;
        let mut line = String::from("LABEL");
        for (name, value) in pairs {
            line.push_str(&format!(" {name}={value}"));
            self.image.config.labels.insert(name, value);
        }
        history::metadata(&mut self.image, line);
        Ok(())
    }

    fn expand_pairs(
        &self,
        inst: &Instruction,
        pairs: &Pairs,
    ) -> Result<Vec<(String, String)>, Diagnostic> {
        let expand = |word: &Word| self.expand(inst, word);
        let pairs = pairs.pairs.iter();
        pairs
            .map(|pair| Ok((expand(&pair.key)?, expand(&pair.value)?)))
            .collect()
    }

    /// `ARG`: a build argument wins, then the default, then a global `ARG` of the name.
    pub(super) fn arg(
        &mut self,
        inst: &Instruction,
        items: &[ArgItem],
        build_args: &BTreeMap<String, String>,
        globals: &Vars,
    ) -> Done {
        let mut line = String::from("ARG");
        for item in items {
            // The one name that is not expanded.
            let name = item.name.text.clone();
            self.notice(Noticed::Variable(name.clone()));
            let value = match (build_args.get(&name), &item.default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(self.expand(inst, default)?),
                (None, None) => globals.get(&name),
            };
            line.push_str(&format!(" {name}"));
            if let Some(value) = &value {
                line.push_str(&format!("={value}"));
                if !OF_BUILDKIT_ONLY.contains(&name.as_str()) {
                    self.vars.set(&name, value.clone());
                }
            }
            self.args.push((name, value));
        }
        history::metadata(&mut self.image, line);
        Ok(())
    }

    pub(super) fn cmd(&mut self, command: &Command) {
        let argv = self.command_line(command);
        history::metadata(&mut self.image, format!("CMD {}", go_quoted(&argv)));
        self.image.config.cmd = argv;
        self.image.config.args_escaped = true;
        self.cmd_set = true;
    }

    pub(super) fn entrypoint(&mut self, command: &Command) {
        let argv = self.command_line(command);
        history::metadata(&mut self.image, format!("ENTRYPOINT {}", go_quoted(&argv)));
        self.image.config.entrypoint = argv;
        if !self.cmd_set {
            self.image.config.cmd.clear();
        }
    }

    fn command_line(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Shell(text) => self.with_shell(&text.text),
            Command::Exec(words) => words.iter().map(|word| word.text.clone()).collect(),
        }
    }

    pub(super) fn shell_form(&mut self, words: &[Word]) {
        let shell: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
        history::metadata(&mut self.image, format!("SHELL {}", go_plain(&shell)));
        self.image.config.shell = shell;
    }

    pub(super) fn user(&mut self, inst: &Instruction, word: &Word) -> Done {
        let user = self.expand(inst, word)?;
        history::metadata(&mut self.image, format!("USER {user}"));
        self.image.config.user = user;
        Ok(())
    }

    pub(super) fn volume(&mut self, inst: &Instruction, words: &[Word]) -> Done {
        let mut paths = Vec::new();
        for word in words {
            let path = self.expand(inst, word)?;
            if path.is_empty() {
                return Err(at(inst, word.span, "the path of a volume cannot be empty"));
            }
            self.image
                .config
                .volumes
                .insert(path.clone(), image::Empty {});
            paths.push(path);
        }
        history::metadata(&mut self.image, format!("VOLUME {}", go_plain(&paths)));
        Ok(())
    }

    pub(super) fn expose(&mut self, inst: &Instruction, words: &[Word]) -> Done {
        // BuildKit sorts the words as they are written, before it expands them.
        let mut words: Vec<&Word> = words.iter().collect();
        words.sort_by(|a, b| a.text.cmp(&b.text));
        let mut all = Vec::new();
        for word in words {
            let found = expand_words(&word.text, &|name| self.vars.get(name), self.escape);
            for text in found.map_err(|error| expand_failed(inst, word, error))? {
                self.notice(Noticed::Port(text.clone()));
                let ports = ports::exposed(&text).map_err(|why| at(inst, word.span, why))?;
                all.extend(ports);
            }
        }
        for port in &all {
            self.image
                .config
                .exposed_ports
                .insert(port.clone(), image::Empty {});
        }
        history::metadata(&mut self.image, format!("EXPOSE {}", go_plain(&all)));
        Ok(())
    }

    pub(super) fn stop_signal(&mut self, inst: &Instruction, word: &Word) -> Done {
        let signal = self.expand(inst, word)?;
        if !known_signal(&signal) {
            let message = format!("`{signal}` is not a signal");
            return Err(at(inst, word.span, message)
                .with_hint("a signal is a name such as `SIGTERM`, or a number from 1 to 64"));
        }
        history::metadata(&mut self.image, format!("STOPSIGNAL {signal}"));
        self.image.config.stop_signal = signal;
        Ok(())
    }

    pub(super) fn healthcheck(&mut self, check: &Healthcheck) {
        let health = match check {
            Healthcheck::None => image::Healthcheck {
                test: vec!["NONE".into()],
                ..image::Healthcheck::default()
            },
            Healthcheck::Cmd(cmd) => Self::health_of(cmd),
        };
        let times = [
            health.interval,
            health.timeout,
            health.start_period,
            health.start_interval,
        ];
        let times = times.map(|time| format!("\"{}\"", go_duration(time)));
        let line = format!(
            "HEALTHCHECK &{{{} {} {}}}",
            go_quoted(&health.test),
            times.join(" "),
            go_rune(health.retries)
        );
        history::metadata(&mut self.image, line);
        self.image.config.healthcheck = Some(health);
    }

    fn health_of(cmd: &HealthcheckCmd) -> image::Healthcheck {
        let test = match &cmd.command {
            Command::Shell(text) => vec!["CMD-SHELL".into(), text.text.clone()],
            Command::Exec(words) => {
                let words = words.iter().map(|word| word.text.clone());
                std::iter::once("CMD".to_owned()).chain(words).collect()
            }
        };
        let nanos = |d: std::time::Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        image::Healthcheck {
            test,
            interval: nanos(cmd.interval),
            timeout: nanos(cmd.timeout),
            start_period: nanos(cmd.start_period),
            start_interval: nanos(cmd.start_interval),
            retries: i64::from(cmd.retries),
        }
    }

    pub(super) fn maintainer(&mut self, word: &Word) {
        history::metadata(&mut self.image, format!("MAINTAINER {}", word.text));
        self.image.author = Some(word.text.clone());
    }
}

/// Arguments that steer BuildKit's scanner and are no variables of `RUN`.
const OF_BUILDKIT_ONLY: &[&str] = &["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// Whether the engine knows the signal: by number, or by name with or without `SIG`.
fn known_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |rest: &str, sign: char| {
        rest.strip_prefix(sign)
            .is_some_and(|n| n.parse::<u8>().is_ok_and(|n| (1..=15).contains(&n)))
    };
    SIGNALS.contains(&name)
        || name
            .strip_prefix("RTMIN")
            .is_some_and(|rest| real_time(rest, '+'))
        || name
            .strip_prefix("RTMAX")
            .is_some_and(|rest| real_time(rest, '-') && rest != "-15")
}

const SIGNALS: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];
