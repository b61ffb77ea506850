//! Where the result goes.

use std::path::PathBuf;

use super::Result;
use crate::cli::args::BuildArgs;
use crate::diag::{Diagnostic, suggest};
use crate::request::{Destination, Output, OutputKind};

const TYPES: [&str; 7] = [
    "cacheonly",
    "docker",
    "image",
    "local",
    "oci",
    "registry",
    "tar",
];

pub(super) fn outputs(args: &BuildArgs) -> Result<Vec<Output>> {
    let mut outputs = Vec::new();
    for text in args.output.iter().filter(|text| !text.is_empty()) {
        outputs.push(output(text)?);
    }
    let plain = |kind| Output {
        kind,
        options: Vec::new(),
    };
    if args.load && !outputs.iter().any(|o| o.kind == OutputKind::Engine) {
        outputs.push(plain(OutputKind::Engine));
    }
    let push = OutputKind::Image { push: true };
    if args.push && !outputs.iter().any(|o| o.kind == push) {
        outputs.push(plain(push));
    }
    if outputs.is_empty() {
        outputs.push(plain(OutputKind::Engine));
    }
    let pushes = |output: &Output| output.kind == OutputKind::Image { push: true };
    let named = |output: &Output| output.options.iter().any(|(key, _)| key == "name");
    if args.tag.is_empty() && outputs.iter().any(|o| pushes(o) && !named(o)) {
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
    Ok(outputs)
}

fn output(text: &str) -> Result<Output> {
    let invalid = |why: &str| Diagnostic::error(format!("invalid `--output {text}`: {why}"));
    if !text.starts_with("type=") && !text.contains([',', '"']) {
        return Ok(Output {
            kind: match text {
                "-" => OutputKind::Tar(Destination::Stdout),
                directory => OutputKind::Local(PathBuf::from(directory)),
            },
            options: Vec::new(),
        });
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
            key => options.push((key.to_owned(), value.to_owned())),
        }
    }
    let Some(kind) = kind.filter(|kind| !kind.is_empty()) else {
        return Err(invalid("it has no `type`"));
    };
    let option = |name: &str| options.iter().rfind(|(key, _)| key == name);
    let flag = |name: &str| option(name).map(|(_, value)| value == "true" || value == "1");
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
    let kind = match kind.as_str() {
        "docker" if dest.is_none() => OutputKind::Engine,
        "docker" => OutputKind::DockerArchive(file()),
        "image" => OutputKind::Image {
            push: flag("push").unwrap_or(false),
        },
        "registry" => OutputKind::Image { push: true },
        "oci" if flag("tar") == Some(false) => OutputKind::OciDirectory(directory()?),
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
    Ok(Output { kind, options })
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
        ] {
            assert!(output(text).is_err(), "{text}");
        }
        let hint = &output("type=lokal").unwrap_err().hints[0];
        assert_eq!(hint, "did you mean `local`?");
    }
}
