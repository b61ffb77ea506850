//! skaffold's side of a build: the contract of its custom builder, and its configuration file.
//!
//! Functions of their arguments: what skaffold hands over becomes the words of a `bowline build`,
//! and a `skaffold.yaml` becomes another one, or what is to be said of it. Nothing here runs
//! anything or reads a file.

mod config;
mod contract;
mod init;

pub use contract::{Contract, NAMES, Stale, duration};
pub use init::{Rewritten, rewrite};
