//! The one test binary: it links once, and its tests share one engine.
//!
//! They need a Docker Engine, the one that `DOCKER_HOST` names, with `busybox:latest` in it, and
//! fail without one: `tests/run.sh` provides it.
#![allow(
    unreachable_pub,
    clippy::pedantic,
    clippy::disallowed_methods,
    reason = "tests start programs, read variables and files as they please"
)]

mod arrows;
mod build;
mod cache;
mod caches;
mod calls;
mod cancel;
mod check;
mod conformance;
mod debug;
mod dropin;
mod engine_base;
mod engine_container;
mod engine_files;
mod engine_load;
mod engine_measure;
mod engine_pull;
mod errors;
mod faults;
mod identity;
mod install;
mod leaks;
mod network;
mod outputs;
mod pod;
mod push;
mod secrets;
mod share;
mod skaffold;
mod sources;
mod support;
