//! All keywords of a file are written in the case of most of them.

use crate::dockerfile::ast::Instruction;
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "ConsistentInstructionCasing",
    description: "All commands within the Dockerfile should use the same casing (either upper or lower)",
    url: "https://docs.docker.com/go/dockerfile/rule/consistent-instruction-casing/",
    experimental: false,
};

/// `staged`: the instructions from the first `FROM` on.
pub fn check<'a>(lint: &mut Lint, staged: impl Iterator<Item = &'a Instruction> + Clone) {
    let mostly_lower = mostly_lower(staged.clone());
    for inst in staged {
        let keyword = inst.keyword.text.as_str();
        let (right, case) = if mostly_lower {
            (is_lower(keyword), "lowercase")
        } else {
            (is_upper(keyword), "uppercase")
        };
        if !right {
            let message = format!(
                "Command '{keyword}' should match the case of the command majority ({case})"
            );
            lint.report(&RULE, inst, message);
        }
    }
}

/// Whether most of the keywords, of those in one case, are in lower case.
pub fn mostly_lower<'a>(staged: impl Iterator<Item = &'a Instruction> + Clone) -> bool {
    let keywords = staged.map(|inst| inst.keyword.text.as_str());
    let lower = keywords.clone().filter(|word| is_lower(word)).count();
    let upper = keywords.filter(|word| is_upper(word)).count();
    lower > upper
}

fn is_lower(word: &str) -> bool {
    word == word.to_lowercase()
}

fn is_upper(word: &str) -> bool {
    word == word.to_uppercase()
}
