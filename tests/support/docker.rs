//! The docker CLI on the engine under test.

use std::collections::HashMap;
use std::env;
use std::ffi::OsStr;
use std::io::Read;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use super::{Finished, finish, script};

const LIMIT: Duration = Duration::from_secs(120);

pub struct Docker;

/// An image as `docker save` writes it, which is the one form that loses nothing.
pub struct Saved {
    /// The config's JSON, as it was authored.
    pub config: Value,
    /// The layers' tar archives, lowest first, not compressed.
    pub layers: Vec<Vec<u8>>,
}

impl Docker {
    pub fn command() -> Command {
        let mut command = Command::new(program());
        command.env("DOCKER_HOST", super::engine());
        command.env_remove("DOCKER_CONTEXT");
        command
    }

    /// Runs `docker ARGUMENTS`, whatever its result.
    pub fn run<S: AsRef<OsStr>>(arguments: &[S]) -> Finished {
        finish(Self::command().args(arguments), None, LIMIT)
    }

    /// The output of `docker ARGUMENTS`, without the last line break.
    pub fn output<S: AsRef<OsStr> + std::fmt::Debug>(arguments: &[S]) -> Result<String, String> {
        let finished = Self::run(arguments);
        if finished.success() {
            Ok(finished.stdout().trim_end_matches('\n').to_owned())
        } else {
            Err(format!("docker {arguments:?}: {}", finished.stderr.trim()))
        }
    }

    /// Removes an image's name, if it is there.
    pub fn remove_image(name: &str) {
        drop(Self::run(&["image", "rm", "--force", name]));
    }

    pub fn save(image: &str) -> Result<Saved, String> {
        let finished = Self::run(&["image", "save", image]);
        if !finished.success() {
            return Err(format!("docker save {image}: {}", finished.stderr.trim()));
        }
        read_archive(&finished.stdout).map_err(|error| format!("docker save {image}: {error}"))
    }
}

fn program() -> &'static OsStr {
    static PROGRAM: OnceLock<std::ffi::OsString> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(program) = env::var_os("BOWLINE_TEST_DOCKER") {
            return program;
        }
        let found = finish(Command::new(script("engine.sh")).arg("cli"), None, LIMIT);
        assert!(found.success(), "no docker CLI: {}", found.stderr);
        found.stdout().trim().into()
    })
}

/// All engines write `manifest.json`, whatever else the archive holds.
fn read_archive(bytes: &[u8]) -> Result<Saved, String> {
    let mut files: HashMap<String, Vec<u8>> = HashMap::new();
    let mut links: HashMap<String, String> = HashMap::new();
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if let Some(target) = entry.link_name_bytes() {
            // A layer that occurs twice: `../<image>/layer.tar`.
            let target = String::from_utf8_lossy(&target).into_owned();
            links.insert(path, target.trim_start_matches("../").to_owned());
        } else {
            let mut content = Vec::new();
            entry
                .read_to_end(&mut content)
                .map_err(|error| error.to_string())?;
            files.insert(path, content);
        }
    }
    let file = |path: &str| {
        let path = links.get(path).map_or(path, String::as_str);
        files
            .get(path)
            .ok_or_else(|| format!("the archive has no {path}"))
    };
    let json = |path: &str| {
        serde_json::from_slice::<Value>(file(path)?).map_err(|error| format!("{path}: {error}"))
    };
    let manifest = json("manifest.json")?;
    let image = &manifest[0];
    let config = json(image["Config"].as_str().unwrap_or_default())?;
    let mut layers = Vec::new();
    for layer in image["Layers"].as_array().unwrap_or(&Vec::new()) {
        layers.push(decompressed(file(layer.as_str().unwrap_or_default())?)?);
    }
    Ok(Saved { config, layers })
}

/// The containerd store keeps layers as they came.
fn decompressed(layer: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    if layer.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(layer)
            .read_to_end(&mut plain)
            .map_err(|error| error.to_string())?;
        Ok(plain)
    } else if layer.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        zstd::decode_all(layer).map_err(|error| error.to_string())
    } else {
        Ok(layer.to_vec())
    }
}
