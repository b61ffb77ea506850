//! Which engine is meant: flags, environment and Docker's contexts, in Docker's own order.
//!
//! `--host` and `--context` win, then `DOCKER_HOST`, then `DOCKER_CONTEXT`, then what
//! `docker context use` wrote to `config.json`, then the socket in `/var/run`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::engine::{Endpoint, EngineError, Result};
use crate::image::Digest;

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
const DEFAULT_CONTEXT: &str = "default";

/// Finds the endpoint. Reads no more than the files below `docker_config_dir`, which is
/// `DOCKER_CONFIG` or `~/.docker`.
///
/// # Errors
/// When an address cannot be understood or a context is not there.
pub fn resolve_endpoint(
    host_flag: Option<&str>,
    context_flag: Option<&str>,
    env: &dyn Fn(&str) -> Option<String>,
    docker_config_dir: &Path,
) -> Result<Endpoint> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    let tls = || {
        set("DOCKER_TLS_VERIFY")?;
        Some(set("DOCKER_CERT_PATH").map_or_else(|| docker_config_dir.to_owned(), PathBuf::from))
    };
    let host_flag = host_flag.filter(|host| !host.is_empty());
    let context_flag = context_flag.filter(|context| !context.is_empty());
    if host_flag.is_some() && context_flag.is_some() {
        return Err(local("`--host` and `--context` cannot be given together"));
    }
    if let Some(name) = context_flag {
        return of_context(name, docker_config_dir, tls);
    }
    if let Some(host) = host_flag {
        return parse_host(host, tls());
    }
    if let Some(host) = set("DOCKER_HOST") {
        return parse_host(&host, tls());
    }
    if let Some(name) = set("DOCKER_CONTEXT") {
        return of_context(&name, docker_config_dir, tls);
    }
    match current_context(docker_config_dir)? {
        Some(name) => of_context(&name, docker_config_dir, tls),
        None => parse_host("", tls()),
    }
}

/// An address as `DOCKER_HOST` has it; `tls` is the folder of the certificates.
fn parse_host(host: &str, tls: Option<PathBuf>) -> Result<Endpoint> {
    let host = host.trim();
    let (scheme, rest) = match host.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None if host.is_empty() => ("unix", ""),
        None => ("tcp", host),
    };
    match scheme {
        "unix" if rest.is_empty() => Ok(Endpoint::Unix(DEFAULT_SOCKET.into())),
        "unix" => Ok(Endpoint::Unix(rest.into())),
        "tcp" | "http" | "https" => {
            if scheme == "https" && tls.is_none() {
                return Err(local(format!(
                    "`{host}` wants TLS: set `DOCKER_TLS_VERIFY=1` and `DOCKER_CERT_PATH`"
                )));
            }
            let tls = if scheme == "http" { None } else { tls };
            let authority = rest.trim_end_matches('/');
            if authority.contains('/') {
                return Err(local(format!(
                    "`{host}` has a path: bowline speaks to engines at the root of a host only"
                )));
            }
            Ok(Endpoint::Tcp {
                address: with_port(authority, tls.is_some()),
                tls,
            })
        }
        "ssh" => Err(local(format!(
            "`{host}`: bowline cannot use ssh itself; forward the socket \
             (`ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock {}`) and set \
             `DOCKER_HOST=unix:///tmp/docker.sock`",
            rest.trim_end_matches('/')
        ))),
        _ => Err(local(format!(
            "`{host}` is not an engine's address: it starts with `unix://` or `tcp://`"
        ))),
    }
}

/// Docker's ports: 2375, and 2376 with TLS.
fn with_port(authority: &str, tls: bool) -> String {
    let port = if tls { 2376 } else { 2375 };
    let (host, has_port) = match authority.rsplit_once(':') {
        // The last colon of a bare `[::1]` is inside the brackets.
        Some((_, after)) if after.contains(']') => (authority, false),
        Some((host, after)) => (host, !after.is_empty()),
        None => (authority, false),
    };
    match (host, has_port) {
        ("", true) => format!("localhost{authority}"),
        (_, true) => authority.to_owned(),
        ("", false) => format!("localhost:{port}"),
        (host, false) => format!("{host}:{port}"),
    }
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default, rename = "currentContext")]
    current_context: Option<String>,
}

fn current_context(docker_config_dir: &Path) -> Result<Option<String>> {
    let path = docker_config_dir.join("config.json");
    let Some(text) = read_if_there(&path)? else {
        return Ok(None);
    };
    let config: ConfigFile = serde_json::from_slice(&text)
        .map_err(|error| local(format!("`{}` is not valid: {error}", path.display())))?;
    Ok(config.current_context.filter(|name| !name.is_empty()))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextMeta {
    #[serde(default)]
    endpoints: std::collections::BTreeMap<String, ContextEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextEndpoint {
    #[serde(default)]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// The endpoint of a named context: its folder is named after the SHA-256 of its name.
fn of_context(
    name: &str,
    docker_config_dir: &Path,
    tls: impl FnOnce() -> Option<PathBuf>,
) -> Result<Endpoint> {
    if name == DEFAULT_CONTEXT {
        return parse_host("", tls());
    }
    let contexts = docker_config_dir.join("contexts");
    let hash = Digest::sha256(name.as_bytes());
    let path = contexts.join("meta").join(hash.hex()).join("meta.json");
    let Some(text) = read_if_there(&path)? else {
        return Err(local(format!(
            "there is no Docker context `{name}`: `docker context ls` lists them"
        )));
    };
    let meta: ContextMeta = serde_json::from_slice(&text)
        .map_err(|error| local(format!("`{}` is not valid: {error}", path.display())))?;
    let Some(endpoint) = meta.endpoints.get("docker") else {
        return Err(local(format!(
            "the Docker context `{name}` has no `docker` endpoint"
        )));
    };
    if endpoint.skip_tls_verify {
        return Err(local(format!(
            "the Docker context `{name}` skips the check of the engine's certificate, which \
             bowline never does: give it the certificate of its authority (`ca=...`)"
        )));
    }
    let folder = contexts.join("tls").join(hash.hex()).join("docker");
    let tls = folder.join("ca.pem").exists().then_some(folder);
    parse_host(&endpoint.host, tls)
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs_err::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(local(error.to_string())),
    }
}

fn local(message: impl Into<String>) -> EngineError {
    EngineError::Local(message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(path: &str) -> Endpoint {
        Endpoint::Unix(path.into())
    }

    fn tcp(address: &str, tls: Option<&str>) -> Endpoint {
        Endpoint::Tcp {
            address: address.into(),
            tls: tls.map(PathBuf::from),
        }
    }

    fn write_context(dir: &Path, name: &str, meta: &str, ca: bool) -> PathBuf {
        let hash = Digest::sha256(name.as_bytes());
        let folder = dir.join("contexts/meta").join(hash.hex());
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(folder.join("meta.json"), meta).unwrap();
        let tls = dir.join("contexts/tls").join(hash.hex()).join("docker");
        if ca {
            fs_err::create_dir_all(&tls).unwrap();
            fs_err::write(tls.join("ca.pem"), "").unwrap();
        }
        tls
    }

    #[test]
    fn reads_addresses_as_docker_does() {
        for (host, tls, expected) in [
            ("", None, unix("/var/run/docker.sock")),
            ("unix://", None, unix("/var/run/docker.sock")),
            (
                "unix:///run/user/1000/docker.sock",
                None,
                unix("/run/user/1000/docker.sock"),
            ),
            ("tcp://host:1234", None, tcp("host:1234", None)),
            ("tcp://host", None, tcp("host:2375", None)),
            (
                "tcp://host",
                Some("/certs"),
                tcp("host:2376", Some("/certs")),
            ),
            ("tcp://host:1/", None, tcp("host:1", None)),
            ("tcp://:1", None, tcp("localhost:1", None)),
            ("tcp://", None, tcp("localhost:2375", None)),
            ("tcp://[::1]", None, tcp("[::1]:2375", None)),
            ("tcp://[::1]:99", None, tcp("[::1]:99", None)),
            ("host:1", None, tcp("host:1", None)),
            ("http://host:1", Some("/certs"), tcp("host:1", None)),
            (
                "https://host:1",
                Some("/certs"),
                tcp("host:1", Some("/certs")),
            ),
        ] {
            assert_eq!(
                parse_host(host, tls.map(PathBuf::from)).unwrap(),
                expected,
                "{host}"
            );
        }
        for host in [
            "ssh://me@host",
            "npipe:////./pipe/x",
            "fd://",
            "tcp://host:1/path",
            "https://host:1",
        ] {
            assert!(parse_host(host, None).is_err(), "{host}");
        }
        let ssh = parse_host("ssh://me@host", None).unwrap_err().to_string();
        assert!(ssh.contains("docker.sock me@host`"), "{ssh}");
    }

    /// `--host`, `--context`, variables.
    type Row<'a> = (Option<&'a str>, Option<&'a str>, &'a [(&'a str, &'a str)]);

    #[test]
    fn what_wins_over_what() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let meta = r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://far:1"}}}"#;
        write_context(dir, "far", meta, false);
        let near = r#"{"Name":"near","Endpoints":{"docker":{"Host":"unix:///near"}}}"#;
        write_context(dir, "near", near, false);
        let secure = r#"{"Name":"s","Endpoints":{"docker":{"Host":"tcp://s"}}}"#;
        let certs = write_context(dir, "s", secure, true);
        let lax = r#"{"Endpoints":{"docker":{"Host":"tcp://s","SkipTLSVerify":true}}}"#;
        write_context(dir, "lax", lax, true);
        let resolve = |(host, context, vars): Row<'_>| {
            let env = |name: &str| {
                vars.iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            };
            resolve_endpoint(host, context, &env, dir)
        };
        let none: &[(&str, &str)] = &[];
        let host_var: &[(&str, &str)] = &[("DOCKER_HOST", "unix:///h"), ("DOCKER_CONTEXT", "far")];
        let context_var: &[(&str, &str)] = &[("DOCKER_HOST", ""), ("DOCKER_CONTEXT", "near")];
        let tls: &[(&str, &str)] = &[
            ("DOCKER_HOST", "tcp://h"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("DOCKER_CERT_PATH", "/certs"),
        ];
        let own_certs: &[(&str, &str)] = &[("DOCKER_HOST", "tcp://h"), ("DOCKER_TLS_VERIFY", "1")];
        let s_certs = certs.to_str();
        for (row, expected) in [
            ((None, None, none), unix("/var/run/docker.sock")),
            ((Some("unix:///f"), None, host_var), unix("/f")),
            ((None, Some("far"), host_var), tcp("far:1", None)),
            ((None, None, host_var), unix("/h")),
            ((None, None, context_var), unix("/near")),
            ((None, Some("default"), none), unix("/var/run/docker.sock")),
            ((None, Some("s"), none), tcp("s:2376", s_certs)),
            ((None, None, tls), tcp("h:2376", Some("/certs"))),
            ((None, None, own_certs), tcp("h:2376", dir.to_str())),
        ] {
            assert_eq!(resolve(row).unwrap(), expected, "{row:?}");
        }
        assert!(resolve((Some("unix:///f"), Some("far"), none)).is_err());
        assert!(resolve((None, Some("nowhere"), none)).is_err());
        assert!(resolve((None, Some("lax"), none)).is_err());

        fs_err::write(dir.join("config.json"), r#"{"currentContext":"far"}"#).unwrap();
        assert_eq!(resolve((None, None, none)).unwrap(), tcp("far:1", None));
        assert_eq!(resolve((None, None, context_var)).unwrap(), unix("/near"));
        fs_err::write(dir.join("config.json"), "{").unwrap();
        assert!(resolve((None, None, none)).is_err());
    }
}
