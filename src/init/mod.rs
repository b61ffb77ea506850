//! The program that runs inside each RUN step's container before the step's own command.
//!
//! bowline mounts it read-only below `/dev`, where it leaves no trace in the image, and makes it
//! the container's entrypoint. It reads one [`wire::Request`] from standard input, so that
//! nothing of a step (environment, secrets, scripts) is ever written into the container's
//! configuration on the engine's disk; then it becomes the step's command by `execve`.
//!
//! `init probe` shows the network that it is in instead; see `probe.rs`.
//!
//! The build script compiles it from `main.rs` beside this file, statically, so that it runs in
//! images without a C library, and it needs nothing but `std`. The two sides share `wire.rs`.

pub mod wire;

/// The program, an executable for Linux on [`ARCHITECTURE`].
pub const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));

/// The architecture [`PROGRAM`] runs on, as image platforms spell it.
pub const ARCHITECTURE: &str = env!("BOWLINE_INIT_ARCHITECTURE");

/// Where the program stands inside a container.
pub const PATH: &str = "/dev/.bowline/init";

/// The program's own parts, here only so that their tests run with the library's.
#[cfg(test)]
#[allow(dead_code, reason = "what is not tested here is used by the program")]
#[path = "."]
mod program {
    use super::wire;

    mod cache;
    mod confine;
    mod directory;
    mod lookup;
    mod mount;
    mod scan;
    mod sys;
    mod user;
}
