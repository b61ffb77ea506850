//! `FROM` sees only what `ARG` declares before the first `FROM`.

use crate::dockerfile::ast::Instruction;
use crate::dockerfile::expand::Expansion;
use crate::lint::near::nearest;
use crate::lint::{Lint, Rule, undefined_names};

pub static RULE: Rule = Rule {
    name: "UndefinedArgInFrom",
    description: "FROM command must use declared ARGs",
    url: "https://docs.docker.com/go/dockerfile/rule/undefined-arg-in-from/",
    experimental: false,
};

/// `known`: the names that are declared, with a value or without.
pub fn check(lint: &mut Lint, inst: &Instruction, expansion: &Expansion, known: &[String]) {
    for name in undefined_names(expansion) {
        if known.iter().any(|known| known == name) {
            continue;
        }
        let mut message = format!("FROM argument '{name}' is not declared");
        if let Some(near) = nearest(name, known) {
            message += &format!(" (did you mean {near}?)");
        }
        lint.report(&RULE, inst, message);
    }
}
