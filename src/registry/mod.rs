//! Registries, spoken to directly: what an engine cannot push or pull by itself, such as an index
//! of several platforms, or a cache.
//!
//! [`Registries`] knows how to reach them and who we are there; a [`Repository`] is a place for
//! blobs and manifests. What may pass is tried again, and a silent server is not waited for.

mod access;
mod transfer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, StatusCode};

use access::{Access, Actions};
use transfer::{Body, Reply};

use crate::diag::Diagnostic;
use crate::fetch;
use crate::image::{Descriptor, Digest, Reference};
use crate::request::Proxies;

/// No manifest is as large.
const LARGEST_MANIFEST: u64 = 8 << 20;
const HUB: &str = "registry-1.docker.io";
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// Who we are at a registry.
pub enum Login {
    Password { username: String, password: String },
    IdentityToken(String),
}

/// Where logins come from.
#[async_trait]
pub trait Logins: Send + Sync {
    /// The login for a registry (`None` is Docker Hub), if there is one.
    async fn login(&self, registry: Option<&str>) -> Result<Option<Login>, String>;
}

/// Everything that is needed to speak to any registry.
#[derive(Clone)]
pub struct Registries {
    client: Client,
    logins: Arc<dyn Logins>,
    /// How long a registry may be silent.
    patience: Duration,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("{0}")]
    Refused(String),
    #[error("the registry does not let us in: {0}")]
    Unauthorized(String),
    #[error("{0}")]
    Unreachable(String),
    #[error("{0}")]
    Local(String),
}

type Result<T, E = RegistryError> = std::result::Result<T, E>;

/// A manifest as a registry has it.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub media_type: String,
    pub digest: Digest,
    pub bytes: Vec<u8>,
}

impl Registries {
    /// # Errors
    /// When a proxy is none.
    pub fn new(
        proxies: &Proxies,
        logins: Arc<dyn Logins>,
        patience: Duration,
    ) -> std::result::Result<Self, Diagnostic> {
        Ok(Self {
            client: fetch::client(proxies)?,
            logins,
            patience,
        })
    }

    /// The repository of a reference. `insecure` allows plain HTTP; for this machine's own
    /// addresses it is always allowed, as engines do.
    pub fn repository(&self, reference: &Reference, insecure: bool) -> Repository {
        let registry = reference.registry.as_deref();
        let host = registry.unwrap_or(HUB).to_owned();
        let name = match registry {
            None if !reference.repository.contains('/') => {
                format!("library/{}", reference.repository)
            }
            _ => reference.repository.clone(),
        };
        let insecure = insecure || is_local(&host);
        Repository {
            registries: self.clone(),
            access: Arc::new(Access::new(
                registry.map(str::to_owned),
                host,
                name,
                insecure,
            )),
        }
    }
}

fn is_local(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name == "[::1]" || name.starts_with("127.")
}

/// A repository of a registry.
pub struct Repository {
    registries: Registries,
    access: Arc<Access>,
}

impl Repository {
    /// The manifest of a tag or a digest; `None` when there is none.
    ///
    /// # Errors
    /// When the registry cannot be asked, or does not tell.
    pub async fn manifest(&self, reference: &str) -> Result<Option<Manifest>> {
        let path = &format!("manifests/{reference}");
        let read = || async move {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(MANIFESTS));
            let reply = self
                .ask(Method::GET, path, headers, Body::None, Actions::Pull)
                .await?;
            match reply.status {
                StatusCode::NOT_FOUND => Ok(None),
                status if status.is_success() => {
                    let media_type = reply.header(&CONTENT_TYPE).unwrap_or_default();
                    let bytes = reply.bytes(LARGEST_MANIFEST).await?;
                    Ok(Some((media_type, bytes)))
                }
                _ => Err(reply.refused("cannot read the manifest").await),
            }
        };
        let found = transfer::again(|| read().boxed()).await?;
        let Some((media_type, bytes)) = found else {
            return Ok(None);
        };
        let digest = Digest::sha256(&bytes);
        if reference.starts_with("sha256:") && reference != digest.as_str() {
            let why = format!("the registry gives other bytes for `{reference}`");
            return Err(RegistryError::Refused(why));
        }
        Ok(Some(Manifest {
            media_type,
            digest,
            bytes,
        }))
    }

    /// Stores a manifest under a tag or its digest.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn put_manifest(
        &self,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<()> {
        let path = &format!("manifests/{reference}");
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(media_type);
        headers.insert(
            CONTENT_TYPE,
            value.map_err(|error| RegistryError::Local(error.to_string()))?,
        );
        let headers = &headers;
        let put = || async move {
            let body = Body::Bytes(bytes.to_vec());
            let reply = self
                .ask(Method::PUT, path, headers.clone(), body, Actions::Push)
                .await?;
            if reply.status.is_success() {
                return Ok(());
            }
            Err(reply
                .refused("the registry does not take the manifest")
                .await)
        };
        transfer::again(|| put().boxed()).await
    }

    /// Writes a blob to a file, and checks that it is the one.
    ///
    /// # Errors
    /// When the registry does not have it, or gives other bytes.
    pub async fn blob(&self, blob: &Descriptor, to: &Path) -> Result<()> {
        let path = &format!("blobs/{}", blob.digest);
        let read = || async move {
            let reply = self
                .ask(
                    Method::GET,
                    path,
                    HeaderMap::new(),
                    Body::None,
                    Actions::Pull,
                )
                .await?;
            if !reply.status.is_success() {
                return Err(reply.refused("cannot read a layer").await);
            }
            reply.save(blob, to).await
        };
        transfer::again(|| read().boxed()).await
    }

    /// Stores a blob, unless it is there.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn put_blob(&self, blob: &Descriptor, content: Content<'_>) -> Result<()> {
        let content = &content;
        transfer::again(|| self.put_blob_once(blob, content).boxed()).await
    }

    async fn put_blob_once(&self, blob: &Descriptor, content: &Content<'_>) -> Result<()> {
        let path = format!("blobs/{}", blob.digest);
        let head = self
            .ask(
                Method::HEAD,
                &path,
                HeaderMap::new(),
                Body::None,
                Actions::Push,
            )
            .await?;
        if head.status.is_success() {
            return Ok(());
        }
        let begun = self
            .ask(
                Method::POST,
                "blobs/uploads/",
                HeaderMap::new(),
                Body::None,
                Actions::Push,
            )
            .await?;
        let place = begun.header(&LOCATION);
        let (StatusCode::ACCEPTED, Some(place)) = (begun.status, place) else {
            return Err(begun.refused("the registry does not take the layer").await);
        };
        let place = begun.resolve(&place)?;
        let mut headers = HeaderMap::new();
        let octets = HeaderValue::from_static("application/octet-stream");
        headers.insert(CONTENT_TYPE, octets);
        let mut url = place;
        url.query_pairs_mut()
            .append_pair("digest", blob.digest.as_str());
        let body = match content {
            Content::Bytes(bytes) => Body::Bytes(bytes.to_vec()),
            Content::File(path) => Body::File(path.to_path_buf(), blob.size),
        };
        let reply = self
            .ask_url(Method::PUT, url, headers, body, Actions::Push)
            .await?;
        if reply.status == StatusCode::CREATED {
            return Ok(());
        }
        Err(reply.refused("the registry does not take the layer").await)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Body,
        actions: Actions,
    ) -> Result<Reply> {
        let base = self.access.base(&self.registries).await?;
        let url = base
            .join(path)
            .map_err(|error| RegistryError::Local(error.to_string()))?;
        self.ask_url(method, url, headers, body, actions).await
    }

    /// Asks as whom we are known to be, and once more when that is not enough.
    async fn ask_url(
        &self,
        method: Method,
        url: reqwest::Url,
        headers: HeaderMap,
        body: Body,
        actions: Actions,
    ) -> Result<Reply> {
        let registries = &self.registries;
        let known = self.access.known(actions);
        let send = |authorization: Option<HeaderValue>, body: Body| {
            let mut headers = headers.clone();
            // A location elsewhere carries its own permission.
            if let Some(value) = authorization
                && url.host_str() == self.access.host_name().as_deref()
            {
                headers.insert(reqwest::header::AUTHORIZATION, value);
            }
            let request = registries
                .client
                .request(method.clone(), url.clone())
                .headers(headers);
            transfer::send(request, body, registries.patience)
        };
        let reply = send(known, body.clone()).await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            return Ok(reply);
        }
        let challenges = reply.challenges();
        let got = self.access.answer(registries, &challenges, actions).await?;
        let Some(authorization) = got else {
            return Ok(reply);
        };
        send(Some(authorization), body).await
    }
}

/// What a blob is made of.
pub enum Content<'a> {
    Bytes(&'a [u8]),
    File(&'a Path),
}
