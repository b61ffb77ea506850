//! Protocols are written in lower case.

use crate::dockerfile::ast::Instruction;
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "ExposeProtoCasing",
    description: "Protocol in EXPOSE instruction should be lowercase",
    url: "https://docs.docker.com/go/dockerfile/rule/expose-proto-casing/",
    experimental: false,
};

/// `port` after expansion.
pub fn check(lint: &mut Lint, inst: &Instruction, port: &str) {
    let container = port.rsplit(':').next().unwrap_or(port);
    let protocol = container
        .split_once('/')
        .map_or("", |(_, protocol)| protocol);
    if protocol != protocol.to_lowercase() {
        let message =
            format!("Defined protocol '{port}' in EXPOSE instruction should be lowercase");
        lint.report(&RULE, inst, message);
    }
}
