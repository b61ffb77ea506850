//! The arguments of `bowline cache`.

use clap::{Args, Subcommand};

use super::Format;

#[derive(Debug, Args)]
pub struct CacheArgs {
    #[command(subcommand)]
    pub command: CacheCommand,
}

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// List the steps that the engine keeps, the newest first
    Ls {
        /// Only steps older than this (`until=24h`) or whose text has this (`step=TEXT`)
        #[arg(long, value_name = "FILTER")]
        filter: Vec<String>,
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Tell how much the steps take, each layer counted once and those of base images not
    Du {
        /// Only steps older than this (`until=24h`) or whose text has this (`step=TEXT`)
        #[arg(long, value_name = "FILTER")]
        filter: Vec<String>,
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Remove steps, the oldest first; what a step that stays stands on, stays
    Prune {
        /// Remove all of them, and the volumes of cache mounts
        #[arg(long, short, conflicts_with_all = ["filter", "keep_storage"])]
        all: bool,
        /// Only tell what would go
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        bounds: PruneBounds,
    },
}

/// Which steps go.
#[derive(Debug, Args)]
pub struct PruneBounds {
    /// Only steps older than this (`until=24h`) or whose text has this (`step=TEXT`)
    #[arg(long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Remove until the rest is no larger
    #[arg(long, value_name = "SIZE")]
    pub keep_storage: Option<String>,
}
