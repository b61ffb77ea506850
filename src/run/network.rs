//! The network that `RUN` steps join, checked before anything runs.

use crate::build;
use crate::diag::Diagnostic;
use crate::engine::{Engine, NetworkMode};
use crate::request::NetworkChoice;

use super::environment;

/// A network that is there, and the line that says so.
pub(super) struct Network {
    pub(super) mode: NetworkMode,
    pub(super) note: Option<String>,
}

impl From<NetworkMode> for Network {
    fn from(mode: NetworkMode) -> Self {
        Self { mode, note: None }
    }
}

/// Turns the choice into a network of the engine.
pub(super) async fn choose(
    choice: &NetworkChoice,
    engine: &dyn Engine,
) -> Result<Network, Diagnostic> {
    match choice {
        NetworkChoice::Auto | NetworkChoice::Default => Ok(NetworkMode::Default.into()),
        NetworkChoice::None => Ok(NetworkMode::None.into()),
        NetworkChoice::Host => Ok(NetworkMode::Host.into()),
        NetworkChoice::Sandbox => Err(Diagnostic::error(
            "`--network sandbox` is not supported yet",
        )
        .with_hint("name the container: `--network container:<id or name>`")),
        NetworkChoice::Container(name) => container(name, engine).await,
        NetworkChoice::Named(name) => {
            let found = engine
                .network(name)
                .await
                .map_err(|error| build::of_engine(&error))?;
            match found {
                Some(_) => Ok(NetworkMode::Named(name.clone()).into()),
                None => Err(environment(format!("the engine has no network `{name}`"))
                    .with_hint("`docker network ls` lists the networks; a container's network is `container:<id or name>`")),
            }
        }
    }
}

async fn container(name: &str, engine: &dyn Engine) -> Result<Network, Diagnostic> {
    let found = engine
        .inspect(name)
        .await
        .map_err(|error| build::of_engine(&error))?;
    let Some(detail) = found else {
        return Err(environment(format!(
            "the engine has no container `{name}` whose network to join"
        ))
        .with_hint("`docker ps` lists the containers that run"));
    };
    let shown = detail.name.trim_start_matches('/');
    if !detail.running {
        let state = &detail.status;
        return Err(environment(format!(
            "the container `{shown}`, whose network to join, is not running: it is {state}"
        ))
        .with_hint(format!("start it: `docker start {shown}`")));
    }
    let id: String = detail.id.chars().take(12).collect();
    let addresses = match detail.ip_addresses.as_slice() {
        [] => String::new(),
        addresses => format!(" at {}", addresses.join(", ")),
    };
    Ok(Network {
        note: Some(format!(
            "RUN joins the network of container {shown} ({id}){addresses}"
        )),
        mode: NetworkMode::Container(detail.id),
    })
}
