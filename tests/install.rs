//! bowline behind the docker CLI: as a plugin, and as what `docker build` calls.

use std::fs;
use std::process::Command;

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
