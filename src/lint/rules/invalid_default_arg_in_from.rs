//! A `FROM` that is no image unless `--build-arg` gives a value.

use crate::dockerfile::ast::{FromInst, Instruction};
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "InvalidDefaultArgInFrom",
    description: "Default value for global ARG results in an empty or invalid base image name",
    url: "https://docs.docker.com/go/dockerfile/rule/invalid-default-arg-in-from/",
    experimental: false,
};

/// `is_image`: whether the defaults alone give the name of an image.
pub fn check(lint: &mut Lint, inst: &Instruction, from: &FromInst, is_image: bool) {
    if !is_image {
        let image = &from.image;
        let message =
            format!("Default value for ARG {image} results in empty or invalid base image name");
        lint.report(&RULE, inst, message);
    }
}
