//! What a build leaves for scripts: the image's ID on standard output or in a file, and what is
//! known of the result as JSON.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::diag::{Class, Diagnostic};
use crate::image::Reference;
use crate::output::{Described, Facts};
use crate::request::Report;
use crate::request::attest::Detail;

/// A result of a build.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The image's ID in the engine.
    pub image: Option<String>,
    /// The digest of the config.
    pub config_digest: Option<String>,
    /// The digest of the manifest, where one was written or pushed.
    pub digest: Option<String>,
    /// How an index would name it.
    pub described: Option<Described>,
    /// The names it got.
    pub names: Vec<Reference>,
    /// The exit code that a person chose for a success.
    pub code: u8,
    /// How it came to be, for each platform.
    pub facts: Vec<Facts>,
}

impl Outcome {
    /// Buildx's keys, as far as there is something to say.
    fn metadata(&self, detail: Option<Detail>) -> Map<String, Value> {
        let names: Vec<_> = self.names.iter().map(Reference::canonical).collect();
        let names = (!names.is_empty()).then(|| names.join(","));
        let pairs = [
            (
                "containerimage.config.digest",
                self.config_digest.clone().map(Value::from),
            ),
            (
                "containerimage.descriptor",
                self.described.as_ref().map(|described| json!(described)),
            ),
            (
                "containerimage.digest",
                self.digest
                    .clone()
                    .or_else(|| self.image.clone())
                    .map(Value::from),
            ),
            ("image.name", names.map(Value::from)),
        ];
        let pairs = pairs.into_iter();
        let mut known: Map<String, Value> = pairs
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect();
        for one in &self.facts {
            known.insert(
                "buildx.build.ref".into(),
                format!("default/default/{}", one.id).into(),
            );
            let Some(detail) = detail else { continue };
            let key = "buildx.build.provenance";
            let key = match self.facts.as_slice() {
                [_] => key.to_owned(),
                _ => format!("{key}/{}", one.platform),
            };
            known.insert(key, one.in_metadata(detail));
        }
        known
    }
}

/// Writes the answer to a question to standard output.
///
/// # Errors
/// When it cannot be written.
pub(super) fn print(text: &str) -> Result<(), Vec<Diagnostic>> {
    let mut out = io::stdout();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed
        .map_err(|error| vec![Diagnostic::error(error.to_string()).with_class(Class::Environment)])
}

/// Writes what the report asks for.
///
/// # Errors
/// When a file or standard output cannot be written.
pub(super) fn write(outcome: &Outcome, report: &Report) -> Result<(), Diagnostic> {
    let failed =
        |error: io::Error| Diagnostic::error(error.to_string()).with_class(Class::Environment);
    let id = outcome.image.as_ref().or(outcome.config_digest.as_ref());
    if let (Some(path), Some(id)) = (&report.iidfile, id) {
        fs_err::write(path, id).map_err(failed)?;
    }
    if let Some(path) = &report.metadata_file {
        let text = serde_json::to_vec_pretty(&outcome.metadata(report.metadata_provenance))
            .map_err(|error| failed(error.into()))?;
        fs_err::write(path, text).map_err(failed)?;
    }
    if report.print_id && !outcome.facts.is_empty() {
        // Where there is no image, the line is empty, as with buildx.
        let image = id.map_or("", String::as_str);
        let mut out = io::stdout();
        writeln!(out, "{image}")
            .and_then(|()| out.flush())
            .map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_has_buildx_keys() {
        let outcome = Outcome {
            image: Some("sha256:1".into()),
            config_digest: Some("sha256:2".into()),
            digest: None,
            described: None,
            facts: Vec::new(),
            names: vec![
                Reference::parse("app:1").unwrap(),
                Reference::parse("h:5/b:2").unwrap(),
            ],
            code: 0,
        };
        assert_eq!(
            serde_json::to_string(&outcome.metadata(None)).unwrap(),
            r#"{"containerimage.config.digest":"sha256:2","containerimage.digest":"sha256:1","image.name":"docker.io/library/app:1,h:5/b:2"}"#
        );
        assert!(Outcome::default().metadata(None).is_empty());
    }
}
