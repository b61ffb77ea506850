//! bowline behind the docker CLI: as a plugin, and as what `docker build` calls.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::support::{Bowline, Docker, Finished, Folder, LIMIT, finish};

/// `docker ARGUMENTS` of a user whose Docker configuration is `home/.docker`.
fn docker(bowline: &Bowline, arguments: &[&str]) -> Finished {
    let mut command = Docker::command();
    command
        .env("DOCKER_CONFIG", bowline.home().join(".docker"))
        .env("HOME", bowline.home())
        .args(arguments);
    finish(&mut command, None, LIMIT)
}

fn run(command: &mut Command) -> Finished {
    let finished = finish(command, None, LIMIT);
    assert!(finished.success(), "{}", finished.everything());
    finished
}

#[test]
fn docker_build_calls_bowline_once_it_is_installed() {
    let bowline = Bowline::new();
    let config = bowline.home().join(".docker/config.json");
    fs::create_dir(bowline.home().join(".docker")).unwrap();
    let before = "{\n\t\"aliases\": {\n\t\t\"builder\": \"other\"\n\t}\n}";
    fs::write(&config, before).unwrap();
    let folder = Folder::new(&[(
        "Dockerfile",
        "FROM busybox\nARG WHO\nRUN echo built for $WHO > /who\n",
    )]);
    let path = folder.path().to_str().unwrap();
    let tag = "bowline-test-install";
    let built = |arguments: &[&str]| {
        Docker::remove_image(tag);
        let arguments = [arguments, &["--build-arg=WHO=us", "-t", tag, path]].concat();
        let finished = docker(&bowline, &arguments);
        assert!(finished.success(), "{}", finished.everything());
        // Only bowline keeps a log there.
        let logs = bowline.home().join(".local/state/bowline/logs");
        assert!(logs.is_dir(), "{}", finished.everything());
        let who = Docker::output(&["run", "--rm", "--network=none", tag, "cat", "/who"]);
        assert_eq!(who.unwrap(), "built for us");
        fs::remove_dir_all(bowline.home().join(".local")).unwrap();
    };
    run(bowline.command().arg("install"));
    built(&["build"]);
    built(&["image", "build"]);
    built(&["bowline", "build"]);
    let failed = docker(&bowline, &["build", "--nope", path]);
    assert_eq!(failed.status.code(), Some(1), "{}", failed.everything());
    assert!(failed.stderr.contains("--nope"), "{}", failed.everything());
    run(bowline.command().arg("uninstall"));
    assert_eq!(fs::read_to_string(&config).unwrap(), before);
    let gone = docker(&bowline, &["bowline", "build", path]);
    assert!(!gone.success(), "{}", gone.everything());
    Docker::remove_image(tag);
}

#[test]
fn a_build_ends_with_the_docker_cli_that_called_it() {
    let bowline = Bowline::new();
    run(bowline.command().args(["install", "--plugin-only"]));
    let mark = format!("plugin{}", std::process::id());
    let folder = Folder::new(&[(
        "Dockerfile",
        &format!("FROM busybox\nRUN echo ready-{mark}; sleep 600\n"),
    )]);
    let mut command = Docker::command();
    command
        .env("DOCKER_CONFIG", bowline.home().join(".docker"))
        .env("HOME", bowline.home())
        .args(["bowline", "build", "--progress=plain", "--no-cache"])
        .arg(folder.path())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let ready = format!(" ready-{mark}");
    assert!(
        lines.any(|line| line.ends_with(&ready) && !line.contains("RUN")),
        "the step never ran"
    );
    crate::support::shell(folder.path(), &format!("kill -TERM {}", child.id()));
    // The plugin holds the pipe as long as it lives.
    let rest: Vec<String> = lines.collect();
    child.wait().unwrap();
    assert!(
        rest.iter().any(|line| line.contains("cancelled")),
        "{rest:?}"
    );
}
