//! A comment right above a stage or an argument is its description, and begins with its name.

use crate::dockerfile::ast::Instruction;
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "InvalidDefinitionDescription",
    description: "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
    url: "https://docs.docker.com/go/dockerfile/rule/invalid-definition-description/",
    experimental: true,
};

/// `names`: what the instruction defines.
pub fn check(lint: &mut Lint, inst: &Instruction, names: &[&str]) {
    let (Some(comment), [first, more @ ..]) = (inst.comments.last(), names) else {
        return;
    };
    let told = comment.text.split(' ').next().unwrap_or_default();
    if names.contains(&told) {
        return;
    }
    let example = if more.is_empty() { first } else { "<arg_key>" };
    let keyword = inst.kind.name();
    let message =
        format!("Comment for {keyword} should follow the format: `# {example} <description>`");
    lint.report(&RULE, inst, message);
}
