//! The flags of `bowline skaffold`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Without a command it builds what skaffold's variables say.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SkaffoldArgs {
    #[command(subcommand)]
    pub command: Option<SkaffoldCommand>,
    /// Flags of `bowline build`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "FLAGS"
    )]
    pub flags: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
pub enum SkaffoldCommand {
    /// Print the files that the build reads, for `dependencies.command`
    Deps {
        /// Flags of `bowline build`
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "FLAGS"
        )]
        flags: Vec<OsString>,
    },
    /// Turn the `docker` artifacts of a skaffold.yaml into custom ones that bowline builds, and
    /// print what changes
    Init {
        /// The configuration
        #[arg(value_name = "FILE", default_value = "skaffold.yaml")]
        file: PathBuf,
        /// Print what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}
