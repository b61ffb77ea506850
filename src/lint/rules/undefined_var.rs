//! A variable that nothing sets is empty, which is seldom what is meant.

use crate::dockerfile::ast::Instruction;
use crate::lint::near::nearest;
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "UndefinedVar",
    description: "Variables should be defined before their use",
    url: "https://docs.docker.com/go/dockerfile/rule/undefined-var/",
    experimental: false,
};

/// Names that BuildKit reads itself and that are never variables.
const OF_THE_SCANNER: &[&str] = &["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// `name` was asked for and has no value. `declared` are the names of the `ARG`s so far, `known`
/// the variables that have values.
pub fn check(lint: &mut Lint, inst: &Instruction, name: &str, declared: &[&str], known: &[String]) {
    if declared.contains(&name) || OF_THE_SCANNER.contains(&name) {
        return;
    }
    let mut message = format!("Usage of undefined variable '${name}'");
    if let Some(near) = nearest(name, known) {
        message += &format!(" (did you mean ${near}?)");
    }
    lint.report(&RULE, inst, message);
}
