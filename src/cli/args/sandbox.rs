//! The flags of `bowline sandbox`.

use clap::{Args, ValueEnum};

/// The flags.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct SandboxArgs {
    /// URL that is asked from that network; may be repeated
    #[arg(long, value_name = "URL")]
    pub probe: Vec<String>,
    /// Start no container, show the evidence alone
    #[arg(long, conflicts_with = "probe")]
    pub no_probe: bool,
    /// Network to look into instead, as for `bowline build`
    /// [default: `BOWLINE_NETWORK`, else `auto`]
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<String>,
    /// Form of the report
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}
