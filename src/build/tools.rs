//! The files of another image in a held container, for images without a shell.
//!
//! What the container has stays as it is; where its directories are links, the files go to where
//! they lead.

use std::collections::{BTreeMap, HashSet};
use std::io::Read as _;
use std::path::PathBuf;

use tokio::io::AsyncReadExt as _;

use super::failure;
use super::held::Held;
use super::probe;
use super::site::Site;
use crate::diag::Diagnostic;
use crate::engine::{EngineError, Result};
use crate::image::{Platform, Reference};

/// The largest set of tools that is brought in, in bytes.
const MOST: u64 = 512 << 20;

/// Where the container has file systems of its own, or files of its engine.
const NOT_THERE: [&str; 7] = [
    "dev",
    "proc",
    "sys",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/mtab",
];

impl Site {
    /// Brings an image's files into a container.
    ///
    /// # Errors
    /// When there is no such image, or the engine fails.
    pub async fn bring(&self, held: &Held, image: &str) -> std::result::Result<(), Diagnostic> {
        let reference = Reference::parse(image)
            .map_err(|error| Diagnostic::error(error.to_string()))?
            .with_default_tag();
        let brought = held.bring(&reference, &self.stage().platform).await;
        brought.map_err(|error| failure::of_engine(&error))
    }
}

impl Held {
    async fn bring(&self, image: &Reference, platform: &Platform) -> Result<()> {
        let engine = self.engine();
        let name = image.to_string();
        if engine.image(&name).await?.is_none() {
            engine.pull(image, Some(platform), &|_| {}).await?;
        }
        let spec = probe::spec(self.ledger(), &name);
        self.ledger().create(&spec).await?;
        let there = self.entries().await;
        let tar = async {
            let mut bytes = Vec::new();
            let tar = engine.read(&spec.name, "/").await?;
            let read = tar.take(MOST + 1).read_to_end(&mut bytes).await;
            read.map_err(|error| EngineError::Unexpected(error.to_string()))?;
            Ok::<_, EngineError>(bytes)
        };
        let tar = tar.await;
        self.ledger().leave(&spec.name);
        let (there, tar) = (there?, tar?);
        if tar.len() as u64 > MOST {
            return Err(EngineError::Local(format!(
                "the image `{name}` is larger than 512 MiB"
            )));
        }
        let merged =
            merge(&tar, &there).map_err(|error| EngineError::Unexpected(error.to_string()))?;
        engine.write(self.container(), "/", merged.into()).await
    }

    /// What the container has, and where its links lead.
    async fn entries(&self) -> Result<BTreeMap<String, Option<String>>> {
        let answer = self.ask(&["walk", "/"]).await?;
        let mut entries = BTreeMap::new();
        let text = String::from_utf8_lossy(&answer.output);
        let mut fields = text.split('\0');
        while let (Some(head), Some(target)) = (fields.next(), fields.next()) {
            if let Some(path) = head.splitn(9, ' ').nth(8) {
                let link = head.starts_with('l').then(|| target.to_owned());
                entries.insert(path.trim_start_matches('/').to_owned(), link);
            }
        }
        Ok(entries)
    }
}

/// The tar's entries that are not there yet, at the places where they belong.
fn merge(tar: &[u8], there: &BTreeMap<String, Option<String>>) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let mut out = tar::Builder::new(Vec::new());
    let mut made = HashSet::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = path.trim_start_matches("./").trim_matches('/').to_owned();
        let foreign = |name: &&str| {
            path == **name
                || path
                    .strip_prefix(*name)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        if path.is_empty() || NOT_THERE.iter().any(foreign) {
            continue;
        }
        let real = resolve(&path, there);
        if there.contains_key(&real) || !made.insert(real.clone()) {
            continue;
        }
        let mut header = entry.header().clone();
        let kind = header.entry_type();
        if kind.is_symlink() || kind.is_hard_link() {
            let target = entry.link_name()?.unwrap_or_default().into_owned();
            let target = if kind.is_hard_link() {
                let name = target.to_string_lossy();
                let name = name.trim_start_matches("./").trim_start_matches('/');
                PathBuf::from(resolve(name, there))
            } else {
                target
            };
            header.set_size(0);
            out.append_link(&mut header, &real, target)?;
        } else if kind.is_file() || kind.is_dir() {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            header.set_size(content.len() as u64);
            out.append_data(&mut header, &real, content.as_slice())?;
        }
    }
    out.into_inner()
}

/// A path whose directories are followed where they are links.
fn resolve(path: &str, there: &BTreeMap<String, Option<String>>) -> String {
    let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut done: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                done.pop();
                continue;
            }
            _ => done.push(part),
        }
        let link = there.get(&done.join("/")).and_then(Option::as_ref);
        if let Some(target) = link.filter(|_| !todo.is_empty() && links < 40) {
            links += 1;
            done.pop();
            if target.starts_with('/') {
                done.clear();
            }
            todo.extend(target.split('/').rev().map(str::to_owned));
        }
    }
    done.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_where_the_links_of_the_image_lead() {
        let mut tools = tar::Builder::new(Vec::new());
        let mut add = |path: &str, kind: tar::EntryType, content: &str| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(0o755);
            header.set_size(content.len() as u64);
            tools
                .append_data(&mut header, path, content.as_bytes())
                .unwrap();
        };
        add("bin/", tar::EntryType::Directory, "");
        add("bin/sh", tar::EntryType::Regular, "tool");
        add("bin/own", tar::EntryType::Regular, "tool");
        add("proc/x", tar::EntryType::Regular, "no");
        let tools = tools.into_inner().unwrap();
        let there = BTreeMap::from([
            ("bin".to_owned(), Some("usr/bin".to_owned())),
            ("usr/bin".to_owned(), None),
            ("usr/bin/own".to_owned(), None),
        ]);
        let merged = merge(&tools, &there).unwrap();
        let mut archive = tar::Archive::new(merged.as_slice());
        let paths: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(paths, ["usr/bin/sh"]);
    }
}
