//! What a test sets up around a build: a folder of files, a container to join.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::{Docker, finish};

/// How long one program may take before its test fails.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A temporary folder with files.
pub struct Folder {
    dir: TempDir,
}

impl Folder {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (path, content) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, content).expect("a file");
        }
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Runs a line of shell in a folder; it must succeed.
pub fn shell(folder: &Path, line: &str) {
    let finished = finish(
        Command::new("sh").args(["-ec", line]).current_dir(folder),
        None,
        LIMIT,
    );
    assert!(finished.success(), "{line}: {}", finished.everything());
}

/// A number that no other run has.
pub fn unique() -> u128 {
    std::time::UNIX_EPOCH
        .elapsed()
        .map_or(0, |time| time.as_nanos() % 1_000_000_000_000_000_000)
}

/// A running container that goes away with the test.
pub struct Container {
    name: String,
}

impl Container {
    pub fn start(what: &str, flags: &[&str], script: &str) -> Self {
        let name = format!("bowline-test-{what}-{}", std::process::id());
        let mut arguments = vec!["run", "--detach", "--pull=never", "--name", &name];
        arguments.extend(flags);
        arguments.extend(["busybox", "sh", "-c", script]);
        Docker::output(&arguments).expect("a container");
        Self { name }
    }

    /// One that is never started.
    pub fn create(what: &str) -> Self {
        let name = format!("bowline-test-{what}-{}", std::process::id());
        let words = [
            "create",
            "--pull=never",
            "--network=none",
            "--name",
            &name,
            "busybox",
            "true",
        ];
        Docker::output(&words).expect("a container");
        Self { name }
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(Docker::run(&["rm", "--force", "--volumes", &self.name]));
    }
}
