//! Flags that bowline knows and does not carry out: values that ask for nothing are taken,
//! others are refused by name. Nothing is ignored in silence.

use super::Result;
use super::output::fields;
use crate::cli::args::{BuildArgs, OtherArgs};
use crate::diag::Diagnostic;

/// Gives what is to be said about flags that make no difference.
pub(super) fn check(args: &BuildArgs) -> Result<Vec<String>> {
    let (others, legacy) = (&args.others, &args.legacy);
    for (flag, given) in [
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
    let mut warnings = caches(others)?;
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

/// The cache is in the engine, and is neither fetched from elsewhere nor sent there. A source
/// that gives nothing is what BuildKit too goes on without; a destination is not.
fn caches(others: &OtherArgs) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let flags = [
        ("--cache-from", &others.cache_from),
        ("--cache-to", &others.cache_to),
    ];
    for (flag, values) in flags {
        for text in values.iter().filter(|text| !text.is_empty()) {
            let wrong = |why: &str| Diagnostic::error(format!("invalid `{flag} {text}`: {why}"));
            let fields = fields(text).ok_or_else(|| wrong("a quote is not closed"))?;
            let value = |key: &str| {
                let found = fields.iter().rev().find_map(|field| {
                    let (name, value) = field.split_once('=')?;
                    (name.trim() == key).then_some(value)
                });
                found.unwrap_or_default()
            };
            match value("type") {
                kind @ ("gha" | "s3" | "azblob") => {
                    let message = format!("`{flag} type={kind}` is not supported");
                    return Err(Diagnostic::error(message).with_hint(
                        "leave it out: the cache is kept in the engine, for every client of it",
                    ));
                }
                "" | "registry" | "local" | "inline" => {}
                other => return Err(wrong(&format!("there is no type `{other}`"))),
            }
            let needed = flag == "--cache-to" && value("ignore-error") != "true";
            if needed {
                let message = format!("`{flag} {text}` is not supported yet");
                return Err(Diagnostic::error(message).with_hint(
                    "leave it out: the cache is kept in the engine, for every client of it",
                ));
            }
            warnings.push(format!(
                "`{flag} {text}` makes no difference: the cache is kept in the engine"
            ));
        }
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
