//! `RUN`

use std::ops::Range;

use crate::diag::{Diagnostic, suggest};
use crate::dockerfile::ast::{
    Device, Kind, Mount, MountOption, RunInst, RunNetwork, RunSecurity, Spanned, Word,
};
use crate::dockerfile::csv::{self, CsvError};
use crate::dockerfile::flags::{Known, Takes};
use crate::dockerfile::joined::Joined;
use crate::dockerfile::mount::parse_bool;
use crate::dockerfile::parse::command;
use crate::dockerfile::parse::request::{Fault, Request};

const FLAGS: &Known = &[
    ("mount", Takes::Many),
    ("network", Takes::One),
    ("security", Takes::One),
    ("device", Takes::Many),
];

const NETWORKS: [(&str, RunNetwork); 3] = [
    ("default", RunNetwork::Default),
    ("none", RunNetwork::None),
    ("host", RunNetwork::Host),
];

const SECURITIES: [(&str, RunSecurity); 2] = [
    ("sandbox", RunSecurity::Sandbox),
    ("insecure", RunSecurity::Insecure),
];

pub(super) fn read(request: &Request<'_>) -> Result<Kind, Fault> {
    let command = command::form(request)?;
    let flags = request.flags(FLAGS)?;
    let mounts = flags
        .many("mount")
        .map(|(flag, value)| mount(request, flag, value));
    let mounts = mounts.collect::<Result<_, _>>()?;
    let devices = flags
        .many("device")
        .map(|(flag, value)| device(request, flag, value));
    Ok(Kind::Run(RunInst {
        command,
        mounts,
        network: choice(request, "network mode", flags.one("network"), &NETWORKS)?,
        security: choice(request, "security mode", flags.one("security"), &SECURITIES)?,
        devices: devices.collect::<Result<_, _>>()?,
    }))
}

/// One of a few words.
fn choice<T: Copy>(
    request: &Request<'_>,
    what: &str,
    word: Option<Word>,
    choices: &[(&str, T)],
) -> Result<Option<Spanned<T>>, Diagnostic> {
    let Some(Word { text, span }) = word else {
        return Ok(None);
    };
    if let Some(&(_, value)) = choices.iter().find(|(name, _)| *name == text) {
        return Ok(Some(Spanned { value, span }));
    }
    let names = choices.iter().map(|(name, _)| *name);
    let mut error = request.error(format!("invalid {what} `{text}`"), span);
    if let Some(near) = suggest(&text, names.clone()) {
        error.labels[0].text = format!("did you mean `{near}`?");
        return Err(error);
    }
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    Err(error.with_hint(format!("it can be {}", names.join(", "))))
}

fn fields(
    request: &Request<'_>,
    what: &str,
    flag: &Joined,
    value: Range<usize>,
) -> Result<Vec<Joined>, Diagnostic> {
    if value.is_empty() {
        return Err(request.error(
            format!("flag `--{what}` is empty"),
            flag.span(&flag.whole()),
        ));
    }
    csv::fields(flag, value.clone()).map_err(|error| match error {
        CsvError::BareQuote(at) => request.error(
            format!("a quote in the middle of a field of `--{what}`"),
            flag.span(&(at..at + 1)),
        ),
        CsvError::BadQuote(at) => request.error(
            format!("the quotes in `--{what}` do not enclose a whole field"),
            flag.span(&(at..value.end)),
        ),
    })
}

/// Cuts a field at its first `=`.
fn cut(field: &Joined) -> (Word, Option<Word>) {
    match field.text().find('=') {
        None => (field.word(field.whole()), None),
        Some(equals) => (
            field.word(0..equals),
            Some(field.word(equals + 1..field.len())),
        ),
    }
}

fn mount(request: &Request<'_>, flag: &Joined, value: Range<usize>) -> Result<Mount, Diagnostic> {
    let span = flag.span(&value);
    let mut options = Vec::new();
    for field in fields(request, "mount", flag, value)? {
        let (key, value) = cut(&field);
        if key.text.eq_ignore_ascii_case("from")
            && let Some(from) = &value
            && from
                .text
                .find('$')
                .is_some_and(|at| at + 1 != from.text.len())
        {
            return Err(request
                .error("variables are not supported in `from`", from.span)
                .with_hint("define a stage with `FROM` that uses an `ARG` before the first `FROM`, and name it here"));
        }
        options.push(MountOption { key, value });
    }
    Ok(Mount { span, options })
}

fn device(request: &Request<'_>, flag: &Joined, value: Range<usize>) -> Result<Device, Diagnostic> {
    let span = flag.span(&value);
    let nameless = Word::new("", crate::source::Span::at(span.end));
    let mut name = nameless;
    let mut required = false;
    for field in fields(request, "device", flag, value)? {
        let (key, value) = cut(&field);
        let whole = field.word(field.whole());
        match (key.text.to_lowercase().as_str(), value) {
            ("required", None) => required = true,
            ("required", Some(value)) => {
                required = parse_bool(&value.text).ok_or_else(|| {
                    let message = format!("invalid value `{}` for `required`", value.text);
                    request.error(message, value.span)
                })?;
            }
            ("name", Some(value)) => {
                if !name.text.is_empty() {
                    let message = format!("the device is already named `{}`", name.text);
                    return Err(request.error(message, value.span));
                }
                name = value;
            }
            _ if name.text.is_empty() => name = whole,
            (key, Some(_)) => {
                let message = format!("unexpected key `{key}` in `--device`");
                return Err(request.error(message, whole.span));
            }
            (_, None) => {
                let message = format!("`{}` in `--device` must be `key=value`", whole.text);
                return Err(request.error(message, whole.span));
            }
        }
    }
    Ok(Device {
        span,
        name,
        required,
    })
}
