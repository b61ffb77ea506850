//! The titles of steps in the progress display, as BuildKit words them.

use super::state::State;
use crate::dockerfile::ast::{Heredoc, Instruction};
use crate::dockerfile::expand::{Mode, expand};

/// Counts the steps of a stage and words their titles.
#[derive(Debug)]
pub(super) struct Titles {
    stage: String,
    platform: Option<String>,
    done: usize,
    total: usize,
}

impl Titles {
    pub(super) fn new(stage: &str, platform: Option<String>, total: usize) -> Self {
        Self {
            stage: stage.to_owned(),
            platform,
            done: 0,
            total,
        }
    }

    /// `[stage 2/5] TEXT`
    pub(super) fn next(&mut self, text: &str, on_build: bool) -> String {
        if self.total == 0 {
            return text.to_owned();
        }
        self.done += 1;
        let width = self.total.to_string().len();
        let mut head = String::from("[");
        for part in [self.platform.as_deref(), Some(self.stage.as_str())]
            .into_iter()
            .flatten()
        {
            if !part.is_empty() {
                head.push_str(part);
                head.push(' ');
            }
        }
        let trigger = if on_build { "ONBUILD " } else { "" };
        format!(
            "{head}{:>width$}/{}] {trigger}{text}",
            self.done, self.total
        )
    }
}

/// The instruction as it is shown: variables put in, the keyword in capitals.
pub(super) fn shown(state: &State, instruction: &Instruction, mode: Mode) -> String {
    shown_with(state, instruction, "", mode)
}

/// With something more after it.
pub(super) fn shown_with(
    state: &State,
    instruction: &Instruction,
    more: &str,
    mode: Mode,
) -> String {
    let lookup = |name: &str| state.vars.get(name);
    let original = format!("{}{more}", instruction.original);
    let text = expand(&original, &lookup, mode)
        .map_or_else(|_| original.clone(), |expansion| expansion.text);
    match text.split_once(' ') {
        Some((keyword, rest)) => format!("{} {rest}", keyword.to_uppercase()),
        None => text.to_uppercase(),
    }
}

/// The first line of a heredoc, with dots when there is more.
pub(super) fn summary(heredoc: &Heredoc) -> String {
    let mut lines = heredoc.content.trim().lines();
    let first = lines.next().unwrap_or("").to_owned();
    if lines.next().is_some() {
        first + "..."
    } else {
        first
    }
}
