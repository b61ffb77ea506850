use clap::Parser;

use super::*;
use crate::cli::args::{Cli, Command};
use crate::request::{ContextSource, DockerfileSource, NetworkChoice, OutputKind, ProgressMode};

fn resolved(words: &[&str], variables: &[(&str, &str)]) -> Result<Resolved> {
    let words = ["bowline", "build"].iter().chain(words);
    let Command::Build(args) = Cli::try_parse_from(words).unwrap().command else {
        panic!("not a build");
    };
    resolve(&args, false, &Environment::of(variables, false))
}

fn request(words: &[&str], variables: &[(&str, &str)]) -> BuildRequest {
    resolved(words, variables).unwrap().request
}

fn message(words: &[&str]) -> String {
    resolved(words, &[]).unwrap_err().message
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn the_simplest_build() {
    let request = request(&["."], &[("HOME", "/h")]);
    assert_eq!(request.context, ContextSource::Directory(".".into()));
    assert_eq!(request.dockerfile, DockerfileSource::InContext);
    assert_eq!(request.network, NetworkChoice::Auto);
    assert_eq!(request.outputs.len(), 1);
    assert_eq!(request.outputs[0].kind, OutputKind::Engine);
    assert_eq!(request.report.progress, ProgressMode::Plain);
    assert!(request.platforms.is_empty() && request.report.color && request.parallel >= 2);
    assert_eq!(request.cache_dir, std::path::Path::new("/h/.cache/bowline"));
}

#[test]
fn arguments_come_from_flags_and_the_environment() {
    let flags = [
        ".",
        "--build-arg",
        "A=1",
        "--build-arg",
        "B",
        "--build-arg",
        "C",
        "--build-arg",
        "D=",
        "--build-arg",
        "A=2=3",
        "--label",
        "l",
        "--label",
        "m=n",
    ];
    let request = request(
        &flags,
        &[("B", "b"), ("SOURCE_DATE_EPOCH", "7"), ("A", "no")],
    );
    assert_eq!(
        request.build_args,
        [
            pair("A", "2=3"),
            pair("B", "b"),
            pair("D", ""),
            pair("SOURCE_DATE_EPOCH", "7")
        ]
    );
    assert_eq!(request.labels, [pair("l", ""), pair("m", "n")]);
}

#[test]
fn a_given_epoch_stands_before_the_environments() {
    let words = [".", "--build-arg", "SOURCE_DATE_EPOCH=1"];
    let request = request(&words, &[("SOURCE_DATE_EPOCH", "7")]);
    assert_eq!(request.build_args, [pair("SOURCE_DATE_EPOCH", "1")]);
}

#[test]
fn names_and_platforms() {
    let words = [
        "-",
        "-t",
        "app",
        "-t",
        "h:5000/a/b:1",
        "-t",
        "app:latest",
        "--platform",
        "linux/arm64,linux/amd64",
        "--platform",
        "linux/aarch64",
        "--no-cache-filter",
        "A,b",
    ];
    let request = request(&words, &[("DOCKER_DEFAULT_PLATFORM", "linux/s390x")]);
    let tags: Vec<_> = request.tags.iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["app:latest", "h:5000/a/b:1"]);
    let platforms: Vec<_> = request.platforms.iter().map(ToString::to_string).collect();
    assert_eq!(platforms, ["linux/arm64", "linux/amd64"]);
    assert_eq!(request.no_cache_filter, ["a", "b"]);
    assert_eq!(request.context, ContextSource::Stdin);
}

#[test]
fn the_default_platform_is_a_variable() {
    let request = request(&["."], &[("DOCKER_DEFAULT_PLATFORM", "linux/s390x")]);
    assert_eq!(request.platforms[0].to_string(), "linux/s390x");
}

#[test]
fn old_and_new_limits_are_the_same() {
    let old = request(
        &[
            ".",
            "-m",
            "64m",
            "--memory-swap",
            "-1",
            "-c",
            "5",
            "--cpuset-cpus",
            "0-1",
        ],
        &[],
    );
    let new = request(
        &[
            ".",
            "--resource",
            "memory=64m",
            "--resource",
            "memory-swap=-1",
            "--resource",
            "cpu-shares=5",
            "--resource",
            "cpuset-cpus=0-1",
        ],
        &[],
    );
    assert_eq!(old.limits, new.limits);
    assert_eq!(old.limits.memory, Some(64 << 20));
}

#[test]
fn push_and_load_add_outputs() {
    let kinds = |words: &[&str]| -> Vec<_> {
        let outputs = request(words, &[]).outputs;
        outputs.into_iter().map(|output| output.kind).collect()
    };
    let push = OutputKind::Image { push: true };
    assert_eq!(
        kinds(&[".", "--push", "-t", "a"]),
        std::slice::from_ref(&push)
    );
    assert_eq!(
        kinds(&[".", "--push", "--load", "-t", "a"]),
        [OutputKind::Engine, push]
    );
    assert_eq!(kinds(&[".", "--load=false"]), [OutputKind::Engine]);
}

#[test]
fn what_asks_for_nothing_is_taken() {
    let words = [
        ".",
        "--provenance=false",
        "--sbom=false",
        "--attest",
        "type=provenance,disabled=true",
        "--allow",
        "network.host",
        "--builder",
        "default",
        "--call=build",
        "--squash=false",
        "--check=false",
        "--rm",
        "--force-rm",
        "--compress",
        "--isolation=default",
    ];
    assert!(resolved(&words, &[]).unwrap().warnings.is_empty());
}

#[test]
fn what_makes_no_difference_is_said() {
    let warnings = resolved(&[".", "--builder", "mine", "--rm=false"], &[])
        .unwrap()
        .warnings;
    assert_eq!(
        warnings,
        [
            "`--builder` makes no difference: bowline builds on the engine itself",
            "`--rm=false` makes no difference: containers are removed",
        ]
    );
}

#[test]
fn errors_name_the_flag() {
    for (words, expected) in [
        (&[""][..], "the build context is empty"),
        (
            &["-", "-f", "-"],
            "standard input cannot be both the build context and the Dockerfile",
        ),
        (
            &[".", "-t", "App"],
            "invalid `--tag App`: the repository name of `App` must be lowercase",
        ),
        (
            &[".", "-t", ""],
            "invalid `--tag `: an image reference cannot be empty",
        ),
        (&[".", "--build-arg", "=x"], "`--build-arg =x` has no name"),
        (
            &[".", "--platform", "a/b/c/d"],
            "invalid `--platform`: `a/b/c/d` is not a platform of the form \
             `os/architecture[/variant]`",
        ),
        (
            &[".", "--shm-size", "big"],
            "invalid `--shm-size`: `big` is not a size",
        ),
        (
            &[".", "--resource", "memory"],
            "invalid `--resource`: `memory` is not of the form `NAME=VALUE`",
        ),
        (
            &[".", "--resource", "memori=1"],
            "unknown `--resource` `memori`",
        ),
        (&[".", "--add-host", "x"], "invalid `--add-host x`"),
        (
            &[".", "--network", "container:"],
            "invalid `--network`: `container:`",
        ),
        (
            &[".", "--parallel", "0"],
            "invalid `--parallel`: `0` is not a number of steps",
        ),
        (&[".", "--push"], "a result without a name cannot be pushed"),
        (
            &[".", "-o", "out", "--iidfile", "f"],
            "`--iidfile` cannot be combined with outputs of type `local` and `tar`",
        ),
        (
            &[".", "--cache-from=type=nope"],
            "invalid `--cache-from type=nope`: there is no type `nope`",
        ),
        (
            &[".", "--sbom=true"],
            "a bill of materials (`--sbom`) is not supported",
        ),
        (
            &[".", "--allow", "security.insecur"],
            "unknown `--allow security.insecur`",
        ),
        (&[".", "--policy", "p"], "`--policy` is not supported yet"),
    ] {
        assert_eq!(message(words), expected, "{words:?}");
    }
}
