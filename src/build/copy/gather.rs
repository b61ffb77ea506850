//! The files that a copy brings: found in the context, a stage or an image, with a digest that
//! says whether anything about them has changed.

use std::sync::Arc;

use bytes::Bytes;

use super::remote::{Remote, Want};
use super::{sent, spool};
use crate::build::builder::Builder;
use crate::build::failure::{self, Failure};
use crate::build::snapshot::Snapshot;
use crate::cache::Inputs;
use crate::context::archive::{self, Compression};
use crate::context::{self, FileTree, Match, NoFiles, Options, digest, select};
use crate::diag::Diagnostic;
use crate::plan::{Copy, CopyFrom, CopySource, Step};
use crate::progress::Running;

/// What a copy brings.
pub(in crate::build) struct Files {
    pub(super) sources: Vec<Source>,
    /// The digests of the sources, one after the other.
    digest: String,
}

impl Files {
    pub(in crate::build) fn inputs(&self) -> Inputs {
        Inputs::Content(self.digest.clone())
    }
}

/// One thing that goes to the destination.
pub(super) enum Source {
    /// A file or a directory of a tree.
    Tree {
        tree: Arc<dyn FileTree>,
        found: Match,
    },
    /// An archive that is unpacked.
    Archive {
        tree: Arc<dyn FileTree>,
        found: Match,
        compression: Compression,
    },
    /// A file whose content stands in the Dockerfile.
    Inline { name: String, content: Bytes },
}

impl Builder {
    /// The inputs of a copy from the context, before anything runs.
    pub(in crate::build) async fn context_inputs(
        &self,
        step: &Step,
        copy: &Copy,
    ) -> Result<Inputs, Failure> {
        let files = self.gather_from_context(step, copy, Want::Name).await?;
        Ok(files.inputs())
    }

    /// Finds the files of a copy.
    pub(in crate::build) async fn gather(
        &self,
        step: &Step,
        copy: &Copy,
        source: Option<&Snapshot>,
        progress: &Running,
    ) -> Result<Files, Failure> {
        match (copy.from, source) {
            (CopyFrom::Stage(_) | CopyFrom::Image(_), Some(source)) => {
                let tree =
                    spool::tree(&source.rootfs, copy, &self.settings.scratch, progress).await;
                let tree = tree.map_err(|problem| Arc::new(problem.at(step)))?;
                self.select_files(step, copy, tree, Vec::new()).await
            }
            _ => self.gather_from_context(step, copy, Want::Content).await,
        }
    }

    async fn gather_from_context(
        &self,
        step: &Step,
        copy: &Copy,
        want: Want,
    ) -> Result<Files, Failure> {
        let needs_context = copy
            .sources
            .iter()
            .any(|s| matches!(s, CopySource::Path(_)));
        let tree = if needs_context {
            self.tree_of(step, copy.from).await?
        } else {
            Arc::new(NoFiles)
        };
        let remotes = self.remotes_of(step, copy, want).await?;
        self.select_files(step, copy, tree, remotes).await
    }

    /// The files of the build context or of a named one, for steps that read from it.
    pub(in crate::build) async fn tree_of(
        &self,
        step: &Step,
        from: CopyFrom,
    ) -> Result<Arc<dyn FileTree>, Failure> {
        let Some(context) = self.contexts.of(from) else {
            return Ok(Arc::new(NoFiles));
        };
        let opened = context.tree().await;
        opened.map_err(|problem| Arc::new(problem.with_label(&step.source, step.span, "")))
    }

    async fn select_files(
        &self,
        step: &Step,
        copy: &Copy,
        tree: Arc<dyn FileTree>,
        remotes: Vec<Remote>,
    ) -> Result<Files, Failure> {
        let copy = copy.clone();
        let cache = Arc::clone(&self.contexts.stat_cache);
        let wanted = if copy.from == CopyFrom::Context {
            sent::paths(self.plan())
        } else {
            Vec::new()
        };
        let work = move || find(&copy, &tree, remotes, Some(&cache), &wanted);
        let found = tokio::task::spawn_blocking(work).await;
        match found {
            Ok(Ok(files)) => Ok(files),
            Ok(Err(problem)) => Err(Arc::new(problem.at(step))),
            Err(error) => Err(Arc::new(failure::internal(&error.to_string()))),
        }
    }
}

/// Why files cannot be found.
pub(in crate::build) enum Problem {
    Context(context::Error),
    Engine(crate::engine::EngineError),
    Other(Diagnostic),
}

impl From<context::Error> for Problem {
    fn from(error: context::Error) -> Self {
        Self::Context(error)
    }
}

impl From<crate::engine::EngineError> for Problem {
    fn from(error: crate::engine::EngineError) -> Self {
        Self::Engine(error)
    }
}

impl Problem {
    /// The problem with the instruction it belongs to.
    pub(in crate::build) fn at(self, step: &Step) -> Diagnostic {
        let diagnostic = match self {
            Self::Context(error) => error.diagnostic(),
            Self::Engine(error) => failure::of_engine(&error),
            Self::Other(diagnostic) => diagnostic,
        };
        diagnostic.with_label(&step.source, step.span, "")
    }
}

fn find(
    copy: &Copy,
    tree: &Arc<dyn FileTree>,
    remotes: Vec<Remote>,
    cache: Option<&context::StatCache>,
    wanted: &[String],
) -> Result<Files, Problem> {
    let options = Options {
        excludes: copy.excludes.clone(),
        parents: copy.parents,
    };
    let mut remotes = remotes.into_iter();
    let mut sources = Vec::new();
    let mut hasher = blake3::Hasher::new();
    for source in &copy.sources {
        match source {
            CopySource::Path(path) => {
                let matches = select(&**tree, path, &options)?;
                if matches.is_empty() && copy.from == CopyFrom::Context {
                    no_match(&**tree, path, wanted)?;
                }
                hasher.update(&digest(&**tree, &matches, cache)?.0);
                for found in matches {
                    sources.push(tree_source(copy, tree, found, false)?);
                }
            }
            CopySource::Inline(file) => {
                // The content is part of the action, and so of the key.
                sources.push(Source::Inline {
                    name: file.name.clone(),
                    content: Bytes::from(file.content.clone()),
                });
            }
            CopySource::Url(_) | CopySource::Git { .. } => match remotes.next() {
                Some(Remote::Known(text)) => {
                    hasher.update(text.as_bytes());
                }
                Some(Remote::File { file, digest }) => {
                    hasher.update(digest.as_str().as_bytes());
                    let found = file.whole();
                    let tree: Arc<dyn FileTree> = file;
                    sources.push(tree_source(copy, &tree, found, true)?);
                }
                Some(Remote::Tree(tree)) => {
                    let matches = select(&*tree, "/", &options)?;
                    hasher.update(&digest(&*tree, &matches, None)?.0);
                    let tree = |found| Source::Tree {
                        tree: Arc::clone(&tree),
                        found,
                    };
                    sources.extend(matches.into_iter().map(tree));
                }
                None => {}
            },
        }
    }
    Ok(Files {
        sources,
        digest: hasher.finalize().to_hex().to_string(),
    })
}

/// Refuses a pattern without a match where BuildKit does.
fn no_match(tree: &dyn FileTree, pattern: &str, wanted: &[String]) -> Result<(), Problem> {
    let Some(dir) = sent::lacks(tree, pattern, wanted)? else {
        return Ok(());
    };
    let what = format!("nothing in the {} matches `{pattern}`", tree.place());
    let why = format!("nothing else of `{dir}` is copied, so for BuildKit it is not there");
    Err(Problem::Other(Diagnostic::error(what).with_note(why)))
}

fn tree_source(
    copy: &Copy,
    tree: &Arc<dyn FileTree>,
    found: Match,
    from_url: bool,
) -> Result<Source, Problem> {
    let tree = Arc::clone(tree);
    if copy.unpacks(from_url) && found.root.is_file() && found.root.size > 0 {
        let mut content = tree.open(&found.root)?;
        if let Some(compression) = archive::detect(&mut content) {
            return Ok(Source::Archive {
                tree,
                found,
                compression,
            });
        }
    }
    Ok(Source::Tree { tree, found })
}
