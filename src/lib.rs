//! bowline builds container images on a Docker Engine.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests make and read what they need"
    )
)]

pub mod build;
pub mod cache;
pub mod caches;
pub mod cli;
pub mod context;
pub mod debug;
pub mod diag;
pub mod dockerfile;
pub mod engine;
pub mod fetch;
pub mod image;
pub mod init;
pub mod lint;
pub mod output;
pub mod plan;
pub mod progress;
pub mod registry;
pub mod request;
pub mod run;
pub mod sandbox;
pub mod skaffold;
pub mod source;
