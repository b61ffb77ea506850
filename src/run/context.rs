//! The build contexts: directories with their ignore files. Nothing of them is read before a step
//! asks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt as _;

use super::environment;
use super::recipe::{read_limited, shown, unsupported_context};
use crate::build::{ContextFiles, Contexts, Open};
use crate::context::{Context, FileTree, IgnoreRules, StatCache};
use crate::diag::Diagnostic;
use crate::request::{BuildRequest, ContextSource, DockerfileSource, NamedContext};
use crate::source::SourceFile;

/// All contexts of a build.
pub(super) fn contexts(
    request: &BuildRequest,
    dockerfile: &SourceFile,
) -> Result<Contexts, Diagnostic> {
    let ContextSource::Directory(dir) = &request.context else {
        return Err(unsupported_context(&request.context));
    };
    check(dir, "the build context")?;
    let own = ignore_beside(request, dockerfile);
    let main = directory(dir, own, "build context".into());
    let mut named = BTreeMap::new();
    for (index, (name, context)) in request.build_contexts.iter().enumerate() {
        if let NamedContext::Directory(dir) = context {
            check(dir, &format!("the build context `{name}` in"))?;
            let place = format!("build context `{name}`");
            named.insert(index, Arc::new(directory(dir, None, place)));
        }
    }
    Ok(Contexts {
        main: Arc::new(main),
        named,
        stat_cache: Arc::new(StatCache::open(&request.cache_dir)),
    })
}

fn check(dir: &Path, what: &str) -> Result<(), Diagnostic> {
    if dir.is_dir() {
        return Ok(());
    }
    let state = if dir.exists() {
        "is not a directory"
    } else {
        "is not there"
    };
    Err(Diagnostic::error(format!(
        "{what} `{}` {state}",
        dir.display()
    )))
}

/// A directory, with an ignore file that may replace its own.
fn directory(dir: &Path, ignore: Option<PathBuf>, place: String) -> ContextFiles {
    let dir = dir.to_owned();
    let open: Open = Box::new(move || {
        let (dir, ignore, place) = (dir.clone(), ignore.clone(), place.clone());
        async move {
            let work = move || open(&dir, ignore.as_deref(), place);
            let opened = tokio::task::spawn_blocking(work).await;
            opened.unwrap_or_else(|error| Err(environment(format!("internal error: {error}"))))
        }
        .boxed()
    });
    ContextFiles::new(open)
}

fn open(dir: &Path, own: Option<&Path>, place: String) -> Result<Arc<dyn FileTree>, Diagnostic> {
    let own = own.filter(|path| path.exists()).map(Path::to_owned);
    let path = own.unwrap_or_else(|| dir.join(".dockerignore"));
    let text = match read_limited(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(environment(format!("cannot read the ignore file: {error}"))),
    };
    let rules = IgnoreRules::parse(&text, &shown(&path)).map_err(|error| error.diagnostic())?;
    let context = Context::open(dir, rules).map_err(|error| error.diagnostic())?;
    Ok(Arc::new(context.called(place)))
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
