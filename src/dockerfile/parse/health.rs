//! `HEALTHCHECK`

use std::time::Duration;

use crate::diag::Diagnostic;
use crate::dockerfile::ast::{Command, Healthcheck, HealthcheckCmd, Kind, Word};
use crate::dockerfile::flags::{Flags, Known, Takes};
use crate::dockerfile::parse::command;
use crate::dockerfile::parse::duration;
use crate::dockerfile::parse::request::{Fault, Request};
use crate::dockerfile::parse::simple;
use crate::dockerfile::split::Statement;

const FLAGS: &Known = &[
    ("interval", Takes::One),
    ("timeout", Takes::One),
    ("start-period", Takes::One),
    ("start-interval", Takes::One),
    ("retries", Takes::One),
];

const SHORTEST: Duration = Duration::from_millis(1);

pub(super) fn read(request: &Request<'_>) -> Result<Kind, Fault> {
    let args = request.statement.args.clone();
    let text = &request.line.text()[args.clone()];
    let kind_length = text.find(char::is_whitespace).unwrap_or(text.len());
    let kind = request.line.word(args.start..args.start + kind_length);
    let behind = Statement {
        keyword: request.statement.keyword.clone(),
        flags: Vec::new(),
        args: request.line.trim(args.start + kind_length..args.end),
    };
    let command_request = Request {
        statement: &behind,
        warnings: Vec::new(),
        ..*request
    };
    // A malformed list is an error whatever stands before it.
    let command = command::form(&command_request)?;
    if kind.text.is_empty() {
        return Err(simple::no_argument(request));
    }
    match kind.text.to_uppercase().as_str() {
        "NONE" => {
            if !behind.args.is_empty() {
                let span = request.line.span(&behind.args);
                return Err(request
                    .error("`HEALTHCHECK NONE` takes no arguments", span)
                    .into());
            }
            Ok(Kind::Healthcheck(Healthcheck::None))
        }
        "CMD" => read_cmd(request, &kind, command),
        _ => {
            request.flags(FLAGS)?;
            let message = format!("unknown type `{}` of `HEALTHCHECK`", kind.text);
            let mut error = request.error(message, kind.span);
            error.labels[0].text.push_str("it can be `CMD` or `NONE`");
            Err(error.into())
        }
    }
}

fn read_cmd(request: &Request<'_>, kind: &Word, command: Command) -> Result<Kind, Fault> {
    let flags = request.flags(FLAGS)?;
    let is_empty = match &command {
        Command::Shell(word) => word.text.is_empty(),
        Command::Exec(words) => words.is_empty(),
    };
    if is_empty {
        let message = "`HEALTHCHECK CMD` requires a command";
        return Err(request.error(message, kind.span).into());
    }
    Ok(Kind::Healthcheck(Healthcheck::Cmd(HealthcheckCmd {
        command,
        interval: interval(request, &flags, "interval")?,
        timeout: interval(request, &flags, "timeout")?,
        start_period: interval(request, &flags, "start-period")?,
        start_interval: interval(request, &flags, "start-interval")?,
        retries: retries(request, &flags)?,
    })))
}

fn interval(request: &Request<'_>, flags: &Flags, name: &str) -> Result<Duration, Diagnostic> {
    let Some(word) = flags.one(name).filter(|word| !word.text.is_empty()) else {
        return Ok(Duration::ZERO);
    };
    let Some(read) = duration::parse(&word.text) else {
        let message = format!("`{}` is not a duration", word.text);
        let error = request.error(message, word.span);
        return Err(error
            .with_hint("a duration is a number with a unit, such as `30s`, `1m30s` or `500ms`"));
    };
    if read.is_zero() {
        return Ok(Duration::ZERO);
    }
    if read.negative || read.size < SHORTEST {
        let message = format!("`--{name}` cannot be less than `1ms`");
        return Err(request.error(message, word.span));
    }
    Ok(read.size)
}

fn retries(request: &Request<'_>, flags: &Flags) -> Result<u32, Diagnostic> {
    let Some(word) = flags.one("retries").filter(|word| !word.text.is_empty()) else {
        return Ok(0);
    };
    match word.text.parse::<i32>() {
        Ok(count) => u32::try_from(count)
            .map_err(|_| request.error("`--retries` cannot be negative", word.span)),
        Err(_) => {
            let message = format!("`{}` is not a whole number", word.text);
            Err(request.error(message, word.span))
        }
    }
}
