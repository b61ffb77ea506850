//! Ignore files: which paths of a context do not exist for a build.
//!
//! The rules are Docker's (`.dockerignore`): one pattern a line, `#` comments, `!` exceptions,
//! the last match wins, a pattern that matches a directory matches what is below it.

mod pattern;
mod program;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::pattern::Pattern;
use super::error::IgnoreError;
use super::path::{clean, parents};

/// The longest line that Docker reads.
const MAX_LINE: usize = 64 * 1024 - 1;

/// The rules of one ignore file, or the excludes of one instruction.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules {
    file: Arc<str>,
    rules: Arc<[Rule]>,
    /// Whether every exception is plain but for a `*` or `**` at its end. Docker then leaves
    /// out directories that none of them can reach, and else looks through all of them.
    plain_exceptions: bool,
}

#[derive(Debug, Clone)]
struct Rule {
    line: usize,
    /// As written.
    text: String,
    exception: bool,
    pattern: Pattern,
}

/// Which rules matched a directory: what the rules need to know to judge what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParentState {
    /// Empty for the root.
    matched: Box<[bool]>,
}

/// The rule that hides a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredBy {
    /// The ignore file's name as it was given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// As written in the file.
    pub pattern: String,
}

impl IgnoredBy {
    /// What to tell the person.
    pub fn hint(&self) -> String {
        format!(
            "`{}`, line {} of `{}`, ignores it",
            self.pattern, self.line, self.file
        )
    }
}

impl IgnoreRules {
    /// Rules that ignore nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the text of an ignore file; `name` is what messages call the file.
    pub fn parse(text: &str, name: &str) -> Result<Self, IgnoreError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (at, line) in text.split('\n').enumerate() {
            let error = || IgnoreError {
                file: name.to_owned(),
                line: at + 1,
                pattern: line.trim().chars().take(200).collect(),
            };
            if line.len() > MAX_LINE {
                return Err(error());
            }
            let written = line.trim();
            if line.starts_with('#') || written.is_empty() {
                continue;
            }
            let exception = written.strip_prefix('!').map(str::trim);
            let mut pattern = exception.unwrap_or(written).to_owned();
            if !pattern.is_empty() {
                pattern = clean(&pattern);
                if pattern.len() > 1 && pattern.starts_with('/') {
                    pattern.remove(0);
                }
            }
            if exception.is_some() {
                pattern.insert(0, '!');
            }
            let rule = Rule::new(at + 1, written, &pattern).map_err(|Bad| error())?;
            rules.extend(rule);
        }
        Ok(Self::new(name, rules))
    }

    /// Takes patterns as `--exclude` gives them: no comments, a leading `/` stays.
    pub fn from_patterns<S: AsRef<str>>(patterns: &[S]) -> Result<Self, IgnoreError> {
        let mut rules = Vec::new();
        for (at, pattern) in patterns.iter().enumerate() {
            let written = pattern.as_ref();
            let rule = Rule::new(at + 1, written, written);
            rules.extend(rule.map_err(|Bad| IgnoreError {
                file: "--exclude".to_owned(),
                line: at + 1,
                pattern: written.to_owned(),
            })?);
        }
        Ok(Self::new("--exclude", rules))
    }

    fn new(file: &str, rules: Vec<Rule>) -> Self {
        let is_plain = |rule: &Rule| {
            !rule
                .pattern
                .base()
                .contains(['*', '[', ']', '?', '^', '\\'])
        };
        let plain_exceptions = rules.iter().filter(|rule| rule.exception).all(is_plain);
        Self {
            file: file.into(),
            rules: rules.into(),
            plain_exceptions,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether `path` is ignored, given what the rules said of the directory that it is in
    /// (the default for the root), and what they say to what is below `path`.
    pub fn ignored(&self, path: &str, parent: &ParentState) -> (bool, ParentState) {
        let mut matched = vec![false; self.rules.len()].into_boxed_slice();
        let last = self.judge(path, parent, |rule| matched[rule] = true);
        (last.is_some(), ParentState { matched })
    }

    /// As [`ignored`](Self::ignored), for what nothing can be below of.
    pub(super) fn ignored_leaf(&self, path: &str, parent: &ParentState) -> bool {
        self.judge(path, parent, |_| ()).is_some()
    }

    /// The rule that hides `path`, as far as the rules are looked at one after the other; tells
    /// which rules matched. As in Docker, a rule that would change nothing is not tried, and so
    /// has not matched either, unless it matched the parent.
    fn judge(
        &self,
        path: &str,
        parent: &ParentState,
        mut matched: impl FnMut(usize),
    ) -> Option<usize> {
        let mut hidden_by = None;
        for (at, rule) in self.rules.iter().enumerate() {
            let of_parent = parent.matched.get(at).copied().unwrap_or(false);
            if !of_parent && (rule.exception != hidden_by.is_some() || !rule.pattern.matches(path))
            {
                continue;
            }
            matched(at);
            hidden_by = if rule.exception { None } else { Some(at) };
        }
        hidden_by
    }

    /// Whether `path` is ignored, asked without a walk.
    pub fn ignores(&self, path: &str) -> bool {
        let mut ignored = false;
        for rule in &*self.rules {
            let matches =
                || rule.pattern.matches(path) || parents(path).any(|dir| rule.pattern.matches(dir));
            if rule.exception == ignored && matches() {
                ignored = !rule.exception;
            }
        }
        ignored
    }

    /// Whether an exception could bring back something below an ignored directory.
    pub fn may_reinclude_below(&self, dir: &str) -> bool {
        let mut exceptions = self.rules.iter().filter(|rule| rule.exception);
        if !self.plain_exceptions {
            return true;
        }
        exceptions.any(|rule| {
            let base = rule.pattern.base();
            base.strip_prefix(dir)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Whether there are exceptions at all.
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.exception)
    }

    /// The rule that hides `path`, or `None` when it is not ignored.
    pub fn ignored_by(&self, path: &str) -> Option<IgnoredBy> {
        let mut state = ParentState::default();
        for part in parents(path).chain([path]) {
            let hidden_by = self.judge(part, &state, |_| ());
            let (_, next) = self.ignored(part, &state);
            state = next;
            if let Some(at) = hidden_by
                && (part.len() == path.len() || !self.may_reinclude_below(part))
            {
                let rule = &self.rules[at];
                return Some(IgnoredBy {
                    file: self.file.to_string(),
                    line: rule.line,
                    pattern: rule.text.clone(),
                });
            }
        }
        None
    }
}

struct Bad;

impl Rule {
    /// Reads one pattern; nothing comes of one that is only white space.
    fn new(line: usize, written: &str, pattern: &str) -> Result<Option<Self>, Bad> {
        let pattern = pattern.trim();
        if pattern.is_empty() {
            return Ok(None);
        }
        let cleaned = clean(pattern);
        let exception = cleaned.strip_prefix('!');
        if exception == Some("") {
            return Err(Bad);
        }
        let pattern = Pattern::new(exception.unwrap_or(&cleaned)).map_err(|_| Bad)?;
        let exception = exception.is_some();
        Ok(Some(Self {
            line,
            text: written.to_owned(),
            exception,
            pattern,
        }))
    }
}
