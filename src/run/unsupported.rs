//! What can be asked for and cannot be done yet: refused by name, never ignored.

use crate::diag::Diagnostic;
use crate::request::BuildRequest;

pub(super) fn refuse(request: &BuildRequest) -> Result<(), Diagnostic> {
    let found = [(!request.ssh.is_empty(), "`--ssh`")];
    match found.into_iter().find(|(asked, _)| *asked) {
        Some((_, what)) => Err(Diagnostic::error(format!("{what} is not supported yet"))),
        None => Ok(()),
    }
}
