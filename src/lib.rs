//! bowline builds container images on a Docker Engine.

pub mod build;
pub mod cache;
pub mod cli;
pub mod context;
pub mod diag;
pub mod dockerfile;
pub mod engine;
pub mod image;
pub mod init;
pub mod output;
pub mod plan;
pub mod progress;
pub mod request;
pub mod run;
pub mod source;
