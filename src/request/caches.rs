//! Caches outside the engine: where a build finds steps that other engines made, and leaves its
//! own.

use std::path::PathBuf;

use crate::image::Reference;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caches {
    pub from: Vec<CachePlace>,
    pub to: Vec<CacheTo>,
    /// Whether the result itself says how it was made, for those who have it as their cache.
    pub inline: bool,
}

/// Where a cache is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachePlace {
    Registry {
        reference: Reference,
        insecure: bool,
    },
    Directory {
        path: PathBuf,
        tag: String,
    },
}

/// A cache that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheTo {
    pub place: CachePlace,
    /// `mode=max`: steps of all stages, not only those the result stands on.
    pub everything: bool,
    /// Whether the build goes on when it cannot be written.
    pub ignore_error: bool,
}
