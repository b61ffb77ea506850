//! Of several `CMD`, `ENTRYPOINT` or `HEALTHCHECK` in a stage only the last counts.

use crate::dockerfile::ast::Instruction;
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "MultipleInstructionsDisallowed",
    description: "Multiple instructions of the same type should not be used in the same stage",
    url: "https://docs.docker.com/go/dockerfile/rule/multiple-instructions-disallowed/",
    experimental: false,
};

/// `before`: the one that no longer counts because of `inst`.
pub fn check(lint: &mut Lint, inst: &Instruction, before: Option<&Instruction>) {
    let Some(before) = before else { return };
    let keyword = &inst.keyword;
    let message = format!(
        "Multiple {keyword} instructions should not be used in the same stage because only the last one will be used"
    );
    lint.report(&RULE, before, message);
}
