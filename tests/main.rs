//! The one test binary.
//!
//! `engine_*` need a Docker Engine, the one that `DOCKER_HOST` or the current context names, with
//! `busybox:latest` in it. They fail without one.

mod engine_base;
mod engine_container;
mod engine_files;
mod engine_load;
mod engine_measure;
mod engine_pull;
mod support;
