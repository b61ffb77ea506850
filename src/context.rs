//! The build context and what is made of it: ignore rules, file trees, the sources of a
//! copy, content digests, and layers.
//!
//! The way of a file from the context into an image:
//!
//! 1. [`IgnoreRules`] are read from a `.dockerignore`, [`Context::open`] takes them. Nothing
//!    is listed before a copy asks for it.
//! 2. [`select`](select()) resolves one source of `COPY` or `ADD` against a [`FileTree`] (the
//!    context, or a [`TarTree`] made from an archive of an image's files or from a context
//!    that is an archive) and gives [`Match`]es.
//! 3. [`digest`] hashes what was selected, for the cache key; a [`StatCache`] remembers the
//!    digests of files between builds.
//! 4. [`LayerWriter`] writes the layer, entry by entry, hashing on the way.
//!    [`archive::unpack`] gives the entries of an archive, which [`Unpacked`] collects.
//!
//! All of it is synchronous and knows neither the plan nor an engine.

pub mod archive;
mod checkout;
mod entry;
mod error;
mod glob;
mod hash;
pub mod ignore;
pub mod name;
mod no_files;
mod one_file;
mod path;
mod select;
mod stat_cache;
mod tar;
mod tar_tree;
mod tree;
mod unpacked;
mod walk;

pub use checkout::Checkout;
pub use entry::{Entry, Kind, LinkId, Mtime, Xattr};
pub use error::{Error, IgnoreError, Result};
pub use hash::{ContentDigest, digest};
pub use ignore::{IgnoreRules, IgnoredBy};
pub use no_files::NoFiles;
pub use one_file::OneFile;
pub use select::{Match, Options, Selected, fixed_prefix, select, select_exactly};
pub use stat_cache::StatCache;
pub(crate) use tar::read::TarReader;
pub use tar::{LayerDigest, LayerError, LayerWriter, Links};
pub use tar_tree::TarTree;
pub use tree::{FileTree, resolve};
pub use unpacked::Unpacked;
pub use walk::Context;
