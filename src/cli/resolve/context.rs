//! Where the files and the Dockerfile come from.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::Result;
use crate::cli::args::BuildArgs;
use crate::diag::Diagnostic;
use crate::image::Reference;
use crate::request::address::GitUrl;
use crate::request::{ContextSource, DockerfileSource, NamedContext};

pub(super) fn sources(args: &BuildArgs) -> Result<(ContextSource, DockerfileSource)> {
    if args.source.is_empty() {
        let error = Diagnostic::error("the build context is empty");
        return Err(error.with_hint("`.` is the current directory"));
    }
    let context = match remote(&args.source) {
        _ if args.source == "-" => ContextSource::Stdin,
        Some(Remote::Git(repository)) => ContextSource::Git(repository),
        Some(Remote::Url(url)) => ContextSource::Url(url),
        None => ContextSource::Directory(PathBuf::from(&args.source)),
    };
    let dockerfile = match args.file.as_deref() {
        None => DockerfileSource::InContext,
        Some(file) if file.is_empty() => DockerfileSource::InContext,
        Some(file) if file == "-" => DockerfileSource::Stdin,
        Some(file) => match remote(file) {
            Some(Remote::Url(url)) => DockerfileSource::Url(url),
            _ => DockerfileSource::Path(PathBuf::from(file)),
        },
    };
    if context == ContextSource::Stdin && dockerfile == DockerfileSource::Stdin {
        return Err(Diagnostic::error(
            "standard input cannot be both the build context and the Dockerfile",
        ));
    }
    Ok((context, dockerfile))
}

/// `NAME=SOURCE` items; names are compared as image names are, without `:latest`.
pub(super) fn named(values: &[String]) -> Result<Vec<(String, NamedContext)>> {
    let mut contexts: Vec<(String, NamedContext)> = Vec::new();
    for text in values.iter().filter(|text| !text.is_empty()) {
        let invalid =
            |why: String| Diagnostic::error(format!("invalid `--build-context {text}`: {why}"));
        let Some((name, source)) = text.split_once('=') else {
            return Err(invalid("it is not of the form `NAME=SOURCE`".into()));
        };
        let name = Reference::parse(name).map_err(|error| invalid(error.to_string()))?;
        let name = name.to_string();
        let name = name.strip_suffix(":latest").unwrap_or(&name);
        if source.is_empty() || source == "-" {
            return Err(invalid("it has no source".into()));
        }
        let context = named_context(source).map_err(invalid)?;
        contexts.retain(|(known, _)| known != name);
        contexts.push((name.to_owned(), context));
    }
    Ok(contexts)
}

fn named_context(source: &str) -> std::result::Result<NamedContext, String> {
    if let Some(image) = source.strip_prefix("docker-image://") {
        let image = Reference::parse(image).map_err(|error| error.to_string())?;
        return Ok(NamedContext::Image(image.with_default_tag()));
    }
    if let Some(stage) = source.strip_prefix("target:") {
        return Ok(NamedContext::Target(stage.to_owned()));
    }
    if let Some(layout) = source.strip_prefix("oci-layout://") {
        let (layout, digest) = match layout.split_once('@') {
            Some((layout, digest)) => (layout, Some(digest.to_owned())),
            None => (layout, None),
        };
        // A colon in a directory's name is not a tag.
        let (path, tag) = match layout.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag.to_owned())),
            _ => (layout, None),
        };
        return Ok(NamedContext::OciLayout {
            path: PathBuf::from(path),
            tag,
            digest,
        });
    }
    Ok(match remote(source.as_ref()) {
        Some(Remote::Git(repository)) => NamedContext::Git(repository),
        Some(Remote::Url(url)) => NamedContext::Url(url),
        None => NamedContext::Directory(PathBuf::from(source)),
    })
}

enum Remote {
    Git(String),
    Url(String),
}

/// What is not a path of this machine, by the rules of BuildKit: an HTTP URL is a repository
/// only when its path ends in `.git`; `github.com/…` and `user@host:path` are repositories.
fn remote(source: &OsStr) -> Option<Remote> {
    let text = source.to_str()?;
    if GitUrl::parse_context(text).is_some() {
        // What is wrong with it is told when it is fetched.
        return Some(Remote::Git(text.to_owned()));
    }
    let (scheme, _) = text.split_once("://")?;
    let web = ["http", "https"];
    let web = web.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    web.then(|| Remote::Url(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_remotes_from_paths() {
        for (text, expected) in [
            (".", "path"),
            ("./git@host:x", "path"),
            ("a:b", "path"),
            ("dir.git", "path"),
            ("github.com/a/b", "git"),
            ("https://h/a.git", "git"),
            ("https://h/a.git#main:sub", "git"),
            ("https://h/a.git?x=1", "git"),
            ("http://h/a.tar.gz", "url"),
            ("HTTPS://h/a", "url"),
            ("git://h/a", "git"),
            ("ssh://git@h/a", "git"),
            ("git@github.com:a/b.git", "git"),
            ("ftp://h/a", "path"),
        ] {
            let kind = match remote(text.as_ref()) {
                Some(Remote::Git(_)) => "git",
                Some(Remote::Url(_)) => "url",
                None => "path",
            };
            assert_eq!(kind, expected, "{text}");
        }
    }

    #[test]
    fn reads_named_contexts() {
        let parse = |text: &str| named(&[text.to_owned()]).map(|mut list| list.remove(0));
        let image = Reference::parse("busybox:latest").unwrap();
        for (text, name, context) in [
            ("a=./src", "a", NamedContext::Directory("./src".into())),
            ("a:latest=/x", "a", NamedContext::Directory("/x".into())),
            (
                "a:1=docker-image://busybox",
                "a:1",
                NamedContext::Image(image),
            ),
            ("a=target:b", "a", NamedContext::Target("b".into())),
            (
                "a=https://h/x.git",
                "a",
                NamedContext::Git("https://h/x.git".into()),
            ),
            (
                "a=oci-layout:///x/y:tag",
                "a",
                NamedContext::OciLayout {
                    path: "/x/y".into(),
                    tag: Some("tag".into()),
                    digest: None,
                },
            ),
            (
                "a=oci-layout://./x@sha256:12",
                "a",
                NamedContext::OciLayout {
                    path: "./x".into(),
                    tag: None,
                    digest: Some("sha256:12".into()),
                },
            ),
        ] {
            assert_eq!(parse(text), Ok((name.to_owned(), context)), "{text}");
        }
        for text in ["a", "=x", "a=", "A=x", "a=docker-image://A"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
