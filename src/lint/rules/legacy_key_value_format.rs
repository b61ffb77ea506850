//! `ENV name value` is the old form of `ENV name=value`.

use crate::dockerfile::ast::{Instruction, Pairs};
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "LegacyKeyValueFormat",
    description: "Legacy key/value format with whitespace separator should not be used",
    url: "https://docs.docker.com/go/dockerfile/rule/legacy-key-value-format/",
    experimental: false,
};

pub fn check(lint: &mut Lint, inst: &Instruction, pairs: &Pairs) {
    if pairs.legacy {
        let keyword = &inst.keyword;
        let message = format!(
            "\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format"
        );
        lint.report(&RULE, inst, message);
    }
}
