//! The command line as it is written: clap's types and nothing else. What the values mean is
//! decided in `resolve`.
//!
//! `bowline build` takes the flags of `docker buildx build` in the same spelling, the hidden
//! ones of older `docker build` among them. As there, a flag that takes one value may be
//! repeated and the last one counts, and a switch may be given a value (`--pull=false`).

mod cache;
mod sandbox;
mod skaffold;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

pub use cache::{CacheArgs, CacheCommand, PruneBounds};
pub use sandbox::{Format, SandboxArgs};
pub use skaffold::{SkaffoldArgs, SkaffoldCommand};

/// Builds container images on a Docker Engine; RUN steps can join any container's network
#[derive(Debug, Parser)]
#[command(name = "bowline", version, propagate_version = true)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Address of the engine [default: `DOCKER_HOST`, then Docker's context]
    #[arg(short = 'H', long, global = true, value_name = "ADDRESS")]
    pub host: Option<String>,
    /// Docker context whose engine is used
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "host")]
    pub context: Option<String>,
    /// Tell what bowline does itself
    #[arg(short = 'D', long, global = true)]
    pub debug: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image
    Build(Box<BuildArgs>),
    /// Show what a build would do, and what is cached, without building
    Plan(Box<BuildArgs>),
    /// Show whose network RUN would join, why, and what can be reached from there
    Sandbox(SandboxArgs),
    /// List, count and remove the steps that the engine keeps
    Cache(CacheArgs),
    /// Look for mistakes in a Dockerfile, without building
    Check(Box<CheckArgs>),
    /// Build what skaffold asks for, as `buildCommand: exec bowline skaffold`
    Skaffold(SkaffoldArgs),
    /// Build step by step: stop, look, try, go back
    #[command(mut_arg("source", |source| source.required(false).default_value(".")))]
    Debug(Box<DebugArgs>),
    /// Let an editor build step by step, by the Debug Adapter Protocol
    Dap(DapArgs),
    /// Print the completion script of a shell
    Completion { shell: clap_complete::Shell },
    /// Print the manual page, or write a page per command to a directory
    Man {
        #[arg(value_name = "DIRECTORY")]
        directory: Option<PathBuf>,
    },
    /// Install bowline as a plugin of the docker CLI and as what `docker build` calls
    Install {
        /// Only `docker bowline`; `docker build` stays as it is
        #[arg(long)]
        plugin_only: bool,
    },
    /// Undo `bowline install`; what `docker build` called before, it calls again
    Uninstall,
}

/// The flags of a check: those of a build, and a few of its own.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct CheckArgs {
    /// Rewrite in place what can be rewritten safely, and check the rest
    #[arg(long)]
    pub fix: bool,
    #[command(flatten)]
    pub build: BuildArgs,
}

/// The flags of a debug session.
#[derive(Debug, Args)]
pub struct DebugArgs {
    #[command(flatten)]
    pub build: BuildArgs,
    /// Take commands from a file (`-` is standard input); the first that fails ends the session
    #[arg(long, help_heading = "Debugging", value_name = "FILE")]
    pub commands: Option<PathBuf>,
    /// Breakpoint, as the `break` command takes it: `12`, `builder`, `miss`, `7 if V == 2`
    #[arg(long = "break", help_heading = "Debugging", value_name = "PLACE")]
    pub breakpoints: Vec<String>,
    /// Do not stop at the first instruction
    #[arg(long, help_heading = "Debugging")]
    pub no_entry: bool,
    /// Open the step that failed last, as it died; nothing is built
    #[arg(long, help_heading = "Debugging")]
    pub last: bool,
    /// Connect this terminal to a container of a debug session, as editors ask for it.
    #[arg(long, hide = true, value_name = "CONTAINER")]
    pub join: Option<String>,
    /// What to run there, as `join` of the program in the container takes it.
    #[arg(last = true, hide = true)]
    pub join_args: Vec<String>,
}

/// The flags of the debug adapter.
#[derive(Debug, Args)]
pub struct DapArgs {
    /// Listen at an address, `127.0.0.1:4711`, and serve every editor that connects; port 0 takes
    /// a free one [default: standard input and output, for one editor]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
}

/// The flags of a build.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct BuildArgs {
    /// Build context: a directory, a git repository, the URL of an archive, or `-`
    #[arg(value_name = "PATH|URL|-")]
    pub source: OsString,

    /// Dockerfile [default: `PATH/Dockerfile`]; `-` is standard input
    #[arg(short, long, value_name = "PATH")]
    pub file: Option<OsString>,
    /// Stage to build
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Build argument; without a value it is taken from the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub build_arg: Vec<String>,
    /// Additional context: a directory, git repository, URL, `docker-image://`, `oci-layout://`
    #[arg(long, value_name = "NAME=SOURCE")]
    pub build_context: Vec<String>,
    /// Platform to build for
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Vec<String>,
    /// Look base images up in their registry even when they are here
    #[arg(long, help_heading = "Cache")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = parse_bool, default_value = "false", hide_default_value = true)]
    #[arg(action = ArgAction::Set, value_name = "BOOL")]
    pub pull: bool,
    /// Ignore the cache
    #[arg(long, help_heading = "Cache")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = parse_bool, default_value = "false", hide_default_value = true)]
    #[arg(action = ArgAction::Set, value_name = "BOOL")]
    pub no_cache: bool,
    /// Ignore the cache for these stages
    #[arg(long, help_heading = "Cache", value_name = "STAGE")]
    pub no_cache_filter: Vec<String>,

    /// Tell why each step ran that was not found in the cache, and what it cost
    #[arg(long, help_heading = "Cache")]
    pub explain: bool,
    /// Tell at the end where the time went
    #[arg(long, help_heading = "Progress")]
    pub timing: bool,

    /// Name of the result
    #[arg(short, long, help_heading = "Result", value_name = "NAME[:TAG]")]
    pub tag: Vec<String>,
    /// Label of the result
    #[arg(long, help_heading = "Result", value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// Where the result goes: `type=docker|image|registry|oci|local|tar|cacheonly`, or a directory
    #[arg(short, long, help_heading = "Result", value_name = "OUTPUT")]
    pub output: Vec<String>,
    /// Keep the result in the engine; short for `--output=type=docker`
    #[arg(long, help_heading = "Result")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = parse_bool, default_value = "false", hide_default_value = true)]
    #[arg(action = ArgAction::Set, value_name = "BOOL")]
    pub load: bool,
    /// Push the result; short for `--output=type=registry`
    #[arg(long, help_heading = "Result")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = parse_bool, default_value = "false", hide_default_value = true)]
    #[arg(action = ArgAction::Set, value_name = "BOOL")]
    pub push: bool,
    /// Write the image's ID to a file
    #[arg(long, help_heading = "Result", value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
    /// Write what is known of the result to a file, as JSON
    #[arg(long, help_heading = "Result", value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,

    /// Network of RUN steps: `auto`, `sandbox`, `default`, `none`, `host`, `container:NAME`, or
    /// a network [default: `BOWLINE_NETWORK`, else `auto`]
    #[arg(long, help_heading = "RUN steps", value_name = "NETWORK")]
    pub network: Option<String>,
    /// Line for `/etc/hosts`; the address may be `host-gateway`
    #[arg(long, help_heading = "RUN steps", value_name = "HOST:IP")]
    pub add_host: Vec<String>,
    /// Secret: `id=NAME[,src=FILE|,env=VARIABLE]`
    #[arg(long, help_heading = "RUN steps", value_name = "SECRET")]
    pub secret: Vec<String>,
    /// Identity for each step, never kept: `aws`, `azure`, `gcp`, `auto`, or
    /// `[file=PATH,]env=NAME`
    #[arg(long, help_heading = "RUN steps", value_name = "IDENTITY")]
    pub identity: Vec<String>,
    /// ssh agent or keys: `default`, or `ID=SOCKET|KEY[,KEY]`
    #[arg(long, help_heading = "RUN steps", value_name = "AGENT")]
    pub ssh: Vec<String>,
    /// What happens when a step leaves a secret in its files or prints it: `off`, `warn`, `fail`
    /// [default: warn]
    #[arg(long, help_heading = "RUN steps", value_name = "MODE")]
    pub leak_guard: Option<String>,
    /// Limit: memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus, cpuset-mems
    #[arg(long, help_heading = "RUN steps", value_name = "NAME=VALUE")]
    pub resource: Vec<String>,
    /// Size of `/dev/shm`
    #[arg(long, help_heading = "RUN steps", value_name = "SIZE")]
    pub shm_size: Option<String>,
    /// Process limit
    #[arg(long, help_heading = "RUN steps", value_name = "NAME=SOFT[:HARD]")]
    pub ulimit: Vec<String>,
    /// Parent of the containers' control groups
    #[arg(long, help_heading = "RUN steps", value_name = "CGROUP")]
    pub cgroup_parent: Option<String>,
    /// Security option, as for `docker run`
    #[arg(long, help_heading = "RUN steps", value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// How many steps may run at once [default: the number of processors, at least 2]
    #[arg(long, help_heading = "RUN steps", value_name = "N")]
    pub parallel: Option<String>,
    /// Containers of steps: `shared` by those that can, or `own` for each
    #[arg(long, help_heading = "RUN steps", value_name = "KIND")]
    pub step_containers: Option<String>,

    /// Kind of progress output: `auto`, `plain`, `tty`, `rawjson`, `quiet`, `none`
    /// [default: `BUILDKIT_PROGRESS`, else `auto`]
    #[arg(long, help_heading = "Output", value_name = "KIND")]
    pub progress: Option<String>,
    /// Show nothing but errors, and print the image's ID
    #[arg(short, long, help_heading = "Output")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = parse_bool, default_value = "false", hide_default_value = true)]
    #[arg(action = ArgAction::Set, value_name = "BOOL")]
    pub quiet: bool,

    #[command(flatten)]
    pub legacy: LegacyArgs,
    #[command(flatten)]
    pub others: OtherArgs,
}

/// Flags of older versions of `docker build` that still work.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct LegacyArgs {
    #[arg(short, long, hide = true)]
    pub memory: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    #[arg(short, long, hide = true)]
    pub cpu_shares: Option<String>,
    #[arg(long, hide = true)]
    pub cpu_period: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub cpu_quota: Option<String>,
    #[arg(long, hide = true)]
    pub cpuset_cpus: Option<String>,
    #[arg(long, hide = true)]
    pub cpuset_mems: Option<String>,
    /// Containers of steps are always removed.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", value_parser = parse_bool)]
    pub rm: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", value_parser = parse_bool)]
    pub force_rm: Option<bool>,
    /// The context is never sent as a whole.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", value_parser = parse_bool)]
    pub compress: Option<bool>,
    #[arg(long, hide = true)]
    pub isolation: Option<String>,
}

/// Flags of `docker buildx build` that have no meaning here or none yet. Some of their values
/// ask for nothing and are taken; the others are refused by name.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct OtherArgs {
    #[arg(long, hide = true)]
    pub allow: Vec<String>,
    #[arg(long, hide = true)]
    pub annotation: Vec<String>,
    #[arg(long, hide = true)]
    pub attest: Vec<String>,
    #[arg(long, hide = true)]
    pub provenance: Option<String>,
    #[arg(long, hide = true)]
    pub sbom: Option<String>,
    #[arg(long, hide = true)]
    pub builder: Option<String>,
    #[arg(long, hide = true)]
    pub cache_from: Vec<String>,
    #[arg(long, hide = true)]
    pub cache_to: Vec<String>,
    /// Answer a question instead of building: `check`, `outline`, `targets`; `,format=json`
    #[arg(long, help_heading = "Output", value_name = "QUESTION")]
    pub call: Option<String>,
    #[arg(long, hide = true)]
    pub print: Option<String>,
    /// Look for mistakes instead of building; short for `--call=check`
    #[arg(long, help_heading = "Output", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    pub check: Option<bool>,
    #[arg(long, hide = true)]
    pub policy: Vec<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", value_parser = parse_bool)]
    pub squash: Option<bool>,
}

/// The words that Docker takes for yes and no.
pub(super) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("it is neither `true` nor `false`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn build(words: &[&str]) -> BuildArgs {
        let words = ["bowline", "build"].iter().chain(words);
        match Cli::try_parse_from(words).unwrap().command {
            Command::Build(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_are_as_forgiving_as_dockers() {
        let args = build(&[
            "-tone",
            "-t=two",
            "--target",
            "a",
            "--target=b",
            "--pull=false",
            "--no-cache",
            "--cpu-quota",
            "-1",
            "--memory-swap=-1",
            "-f",
            "-",
            "--rm=false",
            "-q",
            ".",
            "--build-arg",
            "A=b,c",
            "--progress",
            "tty",
            "--progress=plain",
        ]);
        assert_eq!(args.tag, ["one", "two"]);
        assert_eq!(args.target.as_deref(), Some("b"));
        assert!(!args.pull && args.no_cache && args.quiet);
        assert_eq!(args.legacy.cpu_quota.as_deref(), Some("-1"));
        assert_eq!(args.legacy.memory_swap.as_deref(), Some("-1"));
        assert_eq!(args.file.as_deref(), Some("-".as_ref()));
        assert_eq!(args.legacy.rm, Some(false));
        assert_eq!(args.source, ".");
        assert_eq!(args.build_arg, ["A=b,c"]);
        assert_eq!(args.progress.as_deref(), Some("plain"));
    }

    #[test]
    fn mistakes_are_errors() {
        for words in [
            &["build"][..],
            &["build", ".", "more"],
            &["build", ".", "--pull=maybe"],
            &["build", ".", "--nope"],
            &["build", "-t"],
            &["-H", "a", "--context", "b", "build", "."],
        ] {
            let words = ["bowline"].iter().chain(words);
            assert!(Cli::try_parse_from(words.clone()).is_err(), "{words:?}");
        }
    }

    /// Every flag of `docker buildx build` is known here, supported or not.
    #[test]
    fn knows_every_flag_of_buildx() {
        let mut command = Cli::command();
        command.build();
        let build = command.find_subcommand("build").unwrap();
        let known: Vec<_> = build
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .collect();
        for flag in [
            "add-host",
            "allow",
            "annotation",
            "attest",
            "build-arg",
            "build-context",
            "builder",
            "cache-from",
            "cache-to",
            "call",
            "cgroup-parent",
            "check",
            "compress",
            "cpu-period",
            "cpu-quota",
            "cpu-shares",
            "cpuset-cpus",
            "cpuset-mems",
            "debug",
            "file",
            "force-rm",
            "iidfile",
            "isolation",
            "label",
            "load",
            "memory",
            "memory-swap",
            "metadata-file",
            "network",
            "no-cache",
            "no-cache-filter",
            "output",
            "platform",
            "policy",
            "print",
            "progress",
            "provenance",
            "pull",
            "push",
            "quiet",
            "resource",
            "rm",
            "sbom",
            "secret",
            "security-opt",
            "shm-size",
            "squash",
            "ssh",
            "tag",
            "target",
            "ulimit",
        ] {
            assert!(known.contains(&flag), "--{flag}");
        }
    }
}
