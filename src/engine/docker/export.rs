//! Manifest and config out of an exported image, for engines that `peek` does not work with.
//!
//! An export of the containerd store has its blobs sorted by digest, among them the layers: it
//! is read until both documents have passed, which is the whole of it on a bad day.

use std::collections::HashMap;

use bytes::Bytes;
use futures::{SinkExt as _, Stream, StreamExt as _, TryStreamExt as _};

use super::DockerEngine;
use super::manifest::{Document, Manifest};
use super::untar::Untar;
use crate::engine::{Result, TarStream};
use crate::image::{Digest, Platform};

/// No manifest and no config is as large.
const LARGEST: u64 = 4 << 20;

impl DockerEngine {
    pub(super) fn export(&self, id: &str) -> impl Stream<Item = Result<Bytes>> + Unpin + Send {
        let endpoint = self.info.endpoint.clone();
        Box::pin(
            self.docker
                .export_image(id)
                .map_err(move |error| super::error::from_bollard(&endpoint, error)),
        )
    }
}

impl DockerEngine {
    /// An export on its own: it goes on as it is read, and ends when nobody reads any more.
    pub(super) fn saved(&self, image: &str) -> TarStream {
        let (docker, endpoint) = (self.docker.clone(), self.info.endpoint.clone());
        let image = image.to_owned();
        let (mut sender, receiver) = futures::channel::mpsc::channel(16);
        tokio::spawn(async move {
            let mut export = std::pin::pin!(docker.export_image(&image));
            while let Some(piece) = export.next().await {
                let piece = piece
                    .map_err(|error| super::error::from_bollard(&endpoint, error))
                    .map_err(std::io::Error::other);
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
        });
        Box::pin(tokio_util::io::StreamReader::new(receiver))
    }
}

/// Reads until the manifest for the platform, found from `root`, and its config are there.
/// `None` when the image has nothing for the platform.
pub(super) async fn read(
    export: impl Stream<Item = Result<Bytes>> + Unpin,
    root: &Digest,
    platform: &Platform,
) -> Result<Option<(Manifest, Bytes)>> {
    let mut untar = Untar::new(export);
    let mut blobs: HashMap<Digest, Bytes> = HashMap::new();
    while let Some(entry) = untar.next().await? {
        let Some(hex) = entry.name.strip_prefix("blobs/sha256/") else {
            continue;
        };
        if entry.size > LARGEST {
            continue;
        }
        let digest = Digest::new(format!("sha256:{hex}"));
        let content = untar.read(&entry).await?;
        if content.first() != Some(&b'{') {
            continue;
        }
        blobs.insert(digest, content);
        match follow(&blobs, root, platform) {
            Found::Both(both) => return Ok(Some(*both)),
            Found::Nothing => return Ok(None),
            Found::NotYet => {}
        }
    }
    Ok(None)
}

enum Found {
    Both(Box<(Manifest, Bytes)>),
    /// The index has no manifest for the platform.
    Nothing,
    NotYet,
}

fn follow(blobs: &HashMap<Digest, Bytes>, root: &Digest, platform: &Platform) -> Found {
    let Some(blob) = blobs.get(root) else {
        return Found::NotYet;
    };
    match Document::parse(blob) {
        Some(Document::Manifest(manifest)) => match blobs.get(&manifest.config.digest) {
            Some(config) => Found::Both(Box::new((manifest, config.clone()))),
            None => Found::NotYet,
        },
        Some(Document::Index(index)) => match index.choose(platform) {
            Some(entry) if entry.descriptor.digest != *root => {
                follow(blobs, &entry.descriptor.digest, platform)
            }
            _ => Found::Nothing,
        },
        None => Found::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn export(blobs: &[&str]) -> impl Stream<Item = Result<Bytes>> + Unpin + use<> {
        let mut builder = tar::Builder::new(Vec::new());
        for blob in blobs {
            let mut header = tar::Header::new_gnu();
            header.set_size(blob.len() as u64);
            let name = format!("blobs/sha256/{}", Digest::sha256(blob.as_bytes()).hex());
            builder
                .append_data(&mut header, name, blob.as_bytes())
                .unwrap();
        }
        let tar = builder.into_inner().unwrap();
        stream::iter([Ok(Bytes::from(tar))])
    }

    #[tokio::test]
    async fn follows_from_the_root_in_any_order() {
        let digest = |text: &str| Digest::sha256(text.as_bytes());
        let config = r#"{"os":"linux"}"#;
        let manifest = format!(
            r#"{{"config":{{"mediaType":"c","digest":"{}","size":14}},"layers":[]}}"#,
            digest(config)
        );
        let index = format!(
            r#"{{"manifests":[{{"mediaType":"m","digest":"{}","size":1,
                "platform":{{"os":"linux","architecture":"amd64"}}}}]}}"#,
            digest(&manifest)
        );
        let amd64 = Platform::new("linux", "amd64", None);
        let arm64 = Platform::new("linux", "arm64", None);
        for order in [[config, &manifest, &index], [&index, &manifest, config]] {
            let found = read(export(&order), &digest(&index), &amd64).await.unwrap();
            assert_eq!(found.unwrap().1, config);
            let found = read(export(&order), &digest(&manifest), &arm64)
                .await
                .unwrap();
            assert_eq!(found.unwrap().1, config);
            assert!(
                read(export(&order), &digest(&index), &arm64)
                    .await
                    .unwrap()
                    .is_none()
            );
        }
        assert!(
            read(export(&[config]), &digest(&index), &amd64)
                .await
                .unwrap()
                .is_none()
        );
    }
}
