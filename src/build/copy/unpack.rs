//! Archives of `ADD`: unpacked into the layer in the making.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::layer::Tree;
use super::place::{Content, PlaceError, Placement, parent_of};
use crate::context::archive::{self, Compression, Unpack, UnpackError};
use crate::context::{Entry, Unpacked};

impl Placement {
    /// Puts what an archive holds below a directory that is there, links resolved.
    pub(super) async fn unpack(
        &mut self,
        content: Box<dyn Read + Send>,
        compression: Compression,
        dest: &str,
        scratch: &Path,
    ) -> Result<(), PlaceError> {
        let (entries, tree) = self.read(content, compression, dest, scratch).await?;
        let held: HashSet<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
        self.trees += 1;
        for entry in &entries {
            let path = format!("/{}", entry.path);
            let parent = parent_of(&path).to_owned();
            if !held.contains(&parent[1..]) {
                self.touch(&parent).await?;
            }
            self.put_unpacked(&path, entry, &tree).await?;
        }
        Ok(())
    }

    async fn put_unpacked(
        &mut self,
        path: &str,
        entry: &Arc<Entry>,
        tree: &Tree,
    ) -> Result<(), PlaceError> {
        let old = self.files.get(path);
        if !entry.is_dir() && old.is_some_and(|file| file.entry.is_dir()) {
            self.files.retain(|other, _| !is_below(other, path));
        }
        if !entry.is_dir() {
            self.fresh.remove(path);
        } else if !self.lstat(path).await?.is_some_and(|meta| meta.is_dir()) {
            self.fresh.insert(path.to_owned());
        }
        let content = Content::Tree {
            tree: Arc::clone(tree),
            entry: Arc::clone(entry),
        };
        self.set(path, (**entry).clone(), content);
        if let Some(file) = self.files.get_mut(path) {
            file.names = entry.link.map(|id| (self.trees, id));
        }
        Ok(())
    }

    async fn read(
        &self,
        mut content: Box<dyn Read + Send>,
        compression: Compression,
        dest: &str,
        scratch: &Path,
    ) -> Result<(Vec<Arc<Entry>>, Tree), PlaceError> {
        let mut unpacked = Unpacked::new(scratch).map_err(UnpackError::keep)?;
        let view = self.view.clone();
        let dest = dest.trim_start_matches('/').to_owned();
        let (owner, implied_mtime) = (self.owner, self.now);
        let handle = tokio::runtime::Handle::current();
        let work = move || {
            let mut lookup = |path: &str| {
                let found = handle.block_on(view.kind_at(path));
                found.map_err(|error| io::Error::other(error.to_string()))
            };
            let options = Unpack {
                dest: &dest,
                owner,
                implied_mtime,
                lookup: &mut lookup,
            };
            archive::unpack(&mut *content, compression, options, &mut unpacked)?;
            let (entries, tree) = unpacked.finish().map_err(UnpackError::keep)?;
            Ok((entries, Arc::new(tree) as Tree))
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(PlaceError::Internal(error.to_string())))
    }
}

fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir)
        .is_some_and(|rest| rest.starts_with('/'))
}
