//! BuildKit's lint rules under BuildKit's names.
//!
//! A rule is a value and a function ([`rules`]). Those that need only the file are called by
//! [`file`]; those that need the values of variables, by the planner while it plans. Findings
//! gather in a [`Lint`], in BuildKit's order. [`report`] is what `bowline check` prints.
//!
//! Pure: no file, no engine, no clock.

mod config;
mod excerpt;
mod file;
pub mod fix;
mod near;
pub mod report;
pub mod rules;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use config::Config;
pub use excerpt::excerpt;
pub use file::file;

use crate::dockerfile::ast::Instruction;
use crate::dockerfile::expand::Expansion;
use crate::source::SourceFile;

/// What a rule is called, as BuildKit calls it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    pub name: &'static str,
    pub description: &'static str,
    /// Where Docker explains it; may be empty.
    pub url: &'static str,
    /// Whether it has to be asked for with `experimental=`.
    pub experimental: bool,
}

/// A rule that is broken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub rule: &'static Rule,
    pub message: String,
    pub source: Arc<SourceFile>,
    /// First and last line.
    pub lines: (usize, usize),
}

impl Finding {
    /// One line: `RULE: message (line 3)`.
    #[must_use]
    pub fn short(&self) -> String {
        format!(
            "{}: {} (line {})",
            self.rule.name, self.message, self.lines.0
        )
    }
}

/// Whether an ignore file leaves a path of the context out.
pub type Ignored = Box<dyn Fn(&str) -> bool + Send>;

/// What was found so far, and what is looked for.
#[derive(Default)]
pub struct Lint {
    config: Config,
    findings: Vec<Finding>,
    ignored: Option<Ignored>,
    every_stage: bool,
    /// Where findings of triggers count: the `FROM` that brought them.
    instead: Option<(Arc<SourceFile>, (usize, usize))>,
}

impl Lint {
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }

    /// With the rules of an ignore file.
    #[must_use]
    pub fn with_ignored(mut self, ignored: Option<Ignored>) -> Self {
        self.ignored = ignored;
        self
    }

    /// Of stages that are not needed too.
    #[must_use]
    pub fn of_every_stage(mut self, every: bool) -> Self {
        self.every_stage = every;
        self
    }

    /// Whether stages are looked at that the result does not need.
    #[must_use]
    pub fn wants_every_stage(&self) -> bool {
        self.every_stage
    }

    /// From now on what is found in another file counts as found in `from`; `None` ends that.
    pub fn count_as(&mut self, from: Option<&Instruction>) {
        self.instead = from.map(|from| (Arc::clone(&from.source), from.source.lines(from.span)));
    }

    pub fn report(&mut self, rule: &'static Rule, inst: &Instruction, message: String) {
        let lines = inst.source.lines(inst.span);
        self.report_lines(rule, &inst.source, lines, message);
    }

    pub fn report_lines(
        &mut self,
        rule: &'static Rule,
        source: &Arc<SourceFile>,
        lines: (usize, usize),
        message: String,
    ) {
        if !self.config.wants(rule) {
            return;
        }
        let (source, lines) = match &self.instead {
            Some((from, lines)) => (from, *lines),
            None => (source, lines),
        };
        self.findings.push(Finding {
            rule,
            message,
            source: Arc::clone(source),
            lines,
        });
    }

    fn is_ignored(&self, path: &str) -> bool {
        self.ignored.as_ref().is_some_and(|ignored| ignored(path))
    }

    /// What was found, in the order in which BuildKit finds it.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Why the build fails, if the file asks that a finding fails it.
    #[must_use]
    pub fn violation(&self) -> Option<String> {
        if !self.config.error || self.findings.is_empty() {
            return None;
        }
        let rules: BTreeSet<&str> = self.findings.iter().map(|found| found.rule.name).collect();
        let rules: Vec<&str> = rules.into_iter().collect();
        Some(format!(
            "lint violation found for rules: {}",
            rules.join(", ")
        ))
    }
}

/// The variables that were asked for and have no value, each once.
fn undefined_names(expansion: &Expansion) -> Vec<&str> {
    let mut names = Vec::new();
    for reference in expansion.undefined() {
        if !names.contains(&reference.name.as_str()) {
            names.push(reference.name.as_str());
        }
    }
    names
}
