//! A blank line does not end a continued instruction; one day it will be an error.

use crate::dockerfile::ast::Instruction;
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "NoEmptyContinuation",
    description: "Empty continuation lines will become errors in a future release",
    url: "https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/",
    experimental: false,
};

pub fn check(lint: &mut Lint, inst: &Instruction) {
    if inst.empty_continuations.is_empty() {
        return;
    }
    // BuildKit points at the last line of the instruction, without its heredocs.
    let line = match inst.heredocs.first() {
        Some(heredoc) => inst.source.line(heredoc.content_span.start) - 1,
        None => inst.source.lines(inst.span).1,
    };
    let message = "Empty continuation line".to_owned();
    lint.report_lines(&RULE, &inst.source, (line, line), message);
}
