//! `--platform=$TARGETPLATFORM` is what `FROM` does anyway.

use crate::dockerfile::ast::{Instruction, Word};
use crate::dockerfile::expand::Expansion;
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "RedundantTargetPlatform",
    description: "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    url: "https://docs.docker.com/go/dockerfile/rule/redundant-target-platform/",
    experimental: false,
};

/// `target`: the value of `TARGETPLATFORM`.
pub fn check(
    lint: &mut Lint,
    inst: &Instruction,
    written: &Word,
    expansion: &Expansion,
    target: Option<&str>,
) {
    let mut references = expansion.references.iter();
    let only = references.all(|found| found.defined && found.name == "TARGETPLATFORM");
    if only && !expansion.references.is_empty() && target == Some(expansion.text.as_str()) {
        let message = format!(
            "Setting platform to predefined {written} in FROM is redundant as this is the default behavior"
        );
        lint.report(&RULE, inst, message);
    }
}
