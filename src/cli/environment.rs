//! The environment, read once: every variable bowline knows, and what it does.
//!
//! Nothing below the command line reads a variable. Those that only a build refers to by name
//! (`--build-arg NAME`, `--secret id=NAME`) are taken from the same snapshot.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::path::PathBuf;

use crate::sandbox::World;

/// A variable that bowline reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    /// What it does, for documentation.
    pub about: &'static str,
}

macro_rules! variables {
    ($($constant:ident: $about:literal;)*) => {
        $(
            #[doc = $about]
            pub const $constant: Variable = Variable {
                name: stringify!($constant),
                about: $about,
            };
        )*
        /// All of them, by name.
        pub const VARIABLES: &[Variable] = &[$($constant),*];
    };
}

variables! {
    BOWLINE_CACHE_AGE: "after builds, steps older than this leave the cache: `30d`";
    BOWLINE_CACHE_DIR: "where bowline keeps what it remembers between builds";
    BOWLINE_CACHE_SIZE: "after builds, the oldest steps leave the cache until it is no larger: `10GB`";
    BOWLINE_KEEP_FAILED: "how many failed steps are kept for `bowline debug --last`: 3, and none in CI";
    BOWLINE_LOG_DIR: "where the logs of builds are kept";
    BOWLINE_NETWORK: "the network of RUN steps when `--network` is not given";
    BOWLINE_PARALLEL: "how many steps may run at once when `--parallel` is not given";
    BOWLINE_REGISTRY_TIMEOUT: "for how many seconds a registry may be silent, instead of 60";
    BOWLINE_STEP_CONTAINERS: "`shared` or `own`, when `--step-containers` is not given";
    BUILDKIT_PROGRESS: "the kind of progress output when `--progress` is not given";
    BUILDX_METADATA_PROVENANCE: "how much of the provenance stands in the metadata file: `min`, `max` or `disabled`";
    BUILDX_NO_DEFAULT_LOAD: "when true, a result that nothing is said of stays out of the engine's images";
    CI: "when not empty and not `false`, no failed steps are kept unless it is asked for";
    DOCKER_AUTH_CONFIG: "registry credentials, as the content of a `config.json`";
    DOCKER_CERT_PATH: "where the certificates for a TLS connection to the engine are";
    DOCKER_CLI_PLUGIN_SOCKET: "set by the docker CLI: a socket that closes when it ends";
    DOCKER_CONFIG: "the directory of Docker's `config.json` and contexts";
    DOCKER_CONTEXT: "the Docker context whose engine is used";
    DOCKER_DEFAULT_PLATFORM: "the platform to build for when `--platform` is not given";
    DOCKER_HOST: "the address of the engine";
    DOCKER_TLS_VERIFY: "when not empty, the engine is reached over TLS and verified";
    HOME: "where the directories of Docker and bowline are when nothing else says so";
    HTTPS_PROXY: "the proxy for `https` addresses that bowline fetches itself";
    HTTP_PROXY: "the proxy for `http` addresses that bowline fetches itself";
    NO_COLOR: "when not empty, nothing is coloured";
    NO_PROXY: "hosts that are asked without a proxy, with commas";
    SOURCE_DATE_EPOCH: "becomes the build argument of that name when it is not given";
    SSH_AUTH_SOCK: "the agent of `--ssh default`";
    TERM: "when it is `dumb`, progress output stays plain";
    TMPDIR: "where temporary files go";
    XDG_CACHE_HOME: "the directory of caches, for bowline's own below it";
    XDG_STATE_HOME: "the directory of states, for the logs of builds below it";
}

/// The environment of a run.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: HashMap<OsString, OsString>,
    /// Whether standard error is a terminal.
    pub terminal: bool,
}

/// A variable whose value is not text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value of `{0}` is not UTF-8")]
pub struct NotText(pub String);

impl Environment {
    /// Takes the snapshot.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
    pub fn read() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// A made-up one.
    #[must_use]
    pub fn of(variables: &[(&str, &str)], terminal: bool) -> Self {
        let pair = |(name, value): &(&str, &str)| (name.into(), value.into());
        Self {
            variables: variables.iter().map(pair).collect(),
            terminal,
        }
    }

    /// Gives a variable another value, as a flag that stands for it does.
    pub(super) fn set(&mut self, variable: Variable, value: OsString) {
        self.variables.insert(variable.name.into(), value);
    }

    /// The value of a variable bowline knows; an empty one is none.
    ///
    /// # Errors
    /// When the value is not text.
    pub fn get(&self, variable: Variable) -> Result<Option<&str>, NotText> {
        let value = self.named(variable.name)?;
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// The value of any variable, empty ones too.
    ///
    /// # Errors
    /// When the value is not text.
    pub fn named(&self, name: &str) -> Result<Option<&str>, NotText> {
        let text = |value: &OsString| value.to_str().map(|_| ());
        match self.variables.get(OsStr::new(name)) {
            Some(value) if text(value).is_none() => Err(NotText(name.to_owned())),
            Some(value) => Ok(value.to_str()),
            None => Ok(None),
        }
    }

    /// The bytes of any variable.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
    }

    /// A variable that holds a path; an empty one is none.
    #[must_use]
    pub fn path(&self, variable: Variable) -> Option<PathBuf> {
        self.bytes(variable.name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    }

    /// The directory of Docker's `config.json`.
    #[must_use]
    pub fn docker_config_dir(&self) -> PathBuf {
        self.path(DOCKER_CONFIG)
            .unwrap_or_else(|| self.home().join(".docker"))
    }

    /// Where bowline keeps what it remembers.
    #[must_use]
    pub fn cache_dir(&self) -> PathBuf {
        self.path(BOWLINE_CACHE_DIR).unwrap_or_else(|| {
            self.path(XDG_CACHE_HOME)
                .unwrap_or_else(|| self.home().join(".cache"))
                .join("bowline")
        })
    }

    /// Where the logs of builds are kept.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        self.path(BOWLINE_LOG_DIR).unwrap_or_else(|| {
            self.path(XDG_STATE_HOME)
                .unwrap_or_else(|| self.home().join(".local/state"))
                .join("bowline/logs")
        })
    }

    /// What is known of bowline's own process besides.
    pub fn world(&self) -> World {
        World::here(|name| self.named(name).ok().flatten().map(str::to_owned))
    }

    /// The directory for temporary files.
    pub fn scratch_dir(&self) -> PathBuf {
        self.path(TMPDIR).unwrap_or_else(|| PathBuf::from("/tmp"))
    }

    /// Whoever has no home has it among temporary files.
    fn home(&self) -> PathBuf {
        self.path(HOME)
            .or_else(|| self.path(TMPDIR))
            .unwrap_or_else(|| PathBuf::from("/tmp"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn directories_follow_the_variables() {
        for (variables, docker, cache, log) in [
            (
                &[("HOME", "/h")][..],
                "/h/.docker",
                "/h/.cache/bowline",
                "/h/.local/state/bowline/logs",
            ),
            (
                &[
                    ("HOME", "/h"),
                    ("DOCKER_CONFIG", "/d"),
                    ("XDG_CACHE_HOME", "/c"),
                ],
                "/d",
                "/c/bowline",
                "/h/.local/state/bowline/logs",
            ),
            (
                &[
                    ("BOWLINE_CACHE_DIR", "/b"),
                    ("BOWLINE_LOG_DIR", "/l"),
                    ("TMPDIR", "/t"),
                ],
                "/t/.docker",
                "/b",
                "/l",
            ),
        ] {
            let environment = Environment::of(variables, false);
            assert_eq!(environment.docker_config_dir(), PathBuf::from(docker));
            assert_eq!(environment.cache_dir(), PathBuf::from(cache));
            assert_eq!(environment.log_dir(), PathBuf::from(log));
        }
    }

    #[test]
    fn tells_absent_empty_and_unreadable_apart() {
        let mut environment = Environment::of(&[("DOCKER_HOST", ""), ("A", "")], false);
        let bytes = OsString::from_vec(vec![0xff]);
        environment.variables.insert("B".into(), bytes);
        assert_eq!(environment.get(DOCKER_HOST), Ok(None));
        assert_eq!(environment.named("A"), Ok(Some("")));
        assert_eq!(environment.named("C"), Ok(None));
        assert_eq!(environment.named("B"), Err(NotText("B".into())));
    }

    #[test]
    fn variables_are_sorted_and_named_once() {
        let names: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }
}
