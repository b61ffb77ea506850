//! The sources of `COPY` and `ADD`: what a path or pattern selects in a [`FileTree`].
//!
//! - A source without wildcards must be there. Links on the way and the link that it names
//!   itself are followed inside the tree's root; `..` at the root stays there.
//! - A source with wildcards (`*`, `?`, `[…]`, `\` escapes, as Go's `filepath.Match`) may
//!   match nothing. Links before the first wildcard are followed; a link that is matched is
//!   followed, and must lead to something; a link in between is never gone through.
//! - A file goes to the destination, or into it under [`Match::name`] when it is a directory.
//!   Of a directory the *contents* go to the destination.
//!
//! Where things go is the caller's: this says what, and the name it has there.

use std::sync::Arc;

use super::entry::{Entry, Kind};
use super::error::{Error, Result};
use super::glob::{BadPattern, Glob, has_wildcard};
use super::ignore::{IgnoreRules, ParentState};
use super::path::{self, inside, join};
use super::tree::{self, FileTree};
use crate::diag::suggest;

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
    /// a destination directory. Empty for the tree's root and with `--parents`.
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
    let excludes =
        IgnoreRules::from_patterns(&options.excludes).map_err(|error| Error::Pattern {
            pattern: error.pattern,
        })?;
    if options.parents {
        return select_with_parents(tree, source, &excludes).map(|found| vec![found]);
    }
    let (prefix, wild) = fixed_prefix(source, false);
    if !wild {
        let root = named(tree, source, &prefix)?;
        let name = path::split(&prefix).1.to_owned();
        return Ok(vec![matched(tree, name, root, &excludes)?]);
    }
    let cleaned = inside(source);
    let rest = cleaned[prefix.len()..].trim_start_matches('/');
    let glob = Glob::new(rest).map_err(|BadPattern| Error::Pattern {
        pattern: source.to_owned(),
    })?;
    let base = tree::resolve(tree, &prefix)?;
    let depth = rest.split('/').count();
    let mut found = Vec::new();
    collect_matches(tree, &base, &base, &glob, depth, &mut found)?;
    let mut matches = Vec::new();
    for entry in found {
        let root = match &entry.kind {
            Kind::Symlink(_) => named(tree, &entry.path, &entry.path)?,
            _ => Arc::clone(&entry),
        };
        matches.push(matched(tree, entry.name().to_owned(), root, &excludes)?);
    }
    Ok(matches)
}

/// Everything below `dir` whose path from `base` the pattern matches; below a match nothing.
fn collect_matches(
    tree: &dyn FileTree,
    base: &str,
    dir: &str,
    glob: &Glob,
    depth: usize,
    found: &mut Vec<Arc<Entry>>,
) -> Result<()> {
    for entry in tree.list(dir)? {
        let relative = entry.path[base.len()..].trim_start_matches('/');
        if glob.matches(relative) {
            found.push(entry);
        } else if entry.is_dir() && depth > 1 {
            collect_matches(tree, base, &entry.path, glob, depth - 1, found)?;
        }
    }
    Ok(())
}

/// What a path names, links followed. It must be there.
fn named(tree: &dyn FileTree, source: &str, path: &str) -> Result<Arc<Entry>> {
    let real = tree::resolve(tree, path)?;
    if let Some(entry) = tree.lstat(&real)? {
        return Ok(entry);
    }
    let place = tree.place().to_owned();
    let ignored = tree.ignored_by(&real).or_else(|| tree.ignored_by(path));
    if let Some(Kind::Symlink(target)) = tree.lstat(path)?.map(|entry| entry.kind.clone()) {
        return Err(Error::DanglingLink {
            path: source.to_owned(),
            target,
            place,
            ignored,
        });
    }
    let (dir, name) = path::split(path);
    let beside = tree.list(dir).unwrap_or_default();
    let similar = suggest(name, beside.iter().map(|entry| entry.name()));
    let similar = similar.map(|name| join(dir, name));
    Err(Error::NotFound {
        path: source.to_owned(),
        place,
        ignored,
        similar,
    })
}

fn matched(
    tree: &dyn FileTree,
    name: String,
    root: Arc<Entry>,
    excludes: &IgnoreRules,
) -> Result<Match> {
    let mut contents = Vec::new();
    if root.is_dir() {
        let start = if root.path.is_empty() {
            0
        } else {
            root.path.len() + 1
        };
        if excludes.is_empty() {
            let below = tree.below(&root.path)?;
            contents.extend(below.into_iter().map(|entry| Selected {
                entry,
                implied: false,
                start,
            }));
        } else {
            let walk = Walk {
                tree,
                start,
                include: None,
                excludes,
            };
            walk.below(
                &root.path,
                &ParentState::default(),
                &ParentState::default(),
                &mut contents,
            )?;
        }
    }
    Ok(Match {
        name,
        root,
        contents,
    })
}

fn select_with_parents(tree: &dyn FileTree, source: &str, excludes: &IgnoreRules) -> Result<Match> {
    let (dir, pattern) = source.split_once("/./").unwrap_or(("/", source));
    let pattern = inside(pattern);
    let base = tree::resolve(tree, &inside(dir))?;
    if !has_wildcard(dir) && !has_wildcard(&pattern) {
        named(tree, source, &join(&inside(dir), &pattern))?;
    }
    let root = named(tree, source, &base)?;
    let include = IgnoreRules::from_patterns(&[&pattern]).map_err(|error| Error::Pattern {
        pattern: error.pattern,
    })?;
    let start = if base.is_empty() { 0 } else { base.len() + 1 };
    let fixed: Vec<&str> = pattern
        .split('/')
        .take_while(|part| !has_wildcard(part))
        .collect();
    let fixed = fixed.join("/");
    let mut contents = Vec::new();
    let walk = Walk {
        tree,
        start,
        include: Some((&include, &fixed)),
        excludes,
    };
    walk.below(
        &base,
        &ParentState::default(),
        &ParentState::default(),
        &mut contents,
    )?;
    Ok(Match {
        name: String::new(),
        root,
        contents,
    })
}

/// A walk that leaves out what is not included or is excluded.
struct Walk<'a> {
    tree: &'a dyn FileTree,
    start: usize,
    /// Patterns, and the path before their first wildcard.
    include: Option<(&'a IgnoreRules, &'a str)>,
    excludes: &'a IgnoreRules,
}

impl Walk<'_> {
    fn below(
        &self,
        dir: &str,
        included: &ParentState,
        excluded: &ParentState,
        out: &mut Vec<Selected>,
    ) -> Result<()> {
        for entry in self.tree.list(dir)? {
            let relative = &entry.path[self.start..];
            let (inside, include_state) = match self.include {
                None => (true, ParentState::default()),
                Some((rules, _)) => rules.ignored(relative, included),
            };
            let (outside, exclude_state) = self.excludes.ignored(relative, excluded);
            let taken = inside && !outside;
            if !entry.is_dir() {
                if taken {
                    out.push(Selected {
                        entry,
                        implied: false,
                        start: self.start,
                    });
                }
                continue;
            }
            if outside && !self.excludes.has_exceptions() {
                continue;
            }
            if !inside && !self.may_include_below(relative) {
                continue;
            }
            let mut below = Vec::new();
            self.below(&entry.path, &include_state, &exclude_state, &mut below)?;
            if taken || !below.is_empty() {
                out.push(Selected {
                    entry,
                    implied: !taken,
                    start: self.start,
                });
                out.append(&mut below);
            }
        }
        Ok(())
    }

    fn may_include_below(&self, dir: &str) -> bool {
        let Some((_, fixed)) = self.include else {
            return true;
        };
        let leads_to = |short: &str, long: &str| {
            long.strip_prefix(short)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        fixed.is_empty() || leads_to(dir, fixed) || leads_to(fixed, dir)
    }
}

/// The part of a source before its first wildcard, cleaned, and whether there is a wildcard:
/// with it, all files below that directory may be needed; without it, the path itself.
/// With `parents` the path is the directory before the `/./`, or the root.
pub fn fixed_prefix(source: &str, parents: bool) -> (String, bool) {
    if parents {
        let dir = source.split_once("/./").map_or("", |(dir, _)| dir);
        return (inside(dir), true);
    }
    let cleaned = inside(source);
    let fixed: Vec<&str> = cleaned
        .split('/')
        .take_while(|part| !has_wildcard(part))
        .collect();
    let fixed = fixed.join("/");
    let wild = fixed.len() != cleaned.len();
    (fixed, wild)
}
