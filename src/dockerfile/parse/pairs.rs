//! `ENV`, `LABEL` and `ARG`.

use std::ops::Range;

use crate::dockerfile::ast::{ArgItem, Kind, Pair, Pairs};
use crate::dockerfile::parse::request::{Fault, Request};
use crate::dockerfile::parse::simple;
use crate::dockerfile::split;

/// `ENV` and `LABEL`.
pub(super) fn read(request: &Request<'_>) -> Result<Pairs, Fault> {
    let args = request.statement.args.clone();
    let words = split::outside_quotes(request.line, args.clone(), request.escape);
    let pairs = match words.first() {
        None => None,
        // Whether the first word has a `=` decides between the forms.
        Some(first) if text(request, first).contains('=') => Some(new_form(request, words)?),
        Some(_) => Some(old_form(request, args)?),
    };
    request.flags(&[])?;
    let Some(pairs) = pairs else {
        return Err(simple::no_argument(request));
    };
    if let Some(blank) = pairs.pairs.iter().find(|pair| pair.key.text.is_empty()) {
        let message = format!("a name in `{}` cannot be empty", request.name());
        let span = blank.key.span.to(blank.value.span);
        return Err(request.error(message, span).into());
    }
    Ok(pairs)
}

fn text<'a>(request: &Request<'a>, range: &Range<usize>) -> &'a str {
    &request.line.text()[range.clone()]
}

fn new_form(request: &Request<'_>, words: Vec<Range<usize>>) -> Result<Pairs, Fault> {
    let pairs = words.into_iter().map(|word| {
        let Some(equals) = text(request, &word).find('=') else {
            let written = request.line.word(word);
            let message = format!("no `=` in `{}`", written.text);
            let error = request
                .error(message, written.span)
                .with_hint("each must be `name=value`; quote a value that has spaces");
            return Err(Fault::malformed(error));
        };
        Ok(Pair {
            key: request.line.word(word.start..word.start + equals),
            value: request.line.word(word.start + equals + 1..word.end),
        })
    });
    Ok(Pairs {
        pairs: pairs.collect::<Result<_, _>>()?,
        legacy: false,
    })
}

fn old_form(request: &Request<'_>, args: Range<usize>) -> Result<Pairs, Fault> {
    let all = text(request, &args);
    let Some(key_length) = all.find(split::is_blank) else {
        let key = request.line.word(args);
        let message = format!("`{}` requires a name and a value", request.name());
        let label = format!("write `{}=...`", key.text);
        let mut error = request.error(message, key.span);
        error.labels[0].text = label;
        return Err(Fault::malformed(error));
    };
    let rest = all[key_length..].trim_start_matches(split::is_blank);
    let key = request.line.word(args.start..args.start + key_length);
    let value = request.line.word(args.end - rest.len()..args.end);
    Ok(Pairs {
        pairs: vec![Pair { key, value }],
        legacy: true,
    })
}

/// `ARG`. BuildKit ignores flags here.
pub(super) fn read_arg(request: &Request<'_>) -> Result<Kind, Fault> {
    let args = request.statement.args.clone();
    let words = split::outside_quotes(request.line, args, request.escape);
    let items = words.into_iter().map(|word| {
        let Some(equals) = text(request, &word).find('=') else {
            let name = request.line.word(word);
            return Ok(ArgItem {
                name,
                default: None,
            });
        };
        if equals == 0 {
            let span = request.line.span(&word);
            return Err(request.error("a name in `ARG` cannot be empty", span));
        }
        Ok(ArgItem {
            name: request.line.word(word.start..word.start + equals),
            default: Some(request.line.word(word.start + equals + 1..word.end)),
        })
    });
    let items: Vec<_> = items.collect::<Result<_, _>>()?;
    if items.is_empty() {
        return Err(request
            .missing("`ARG` requires at least one argument")
            .into());
    }
    Ok(Kind::Arg(items))
}
