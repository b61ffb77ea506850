//! Credentials for registries out of Docker's configuration.
//!
//! In Docker's order: `DOCKER_AUTH_CONFIG`, the helper programs that `config.json` names
//! (`credHelpers`, then `credsStore`), its `auths`. Nothing here is ever logged or printed:
//! the types that hold a password do not show it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::engine::{EngineError, Result};

/// Under which names Docker Hub's credentials are kept.
const HUB: [&str; 2] = ["https://index.docker.io/v1/", "index.docker.io"];

/// What a registry is given.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Password { username: String, password: String },
    IdentityToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password(..)",
            Self::IdentityToken(_) => "IdentityToken(..)",
        })
    }
}

/// Where credentials are looked up.
#[derive(Clone, Default)]
pub struct Credentials {
    config_dir: Option<PathBuf>,
    auth_config: Option<String>,
    /// Where helper programs are, if not on our own `PATH`.
    helper_path: Option<OsString>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("config_dir", &self.config_dir)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Knows no credentials.
    pub fn none() -> Self {
        Self::default()
    }

    /// `docker_config_dir` is `DOCKER_CONFIG` or `~/.docker`; `auth_config` the JSON of
    /// `DOCKER_AUTH_CONFIG`.
    pub fn new(docker_config_dir: PathBuf, auth_config: Option<String>) -> Self {
        let auth_config = auth_config.filter(|text| !text.trim().is_empty());
        Self {
            config_dir: Some(docker_config_dir),
            auth_config,
            helper_path: None,
        }
    }

    /// The credential for a registry (`None` is Docker Hub), if there is one.
    ///
    /// # Errors
    /// When a configuration cannot be read and when a helper program fails.
    pub async fn lookup(&self, registry: Option<&str>) -> Result<Option<Credential>> {
        let one;
        let servers: &[&str] = match registry {
            None => &HUB,
            Some(registry) => {
                one = [registry];
                &one
            }
        };
        if let Some(text) = &self.auth_config {
            // Its parse error would quote it.
            let config = serde_json::from_str::<Value>(text)
                .map_err(|_| EngineError::Local("`DOCKER_AUTH_CONFIG` is not JSON".into()))?;
            if let Some(found) = in_auths(&config, servers, "DOCKER_AUTH_CONFIG")? {
                return Ok(Some(found));
            }
        }
        let Some(path) = self.config_dir.as_ref().map(|dir| dir.join("config.json")) else {
            return Ok(None);
        };
        let text = match fs_err::tokio::read(&path).await {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(EngineError::Local(error.to_string())),
        };
        let shown = path.display().to_string();
        let config = serde_json::from_slice::<Value>(&text)
            .map_err(|_| EngineError::Local(format!("`{shown}` is not JSON")))?;
        if let Some(helper) = helper(&config, servers) {
            let asked = ask(&helper, servers[0], self.helper_path.as_deref()).await?;
            if asked.is_some() {
                return Ok(asked);
            }
        }
        in_auths(&config, servers, &shown)
    }
}

fn helper(config: &Value, servers: &[&str]) -> Option<String> {
    let own = servers
        .iter()
        .find_map(|server| config["credHelpers"][server].as_str());
    let name = own.or_else(|| config["credsStore"].as_str())?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// Runs `docker-credential-NAME get`; `None` when it knows nothing of the server.
async fn ask(name: &str, server: &str, path: Option<&OsStr>) -> Result<Option<Credential>> {
    let program = format!("docker-credential-{name}");
    let failed = |why: &str| EngineError::Local(format!("the credential helper `{program}` {why}"));
    let mut command = Command::new(&program);
    command.arg("get").kill_on_drop(true);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let mut child = command
        .spawn()
        .map_err(|error| failed(&format!("could not be run: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read its input may still answer.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let output = child
        .wait_with_output()
        .await
        .map_err(|error| failed(&format!("failed: {error}")))?;
    if !output.status.success() {
        // Helpers say what is wrong on standard output.
        let said = [output.stdout, output.stderr]
            .iter()
            .map(|said| String::from_utf8_lossy(said).trim().to_owned())
            .find(|said| !said.is_empty())
            .unwrap_or_else(|| output.status.to_string());
        if said.contains("credentials not found") {
            return Ok(None);
        }
        return Err(failed(&format!(
            "failed: {}",
            said.lines().next().unwrap_or_default()
        )));
    }
    let answer: HelperAnswer = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("gave an answer that makes no sense"))?;
    Ok(match answer {
        HelperAnswer { username, secret } if username.is_empty() && secret.is_empty() => None,
        HelperAnswer { username, secret } if username == "<token>" => {
            Some(Credential::IdentityToken(secret))
        }
        HelperAnswer { username, secret } => Some(Credential::Password {
            username,
            password: secret,
        }),
    })
}

/// Looks into the `auths` of a configuration.
fn in_auths(config: &Value, servers: &[&str], shown: &str) -> Result<Option<Credential>> {
    let Some(auths) = config["auths"].as_object() else {
        return Ok(None);
    };
    // `docker login` with a helper leaves entries without a credential.
    let filled: Map<String, Value> = auths
        .iter()
        .filter(|(_, entry)| {
            ["auth", "username", "identitytoken"]
                .iter()
                .any(|key| entry[key].as_str().is_some_and(|value| !value.is_empty()))
        })
        .map(|(server, entry)| {
            let entry: Map<String, Value> = ["auth", "username", "password", "identitytoken"]
                .iter()
                .filter_map(|key| {
                    let value = entry[key].as_str().filter(|value| !value.is_empty())?;
                    Some(((*key).to_owned(), value.into()))
                })
                .collect();
            (server.clone(), Value::Object(entry))
        })
        .collect();
    let config = json!({ "auths": filled }).to_string();
    for server in servers {
        match docker_credential::get_credential_from_reader(config.as_bytes(), server) {
            Ok(credential) => return Ok(Some(credential.into())),
            Err(CredentialRetrievalError::NoCredentialConfigured) => {}
            Err(_) => {
                return Err(EngineError::Local(format!(
                    "the credentials for `{server}` in `{shown}` cannot be decoded"
                )));
            }
        }
    }
    Ok(None)
}

impl From<DockerCredential> for Credential {
    fn from(credential: DockerCredential) -> Self {
        match credential {
            DockerCredential::IdentityToken(token) => Self::IdentityToken(token),
            DockerCredential::UsernamePassword(username, password) => {
                Self::Password { username, password }
            }
        }
    }
}

/// As a request's header wants it.
pub(super) fn for_request(
    registry: Option<&str>,
    credential: Credential,
) -> bollard::auth::DockerCredentials {
    let mut header = bollard::auth::DockerCredentials {
        serveraddress: Some(registry.unwrap_or(HUB[0]).to_owned()),
        ..Default::default()
    };
    match credential {
        Credential::Password { username, password } => {
            header.username = Some(username);
            header.password = Some(password);
        }
        Credential::IdentityToken(token) => header.identitytoken = Some(token),
    }
    header
}

#[cfg(test)]
mod tests;
