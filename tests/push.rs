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
