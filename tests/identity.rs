//! `--identity`: files and variables that each RUN has and nothing keeps.

use crate::support::pod::engine_files_with;
use crate::support::{Bowline, Docker, Finished, Folder, LIMIT, finish, unique};

fn build(bowline: &Bowline, folder: &Folder, tag: &str, flags: &[&str]) -> Finished {
    let mut command = bowline.command();
    command
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", folder.path().join("token"))
        .env("AWS_ROLE_ARN", "arn:aws:iam::1:role/ci")
        .args(["build", "--progress=plain", "--network=none", "--tag", tag])
        .args(flags)
        .arg(folder.path());
    finish(&mut command, None, LIMIT)
}

#[test]
fn a_web_identity_reaches_every_step_and_stays_nowhere() {
    let bowline = Bowline::new();
    let tag = format!("bowline-test-web-identity-{}", unique());
    let secret = format!("eyJhbGciOi{}x{}", unique(), std::process::id());
    let since = tempfile::NamedTempFile::new().unwrap();
    let digest = bowline::image::Digest::sha256(secret.as_bytes()).to_string();
    let digest = digest.trim_start_matches("sha256:");
    let dockerfile = format!(
        "FROM busybox\nRUN echo 'ci:x:1000:1000::/:/bin/sh' >> /etc/passwd # {tag}\nUSER ci\n\
         RUN test \"$(sha256sum < $AWS_WEB_IDENTITY_TOKEN_FILE | cut -c 1-64)\" = {digest} && test $AWS_ROLE_ARN = arn:aws:iam::1:role/ci\n"
    );
    let folder = Folder::new(&[
        ("Dockerfile", &dockerfile),
        (".dockerignore", "token"),
        ("token", &secret),
    ]);
    let without = build(&bowline, &folder, &tag, &[]);
    assert_eq!(without.status.code(), Some(2), "{}", without.everything());
    let with = build(&bowline, &folder, &tag, &["--identity=aws"]);
    assert!(with.success(), "{}", with.everything());
    let saved = Docker::save(&tag).unwrap();
    let holds =
        |bytes: &[u8], what: &str| bytes.windows(what.len()).any(|at| at == what.as_bytes());
    let config = saved.config.to_string();
    assert!(
        !config.contains("WEB_IDENTITY_TOKEN_FILE=") && !config.contains(&secret),
        "{config}"
    );
    for layer in &saved.layers {
        assert!(!holds(layer, &secret) && !holds(layer, "bowline-identity"));
    }
    assert_eq!(
        engine_files_with(since.path(), &secret),
        Vec::<String>::new()
    );
    // A token that was renewed is no reason to build again.
    std::fs::write(folder.path().join("token"), "renewed").unwrap();
    let again = build(&bowline, &folder, &tag, &["--identity=aws"]);
    assert!(again.success(), "{}", again.everything());
    Docker::remove_image(&tag);
}

#[test]
fn an_identity_that_is_not_there_is_said() {
    let bowline = Bowline::new();
    let folder = Folder::new(&[("Dockerfile", "FROM busybox\nRUN true\n")]);
    let finished = build(
        &bowline,
        &folder,
        "bowline-test-no-identity",
        &["--identity=gcp"],
    );
    assert_eq!(
        finished.stderr,
        "error: `--identity gcp`: no `GOOGLE_APPLICATION_CREDENTIALS` is set\n\
         hint: the pod's service account has no such identity, or the variables do not reach this process\n"
    );
    assert_eq!(finished.status.code(), Some(1));
}
