//! What `ADD` fetches: files behind URLs and repositories.

use std::sync::{Arc, OnceLock};

use crate::build::builder::Builder;
use crate::build::failure::Failure;
use crate::context::{Entry, FileTree, Kind, Mtime, OneFile};
use crate::diag::Diagnostic;
use crate::fetch::WebFile;
use crate::image::Digest;
use crate::plan::{Copy, CopySource, Step};
use crate::progress::Running;
use crate::progress::StepOutcome;
use crate::request::address::{GitUrl, redacted};

/// What an address of a copy brings.
pub(super) enum Remote {
    /// It is known by this text, and not here yet.
    Known(String),
    File {
        file: Arc<OneFile>,
        digest: Digest,
    },
    Tree(Arc<dyn FileTree>),
}

/// How much is wanted of what is remote.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// What it is known by, for a key.
    Name,
    Content,
}

impl Builder {
    /// What the addresses among a copy's sources bring, in their order.
    pub(super) async fn remotes_of(
        &self,
        step: &Step,
        copy: &Copy,
        want: Want,
    ) -> Result<Vec<Remote>, Failure> {
        let asked = copy.sources.iter().filter_map(|source| match source {
            CopySource::Url(url) => Some(futures::future::Either::Left(self.url(url, copy, want))),
            CopySource::Git { url, .. } => {
                Some(futures::future::Either::Right(self.git(url, want)))
            }
            CopySource::Path(_) | CopySource::Inline(_) => None,
        });
        let found = futures::future::try_join_all(asked).await;
        found.map_err(|problem| Arc::new(problem.with_label(&step.source, step.span, "")))
    }

    async fn url(&self, url: &str, copy: &Copy, want: Want) -> Result<Remote, Diagnostic> {
        let checksum = copy.checksum.clone().map(Digest::new);
        if want == Want::Name
            && let Some(checksum) = checksum
        {
            return Ok(Remote::Known(checksum.to_string()));
        }
        let shown = self.shown(format!("[internal] download {}", redacted(url)));
        let on_bytes = |done, total| shown.part(url, done, total);
        let found = match want {
            Want::Name => {
                let digest = self.remotes.digest(url, &on_bytes).await;
                digest.map(|digest| Remote::Known(digest.to_string()))
            }
            Want::Content => {
                let file = self.remotes.file(url, checksum.as_ref(), &on_bytes).await;
                file.map(|file| Remote::File {
                    digest: file.digest.clone(),
                    file: Arc::new(one_file(crate::plan::url_name(url), &file)),
                })
            }
        };
        shown.finish(found.as_ref().err());
        found
    }

    async fn git(&self, url: &GitUrl, want: Want) -> Result<Remote, Diagnostic> {
        match want {
            Want::Name => self.remotes.commit(url).await.map(Remote::Known),
            Want::Content => self.remotes.repository(url).await.map(Remote::Tree),
        }
    }

    fn shown(&self, title: String) -> Shown<'_> {
        Shown {
            builder: self,
            title,
            running: OnceLock::new(),
        }
    }
}

/// A downloaded file as a copy sees it.
pub fn one_file(name: String, file: &WebFile) -> OneFile {
    let mut entry = Entry::new(name, Kind::File, 0o600);
    entry.size = file.size;
    entry.mtime = Mtime {
        secs: file.modified,
        nanos: 0,
    };
    OneFile::new(entry, Arc::clone(&file.content), "download")
}

/// A line of the progress that is there only if something comes.
struct Shown<'a> {
    builder: &'a Builder,
    title: String,
    running: OnceLock<Running>,
}

impl Shown<'_> {
    fn part(&self, part: &str, done: u64, total: u64) {
        let start = || self.builder.numbering.start(&self.title);
        self.running
            .get_or_init(start)
            .part(part, "downloading", done, total);
    }

    fn finish(self, problem: Option<&Diagnostic>) {
        let Some(running) = self.running.into_inner() else {
            return;
        };
        running.finish(match problem {
            Some(problem) => StepOutcome::Failed(problem.message.clone()),
            None => StepOutcome::Done,
        });
    }
}
