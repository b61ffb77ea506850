//! `# syntax=`: the frontend that a file asks for. Docker's own is read by bowline's parser and
//! not fetched; any other is a language that bowline does not know.

use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::image::Reference;
use crate::request::BuildRequest;
use crate::source::SourceFile;

/// The build argument that stands before `# syntax=`.
const ARGUMENT: &str = "BUILDKIT_SYNTAX";

/// Refuses a file that is written for another frontend.
pub(super) fn check(request: &BuildRequest, source: &Arc<SourceFile>) -> Result<(), Diagnostic> {
    let argument = request.build_args.iter().find(|(name, _)| name == ARGUMENT);
    if let Some((_, value)) = argument.filter(|(_, value)| !value.trim().is_empty()) {
        if is_docker(value) {
            return Ok(());
        }
        let message = format!("`{ARGUMENT}={value}` asks for another frontend");
        return Err(Diagnostic::error(message)
            .with_hint("bowline reads the Dockerfile language itself: leave the argument out"));
    }
    let Some(word) = crate::dockerfile::syntax(source) else {
        return Ok(());
    };
    if is_docker(&word.text) {
        return Ok(());
    }
    let message = format!("`{word}` is another frontend, and bowline knows only Docker's");
    Err(Diagnostic::error(message)
        .with_label(source, word.span, "")
        .with_hint(format!(
            "if the file is a Dockerfile, read it as one with `--build-arg {ARGUMENT}=docker/dockerfile`"
        )))
}

/// Whether it is `docker/dockerfile`, its upstream, or a registry's copy of one of them.
fn is_docker(text: &str) -> bool {
    let image = text.split_whitespace().next().unwrap_or_default();
    let Ok(reference) = Reference::parse(image) else {
        return false;
    };
    let name = reference.name();
    ["docker/dockerfile", "docker/dockerfile-upstream"]
        .iter()
        .any(|own| name == *own || name.ends_with(&format!("/{own}")))
}

#[cfg(test)]
mod tests {
    use super::is_docker;

    #[test]
    fn dockers_frontend_is_known_by_all_its_names() {
        for image in [
            "docker/dockerfile",
            "docker/dockerfile:1",
            "docker/dockerfile:1.7-labs",
            "docker.io/docker/dockerfile:1",
            "docker/dockerfile-upstream:master",
            "docker/dockerfile:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "registry.example.com:5000/mirror/docker/dockerfile:1",
            "docker/dockerfile:1 with=options",
        ] {
            assert!(is_docker(image), "{image}");
        }
        for image in [
            "",
            "dockerfile",
            "docker/dockerfiles",
            "notdocker/dockerfile",
            "x/y:1",
        ] {
            assert!(!is_docker(image), "{image}");
        }
    }
}
