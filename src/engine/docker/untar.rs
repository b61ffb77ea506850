//! Reads a tar while it streams in, entry by entry, so that a reader can stop early.
//!
//! Only what exports need: names and sizes of entries. Long names are not put together; the
//! entries that carry them count as entries of their own kind and are passed over.

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};

use crate::engine::{EngineError, Result};

const BLOCK: usize = 512;

/// One file of the tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) size: u64,
}

/// A tar that is being received.
pub(super) struct Untar<S> {
    stream: S,
    buffer: BytesMut,
    /// What is left of the entry at hand, its padding included.
    left: u64,
}

impl<S> Untar<S>
where
    S: Stream<Item = Result<Bytes>> + Unpin,
{
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            left: 0,
        }
    }

    /// The next file; what was not read of the one before is passed over.
    pub(super) async fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            self.skip().await?;
            let Some(block) = self.take(BLOCK).await? else {
                return Ok(None);
            };
            if block.iter().all(|&byte| byte == 0) {
                return Ok(None);
            }
            let header = tar::Header::from_byte_slice(&block);
            let size = header.entry_size().map_err(|_| damaged())?;
            self.left = size.next_multiple_of(BLOCK as u64);
            if header.entry_type().is_file() {
                let name = String::from_utf8_lossy(&header.path_bytes()).into_owned();
                return Ok(Some(Entry { name, size }));
            }
        }
    }

    /// The content of the entry that `next` gave.
    pub(super) async fn read(&mut self, entry: &Entry) -> Result<Bytes> {
        let size = usize::try_from(entry.size).map_err(|_| damaged())?;
        let content = self.take(size).await?.ok_or_else(damaged)?;
        self.left = self.left.saturating_sub(entry.size);
        Ok(content)
    }

    async fn skip(&mut self) -> Result<()> {
        while self.left > 0 {
            if self.buffer.is_empty() && !self.fill().await? {
                return Err(damaged());
            }
            let here = self
                .buffer
                .len()
                .min(usize::try_from(self.left).unwrap_or(usize::MAX));
            let _ = self.buffer.split_to(here);
            self.left -= here as u64;
        }
        Ok(())
    }

    async fn take(&mut self, size: usize) -> Result<Option<Bytes>> {
        while self.buffer.len() < size {
            if !self.fill().await? {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(damaged())
                };
            }
        }
        Ok(Some(self.buffer.split_to(size).freeze()))
    }

    /// Receives more; `false` at the end.
    async fn fill(&mut self) -> Result<bool> {
        match self.stream.next().await {
            Some(more) => {
                self.buffer.extend_from_slice(&more?);
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

fn damaged() -> EngineError {
    EngineError::Unexpected("a damaged tar".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in [
            ("a.json", "{}"),
            ("big", &"x".repeat(2000)),
            ("empty", ""),
            ("z", "last"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder
                .append_data(&mut header, name, content.as_bytes())
                .unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn pieces(tar: &[u8], size: usize) -> impl Stream<Item = Result<Bytes>> + Unpin + use<> {
        let pieces: Vec<_> = tar
            .chunks(size)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        futures::stream::iter(pieces)
    }

    #[tokio::test]
    async fn reads_and_skips_in_any_pieces() {
        for size in [1, 7, 512, 1000, 100_000] {
            let mut untar = Untar::new(pieces(&sample(), size));
            let mut seen = Vec::new();
            while let Some(entry) = untar.next().await.unwrap() {
                if entry.name != "big" {
                    seen.push((entry.name.clone(), untar.read(&entry).await.unwrap()));
                }
            }
            let expected = [("a.json", "{}"), ("empty", ""), ("z", "last")];
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, text)| ((*name).into(), Bytes::from(*text)))
                .collect();
            assert_eq!(seen, expected, "in pieces of {size}");
        }
    }

    #[tokio::test]
    async fn a_cut_tar_is_an_error() {
        let mut untar = Untar::new(pieces(&sample()[..1700], 512));
        untar.next().await.unwrap();
        untar.next().await.unwrap();
        assert!(untar.next().await.is_err());
    }
}
