//! Command lines: `CMD`, `ENTRYPOINT`, and those of `RUN` and `HEALTHCHECK`.

use crate::dockerfile::ast::Command;
use crate::dockerfile::parse::request::{Fault, Request};

/// `CMD` and `ENTRYPOINT`, which take no flags.
pub(super) fn read(request: &Request<'_>) -> Result<Command, Fault> {
    let command = form(request)?;
    request.flags(&[])?;
    Ok(command)
}

/// The arguments as a list for exec, or as a text for the shell.
pub(super) fn form(request: &Request<'_>) -> Result<Command, Fault> {
    Ok(match request.json()? {
        Some(words) => Command::Exec(words),
        None => Command::Shell(request.whole()),
    })
}
