//! bowline builds container images on a Docker Engine.

//pub mod build;
pub mod cache;
pub mod cli;
pub mod diag;
pub mod dockerfile;
pub mod engine;
pub mod image;
pub mod init;
pub mod plan;
pub mod progress;
pub mod request;
pub mod source;
