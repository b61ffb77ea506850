use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn password(username: &str, password: &str) -> Credential {
    Credential::Password {
        username: username.into(),
        password: password.into(),
    }
}

async fn lookup(config: &Value, registry: Option<&str>) -> Result<Option<Credential>> {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("config.json"), config.to_string()).unwrap();
    Credentials::new(dir.path().to_owned(), None)
        .lookup(registry)
        .await
}

#[tokio::test]
async fn reads_auths() {
    let config = json!({ "auths": {
        "https://index.docker.io/v1/": { "auth": "bWU6aHVi" },
        "plain.example": { "username": "u", "password": "p:q" },
        "token.example": { "auth": "PHRva2VuPjo=", "identitytoken": "tok" },
        "https://url.example/v1/": { "auth": "dTp1cmw=" },
        "localhost:5000": { "auth": "bTpsb2NhbA" },
        "empty.example": {},
        "blank.example": { "auth": "" },
        "broken.example": { "auth": "!!" },
    }});
    for (registry, expected) in [
        (None, Some(password("me", "hub"))),
        (Some("plain.example"), Some(password("u", "p:q"))),
        (
            Some("token.example"),
            Some(Credential::IdentityToken("tok".into())),
        ),
        (Some("url.example"), Some(password("u", "url"))),
        (Some("localhost:5000"), Some(password("m", "local"))),
        (Some("empty.example"), None),
        (Some("blank.example"), None),
        (Some("other.example"), None),
    ] {
        assert_eq!(
            lookup(&config, registry).await.unwrap(),
            expected,
            "{registry:?}"
        );
    }
    let broken = lookup(&config, Some("broken.example"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        broken.contains("broken.example") && !broken.contains("!!"),
        "{broken}"
    );
}

#[tokio::test]
async fn hub_has_two_names() {
    let config = json!({ "auths": { "docker.io": { "auth": "bWU6aHVi" } } });
    assert_eq!(
        lookup(&config, None).await.unwrap(),
        Some(password("me", "hub"))
    );
}

#[tokio::test]
async fn the_environment_wins() {
    let dir = tempfile::tempdir().unwrap();
    let config = r#"{"auths":{"a.example":{"auth":"dTpmaWxl"},"b.example":{"auth":"dTpmaWxl"}}}"#;
    fs_err::write(dir.path().join("config.json"), config).unwrap();
    let env = r#"{"auths":{"a.example":{"auth":"dTplbnY="}}}"#.to_owned();
    let credentials = Credentials::new(dir.path().to_owned(), Some(env));
    assert_eq!(
        credentials.lookup(Some("a.example")).await.unwrap(),
        Some(password("u", "env"))
    );
    assert_eq!(
        credentials.lookup(Some("b.example")).await.unwrap(),
        Some(password("u", "file"))
    );
    let secret = Credentials::new(dir.path().to_owned(), Some("s3cret".into()));
    let error = secret.lookup(None).await.unwrap_err().to_string();
    assert!(
        error.contains("DOCKER_AUTH_CONFIG") && !error.contains("s3cret"),
        "{error}"
    );
    assert!(!format!("{secret:?}").contains("s3cret"));
    assert_eq!(Credentials::none().lookup(None).await.unwrap(), None);
}

fn helper(dir: &std::path::Path, name: &str, script: &str) {
    let path = dir.join(format!("docker-credential-{name}"));
    fs_err::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn asks_helpers() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    helper(
        dir,
        "good",
        r#"read server; echo "{\"Username\":\"of $server\",\"Secret\":\"s\"}""#,
    );
    helper(
        dir,
        "token",
        r#"echo '{"Username":"<token>","Secret":"t"}'"#,
    );
    helper(
        dir,
        "unknown",
        "echo 'credentials not found in native keychain'; exit 1",
    );
    helper(dir, "bad", "echo 'the keychain is locked'; exit 1");
    helper(dir, "odd", "echo s3cret");
    let config = json!({
        "credsStore": "good",
        "credHelpers": {
            "token.example": "token",
            "unknown.example": "unknown",
            "bad.example": "bad",
            "odd.example": "odd",
            "missing.example": "bowline-has-no-such-helper",
        },
        "auths": { "unknown.example": { "auth": "dTpmaWxl" } },
    });
    fs_err::write(dir.join("config.json"), config.to_string()).unwrap();
    let mut credentials = Credentials::new(dir.to_owned(), None);
    credentials.helper_path = Some(dir.into());

    for (registry, expected) in [
        (None, Some(password("of https://index.docker.io/v1/", "s"))),
        (
            Some("other.example"),
            Some(password("of other.example", "s")),
        ),
        (
            Some("token.example"),
            Some(Credential::IdentityToken("t".into())),
        ),
        (Some("unknown.example"), Some(password("u", "file"))),
    ] {
        assert_eq!(
            credentials.lookup(registry).await.unwrap(),
            expected,
            "{registry:?}"
        );
    }
    for (registry, expected) in [
        (
            "bad.example",
            "`docker-credential-bad` failed: the keychain is locked",
        ),
        (
            "odd.example",
            "`docker-credential-odd` gave an answer that makes no sense",
        ),
        (
            "missing.example",
            "`docker-credential-bowline-has-no-such-helper` could not be run",
        ),
    ] {
        let error = credentials
            .lookup(Some(registry))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn never_shows_a_secret() {
    let shown = format!("{:?}", password("u", "s3cret"));
    assert!(!shown.contains("s3cret"), "{shown}");
}
