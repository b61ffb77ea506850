//! The cache, as far as it can be thought of without an engine: keys and records.
//!
//! Every step that changes files has an image of its own in the engine, named
//! `bowline/cache:<key>`. The key is a digest of what the step does and of what it reads, never
//! of paths or times on the client, so every client of the engine finds what another built.
//! Its config carries a [`Record`] as a label. The build asks the engine whether the image still
//! lives; nothing here does.
//!
//! A step has up to two keys. Its *definition* key is known before anything runs: a copy from
//! another stage counts that stage's key. Its *content* key counts the files that were really
//! copied. Both are names of the same image, so a stage that was built again with the same
//! result costs its dependants nothing.

mod kept;
mod key;
mod record;
mod steps;

pub use kept::{Kept, KeptStep};
pub use key::{Inputs, Key};
pub use record::{LABEL, Leak, Record, RecordedLayer};
pub use steps::{Bounds, Steps, StoredStep};

/// The repository that step images are named in.
pub const REPOSITORY: &str = "bowline/cache";
