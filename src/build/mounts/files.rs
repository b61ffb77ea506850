//! The files that bind mounts show and that caches begin with: found, counted for the cache,
//! and written as an archive.

use std::io::{self, Write};
use std::sync::Arc;

use crate::build::builder::Builder;
use crate::build::copy::{self, Problem, send};
use crate::build::failure::{self, Failure};
use crate::build::snapshot::Snapshot;
use crate::cache::Inputs;
use crate::context::{Entry, FileTree, Kind, LayerWriter, Links, Match, digest, select_exactly};
use crate::engine::ByteStream;
use crate::plan::{CopyFrom, Run, Step};
use crate::progress::Running;

/// The files behind one mount.
pub(in crate::build) struct MountFiles {
    tree: Arc<dyn FileTree>,
    found: Match,
    digest: String,
}

/// What a step's mounts read, for its key.
pub(in crate::build) fn inputs(files: &[MountFiles]) -> Inputs {
    match files {
        [] => Inputs::None,
        files => {
            let digests: Vec<&str> = files.iter().map(MountFiles::digest).collect();
            Inputs::Content(digests.join(" "))
        }
    }
}

impl MountFiles {
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }
}

impl Builder {
    /// Finds the files of a step's mounts, in the order of [`Run::files`].
    pub(in crate::build) async fn mount_files(
        &self,
        step: &Step,
        run: &Run,
        sources: &[(CopyFrom, Snapshot)],
        progress: &Running,
    ) -> Result<Vec<MountFiles>, Failure> {
        let mut all = Vec::new();
        for (from, source) in run.files() {
            let snapshot = sources.iter().find(|(known, _)| *known == from);
            let tree = match (from, snapshot) {
                (_, Some((_, snapshot))) => {
                    let (rootfs, scratch) = (&snapshot.rootfs, &self.settings.scratch);
                    let tree = copy::tree_of(rootfs, &[source], scratch, progress).await;
                    tree.map_err(|problem| Arc::new(problem.at(step)))?
                }
                (from, None) => self.tree_of(step, from).await?,
            };
            all.push(self.find_exactly(step, tree, source).await?);
        }
        Ok(all)
    }

    /// The inputs of a mount from a context, before anything runs.
    pub(in crate::build) async fn context_mount(
        &self,
        step: &Step,
        from: CopyFrom,
        source: &str,
    ) -> Result<Inputs, Failure> {
        let tree = self.tree_of(step, from).await?;
        let found = self.find_exactly(step, tree, source);
        Ok(Inputs::Content(found.await?.digest))
    }

    async fn find_exactly(
        &self,
        step: &Step,
        tree: Arc<dyn FileTree>,
        source: &str,
    ) -> Result<MountFiles, Failure> {
        let cache = Arc::clone(&self.contexts.stat_cache);
        let source = source.to_owned();
        let work = move || {
            let found = select_exactly(&*tree, &source)?;
            let mut hash = blake3::Hasher::new();
            hash.update(&digest(&*tree, std::slice::from_ref(&found), Some(&cache))?.0);
            let digest = hash.finalize().to_hex().to_string();
            Ok::<_, Problem>(MountFiles {
                tree,
                found,
                digest,
            })
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(files)) => Ok(files),
            Ok(Err(problem)) => Err(Arc::new(problem.at(step))),
            Err(error) => Err(Arc::new(failure::internal(&error.to_string()))),
        }
    }
}

/// The archive of the files, below `name`.
pub(super) fn archive(files: MountFiles, name: &str) -> ByteStream {
    let name = name.to_owned();
    send::written(move |out| {
        let mut writer = LayerWriter::new(out).with_fractions();
        write(&mut writer, &files, &name).map_err(io::Error::other)?;
        let finished = writer.finish().map_err(io::Error::other);
        finished.map(|(out, _)| out)
    })
}

fn write<W: Write>(
    writer: &mut LayerWriter<W>,
    files: &MountFiles,
    name: &str,
) -> Result<(), String> {
    let root = &files.found.root;
    let mut links = Links::default();
    let mut put = |entry: &Entry, path: String| {
        let mut placed = entry.clone();
        placed.path = path;
        if let Some(earlier) = links.earlier(entry, &placed.path) {
            placed.kind = Kind::Hardlink(earlier);
            placed.size = 0;
        }
        let written = if placed.is_file() {
            let mut content = files.tree.open(entry).map_err(|e| e.to_string())?;
            let xattrs = files.tree.xattrs(entry).map_err(|e| e.to_string())?;
            writer.add_file(&placed, &xattrs, &mut *content)
        } else {
            let xattrs = files.tree.xattrs(entry).map_err(|e| e.to_string())?;
            writer.add(&placed, &xattrs)
        };
        written.map_err(|error| error.to_string())
    };
    put(root, name.to_owned())?;
    for selected in &files.found.contents {
        put(&selected.entry, format!("{name}/{}", selected.name()))?;
    }
    Ok(())
}
