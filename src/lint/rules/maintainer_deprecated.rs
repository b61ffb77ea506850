//! `MAINTAINER` has been a label for years.

use crate::dockerfile::ast::Instruction;
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "MaintainerDeprecated",
    description: "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    url: "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/",
    experimental: false,
};

pub fn check(lint: &mut Lint, inst: &Instruction) {
    let message = "Maintainer instruction is deprecated in favor of using label".to_owned();
    lint.report(&RULE, inst, message);
}
