//! Finds the engine that flags and environment mean, and connects to it.

use std::sync::Arc;

use async_trait::async_trait;

use super::args::Global;
use super::environment::{self, Environment};
use super::session::Session;
use crate::build;
use crate::diag::Diagnostic;
use crate::engine::Engine;
use crate::engine::docker::{Credential, Credentials, DockerEngine, resolve_endpoint};
use crate::registry::{Login, Logins};
use crate::request::BuildRequest;
use crate::run::{self, Ended, Recipe, Surroundings};

/// Reads the Dockerfile and connects to the engine, in this order: what is wrong with the file is
/// told also where no engine answers.
pub(super) async fn prepare(
    request: &BuildRequest,
    global: &Global,
    environment: &Environment,
    session: Session,
) -> Result<(Recipe, Surroundings), Vec<Diagnostic>> {
    let recipe = run::read(request, &session.sink).await.map_err(ended)?;
    let engine = connect(global, environment).await;
    let around = Surroundings {
        engine: engine.map_err(|error| vec![error])?,
        sink: session.sink,
        logins: logins(environment),
        world: environment.world(),
        cancel: session.cancelled,
        gate: None,
        keep: None,
    };
    Ok((recipe, around))
}

/// Who we are at registries that are spoken to without an engine.
pub(super) fn logins(environment: &Environment) -> Arc<dyn Logins> {
    Arc::new(DockerLogins(credentials(environment)))
}

fn credentials(environment: &Environment) -> Credentials {
    let auth_config = environment.named(environment::DOCKER_AUTH_CONFIG.name);
    let auth_config = auth_config.ok().flatten().map(str::to_owned);
    Credentials::new(environment.docker_config_dir(), auth_config)
}

/// Docker's credentials.
struct DockerLogins(Credentials);

#[async_trait]
impl Logins for DockerLogins {
    async fn login(&self, registry: Option<&str>) -> Result<Option<Login>, String> {
        let found = self.0.lookup(registry).await;
        let found = found.map_err(|error| error.to_string())?;
        Ok(found.map(|credential| match credential {
            Credential::Password { username, password } => Login::Password { username, password },
            Credential::IdentityToken(token) => Login::IdentityToken(token),
        }))
    }
}

/// What is said of a build that gave nothing. Of a cancelled one the session says it.
pub(super) fn ended(ended: Ended) -> Vec<Diagnostic> {
    match ended {
        Ended::Failed(diagnostics) => diagnostics.into_iter().collect(),
        Ended::Cancelled => Vec::new(),
    }
}

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
    let engine = DockerEngine::connect_with(&endpoint, credentials(environment)).await;
    Ok(engine.map_err(|error| build::of_engine(&error))?)
}
