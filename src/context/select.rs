//! The sources of `COPY` and `ADD`: what a path or pattern selects in a [`FileTree`].
//!
//! - A source without wildcards must be there. Links on the way and the link that it names
//!   itself are followed inside the tree's root; `..` at the root stays there.
//! - A source with wildcards (`*`, `?`, `[…]`, `\` escapes, as Go's `filepath.Match`) may
//!   match nothing, but the directory before the first wildcard must be there. Links in that
//!   directory are followed; a link that is matched is followed, and must lead to something;
//!   a link in between is never gone through.
//! - A file goes to the destination, or into it under [`Match::name`] when it is a directory.
//!   Of a directory the *contents* go to the destination.
//!
//! Where things go is the caller's: this says what, and the name it has there.

use std::sync::Arc;

use super::entry::{Entry, Kind};
use super::error::{Error, Result};
use super::glob::{Glob, has_wildcard};
use super::ignore::{IgnoreRules, ParentState};
use super::path::{inside, join, split};
use super::tree::{FileTree, resolve};

/// What the flags of the instruction say.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--exclude`: patterns as in an ignore file, each relative to every source directory.
    /// A file that a source names or matches directly is never excluded.
    pub excludes: Vec<String>,
    /// `--parents`: the path from the root (or from `/./`) is kept at the destination.
    pub parents: bool,
}

/// One file or directory that a source names or matches.
#[derive(Debug, Clone)]
pub struct Match {
    /// The last part of the path before links were followed: the name that a *file* gets in
    /// a destination directory. Empty for the tree's root.
    pub name: String,
    /// What it is after links were followed. With `--parents`, the directory that kept paths
    /// are relative to.
    ///
    /// A directory is not copied itself: the destination takes only its modification time
    /// (BuildKit does that also when the destination was there).
    pub root: Arc<Entry>,
    /// What is copied of a directory: each directory before what is in it. Empty for a file.
    pub contents: Vec<Selected>,
}

/// Something below a matched directory.
#[derive(Debug, Clone)]
pub struct Selected {
    /// In the source tree.
    pub entry: Arc<Entry>,
    /// A directory that is here only because something in it is selected (`--parents`, or an
    /// exclude with an exception). It is made like the source's when it is not there; when it
    /// is, it takes the source's mode and nothing else.
    pub implied: bool,
    /// Where the name relative to the destination starts in the entry's path.
    start: usize,
}

impl Selected {
    /// The path relative to the destination.
    pub fn name(&self) -> &str {
        &self.entry.path[self.start..]
    }
}

/// What `source` selects in `tree`, in the order in which BuildKit copies it: a later match
/// or entry of the same name replaces an earlier one.
pub fn select(tree: &dyn FileTree, source: &str, options: &Options) -> Result<Vec<Match>> {
    let filter = Filter::new(source, options)?;
    let (source, kept) = pivot(source, options.parents);
    if let Some(kept) = &kept
        && !has_wildcard(&source)
        && !has_wildcard(kept)
    {
        let path = join(&source, kept);
        existing(tree, &path)?;
    }
    let paths = match split_wildcards(&source) {
        (path, None) => vec![path],
        (base, Some(pattern)) => matching(tree, &base, &pattern)?,
    };
    paths
        .into_iter()
        .map(|path| filter.take(tree, &path))
        .collect()
}

/// What is at a path, whatever its name: of a directory everything in it.
pub fn select_exactly(tree: &dyn FileTree, path: &str) -> Result<Match> {
    let filter = Filter::new("", &Options::default())?;
    filter.take(tree, &inside(path))
}

/// The part of a source before its first wildcard, cleaned, and whether there is a wildcard:
/// with it, all files below that directory may be needed; without it, the path itself.
/// With `parents` the path is the directory before the `/./`, or the root.
pub fn fixed_prefix(source: &str, parents: bool) -> (String, bool) {
    let (base, pattern) = split_wildcards(&pivot(source, parents).0);
    (base, pattern.is_some())
}

/// The directory that kept paths are relative to, and the path or pattern that is kept;
/// without `--parents` the source.
fn pivot(source: &str, parents: bool) -> (String, Option<String>) {
    match source.split_once("/./") {
        _ if !parents => (inside(source), None),
        Some((dir, kept)) => (inside(dir), Some(inside(kept))),
        None => (String::new(), Some(inside(source))),
    }
}

/// Splits a cleaned source before its first part with a wildcard.
fn split_wildcards(source: &str) -> (String, Option<String>) {
    let parts: Vec<&str> = source.split('/').collect();
    match parts.iter().position(|part| has_wildcard(part)) {
        Some(at) => (parts[..at].join("/"), Some(parts[at..].join("/"))),
        None => (source.to_owned(), None),
    }
}

/// What is at `path`, links followed.
fn existing(tree: &dyn FileTree, path: &str) -> Result<Arc<Entry>> {
    let real = resolve(tree, path)?;
    if let Some(entry) = tree.lstat(&real)? {
        tree.check(&entry)?;
        return Ok(entry);
    }
    let (path, place) = (path.to_owned(), tree.place().to_owned());
    if let Some(Kind::Symlink(target)) = tree.lstat(&path)?.map(|entry| entry.kind.clone()) {
        let ignored = tree.ignored_by(&real);
        return Err(Error::DanglingLink {
            path,
            target,
            place,
            ignored,
        });
    }
    let ignored = tree.ignored_by(&real);
    let similar = if ignored.is_none() {
        similar(tree, &real)
    } else {
        None
    };
    Err(Error::NotFound {
        path,
        place,
        ignored,
        similar,
    })
}

/// Something beside `path` whose name looks like its last part.
fn similar(tree: &dyn FileTree, path: &str) -> Option<String> {
    let (dir, name) = split(path);
    let beside = tree.list(dir).ok()?;
    let names = beside.iter().map(|entry| entry.name());
    let found = crate::diag::suggest(name, names)?;
    Some(join(dir, found))
}

/// The paths below the directory `base` that a pattern matches, in the order of a walk.
fn matching(tree: &dyn FileTree, base: &str, pattern: &str) -> Result<Vec<String>> {
    let bad = |_| Error::Pattern {
        pattern: pattern.to_owned(),
    };
    let whole = Glob::new(pattern).map_err(bad)?;
    let depth = pattern.matches('/').count();
    // A class can match a slash; then names are not matched part by part.
    let parts = if pattern.contains('[') {
        None
    } else {
        Some(
            pattern
                .split('/')
                .map(Glob::new)
                .collect::<Result<Vec<_>, _>>()
                .map_err(bad)?,
        )
    };
    let base = existing(tree, base)?;
    let search = Search {
        tree,
        whole,
        parts,
        depth: depth + pattern.matches('[').count(),
    };
    let mut found = Vec::new();
    search.below(&base.path, "", 0, &mut found)?;
    Ok(found)
}

struct Search<'a> {
    tree: &'a dyn FileTree,
    whole: Glob,
    /// The pattern of each part, where names can be matched part by part.
    parts: Option<Vec<Glob>>,
    /// The greatest number of slashes that a match can have.
    depth: usize,
}

impl Search<'_> {
    fn below(
        &self,
        dir: &str,
        relative: &str,
        depth: usize,
        found: &mut Vec<String>,
    ) -> Result<()> {
        for entry in self.tree.list(dir)? {
            if let Some(parts) = &self.parts
                && !parts
                    .get(depth)
                    .is_some_and(|part| part.matches(entry.name()))
            {
                continue;
            }
            let relative = join(relative, entry.name());
            if self.whole.matches(&relative) {
                found.push(entry.path.clone());
            } else if entry.is_dir() && depth < self.depth {
                self.below(&entry.path, &relative, depth + 1, found)?;
            }
        }
        Ok(())
    }
}

/// What of a matched directory is copied.
struct Filter {
    /// With `--parents`, the pattern that is kept.
    includes: Option<IgnoreRules>,
    /// The part of that pattern before its first wildcard.
    fixed: String,
    excludes: IgnoreRules,
}

impl Filter {
    fn new(source: &str, options: &Options) -> Result<Self> {
        let bad = |error: super::IgnoreError| Error::Pattern {
            pattern: error.pattern,
        };
        // `--parents` of a whole directory (`.`, `dir/./`) keeps all that is in it.
        let kept = pivot(source, options.parents)
            .1
            .filter(|kept| !kept.is_empty());
        let rules = |pattern: &String| IgnoreRules::from_patterns(&[pattern]).map_err(bad);
        Ok(Self {
            includes: kept.as_ref().map(rules).transpose()?,
            fixed: kept
                .map(|kept| split_wildcards(&kept).0)
                .unwrap_or_default(),
            excludes: IgnoreRules::from_patterns(&options.excludes).map_err(bad)?,
        })
    }

    /// The match for a path that a source names or that its pattern found.
    fn take(&self, tree: &dyn FileTree, path: &str) -> Result<Match> {
        let root = existing(tree, path)?;
        let mut contents = Vec::new();
        if root.is_dir() {
            let start = if root.path.is_empty() {
                0
            } else {
                root.path.len() + 1
            };
            if self.includes.is_none() && self.excludes.is_empty() {
                let below = tree.below(&root.path)?.into_iter();
                let whole = |entry| Selected {
                    entry,
                    implied: false,
                    start,
                };
                contents.extend(below.map(whole));
            } else {
                let mut walk = Walk {
                    tree,
                    filter: self,
                    start,
                    waiting: Vec::new(),
                    contents,
                };
                walk.below(&root.path, &ParentState::default(), &ParentState::default())?;
                contents = walk.contents;
            }
        }
        for selected in &contents {
            tree.check(&selected.entry)?;
        }
        let name = split(path).1.to_owned();
        Ok(Match {
            name,
            root,
            contents,
        })
    }
}

/// A walk through a matched directory that leaves things out.
struct Walk<'a> {
    tree: &'a dyn FileTree,
    filter: &'a Filter,
    start: usize,
    /// The directories on the way that are taken once something in them is.
    waiting: Vec<Arc<Entry>>,
    contents: Vec<Selected>,
}

impl Walk<'_> {
    fn below(&mut self, dir: &str, included: &ParentState, excluded: &ParentState) -> Result<()> {
        for entry in self.tree.list(dir)? {
            let name = &entry.path[self.start..];
            let excludes = &self.filter.excludes;
            let (is_excluded, excluded) = excludes.ignored(name, excluded);
            let (mut take, included) = match &self.filter.includes {
                Some(includes) => includes.ignored(name, included),
                None => (true, ParentState::default()),
            };
            take &= !is_excluded;
            if take {
                let start = self.start;
                let implied = self.waiting.drain(..);
                self.contents.extend(implied.map(|entry| Selected {
                    entry,
                    implied: true,
                    start,
                }));
                let entry = Arc::clone(&entry);
                self.contents.push(Selected {
                    entry,
                    implied: false,
                    start,
                });
            }
            let enter = entry.is_dir()
                && (!is_excluded || excludes.has_exceptions())
                && (take || self.can_hold(name));
            if enter {
                let waiting = self.waiting.len();
                if !take {
                    self.waiting.push(Arc::clone(&entry));
                }
                self.below(&entry.path, &included, &excluded)?;
                self.waiting.truncate(waiting);
            }
        }
        Ok(())
    }

    /// Whether something that is included can be in a directory that is not.
    fn can_hold(&self, dir: &str) -> bool {
        let is_in = |inner: &str, outer: &str| {
            let rest = inner.strip_prefix(outer);
            outer.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.filter.includes.is_none()
            || is_in(dir, &self.filter.fixed)
            || is_in(&self.filter.fixed, dir)
    }
}

#[cfg(test)]
mod tests;
