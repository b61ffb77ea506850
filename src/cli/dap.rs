//! `bowline dap`: builds under the stepper for editors, over standard input and output or TCP.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use clap::Parser as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::args::{Cli, Command as Subcommand, DapArgs, Global};
use super::debug::{File, build_under};
use super::environment::{self, Environment};
use super::exit::Exit;
use super::resolve;
use super::result::{self, Outcome};
use super::session::{self, BuildResult, Session};
use crate::build::Command;
use crate::debug::dap::{Debuggee, Launch, Launcher, serve};
use crate::debug::{Catalog, Stepper, Subject};
use crate::diag::{Class, Diagnostic};
use crate::progress::Sink;
use crate::request::{BuildRequest, ContextSource, DockerfileSource};

/// Serves until the editor has gone; with an address, until it is stopped.
pub(super) fn dap(args: &DapArgs, global: &Global, environment: &Environment) -> Exit {
    let launcher = Arc::new(Starter {
        global: global.clone(),
        environment: environment.clone(),
    });
    let report = resolve::aside(global.debug, environment);
    session::run(&report, Vec::new(), |session| async move {
        match &args.listen {
            None => {
                let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
                serve(input, output, launcher, session.cancelled).await;
                Ok(Outcome::default())
            }
            Some(address) => listen(address, launcher, session).await,
        }
    })
}

async fn listen(address: &str, launcher: Arc<Starter>, session: Session) -> BuildResult {
    let failed = |error: std::io::Error| {
        let message = format!("cannot listen at `{address}`: {error}");
        vec![Diagnostic::error(message).with_class(Class::Environment)]
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let own = listener.local_addr().map_err(failed)?;
    result::print(&format!("listening at {own}\n"))?;
    let editors = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = session.cancelled.cancelled() => break,
        };
        let (stream, _) = accepted.map_err(failed)?;
        let (input, output) = stream.into_split();
        let (launcher, cancel) = (launcher.clone(), session.cancelled.clone());
        editors.spawn(async move { serve(input, output, launcher, cancel).await });
    }
    editors.close();
    editors.wait().await;
    Ok(Outcome::default())
}

/// Makes builds of what editors ask for.
struct Starter {
    global: Global,
    environment: Environment,
}

impl Launcher for Starter {
    fn launch(&self, launch: &Launch) -> Result<Arc<dyn Debuggee>, Vec<Diagnostic>> {
        let words = words(launch);
        let wrong = |text: String| vec![Diagnostic::error(text)];
        let cli = Cli::try_parse_from(&words).map_err(|error| wrong(error.to_string()))?;
        let Subcommand::Build(args) = cli.command else {
            return Err(wrong(
                "`args` may hold flags of `bowline build` only".into(),
            ));
        };
        let resolved = resolve(&args, false, &self.environment);
        let request = resolved.map_err(|diagnostic| vec![diagnostic])?.request;
        Ok(Arc::new(Started {
            file: File(request),
            global: self.global.clone(),
            environment: self.environment.clone(),
        }))
    }
}

/// The command line that a launch stands for.
fn words(launch: &Launch) -> Vec<String> {
    let mut words = vec!["bowline".to_owned(), "build".to_owned()];
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    if let Some(dockerfile) = &launch.dockerfile {
        words.push(format!("--file={}", path(dockerfile)));
    }
    if let Some(target) = launch.target.as_ref().filter(|target| !target.is_empty()) {
        words.push(format!("--target={target}"));
    }
    if let Some(network) = &launch.network {
        words.push(format!("--network={network}"));
    }
    for (name, value) in &launch.build_args {
        words.push(format!("--build-arg={name}={value}"));
    }
    words.extend(launch.args.iter().cloned());
    words.push("--".to_owned());
    let context = launch.context_path.as_ref().map(path);
    words.push(context.unwrap_or_else(|| ".".to_owned()));
    words
}

/// One launched build.
struct Started {
    file: File,
    global: Global,
    environment: Environment,
}

impl Started {
    fn request(&self) -> &BuildRequest {
        &self.file.0
    }
}

#[async_trait]
impl Subject for Started {
    async fn read(&self) -> Result<Catalog, Vec<Diagnostic>> {
        self.file.read().await
    }
}

#[async_trait]
impl Debuggee for Started {
    fn path(&self) -> PathBuf {
        let path = match (&self.request().dockerfile, &self.request().context) {
            (DockerfileSource::Path(path), _) => path.clone(),
            (DockerfileSource::InContext, ContextSource::Directory(directory)) => {
                let path = directory.join("Dockerfile");
                let lower = directory.join("dockerfile");
                if !path.exists() && lower.exists() {
                    lower
                } else {
                    path
                }
            }
            _ => PathBuf::from("Dockerfile"),
        };
        fs_err::canonicalize(&path).unwrap_or(path)
    }

    async fn run(
        &self,
        stepper: Arc<Stepper>,
        sink: Arc<dyn Sink>,
        cancel: CancellationToken,
    ) -> Result<Option<String>, Vec<Diagnostic>> {
        let session = Session::of(sink, cancel);
        let (global, environment) = (&self.global, &self.environment);
        let built = build_under(self.request(), global, environment, session, &stepper).await;
        // Builds with outputs of files leave no image.
        built.map(|built| built.image)
    }

    fn join(&self, container: &str, command: &Command) -> Vec<String> {
        let program = std::env::current_exe();
        let program = program.map_or_else(|_| "bowline".into(), |p| p.display().to_string());
        let mut words = vec![program];
        let host = environment::DOCKER_HOST.name;
        let host = self
            .environment
            .named(host)
            .ok()
            .flatten()
            .map(str::to_owned);
        if let Some(context) = &self.global.context {
            words.push(format!("--context={context}"));
        } else if let Some(host) = self.global.host.clone().or(host) {
            words.push(format!("--host={host}"));
        }
        words.extend([
            "debug".to_owned(),
            format!("--join={container}"),
            "--".to_owned(),
        ]);
        words.extend(command.flags());
        words
    }
}
