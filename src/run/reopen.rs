//! The failed step of a build that is over, for a debugger: planned again, with nothing built.

use std::sync::Arc;

use super::{Ended, Recipe, Surroundings, builder, network, prepare};
use crate::build::{self, FailedStep, Ledger, Site};
use crate::engine::NetworkMode;
use crate::progress::Event;
use crate::request::BuildRequest;

/// A failed step to look at.
pub struct Reopened {
    pub site: Arc<Site>,
    ledger: Arc<Ledger>,
}

impl Reopened {
    /// Removes what was made to look at it.
    ///
    /// # Errors
    /// When something stays in the engine.
    pub async fn close(self) -> Result<(), Ended> {
        drop(self.site);
        let closed = self.ledger.close().await;
        Ok(closed.map_err(|error| build::of_engine(&error))?)
    }
}

/// Opens what a build has kept. The gate of the surroundings is never asked.
///
/// # Errors
/// When the Dockerfile or its images are not what they were.
pub async fn reopen(
    request: &BuildRequest,
    recipe: &Recipe,
    around: &Surroundings,
    kept: &FailedStep,
) -> Result<Reopened, Ended> {
    let chosen = network::choose(&request.network, &around.world, &*around.engine).await;
    let network = chosen.unwrap_or_else(|_| {
        let what = format!(
            "the network of the build, `{}`, is gone: commands have none",
            request.network
        );
        around.sink.emit(Event::Warning(what));
        NetworkMode::None.into()
    });
    let ledger = Arc::new(Ledger::new(Arc::clone(&around.engine), build::new_id()));
    let numbering = Arc::clone(&recipe.numbering);
    let prepared = prepare(request, recipe, around, &numbering, &network, true).await?;
    let builder = builder(request, recipe, around, &ledger, &numbering, prepared);
    let site = builder.reopen(kept).await?;
    Ok(Reopened { site, ledger })
}
