//! The files of a stage or an image that a copy wants, read out of the engine once.

use std::path::Path;
use std::sync::Arc;

use tokio_util::io::SyncIoBridge;

use super::gather::Problem;
use crate::build::rootfs::{DIRECTORIES_MADE_BY_ENGINES, MADE_BY_ENGINES, Meta, MetaKind, Rootfs};
use crate::context::fixed_prefix;
use crate::context::{Entry, FileTree, Kind, TarTree};
use crate::plan::{Copy, CopySource, clean};
use crate::progress::Running;

/// How many links one source may lead through.
const MAX_LINKS: usize = 40;

/// A tree that holds all that the sources of `copy` can select.
pub(super) async fn tree(
    rootfs: &Rootfs,
    copy: &Copy,
    scratch: &Path,
    progress: &Running,
) -> Result<Arc<dyn FileTree>, Problem> {
    let paths = copy.sources.iter().filter_map(|source| match source {
        CopySource::Path(path) => Some(fixed_prefix(path, copy.parents).0),
        _ => None,
    });
    let paths: Vec<String> = paths.collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    tree_of(rootfs, &paths, scratch, progress).await
}

/// A tree that holds what is at some paths.
pub(in crate::build) async fn tree_of(
    rootfs: &Rootfs,
    paths: &[&str],
    scratch: &Path,
    progress: &Running,
) -> Result<Arc<dyn FileTree>, Problem> {
    let mut tree = TarTree::new(scratch, "source's files")?;
    let rootfs = &rootfs.plain();
    for path in paths {
        progress.part(path, "reading", 0, 0);
        tree = add(tree, rootfs, &format!("/{path}")).await?;
    }
    for path in MADE_BY_ENGINES {
        let found = tree.lstat(&path[1..])?;
        if let Some(entry) = found
            && !rootfs.is_own(path, entry.mtime.secs).await?
        {
            tree.remove(&path[1..]);
        }
    }
    for path in DIRECTORIES_MADE_BY_ENGINES {
        let found = tree.lstat(&path[1..])?;
        if let Some(entry) = found
            && entry.is_dir()
            && tree.list(&path[1..])?.is_empty()
            && !rootfs.is_own_directory(path, entry.mtime.secs).await?
        {
            tree.remove(&path[1..]);
        }
    }
    Ok(Arc::new(tree))
}

/// Adds what is at a path, and every link on the way to it.
async fn add(mut tree: TarTree, rootfs: &Rootfs, path: &str) -> Result<TarTree, Problem> {
    let mut path = clean(path);
    for _ in 0..MAX_LINKS {
        match first_link(rootfs, &path).await? {
            None => return add_real(tree, rootfs, &path).await,
            Some((at, target)) => {
                tree.insert(Entry::new(&at[1..], Kind::Symlink(target.clone()), 0o777));
                let rest = &path[at.len()..];
                let parent = at.rfind('/').map_or("", |end| &at[..end]);
                path = if target.starts_with('/') {
                    clean(&format!("{target}{rest}"))
                } else {
                    clean(&format!("{parent}/{target}{rest}"))
                };
            }
        }
    }
    Err(crate::context::Error::TooManyLinks { path }.into())
}

/// The first link among a path and its parents.
async fn first_link(rootfs: &Rootfs, path: &str) -> Result<Option<(String, String)>, Problem> {
    let ends = path
        .match_indices('/')
        .skip(1)
        .map(|(at, _)| at)
        .chain([path.len()]);
    for end in ends {
        let at = &path[..end];
        match rootfs.lstat(at).await? {
            Some(Meta {
                kind: MetaKind::Symlink(target),
                ..
            }) => {
                return Ok(Some((at.to_owned(), target)));
            }
            Some(_) => {}
            None => break,
        }
    }
    Ok(None)
}

async fn add_real(mut tree: TarTree, rootfs: &Rootfs, path: &str) -> Result<TarTree, Problem> {
    let Some(archive) = rootfs.read_tree(path).await? else {
        return Ok(tree);
    };
    // The archive's names start with the last part of the path (with `/` for the root).
    let strip = usize::from(path != "/");
    let under = path[1..].to_owned();
    let reader = SyncIoBridge::new(archive);
    let work = move || tree.add(reader, strip, &under).map(|()| tree);
    let added = tokio::task::spawn_blocking(work).await;
    match added {
        Ok(result) => Ok(result?),
        Err(error) => Err(Problem::Other(crate::build::failure::internal(
            &error.to_string(),
        ))),
    }
}
