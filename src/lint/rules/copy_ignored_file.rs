//! A source that `.dockerignore` leaves out cannot be copied.

use crate::dockerfile::ast::Instruction;
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "CopyIgnoredFile",
    description: "Attempting to Copy file that is excluded by .dockerignore",
    url: "https://docs.docker.com/go/dockerfile/rule/copy-ignored-file/",
    experimental: false,
};

/// `source`: a path in the context, after expansion; `add`: of an `ADD`.
pub fn check(lint: &mut Lint, inst: &Instruction, source: &str, add: bool) {
    if lint.is_ignored(source) {
        let verb = if add { "Add" } else { "Copy" };
        let message =
            format!("Attempting to {verb} file {source:?} that is excluded by .dockerignore");
        lint.report(&RULE, inst, message);
    }
}
