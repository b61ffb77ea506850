//! Instructions whose arguments are one word or a list of words: `EXPOSE`, `VOLUME`,
//! `USER`, `WORKDIR`, `STOPSIGNAL`, `MAINTAINER`, `SHELL`.

use crate::dockerfile::ast::{Kind, Word};
use crate::dockerfile::parse::request::{Fault, Request};

/// One argument, which is the rest of the line.
pub(super) fn read_one(request: &Request<'_>) -> Result<Word, Fault> {
    let word = only(request)?;
    request.flags(&[])?;
    Ok(word)
}

/// As [`read_one`], but BuildKit ignores flags here.
pub(super) fn read_stop_signal(request: &Request<'_>) -> Result<Kind, Fault> {
    Ok(Kind::StopSignal(only(request)?))
}

fn only(request: &Request<'_>) -> Result<Word, Fault> {
    let word = request.whole();
    if word.text.is_empty() {
        let message = format!("`{}` requires exactly one argument", request.name());
        return Err(request.missing(message).into());
    }
    Ok(word)
}

pub(super) fn read_expose(request: &Request<'_>) -> Result<Kind, Fault> {
    let ports = request.blank_separated();
    at_least_one(request, &ports)?;
    request.flags(&[])?;
    Ok(Kind::Expose(ports))
}

pub(super) fn read_volume(request: &Request<'_>) -> Result<Kind, Fault> {
    let (mut paths, json) = request.list()?;
    at_least_one(request, &paths)?;
    request.flags(&[])?;
    for path in &mut paths {
        path.text = path.text.trim().to_owned();
        if path.text.is_empty() {
            return Err(request
                .error("a `VOLUME` cannot be an empty path", path.span)
                .into());
        }
    }
    Ok(Kind::Volume { paths, json })
}

pub(super) fn read_shell(request: &Request<'_>) -> Result<Kind, Fault> {
    let words = request.json()?;
    request.flags(&[])?;
    match words {
        Some(words) => {
            at_least_one(request, &words)?;
            Ok(Kind::Shell(words))
        }
        None => {
            let whole = request.whole();
            if whole.text.is_empty() {
                return Err(no_argument(request));
            }
            let quoted: Vec<_> = request
                .blank_separated()
                .iter()
                .map(|word| format!("{:?}", word.text))
                .collect();
            let error = request
                .error("`SHELL` requires its arguments as a JSON list", whole.span)
                .with_hint(format!("write `SHELL [{}]`", quoted.join(", ")));
            Err(error.into())
        }
    }
}

pub(super) fn at_least_one(request: &Request<'_>, words: &[Word]) -> Result<(), Fault> {
    if words.is_empty() {
        return Err(no_argument(request));
    }
    Ok(())
}

pub(super) fn no_argument(request: &Request<'_>) -> Fault {
    let message = format!("`{}` requires at least one argument", request.name());
    request.missing(message).into()
}
