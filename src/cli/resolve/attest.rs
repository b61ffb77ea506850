//! `--attest`, `--provenance` and `--sbom`.

use super::Result;
use super::output::{boolean, fields};
use crate::cli::args::OtherArgs;
use crate::cli::environment::{self as names, Environment};
use crate::diag::Diagnostic;
use crate::request::attest::{Attest, Detail, Provenance};
use crate::request::{Output, OutputKind};

/// The short flags stand for `--attest type=…` and count after it.
pub(super) fn attest(args: &OtherArgs) -> Result<Attest> {
    let mut attest = Attest::default();
    let long = args.attest.iter().map(|text| ("--attest", text.clone()));
    let short = |flag: &'static str, value: &Option<String>| {
        let value = value.clone()?;
        let kind = flag.trim_start_matches('-');
        Some(match boolean(&value) {
            Some(on) => (flag, format!("type={kind},disabled={}", !on)),
            None => (flag, format!("type={kind},{value}")),
        })
    };
    let shorts = [
        short("--provenance", &args.provenance),
        short("--sbom", &args.sbom),
    ];
    for (flag, text) in long.chain(shorts.into_iter().flatten()) {
        add(&mut attest, flag, &text)?;
    }
    Ok(attest)
}

fn add(attest: &mut Attest, flag: &str, text: &str) -> Result<()> {
    let invalid = |why: &str| Diagnostic::error(format!("invalid `{flag} {text}`: {why}"));
    let mut kind = None;
    let mut disabled = false;
    let mut provenance = Provenance {
        detail: Detail::Min,
        builder_id: String::new(),
        inline_only: false,
    };
    for field in fields(text).ok_or_else(|| invalid("a quote is not closed"))? {
        let (key, value) = field.split_once('=').unwrap_or((&field, "true"));
        let flag = || {
            boolean(value)
                .ok_or_else(|| invalid(&format!("`{value}` is neither `true` nor `false`")))
        };
        match key.trim().to_lowercase().as_str() {
            "type" => kind = Some(value.to_owned()),
            "disabled" => disabled = flag()?,
            "mode" => {
                provenance.detail = match value {
                    "min" => Detail::Min,
                    "max" => Detail::Max,
                    _ => return Err(invalid("the mode is neither `min` nor `max`")),
                }
            }
            "builder-id" => value.clone_into(&mut provenance.builder_id),
            "inline-only" => provenance.inline_only = flag()?,
            // What else there is (`reproducible`, `filename`, `version`) changes no fact.
            _ => {}
        }
    }
    match kind.as_deref() {
        Some("provenance") => attest.provenance = (!disabled).then_some(provenance),
        Some("sbom") if disabled => {}
        Some("sbom") => {
            return Err(
                Diagnostic::error("a bill of materials (`--sbom`) is not supported")
                    .with_hint("leave it out, and let a scanner read the result"),
            );
        }
        Some(other) => return Err(invalid(&format!("there is no type `{other}`"))),
        None => return Err(invalid("it has no `type`")),
    }
    Ok(())
}

/// What is to be said where an output has no place for what is attested.
pub(super) fn without_place(attest: &Attest, outputs: &[Output]) -> Option<String> {
    let asked = attest.provenance.as_ref()?;
    let in_engine = |output: &Output| {
        matches!(
            output.kind,
            OutputKind::Engine | OutputKind::Image { push: false } | OutputKind::DockerArchive(_)
        )
    };
    (!asked.inline_only && outputs.iter().any(in_engine)).then(|| {
        "an image in the engine carries no provenance: what `--metadata-file` writes has it"
            .to_owned()
    })
}

/// How much of the provenance stands in the metadata file.
pub(super) fn in_metadata(environment: &Environment) -> Result<Option<Detail>> {
    let variable = names::BUILDX_METADATA_PROVENANCE;
    let text = environment.get(variable)?.unwrap_or("min");
    match text {
        "min" => Ok(Some(Detail::Min)),
        "max" => Ok(Some(Detail::Max)),
        "disabled" => Ok(None),
        other if boolean(other) == Some(false) => Ok(None),
        other if boolean(other) == Some(true) => Ok(Some(Detail::Min)),
        other => Err(Diagnostic::error(format!(
            "invalid `{}`: `{other}` is not one of `min`, `max` and `disabled`",
            variable.name
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn of(flags: &[&str]) -> Result<Option<(Detail, String)>> {
        let words = ["bowline", "build", "."].iter().chain(flags);
        let cli = crate::cli::args::Cli::try_parse_from(words).unwrap();
        let crate::cli::args::Command::Build(args) = cli.command else {
            panic!("not a build");
        };
        let provenance = attest(&args.others)?.provenance;
        Ok(provenance.map(|one| (one.detail, one.builder_id)))
    }

    #[test]
    fn attestations_are_read() {
        let max = Some((Detail::Max, String::new()));
        let min = Some((Detail::Min, String::new()));
        for (flags, expected) in [
            (&[][..], None),
            (&["--provenance=false", "--sbom=false"], None),
            (&["--provenance=true"], min.clone()),
            (&["--provenance", "mode=max"], max.clone()),
            (&["--attest=type=provenance,mode=max"], max.clone()),
            (&["--attest=type=provenance,disabled=true"], None),
            (
                &["--attest=type=provenance,mode=max", "--provenance=false"],
                None,
            ),
            (
                &[
                    "--attest",
                    "type=provenance,mode=min,inline-only=true,builder-id=a",
                ],
                Some((Detail::Min, "a".into())),
            ),
        ] {
            assert_eq!(of(flags), Ok(expected), "{flags:?}");
        }
        for flags in [
            &["--sbom=true"][..],
            &["--attest=type=other"],
            &["--attest=mode=max"],
            &["--provenance=mode=some"],
        ] {
            assert!(of(flags).is_err(), "{flags:?}");
        }
    }
}
