//! From an [`Endpoint`] to a [`DockerEngine`]: the connection, the API version, who answers.
//!
//! Two requests go out at once: `/_ping`, by hand, because its headers name the API version and
//! because it costs the engine nothing, and `/info` for everything else. (`/version` would start
//! `runc` and `docker-init` in the engine to ask for theirs.) From then on every request names
//! the version, so that a newer engine answers as the ones that were tested.

use std::sync::Arc;

use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion, Docker};
use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use super::auth::Credentials;
use super::tcp::{self, CONNECT_TIMEOUT};
use super::{DockerEngine, error};
use crate::engine::{Endpoint, EngineError, EngineInfo, ImageStore, Result};
use crate::image::Platform;

/// The oldest API that has all we need: `platform` at container create.
const OLDEST: (usize, usize) = (1, 41);
const OLDEST_TEXT: &str = "1.41";

/// A step or a pull takes as long as it takes: bollard's limit for an answer is a year.
const NO_TIMEOUT: u64 = 365 * 24 * 3600;

/// As `DOCKER_HOST` would spell it.
pub(super) fn address(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Unix(path) => format!("unix://{}", path.display()),
        Endpoint::Tcp { address, .. } => format!("tcp://{address}"),
    }
}

impl DockerEngine {
    /// Connects without credentials for pulls; see [`DockerEngine::connect_with`].
    ///
    /// # Errors
    /// As [`DockerEngine::connect_with`].
    pub async fn connect(endpoint: &Endpoint) -> Result<Arc<Self>> {
        Self::connect_with(endpoint, Credentials::none()).await
    }

    /// Connects to an engine and learns what it is.
    ///
    /// # Errors
    /// When nobody answers, when we may not ask, and when the engine is too old.
    pub async fn connect_with(endpoint: &Endpoint, credentials: Credentials) -> Result<Arc<Self>> {
        let address = address(endpoint);
        let (version, docker) = tokio::join!(knock(endpoint, &address), async {
            let docker = client(endpoint, &address)?;
            let info = docker.info().await;
            let info =
                info.map_err(|error| wants_tls(error::from_bollard(&address, error), &address))?;
            Ok::<_, EngineError>((docker, info))
        });
        // The knock's error is the better one: it comes from the socket itself.
        let version = version?;
        let (docker, info) = docker?;
        let version = match version {
            Some(version) => version,
            None => asked_version(&docker, &address).await?,
        };
        let version = agreed(&version, &address)?;
        let platform = Platform::new(
            info.os_type.as_deref().unwrap_or("linux"),
            &go_architecture(info.architecture.as_deref().unwrap_or_default()),
            None,
        );
        let snapshotter = ["driver-type", "io.containerd.snapshotter.v1"];
        let store = if info
            .driver_status
            .iter()
            .flatten()
            .any(|pair| *pair == snapshotter)
        {
            ImageStore::Containerd
        } else {
            ImageStore::GraphDriver
        };
        let info = EngineInfo {
            endpoint: address,
            version: info.server_version.unwrap_or_default(),
            api_version: version.to_string(),
            id: info.id.unwrap_or_default(),
            store,
            platform,
            apparmor: info
                .security_options
                .iter()
                .flatten()
                .any(|option| option.starts_with("name=apparmor")),
        };
        tracing::debug!(?info, "connected");
        let manifests = store == ImageStore::Containerd && version >= api(1, 48);
        let detailed = docker.clone();
        let detailed = detailed.with_request_modifier(modifier(&version, manifests));
        let docker = docker.with_request_modifier(modifier(&version, false));
        Ok(Arc::new(Self::new(docker, detailed, info, credentials)))
    }
}

fn client(endpoint: &Endpoint, address: &str) -> Result<Docker> {
    match endpoint {
        Endpoint::Unix(path) => {
            let path = path.to_str().ok_or_else(|| EngineError::Unreachable {
                endpoint: address.to_owned(),
                reason: "the path is not UTF-8".into(),
            })?;
            Docker::connect_with_unix(path, NO_TIMEOUT, API_DEFAULT_VERSION)
                .map_err(|error| error::from_bollard(address, error))
        }
        Endpoint::Tcp { address, tls } => tcp::client(address, tls.as_deref(), NO_TIMEOUT),
    }
}

/// What every request gets: the API version in its path, which bollard leaves out, our name,
/// and credentials in the alphabet that engines decode, which bollard does not use.
fn modifier(
    version: &ClientVersion,
    manifests: bool,
) -> impl Fn(BollardRequest) -> BollardRequest + Send + Sync + 'static {
    let prefix = format!("/v{version}");
    move |mut request| {
        let uri = request.uri();
        let target = uri.path_and_query().map_or("/", |both| both.as_str());
        let mut target = format!("{prefix}{target}");
        // bollard's image inspect takes no options. With this one it tells an index's manifests.
        if manifests
            && uri.path().starts_with("/images/")
            && uri.path().ends_with("/json")
            && uri.path() != "/images/json"
        {
            target.push_str("?manifests=1");
        }
        let mut parts = uri.clone().into_parts();
        if let Ok(target) = target.parse() {
            parts.path_and_query = Some(target);
        }
        if let Ok(uri) = http::Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        let headers = request.headers_mut();
        headers.insert(
            http::header::USER_AGENT,
            HeaderValue::from_static(USER_AGENT),
        );
        if let Some(auth) = headers.get_mut("x-registry-auth") {
            let text = auth
                .to_str()
                .unwrap_or_default()
                .replace('+', "-")
                .replace('/', "_");
            if let Ok(text) = HeaderValue::from_str(&text) {
                *auth = text;
                auth.set_sensitive(true);
            }
        }
        request
    }
}

const USER_AGENT: &str = concat!("bowline/", env!("CARGO_PKG_VERSION"));

pub(super) fn api(major_version: usize, minor_version: usize) -> ClientVersion {
    ClientVersion {
        major_version,
        minor_version,
    }
}

/// Connects once by hand; gives the API version, when that is said without TLS.
async fn knock(endpoint: &Endpoint, address: &str) -> Result<Option<String>> {
    let connected = async {
        match endpoint {
            Endpoint::Unix(path) => ping(UnixStream::connect(path).await?).await,
            Endpoint::Tcp { address, tls: None } => ping(TcpStream::connect(address).await?).await,
            Endpoint::Tcp { address, .. } => TcpStream::connect(address).await.map(|_| None),
        }
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, connected).await {
        Ok(version) => version.map_err(|error| error::from_connect(address, &error)),
        Err(_) => Err(EngineError::Unreachable {
            endpoint: address.to_owned(),
            reason: format!("no answer for {} seconds", CONNECT_TIMEOUT.as_secs()),
        }),
    }
}

async fn ping(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<Option<String>> {
    stream
        .write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.take(16 * 1024).read_to_end(&mut answer).await?;
    Ok(version_of_ping(&String::from_utf8_lossy(&answer)))
}

fn version_of_ping(answer: &str) -> Option<String> {
    answer
        .lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("api-version")
                .then(|| value.trim().to_owned())
        })
}

async fn asked_version(docker: &Docker, address: &str) -> Result<String> {
    let version = docker
        .version()
        .await
        .map_err(|error| error::from_bollard(address, error))?;
    version
        .api_version
        .ok_or_else(|| EngineError::Unexpected("it names no API version".into()))
}

/// Without TLS on a port with TLS, the engine has an answer of its own.
fn wants_tls(error: EngineError, address: &str) -> EngineError {
    match error {
        EngineError::Api { message, .. } if message.contains("HTTP request to an HTTPS server") => {
            EngineError::Unreachable {
                endpoint: address.to_owned(),
                reason: "it wants TLS: set `DOCKER_TLS_VERIFY=1` and `DOCKER_CERT_PATH`".into(),
            }
        }
        error => error,
    }
}

/// The version both sides speak.
fn agreed(found: &str, address: &str) -> Result<ClientVersion> {
    let parsed = found.split_once('.').and_then(|(major, minor)| {
        Some((major.parse::<usize>().ok()?, minor.parse::<usize>().ok()?))
    });
    let Some(server) = parsed else {
        return Err(EngineError::Unexpected(format!(
            "`{found}` as its API version"
        )));
    };
    if server < OLDEST {
        return Err(EngineError::TooOld {
            endpoint: address.to_owned(),
            found: found.to_owned(),
            needed: OLDEST_TEXT,
        });
    }
    let ours = (
        API_DEFAULT_VERSION.major_version,
        API_DEFAULT_VERSION.minor_version,
    );
    let (major, minor) = server.min(ours);
    Ok(api(major, minor))
}

/// `/info` has the kernel's word for the architecture.
fn go_architecture(uname: &str) -> String {
    match uname {
        "i486" | "i586" | "i686" => "386".into(),
        "mips64el" => "mips64le".into(),
        "armv6l" => "armel".into(),
        other if other.starts_with("armv") => "arm".into(),
        "loongarch64" => "loong64".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_on_the_older_version() {
        let agreed = |found: &str| agreed(found, "unix:///x");
        assert_eq!(agreed("1.41").unwrap().to_string(), "1.41");
        assert_eq!(agreed("1.51").unwrap().to_string(), "1.51");
        assert_eq!(agreed("1.999").unwrap(), *API_DEFAULT_VERSION);
        assert_eq!(agreed("2.0").unwrap(), *API_DEFAULT_VERSION);
        assert!(matches!(
            agreed("1.40"),
            Err(EngineError::TooOld { needed: "1.41", .. })
        ));
        assert!(matches!(agreed("x"), Err(EngineError::Unexpected(_))));
    }

    #[test]
    fn reads_the_version_in_a_ping() {
        let answer = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nServer: Docker\r\n\r\nOK";
        assert_eq!(version_of_ping(answer).as_deref(), Some("1.41"));
        assert_eq!(
            version_of_ping("HTTP/1.1 200 OK\r\n\r\nApi-Version: 1\r\n"),
            None
        );
    }

    #[test]
    fn knows_the_architectures_of_kernels() {
        for (uname, expected) in [
            ("x86_64", "linux/amd64"),
            ("aarch64", "linux/arm64"),
            ("armv7l", "linux/arm/v7"),
            ("i686", "linux/386"),
            ("s390x", "linux/s390x"),
        ] {
            let platform = Platform::new("linux", &go_architecture(uname), None);
            assert_eq!(platform.to_string(), expected);
        }
    }

    #[tokio::test]
    async fn says_why_it_cannot_connect() {
        let missing = Endpoint::Unix("/nonexistent/docker.sock".into());
        let error = DockerEngine::connect(&missing).await.err().unwrap();
        assert!(
            matches!(error, EngineError::Unreachable { .. }),
            "{error:?}"
        );
        let refused = Endpoint::Tcp {
            address: "127.0.0.1:1".into(),
            tls: None,
        };
        let error = DockerEngine::connect(&refused).await.err().unwrap();
        assert!(
            matches!(error, EngineError::Unreachable { .. }),
            "{error:?}"
        );
    }
}
