//! What a user sees when something is wrong: the whole text and the exit code.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::{Bowline, Finished, Folder, LIMIT, finish};

fn build(arguments: &[&str], folder: &Path) -> Finished {
    let bowline = Bowline::new();
    let mut command = bowline.command();
    command
        .arg("build")
        .args(arguments)
        .current_dir(folder)
        .arg(".");
    finish(&mut command, None, LIMIT)
}

/// The diagnostics alone: without the progress before them and the line about the log after.
fn said(finished: &Finished) -> String {
    let text = &finished.stderr;
    let start = text.find("error: ").unwrap_or(0);
    let text = &text[start..];
    let end = text.find("note: the whole log is in").unwrap_or(text.len());
    text[..end].to_owned()
}

#[track_caller]
fn refused(arguments: &[&str], files: &[(&str, &str)], code: i32, expected: &str) {
    let folder = Folder::new(files);
    let finished = build(arguments, folder.path());
    assert_eq!(
        said(&finished).trim_end(),
        expected.trim_end(),
        "{}",
        finished.everything()
    );
    assert_eq!(finished.status.code(), Some(code));
}

#[test]
fn no_dockerfile() {
    refused(
        &[],
        &[("Dockerfile.dev", "FROM busybox")],
        1,
        "error: there is no `./Dockerfile`\nhint: did you mean `--file ./Dockerfile.dev`?",
    );
    refused(
        &[],
        &[("main.c", "")],
        1,
        "error: there is no `./Dockerfile`\nhint: name the Dockerfile with `--file`, or the context's directory as the last argument",
    );
}

#[test]
fn unknown_instruction() {
    refused(
        &[],
        &[("Dockerfile", "FROM busybox\nRUNN echo hi\n")],
        1,
        "error: unknown instruction `RUNN`\n --> Dockerfile:2:1\n  |\n2 | RUNN echo hi\n  | ^^^^ did you mean `RUN`?",
    );
}

#[test]
fn unknown_flag() {
    refused(
        &[],
        &[("Dockerfile", "FROM busybox\nCOPY --chwon=1 a b\n")],
        1,
        "error: unknown flag `--chwon` for `COPY`\n --> Dockerfile:2:6\n  |\n2 | COPY --chwon=1 a b\n  |      ^^^^^^^ did you mean `--chown`?",
    );
}

#[test]
fn missing_source() {
    refused(
        &[],
        &[
            ("Dockerfile", "FROM busybox\nCOPY src/man.c /\n"),
            ("src/main.c", ""),
        ],
        1,
        "error: `src/man.c` is not in the build context\n --> Dockerfile:2:1\n  |\n2 | COPY src/man.c /\n  | ^^^^^^^^^^^^^^^^\nhint: did you mean `src/main.c`?",
    );
    refused(
        &[],
        &[
            ("Dockerfile", "FROM busybox\nCOPY out /\n"),
            ("out", ""),
            (".dockerignore", "# built\nou*\n"),
        ],
        1,
        "error: `out` is not in the build context\n --> Dockerfile:2:1\n  |\n2 | COPY out /\n  | ^^^^^^^^^^\nhint: `ou*`, line 2 of `.dockerignore`, ignores it",
    );
}

#[test]
fn unknown_stage_as_target() {
    refused(
        &["--target", "biuld"],
        &[("Dockerfile", "FROM busybox AS build\n")],
        1,
        "error: there is no stage `biuld` in `Dockerfile`\nhint: did you mean `--target build`?",
    );
}

#[test]
fn failing_command() {
    refused(
        &[],
        &[(
            "Dockerfile",
            "FROM busybox\nRUN echo first; echo last; exit 7\n",
        )],
        2,
        "error: `/bin/sh -c echo first; echo last; exit 7` failed with exit code 7\n --> Dockerfile:2:1\n  |\n2 | RUN echo first; echo last; exit 7\n  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    );
}

#[test]
fn command_that_is_not_there() {
    refused(
        &[],
        &[("Dockerfile", "FROM busybox\nRUN [\"nothing\", \"here\"]\n")],
        2,
        "error: `nothing here` could not be started: exec: \"nothing\": executable file not found in $PATH\n --> Dockerfile:2:1\n  |\n2 | RUN [\"nothing\", \"here\"]\n  | ^^^^^^^^^^^^^^^^^^^^^^^",
    );
}

#[test]
fn base_image_that_is_nowhere() {
    let folder = Folder::new(&[("Dockerfile", "FROM localhost:1/no/image:1\n")]);
    let finished = build(&[], folder.path());
    let text = said(&finished);
    assert!(
        text.starts_with(
            "error: base image `localhost:1/no/image:1` cannot be pulled\n --> Dockerfile:1:6\n  |\n1 | FROM localhost:1/no/image:1\n  |      ^^^^^^^^^^^^^^^^^^^^^^\n  |\n  = note: the engine has no such image, and pulling it failed: "
        ),
        "{text}"
    );
    assert!(text.contains("connection refused"), "{text}");
    assert_eq!(finished.status.code(), Some(3));
}

#[test]
fn container_that_is_not_there() {
    refused(
        &["--network", "container:bowline-nobody"],
        &[("Dockerfile", "FROM busybox\nRUN true\n")],
        3,
        "error: the engine has no container `bowline-nobody` whose network to join\nhint: `docker ps` lists the containers that run",
    );
}

#[test]
fn engine_that_does_not_answer() {
    let folder = Folder::new(&[("Dockerfile", "FROM busybox\n")]);
    let bowline = Bowline::new();
    let mut command = bowline.command();
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    command.arg("build").arg(folder.path());
    let finished = finish(&mut command, None, LIMIT);
    assert_eq!(
        said(&finished).trim_end(),
        "error: cannot connect to the Docker Engine at unix:///nowhere/docker.sock: there is no such socket\nhint: is the engine running, and is `DOCKER_HOST` or `--host` right?"
    );
    assert_eq!(finished.status.code(), Some(3));
}

#[test]
fn socket_that_is_not_ours_to_use() {
    // The tests run as root, for whom no socket is closed: as nobody, through a copy of the
    // program that nobody may reach.
    let folder = Folder::new(&[("Dockerfile", "FROM busybox\n")]);
    crate::support::shell(
        folder.path(),
        "chmod 755 . && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"s\")' && chmod 600 s",
    );
    let program = folder.path().join("bowline");
    std::fs::copy(env!("CARGO_BIN_EXE_bowline"), &program).unwrap();
    crate::support::shell(
        folder.path(),
        "chmod 755 bowline; mkdir home; chmod 777 home",
    );
    let socket = format!("unix://{}", folder.path().join("s").display());
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("HOME", folder.path().join("home"))
        .env("DOCKER_HOST", &socket)
        .args(["build", "."])
        .current_dir(folder.path())
        .uid(65_534)
        .gid(65_534);
    let finished = finish(&mut command, None, LIMIT);
    assert_eq!(
        said(&finished).trim_end(),
        format!(
            "error: permission denied on the Docker Engine's socket {socket}\nhint: run as a user of the socket's group (often `docker`), or as root"
        ),
        "{}",
        finished.everything()
    );
    assert_eq!(finished.status.code(), Some(3));
}

#[test]
fn several_mistakes_are_told_at_once() {
    let folder = Folder::new(&[("Dockerfile", "FROM busybox\nRUNN a\nCOPPY b c\nWORKDIR\n")]);
    let finished = build(&[], folder.path());
    for line in [":2:1", ":3:1", ":4:1"] {
        assert!(
            finished.stderr.contains(&format!("Dockerfile{line}")),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn a_required_device_is_refused_and_another_told_of() {
    refused(
        &["--allow", "device=a/b=c"],
        &[(
            "Dockerfile",
            "FROM busybox\nRUN --device=a/b=c,required true\n",
        )],
        1,
        "error: `RUN --device=a/b=c` is not supported yet\n --> Dockerfile:2:14\n  |\n2 | RUN --device=a/b=c,required true\n  |              ^^^^^^^^^^^^^^\nhint: drop `required` if the command can do without the device",
    );
    let folder = Folder::new(&[("Dockerfile", "FROM busybox\nRUN --device=a/b=c true\n")]);
    let finished = build(&[], folder.path());
    assert!(finished.status.success(), "{}", finished.everything());
    let told = "warning: `RUN --device=a/b=c` is not supported yet: the step runs without the device\n --> Dockerfile:2:14\n";
    assert!(finished.stderr.contains(told), "{}", finished.everything());
}
