//! The layers of an image, taken out of the engine: files that can be read as often as needed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tempfile::TempDir;
use tokio_util::io::SyncIoBridge;

use crate::context::{Kind, TarReader, name};
use crate::engine::{Engine, TarStream};
use crate::image::{Digest, Layer};

/// No `manifest.json` is as large.
const LARGEST: u64 = 16 << 20;

/// Layers in files, which go away with it.
pub struct Saved {
    /// Where other files of an export may go.
    pub(super) dir: TempDir,
    /// Lowest first.
    pub(super) layers: Vec<SavedLayer>,
}

/// One layer, as the engine keeps it.
#[derive(Debug, Clone)]
pub(super) struct SavedLayer {
    pub(super) diff_id: Digest,
    pub(super) path: PathBuf,
    pub(super) form: Form,
}

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Gzip,
    Zstd,
}

impl SavedLayer {
    /// The layer's tar.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let file = BufReader::with_capacity(256 << 10, fs_err::File::open(&self.path)?);
        Ok(match self.form {
            Form::Plain => Box::new(file),
            Form::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            Form::Zstd => Box::new(zstd::Decoder::with_buffer(file)?),
        })
    }
}

impl Form {
    fn of(path: &Path) -> io::Result<Self> {
        let mut magic = [0; 4];
        let mut file = fs_err::File::open(path)?;
        let mut filled = 0;
        while filled < 4 {
            match file.read(&mut magic[filled..])? {
                0 => break,
                got => filled += got,
            }
        }
        Ok(match magic {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Self::Zstd,
            _ => Self::Plain,
        })
    }
}

/// Takes the layers of an image out of the engine; an image without layers needs no asking.
///
/// # Errors
/// When the engine does not give them all, or the disk is full.
pub async fn save(
    engine: &dyn Engine,
    image: Option<&str>,
    layers: &[Layer],
    scratch: &Path,
) -> io::Result<Saved> {
    let dir = tempfile::Builder::new()
        .prefix("bowline-output-")
        .tempdir_in(scratch)?;
    let Some(image) = image.filter(|_| !layers.is_empty()) else {
        let layers = Vec::new();
        return Ok(Saved { dir, layers });
    };
    let stream = engine.save(image).await.map_err(io::Error::other)?;
    let wanted = layers.to_vec();
    tokio::task::spawn_blocking(move || unpack(stream, &wanted, dir))
        .await
        .map_err(io::Error::other)?
}

/// What engines write beside the layers, whatever else they write.
#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

fn unpack(stream: TarStream, wanted: &[Layer], dir: TempDir) -> io::Result<Saved> {
    let input = BufReader::with_capacity(256 << 10, SyncIoBridge::new(stream));
    let mut archive = TarReader::new(input);
    let mut files: HashMap<String, PathBuf> = HashMap::new();
    let mut links: HashMap<String, String> = HashMap::new();
    let mut manifest = Vec::new();
    while let Some(header) = archive.next()? {
        let path = header.entry.path.trim_start_matches("./").to_owned();
        match &header.entry.kind {
            Kind::File if path == "manifest.json" && header.entry.size <= LARGEST => {
                archive.read_to_end(&mut manifest)?;
            }
            Kind::File => {
                // Names of the engine's are never names of files here.
                let file = dir.path().join(format!("layer-{}", files.len()));
                io::copy(&mut archive, &mut fs_err::File::create(&file)?)?;
                files.insert(path, file);
            }
            // Old engines write a layer that occurs twice once: `../<image>/layer.tar`.
            Kind::Symlink(target) | Kind::Hardlink(target) => {
                let target = target.trim_start_matches("../").to_owned();
                links.insert(path, target);
            }
            _ => {}
        }
    }
    let listed = serde_json::from_slice::<Vec<Listed>>(&manifest).unwrap_or_default();
    let listed = listed.into_iter().map(|image| image.layers);
    let listed = listed.into_iter().find(|list| list.len() == wanted.len());
    let file = |name: &str| {
        let name = links.get(name).map_or(name, String::as_str);
        files.get(name)
    };
    let mut layers = Vec::with_capacity(wanted.len());
    for (index, layer) in wanted.iter().enumerate() {
        let blob = |digest: &Digest| file(&format!("blobs/sha256/{}", digest.hex()));
        let found = layer
            .blob
            .as_ref()
            .and_then(|stored| blob(&stored.digest))
            .or_else(|| blob(&layer.diff_id))
            .or_else(|| listed.as_ref().and_then(|list| file(&list[index])));
        let Some(path) = found else {
            let message = format!("the engine does not give the layer `{}`", layer.diff_id);
            return Err(io::Error::other(message));
        };
        layers.push(SavedLayer {
            diff_id: layer.diff_id.clone(),
            form: Form::of(path)?,
            path: path.clone(),
        });
    }
    Ok(Saved { dir, layers })
}

/// A file's bytes of a name, for the system.
pub(super) fn os_path(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(name::to_bytes(text).into_owned()).into()
}

/// A new file below `dir` that is readable too.
pub(super) fn spool(dir: &TempDir) -> io::Result<File> {
    tempfile::tempfile_in(dir.path())
}
