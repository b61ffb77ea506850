//! Of two stages with one name only the last can be named.

use std::collections::BTreeSet;

use crate::dockerfile::ast::{FromInst, Instruction};
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "DuplicateStageName",
    description: "Stage names should be unique",
    url: "https://docs.docker.com/go/dockerfile/rule/duplicate-stage-name/",
    experimental: false,
};

/// `seen`: the names of the stages before.
pub fn check(lint: &mut Lint, inst: &Instruction, from: &FromInst, seen: &mut BTreeSet<String>) {
    let Some(name) = from.stage_name() else {
        return;
    };
    if !seen.insert(name.clone()) {
        let message = format!("Duplicate stage name {name:?}, stage names should be unique");
        lint.report(&RULE, inst, message);
    }
}
