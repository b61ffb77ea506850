//! A constant `--platform` builds for that platform whatever is asked for.

use crate::dockerfile::ast::{FromInst, Instruction};
use crate::dockerfile::expand::Expansion;
use crate::image::Platform;
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "FromPlatformFlagConstDisallowed",
    description: "FROM --platform flag should not use a constant value",
    url: "https://docs.docker.com/go/dockerfile/rule/from-platform-flag-const-disallowed/",
    experimental: false,
};

/// A stage that has the platform in its name means it.
pub fn check(
    lint: &mut Lint,
    inst: &Instruction,
    from: &FromInst,
    expansion: &Expansion,
    platform: &Platform,
) {
    let name = from.stage_name().unwrap_or_default();
    if expansion.references.is_empty()
        && !name.contains(&platform.os)
        && !name.contains(&platform.architecture)
    {
        let value = &expansion.text;
        let message = format!("FROM --platform flag should not use constant value {value:?}");
        lint.report(&RULE, inst, message);
    }
}
