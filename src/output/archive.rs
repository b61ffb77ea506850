//! Images as OCI layouts and as archives for `docker load`.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::bundle::Bundle;
use super::image::Described;
use crate::context::{Entry, Kind, LayerWriter};
use crate::image::{Reference, media_type};

const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Oci,
    Docker,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Described>,
}

enum Content<'a> {
    File(&'a Path, u64),
    Bytes(Vec<u8>),
}

/// The files of a layout by name, with their modes.
fn files(bundle: &Bundle, form: Form) -> io::Result<BTreeMap<String, (u32, Content<'_>)>> {
    let mut files = BTreeMap::new();
    let blob = |hex: &str| format!("blobs/sha256/{hex}");
    for layer in bundle.layers() {
        let content = Content::File(&layer.path, layer.size);
        files.insert(blob(layer.digest.hex()), (0o444, content));
    }
    for document in bundle.small_blobs().chain(bundle.manifests()) {
        let content = Content::Bytes(document.bytes.clone());
        files.insert(blob(document.descriptor.digest.hex()), (0o444, content));
    }
    let named = |name: &Reference| {
        let mut described = bundle.described.clone();
        let annotations = &mut described.annotations;
        annotations.insert("io.containerd.image.name".into(), name.canonical());
        annotations.insert(
            "org.opencontainers.image.ref.name".into(),
            name.tag.clone().unwrap_or_default(),
        );
        described
    };
    let names = bundle.names.as_slice();
    let manifests = match names {
        [] => vec![bundle.described.clone()],
        names => names.iter().map(named).collect(),
    };
    let index = Index {
        schema_version: 2,
        media_type: media_type::OCI_INDEX,
        manifests,
    };
    let mut document = |name: &str, bytes: Vec<u8>, mode| {
        files.insert(name.to_owned(), (mode, Content::Bytes(bytes)));
    };
    document("index.json", serde_json::to_vec(&index)?, 0o644);
    document("oci-layout", LAYOUT.into(), 0o444);
    if let (Form::Docker, [image]) = (form, bundle.images.as_slice()) {
        let tags: Vec<_> = names.iter().map(ToString::to_string).collect();
        let layers: Vec<_> = image
            .layers
            .iter()
            .map(|layer| blob(layer.digest.hex()))
            .collect();
        let manifest = json!([{
            "Config": blob(image.config.descriptor.digest.hex()),
            "RepoTags": if tags.is_empty() { None } else { Some(tags) },
            "Layers": layers,
        }]);
        document("manifest.json", serde_json::to_vec(&manifest)?, 0o644);
    }
    Ok(files)
}

/// Writes the image as an archive.
pub(super) fn write(bundle: &Bundle, form: Form, out: impl Write) -> io::Result<()> {
    let mut archive = LayerWriter::new(out);
    for dir in ["blobs", "blobs/sha256"] {
        archive
            .add(&Entry::new(dir, Kind::Dir, 0o755), &[])
            .map_err(io::Error::other)?;
    }
    for (name, (mode, content)) in files(bundle, form)? {
        let mut entry = Entry::new(name, Kind::File, mode);
        let mut content: Box<dyn Read> = match content {
            Content::File(path, size) => {
                entry.size = size;
                Box::new(fs_err::File::open(path)?)
            }
            Content::Bytes(bytes) => {
                entry.size = bytes.len() as u64;
                Box::new(Cursor::new(bytes))
            }
        };
        archive
            .add_file(&entry, &[], &mut content)
            .map_err(io::Error::other)?;
    }
    archive.finish().map_err(io::Error::other)?;
    Ok(())
}

/// Writes the image as a layout in a directory, whose other blobs stay.
pub(super) fn write_directory(bundle: &Bundle, root: &Path) -> io::Result<()> {
    fs_err::create_dir_all(root.join("blobs/sha256"))?;
    let mut files: Vec<_> = files(bundle, Form::Oci)?.into_iter().collect();
    // What names the others comes last.
    files.sort_by_key(|(name, _)| name == "index.json");
    for (name, (_, content)) in files {
        let path = root.join(name);
        let parent = path.parent().unwrap_or(root);
        let mut fresh = tempfile::NamedTempFile::new_in(parent)?;
        match content {
            Content::File(from, _) => {
                io::copy(&mut fs_err::File::open(from)?, &mut fresh)?;
            }
            Content::Bytes(bytes) => fresh.write_all(&bytes)?,
        }
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fresh.as_file().set_permissions(mode)?;
        fresh.persist(&path).map_err(|error| error.error)?;
    }
    Ok(())
}
