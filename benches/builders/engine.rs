//! An engine of the benchmark's own, with its data in memory, and the builders on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Builder;

/// Where the benchmark keeps its engines, apart from those of the tests.
const HOME: &str = "/var/tmp/bowline-bench";

pub(crate) struct Engine {
    pub(crate) name: String,
    address: String,
    docker: PathBuf,
    docker_config: PathBuf,
    bowline: PathBuf,
    home: tempfile::TempDir,
}

impl Engine {
    pub(crate) fn start(name: &str, bowline: &Path) -> Self {
        let address = script(&["up", name]);
        script(&["busybox", &address]);
        let packages = home().join("packages");
        let set = packages.join(if name == "debian" { "own" } else { "new" });
        Self {
            name: name.to_owned(),
            address,
            docker: set.join("usr/bin/docker"),
            docker_config: set.join("config"),
            bowline: bowline.to_owned(),
            home: tempfile::tempdir().expect("a temporary home"),
        }
    }

    pub(crate) fn stop(&self) {
        script(&["down", &self.name]);
    }

    /// What builds the context with this builder.
    pub(crate) fn command(&self, builder: Builder, context: &Path) -> Command {
        let mut command = match builder {
            Builder::Bowline => {
                let mut command = Command::new(&self.bowline);
                command.env_clear().env("HOME", self.home.path());
                command.args(["build", "--network=default", "--progress=plain"]);
                command
            }
            Builder::Buildkit => {
                let mut command = self.docker();
                // An attestation would be one more thing to write, which bowline does not do.
                command.args(["buildx", "build", "--provenance=false", "--progress=plain"]);
                command
            }
            Builder::Legacy => {
                let mut command = self.docker();
                command.env("DOCKER_BUILDKIT", "0").arg("build");
                command
            }
        };
        command.env("DOCKER_HOST", &self.address);
        command.args(["--tag", &format!("bench/{builder:?}").to_lowercase()]);
        command.arg(context);
        command
    }

    /// Removes every image but the base, and everything that builders remember.
    pub(crate) fn clean(&self) {
        let mut list = self.docker();
        list.args([
            "image",
            "ls",
            "--all",
            "--format",
            "{{.Repository}}:{{.Tag}}",
        ]);
        let listed = list.output().expect("the docker CLI runs").stdout;
        let listed = String::from_utf8_lossy(&listed);
        let ours = |name: &&str| name.starts_with("bench/") || name.starts_with("bowline/cache:");
        let names: Vec<&str> = listed.lines().filter(ours).collect();
        if !names.is_empty() {
            self.quietly(self.docker().args(["image", "rm", "--force"]).args(names));
        }
        self.quietly(self.docker().args(["image", "prune", "--force"]));
        self.quietly(self.docker().args(["builder", "prune", "--all", "--force"]));
    }

    fn docker(&self) -> Command {
        let mut command = Command::new(&self.docker);
        command
            .env("DOCKER_HOST", &self.address)
            .env("DOCKER_CONFIG", &self.docker_config)
            .env_remove("DOCKER_CONTEXT");
        command
    }

    fn quietly(&self, command: &mut Command) {
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        // Removing what another has just removed fails, and is fine.
        status.expect("the docker CLI runs");
    }
}

fn home() -> PathBuf {
    std::env::var_os("BOWLINE_ENGINE_HOME").map_or_else(|| HOME.into(), PathBuf::from)
}

fn script(arguments: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine.sh");
    let output = Command::new(path)
        .args(arguments)
        .env("BOWLINE_ENGINE_HOME", home())
        .env("BOWLINE_ENGINE_TMPFS", "1")
        .stderr(Stdio::inherit())
        .output()
        .expect("tests/engine.sh runs");
    assert!(output.status.success(), "tests/engine.sh {arguments:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
