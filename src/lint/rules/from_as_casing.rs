//! `FROM` and `AS` are written in the same case.

use crate::dockerfile::ast::{FromInst, Instruction};
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "FromAsCasing",
    description: "The 'as' keyword should match the case of the 'from' keyword",
    url: "https://docs.docker.com/go/dockerfile/rule/from-as-casing/",
    experimental: false,
};

pub fn check(lint: &mut Lint, inst: &Instruction, from: &FromInst) {
    let Some(word) = &from.as_keyword else { return };
    let keyword = &inst.keyword.text;
    let (lower, upper) = (keyword.to_lowercase(), keyword.to_uppercase());
    // A keyword of mixed case is the business of `ConsistentInstructionCasing`.
    let matches = if *keyword == lower {
        word.text == word.text.to_lowercase()
    } else {
        *keyword != upper || word.text == word.text.to_uppercase()
    };
    if !matches {
        let message = format!("'{word}' and '{keyword}' keywords' casing do not match");
        lint.report(&RULE, inst, message);
    }
}
