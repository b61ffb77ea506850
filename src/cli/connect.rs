//! Finds the engine that flags and environment mean, and connects to it.

use std::sync::Arc;

use super::args::Global;
use super::environment::{self, Environment};
use crate::build;
use crate::diag::Diagnostic;
use crate::engine::Engine;
use crate::engine::docker::{Credentials, DockerEngine, resolve_endpoint};

pub(super) async fn connect(
    global: &Global,
    environment: &Environment,
) -> Result<Arc<dyn Engine>, Diagnostic> {
    let variable = |name: &str| environment.named(name).ok().flatten().map(str::to_owned);
    let config_dir = environment.docker_config_dir();
    let endpoint = resolve_endpoint(
        global.host.as_deref(),
        global.context.as_deref(),
        &variable,
        &config_dir,
    );
    let endpoint = endpoint.map_err(|error| build::of_engine(&error))?;
    let auth_config = variable(environment::DOCKER_AUTH_CONFIG.name);
    let credentials = Credentials::new(config_dir, auth_config);
    let engine = DockerEngine::connect_with(&endpoint, credentials).await;
    Ok(engine.map_err(|error| build::of_engine(&error))?)
}
