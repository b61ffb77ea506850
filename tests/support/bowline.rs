//! The built program, in the environment of a user who has set nothing.

use std::env;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// The variables that stay: where programs and the engine are.
const KEPT: [&str; 6] = [
    "PATH",
    "TMPDIR",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "SSH_AUTH_SOCK",
];

/// One user of bowline, with a home folder of their own.
pub struct Bowline {
    home: TempDir,
}

impl Bowline {
    pub fn new() -> Self {
        let home = tempfile::Builder::new()
            .prefix("bowline-home-")
            .tempdir()
            .expect("a temporary home folder");
        Self { home }
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// `bowline` without arguments yet.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
        command.env_clear().env("HOME", self.home());
        // What failing builds keep for `bowline debug --last` would stay in the engine.
        command.env("CI", "true");
        for name in KEPT {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }
}
