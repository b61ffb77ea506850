//! bowline builds container images on a Docker Engine.
pub mod engine;
pub mod image;
pub mod init;
pub mod progress;
