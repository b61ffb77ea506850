//! A base image of another platform than the one that is built for.

use crate::dockerfile::ast::Instruction;
use crate::image::Platform;
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "InvalidBaseImagePlatform",
    description: "Base image platform does not match expected target platform",
    url: "",
    experimental: false,
};

pub fn check(
    lint: &mut Lint,
    inst: &Instruction,
    image: &str,
    expected: &Platform,
    actual: &Platform,
) {
    if expected.os != actual.os || expected.architecture != actual.architecture {
        let (expected, actual) = (expected.to_string(), actual.to_string());
        let message = format!(
            "Base image {image} was pulled with platform {actual:?}, expected {expected:?} for current build"
        );
        lint.report(&RULE, inst, message);
    }
}
