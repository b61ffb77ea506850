//! Flags that bowline knows and does not carry out: values that ask for nothing are taken,
//! others are refused by name. Nothing is ignored in silence.

use super::Result;
use crate::cli::args::BuildArgs;
use crate::diag::Diagnostic;

/// Gives what is to be said about flags that make no difference.
pub(super) fn check(args: &BuildArgs) -> Result<Vec<String>> {
    let (others, legacy) = (&args.others, &args.legacy);
    if !others.policy.is_empty() {
        return Err(unsupported("--policy"));
    }
    let mut warnings = Vec::new();
    if asks(others.builder.as_ref(), &["", "default"]) {
        warnings.push(
            "`--builder` makes no difference: bowline builds on the engine itself".to_owned(),
        );
    }
    if others.squash == Some(true) {
        warnings.push("`--squash` makes no difference, as in BuildKit".to_owned());
    }
    if asks(legacy.isolation.as_ref(), &["", "default"]) {
        warnings.push("`--isolation` makes no difference outside Windows".to_owned());
    }
    if legacy.rm == Some(false) {
        warnings.push("`--rm=false` makes no difference: containers are removed".to_owned());
    }
    Ok(warnings)
}

fn asks(value: Option<&String>, for_nothing: &[&str]) -> bool {
    value.is_some_and(|value| !for_nothing.contains(&value.as_str()))
}

fn unsupported(flag: &str) -> Diagnostic {
    Diagnostic::error(format!("`{flag}` is not supported yet"))
}
