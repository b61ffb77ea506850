//! One question to a registry and its answer: never waited for without end, and asked again when
//! that may help.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use reqwest::header::{HeaderName, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use sha2::Digest as _;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use super::{RegistryError, Result};
use crate::image::{Descriptor, Digest};

/// How often what may pass is tried, and how long the first wait is; each one is twice as long.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// What is quoted of a refusal, in bytes.
const QUOTED: u64 = 64 << 10;

/// What a request carries.
#[derive(Clone)]
pub(super) enum Body {
    None,
    Bytes(Vec<u8>),
    File(PathBuf, u64),
}

/// An answer whose head is there.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    response: Response,
    patience: Duration,
}

/// Does it again when what is wrong may pass.
pub(super) async fn again<'a, T>(work: impl Fn() -> BoxFuture<'a, Result<T>> + Send) -> Result<T> {
    let mut wait = FIRST_WAIT;
    for attempt in 1.. {
        match work().await {
            Err(RegistryError::Unreachable(error)) if attempt < ATTEMPTS => {
                tracing::debug!(%error, "tried again");
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            result => return result,
        }
    }
    unreachable!("the last attempt returns")
}

/// Sends a request and waits for the head of the answer, as long as something moves.
pub(super) async fn send(request: RequestBuilder, body: Body, patience: Duration) -> Result<Reply> {
    let moved = Arc::new(AtomicU64::new(0));
    let request = match body {
        Body::None => request,
        Body::Bytes(bytes) => request.body(bytes),
        Body::File(path, size) => {
            let file = fs_err::tokio::File::open(&path).await;
            let file = file.map_err(|error| RegistryError::Local(error.to_string()))?;
            let moved = Arc::clone(&moved);
            let stream = ReaderStream::with_capacity(file, 256 << 10);
            let stream = stream.inspect(move |_| {
                moved.fetch_add(1, Ordering::Relaxed);
            });
            request
                .header(reqwest::header::CONTENT_LENGTH, size)
                .body(reqwest::Body::wrap_stream(stream))
        }
    };
    let mut sending = Box::pin(request.send());
    let response = loop {
        let before = moved.load(Ordering::Relaxed);
        match tokio::time::timeout(patience, &mut sending).await {
            Ok(result) => break result.map_err(|error| unreachable(&error))?,
            Err(_) if moved.load(Ordering::Relaxed) != before => {}
            Err(_) => return Err(silent()),
        }
    };
    let status = response.status();
    // What a gateway says when the registry behind it does not answer.
    if matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504) {
        let why = format!("the registry says `{status}`");
        return Err(RegistryError::Unreachable(why));
    }
    Ok(Reply {
        status,
        response,
        patience,
    })
}

impl Reply {
    pub(super) fn header(&self, name: &HeaderName) -> Option<String> {
        let value = self.response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    }

    pub(super) fn challenges(&self) -> Vec<String> {
        let all = self.response.headers().get_all(WWW_AUTHENTICATE).iter();
        all.filter_map(|value| value.to_str().ok().map(str::to_owned))
            .collect()
    }

    /// A location, which may be relative.
    pub(super) fn resolve(&self, place: &str) -> Result<Url> {
        let url = self.response.url().join(place);
        url.map_err(|error| RegistryError::Refused(format!("`{place}`: {error}")))
    }

    /// The whole body, if it is not larger than that.
    pub(super) async fn bytes(mut self, largest: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece().await? {
            if bytes.len() as u64 + piece.len() as u64 > largest {
                let why = format!("the registry's answer is larger than {largest} bytes");
                return Err(RegistryError::Refused(why));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Writes the body to a file; it must be the blob.
    pub(super) async fn save(mut self, blob: &Descriptor, to: &Path) -> Result<()> {
        let local = |error: std::io::Error| RegistryError::Local(error.to_string());
        let mut file = fs_err::tokio::File::create(to).await.map_err(local)?;
        let mut hash = sha2::Sha256::new();
        let mut size = 0;
        while let Some(piece) = self.piece().await? {
            size += piece.len() as u64;
            if size > blob.size {
                break;
            }
            hash.update(&piece);
            file.write_all(&piece).await.map_err(local)?;
        }
        file.flush().await.map_err(local)?;
        if size < blob.size {
            let why = format!(
                "the registry ends a layer after {size} of {} bytes",
                blob.size
            );
            return Err(RegistryError::Unreachable(why));
        }
        if size != blob.size || Digest::from_sha256(&hash.finalize()) != blob.digest {
            let why = format!("the registry gives other bytes for `{}`", blob.digest);
            return Err(RegistryError::Refused(why));
        }
        Ok(())
    }

    async fn piece(&mut self) -> Result<Option<bytes::Bytes>> {
        match tokio::time::timeout(self.patience, self.response.chunk()).await {
            Ok(piece) => piece.map_err(|error| unreachable(&error)),
            Err(_) => Err(silent()),
        }
    }

    /// What is wrong, in the registry's words.
    pub(super) async fn refused(self, what: &str) -> RegistryError {
        let status = self.status;
        let said = self.bytes(QUOTED).await.unwrap_or_default();
        let said: serde_json::Value = serde_json::from_slice(&said).unwrap_or_default();
        let error = &said["errors"][0];
        let words = ["message", "code"].iter().find_map(|key| {
            let words = error[key].as_str()?;
            (!words.is_empty()).then(|| words.to_owned())
        });
        let words = words.unwrap_or_else(|| status.to_string());
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryError::Unauthorized(words),
            _ => RegistryError::Refused(format!("{what}: {words}")),
        }
    }
}

fn silent() -> RegistryError {
    RegistryError::Unreachable("the registry does not answer in time".into())
}

fn unreachable(error: &reqwest::Error) -> RegistryError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    if text.contains("ertificate") {
        return RegistryError::Refused(text);
    }
    RegistryError::Unreachable(text)
}
