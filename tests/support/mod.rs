//! What the end-to-end tests share: bowline in a clean environment, and the docker CLI as the
//! independent witness of what bowline did.
#![allow(dead_code, reason = "not every test needs every helper")]

pub mod bad_line;
pub mod bowline;
pub mod dap;
pub mod distribution;
pub mod docker;
pub mod engine;
pub mod pod;
pub mod private;
pub mod pty;
mod recorder;
pub mod registry;
mod scene;

use std::env;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub use bowline::Bowline;
pub use docker::Docker;
pub use recorder::Recorder;
pub use scene::{Container, Folder, LIMIT, shell, unique};

/// The engine's address. Without one there is nothing to test, and that must not look like
/// success.
pub fn engine() -> String {
    match env::var("DOCKER_HOST") {
        Ok(address) if !address.is_empty() => address,
        _ => panic!(
            "this test needs a Docker Engine: run `tests/run.sh`, or set DOCKER_HOST to one with \
             the image busybox:latest"
        ),
    }
}

/// The engine's name in `tests/engine.sh`, or `own` for any other.
pub fn engine_name() -> String {
    env::var("BOWLINE_TEST_ENGINE").unwrap_or_else(|_| "own".into())
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A repository script, to be started from any folder.
pub fn script(name: &str) -> PathBuf {
    root().join("tests").join(name)
}

/// What a program left behind.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Finished {
    pub fn success(&self) -> bool {
        self.status.success()
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Both outputs, for a failure's message.
    pub fn everything(&self) -> String {
        format!("{}{}", self.stdout(), self.stderr)
    }
}

/// Runs a program to its end, or ends it when that takes longer than `limit`: a hanging build
/// must fail its own test, not stop the whole run.
pub fn finish(command: &mut Command, input: Option<Vec<u8>>, limit: Duration) -> Finished {
    let mut child = command
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A program that fails early does not read its input.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let started = Instant::now();
    let mut timed_out = false;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if !timed_out && started.elapsed() > limit => {
                timed_out = true;
                drop(child.kill());
            }
            Ok(None) => thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("cannot wait for {command:?}: {error}"),
        }
    };
    let mut stderr = String::from_utf8_lossy(&stderr.join().unwrap_or_default()).into_owned();
    if timed_out {
        stderr.push_str(&format!("\nstopped: it took longer than {limit:?}\n"));
    }
    Finished {
        status,
        stdout: stdout.join().unwrap_or_default(),
        stderr,
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            drop(stream.read_to_end(&mut bytes));
        }
        bytes
    })
}
