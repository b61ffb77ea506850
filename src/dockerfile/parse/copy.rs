//! `COPY` and `ADD`

use crate::dockerfile::ast::{AddInst, CopyInst, CopySource, InlineFile, Kind, Word};
use crate::dockerfile::expand;
use crate::dockerfile::flags::{Known, Takes};
use crate::dockerfile::heredoc;
use crate::dockerfile::parse::request::{Fault, Request};
use crate::source::Span;

const COPY_FLAGS: &Known = &[
    ("from", Takes::One),
    ("chown", Takes::One),
    ("chmod", Takes::One),
    ("link", Takes::Bool),
    ("parents", Takes::Bool),
    ("exclude", Takes::Many),
];

const ADD_FLAGS: &Known = &[
    ("chown", Takes::One),
    ("chmod", Takes::One),
    ("checksum", Takes::One),
    ("link", Takes::Bool),
    ("keep-git-dir", Takes::Bool),
    ("unpack", Takes::Bool),
    ("exclude", Takes::Many),
];

pub(super) fn read_copy(request: &Request<'_>) -> Result<Kind, Fault> {
    let (words, json) = arguments(request)?;
    let flags = request.flags(COPY_FLAGS)?;
    let (sources, dest) = sources(request, words)?;
    let from = flags.one("from");
    if let Some(from) = &from {
        check_from(request, from)?;
    }
    Ok(Kind::Copy(CopyInst {
        from,
        chown: flags.one("chown"),
        chmod: flags.one("chmod"),
        link: flags.bool("link"),
        parents: flags.bool("parents"),
        excludes: flags.words("exclude"),
        sources,
        dest,
        json,
    }))
}

pub(super) fn read_add(request: &Request<'_>) -> Result<Kind, Fault> {
    let (words, json) = arguments(request)?;
    let flags = request.flags(ADD_FLAGS)?;
    let (sources, dest) = sources(request, words)?;
    Ok(Kind::Add(AddInst {
        chown: flags.one("chown"),
        chmod: flags.one("chmod"),
        checksum: flags.one("checksum"),
        link: flags.bool("link"),
        keep_git_dir: flags.bool("keep-git-dir"),
        unpack: flags.bool("unpack"),
        excludes: flags.words("exclude"),
        sources,
        dest,
        json,
    }))
}

fn arguments(request: &Request<'_>) -> Result<(Vec<Word>, bool), Fault> {
    let (words, json) = request.list()?;
    let name = request.name();
    match words.as_slice() {
        [] => {
            let message = format!("`{name}` requires a source and a destination");
            Err(request.missing(message).into())
        }
        [only] => {
            let message =
                format!("`{name}` requires at least two arguments, and there is only one");
            let mut error = request.error(message, only.span);
            error.labels[0]
                .text
                .push_str("there is no destination after it");
            Err(error.into())
        }
        _ => Ok((words, json)),
    }
}

/// The last word is the destination.
fn sources(request: &Request<'_>, words: Vec<Word>) -> Result<(Vec<CopySource>, Word), Fault> {
    let mut words = words;
    let Some(dest) = words.pop() else {
        return Err(request.missing("there is no destination").into());
    };
    if let Ok(Some(_)) = heredoc::opening(&dest.text) {
        let message = format!(
            "`{}` cannot take a heredoc as its destination",
            request.name()
        );
        return Err(request.error(message, dest.span).into());
    }
    let sources = words.into_iter().map(|word| source(request, word));
    Ok((sources.collect(), dest))
}

fn source(request: &Request<'_>, word: Word) -> CopySource {
    let Ok(Some(opening)) = heredoc::opening(&word.text) else {
        return CopySource::Path(word);
    };
    // Of two with one name, both become the last one's body.
    let mut heredocs = request.heredocs.iter().rev();
    let body = heredocs.find(|heredoc| heredoc.name == opening.name);
    let mut content = body.map(|body| body.content.clone()).unwrap_or_default();
    if opening.chomp {
        let lines = content.split_inclusive('\n');
        content = lines.map(|line| line.trim_start_matches('\t')).collect();
    }
    let nowhere = Span::at(word.span.end);
    CopySource::Inline(InlineFile {
        word,
        name: opening.name,
        expand: opening.expand,
        content,
        content_span: body.map_or(nowhere, |body| body.content_span),
    })
}

/// Stages are connected before any variable has a value.
fn check_from(request: &Request<'_>, from: &Word) -> Result<(), Fault> {
    match expand::expand_word(&from.text, &|_| None, request.escape) {
        Ok(expanded) if expanded == from.text => Ok(()),
        Ok(_) => {
            let error = request
                .error("variables are not supported in `--from`", from.span)
                .with_hint("define a stage with `FROM` that uses an `ARG` before the first `FROM`, and name it here");
            Err(error.into())
        }
        Err(error) => Err(error.into_diagnostic(request.source, from).into()),
    }
}
