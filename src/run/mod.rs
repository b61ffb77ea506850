//! The heart: from a [`BuildRequest`] to an image, in named phases.

mod bases;
mod cache;
mod caches;
mod check;
mod context;
mod dependencies;
mod entitlements;
mod explained;
mod export;
mod facts;
mod kept;
mod layout;
mod lint;
mod network;
mod recipe;
mod remembered;
mod reopen;
mod results;
mod sandbox;
mod secrets;
mod syntax;
mod unsupported;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::build::{self, Builder, Contexts, Ledger, Parts, Secrets, Settings};
use crate::diag::{Class, Diagnostic, Diagnostics};
use crate::engine::{Engine, NetworkMode};
use crate::fetch::{self, Remotes};
use crate::image::Reference;
use crate::output;
use crate::plan::{self, Plan};
use crate::progress::{Event, Numbering, Sink};
use crate::registry::{Logins, Registries};
use crate::request::BuildRequest;
use crate::sandbox::World;
use crate::source::SourceFile;

pub use cache::{Pruned, cache_mounts, cached_steps, prune, remove_cache_mounts};
pub use check::{Checked, check, outline};
pub use dependencies::dependencies;
use explained::Explained;
pub use kept::{Asked, Record, keep, last};
pub use lint::fix;
use remembered::Remembered;
pub use reopen::{Reopened, reopen};
use results::Results;
pub use sandbox::examine;

/// How long a build that was told to stop may take to end when its result is there.
const LONGEST_END: Duration = Duration::from_secs(1);

/// How often a build is made when equal ones beside it take its images away.
const ATTEMPTS: usize = 5;

/// What a build needs from its surroundings.
pub struct Surroundings {
    pub engine: Arc<dyn Engine>,
    pub sink: Arc<dyn Sink>,
    /// Who we are at registries.
    pub logins: Arc<dyn Logins>,
    /// What bowline's own process can be asked of, to find its pod or container.
    pub world: World,
    /// Ends the build early; whatever it made on the way is removed.
    pub cancel: CancellationToken,
    /// A debugger's, and what it remembers between its builds.
    pub gate: Option<(Arc<dyn build::Gate>, Arc<build::Session>)>,
    /// Asks to keep the files of a step that fails.
    pub keep: Option<Arc<build::Keep>>,
}

/// What a build gave.
#[derive(Debug, Clone, Default)]
pub struct Built {
    /// The engine's ID of the image, if it is there.
    pub image: Option<String>,
    /// The digest of its config, where it is an image.
    pub config_digest: Option<String>,
    /// The digest of its manifest, where it has one outside the engine.
    pub digest: Option<String>,
    /// How an index would name it.
    pub described: Option<output::Described>,
    pub names: Vec<Reference>,
    /// How it came to be, for each platform.
    pub facts: Vec<output::Facts>,
}

/// Why there is no image.
#[derive(Debug)]
pub enum Ended {
    Failed(Diagnostics),
    Cancelled,
}

impl From<Diagnostics> for Ended {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Failed(diagnostics)
    }
}

impl From<Diagnostic> for Ended {
    fn from(diagnostic: Diagnostic) -> Self {
        let mut all = Diagnostics::new();
        all.push(diagnostic);
        Self::Failed(all)
    }
}

/// Everything that is known before the first step runs.
struct Prepared {
    plan: Arc<Plan>,
    bases: bases::Bases,
    materials: Vec<output::Material>,
    network: NetworkMode,
    elsewhere: Option<Arc<dyn build::Elsewhere>>,
    /// The container that bowline itself lives in, if that is known.
    home: Option<String>,
}

/// The Dockerfile, read: what can be wrong with it alone is told before an engine is asked.
pub struct Recipe {
    parsed: crate::dockerfile::Parsed,
    contexts: Contexts,
    remotes: Arc<Remotes>,
    numbering: Arc<Numbering>,
    secrets: Secrets,
    /// Where an ignore file may be.
    ignore: Option<std::path::PathBuf>,
}

impl Recipe {
    /// The Dockerfile, parsed.
    pub fn dockerfile(&self) -> &crate::dockerfile::ast::Dockerfile {
        &self.parsed.dockerfile
    }
}

/// Reads the Dockerfile.
///
/// # Errors
/// With every independent mistake in it.
pub async fn read(request: &BuildRequest, sink: &Arc<dyn Sink>) -> Result<Recipe, Ended> {
    open(request, sink).await?.read(request)
}

/// The text of the Dockerfile, and where it came from.
pub struct Opened {
    pub source: Arc<SourceFile>,
    main: context::Main,
    remotes: Arc<Remotes>,
    numbering: Arc<Numbering>,
}

/// Fetches what the Dockerfile is in, and its text.
///
/// # Errors
/// When it cannot be read.
pub async fn open(request: &BuildRequest, sink: &Arc<dyn Sink>) -> Result<Opened, Ended> {
    open_text(request, sink, None).await
}

/// As [`open`], with a text in the place of the Dockerfile's.
///
/// # Errors
/// When it cannot be read.
pub async fn open_text(
    request: &BuildRequest,
    sink: &Arc<dyn Sink>,
    text: Option<Arc<SourceFile>>,
) -> Result<Opened, Ended> {
    unsupported::refuse(request)?;
    export::check(request)?;
    let numbering = Arc::new(Numbering::new(Arc::clone(sink)));
    let remotes = Arc::new(Remotes::new(fetch::Settings {
        proxies: request.proxies.clone(),
        cache_dir: request.cache_dir.clone(),
        scratch_dir: request.scratch_dir.clone(),
    }));
    let main = context::main(request, &remotes, &numbering).await?;
    let source = match text {
        Some(text) => text,
        None => recipe::dockerfile(request, &main, &remotes).await?,
    };
    Ok(Opened {
        source,
        main,
        remotes,
        numbering,
    })
}

impl Opened {
    /// Reads the text.
    ///
    /// # Errors
    /// With every independent mistake in it.
    pub fn read(self, request: &BuildRequest) -> Result<Recipe, Ended> {
        let source = &self.source;
        syntax::check(request, source)?;
        let parsed = crate::dockerfile::parse(source)?;
        let contexts = context::contexts(request, self.main, source, &self.remotes)?;
        let ignore = context::ignore_file(request, source);
        Ok(Recipe {
            parsed,
            contexts,
            remotes: self.remotes,
            numbering: self.numbering,
            secrets: secrets::read(&request.secrets)?,
            ignore,
        })
    }
}

/// Builds an image.
///
/// # Errors
/// With what is wrong, or when it was cancelled. Nothing of the build is left running.
pub async fn build(
    request: &BuildRequest,
    recipe: &Recipe,
    around: &Surroundings,
) -> Result<Built, Ended> {
    let began = Instant::now();
    let ledger = Arc::new(Ledger::new(Arc::clone(&around.engine), build::new_id()));
    let mut work = Box::pin(build_in(request, recipe, around, &ledger));
    let result = tokio::select! {
        result = &mut work => result,
        () = around.cancel.cancelled() => unless_named(work, &ledger).await,
    };
    let closed = match &result {
        Err(Ended::Cancelled) => ledger.abandon().await,
        Ok(_) | Err(Ended::Failed(_)) => ledger.close().await,
    };
    if let (Err(_), Err(error)) = (&result, &closed) {
        // What ended the build matters more; the next start sweeps again.
        tracing::warn!(%error, "something of the build may be left in the engine");
    }
    let built = result?;
    closed.map_err(|error| build::of_engine(&error))?;
    if let Some(image) = built.image.clone() {
        around.sink.emit(Event::Built {
            image,
            tags: built.names.iter().map(ToString::to_string).collect(),
            took: began.elapsed(),
        });
    }
    Ok(built)
}

/// The end of a build that was told to stop: a result that has its names by now counts, if it is
/// all that was asked for. The work ends with this.
async fn unless_named(
    mut work: Pin<Box<impl Future<Output = Result<Built, Ended>>>>,
    ledger: &Ledger,
) -> Result<Built, Ended> {
    tokio::select! {
        biased;
        result = &mut work => return result,
        named = ledger.naming() => if !*named {
            return Err(Ended::Cancelled);
        }
    }
    let rest = tokio::time::timeout(LONGEST_END, work).await;
    rest.unwrap_or(Err(Ended::Cancelled))
}

async fn build_in(
    request: &BuildRequest,
    recipe: &Recipe,
    around: &Surroundings,
    ledger: &Arc<Ledger>,
) -> Result<Built, Ended> {
    // What killed builds left goes away beside this build.
    let sweeper = Arc::clone(ledger);
    let sweeping = tokio::spawn(async move { sweeper.sweep().await });
    let numbering = Arc::clone(&recipe.numbering);
    warn(recipe, around);
    let network = join(request, around, &numbering).await?;
    let mut attempts = 1..ATTEMPTS;
    let built = loop {
        let built = if request.platforms.len() > 1 {
            build_several(request, recipe, around, ledger, &numbering, &network).await
        } else {
            build_one(request, recipe, around, ledger, &numbering, &network).await
        };
        match built {
            Err(Ended::Failed(failed))
                if failed.iter().any(build::is_race) && attempts.next().is_some() =>
            {
                numbering.note("an equal build runs beside this one: looking again".into());
            }
            built => break built?,
        }
    };
    match sweeping.await {
        Ok(Ok(0)) => {}
        Ok(Ok(count)) => numbering.note(format!("removed {count} containers of killed builds")),
        Ok(Err(error)) => tracing::warn!(%error, "leftovers of killed builds stay"),
        Err(error) => tracing::warn!(%error, "leftovers of killed builds stay"),
    }
    Ok(built)
}

async fn build_one(
    request: &BuildRequest,
    recipe: &Recipe,
    around: &Surroundings,
    ledger: &Arc<Ledger>,
    numbering: &Arc<Numbering>,
    network: &network::Network,
) -> Result<Built, Ended> {
    let prepared = prepare(request, recipe, around, numbering, network, false).await?;
    let plan = Arc::clone(&prepared.plan);
    let facts = facts::begin(request, recipe, around, &prepared.materials);
    let builder = builder(request, recipe, around, ledger, numbering, prepared);
    let explained = Explained::open(request, around.engine.info());
    let results = Results::open(request, around.engine.info());
    // A debugger walks through known steps as well, and what it builds may be changed by hand.
    let known = match around.gate {
        None => results.of(&plan, &builder).await?,
        Some(_) => None,
    };
    let built = match known.as_ref() {
        Some(known) => known.find(request, &*around.engine).await?,
        None => None,
    };
    if let Some(mut built) = built {
        builder.show_target_cached();
        explained.all_found(numbering);
        recipe.contexts.save();
        built.facts = vec![facts::end(facts)];
        Ok(built)
    } else {
        let snapshot = builder.build().await;
        recipe.contexts.save();
        explained.tell(&builder, numbering);
        let snapshot = snapshot.map_err(|failure| (*failure).clone())?;
        // A result with a secret in it is found step by step, so that it is told of.
        let clean = snapshot.layers.iter().all(|layer| layer.leaks.is_empty());
        let result = export::Result {
            plan,
            snapshot,
            facts: facts::end(facts),
            inline: caches::inline(request, &builder).await?,
        };
        let built = export::export(request, around, ledger, &[result], numbering).await?;
        caches::send(request, around, &builder, numbering).await?;
        if let Some(known) = known.filter(|_| clean) {
            known.keep(&built);
        }
        Ok(built)
    }
}

/// Builds for one platform after the other.
async fn build_several(
    request: &BuildRequest,
    recipe: &Recipe,
    around: &Surroundings,
    ledger: &Arc<Ledger>,
    numbering: &Arc<Numbering>,
    network: &network::Network,
) -> Result<Built, Ended> {
    let mut results = Vec::new();
    for (at, platform) in request.platforms.iter().enumerate() {
        let one = BuildRequest {
            platforms: vec![platform.clone()],
            ..request.clone()
        };
        // What is to be said about the file is said once.
        let told = at > 0;
        let prepared = prepare(&one, recipe, around, numbering, network, told).await?;
        let plan = Arc::clone(&prepared.plan);
        let facts = facts::begin(&one, recipe, around, &prepared.materials);
        let builder = builder(&one, recipe, around, ledger, numbering, prepared);
        let snapshot = builder.build().await;
        recipe.contexts.save();
        let snapshot = snapshot.map_err(|failure| (*failure).clone())?;
        results.push(export::Result {
            plan,
            snapshot,
            facts: facts::end(facts),
            inline: caches::inline(&one, &builder).await?,
        });
    }
    export::export(request, around, ledger, &results, numbering).await
}

fn warn(recipe: &Recipe, around: &Surroundings) {
    for warning in &recipe.parsed.warnings {
        around.sink.emit(Event::Warning(
            warning.render(crate::diag::Style::default()),
        ));
    }
}

/// The network of `RUN`, and a word about it.
async fn join(
    request: &BuildRequest,
    around: &Surroundings,
    numbering: &Numbering,
) -> Result<network::Network, Ended> {
    let network = network::choose(&request.network, &around.world, &*around.engine).await?;
    if let Some(line) = &network.note {
        numbering.note(line.clone());
    }
    Ok(network)
}

/// Plans the Dockerfile and finds its base images; `told` says that the linter's findings are
/// known.
async fn prepare(
    request: &BuildRequest,
    recipe: &Recipe,
    around: &Surroundings,
    numbering: &Numbering,
    network: &network::Network,
    told: bool,
) -> Result<Prepared, Ended> {
    let engine = &*around.engine;
    let options = plan::Options {
        trace: around.gate.is_some(),
        ..recipe::plan_options(request, engine.info())?
    };
    let dockerfile = &recipe.parsed.dockerfile;
    let mut linted = lint::Telling::new(
        lint::linter(request, dockerfile, recipe.ignore.as_deref())?,
        (!told).then_some(&*around.sink),
        request.report.debug,
    );
    crate::lint::file(&mut linted.lint, dockerfile);
    let mut graph = plan::graph(dockerfile, options, &mut linted.lint)?;
    let (bases, materials) = {
        let remembered = Remembered::open(&request.cache_dir, engine.info());
        bases::supply(&mut graph, engine, request, &remembered, numbering).await?
    };
    let plan = Arc::new(graph.bind(&mut linted.lint)?);
    linted.end()?;
    entitlements::check(&plan, &request.allow, numbering)?;
    Ok(Prepared {
        plan,
        bases,
        materials,
        elsewhere: caches::sources(request, around, &recipe.numbering)?,
        network: network.mode.clone(),
        home: network.home.clone(),
    })
}

fn builder(
    request: &BuildRequest,
    recipe: &Recipe,
    around: &Surroundings,
    ledger: &Arc<Ledger>,
    numbering: &Arc<Numbering>,
    prepared: Prepared,
) -> Arc<Builder> {
    if let Some(home) = &prepared.home {
        ledger.lives_in(home);
    }
    Builder::new(Parts {
        engine: Arc::clone(&around.engine),
        ledger: Arc::clone(ledger),
        plan: prepared.plan,
        bases: prepared.bases,
        contexts: recipe.contexts.clone(),
        remotes: Arc::clone(&recipe.remotes),
        settings: Settings {
            network: prepared.network,
            identity: request.identity.clone(),
            extra_hosts: request.add_hosts.iter().map(ToString::to_string).collect(),
            limits: request.limits.clone(),
            no_cache: request.no_cache,
            no_cache_stages: request.no_cache_filter.clone(),
            parallel: request.parallel,
            scratch: request.scratch_dir.clone(),
            secrets: recipe.secrets.clone(),
            share: request.share && around.gate.is_none(),
            leak_guard: request.leak_guard,
        },
        numbering: Arc::clone(numbering),
        gate: around.gate.clone(),
        keep: around.keep.clone(),
        elsewhere: prepared.elsewhere,
    })
}

/// What `bowline plan` prints.
///
/// # Errors
/// As [`build`].
pub async fn preview(
    request: &BuildRequest,
    recipe: &Recipe,
    around: &Surroundings,
) -> Result<String, Ended> {
    let ledger = Arc::new(Ledger::new(Arc::clone(&around.engine), build::new_id()));
    let numbering = Arc::clone(&recipe.numbering);
    warn(recipe, around);
    let network = join(request, around, &numbering).await?;
    let prepared = prepare(request, recipe, around, &numbering, &network, false).await?;
    let plan = Arc::clone(&prepared.plan);
    let builder = builder(request, recipe, around, &ledger, &numbering, prepared);
    let found = builder.preview().await;
    recipe.contexts.save();
    let closed = ledger.close().await;
    let found = found.map_err(|failure| (*failure).clone())?;
    closed.map_err(|error| build::of_engine(&error))?;
    Ok(build::show_preview(&plan, &found))
}

/// How registries are spoken to.
fn registries(request: &BuildRequest, around: &Surroundings) -> Result<Registries, Diagnostic> {
    let logins = Arc::clone(&around.logins);
    Registries::new(&request.proxies, logins, request.patience)
}

/// An error that is about the machine, not about the person's files.
fn environment(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(message).with_class(Class::Environment)
}
