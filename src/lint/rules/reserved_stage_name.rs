//! `scratch` and `context` mean something already.

use crate::dockerfile::ast::{FromInst, Instruction};
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "ReservedStageName",
    description: "Reserved words should not be used as stage names",
    url: "https://docs.docker.com/go/dockerfile/rule/reserved-stage-name/",
    experimental: false,
};

pub fn check(lint: &mut Lint, inst: &Instruction, from: &FromInst) {
    let Some(name) = from.stage_name() else {
        return;
    };
    if matches!(name.as_str(), "context" | "scratch") {
        let message = format!("Stage name should not use the same name as reserved stage {name:?}");
        lint.report(&RULE, inst, message);
    }
}
