//! An engine that belongs to one test: it may be killed, filled up and counted.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::{Bowline, Docker, Finished, engine_name, finish, script};

/// An engine of the kind under test may take a while to start on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// A running engine, which ends with the test.
pub struct PrivateEngine {
    home: TempDir,
    size: Option<String>,
    kind: String,
}

impl PrivateEngine {
    /// Starts an engine of the kind under test, with busybox; `size` bounds its disk.
    pub fn start(size: Option<&str>) -> Self {
        let home = tempfile::Builder::new()
            .prefix("bowline-e-")
            .tempdir_in("/var/tmp")
            .expect("a temporary folder");
        symlink(packages(), home.path().join("packages")).expect("a link");
        let engine = Self {
            home,
            size: size.map(str::to_owned),
            kind: engine_name(),
        };
        engine.script(&["up", &engine.kind]);
        let address = engine.address();
        engine.script(&["busybox", &address]);
        engine
    }

    /// Starts it again after [`Self::kill`].
    pub fn up(&self) {
        // What it has stays.
        self.script(&["again", &self.kind]);
    }

    pub fn address(&self) -> String {
        let socket = self.home.path().join(&self.kind).join("docker.sock");
        format!("unix://{}", socket.display())
    }

    /// Where it keeps what it has.
    pub fn data(&self) -> PathBuf {
        self.home.path().join(&self.kind).join("data")
    }

    /// Ends the daemon as a crash does: containers go on.
    pub fn kill(&self) {
        let pid = self.home.path().join(&self.kind).join("docker.pid");
        let pid = fs::read_to_string(pid).expect("the daemon's pid");
        let status = Command::new("kill").args(["-KILL", pid.trim()]).status();
        assert!(status.expect("kill").success(), "cannot kill the daemon");
    }

    /// `docker ARGUMENTS` on this engine; it must succeed.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let mut command = Docker::command();
        command.env("DOCKER_HOST", self.address()).args(arguments);
        let finished = finish(&mut command, None, LIMIT);
        assert!(finished.success(), "{arguments:?}: {}", finished.stderr);
        finished.stdout().trim_end().to_owned()
    }

    /// A `bowline` that talks to this engine.
    pub fn bowline(&self, user: &Bowline) -> Command {
        let mut command = user.command();
        command.env("DOCKER_HOST", self.address());
        command
    }

    /// Builds a folder, whatever the result.
    pub fn build(&self, user: &Bowline, folder: &Path, flags: &[&str]) -> Finished {
        let mut command = self.bowline(user);
        command
            .args(["build", "--progress=plain", "--network=none"])
            .args(flags)
            .arg(folder);
        finish(&mut command, None, LIMIT)
    }

    fn script(&self, arguments: &[&str]) {
        let mut command = Command::new(script("engine.sh"));
        command
            .args(arguments)
            .env("BOWLINE_ENGINE_HOME", self.home.path());
        if let Some(size) = &self.size {
            command.env("BOWLINE_ENGINE_SIZE", size);
        }
        let finished = finish(&mut command, None, LIMIT);
        assert!(finished.success(), "{arguments:?}: {}", finished.stderr);
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        let mut command = Command::new(script("engine.sh"));
        command
            .args(["down", &self.kind])
            .env("BOWLINE_ENGINE_HOME", self.home.path());
        drop(finish(&mut command, None, LIMIT));
    }
}

/// Where the engines under test are unpacked.
fn packages() -> PathBuf {
    let home = std::env::var_os("BOWLINE_ENGINE_HOME");
    let home = home.map_or_else(|| PathBuf::from("/var/tmp/bowline-engines"), PathBuf::from);
    let packages = home.join("packages");
    assert!(
        packages.is_dir(),
        "this test starts an engine of its own and needs {}: `tests/engine.sh up {}` makes it",
        packages.display(),
        engine_name()
    );
    packages
}
