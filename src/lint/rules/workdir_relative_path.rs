//! A relative `WORKDIR` before any absolute one depends on the base image.

use crate::dockerfile::ast::Instruction;
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "WorkdirRelativePath",
    description: "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
    url: "https://docs.docker.com/go/dockerfile/rule/workdir-relative-path/",
    experimental: false,
};

/// `path` after expansion; `first`: no `WORKDIR` stands before it, in its stage or below.
pub fn check(lint: &mut Lint, inst: &Instruction, path: &str, first: bool) {
    if first && !path.starts_with('/') {
        let message = format!(
            "Relative workdir {path:?} can have unexpected results if the base image changes"
        );
        lint.report(&RULE, inst, message);
    }
}
