//! A layer in the form that an output wants: compressed, and with times that do not move.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::saved::{Form, Saved, SavedLayer};
use crate::context::{Kind, LayerWriter, Mtime, TarReader};
use crate::image::{Descriptor, Digest};
use crate::request::{Compression, ImageOptions};

/// A layer as a blob.
#[derive(Debug, Clone)]
pub(super) struct Blob {
    pub(super) diff_id: Digest,
    pub(super) path: PathBuf,
    pub(super) form: Form,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

impl Blob {
    /// How a manifest names it.
    pub(super) fn descriptor(&self, oci: bool) -> Descriptor {
        let media_type = match (oci, self.form) {
            (true, Form::Plain) => "application/vnd.oci.image.layer.v1.tar",
            (true, Form::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (true, Form::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
            (false, Form::Plain) => "application/vnd.docker.image.rootfs.diff.tar",
            (false, Form::Gzip) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            (false, Form::Zstd) => "application/vnd.docker.image.rootfs.diff.tar.zstd",
        };
        Descriptor {
            media_type: media_type.into(),
            digest: self.digest.clone(),
            size: self.size,
        }
    }
}

/// Gives a layer the form that is wanted; `clamp` is the time that no entry's may be after.
/// What is compressed already stays as it is, unless it is forced.
pub(super) fn encode(
    layer: &SavedLayer,
    options: &ImageOptions,
    clamp: Option<i64>,
    dir: &Path,
) -> io::Result<Blob> {
    let wanted = match options.compression {
        Compression::Uncompressed => Form::Plain,
        Compression::Gzip => Form::Gzip,
        Compression::Zstd => Form::Zstd,
    };
    let kept = layer.form == wanted || (layer.form != Form::Plain && !options.force_compression);
    if kept && clamp.is_none() {
        let (digest, size) = hash_file(&layer.path)?;
        return Ok(Blob {
            diff_id: layer.diff_id.clone(),
            path: layer.path.clone(),
            form: layer.form,
            digest,
            size,
        });
    }
    let (file, path) = tempfile::Builder::new()
        .prefix("blob-")
        .tempfile_in(dir)?
        .keep()
        .map_err(|error| error.error)?;
    let mut out = Hashed::new(io::BufWriter::with_capacity(256 << 10, file));
    let level = options.compression_level;
    let diff_id = match wanted {
        Form::Plain => write_plain(layer, clamp, &mut out)?,
        Form::Gzip => {
            let level = level.map_or(6, |level| u32::try_from(level.clamp(0, 9)).unwrap_or(6));
            let mut gzip = flate2::write::GzEncoder::new(&mut out, flate2::Compression::new(level));
            let diff_id = write_plain(layer, clamp, &mut gzip)?;
            gzip.finish()?;
            diff_id
        }
        Form::Zstd => {
            let mut zstd = zstd::Encoder::new(&mut out, zstd_level(level))?;
            let diff_id = write_plain(layer, clamp, &mut zstd)?;
            zstd.finish()?;
            diff_id
        }
    };
    let (mut inner, digest, size) = out.finish();
    inner.flush()?;
    Ok(Blob {
        diff_id,
        path,
        form: wanted,
        digest,
        size,
    })
}

/// A layer as a compressed blob in a file, which stays as long as what was saved.
///
/// # Errors
/// When the disk is full.
pub async fn packed(saved: &Arc<Saved>, index: usize) -> io::Result<(Descriptor, PathBuf)> {
    let saved = Arc::clone(saved);
    let pack = move || {
        let options = ImageOptions::default();
        let blob = encode(&saved.layers[index], &options, None, saved.dir.path())?;
        Ok((blob.descriptor(true), blob.path))
    };
    tokio::task::spawn_blocking(pack)
        .await
        .map_err(io::Error::other)?
}

/// BuildKit has four degrees of zstd, chosen by ranges.
fn zstd_level(level: Option<i32>) -> i32 {
    match level {
        None => 3,
        Some(level) => level.clamp(0, 22),
    }
}

fn write_plain(layer: &SavedLayer, clamp: Option<i64>, out: &mut dyn Write) -> io::Result<Digest> {
    let mut input = layer.open()?;
    match clamp {
        None => {
            let mut hashed = Hashed::new(out);
            io::copy(&mut input, &mut hashed)?;
            Ok(hashed.finish().1)
        }
        Some(epoch) => retime(input, epoch, out),
    }
}

/// Writes a layer anew with no time after the epoch.
fn retime(input: impl Read, epoch: i64, out: &mut dyn Write) -> io::Result<Digest> {
    let mut archive = TarReader::new(input);
    let mut layer = LayerWriter::new(out);
    while let Some(header) = archive.next()? {
        let mut entry = header.entry;
        entry.path = relative(&entry.path)?;
        let epoch = Mtime {
            secs: epoch,
            nanos: 0,
        };
        entry.mtime = entry.mtime.min(epoch);
        if let Kind::Hardlink(target) = &entry.kind {
            entry.kind = Kind::Hardlink(relative(target)?);
        }
        let written = match whiteout(&entry.path) {
            Some(Whiteout::Opaque(dir)) => layer.opaque(dir),
            Some(Whiteout::Removed(path)) => layer.whiteout(&path),
            None => layer.add_file(&entry, &header.xattrs, &mut archive),
        };
        written.map_err(io::Error::other)?;
    }
    let (_, digest) = layer.finish().map_err(io::Error::other)?;
    Ok(digest.diff_id)
}

/// What a layer removes from the layers below.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whiteout<'a> {
    /// Everything in a directory.
    Opaque(&'a str),
    Removed(String),
}

/// Reads the names that mean deletion.
pub(super) fn whiteout(path: &str) -> Option<Whiteout<'_>> {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let name = name.strip_prefix(".wh.")?;
    if name == ".wh..opq" {
        return Some(Whiteout::Opaque(dir));
    }
    Some(Whiteout::Removed(match dir {
        "" => name.to_owned(),
        dir => format!("{dir}/{name}"),
    }))
}

/// The path in a layer as entries have it: no slash at an end, no `.`; it cannot leave the root.
pub(super) fn relative(path: &str) -> io::Result<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                let message = format!("a layer has the entry `{path}`, which leaves its root");
                return Err(io::Error::other(message));
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Counts and hashes what is written.
pub(super) struct Hashed<W> {
    inner: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Hashed<W> {
    pub(super) fn new(inner: W) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            size: 0,
        }
    }

    pub(super) fn finish(self) -> (W, Digest, u64) {
        let digest = Digest::from_sha256(&self.hash.finalize());
        (self.inner, digest, self.size)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn hash_file(path: &Path) -> io::Result<(Digest, u64)> {
    let mut hashed = Hashed::new(io::sink());
    io::copy(&mut fs_err::File::open(path)?, &mut hashed)?;
    let (_, digest, size) = hashed.finish();
    Ok((digest, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Entry;

    #[test]
    fn reads_deletions() {
        for (path, expected) in [
            ("a/b", None),
            ("a/.wh.b", Some(Whiteout::Removed("a/b".into()))),
            (".wh.b", Some(Whiteout::Removed("b".into()))),
            ("a/.wh..wh..opq", Some(Whiteout::Opaque("a"))),
            (".wh..wh..opq", Some(Whiteout::Opaque(""))),
        ] {
            assert_eq!(whiteout(path), expected, "{path}");
        }
    }

    #[test]
    fn paths_stay_inside() {
        assert_eq!(relative("./a//b/").unwrap(), "a/b");
        assert_eq!(relative("/a").unwrap(), "a");
        assert!(relative("a/../../b").is_err());
    }

    #[test]
    fn only_later_times_change() {
        let at = |secs| Mtime { secs, nanos: 5 };
        let layer = |early, late| {
            let mut layer = LayerWriter::new(Vec::new()).with_fractions();
            for (name, time) in [("a", early), ("b", late)] {
                let mut entry = Entry::new(name, Kind::File, 0o644);
                entry.mtime = time;
                layer.add(&entry, &[]).unwrap();
            }
            layer.whiteout("gone").unwrap();
            layer.finish().unwrap().0
        };
        let mut out = Vec::new();
        let digest = retime(&layer(at(10), at(2000))[..], 1000, &mut out).unwrap();
        assert_eq!(digest, Digest::sha256(&out));
        let mut archive = TarReader::new(&out[..]);
        let mut times = Vec::new();
        while let Some(header) = archive.next().unwrap() {
            times.push((header.entry.path, header.entry.mtime.secs));
        }
        let expected = [("a", 10), ("b", 1000), (".wh.gone", 0)];
        let expected = expected.map(|(path, secs)| (path.to_owned(), secs));
        assert_eq!(times, expected);
    }
}
