//! A registry of one image, for pulls: plain HTTP on a port of this host, with a password if
//! wanted. The engine must be able to reach it, so it must run here.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use bowline::image::Digest;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Where it listens, and what it has.
pub(crate) struct Registry {
    pub(crate) address: String,
    /// Of the manifest of `image:tag`.
    pub(crate) digest: Digest,
}

struct Content {
    /// Paths, with media type and content.
    files: HashMap<String, (String, Vec<u8>)>,
    authorization: Option<String>,
}

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image of one layer, for an architecture.
pub(crate) struct Image {
    pub(crate) architecture: String,
    pub(crate) layer: Vec<u8>,
    pub(crate) config: String,
}

impl Registry {
    /// Serves `image:tag`: the image itself, or an index of several. Asks for user and password
    /// if there are any.
    pub(crate) async fn start(images: &[Image], login: Option<(&str, &str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut files = HashMap::new();
        let mut manifests = Vec::new();
        for image in images {
            let mut blob = |content: &[u8]| {
                let digest = Digest::sha256(content);
                let octets = "application/octet-stream".to_owned();
                files.insert(
                    format!("/v2/image/blobs/{digest}"),
                    (octets, content.to_vec()),
                );
                digest
            };
            let (layer, config) = (blob(&image.layer), blob(image.config.as_bytes()));
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {
                    "mediaType": "application/vnd.docker.container.image.v1+json",
                    "digest": config, "size": image.config.len(),
                },
                "layers": [{
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar",
                    "digest": layer, "size": image.layer.len(),
                }],
            });
            let manifest = manifest.to_string().into_bytes();
            manifests.push((image.architecture.clone(), manifest));
        }
        let mut put = |name: &str, media_type: &str, content: &[u8]| {
            let content = (media_type.to_owned(), content.to_vec());
            files.insert(format!("/v2/image/manifests/{name}"), content);
        };
        for (_, manifest) in &manifests {
            put(Digest::sha256(manifest).as_str(), MANIFEST, manifest);
        }
        let (top, media_type) = match manifests.as_slice() {
            [(_, only)] => (only.clone(), MANIFEST),
            several => {
                let entries = several.iter().map(|(architecture, manifest)| {
                    json!({
                        "mediaType": MANIFEST, "digest": Digest::sha256(manifest),
                        "size": manifest.len(),
                        "platform": { "os": "linux", "architecture": architecture },
                    })
                });
                let entries: Vec<_> = entries.collect();
                let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
                (index.to_string().into_bytes(), INDEX)
            }
        };
        let digest = Digest::sha256(&top);
        put("tag", media_type, &top);
        put(digest.as_str(), media_type, &top);
        files.insert("/v2/".into(), ("application/json".into(), b"{}".to_vec()));
        let authorization = login.map(|(user, password)| {
            let pair = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
            format!("Basic {pair}")
        });
        let content = Arc::new(Content {
            files,
            authorization,
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let content = Arc::clone(&content);
                tokio::spawn(async move {
                    let _ = serve(stream, &content).await;
                });
            }
        });
        Self { address, digest }
    }
}

async fn serve(stream: TcpStream, content: &Content) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    // Engines try TLS first; a plain answer tells them to do without.
    if stream.fill_buf().await?.first() == Some(&0x16) {
        return stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    }
    loop {
        let mut request = String::new();
        if stream.read_line(&mut request).await? == 0 {
            return Ok(());
        }
        let mut authorized = content.authorization.is_none();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim().split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("authorization") {
                authorized |= content.authorization.as_deref() == Some(value.trim());
            }
        }
        let mut words = request.split_whitespace();
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let answer = if authorized {
            content.files.get(path)
        } else {
            None
        };
        let (head, body) = match answer {
            Some((media_type, body)) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n\
                     Docker-Content-Digest: {}\r\n",
                    Digest::sha256(body)
                );
                (head, body.clone())
            }
            None if !authorized => (
                "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n\
                 WWW-Authenticate: Basic realm=\"test\"\r\n"
                    .into(),
                br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#
                    .to_vec(),
            ),
            None => (
                "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n".into(),
                br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#
                    .to_vec(),
            ),
        };
        let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await?;
        if method != "HEAD" {
            stream.write_all(&body).await?;
        }
        stream.flush().await?;
    }
}
