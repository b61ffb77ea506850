//! The body of a load: a tar that is written while it is sent.
//!
//! The layer goes first and is hashed as it passes, so that the files after it can name its
//! digest. No more than a chunk of it is ever held.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};

use crate::engine::NewLayer;
use crate::image::Digest;

const BLOCK: u64 = 512;

/// Two blocks of nothing.
const END: [u8; 1024] = [0; 1024];

/// A small file of the archive.
pub(super) struct File {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

impl File {
    pub(super) fn new(name: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            content: content.into(),
        }
    }
}

/// The archive: `head`, the layer under the given name, and the files that `tail` makes once the
/// layer's digest is known.
pub(super) fn body(
    head: Vec<File>,
    layer: Option<(String, NewLayer)>,
    tail: impl FnOnce(Option<Digest>) -> Vec<File> + Send + 'static,
) -> BoxStream<'static, std::io::Result<Bytes>> {
    let digest = Arc::new(Mutex::new(None));
    let head = stream::once(async move { files(&head) });
    let layer = match layer {
        Some((name, layer)) => hashed(&name, layer, Arc::clone(&digest)).left_stream(),
        None => stream::empty().right_stream(),
    };
    let tail = stream::once(async move {
        let digest = digest.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut bytes = files(&tail(digest))?.to_vec();
        bytes.extend_from_slice(&END);
        Ok(Bytes::from(bytes))
    });
    head.chain(layer).chain(tail).boxed()
}

fn files(files: &[File]) -> std::io::Result<Bytes> {
    let mut bytes = Vec::new();
    for file in files {
        let size = file.content.len() as u64;
        bytes.extend_from_slice(header(&file.name, size)?.as_bytes());
        bytes.extend_from_slice(&file.content);
        bytes.resize(bytes.len() + padding(size), 0);
    }
    Ok(bytes.into())
}

fn header(name: &str, size: u64) -> std::io::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Ok(header)
}

fn padding(size: u64) -> usize {
    usize::try_from(size.next_multiple_of(BLOCK) - size).unwrap_or_default()
}

struct Passing {
    content: BoxStream<'static, std::io::Result<Bytes>>,
    size: u64,
    left: u64,
    hash: Sha256,
    digest: Arc<Mutex<Option<Digest>>>,
}

fn hashed(
    name: &str,
    layer: NewLayer,
    digest: Arc<Mutex<Option<Digest>>>,
) -> impl Stream<Item = std::io::Result<Bytes>> + use<> {
    let first = header(name, layer.size).map(|h| Bytes::copy_from_slice(h.as_bytes()));
    let passing = Passing {
        content: layer.content,
        size: layer.size,
        left: layer.size,
        hash: Sha256::new(),
        digest,
    };
    let rest = stream::try_unfold(Some(passing), |passing| async move {
        let Some(mut passing) = passing else {
            return Ok(None);
        };
        match passing.content.next().await {
            Some(chunk) => {
                let chunk = chunk?;
                passing.left = passing
                    .left
                    .checked_sub(chunk.len() as u64)
                    .ok_or_else(|| wrong_size(passing.size, "more"))?;
                passing.hash.update(&chunk);
                Ok(Some((chunk, Some(passing))))
            }
            None if passing.left > 0 => Err(wrong_size(passing.size, "less")),
            None => {
                let digest = Digest::from_sha256(&passing.hash.finalize());
                *passing
                    .digest
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(digest);
                let padding = vec![0; padding(passing.size)];
                Ok(Some((Bytes::from(padding), None)))
            }
        }
    });
    stream::once(async move { first }).chain(rest)
}

fn wrong_size(size: u64, which: &str) -> std::io::Error {
    std::io::Error::other(format!("a layer said to have {size} bytes has {which}"))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use futures::TryStreamExt as _;

    use super::*;

    fn layer(size: u64, chunks: &[&'static str]) -> (String, NewLayer) {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from(*chunk))).collect();
        let content = stream::iter(chunks).boxed();
        ("layer".into(), NewLayer { size, content })
    }

    async fn collect(layer: Option<(String, NewLayer)>) -> std::io::Result<Vec<(String, String)>> {
        let body = body(vec![File::new("first", "1")], layer, |digest| {
            vec![File::new(
                "last",
                digest.map_or("none".into(), |digest| digest.to_string()),
            )]
        });
        let bytes: Vec<Bytes> = body.try_collect().await?;
        let bytes = bytes.concat();
        let mut archive = tar::Archive::new(bytes.as_slice());
        archive
            .entries()?
            .map(|entry| {
                let mut entry = entry?;
                let mut text = String::new();
                entry.read_to_string(&mut text)?;
                Ok((entry.path()?.display().to_string(), text))
            })
            .collect()
    }

    #[tokio::test]
    async fn the_layer_is_hashed_on_its_way() {
        let files = collect(Some(layer(5, &["he", "llo"]))).await.unwrap();
        let hello = Digest::sha256(b"hello").to_string();
        let expected = [("first", "1"), ("layer", "hello"), ("last", &hello)];
        assert_eq!(
            files,
            expected.map(|(name, text)| (name.to_owned(), text.to_owned()))
        );
        let files = collect(None).await.unwrap();
        assert_eq!(files[1], ("last".to_owned(), "none".to_owned()));
    }

    #[tokio::test]
    async fn the_size_must_be_true() {
        assert!(collect(Some(layer(6, &["hello"]))).await.is_err());
        assert!(collect(Some(layer(4, &["hello"]))).await.is_err());
        assert!(collect(Some(layer(0, &[]))).await.is_ok());
    }
}
