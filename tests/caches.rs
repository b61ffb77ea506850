//! Caches outside the engine: what one engine made, another one finds.

use std::fs;
use std::path::Path;

use crate::support::distribution::Distribution;
use crate::support::private::PrivateEngine;
use crate::support::{Bowline, Docker, Finished, Folder, LIMIT, finish, unique};

const DOCKERFILE: &str = "ARG BASE=busybox
FROM $BASE AS base
RUN echo SALT > /salt
WORKDIR /work
FROM base AS build
COPY src src
RUN cat src/file > out && cat /salt >> out
RUN echo done > done
FROM base
COPY --from=build /work/out /work/done ./
RUN --mount=type=bind,from=build,source=/work,target=/from ls /from > listing
";

/// A project, and a base image that every engine can pull.
struct Scene {
    registry: Distribution,
    folder: Folder,
    base: String,
}

impl Scene {
    fn new() -> Self {
        let registry = Distribution::start();
        let base = format!("{}/base:1", registry.address);
        Docker::output(&["tag", "busybox:latest", &base]).unwrap();
        Docker::output(&["push", &base]).unwrap();
        let dockerfile = DOCKERFILE.replace("SALT", &unique().to_string());
        let folder = Folder::new(&[("Dockerfile", &dockerfile), ("src/file", "content\n")]);
        Self {
            registry,
            folder,
            base,
        }
    }

    fn named(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.address)
    }

    /// A build on the engine under test.
    fn build(&self, flags: &[&str]) -> Finished {
        let bowline = Bowline::new();
        let mut command = bowline.command();
        command
            .args(["build", "--progress=plain", "--network=none", "--build-arg"])
            .arg(format!("BASE={}", self.base))
            .args(flags)
            .arg(self.folder.path());
        finish(&mut command, None, LIMIT)
    }

    /// The same build on an engine that never saw the project.
    fn build_on(&self, engine: &PrivateEngine, flags: &[&str]) -> Finished {
        let argument = format!("--build-arg=BASE={}", self.base);
        let flags = [&["--quiet=false", &argument], flags].concat();
        engine.build(&Bowline::new(), self.folder.path(), &flags)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        Docker::remove_image(&self.base);
    }
}

/// The steps that ran, by the plain progress.
fn ran(finished: &Finished) -> Vec<String> {
    assert!(finished.success(), "{}", finished.everything());
    let mut titles: Vec<(String, String)> = Vec::new();
    for line in finished.stderr.lines() {
        let Some((number, text)) = line.strip_prefix('#').and_then(|line| line.split_once(' '))
        else {
            continue;
        };
        if text == "CACHED" {
            titles.retain(|(known, _)| known != number);
        } else if text.starts_with('[') && !text.starts_with("[internal]") {
            let title = text.split_once("] ").map_or(text, |(_, rest)| rest);
            if !title.starts_with("FROM ") {
                titles.push((number.to_owned(), title.to_owned()));
            }
        }
    }
    titles.into_iter().map(|(_, title)| title).collect()
}

fn result(finished: &Finished, read: impl Fn() -> String) -> String {
    assert!(finished.success(), "{}", finished.everything());
    read()
}

/// What the result holds, by the words of its own files.
const READ: &[&str] = &["cat", "/work/out", "/work/done", "/work/listing"];

#[test]
fn another_engine_finds_every_step_in_a_registry_or_a_directory() {
    let scene = Scene::new();
    let (cache, tag) = (
        scene.named("cache:main"),
        format!("bowline-caches-{}", unique()),
    );
    let directory = scene.folder.path().parent().unwrap().join(&tag);
    let to_directory = format!("type=local,dest={},mode=max", directory.display());
    let to_registry = format!("type=registry,ref={cache},mode=max");
    let missing = format!("--cache-from={}", scene.named("nothing"));
    let first = scene.build(&[
        "--cache-to",
        &to_registry,
        "--cache-to",
        &to_directory,
        &missing,
        "-t",
        &tag,
    ]);
    assert_eq!(ran(&first).len(), 7, "{}", first.stderr);
    let local = |name: &str| Docker::output(&[&["run", "--rm", name], READ].concat()).unwrap();
    let expected = result(&first, || local(&tag));
    Docker::remove_image(&tag);

    let engine = PrivateEngine::start(None);
    let none: Vec<String> = Vec::new();
    let from = format!("--cache-from=type=registry,ref={cache}");
    let second = scene.build_on(&engine, &[&from, "-t", &tag]);
    assert_eq!(ran(&second), none, "{}", second.stderr);
    let remote = || engine.docker(&[&["run", "--rm", &tag], READ].concat());
    assert_eq!(result(&second, remote), expected);
    // What changes is made, over what was brought; the stage that did not change stays out.
    fs::write(scene.folder.path().join("src/file"), "other\n").unwrap();
    let third = scene.build_on(&engine, &[&from, "-t", &tag]);
    assert_eq!(ran(&third).len(), 5, "{}", third.stderr);
    fs::write(scene.folder.path().join("src/file"), "content\n").unwrap();
    forget(&engine);
    let from = format!("--cache-from=type=local,src={}", directory.display());
    let fourth = scene.build_on(&engine, &[&from, "-t", &tag]);
    assert_eq!(ran(&fourth), none, "{}", fourth.stderr);
    assert_eq!(result(&fourth, remote), expected);
    // A cache that is cut short costs time and nothing else.
    forget(&engine);
    cut_short(&directory.join("blobs/sha256"));
    let fifth = scene.build_on(&engine, &[&from, "-t", &tag]);
    assert!(!ran(&fifth).is_empty(), "{}", fifth.stderr);
    assert_eq!(result(&fifth, remote), expected);
    drop(engine);
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn an_image_that_was_pushed_is_its_own_cache() {
    let scene = Scene::new();
    let name = scene.named("app:1");
    let pushed = scene.build(&["--cache-to=type=inline", "--push", "-t", &name]);
    assert!(pushed.success(), "{}", pushed.everything());
    Docker::remove_image(&name);
    let engine = PrivateEngine::start(None);
    let from = format!("--cache-from={name}");
    let second = scene.build_on(&engine, &[&from, "-t", &name]);
    let none: Vec<String> = Vec::new();
    assert_eq!(ran(&second), none, "{}", second.stderr);
}

/// Removes the steps that an engine keeps.
fn forget(engine: &PrivateEngine) {
    let mut command = engine.bowline(&Bowline::new());
    let finished = finish(command.args(["cache", "prune", "--all"]), None, LIMIT);
    assert!(finished.success(), "{}", finished.everything());
}

/// Takes the ends off the large files, the layers.
fn cut_short(blobs: &Path) {
    for entry in fs::read_dir(blobs).unwrap().flatten() {
        let content = fs::read(entry.path()).unwrap();
        if !content.starts_with(b"{") {
            fs::write(entry.path(), &content[..content.len() / 2]).unwrap();
        }
    }
}
