//! The editors' face of the stepper: a server of the Debug Adapter Protocol.
//!
//! A stage that is being built is a thread, and its stack the stages that wait for it. The
//! editor's console takes the commands of the terminal.

mod answers;
mod evaluate;
mod outbox;
mod places;
mod server;
mod session;
mod stack;
mod values;
mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::command::Subject;
use super::stepper::Stepper;
use crate::build::Command;
use crate::diag::Diagnostic;
use crate::progress::Sink;

pub use server::serve;

/// What a launch request asks for; keys that are not known are left alone, as editors add their
/// own. The first four are those of Docker's extension.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Launch {
    pub dockerfile: Option<PathBuf>,
    pub context_path: Option<PathBuf>,
    pub target: Option<String>,
    pub stop_on_entry: bool,
    /// Flags of `bowline build`.
    pub args: Vec<String>,
    pub build_args: BTreeMap<String, String>,
    pub network: Option<String>,
    /// Builds without a stop.
    pub no_debug: bool,
}

/// A build that was asked for.
#[async_trait]
pub trait Debuggee: Subject {
    /// The Dockerfile.
    fn path(&self) -> PathBuf;

    /// Builds; gives the image, if there is one.
    ///
    /// # Errors
    /// With what is wrong.
    async fn run(
        &self,
        stepper: Arc<Stepper>,
        sink: Arc<dyn Sink>,
        cancel: CancellationToken,
    ) -> Result<Option<String>, Vec<Diagnostic>>;

    /// A command line that connects a terminal to a container of this build.
    fn join(&self, container: &str, command: &Command) -> Vec<String>;
}

/// Turns what an editor asks for into a build.
pub trait Launcher: Send + Sync {
    /// # Errors
    /// With what is wrong.
    fn launch(&self, launch: &Launch) -> Result<Arc<dyn Debuggee>, Vec<Diagnostic>>;
}
