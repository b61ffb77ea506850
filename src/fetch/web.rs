//! Files behind URLs: streamed into a temporary file, hashed on the way.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{ETAG, HeaderMap, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{Client, ClientBuilder, NoProxy, Proxy, Response, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use sha2::Digest as _;

use crate::diag::{Class, Diagnostic};
use crate::image::Digest;
use crate::request::Proxies;
use crate::request::address::redacted;

/// How long a host may take to accept a connection, and may be silent in the middle of an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// As in BuildKit.
const MAX_REDIRECTS: usize = 10;
/// How often what may pass is tried, and how long the first wait is; each one is twice as long.
const ATTEMPTS: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// A client for HTTP, made when it is first needed.
pub(super) struct Web {
    proxies: Proxies,
    client: OnceLock<Client>,
}

/// A file that was fetched.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) content: Arc<File>,
    pub(super) size: u64,
    pub(super) digest: Digest,
    /// Seconds since 1970, when the server says when the file last changed.
    pub(super) modified: Option<i64>,
    pub(super) etag: Option<String>,
}

/// What a server answers.
#[derive(Debug)]
pub(super) enum Answer {
    File(Fetched),
    /// The file is the one whose mark was sent along.
    Same,
}

impl Web {
    pub(super) fn new(proxies: Proxies) -> Self {
        Self {
            proxies,
            client: OnceLock::new(),
        }
    }

    /// Fetches a file. With the mark of an earlier answer the server may say that it is the same.
    pub(super) async fn get(
        &self,
        url: &str,
        etag: Option<&str>,
        scratch: &Path,
        on_bytes: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Answer, Diagnostic> {
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            match self.get_once(url, etag, scratch, on_bytes).await {
                Ok(answer) => return Ok(answer),
                Err(problem) if problem.passes && attempt < ATTEMPTS => {
                    tracing::debug!(url = %redacted(url), error = %problem.text, "tried again");
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                Err(problem) => return Err(problem.diagnostic(url)),
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn get_once(
        &self,
        url: &str,
        etag: Option<&str>,
        scratch: &Path,
        on_bytes: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Answer, Problem> {
        let mut request = self.client()?.get(url);
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = request.send().await.map_err(|error| Problem::of(&error))?;
        let status = response.status();
        let named = mark(response.headers());
        if etag.is_some()
            && (status == StatusCode::NOT_MODIFIED
                || status.is_success() && named.as_deref() == etag)
        {
            return Ok(Answer::Same);
        }
        if !(200..400).contains(&status.as_u16()) {
            return Err(Problem::status(status));
        }
        keep(response, named, scratch, on_bytes)
            .await
            .map(Answer::File)
    }

    fn client(&self) -> Result<&Client, Problem> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let builder = Client::builder().read_timeout(STALL_TIMEOUT);
        let client = build_client(&self.proxies, builder)?;
        Ok(self.client.get_or_init(|| client))
    }
}

async fn keep(
    mut response: Response,
    etag: Option<String>,
    scratch: &Path,
    on_bytes: &(dyn Fn(u64, u64) + Sync),
) -> Result<Fetched, Problem> {
    let modified = response.headers().get(LAST_MODIFIED);
    let modified = modified.and_then(|value| http_date(value.to_str().ok()?));
    let total = response.content_length().unwrap_or(0);
    let mut file = tempfile::tempfile_in(scratch).map_err(|error| Problem::local(&error))?;
    let mut hasher = sha2::Sha256::new();
    let mut size = 0;
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|error| Problem::of(&error))?
    {
        hasher.update(&piece);
        // A piece is small, and goes into the page cache.
        file.write_all(&piece)
            .map_err(|error| Problem::local(&error))?;
        size += piece.len() as u64;
        on_bytes(size, total);
    }
    Ok(Fetched {
        content: Arc::new(file),
        size,
        digest: Digest::from_sha256(&hasher.finalize()),
        modified,
        etag,
    })
}

/// The mark of a file's version, without the sign that it is a weak one, as in BuildKit.
fn mark(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(ETAG)?.to_str().ok()?;
    Some(text.strip_prefix("W/").unwrap_or(text).to_owned())
}

/// A client for those who watch over their requests themselves.
///
/// # Errors
/// When a proxy is none.
pub fn client(proxies: &Proxies) -> Result<Client, Diagnostic> {
    let built = build_client(proxies, Client::builder());
    built.map_err(|problem| Diagnostic::error(problem.text).with_class(problem.class))
}

fn build_client(proxies: &Proxies, builder: ClientBuilder) -> Result<Client, Problem> {
    let agent = concat!("bowline/", env!("CARGO_PKG_VERSION"));
    let mut builder = builder
        .user_agent(agent)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::limited(MAX_REDIRECTS))
        .http1_only()
        .tls_backend_preconfigured(tls())
        .no_proxy();
    let exempt = proxies.exempt.as_deref().and_then(NoProxy::from_string);
    for (address, make) in [
        (
            &proxies.http,
            Proxy::http as fn(String) -> reqwest::Result<Proxy>,
        ),
        (&proxies.https, Proxy::https),
    ] {
        let Some(address) = address else { continue };
        let proxy = make(address.clone()).map_err(|error| Problem {
            text: format!("the proxy `{}` cannot be used: {error}", redacted(address)),
            passes: false,
            class: Class::Yours,
        })?;
        builder = builder.proxy(proxy.no_proxy(exempt.clone()));
    }
    builder.build().map_err(|error| Problem {
        passes: false,
        ..Problem::of(&error)
    })
}

/// Trusts whom the machine trusts.
fn tls() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // One that cannot be read would never have signed anything.
        let _ = roots.add(certificate);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the protocols")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Why a file did not come.
struct Problem {
    text: String,
    /// Whether it may work the next time.
    passes: bool,
    class: Class,
}

impl Problem {
    fn of(error: &reqwest::Error) -> Self {
        let mut text = String::new();
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
        while let Some(error) = cause {
            text = error.to_string();
            cause = error.source();
        }
        if text.is_empty() {
            text = error.to_string();
        }
        if error.is_timeout() {
            text = "the server does not answer in time".into();
        } else if error.is_redirect() {
            text = format!("it redirects more than {MAX_REDIRECTS} times");
        }
        let passes = !error.is_builder() && !error.is_redirect() && !text.contains("ertificate");
        let class = if error.is_builder() {
            Class::Yours
        } else {
            Class::Environment
        };
        Self {
            text,
            passes,
            class,
        }
    }

    fn status(status: StatusCode) -> Self {
        let passes = matches!(status.as_u16(), 408 | 425 | 429 | 502 | 503 | 504);
        let class = if status.is_server_error() {
            Class::Environment
        } else {
            Class::Yours
        };
        let text = format!("the server says `{status}`");
        Self {
            text,
            passes,
            class,
        }
    }

    fn local(error: &std::io::Error) -> Self {
        Self {
            text: format!("it cannot be kept: {error}"),
            passes: false,
            class: Class::Environment,
        }
    }

    fn diagnostic(self, url: &str) -> Diagnostic {
        let message = format!("cannot download `{}`: {}", redacted(url), self.text);
        Diagnostic::error(message).with_class(self.class)
    }
}

/// Seconds since 1970 of an HTTP date: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<i64> {
    let time = jiff::fmt::rfc2822::DateTimeParser::new();
    time.parse_timestamp(text)
        .ok()
        .map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_servers_are_read() {
        assert_eq!(
            http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777)
        );
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("yesterday"), None);
    }
}
