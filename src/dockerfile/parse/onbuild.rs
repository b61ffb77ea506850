//! `ONBUILD`

use std::ops::Range;
use std::sync::Arc;

use crate::diag::Severity;
use crate::dockerfile::ast::{Heredoc, Instruction, Kind, Onbuild};
use crate::dockerfile::joined::Joined;
use crate::dockerfile::parse::instruction;
use crate::dockerfile::parse::request::{Fault, Request};
use crate::dockerfile::parse::simple;
use crate::dockerfile::split;

pub(super) fn read(request: &mut Request<'_>) -> Result<Kind, Fault> {
    let args = request.statement.args.clone();
    if args.is_empty() {
        return Err(simple::no_argument(request));
    }
    request.flags(&[])?;
    let inner = split::statement(request.line, args.clone(), request.escape);
    let name = inner.keyword.text.to_ascii_uppercase();
    match name.as_str() {
        "ONBUILD" => {
            let message = "`ONBUILD` cannot be chained";
            return Err(request.error(message, inner.keyword.span).into());
        }
        "FROM" | "MAINTAINER" => {
            let message = format!("`{name}` cannot be an `ONBUILD` trigger");
            return Err(request.error(message, inner.keyword.span).into());
        }
        _ => {}
    }
    let mut inner_request = Request {
        source: request.source,
        line: request.line,
        escape: request.escape,
        statement: &inner,
        heredocs: request.heredocs,
        warnings: Vec::new(),
    };
    let kind = match instruction::read(&mut inner_request) {
        Ok(kind) => Some(kind),
        Err(fault) if fault.malformed => return Err(fault),
        Err(fault) => {
            let mut warning = *fault.diagnostic;
            warning.severity = Severity::Warning;
            request
                .warnings
                .push(warning.with_note("the trigger is stored, and fails when it fires"));
            None
        }
    };
    let inner = kind.map(|kind| {
        Box::new(Instruction {
            source: Arc::clone(request.source),
            span: request.line.span(&args),
            keyword: inner.keyword.clone(),
            kind,
            original: request.line.text()[args.clone()].to_owned(),
            heredocs: request.heredocs.to_vec(),
            comments: Vec::new(),
            empty_continuations: Vec::new(),
        })
    });
    let trigger = trigger(
        request.line,
        &request.statement.keyword.text,
        request.heredocs,
    );
    Ok(Kind::Onbuild(Onbuild { trigger, inner }))
}

/// What the image stores: the line behind the keyword, its trailing blanks too, and
/// the heredocs put back below it.
fn trigger(line: &Joined, keyword: &str, heredocs: &[Heredoc]) -> String {
    let start: Range<usize> = line.trim(line.whole());
    let behind = &line.text()[start.start + keyword.len()..];
    let mut trigger = behind.trim_start().to_owned();
    for heredoc in heredocs {
        trigger.push('\n');
        trigger.push_str(&heredoc.content);
        trigger.push_str(&heredoc.name);
    }
    trigger
}
