//! Which instruction a keyword names.

use crate::diag::{Diagnostic, suggest};
use crate::dockerfile::ast::Kind;
use crate::dockerfile::parse::request::{Fault, Request};
use crate::dockerfile::parse::{command, copy, from, health, onbuild, pairs, run, simple};

/// All keywords.
const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

pub(super) fn is_known(keyword: &str) -> bool {
    KEYWORDS
        .iter()
        .any(|name| name.eq_ignore_ascii_case(keyword))
}

pub(super) fn read(request: &mut Request<'_>) -> Result<Kind, Fault> {
    match request.name().as_str() {
        "ADD" => copy::read_add(request),
        "ARG" => pairs::read_arg(request),
        "CMD" => Ok(Kind::Cmd(command::read(request)?)),
        "COPY" => copy::read_copy(request),
        "ENTRYPOINT" => Ok(Kind::Entrypoint(command::read(request)?)),
        "ENV" => Ok(Kind::Env(pairs::read(request)?)),
        "EXPOSE" => simple::read_expose(request),
        "FROM" => from::read(request),
        "HEALTHCHECK" => health::read(request),
        "LABEL" => Ok(Kind::Label(pairs::read(request)?)),
        "MAINTAINER" => Ok(Kind::Maintainer(simple::read_one(request)?)),
        "ONBUILD" => onbuild::read(request),
        "RUN" => run::read(request),
        "SHELL" => simple::read_shell(request),
        "STOPSIGNAL" => simple::read_stop_signal(request),
        "USER" => Ok(Kind::User(simple::read_one(request)?)),
        "VOLUME" => simple::read_volume(request),
        "WORKDIR" => Ok(Kind::Workdir(simple::read_one(request)?)),
        _ => Err(unknown(request).into()),
    }
}

fn unknown(request: &Request<'_>) -> Diagnostic {
    let keyword = &request.statement.keyword;
    if keyword.text.is_empty() {
        return request.error("this continuation has no instruction", keyword.span);
    }
    let message = format!("unknown instruction `{}`", keyword.text);
    let error = Diagnostic::error(message);
    let Some(near) = suggest(&keyword.text, KEYWORDS) else {
        return error.with_label(request.source, keyword.span, "");
    };
    let is_lower = keyword.text.chars().all(|c| !c.is_uppercase());
    let near = if is_lower {
        near.to_ascii_lowercase()
    } else {
        near.to_owned()
    };
    error.with_label(
        request.source,
        keyword.span,
        format!("did you mean `{near}`?"),
    )
}
