//! The build contexts: directories with their ignore files, archives, repositories. Of a directory
//! and of named contexts nothing is read before a step asks; the main context that is somewhere
//! else is fetched first, since the Dockerfile is in it.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt as _;

use super::environment;
use super::recipe::{read_limited, shown};
use crate::build::{self, ContextFiles, Contexts, Open};
use crate::context::{Context, FileTree, IgnoreRules, Mtime, NoFiles, StatCache, TarTree, archive};
use crate::diag::Diagnostic;
use crate::fetch::{Remotes, WebFile};
use crate::progress::{Numbering, StepOutcome};
use crate::request::address::GitUrl;
use crate::request::{BuildRequest, ContextSource, DockerfileSource, NamedContext};
use crate::source::SourceFile;

/// How much of a stream tells what it is.
const HEAD: u64 = 1024;

/// The main context, as far as the Dockerfile is to be found in it.
pub(super) enum Main {
    Directory(PathBuf),
    /// Files that came from somewhere else. No ignore file counts in them.
    Tree(Arc<dyn FileTree>),
    /// Files from behind a URL that are nothing but the Dockerfile, of this name.
    OneFile(Arc<dyn FileTree>, &'static str),
    /// A Dockerfile on standard input, and no files.
    Text(Vec<u8>),
}

/// Fetches the main context where it is not a directory.
pub(super) async fn main(
    request: &BuildRequest,
    remotes: &Remotes,
    numbering: &Numbering,
) -> Result<Main, Diagnostic> {
    let (title, work) = match &request.context {
        ContextSource::Directory(dir) => {
            check(dir, "the build context")?;
            return Ok(Main::Directory(dir.clone()));
        }
        ContextSource::Stdin => {
            let scratch = request.scratch_dir.clone();
            let read = move || from_stream(std::io::stdin().lock(), &scratch);
            let title = "[internal] load the build context from standard input".to_owned();
            (title, blocking(read).boxed())
        }
        ContextSource::Git(text) => {
            let mut url = repository(text)?;
            let kept = request
                .build_args
                .iter()
                .find(|(name, _)| name == KEEP_GIT_DIR);
            if kept.is_some_and(|(_, value)| {
                matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True")
            }) {
                url.keep_git_dir = Some(true);
            }
            let title = format!(
                "[internal] load git source {}",
                crate::request::address::redacted(text)
            );
            let work = async move { remotes.repository(&url).await.map(Main::Tree) };
            (title, work.boxed())
        }
        ContextSource::Url(url) => {
            let title = "[internal] load remote build context".to_owned();
            (title, from_url(url, remotes, request).boxed())
        }
    };
    let step = numbering.start(&title);
    let found = work.await;
    step.finish(match &found {
        Ok(_) => StepOutcome::Done,
        Err(problem) => StepOutcome::Failed(problem.message.clone()),
    });
    found
}

/// The build argument with which a repository keeps its `.git`.
const KEEP_GIT_DIR: &str = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";

fn repository(text: &str) -> Result<GitUrl, Diagnostic> {
    let why = match GitUrl::parse_context(text) {
        Some(Ok(url)) => return Ok(url),
        Some(Err(why)) => why,
        None => "it is none".to_owned(),
    };
    let message = format!("`{text}` cannot be read as the address of a repository: {why}");
    Err(Diagnostic::error(message))
}

/// An archive, or a Dockerfile without a context.
fn from_stream(mut input: impl Read, scratch: &Path) -> Result<Main, Diagnostic> {
    let unreadable =
        |error: &std::io::Error| environment(format!("cannot read standard input: {error}"));
    let mut head = Vec::new();
    let read = input.by_ref().take(HEAD).read_to_end(&mut head);
    read.map_err(|error| unreadable(&error))?;
    if head.is_empty() {
        let message = "there is nothing on standard input";
        return Err(Diagnostic::error(message).with_hint(
            "an archive is expected there, or a Dockerfile; `.` is the current directory",
        ));
    }
    if archive::is_archive(&head) {
        return unpacked(Cursor::new(head).chain(input), scratch);
    }
    let rest = input.take(super::recipe::MAX_TEXT).read_to_end(&mut head);
    rest.map_err(|error| unreadable(&error))?;
    Ok(Main::Text(head))
}

fn unpacked(content: impl Read, scratch: &Path) -> Result<Main, Diagnostic> {
    let now = Mtime {
        secs: jiff::Timestamp::now().as_second(),
        nanos: 0,
    };
    let tree = TarTree::new(scratch, "build context");
    let tree = tree.and_then(|mut tree| tree.unpack(content, now).map(|()| tree));
    let tree = tree.map_err(|error| {
        let refused = error.diagnostic();
        refused.with_note("the build context is an archive, which is unpacked as Docker does it")
    })?;
    Ok(Main::Tree(Arc::new(tree)))
}

/// What is behind a URL: an archive, or a Dockerfile that stands alone.
async fn from_url(
    url: &str,
    remotes: &Remotes,
    request: &BuildRequest,
) -> Result<Main, Diagnostic> {
    const NAME: &str = "context";
    let file = remotes.file(url, None, &|_, _| {}).await?;
    let scratch = request.scratch_dir.clone();
    let work = move || {
        let mut head = Vec::new();
        let read = content(&file).take(HEAD).read_to_end(&mut head);
        read.map_err(|error| environment(format!("cannot read the download: {error}")))?;
        if archive::is_archive(&head) {
            return unpacked(content(&file), &scratch);
        }
        let tree = build::one_file(NAME.to_owned(), &file);
        Ok(Main::OneFile(Arc::new(tree), NAME))
    };
    blocking(work).await
}

/// The bytes of a download.
pub(super) fn content(file: &WebFile) -> Box<dyn Read + Send> {
    let tree = build::one_file("file".to_owned(), file);
    let opened = tree.open(&tree.whole().root);
    opened.unwrap_or_else(|_| Box::new(std::io::empty()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Diagnostic> + Send + 'static,
) -> Result<T, Diagnostic> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(environment(format!("internal error: {error}"))))
}

/// All contexts of a build.
pub(super) fn contexts(
    request: &BuildRequest,
    main: Main,
    dockerfile: &SourceFile,
    remotes: &Arc<Remotes>,
) -> Result<Contexts, Diagnostic> {
    let main = match main {
        Main::Directory(dir) => {
            let own = ignore_beside(request, dockerfile);
            directory(&dir, own, "build context".into())
        }
        Main::Tree(tree) | Main::OneFile(tree, _) => ContextFiles::of_tree(tree),
        Main::Text(_) => ContextFiles::of_tree(Arc::new(NoFiles)),
    };
    let mut named = BTreeMap::new();
    for (index, (name, context)) in request.build_contexts.iter().enumerate() {
        let remotes = Arc::clone(remotes);
        let files = match context {
            NamedContext::Directory(dir) => {
                check(dir, &format!("the build context `{name}` in"))?;
                directory(dir, None, format!("build context `{name}`"))
            }
            NamedContext::Git(text) => {
                let url = repository(text)?;
                ContextFiles::new(Box::new(move || {
                    let (remotes, url) = (Arc::clone(&remotes), url.clone());
                    async move { remotes.repository(&url).await }.boxed()
                }))
            }
            NamedContext::Url(url) => {
                let url = url.clone();
                ContextFiles::new(Box::new(move || {
                    let (remotes, url) = (Arc::clone(&remotes), url.clone());
                    async move { single(&remotes, &url).await }.boxed()
                }))
            }
            NamedContext::Image(_) | NamedContext::OciLayout { .. } | NamedContext::Target(_) => {
                continue;
            }
        };
        named.insert(index, Arc::new(files));
    }
    Ok(Contexts {
        main: Arc::new(main),
        named,
        stat_cache: Arc::new(StatCache::open(&request.cache_dir)),
    })
}

/// A named context behind a URL: the file itself, whatever it is.
async fn single(remotes: &Remotes, url: &str) -> Result<Arc<dyn FileTree>, Diagnostic> {
    let file = remotes.file(url, None, &|_, _| {}).await?;
    let name = match crate::plan::url_name(url) {
        name if name == "__unnamed__" => "download".to_owned(),
        name => name,
    };
    Ok(Arc::new(build::one_file(name, &file)))
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
        blocking(move || open(&dir, ignore.as_deref(), place)).boxed()
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

/// The ignore file of a directory; it need not be there.
pub(super) fn ignore_file(request: &BuildRequest, dockerfile: &SourceFile) -> Option<PathBuf> {
    let ContextSource::Directory(dir) = &request.context else {
        return None;
    };
    let own = ignore_beside(request, dockerfile);
    let own = own.filter(|path| path.exists());
    Some(own.unwrap_or_else(|| dir.join(".dockerignore")))
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
