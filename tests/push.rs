//! Results that go to a registry: Debian's docker-registry, on a port of this host.

use std::fs;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::distribution::{Distribution, PASSWORD};
use crate::support::{Bowline, Docker, Folder, LIMIT, finish};

/// `bowline build FLAGS FOLDER`, whatever the result.
fn build(bowline: &Bowline, folder: &Folder, flags: &[&str]) -> crate::support::Finished {
    let mut command = bowline.command();
    command.args(["build", "--progress=plain"]).args(flags);
    command.arg(folder.path());
    finish(&mut command, None, LIMIT)
}

fn small() -> Folder {
    Folder::new(&[
        ("Dockerfile", "FROM busybox\nCOPY file /\nLABEL a=b\n"),
        ("file", "content"),
    ])
}

#[test]
fn every_tag_is_pushed_and_the_digest_told() {
    let registry = Distribution::start();
    let bowline = Bowline::new();
    let folder = small();
    let (one, two) = (
        format!("{}/one/app:1", registry.address),
        format!("{}/two:latest", registry.address),
    );
    let metadata = folder.path().join("metadata.json");
    for flag in [
        "--push",
        "--output=type=registry",
        "--output=type=image,push=true",
    ] {
        let file = format!("--metadata-file={}", metadata.display());
        let flags = ["--tag", &one, "--tag", &two, flag, &file];
        let finished = build(&bowline, &folder, &flags);
        assert!(finished.success(), "{}", finished.everything());
        let digest = registry.digest("one/app", "1").expect("the first tag");
        assert_eq!(registry.digest("two", "latest").as_ref(), Some(&digest));
        let told: Value = serde_json::from_slice(&fs::read(&metadata).unwrap()).unwrap();
        assert_eq!(told["containerimage.digest"], digest.as_str(), "{told}");
        assert_eq!(told["image.name"], format!("{one},{two}"), "{told}");
        let config = registry.json(registry.json(&digest)["config"]["digest"].as_str().unwrap());
        assert_eq!(config["config"]["Labels"], json!({ "a": "b" }));
    }
    Docker::remove_image(&one);
    Docker::remove_image(&two);
}

#[test]
fn a_registry_with_a_login_is_given_the_password_and_nobody_else() {
    let registry = Distribution::with_login();
    let bowline = Bowline::new();
    let folder = small();
    let name = format!("{}/private:1", registry.address);
    let refused = build(&bowline, &folder, &["--tag", &name, "--push"]);
    assert!(!refused.success(), "{}", refused.everything());
    assert!(
        refused
            .stderr
            .contains(&format!("log in with `docker login {}`", registry.address)),
        "{}",
        refused.stderr
    );
    assert_eq!(registry.digest("private", "1"), None);
    let pair = format!("user:{PASSWORD}");
    let auth = base64::prelude::BASE64_STANDARD.encode(&pair);
    let config = json!({ "auths": { registry.address.as_str(): { "auth": auth } } }).to_string();
    let mut command = bowline.command();
    command
        .args([
            "--debug",
            "build",
            "--progress=plain",
            "--push",
            "--tag",
            &name,
        ])
        .arg(folder.path())
        .env("DOCKER_AUTH_CONFIG", &config);
    let finished = finish(&mut command, None, LIMIT);
    assert!(finished.success(), "{}", finished.everything());
    assert!(registry.digest("private", "1").is_some());
    for secret in [PASSWORD, &auth] {
        assert!(
            !finished.everything().contains(secret),
            "{}",
            finished.everything()
        );
    }
    Docker::remove_image(&name);
}

#[test]
fn a_result_without_a_name_is_not_pushed() {
    let refused = build(&Bowline::new(), &small(), &["--push"]);
    assert!(!refused.success());
    assert!(
        refused
            .stderr
            .contains("a result without a name cannot be pushed"),
        "{}",
        refused.stderr
    );
}

/// The images of an index by architecture, and what is attested beside them.
fn manifests(index: &Value) -> Vec<(String, String)> {
    let manifests = index["manifests"].as_array().expect("an index");
    let each = manifests.iter().map(|one| {
        let architecture = one["platform"]["architecture"].as_str().unwrap();
        (
            architecture.to_owned(),
            one["digest"].as_str().unwrap().to_owned(),
        )
    });
    each.collect()
}

#[test]
fn several_platforms_are_pushed_as_an_index_with_what_they_attest() {
    let registry = Distribution::with_login();
    let bowline = Bowline::new();
    let folder = Folder::new(&[(
        "Dockerfile",
        "FROM --platform=$BUILDPLATFORM busybox AS build\nARG TARGETARCH\n\
             RUN echo $TARGETARCH > /arch\nFROM scratch\nCOPY --from=build /arch /\n",
    )]);
    let (one, two) = (
        format!("{}/one/app:1", registry.address),
        format!("{}/two:2", registry.address),
    );
    let pair = format!("user:{PASSWORD}");
    let auth = base64::prelude::BASE64_STANDARD.encode(&pair);
    let config = json!({ "auths": { registry.address.as_str(): { "auth": auth } } }).to_string();
    let metadata = folder.path().join("metadata.json");
    let push = |login: bool, flags: &[&str]| {
        let mut command = bowline.command();
        command
            .args([
                "build",
                "--progress=plain",
                "--push",
                "-t",
                &one,
                "-t",
                &two,
            ])
            .arg("--metadata-file")
            .arg(&metadata)
            .args(flags)
            .arg(folder.path());
        if login {
            command.env("DOCKER_AUTH_CONFIG", &config);
        }
        finish(&mut command, None, LIMIT)
    };
    let platforms = "--platform=linux/amd64,linux/arm64";
    let refused = push(false, &[platforms]);
    let hint = format!("log in with `docker login {}`", registry.address);
    assert!(refused.stderr.contains(&hint), "{}", refused.everything());
    let flags = [
        platforms,
        "--provenance=mode=min",
        "--annotation=index:a=b",
        "--build-arg=HIDDEN=value",
    ];
    let pushed = push(true, &flags);
    assert!(pushed.success(), "{}", pushed.everything());
    let digest = registry.digest("one/app", "1").expect("the first tag");
    assert_eq!(registry.digest("two", "2").as_ref(), Some(&digest));
    let told: Value = serde_json::from_slice(&fs::read(&metadata).unwrap()).unwrap();
    assert_eq!(told["containerimage.digest"], digest.as_str(), "{told}");
    let index = registry.json(&digest);
    assert_eq!(index["annotations"], json!({ "a": "b" }));
    let found = manifests(&index);
    let architectures: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(architectures, ["amd64", "arm64", "unknown", "unknown"]);
    for ((architecture, image), (_, attestation)) in found.iter().zip(&found[2..]) {
        let manifest = registry.json(image);
        let config = registry.json(manifest["config"]["digest"].as_str().unwrap());
        assert_eq!(config["architecture"], architecture.as_str());
        for layer in manifest["layers"].as_array().unwrap() {
            registry.blob(layer["digest"].as_str().unwrap());
        }
        let attested = registry.json(attestation);
        let statement = attested["layers"][0]["digest"].as_str().unwrap();
        let statement = registry.json(statement);
        assert_eq!(
            statement["subject"][0]["digest"]["sha256"],
            image.trim_start_matches("sha256:")
        );
        let uri = &statement["predicate"]["materials"][0]["uri"];
        assert!(
            uri.as_str()
                .unwrap()
                .starts_with("pkg:docker/busybox@latest?"),
            "{uri}"
        );
        assert!(!statement.to_string().contains("HIDDEN"), "{statement}");
    }
    // One platform can have them too.
    let pushed = push(true, &["--annotation=x=y"]);
    assert!(pushed.success(), "{}", pushed.everything());
    let manifest = registry.tagged("two", "2");
    assert_eq!(manifest["annotations"], json!({ "x": "y" }));
    Docker::remove_image(&one);
    Docker::remove_image(&two);
}
