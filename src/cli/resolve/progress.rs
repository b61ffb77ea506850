//! How the build shows itself.

use super::Result;
use crate::cli::args::BuildArgs;
use crate::cli::environment::{self as names, Environment};
use crate::diag::{Diagnostic, suggest};
use crate::request::{ProgressMode, Report};

const KINDS: [&str; 6] = ["auto", "none", "plain", "quiet", "rawjson", "tty"];

pub(super) fn report(args: &BuildArgs, debug: bool, environment: &Environment) -> Result<Report> {
    let (mut progress, print_id) = mode(args.progress.as_deref(), args.quiet, environment)?;
    if debug && progress == ProgressMode::Tty {
        // What bowline tells of itself would be drawn over.
        progress = ProgressMode::Plain;
    }
    Ok(Report {
        progress,
        color: environment.get(names::NO_COLOR)?.is_none(),
        print_id,
        debug,
        timing: args.timing,
        iidfile: args.iidfile.clone(),
        metadata_file: args.metadata_file.clone(),
        metadata_provenance: super::attest::in_metadata(environment)?,
        log_dir: Some(environment.log_dir()),
        docker_cli: environment
            .get(names::DOCKER_CLI_PLUGIN_SOCKET)?
            .map(str::to_owned),
    })
}

/// Of a command that builds nothing: its errors, and no log.
pub(super) fn aside(debug: bool, environment: &Environment) -> Report {
    Report {
        progress: ProgressMode::Quiet,
        color: environment.path(names::NO_COLOR).is_none(),
        print_id: false,
        debug,
        timing: false,
        iidfile: None,
        metadata_file: None,
        metadata_provenance: None,
        log_dir: None,
        docker_cli: None,
    }
}

/// The mode, and whether the image's ID is printed: that is what `quiet` has over `none`.
fn mode(
    flag: Option<&str>,
    quiet: bool,
    environment: &Environment,
) -> Result<(ProgressMode, bool)> {
    let variable = names::BUILDKIT_PROGRESS;
    let (from, kind) = match (flag, environment.get(variable)?) {
        (Some(kind), _) if kind != "auto" && !kind.is_empty() => ("--progress", kind),
        (_, Some(kind)) if !quiet => (variable.name, kind),
        _ => ("--progress", "auto"),
    };
    if quiet && !matches!(kind, "auto" | "quiet" | "none") {
        let message = format!("`--quiet` and `--progress={kind}` cannot be given together");
        return Err(Diagnostic::error(message));
    }
    let smart = environment.terminal && environment.get(names::TERM)? != Some("dumb");
    match kind {
        _ if quiet => Ok((ProgressMode::Quiet, true)),
        "quiet" => Ok((ProgressMode::Quiet, true)),
        "none" => Ok((ProgressMode::Quiet, false)),
        "auto" if smart => Ok((ProgressMode::Tty, false)),
        "auto" | "plain" => Ok((ProgressMode::Plain, false)),
        "tty" if environment.terminal => Ok((ProgressMode::Tty, false)),
        "tty" => Err(Diagnostic::error(format!(
            "`{from}` is `tty`, but standard error is not a terminal"
        ))),
        "rawjson" => Ok((ProgressMode::RawJson, false)),
        other => {
            let error = Diagnostic::error(format!("invalid `{from}`: there is no kind `{other}`"));
            Err(match suggest(other, KINDS) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint(format!("there are `{}`", KINDS.join("`, `"))),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_the_mode() {
        use ProgressMode::{Plain, Quiet, RawJson, Tty};
        for (flag, quiet, variable, terminal, expected) in [
            (None, false, "", true, Some((Tty, false))),
            (None, false, "", false, Some((Plain, false))),
            (Some("auto"), false, "plain", true, Some((Plain, false))),
            (Some("tty"), false, "plain", true, Some((Tty, false))),
            (Some("tty"), false, "", false, None),
            (Some("rawjson"), false, "", true, Some((RawJson, false))),
            (Some("quiet"), false, "", true, Some((Quiet, true))),
            (Some("none"), false, "", true, Some((Quiet, false))),
            (None, true, "plain", true, Some((Quiet, true))),
            (Some("plain"), true, "", true, None),
            (Some("plian"), false, "", true, None),
            (None, false, "nope", true, None),
        ] {
            let environment = Environment::of(&[("BUILDKIT_PROGRESS", variable)], terminal);
            let mode = mode(flag, quiet, &environment);
            assert_eq!(mode.ok(), expected, "{flag:?} {quiet} {variable}");
        }
        let dumb = Environment::of(&[("TERM", "dumb")], true);
        assert_eq!(mode(None, false, &dumb), Ok((Plain, false)));
    }
}
