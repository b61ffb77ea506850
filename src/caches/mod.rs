//! Caches outside the engine: steps that other engines made, in a registry, in a directory, or in
//! the images themselves.
//!
//! A cache is an image manifest whose layers are the layers of steps and whose config says which
//! steps they are. An image can say the same of itself (`inline`). What cannot be read counts as
//! an empty cache; what is read is checked against its digest.

mod place;
mod read;
mod write;

pub use place::{Place, PlaceError};
pub use read::{Document, Sources};
pub use write::{Sent, send};

/// The media type of a cache's config.
pub const CONFIG: &str = "application/vnd.bowline.cache.v1+json";
/// Where an image's config says how the image was made.
pub const INLINE: &str = "bowline.cache.v1";
