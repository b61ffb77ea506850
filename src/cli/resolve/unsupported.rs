//! Flags that bowline knows and does not carry out: values that ask for nothing are taken,
//! others are refused by name. Nothing is ignored in silence.

use super::Result;
use super::output::fields;
use crate::cli::args::BuildArgs;
use crate::diag::Diagnostic;

/// Gives what is to be said about flags that make no difference.
pub(super) fn check(args: &BuildArgs) -> Result<Vec<String>> {
    let (others, legacy) = (&args.others, &args.legacy);
    for (flag, given) in [
        ("--cache-from", !others.cache_from.is_empty()),
        ("--cache-to", !others.cache_to.is_empty()),
        ("--policy", !others.policy.is_empty()),
        ("--squash", others.squash == Some(true)),
        (
            "--provenance",
            asks(others.provenance.as_ref(), &["false", "0"]),
        ),
        ("--sbom", asks(others.sbom.as_ref(), &["false", "0"])),
        (
            "--isolation",
            asks(legacy.isolation.as_ref(), &["", "default"]),
        ),
        (
            "--attest",
            !others.attest.iter().all(|text| is_disabled(text)),
        ),
    ] {
        if given {
            return Err(unsupported(flag));
        }
    }
    let mut warnings = Vec::new();
    if asks(others.builder.as_ref(), &["", "default"]) {
        warnings.push(
            "`--builder` makes no difference: bowline builds on the engine itself".to_owned(),
        );
    }
    if legacy.rm == Some(false) {
        warnings.push("`--rm=false` makes no difference: containers are removed".to_owned());
    }
    Ok(warnings)
}

fn asks(value: Option<&String>, for_nothing: &[&str]) -> bool {
    value.is_some_and(|value| !for_nothing.contains(&value.as_str()))
}

/// `type=…,disabled=true`
fn is_disabled(attest: &str) -> bool {
    fields(attest).is_some_and(|fields| fields.iter().any(|field| field == "disabled=true"))
}

fn unsupported(flag: &str) -> Diagnostic {
    Diagnostic::error(format!("`{flag}` is not supported yet"))
}
