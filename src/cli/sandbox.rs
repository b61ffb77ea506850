//! `bowline sandbox`: shows whose network RUN would join, and what is in there.

use tokio_util::sync::CancellationToken;

use super::args::{Format, Global, SandboxArgs};
use super::connect::{self, ended};
use super::environment::Environment;
use super::resolve;
use super::result::{self, Outcome};
use super::session::{BuildResult, Session};
use crate::run::{self, Surroundings};

/// Connects to the engine, looks around and prints what was found.
pub(super) async fn sandbox(
    args: &SandboxArgs,
    global: &Global,
    environment: &Environment,
    session: Session,
) -> BuildResult {
    let one = |diagnostic| vec![diagnostic];
    let choice = resolve::network(args.network.as_deref(), environment).map_err(one)?;
    let cancel: CancellationToken = session.cancelled;
    let around = Surroundings {
        engine: connect::connect(global, environment).await.map_err(one)?,
        sink: session.sink,
        logins: connect::logins(environment),
        world: environment.world(),
        cancel,
        gate: None,
        keep: None,
    };
    let probe = (!args.no_probe).then_some(args.probe.as_slice());
    let report = run::examine(&choice, &around, probe).await.map_err(ended)?;
    result::print(&match args.format {
        Format::Text => report.text(),
        Format::Json => report.json(),
    })?;
    Ok(Outcome::default())
}
