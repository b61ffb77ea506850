//! What an instruction finds when its turn comes: variables, directory, user, image config.

use std::cell::RefCell;

use super::args::Vars;
use super::errors::expand_failed;
use super::lints::Noticed;
use crate::diag::Diagnostic;
use crate::dockerfile::ast::{Instruction, Word};
use crate::dockerfile::expand::{Expansion, Mode, expand};
use crate::image::{ImageConfig, ordered_env_set};
use crate::source::Span;

/// The state of a stage between two instructions.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// The image config so far.
    pub(super) image: ImageConfig,
    /// `ENV` and `ARG` together: what words are expanded with and what `RUN` sees.
    pub(super) vars: Vars,
    /// Every `ARG` of this stage and the stages it is built from, in order.
    pub(super) args: Vec<(String, Option<String>)>,
    /// Whether this stage has its own `CMD`, which `ENTRYPOINT` then leaves alone.
    pub(super) cmd_set: bool,
    /// Whether a `WORKDIR` came before, here or in a stage below.
    pub(super) workdir_set: bool,
    /// What the rules of the linter want to know of the instruction at hand.
    pub(super) noticed: RefCell<Vec<Noticed>>,
    pub(super) escape: char,
    /// What made the last layer, and whether the first one has no line in the history, as that
    /// of a build context has none.
    pub(super) last_layer: String,
    pub(super) unlisted: bool,
}

impl State {
    /// The state at the start of a stage that is built from an image.
    pub(super) fn from_image(image: ImageConfig, escape: char) -> Self {
        let mut state = Self {
            image,
            vars: Vars::default(),
            args: Vec::new(),
            cmd_set: false,
            workdir_set: false,
            noticed: RefCell::default(),
            escape,
            last_layer: String::new(),
            unlisted: false,
        };
        state.enter();
        state
    }

    /// The state at the start of a stage that is built from another: its variables come along,
    /// its triggers do not.
    pub(super) fn from_stage(parent: &Self) -> Self {
        let mut state = Self {
            cmd_set: false,
            ..parent.clone()
        };
        state.enter();
        state
    }

    /// What every stage begins with: a `PATH`, the image's environment (which wins over `ARG`s
    /// of a parent stage), an absolute directory, no triggers.
    fn enter(&mut self) {
        self.image.config.on_build.clear();
        if self.image.env("PATH").is_none() && self.image.os != "windows" {
            let path = crate::image::default_path(&self.image.os);
            ordered_env_set(&mut self.image.config.env, "PATH", path);
        }
        for pair in &self.image.config.env {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.vars.set(name, value);
        }
        if !self.image.config.working_dir.is_empty() {
            self.image.config.working_dir = join(&self.image.config.working_dir, "");
        }
    }

    /// The directory that relative paths start from.
    pub(super) fn cwd(&self) -> &str {
        match self.image.config.working_dir.as_str() {
            "" => "/",
            dir => dir,
        }
    }

    /// A word with its variables put in.
    pub(super) fn expand(
        &self,
        instruction: &Instruction,
        word: &Word,
    ) -> Result<String, Diagnostic> {
        let lookup = |name: &str| self.vars.get(name);
        let expansion = expand(&word.text, &lookup, Mode::word(self.escape))
            .map_err(|error| expand_failed(instruction, word, error))?;
        self.notice_undefined(word.span, &expansion);
        Ok(expansion.text)
    }

    /// Remembers what the rules of the linter want to know.
    pub(super) fn notice(&self, noticed: Noticed) {
        self.noticed.borrow_mut().push(noticed);
    }

    /// Remembers the variables that a word asked for in vain, once for each word.
    pub(super) fn notice_undefined(&self, word: Span, expansion: &Expansion) {
        for reference in expansion.undefined() {
            let name = reference.name.clone();
            let found = Noticed::Undefined { word, name };
            let mut noticed = self.noticed.borrow_mut();
            if !noticed.contains(&found) {
                noticed.push(found);
            }
        }
    }

    pub(super) fn expand_optional(
        &self,
        instruction: &Instruction,
        word: Option<&Word>,
    ) -> Result<Option<String>, Diagnostic> {
        let found = word
            .map(|word| self.expand(instruction, word))
            .transpose()?;
        Ok(found.filter(|text| !text.is_empty()))
    }

    /// The shell that shell forms are given to.
    pub(super) fn shell(&self) -> Vec<String> {
        if !self.image.config.shell.is_empty() {
            return self.image.config.shell.clone();
        }
        let default: &[&str] = match self.image.os.as_str() {
            "windows" => &["cmd", "/S", "/C"],
            _ => &["/bin/sh", "-c"],
        };
        default.iter().map(|&word| word.to_owned()).collect()
    }

    /// A shell form as a command line.
    pub(super) fn with_shell(&self, text: &str) -> Vec<String> {
        let mut argv = self.shell();
        argv.push(text.to_owned());
        argv
    }
}

/// `path` as seen from `dir`: an absolute one stays as it is written, a relative one is joined
/// and cleaned, an empty one is `dir` itself.
pub(super) fn join(dir: &str, path: &str) -> String {
    let dir = if dir.starts_with('/') {
        dir.to_owned()
    } else {
        clean(&format!("/{dir}"))
    };
    if path.is_empty() {
        dir
    } else if path.starts_with('/') {
        path.to_owned()
    } else {
        clean(&format!("{dir}/{path}"))
    }
}

/// An absolute path without `.`, `..`, empty parts or a slash at its end.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_as_workdir_joins_them() {
        for (dir, path, joined) in [
            ("/", "a", "/a"),
            ("/a", "b/../c/", "/a/c"),
            ("/a", "/trail/", "/trail/"),
            ("/a", "/a/./b/../c//", "/a/./b/../c//"),
            ("a", "", "/a"),
            ("/a", "../../..", "/"),
        ] {
            assert_eq!(join(dir, path), joined, "{dir} {path}");
        }
    }
}
