//! The flags of `bowline skaffold`.

use std::ffi::OsString;

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
}
