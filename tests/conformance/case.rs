//! A case's folder: what is built, and with which settings.

use std::env::consts::ARCH;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{finish, root};

/// In Dockerfiles, arguments and scripts: replaced by something that no build has seen before.
pub const SALT: &str = "@SALT@";
/// In `case.json` too: replaced by the address of a web server that serves the copy's `www`.
pub const SERVER: &str = "@SERVER@";

/// What builds again: the folder that is copied over the case, before the second build on.
const AGAIN: [&str; 4] = ["second", "third", "fourth", "fifth"];

/// All files of the context have this time, since a checkout keeps none.
const CONTEXT_TIME: u64 = 1_000_000_000;

pub struct Case {
    pub name: String,
    folder: PathBuf,
    settings: Value,
}

/// A copy of a case that may be changed, and is built.
pub struct Copy {
    folder: TempDir,
    pub salt: String,
    pub server: Option<String>,
}

/// The arguments and variables of one build.
pub struct Invocation {
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub input: Option<Vec<u8>>,
}

/// Where the cases are; `BOWLINE_TEST_CASES_IN` names another folder, to try cases out.
pub fn folder() -> PathBuf {
    match std::env::var_os("BOWLINE_TEST_CASES_IN") {
        Some(folder) => folder.into(),
        None => root().join("fixtures/conformance"),
    }
}

/// All cases, by name.
pub fn all() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .expect("fixtures/conformance")
        .filter_map(|entry| {
            let entry = entry.expect("an entry of fixtures/conformance");
            entry
                .path()
                .is_dir()
                .then(|| entry.file_name().to_string_lossy().into_owned())
        })
        .collect();
    names.sort();
    names
}

impl Case {
    pub fn new(name: &str) -> Self {
        let folder = folder().join(name);
        let settings = match fs::read(folder.join("case.json")) {
            Ok(json) => {
                serde_json::from_slice(&json).unwrap_or_else(|e| panic!("{name}/case.json: {e}"))
            }
            Err(_) => Value::Null,
        };
        Self {
            name: name.to_owned(),
            folder,
            settings,
        }
    }

    pub fn expected_path(&self) -> PathBuf {
        self.folder.join("expected.json")
    }

    /// The paths whose times count.
    pub fn timed(&self) -> Vec<String> {
        let Some(paths) = self.settings["mtime"].as_array() else {
            return Vec::new();
        };
        let text = |path: &Value| path.as_str().unwrap_or_default().to_owned();
        paths.iter().map(text).collect()
    }

    /// Recordings with the name of the machine's architecture hold on such machines only.
    pub fn is_for_this_machine(&self) -> bool {
        let wanted = self.settings["architecture"].as_str();
        wanted.is_none_or(|wanted| wanted == ARCH)
    }

    /// Whether there is something to fetch: in the folder `www`, or put there by `setup.sh`.
    pub fn is_served(&self) -> bool {
        self.folder.join("www").is_dir() || self.settings["served"] == true
    }

    pub fn has_base(&self) -> bool {
        self.folder.join("base").is_dir()
    }

    /// How often the case is built.
    pub fn builds(&self) -> usize {
        if let Some(builds) = self.settings["builds"].as_u64() {
            return usize::try_from(builds).unwrap_or(1);
        }
        let again = AGAIN
            .iter()
            .filter(|name| self.folder.join(name).is_dir())
            .count();
        let changes = usize::from(self.folder.join("change.sh").is_file());
        1 + again.max(changes)
    }

    /// Whether a build before the last one is meant to fail.
    pub fn may_fail(&self, build: usize) -> bool {
        let fails = self.settings["fails"].as_array().into_iter().flatten();
        fails
            .filter_map(Value::as_u64)
            .any(|fails| fails == build as u64)
    }

    /// A fresh copy, with everything that a checkout does not keep.
    pub fn copy(&self, salt: &str, server: Option<String>) -> Result<Copy, String> {
        let folder = tempfile::Builder::new()
            .prefix("bowline-case-")
            .tempdir()
            .map_err(|error| error.to_string())?;
        let copy = Copy {
            folder,
            salt: salt.to_owned(),
            server,
        };
        copy.overlay(&self.folder)?;
        fs::create_dir_all(copy.path().join("context")).map_err(|error| error.to_string())?;
        age(&copy.path().join("context"))?;
        copy.script("setup.sh", "1")?;
        Ok(copy)
    }

    /// Brings the copy to the state of the given build, counted from 1.
    pub fn change(&self, copy: &Copy, build: usize) -> Result<(), String> {
        if build < 2 {
            return Ok(());
        }
        if let Some(name) = AGAIN.get(build - 2) {
            let overlay = self.folder.join(name);
            if overlay.is_dir() {
                copy.overlay(&overlay)?;
            }
        }
        copy.script("change.sh", &build.to_string())
    }

    pub fn invocation(&self, copy: &Copy, build: usize) -> Result<Invocation, String> {
        let mut arguments = copy.lines("args");
        // A fresh result, unless reuse is what the case is about.
        if build == 1 && self.builds() == 1 {
            arguments.push("--no-cache".into());
        }
        let named = |argument: &String| {
            argument == "-f" || argument == "--file" || argument.starts_with("--file=")
        };
        if copy.path().join("Dockerfile").is_file() && !arguments.iter().any(named) {
            arguments.extend(["-f".into(), "Dockerfile".into()]);
        }
        arguments.push(
            self.settings["context"]
                .as_str()
                .unwrap_or("context")
                .replace(SERVER, copy.server.as_deref().unwrap_or(SERVER)),
        );
        let environment = copy
            .lines("env")
            .iter()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let input = match self.settings["stdin"].as_str() {
            Some(file) => {
                let path = copy.path().join(file);
                Some(fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?)
            }
            None => None,
        };
        Ok(Invocation {
            arguments,
            environment,
            input,
        })
    }
}

impl Copy {
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The image that `base/Dockerfile` is built to.
    pub fn base_image(&self) -> String {
        format!("bowline-conformance-base:{}", self.salt)
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Copies a folder over this one; what stands beside the context may name the salt.
    fn overlay(&self, from: &Path) -> Result<(), String> {
        copy_folder(from, self.path())?;
        self.replace_in(self.path())?;
        let base = self.path().join("base");
        if base.is_dir() {
            self.replace_in(&base)?;
        }
        Ok(())
    }

    fn replace_in(&self, folder: &Path) -> Result<(), String> {
        for entry in fs::read_dir(folder).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            if !path.is_symlink() && (text.contains(SALT) || text.contains(SERVER)) {
                let text = text
                    .replace(SALT, &self.salt)
                    .replace(SERVER, self.server.as_deref().unwrap_or(SERVER));
                fs::write(&path, text).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// Runs a script in the context, with the number of the build.
    fn script(&self, name: &str, build: &str) -> Result<(), String> {
        let script = self.path().join(name);
        if !script.is_file() {
            return Ok(());
        }
        let mut command = Command::new("sh");
        command
            .args(["-ec", "umask 022; . \"$0\""])
            .arg(&script)
            .arg(build)
            .env("FIXTURES", folder())
            .env("SALT", &self.salt)
            .env("TZ", "UTC")
            .current_dir(self.path().join("context"));
        let finished = finish(&mut command, None, Duration::from_secs(60));
        if finished.success() {
            Ok(())
        } else {
            Err(format!("{name} failed: {}", finished.everything()))
        }
    }
}

/// Copies what git keeps: content, links, and whether a file is executable.
fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    fs::create_dir_all(to).map_err(at(to))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).map_err(at(to))?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(at(&path))?;
        if kind.is_dir() {
            copy_folder(&path, &target)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(&path).map_err(at(&path))?;
            drop(fs::remove_file(&target));
            symlink(link, &target).map_err(at(&target))?;
        } else {
            drop(fs::remove_file(&target));
            fs::copy(&path, &target).map_err(at(&path))?;
            let executable = entry.metadata().map_err(at(&path))?.permissions().mode() & 0o100;
            let mode = if executable == 0 { 0o644 } else { 0o755 };
            fs::set_permissions(&target, fs::Permissions::from_mode(mode)).map_err(at(&target))?;
        }
    }
    Ok(())
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}

/// Gives everything in the folder, and itself, the same time.
fn age(path: &Path) -> Result<(), String> {
    if path.is_symlink() {
        let time = rustix::fs::Timespec {
            tv_sec: CONTEXT_TIME as i64,
            tv_nsec: 0,
        };
        let times = rustix::fs::Timestamps {
            last_access: time,
            last_modification: time,
        };
        return rustix::fs::utimensat(
            rustix::fs::CWD,
            path,
            &times,
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(|error| format!("{}: {error}", path.display()));
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(at(path))? {
            age(&entry.map_err(at(path))?.path())?;
        }
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(CONTEXT_TIME);
    fs::File::open(path)
        .and_then(|file| file.set_modified(time))
        .map_err(at(path))
}
