//! `FROM`

use crate::dockerfile::ast::{FromInst, Kind, Word};
use crate::dockerfile::flags::Takes;
use crate::dockerfile::parse::request::{Fault, Request};

pub(super) fn read(request: &Request<'_>) -> Result<Kind, Fault> {
    let mut words = request.blank_separated().into_iter();
    let (image, as_keyword, name) = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(image), None, ..) => (image, None, None),
        (Some(image), Some(as_keyword), Some(name), None)
            if as_keyword.text.eq_ignore_ascii_case("as") =>
        {
            check_name(request, &name)?;
            (image, Some(as_keyword), Some(name))
        }
        (None, ..) => return Err(request.missing("`FROM` requires an image").into()),
        (Some(_), Some(next), ..) => return Err(wrong_arguments(request, &next)),
    };
    let flags = request.flags(&[("platform", Takes::One)])?;
    Ok(Kind::From(FromInst {
        platform: flags.one("platform"),
        image,
        as_keyword,
        name,
    }))
}

fn wrong_arguments(request: &Request<'_>, second: &Word) -> Fault {
    let words = request.blank_separated();
    let is_as = second.text.eq_ignore_ascii_case("as");
    let rest = match words.as_slice() {
        [_, _, _, more @ ..] if is_as && !more.is_empty() => &words[3..],
        _ => &words[1..],
    };
    let span = rest[0].span.to(rest[rest.len() - 1].span);
    let mut error = request.error("`FROM` requires either one or three arguments", span);
    error = if rest[0].text.starts_with('#') {
        error.with_hint("a comment needs a line of its own")
    } else if is_as && words.len() == 2 {
        error.with_hint("the name of the stage is missing after `AS`")
    } else {
        error.with_hint("write `FROM image` or `FROM image AS name`")
    };
    error.into()
}

/// Stage names are lower-cased before they are judged.
fn check_name(request: &Request<'_>, name: &Word) -> Result<(), Fault> {
    let lower = name.text.to_lowercase();
    let is_letter = |c: char| c.is_ascii_lowercase();
    let is_part = |c: char| is_letter(c) || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if lower.starts_with(is_letter) && lower.chars().all(is_part) {
        return Ok(());
    }
    let message = format!("`{}` is not a valid name for a stage", name.text);
    let error = request
        .error(message, name.span)
        .with_hint("a name starts with a letter; letters, digits, `-`, `_` and `.` may follow");
    Err(error.into())
}
