//! In shell form the shell is process 1, and the command does not get the signals.

use crate::dockerfile::ast::{Command, Instruction};
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "JSONArgsRecommended",
    description: "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    url: "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
    experimental: false,
};

/// `shell_chosen`: whether a `SHELL` is in force, which says that it is meant.
pub fn check(lint: &mut Lint, inst: &Instruction, command: &Command, shell_chosen: bool) {
    if !command.is_json() && !shell_chosen {
        let keyword = &inst.keyword;
        let message = format!(
            "JSON arguments recommended for {keyword} to prevent unintended behavior related to OS signals"
        );
        lint.report(&RULE, inst, message);
    }
}
