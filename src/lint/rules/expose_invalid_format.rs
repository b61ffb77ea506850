//! `EXPOSE` names ports of the container; addresses and ports of the host mean nothing there.

use crate::dockerfile::ast::Instruction;
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "ExposeInvalidFormat",
    description: "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
    url: "https://docs.docker.com/go/dockerfile/rule/expose-invalid-format/",
    experimental: false,
};

/// `port` after expansion.
pub fn check(lint: &mut Lint, inst: &Instruction, port: &str) {
    let before = port.rsplit_once(':').map_or("", |(before, _)| before);
    if before.split(':').any(|part| !part.is_empty()) {
        let message = format!(
            "EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"
        );
        lint.report(&RULE, inst, message);
    }
}
