//! A container that only shows files: how it is created, and what the archive of a path says.

use std::collections::BTreeMap;

use tokio::io::AsyncReadExt as _;

use super::ledger::Ledger;
use super::rootfs::{Meta, MetaKind};
use crate::context::Mtime;
use crate::engine::{ContainerSpec, EngineError, Limits, NetworkMode, Result, TarStream};

/// A container that is never started.
pub(super) fn spec(ledger: &Ledger, image: &str) -> ContainerSpec {
    ContainerSpec {
        name: ledger.enter(),
        image: image.to_owned(),
        platform: None,
        entrypoint: vec!["/".into()],
        args: Vec::new(),
        user: String::new(),
        working_dir: "/".into(),
        labels: ledger.labels(),
        network: NetworkMode::None,
        hostname: None,
        extra_hosts: Vec::new(),
        mounts: Vec::new(),
        stdin: false,
        limits: Limits::default(),
    }
}

/// The first entry of an archive: the path itself. The rest is left unread.
pub(super) async fn first_entry(mut tar: TarStream) -> Result<Option<Meta>> {
    let mut bytes = Vec::with_capacity(2048);
    loop {
        let before = bytes.len();
        let ended = tar.read_buf(&mut bytes).await.map_err(|e| unreadable(&e))? == 0;
        if before / 512 == bytes.len() / 512 && !ended {
            continue;
        }
        match parse_first(&bytes) {
            Ok(meta) => return Ok(meta),
            Err(error) if ended => return Err(unreadable(&error)),
            Err(_) if bytes.len() > MAX_HEADERS => {
                return Err(EngineError::Unexpected(
                    "the headers of an archive do not end".into(),
                ));
            }
            Err(_) => {}
        }
    }
}

/// More than any headers of one entry take.
const MAX_HEADERS: usize = 4 << 20;

fn unreadable(error: &std::io::Error) -> EngineError {
    EngineError::Unexpected(format!(
        "the archive of a container's files cannot be read: {error}"
    ))
}

fn parse_first(bytes: &[u8]) -> std::io::Result<Option<Meta>> {
    if bytes.len() < 512 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let mut archive = tar::Archive::new(bytes);
    let Some(entry) = archive.entries()?.next() else {
        return Ok(None);
    };
    let mut entry = entry?;
    let mut extensions: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    if let Some(pax) = entry.pax_extensions()? {
        for extension in pax {
            let extension = extension?;
            let key = String::from_utf8_lossy(extension.key_bytes()).into_owned();
            extensions.insert(key, extension.value_bytes().to_vec());
        }
    }
    let header = entry.header();
    let kind = match header.entry_type() {
        tar::EntryType::Directory => MetaKind::Dir,
        tar::EntryType::Symlink => {
            let target = entry.link_name_bytes().unwrap_or_default();
            MetaKind::Symlink(String::from_utf8_lossy(&target).into_owned())
        }
        t if t.is_file() || t == tar::EntryType::Link => MetaKind::File,
        _ => MetaKind::Other,
    };
    let xattrs = extensions.iter().filter_map(|(key, value)| {
        key.strip_prefix("SCHILY.xattr.")
            .map(|name| (name.to_owned(), value.clone()))
    });
    Ok(Some(Meta {
        kind,
        mode: header.mode()? & 0o7777,
        uid: number(&extensions, "uid", header.uid()?),
        gid: number(&extensions, "gid", header.gid()?),
        mtime: Mtime {
            secs: i64::try_from(header.mtime()?).unwrap_or(0),
            nanos: 0,
        },
        xattrs: xattrs.collect(),
    }))
}

/// A number that stands in an extension when it is too large for the header.
fn number(extensions: &BTreeMap<String, Vec<u8>>, key: &str, plain: u64) -> u32 {
    let extended = extensions
        .get(key)
        .and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    u32::try_from(extended.unwrap_or(plain)).unwrap_or(u32::MAX)
}
