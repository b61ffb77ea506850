//! Where the result goes.

use std::path::PathBuf;

use super::{Result, annotation};
use crate::cli::args::BuildArgs;
use crate::cli::environment::{self as names, Environment};
use crate::diag::{Diagnostic, suggest};
use crate::image::Reference;
use crate::request::{Compression, Destination, ImageOptions, Output, OutputKind};

const TYPES: [&str; 7] = [
    "cacheonly",
    "docker",
    "image",
    "local",
    "oci",
    "registry",
    "tar",
];

/// The outputs; `tags` are the names that images get everywhere.
pub(super) fn outputs(
    args: &BuildArgs,
    tags: &[Reference],
    environment: &Environment,
) -> Result<Vec<Output>> {
    let mut outputs = Vec::new();
    for text in args.output.iter().filter(|text| !text.is_empty()) {
        outputs.push(output(text)?);
    }
    if args.load && !outputs.iter().any(|o| o.kind == OutputKind::Engine) {
        outputs.push(plain(OutputKind::Engine));
    }
    let push = OutputKind::Image { push: true };
    if args.push {
        // As with buildx, a named image is then pushed too.
        for output in &mut outputs {
            if output.kind == (OutputKind::Image { push: false }) {
                output.kind = push.clone();
            }
        }
        if !outputs.iter().any(|o| o.kind == push) {
            outputs.push(plain(push.clone()));
        }
    }
    if outputs.is_empty() {
        let load = environment.get(names::BUILDX_NO_DEFAULT_LOAD)?;
        let kept_out = load.and_then(boolean) == Some(true);
        outputs.push(plain(if kept_out {
            OutputKind::Nothing
        } else {
            OutputKind::Engine
        }));
    }
    let annotations = annotation::flags(&args.others.annotation)?;
    for output in &mut outputs {
        if !tags.is_empty() {
            output.names = tags.to_vec();
        }
        output.image.annotations.extend(annotations.iter().cloned());
    }
    if outputs.iter().any(|o| o.kind == push && o.names.is_empty()) {
        let error = Diagnostic::error("a result without a name cannot be pushed");
        return Err(error.with_hint("give it one with `--tag`"));
    }
    let to_stdout = outputs.iter().filter(|output| {
        matches!(
            output.kind,
            OutputKind::DockerArchive(Destination::Stdout)
                | OutputKind::Oci(Destination::Stdout)
                | OutputKind::Tar(Destination::Stdout)
        )
    });
    if to_stdout.count() > 1 {
        return Err(Diagnostic::error(
            "only one output can go to standard output",
        ));
    }
    let files = |o: &Output| matches!(o.kind, OutputKind::Local(_) | OutputKind::Tar(_));
    if args.iidfile.is_some() && outputs.iter().any(files) {
        return Err(Diagnostic::error(
            "`--iidfile` cannot be combined with outputs of type `local` and `tar`",
        ));
    }
    if outputs.iter().any(|output| output.delete)
        && !args.others.allow.iter().any(|allowed| {
            allowed == "fs.write" || allowed.starts_with("fs.write=") || allowed == "fs=*"
        })
    {
        return Err(Diagnostic::error(
            "an output with `mode=delete` removes files, which has to be allowed",
        )
        .with_hint("add `--allow fs.write=DIRECTORY`"));
    }
    Ok(outputs)
}

fn plain(kind: OutputKind) -> Output {
    Output {
        kind,
        names: Vec::new(),
        image: ImageOptions::default(),
        platform_split: None,
        delete: false,
    }
}

fn output(text: &str) -> Result<Output> {
    let invalid = |why: &str| Diagnostic::error(format!("invalid `--output {text}`: {why}"));
    if !text.starts_with("type=") && !text.contains([',', '"']) {
        return Ok(plain(match text {
            "-" => OutputKind::Tar(Destination::Stdout),
            directory => OutputKind::Local(PathBuf::from(directory)),
        }));
    }
    let (mut kind, mut dest, mut options) = (None, None, Vec::new());
    for field in fields(text).ok_or_else(|| invalid("a quote is not closed"))? {
        let Some((key, value)) = field.split_once('=') else {
            return Err(invalid(&format!(
                "`{field}` is not of the form `KEY=VALUE`"
            )));
        };
        match key.trim().to_lowercase().as_str() {
            "type" => kind = Some(value.to_owned()),
            "dest" => dest = Some(value.to_owned()),
            // The names of annotations keep their case.
            _ if key.trim().starts_with("annotation") => {
                options.push((key.trim().to_owned(), value.to_owned()));
            }
            key => options.push((key.to_owned(), value.to_owned())),
        }
    }
    let Some(kind) = kind.filter(|kind| !kind.is_empty()) else {
        return Err(invalid("it has no `type`"));
    };
    let mut output = plain(OutputKind::Nothing);
    let (mut push, mut tar) = (false, true);
    for (key, value) in &options {
        let wrong = |what: &str| invalid(&format!("`{value}` is {what} for `{key}`"));
        let flag = || boolean(value).ok_or_else(|| wrong("neither `true` nor `false`"));
        match key.as_str() {
            "push" => push = flag()?,
            "tar" => tar = flag()?,
            "name" => output.names = super::tags("--output name=", &list(value))?,
            "compression" => {
                output.image.compression = compression(value).map_err(|why| invalid(&why))?;
            }
            "compression-level" => {
                let level = value.parse().map_err(|_| wrong("no number"))?;
                output.image.compression_level = Some(level);
            }
            "force-compression" => output.image.force_compression = flag()?,
            "oci-mediatypes" => output.image.oci_types = Some(flag()?),
            "rewrite-timestamp" => output.image.rewrite_timestamp = flag()?,
            "registry.insecure" => output.image.insecure = flag()?,
            "platform-split" => output.platform_split = Some(flag()?),
            "mode" if value == "delete" => output.delete = true,
            "mode" if value == "copy" => {}
            "mode" => return Err(wrong("neither `copy` nor `delete`")),
            "unpack"
            | "store"
            | "name-canonical"
            | "dangling-name-prefix"
            | "prefer-nondist-layers"
            | "attestation-prefix" => {}
            key if key.starts_with("annotation") => {
                let annotation = annotation::option(key, value);
                let annotation = annotation
                    .ok_or_else(|| invalid(&format!("`{key}` names no place of annotations")))?;
                output.image.annotations.push(annotation);
            }
            other => {
                let error = invalid(&format!("there is no option `{other}`"));
                return Err(match suggest(other, OPTIONS) {
                    Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                    None => error.with_hint(format!("there are `{}`", OPTIONS.join("`, `"))),
                });
            }
        }
    }
    if output.image.compression == Compression::Zstd && output.image.oci_types == Some(false) {
        return Err(invalid("`compression=zstd` needs `oci-mediatypes=true`"));
    }
    let dest = dest.filter(|dest| !dest.is_empty());
    let file = || match dest.as_deref() {
        Some("-") | None => Destination::Stdout,
        Some(path) => Destination::File(PathBuf::from(path)),
    };
    let directory = || match dest.as_deref() {
        Some("-") => Err(invalid("a directory cannot go to standard output")),
        Some(path) => Ok(PathBuf::from(path)),
        None => Err(invalid("it has no `dest`")),
    };
    output.kind = match kind.as_str() {
        "docker" if dest.is_none() => OutputKind::Engine,
        "docker" => OutputKind::DockerArchive(file()),
        "image" => OutputKind::Image { push },
        "registry" => OutputKind::Image { push: true },
        "oci" if !tar => OutputKind::OciDirectory(directory()?),
        "oci" => OutputKind::Oci(file()),
        "local" => OutputKind::Local(directory()?),
        "tar" => OutputKind::Tar(file()),
        "cacheonly" => OutputKind::Nothing,
        other => {
            let error = invalid(&format!("there is no type `{other}`"));
            return Err(match suggest(other, TYPES) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint(format!("there are `{}`", TYPES.join("`, `"))),
            });
        }
    };
    Ok(output)
}

const OPTIONS: [&str; 12] = [
    "compression",
    "compression-level",
    "dest",
    "force-compression",
    "mode",
    "name",
    "oci-mediatypes",
    "platform-split",
    "push",
    "registry.insecure",
    "rewrite-timestamp",
    "tar",
];

fn compression(text: &str) -> std::result::Result<Compression, String> {
    match text {
        "uncompressed" => Ok(Compression::Uncompressed),
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        other => Err(format!(
            "the compression `{other}` is not one of `gzip`, `zstd` and `uncompressed`"
        )),
    }
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The fields of a line of CSV; `None` when a quote is not closed.
pub(super) fn fields(text: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let field = fields.last_mut()?;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    (!quoted).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_outputs() {
        let file = |path: &str| Destination::File(path.into());
        for (text, kind) in [
            ("out", OutputKind::Local("out".into())),
            ("a=b", OutputKind::Local("a=b".into())),
            ("-", OutputKind::Tar(Destination::Stdout)),
            ("type=docker", OutputKind::Engine),
            (
                "type=docker,dest=x.tar",
                OutputKind::DockerArchive(file("x.tar")),
            ),
            ("type=image,push=true", OutputKind::Image { push: true }),
            ("type=image,name=a", OutputKind::Image { push: false }),
            ("type=registry", OutputKind::Image { push: true }),
            ("type=oci,dest=-", OutputKind::Oci(Destination::Stdout)),
            (
                "type=oci,tar=false,dest=d",
                OutputKind::OciDirectory("d".into()),
            ),
            ("dest=d,type=local", OutputKind::Local("d".into())),
            ("type=local,\"dest=a,b\"", OutputKind::Local("a,b".into())),
            ("type=cacheonly", OutputKind::Nothing),
        ] {
            assert_eq!(output(text).map(|output| output.kind), Ok(kind), "{text}");
        }
        for text in [
            "type=",
            "type=lokal",
            "type=local",
            "type=oci,x",
            "dest=a,b=c",
            "type=tar,\"x",
            "type=oci,compresion=gzip",
            "type=oci,compression=estargz",
            "type=oci,compression=zstd,oci-mediatypes=false",
            "type=image,push=maybe",
        ] {
            assert!(output(text).is_err(), "{text}");
        }
        let hint = &output("type=lokal").unwrap_err().hints[0];
        assert_eq!(hint, "did you mean `local`?");
    }
}
