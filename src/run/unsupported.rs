//! What can be asked for and cannot be done yet: refused by name, never ignored.

use crate::diag::Diagnostic;
use crate::request::{BuildRequest, OutputKind};

pub(super) fn refuse(request: &BuildRequest) -> Result<(), Diagnostic> {
    let other_output = request.outputs.iter().any(|output| match &output.kind {
        OutputKind::Engine | OutputKind::Image { .. } => {
            output.options.iter().any(|(key, _)| key != "push")
        }
        _ => true,
    });
    let found = [
        (other_output, "an output other than the engine's images"),
        (!request.ssh.is_empty(), "`--ssh`"),
    ];
    match found.into_iter().find(|(asked, _)| *asked) {
        Some((_, what)) => Err(Diagnostic::error(format!("{what} is not supported yet"))),
        None => Ok(()),
    }
}
