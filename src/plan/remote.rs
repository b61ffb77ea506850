//! Sources of `ADD` that are somewhere else: URLs and repositories.

use super::action::{Copy, CopySource};
use super::errors::at;
use crate::diag::Diagnostic;
use crate::dockerfile::ast::{AddInst, Instruction, Word};
use crate::request::address::{GitUrl, decoded};

/// What a source of `COPY` or `ADD` is.
pub(super) fn source(
    inst: &Instruction,
    word: &Word,
    text: String,
    add: bool,
) -> Result<CopySource, Diagnostic> {
    let copied = |what: &str| {
        let message = format!("`COPY` cannot take {what}");
        at(inst, word.span, message).with_hint("use `ADD`")
    };
    if let Some(parsed) = GitUrl::parse(&text) {
        let url = parsed.map_err(|why| {
            let message = format!("`{text}` cannot be read as the address of a repository: {why}");
            at(inst, word.span, message)
        })?;
        if !add {
            return Err(copied("a git repository"));
        }
        return Ok(CopySource::Git { text, url });
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        if !add {
            return Err(copied("a URL"));
        }
        return Ok(CopySource::Url(text));
    }
    Ok(CopySource::Path(text))
}

/// The action with the flags that concern what is fetched, where they fit.
pub(super) fn checked(
    inst: &Instruction,
    add: &AddInst,
    mut action: Copy,
) -> Result<Copy, Diagnostic> {
    if let (Some(checksum), Some(word)) = (&action.checksum, &add.checksum) {
        let refused = |message: &str| at(inst, word.span, message);
        let is_sha256 = checksum.strip_prefix("sha256:").is_some_and(|hex| {
            let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            hex.len() == 64 && hex.bytes().all(digit)
        });
        match action.sources.as_slice() {
            [CopySource::Url(_)] if is_sha256 => {}
            [CopySource::Url(_)] => {
                let message = format!("`{checksum}` is not the checksum of a file");
                return Err(
                    refused(&message).with_hint("it is `sha256:` and 64 hexadecimal digits")
                );
            }
            [CopySource::Git { .. }] if checksum.bytes().all(|byte| byte.is_ascii_hexdigit()) => {}
            [CopySource::Git { .. }] => {
                let message = format!("`{checksum}` is not a commit");
                return Err(refused(&message).with_hint("it has hexadecimal digits only"));
            }
            [_] => {
                return Err(refused(
                    "`--checksum` needs a URL or a repository as the source",
                ));
            }
            _ => return Err(refused("`--checksum` can be given for one source only")),
        }
    }
    let (keep, checksum) = (action.keep_git_dir, action.checksum.clone());
    for source in &mut action.sources {
        let CopySource::Git { url, .. } = source else {
            continue;
        };
        if let (Some(flag), Some(query)) = (keep, url.keep_git_dir)
            && flag != query
        {
            let message = "`--keep-git-dir` and the address say different things";
            return Err(at(inst, inst.span, message));
        }
        if let (Some(flag), Some(query)) = (&checksum, &url.commit)
            && flag != query
        {
            let message = "`--checksum` and the address name different commits";
            return Err(at(inst, inst.span, message));
        }
        url.keep_git_dir = url.keep_git_dir.or(keep);
        url.commit = url.commit.take().or_else(|| checksum.clone());
    }
    Ok(action)
}

/// The name that a file from a URL gets: the last part of the URL's path.
pub fn url_name(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let path = rest[..end].split_once('/').map_or("", |(_, path)| path);
    let path = decoded(path);
    match path.trim_end_matches('/').rsplit('/').next() {
        None | Some("" | "." | "..") => "__unnamed__".to_owned(),
        Some(name) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::url_name;

    #[test]
    fn files_are_named_after_the_path() {
        for (url, name) in [
            ("http://h/a/b.txt", "b.txt"),
            ("http://h/a/b.txt?x=/y#z", "b.txt"),
            ("http://h/a%20b", "a b"),
            ("http://h/a%2Fb", "b"),
            ("http://h/a/", "a"),
            ("http://h/", "__unnamed__"),
            ("http://h", "__unnamed__"),
            ("http://h?x=/y", "__unnamed__"),
        ] {
            assert_eq!(url_name(url), name, "{url}");
        }
    }
}
