//! As a plugin of the docker CLI: `docker bowline build`, and `docker build` where bowline is the
//! `builder`.
//!
//! The CLI starts `docker-bowline` with its own words, the flags before the command among them:
//! `docker -H tcp://engine:2375 bowline build .` becomes
//! `docker-bowline -H tcp://engine:2375 bowline build .`. To learn what a plugin is, it starts it
//! with one word only (docker/cli, `cli-plugins/metadata`).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::json;

use super::args::{Cli, Command, Global};
use super::environment::{self, Environment};

/// The name of the program as a plugin.
pub(super) const PROGRAM: &str = "docker-bowline";

/// The word with which the docker CLI asks what a plugin is.
const METADATA: &str = "docker-cli-plugin-metadata";

/// What the docker CLI passes on.
#[derive(Debug, Parser)]
#[command(name = "docker", version, disable_help_subcommand = true)]
struct Plugin {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    docker: DockerFlags,
    #[command(subcommand)]
    command: PluginCommand,
}

/// Flags of the docker CLI itself that stand before the command.
#[derive(Debug, Args)]
struct DockerFlags {
    #[arg(long, hide = true)]
    config: Option<OsString>,
    #[arg(short, long, hide = true)]
    log_level: Option<String>,
    #[arg(long, hide = true)]
    tls: bool,
    #[arg(long, hide = true)]
    tlsverify: bool,
    #[arg(long, hide = true)]
    tlscacert: Option<PathBuf>,
    #[arg(long, hide = true)]
    tlscert: Option<PathBuf>,
    #[arg(long, hide = true)]
    tlskey: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Builds container images; RUN steps can join any container's network
    Bowline(BowlineArgs),
}

#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
struct BowlineArgs {
    #[command(subcommand)]
    command: Command,
}

/// Whether the docker CLI started this program.
pub(super) fn is_plugin(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new(PROGRAM))
}

/// What is printed for the docker CLI, if it only asks what this plugin is.
pub(super) fn metadata(words: &[OsString]) -> Option<String> {
    let asks = words.get(1).is_some_and(|word| word == METADATA);
    let metadata = json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "bowline",
        "Version": env!("CARGO_PKG_VERSION"),
        "ShortDescription": "Build images; RUN steps can join any container's network",
    });
    asks.then(|| format!("{metadata}\n"))
}

/// The command line as if bowline had been started by its own name, with what the docker CLI's
/// flags say put into the environment.
pub(super) fn parse(words: &[OsString], environment: &mut Environment) -> Result<Cli, clap::Error> {
    let command = Plugin::command();
    let matches = command.try_get_matches_from(words)?;
    let Plugin {
        global,
        docker,
        command: PluginCommand::Bowline(bowline),
    } = Plugin::from_arg_matches(&matches)?;
    docker.apply(environment)?;
    Ok(Cli {
        global,
        command: bowline.command,
    })
}

impl DockerFlags {
    fn apply(self, environment: &mut Environment) -> Result<(), clap::Error> {
        if let Some(directory) = self.config {
            environment.set(environment::DOCKER_CONFIG, directory);
        }
        if self.tls || self.tlsverify {
            environment.set(environment::DOCKER_TLS_VERIFY, "1".into());
        }
        // bowline reads the three files from one directory, as `DOCKER_CERT_PATH` has them.
        let files = [
            (self.tlscacert, "ca.pem"),
            (self.tlscert, "cert.pem"),
            (self.tlskey, "key.pem"),
        ];
        let mut directory: Option<PathBuf> = None;
        for (file, name) in files {
            let Some(file) = file else { continue };
            let parent = file.parent().unwrap_or(Path::new("")).to_owned();
            let same = directory.as_ref().is_none_or(|known| *known == parent);
            if file.file_name() != Some(OsStr::new(name)) || !same {
                let message = format!(
                    "`{}` must be named `{name}` and lie beside the other files: set `DOCKER_CERT_PATH` to their directory",
                    file.display()
                );
                return Err(clap::Error::raw(
                    clap::error::ErrorKind::ValueValidation,
                    message,
                ));
            }
            directory = Some(parent);
        }
        if let Some(directory) = directory {
            environment.set(environment::DOCKER_CERT_PATH, directory.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_definition_is_sound() {
        Plugin::command().debug_assert();
    }

    #[test]
    fn flags_of_the_docker_cli_count() {
        let mut environment = Environment::of(&[("DOCKER_CONFIG", "/old")], false);
        let line = "docker-bowline -D --config /new -H tcp://e:1 bowline build -t a .";
        let cli = parse(&words(line), &mut environment).unwrap();
        assert!(cli.global.debug);
        assert_eq!(cli.global.host.as_deref(), Some("tcp://e:1"));
        assert_eq!(environment.docker_config_dir(), Path::new("/new"));
        let Command::Build(build) = cli.command else {
            panic!("not a build");
        };
        assert_eq!(build.tag, ["a"]);
    }

    #[test]
    fn certificates_are_found_in_one_directory() {
        let mut environment = Environment::of(&[], false);
        let line = "docker-bowline --tlsverify --tlscacert=/c/ca.pem --tlskey=/c/key.pem bowline completion bash";
        parse(&words(line), &mut environment).unwrap();
        assert_eq!(
            environment.path(environment::DOCKER_CERT_PATH).as_deref(),
            Some(Path::new("/c"))
        );
        let line = "docker-bowline --tlscacert=/c/other.pem bowline completion bash";
        assert!(parse(&words(line), &mut environment).is_err());
    }

    #[test]
    fn tells_what_it_is_only_when_asked() {
        let asked = metadata(&words("docker-bowline docker-cli-plugin-metadata")).unwrap();
        let asked: serde_json::Value = serde_json::from_str(&asked).unwrap();
        assert_eq!(asked["SchemaVersion"], "0.1.0");
        assert_eq!(metadata(&words("docker-bowline bowline build .")), None);
        assert!(is_plugin(OsStr::new("/p/docker-bowline")));
        assert!(!is_plugin(OsStr::new("/p/bowline")));
    }
}
