//! Flags of instructions: `--name`, `--name=value`.

use std::ops::Range;
use std::sync::Arc;

use crate::diag::{Diagnostic, suggest};
use crate::dockerfile::ast::{Spanned, Word};
use crate::dockerfile::joined::Joined;
use crate::source::{SourceFile, Span};

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing, or `=true`, or `=false`.
    Bool,
    /// A value, once.
    One,
    /// A value each time.
    Many,
}

/// The flags that an instruction knows.
pub(super) type Known = [(&'static str, Takes)];

/// The flags that it was given.
#[derive(Debug, Default)]
pub(super) struct Flags {
    given: Vec<Given>,
}

#[derive(Debug)]
struct Given {
    name: &'static str,
    flag: Joined,
    /// Where the value is in the flag.
    value: Range<usize>,
    /// What a [`Takes::Bool`] was set to.
    on: bool,
}

impl Flags {
    /// Reads the flags of `instruction` (its name, for messages).
    pub(super) fn read(
        source: &Arc<SourceFile>,
        instruction: &str,
        flags: &[Joined],
        known: &Known,
    ) -> Result<Self, Diagnostic> {
        let mut read = Self::default();
        for flag in flags {
            let given = Given::read(source, instruction, flag, known)?;
            let takes = known.iter().find(|(name, _)| *name == given.name);
            let is_many = takes.is_some_and(|(_, takes)| *takes == Takes::Many);
            if let Some(first) = read.find(given.name).filter(|_| !is_many) {
                let message = format!("flag `--{}` is given twice", given.name);
                return Err(Diagnostic::error(message)
                    .with_label(source, given.flag.span(&given.flag.whole()), "")
                    .with_context(
                        source,
                        first.flag.span(&first.flag.whole()),
                        "the first is here",
                    ));
            }
            read.given.push(given);
        }
        Ok(read)
    }

    fn find(&self, name: &str) -> Option<&Given> {
        self.given.iter().find(|given| given.name == name)
    }

    /// The value of a [`Takes::One`].
    pub(super) fn one(&self, name: &str) -> Option<Word> {
        let given = self.find(name)?;
        Some(given.flag.word(given.value.clone()))
    }

    /// The values of a [`Takes::Many`], each with its text to take apart further.
    pub(super) fn many<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a Joined, Range<usize>)> {
        let given = self.given.iter().filter(move |given| given.name == name);
        given.map(|given| (&given.flag, given.value.clone()))
    }

    /// The values of a [`Takes::Many`] as words.
    pub(super) fn words(&self, name: &str) -> Vec<Word> {
        let values = self.many(name);
        values.map(|(flag, value)| flag.word(value)).collect()
    }

    /// The value of a [`Takes::Bool`].
    pub(super) fn bool(&self, name: &str) -> Option<Spanned<bool>> {
        let given = self.find(name)?;
        Some(Spanned {
            value: given.on,
            span: given.flag.span(&given.flag.whole()),
        })
    }
}

impl Given {
    fn read(
        source: &Arc<SourceFile>,
        instruction: &str,
        flag: &Joined,
        known: &Known,
    ) -> Result<Self, Diagnostic> {
        let text = flag.text();
        let equals = text.find('=');
        let name_end = equals.unwrap_or(text.len());
        let written = &text[..name_end];
        let Some(&(name, takes)) = known.iter().find(|(name, _)| *name == &written[2..]) else {
            let span = flag.span(&(0..name_end));
            return Err(unknown(instruction, &written[2..], known, source, span));
        };
        let value = equals.map_or(name_end, |equals| equals + 1)..text.len();
        let missing = if takes == Takes::Bool {
            equals.is_some() && value.is_empty()
        } else {
            equals.is_none()
        };
        if missing {
            let message = format!("flag `--{name}` has no value");
            let span = flag.span(&flag.whole());
            let label = format!("write `--{name}=...`");
            return Err(Diagnostic::error(message).with_label(source, span, label));
        }
        let on = if takes == Takes::Bool {
            read_bool(source, name, flag, value.clone())?
        } else {
            false
        };
        Ok(Self {
            name,
            flag: flag.clone(),
            value,
            on,
        })
    }
}

fn read_bool(
    source: &Arc<SourceFile>,
    name: &str,
    flag: &Joined,
    value: Range<usize>,
) -> Result<bool, Diagnostic> {
    match flag.text()[value.clone()].to_ascii_lowercase().as_str() {
        "" | "true" => Ok(true),
        "false" => Ok(false),
        other => {
            let message = format!("flag `--{name}` is `true` or `false`, not `{other}`");
            Err(Diagnostic::error(message).with_label(source, flag.span(&value), ""))
        }
    }
}

fn unknown(
    instruction: &str,
    name: &str,
    known: &Known,
    source: &Arc<SourceFile>,
    span: Span,
) -> Diagnostic {
    let error = Diagnostic::error(format!("unknown flag `--{name}` for `{instruction}`"));
    let names = known.iter().map(|(name, _)| *name);
    if let Some(near) = suggest(name, names.clone()) {
        return error.with_label(source, span, format!("did you mean `--{near}`?"));
    }
    let error = error.with_label(source, span, "");
    let all: Vec<_> = names.map(|name| format!("`--{name}`")).collect();
    if all.is_empty() {
        error.with_hint(format!("`{instruction}` takes no flags"))
    } else {
        error.with_hint(format!("`{instruction}` takes {}", all.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, Known, Takes};
    use crate::dockerfile::joined::Joined;
    use crate::source::SourceFile;

    const KNOWN: &Known = &[
        ("from", Takes::One),
        ("link", Takes::Bool),
        ("exclude", Takes::Many),
    ];

    fn read(text: &str) -> Result<Flags, String> {
        let source = SourceFile::new("Dockerfile", text);
        let mut flags = Vec::new();
        let mut at = 0;
        for part in text.split(' ') {
            let mut flag = Joined::at(at);
            flag.push_str(part, at);
            flags.push(flag);
            at += part.len() + 1;
        }
        Flags::read(&source, "COPY", &flags, KNOWN).map_err(|error| {
            let label = error.primary_label().unwrap();
            format!(
                "{} | {} | {}",
                error.message,
                source.slice(label.span),
                label.text
            )
        })
    }

    #[test]
    fn values_are_kept_with_their_places() {
        let flags = read("--from=a=b --link --exclude=x --exclude=").unwrap();
        assert_eq!(flags.one("from").unwrap().text, "a=b");
        assert_eq!(flags.one("from").unwrap().span.start, 7);
        assert!(flags.bool("link").unwrap().value);
        let excludes: Vec<_> = flags
            .words("exclude")
            .into_iter()
            .map(|word| word.text)
            .collect();
        assert_eq!(excludes, ["x", ""]);
        assert!(flags.bool("parents").is_none());
    }

    #[test]
    fn bools_have_two_values() {
        for (text, value) in [
            ("--link", true),
            ("--link=true", true),
            ("--link=TRUE", true),
            ("--link=False", false),
        ] {
            assert_eq!(
                read(text).unwrap().bool("link").unwrap().value,
                value,
                "{text}"
            );
        }
    }

    #[test]
    fn mistakes_are_underlined() {
        for (text, expected) in [
            (
                "--form=x",
                "unknown flag `--form` for `COPY` | --form | did you mean `--from`?",
            ),
            (
                "--From=x",
                "unknown flag `--From` for `COPY` | --From | did you mean `--from`?",
            ),
            (
                "--nothing",
                "unknown flag `--nothing` for `COPY` | --nothing | ",
            ),
            ("--=x", "unknown flag `--` for `COPY` | -- | "),
            (
                "--from",
                "flag `--from` has no value | --from | write `--from=...`",
            ),
            (
                "--exclude",
                "flag `--exclude` has no value | --exclude | write `--exclude=...`",
            ),
            (
                "--link=",
                "flag `--link` has no value | --link= | write `--link=...`",
            ),
            (
                "--link=1",
                "flag `--link` is `true` or `false`, not `1` | 1 | ",
            ),
            (
                "--from=a --from=b",
                "flag `--from` is given twice | --from=b | ",
            ),
            (
                "--link --link=false",
                "flag `--link` is given twice | --link=false | ",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), expected, "{text}");
        }
    }
}
