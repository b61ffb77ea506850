//! What `bowline sandbox` shows: whose network RUN would join, why, and what is in there.

use std::sync::Arc;

use super::network::{self, Network};
use super::{Ended, Surroundings};
use crate::build::{self, Ledger};
use crate::engine::NetworkMode;
use crate::request::NetworkChoice;
use crate::sandbox::{self, Decision, Report};

/// Gathers the evidence, judges it and, with `probe`, sends a container there that looks around
/// and asks these URLs. Without a network to join by itself it looks into the default one.
///
/// # Errors
/// When the engine fails, or the network that was asked for is not there.
pub async fn examine(
    choice: &NetworkChoice,
    around: &Surroundings,
    probe: Option<&[String]>,
) -> Result<Report, Ended> {
    let ledger = Arc::new(Ledger::new(Arc::clone(&around.engine), build::new_id()));
    let work = examine_in(choice, around, probe, &ledger);
    let result = tokio::select! {
        result = work => result,
        () = around.cancel.cancelled() => Err(Ended::Cancelled),
    };
    let closed = match &result {
        Err(Ended::Cancelled) => ledger.abandon().await,
        Ok(_) | Err(Ended::Failed(_)) => ledger.close().await,
    };
    let report = result?;
    closed.map_err(|error| build::of_engine(&error))?;
    Ok(report)
}

async fn examine_in(
    choice: &NetworkChoice,
    around: &Surroundings,
    probe: Option<&[String]>,
    ledger: &Ledger,
) -> Result<Report, Ended> {
    let engine = &*around.engine;
    let gathered = sandbox::gather(around.world.own(), engine).await;
    let facts = gathered.map_err(|error| build::of_engine(&error))?;
    let decision = sandbox::decide(&facts);
    let by_itself = matches!(choice, NetworkChoice::Auto | NetworkChoice::Sandbox);
    let network = match &decision {
        Decision::Conflict { .. } if by_itself => None,
        Decision::Join(join) if by_itself => Some(network::joined(join.clone())),
        Decision::Default { .. } if by_itself => Some(NetworkMode::Default.into()),
        _ => Some(network::choose(choice, &around.world, engine).await?),
    };
    let mut report = Report::new(facts, decision);
    if !by_itself && let Some(Network { mode, note, .. }) = &network {
        let mode = mode.as_api();
        report.told = Some(
            note.clone()
                .unwrap_or_else(|| format!("RUN joins the network `{mode}`")),
        );
    }
    if let (Some(urls), Some(Network { mode, .. })) = (probe, network) {
        let found = sandbox::probe(engine, mode, &ledger.enter(), ledger.labels(), urls).await;
        report.probe = Some(found.map_err(|error| build::of_engine(&error))?);
    }
    Ok(report)
}
