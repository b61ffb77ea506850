//! The Dockerfile, from where the request says it is, and what the planner is told.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::context::Main;
use super::environment;
use crate::context::{self, FileTree};
use crate::diag::{Diagnostic, suggest};
use crate::engine::EngineInfo;
use crate::fetch::Remotes;
use crate::plan;
use crate::request::{BuildRequest, ContextSource, DockerfileSource};
use crate::source::SourceFile;

/// The largest Dockerfile and ignore file that are read, in bytes.
pub(super) const MAX_TEXT: u64 = 16 << 20;

/// Reads the Dockerfile. Without `-f` it is `Dockerfile` or, as in Docker, `dockerfile` in the
/// context.
pub(super) async fn dockerfile(
    request: &BuildRequest,
    main: &Main,
    remotes: &Remotes,
) -> Result<Arc<SourceFile>, Diagnostic> {
    match (&request.dockerfile, main) {
        (DockerfileSource::InContext, Main::Text(bytes)) => {
            Ok(SourceFile::from_bytes("Dockerfile", bytes))
        }
        (_, Main::Text(_)) => {
            let message = "standard input holds a Dockerfile, and `--file` names another";
            Err(Diagnostic::error(message).with_hint("leave `--file` out, or give a context"))
        }
        (DockerfileSource::Stdin, _) => {
            let mut bytes = Vec::new();
            let mut input = std::io::stdin().lock().take(MAX_TEXT);
            input
                .read_to_end(&mut bytes)
                .map_err(|error| environment(format!("cannot read standard input: {error}")))?;
            Ok(SourceFile::from_bytes("Dockerfile", &bytes))
        }
        (DockerfileSource::Url(url), _) => {
            let file = remotes.file(url, None, &|_, _| {}).await?;
            let mut bytes = Vec::new();
            let read = super::context::content(&file)
                .take(MAX_TEXT)
                .read_to_end(&mut bytes);
            read.map_err(|error| environment(format!("cannot read the download: {error}")))?;
            Ok(SourceFile::from_bytes("Dockerfile", &bytes))
        }
        (_, Main::OneFile(tree, name)) => in_tree(&**tree, name),
        (DockerfileSource::Path(path), Main::Tree(tree)) => {
            let of_machine = path.is_absolute() && request.context != ContextSource::Stdin;
            if of_machine {
                return read(path, &shown(path));
            }
            in_tree(&**tree, &path.to_string_lossy())
        }
        (DockerfileSource::InContext, Main::Tree(tree)) => in_tree(&**tree, "Dockerfile"),
        (DockerfileSource::Path(path), Main::Directory(_)) => read(path, &shown(path)),
        (DockerfileSource::InContext, Main::Directory(dir)) => {
            let path = dir.join("Dockerfile");
            let lower = dir.join("dockerfile");
            if !path.exists() && lower.exists() {
                return read(&lower, "dockerfile");
            }
            read(&path, "Dockerfile")
        }
    }
}

/// The Dockerfile at a path of a context that is no directory.
fn in_tree(tree: &dyn FileTree, path: &str) -> Result<Arc<SourceFile>, Diagnostic> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut names = vec![name];
    if name == "Dockerfile" {
        names.push("dockerfile");
    }
    for name in names {
        let path = format!("{folder}/{name}");
        let found = context::resolve(tree, &path).and_then(|real| tree.lstat(&real));
        let Some(entry) = found.map_err(|error| error.diagnostic())? else {
            continue;
        };
        if !entry.is_file() {
            return Err(Diagnostic::error(format!("`{path}` is not a file")));
        }
        let mut bytes = Vec::new();
        let content = tree.open(&entry).map_err(|error| error.diagnostic())?;
        let read = content.take(MAX_TEXT).read_to_end(&mut bytes);
        read.map_err(|error| environment(format!("cannot read the Dockerfile: {error}")))?;
        return Ok(SourceFile::from_bytes(name, &bytes));
    }
    let refused = Diagnostic::error(format!("there is no `{path}` in the {}", tree.place()));
    let all = tree.below("").unwrap_or_default();
    let similar = all.iter().map(|entry| entry.path.as_str());
    let similar = similar
        .into_iter()
        .find(|path| path.to_lowercase().contains("dockerfile"));
    Err(match similar {
        Some(name) => refused.with_hint(format!("did you mean `--file {name}`?")),
        None => refused.with_hint("name the Dockerfile with `--file`"),
    })
}

fn read(path: &Path, name: &str) -> Result<Arc<SourceFile>, Diagnostic> {
    match read_limited(path) {
        Ok(bytes) => Ok(SourceFile::from_bytes(name, &bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing(path)),
        Err(error) => Err(environment(format!("cannot read the Dockerfile: {error}"))),
    }
}

pub(super) fn read_limited(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = fs_err::File::open(path)?;
    if file.metadata()?.is_dir() {
        let message = format!("`{}` is a directory", path.display());
        return Err(std::io::Error::other(message));
    }
    let mut bytes = Vec::new();
    file.take(MAX_TEXT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The Dockerfile is not there: what else there may be.
fn missing(path: &Path) -> Diagnostic {
    let dir = path.parent().unwrap_or(Path::new("."));
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    let wanted = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let refused = Diagnostic::error(format!("there is no `{}`", path.display()));
    let Ok(list) = fs_err::read_dir(dir) else {
        return refused.with_hint(format!(
            "the directory `{}` is not there either",
            dir.display()
        ));
    };
    let names: Vec<String> = list
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let similar = names
        .iter()
        .find(|name| name.to_lowercase().contains("dockerfile"))
        .map(String::as_str)
        .or_else(|| suggest(&wanted, names.iter().map(String::as_str)));
    match similar {
        Some(name) => refused.with_hint(format!(
            "did you mean `--file {}`?",
            dir.join(name).display()
        )),
        None => refused.with_hint(
            "name the Dockerfile with `--file`, or the context's directory as the last argument",
        ),
    }
}

pub(super) fn shown(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// What the planner has to know of the request.
pub(super) fn plan_options(
    request: &BuildRequest,
    engine: &EngineInfo,
) -> Result<plan::Options, Diagnostic> {
    let target_platform = match request.platforms.as_slice() {
        [] => engine.platform.clone(),
        [one] => one.clone(),
        several => {
            let message = format!("{} platforms are planned one at a time", several.len());
            return Err(Diagnostic::error(message).with_hint("name one with `--platform`"));
        }
    };
    let build_args: BTreeMap<String, String> = request.build_args.iter().cloned().collect();
    Ok(plan::Options {
        build_args,
        target: request.target.clone(),
        build_platform: engine.platform.clone(),
        target_platform,
        platform_given: !request.platforms.is_empty(),
        labels: request.labels.clone(),
        contexts: request.build_contexts.clone(),
        trace: false,
    })
}
