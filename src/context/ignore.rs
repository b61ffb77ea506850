//! Ignore files: which paths of a context do not exist for a build.
//!
//! The rules are Docker's (`.dockerignore`): one pattern a line, `#` comments, `!` exceptions,
//! the last match wins, a pattern that matches a directory matches what is below it.

use super::error::IgnoreError;

/// The rules of one ignore file, or the excludes of one instruction.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules {}

/// Which rules matched a directory: what the rules need to know to judge what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParentState {}

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
        format!("{}:{} ignores it: `{}`", self.file, self.line, self.pattern)
    }
}

impl IgnoreRules {
    /// Rules that ignore nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the text of an ignore file; `name` is what messages call the file.
    pub fn parse(text: &str, name: &str) -> Result<Self, IgnoreError> {
        let _ = (text, name);
        todo!()
    }

    /// Takes patterns as `--exclude` gives them: no comments, a leading `/` stays.
    pub fn from_patterns<S: AsRef<str>>(patterns: &[S]) -> Result<Self, IgnoreError> {
        let _ = patterns;
        todo!()
    }

    pub fn is_empty(&self) -> bool {
        todo!()
    }

    /// Whether `path` is ignored, given what the rules said of the directory that it is in
    /// (the default for the root), and what they say to what is below `path`.
    pub fn ignored(&self, path: &str, parent: &ParentState) -> (bool, ParentState) {
        let _ = (path, parent);
        todo!()
    }

    /// Whether `path` is ignored, asked without a walk.
    pub fn ignores(&self, path: &str) -> bool {
        let _ = path;
        todo!()
    }

    /// Whether an exception could bring back something below an ignored directory.
    pub fn may_reinclude_below(&self, dir: &str) -> bool {
        let _ = dir;
        todo!()
    }

    /// The rule that hides `path`, or `None` when it is not ignored.
    pub fn ignored_by(&self, path: &str) -> Option<IgnoredBy> {
        let _ = path;
        todo!()
    }
}
