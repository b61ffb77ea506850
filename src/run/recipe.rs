//! The Dockerfile, the ignore file and the context, from where the request says they are.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt as _;

use super::environment;
use crate::build::{ContextFiles, Open};
use crate::context::{Context, FileTree, IgnoreRules};
use crate::diag::{Diagnostic, suggest};
use crate::engine::EngineInfo;
use crate::plan;
use crate::request::{BuildRequest, ContextSource, DockerfileSource};
use crate::source::SourceFile;

/// The largest Dockerfile and ignore file that are read, in bytes.
const MAX_TEXT: u64 = 16 << 20;

/// Reads the Dockerfile. Without `-f` it is `Dockerfile` or, as in Docker, `dockerfile` in the
/// context.
pub(super) fn dockerfile(request: &BuildRequest) -> Result<Arc<SourceFile>, Diagnostic> {
    match &request.dockerfile {
        DockerfileSource::Stdin => {
            let mut bytes = Vec::new();
            let mut input = std::io::stdin().lock().take(MAX_TEXT);
            input
                .read_to_end(&mut bytes)
                .map_err(|error| environment(format!("cannot read standard input: {error}")))?;
            Ok(SourceFile::from_bytes("Dockerfile", &bytes))
        }
        DockerfileSource::Path(path) => read(path, &shown(path)),
        DockerfileSource::Url(_) => Err(Diagnostic::error(
            "a Dockerfile behind a URL is not supported yet",
        )),
        DockerfileSource::InContext => {
            let ContextSource::Directory(dir) = &request.context else {
                return Err(unsupported_context(&request.context));
            };
            let path = dir.join("Dockerfile");
            let lower = dir.join("dockerfile");
            if !path.exists() && lower.exists() {
                return read(&lower, "dockerfile");
            }
            read(&path, "Dockerfile")
        }
    }
}

fn read(path: &Path, name: &str) -> Result<Arc<SourceFile>, Diagnostic> {
    match read_limited(path) {
        Ok(bytes) => Ok(SourceFile::from_bytes(name, &bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing(path)),
        Err(error) => Err(environment(format!("cannot read the Dockerfile: {error}"))),
    }
}

fn read_limited(path: &Path) -> std::io::Result<Vec<u8>> {
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

fn shown(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn unsupported_context(source: &ContextSource) -> Diagnostic {
    let what = match source {
        ContextSource::Directory(_) => "this context",
        ContextSource::Stdin => "a context on standard input",
        ContextSource::Git(_) => "a git repository as the context",
        ContextSource::Url(_) => "a URL as the context",
    };
    Diagnostic::error(format!("{what} is not supported yet"))
        .with_hint("give a directory as the last argument")
}

/// The build context; nothing of it is read before a copy asks.
pub(super) fn context(
    request: &BuildRequest,
    dockerfile: &SourceFile,
) -> Result<ContextFiles, Diagnostic> {
    let ContextSource::Directory(dir) = &request.context else {
        return Err(unsupported_context(&request.context));
    };
    if !dir.is_dir() {
        let what = if dir.exists() {
            "is not a directory"
        } else {
            "is not there"
        };
        return Err(Diagnostic::error(format!(
            "the build context `{}` {what}",
            dir.display()
        )));
    }
    let dir = dir.clone();
    let own = ignore_beside(request, dockerfile);
    let open: Open = Box::new(move || {
        let (dir, own) = (dir.clone(), own.clone());
        async move {
            let opened = tokio::task::spawn_blocking(move || open(&dir, own.as_deref())).await;
            opened.unwrap_or_else(|error| Err(environment(format!("internal error: {error}"))))
        }
        .boxed()
    });
    Ok(ContextFiles::new(open, Some(request.cache_dir.clone())))
}

fn open(dir: &Path, own: Option<&Path>) -> Result<Arc<dyn FileTree>, Diagnostic> {
    let own = own.filter(|path| path.exists()).map(Path::to_owned);
    let path = own.unwrap_or_else(|| dir.join(".dockerignore"));
    let text = match read_limited(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(environment(format!("cannot read the ignore file: {error}"))),
    };
    let rules = IgnoreRules::parse(&text, &shown(&path)).map_err(|error| error.diagnostic())?;
    let context = Context::open(dir, rules).map_err(|error| error.diagnostic())?;
    Ok(Arc::new(context))
}

/// `X.dockerignore` beside the Dockerfile `X`, which replaces the context's own.
fn ignore_beside(request: &BuildRequest, dockerfile: &SourceFile) -> Option<PathBuf> {
    let path = match (&request.dockerfile, &request.context) {
        (DockerfileSource::Stdin | DockerfileSource::Url(_), _) => return None,
        (DockerfileSource::Path(path), _) => path.clone(),
        (DockerfileSource::InContext, ContextSource::Directory(dir)) => dir.join(dockerfile.name()),
        (DockerfileSource::InContext, _) => return None,
    };
    let mut name = path.file_name()?.to_owned();
    name.push(".dockerignore");
    Some(path.with_file_name(name))
}

/// What the planner has to know of the request.
pub(super) fn plan_options(
    request: &BuildRequest,
    engine: &EngineInfo,
) -> Result<plan::Options, Diagnostic> {
    let target_platform = match request.platforms.as_slice() {
        [] => engine.platform.clone(),
        [one] => one.clone(),
        _ => {
            return Err(Diagnostic::error(
                "building for several platforms is not supported yet",
            ));
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
    })
}
