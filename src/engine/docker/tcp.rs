//! The client for engines behind TCP, with and without TLS.
//!
//! bollard's own opens a connection for every request, which over TLS costs more than most
//! requests do. Here they are kept for the next one. As in Docker, `ca.pem` is the only authority
//! that is trusted, and `cert.pem` and `key.pem` say who we are, if they are there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::error;
use crate::engine::{EngineError, Result};

/// How long a host may take to accept a connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection is kept for the next request: not as long as anything on the way would.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// A step may say nothing for hours while we wait for its end; the way must not forget us.
const KEEPALIVE: Duration = Duration::from_secs(30);

pub(super) fn client(address: &str, tls: Option<&Path>, timeout: u64) -> Result<Docker> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    match tls {
        None => docker(tcp, &format!("http://{address}"), timeout),
        Some(folder) => {
            let tls = HttpsConnectorBuilder::new()
                .with_tls_config(tls_config(folder)?)
                .https_only()
                .enable_http1()
                .wrap_connector(tcp);
            docker(tls, &format!("https://{address}"), timeout)
        }
    }
}

fn docker<C>(connector: C, address: &str, timeout: u64) -> Result<Docker>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let client = Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_timer(TokioTimer::new())
        .build(connector);
    let transport = move |request: BollardRequest| {
        let answer = client.request(request);
        async move { answer.await.map_err(Error::from) }
    };
    Docker::connect_with_custom_transport(transport, Some(address), timeout, API_DEFAULT_VERSION)
        .map_err(|failed| error::from_bollard(address, failed))
}

fn tls_config(folder: &Path) -> Result<ClientConfig> {
    let unusable = |path: &Path, reason: &dyn std::fmt::Display| {
        let path = path.display();
        EngineError::Local(format!(
            "`{path}`, for the engine's connection, cannot be used: {reason}"
        ))
    };
    let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>> {
        CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|reason| unusable(path, &reason))
    };
    let ca = folder.join("ca.pem");
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&ca)? {
        roots
            .add(certificate)
            .map_err(|reason| unusable(&ca, &reason))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|reason| EngineError::Local(reason.to_string()))?
        .with_root_certificates(roots);
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    if !cert.exists() && !key.exists() {
        return Ok(config.with_no_client_auth());
    }
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|reason| unusable(&key, &reason))?;
    config
        .with_client_auth_cert(certificates(&cert)?, private)
        .map_err(|reason| unusable(&cert, &reason))
}
