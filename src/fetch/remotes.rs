//! Everything remote that a build names, each thing asked for once.

use std::collections::HashMap;
use std::fs::File;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::git::{self, Commit};
use super::memory::{Memory, Remembered};
use super::web::{Answer, Fetched, Web};
use crate::context::FileTree;
use crate::diag::Diagnostic;
use crate::image::Digest;
use crate::request::Proxies;
use crate::request::address::{GitUrl, redacted};

/// What fetching depends on.
#[derive(Debug, Clone)]
pub struct Settings {
    pub proxies: Proxies,
    /// Where it is remembered what servers said.
    pub cache_dir: PathBuf,
    /// Where files go that a build needs only while it runs.
    pub scratch_dir: PathBuf,
}

/// A file from a URL.
#[derive(Debug, Clone)]
pub struct WebFile {
    pub content: Arc<File>,
    pub size: u64,
    pub digest: Digest,
    /// Seconds since 1970; 0 when the server does not say.
    pub modified: i64,
}

/// Told how much of a file has come, of how much; 0 is unknown.
pub type OnBytes<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// All remote things of a build.
pub struct Remotes {
    settings: Settings,
    web: Web,
    memory: Memory,
    files: Once<String, Arc<tokio::sync::Mutex<Known>>>,
    commits: Once<GitUrl, Arc<OnceCell<Commit>>>,
    trees: Once<GitUrl, Arc<OnceCell<Arc<dyn FileTree>>>>,
}

/// What is known of a URL by now.
#[derive(Default)]
struct Known {
    digest: Option<Digest>,
    file: Option<WebFile>,
}

impl Remotes {
    pub fn new(settings: Settings) -> Self {
        Self {
            web: Web::new(settings.proxies.clone()),
            memory: Memory::new(&settings.cache_dir),
            settings,
            files: Once::default(),
            commits: Once::default(),
            trees: Once::default(),
        }
    }

    /// The SHA-256 of what is behind a URL: as the server confirms it, or by fetching it.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub async fn digest(&self, url: &str, on: OnBytes<'_>) -> Result<Digest, Diagnostic> {
        let slot = self.files.of(url.to_owned());
        let mut known = slot.lock().await;
        if let Some(digest) = &known.digest {
            return Ok(digest.clone());
        }
        let remembered = self.memory.get(url);
        let etag = remembered
            .as_ref()
            .map(|remembered| remembered.etag.as_str());
        let digest = match (self.get(url, etag, on).await?, &remembered) {
            (Answer::Same, Some(remembered)) => remembered.digest.clone(),
            (Answer::Same, None) => return Err(nothing(url)),
            (Answer::File(fetched), _) => self.learn(url, fetched, &mut known).digest,
        };
        known.digest = Some(digest.clone());
        Ok(digest)
    }

    /// What is behind a URL.
    ///
    /// # Errors
    /// When it cannot be fetched, or is not what its digest said.
    pub async fn file(
        &self,
        url: &str,
        wanted: Option<&Digest>,
        on: OnBytes<'_>,
    ) -> Result<WebFile, Diagnostic> {
        let slot = self.files.of(url.to_owned());
        let mut known = slot.lock().await;
        let file = match &known.file {
            Some(file) => file.clone(),
            None => match self.get(url, None, on).await? {
                Answer::Same => return Err(nothing(url)),
                Answer::File(fetched) => self.learn(url, fetched, &mut known),
            },
        };
        if let Some(wanted) = wanted.filter(|wanted| **wanted != file.digest) {
            let url = redacted(url);
            let message = format!("`{url}` is not what its checksum says");
            return Err(Diagnostic::error(message)
                .with_note(format!("wanted is {wanted}, the file has {}", file.digest))
                .with_hint("give the new checksum if the new file is meant"));
        }
        if known
            .digest
            .as_ref()
            .is_some_and(|digest| *digest != file.digest)
        {
            let message = format!("`{}` changed while the build ran", redacted(url));
            return Err(Diagnostic::error(message).with_hint("build again"));
        }
        Ok(file)
    }

    async fn get(
        &self,
        url: &str,
        etag: Option<&str>,
        on: OnBytes<'_>,
    ) -> Result<Answer, Diagnostic> {
        self.web
            .get(url, etag, &self.settings.scratch_dir, on)
            .await
    }

    fn learn(&self, url: &str, fetched: Fetched, known: &mut Known) -> WebFile {
        if let Some(etag) = fetched.etag {
            let digest = fetched.digest.clone();
            self.memory.put(url, &Remembered { etag, digest });
        }
        let file = WebFile {
            content: fetched.content,
            size: fetched.size,
            digest: fetched.digest,
            modified: fetched.modified.unwrap_or(0),
        };
        known.file = Some(file.clone());
        file
    }

    /// What a repository's files are known by before they are fetched.
    ///
    /// # Errors
    /// When the repository cannot be asked.
    pub async fn commit(&self, url: &GitUrl) -> Result<String, Diagnostic> {
        let commit = self.resolved(url).await?;
        let keeps = url.keep_git_dir == Some(true);
        let kept = if keeps { commit.reference.as_str() } else { "" };
        let modules = url.submodules != Some(false);
        let below = url.directory();
        Ok(format!("{} {keeps} {kept} {modules} {below}", commit.id))
    }

    async fn resolved(&self, url: &GitUrl) -> Result<Commit, Diagnostic> {
        let slot = self.commits.of(url.clone());
        let found = slot.get_or_try_init(|| git::resolve(url)).await;
        found.cloned()
    }

    /// The files of a repository.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub async fn repository(&self, url: &GitUrl) -> Result<Arc<dyn FileTree>, Diagnostic> {
        let commit = self.resolved(url).await?;
        let slot = self.trees.of(url.clone());
        let scratch = &self.settings.scratch_dir;
        let tree = slot.get_or_try_init(|| git::check_out(url, &commit, scratch));
        tree.await.cloned()
    }
}

/// A server that says "not modified" to who did not ask.
fn nothing(url: &str) -> Diagnostic {
    Diagnostic::error(format!(
        "cannot download `{}`: the server sends nothing",
        redacted(url)
    ))
}

/// One slot for each thing.
struct Once<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone + Default> Once<K, V> {
    fn of(&self, key: K) -> V {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(key).or_default().clone()
    }
}
