//! A stage's name counts in lower case, so it should be written so.

use crate::dockerfile::ast::{FromInst, Instruction};
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "StageNameCasing",
    description: "Stage names should be lowercase",
    url: "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/",
    experimental: false,
};

pub fn check(lint: &mut Lint, inst: &Instruction, from: &FromInst) {
    let Some(name) = &from.name else { return };
    if name.text != name.text.to_lowercase() {
        let message = format!("Stage name '{name}' should be lowercase");
        lint.report(&RULE, inst, message);
    }
}
