//! `--cache-from` and `--cache-to`.

use std::path::PathBuf;

use super::Result;
use super::output::{boolean, fields};
use crate::cli::args::OtherArgs;
use crate::diag::Diagnostic;
use crate::image::Reference;
use crate::request::caches::{CachePlace, CacheTo, Caches};

/// The caches, and what is to be said of those that make no difference.
pub(super) fn caches(
    args: &OtherArgs,
    build_args: &[(String, String)],
) -> Result<(Caches, Vec<String>)> {
    let mut caches = Caches::default();
    let mut warnings = Vec::new();
    for text in args.cache_from.iter().filter(|text| !text.is_empty()) {
        let entry = Entry::read("--cache-from", text)?;
        match entry.place("src")? {
            Kind::Place(place) => caches.from.push(place),
            Kind::Inline => return Err(entry.invalid("`inline` is no place to read from")),
            Kind::Foreign => warnings.push(entry.without_use()),
        }
    }
    for text in args.cache_to.iter().filter(|text| !text.is_empty()) {
        let entry = Entry::read("--cache-to", text)?;
        match entry.place("dest")? {
            Kind::Place(place) => caches.to.push(CacheTo {
                place,
                everything: entry.everything()?,
                ignore_error: entry.flag("ignore-error")?,
            }),
            Kind::Inline => caches.inline = true,
            Kind::Foreign => warnings.push(entry.without_use()),
        }
    }
    let argument = build_args
        .iter()
        .find(|(name, _)| name == "BUILDKIT_INLINE_CACHE");
    caches.inline |= argument.is_some_and(|(_, value)| boolean(value) == Some(true));
    Ok((caches, warnings))
}

struct Entry<'a> {
    flag: &'static str,
    text: &'a str,
    fields: Vec<(String, String)>,
}

enum Kind {
    Place(CachePlace),
    Inline,
    /// A service that only some CI has.
    Foreign,
}

impl<'a> Entry<'a> {
    fn read(flag: &'static str, text: &'a str) -> Result<Self> {
        let mut entry = Self {
            flag,
            text,
            fields: Vec::new(),
        };
        let fields = fields(text).ok_or_else(|| entry.invalid("a quote is not closed"))?;
        // An image alone is a cache in its registry.
        if let [name] = fields.as_slice()
            && !name.contains('=')
        {
            entry.fields.push(("ref".into(), name.clone()));
            return Ok(entry);
        }
        for field in fields {
            let Some((key, value)) = field.split_once('=') else {
                return Err(entry.invalid(&format!("`{field}` is not of the form `KEY=VALUE`")));
            };
            let key = key.trim().to_lowercase();
            entry.fields.push((key, value.to_owned()));
        }
        Ok(entry)
    }

    fn value(&self, key: &str) -> Option<&str> {
        let found = self.fields.iter().rev().find(|(name, _)| name == key);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    fn flag(&self, key: &str) -> Result<bool> {
        let Some(value) = self.value(key) else {
            return Ok(false);
        };
        let wrong = || {
            self.invalid(&format!(
                "`{value}` is neither `true` nor `false` for `{key}`"
            ))
        };
        boolean(value).ok_or_else(wrong)
    }

    fn everything(&self) -> Result<bool> {
        match self.value("mode") {
            None | Some("min") => Ok(false),
            Some("max") => Ok(true),
            Some(_) => Err(self.invalid("the mode is neither `min` nor `max`")),
        }
    }

    fn place(&self, directory: &str) -> Result<Kind> {
        match self.value("type").unwrap_or("registry") {
            "registry" => {
                let text = self
                    .value("ref")
                    .ok_or_else(|| self.invalid("it has no `ref`"))?;
                let reference = Reference::parse(text)
                    .map_err(|error| self.invalid(&error.to_string()))?
                    .with_default_tag();
                let insecure = self.flag("registry.insecure")?;
                Ok(Kind::Place(CachePlace::Registry {
                    reference,
                    insecure,
                }))
            }
            "local" => {
                let path = self
                    .value(directory)
                    .ok_or_else(|| self.invalid(&format!("it has no `{directory}`")))?;
                Ok(Kind::Place(CachePlace::Directory {
                    path: PathBuf::from(path),
                    tag: self.value("tag").unwrap_or("latest").to_owned(),
                }))
            }
            "inline" => Ok(Kind::Inline),
            "gha" | "s3" | "azblob" => Ok(Kind::Foreign),
            other => Err(self.invalid(&format!("there is no type `{other}`"))),
        }
    }

    fn invalid(&self, why: &str) -> Diagnostic {
        Diagnostic::error(format!("invalid `{} {}`: {why}", self.flag, self.text))
    }

    fn without_use(&self) -> String {
        format!(
            "`{} {}` makes no difference: bowline does not know that service, and keeps its cache in \
             the engine",
            self.flag, self.text
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn of(flags: &[&str]) -> Result<(Caches, Vec<String>)> {
        let words = ["bowline", "build", "."].iter().chain(flags);
        let cli = crate::cli::args::Cli::try_parse_from(words).unwrap();
        let crate::cli::args::Command::Build(args) = cli.command else {
            panic!("not a build");
        };
        caches(&args.others, &[])
    }

    #[test]
    fn caches_are_read() {
        let registry = |text: &str| CachePlace::Registry {
            reference: Reference::parse(text).unwrap(),
            insecure: false,
        };
        let directory = |path: &str, tag: &str| CachePlace::Directory {
            path: path.into(),
            tag: tag.into(),
        };
        let (read, warnings) = of(&[
            "--cache-from=user/app",
            "--cache-from=type=local,src=a/b",
            "--cache-from=type=gha",
            "--cache-to=type=registry,ref=h:5/c:d,mode=max,ignore-error=true",
            "--cache-to",
            "type=local,dest=x,tag=y",
            "--cache-to=type=inline",
        ])
        .unwrap();
        let expected = Caches {
            from: vec![registry("user/app:latest"), directory("a/b", "latest")],
            to: vec![
                CacheTo {
                    place: registry("h:5/c:d"),
                    everything: true,
                    ignore_error: true,
                },
                CacheTo {
                    place: directory("x", "y"),
                    everything: false,
                    ignore_error: false,
                },
            ],
            inline: true,
        };
        assert_eq!(read, expected);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        for flag in [
            "--cache-from=type=inline",
            "--cache-from=type=local",
            "--cache-from=type=nope",
            "--cache-to=type=registry",
            "--cache-to=type=registry,ref=A",
            "--cache-to=type=local,dest=x,mode=some",
        ] {
            assert!(of(&[flag]).is_err(), "{flag}");
        }
    }
}
