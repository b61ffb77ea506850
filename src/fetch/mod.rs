//! What comes over the network by itself: files behind URLs, and git repositories.
//!
//! [`Remotes`] asks for each thing once in a build, however many steps name it, and remembers
//! between builds what a server may be asked to confirm. It knows no step and no engine.

mod git;
mod memory;
mod remotes;
mod web;

pub use web::client;

pub use remotes::{OnBytes, Remotes, Settings, WebFile};
