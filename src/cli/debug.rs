//! `bowline debug`: a build under the stepper, in the terminal.

use std::io::{self, BufReader, IsTerminal};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use fs_err as fs;
use tokio::sync::mpsc::UnboundedReceiver;

use super::args::{DebugArgs, Global};
use super::connect::{connect, ended, prepare};
use super::environment::{self, Environment};
use super::exit::Exit;
use super::resolve;
use super::result::Outcome;
use super::session::{self, BuildResult, Session};
use crate::build::{self, Command};
use crate::debug::console::{Console, End, Input};
use crate::debug::{
    Catalog, Desk, Ending, HeldEvents, Logs, News, Raw, Stepper, Subject, Tty, shell,
};
use crate::diag::{Class, Diagnostic};
use crate::progress::{Null, Sink, Tee};
use crate::request::BuildRequest;
use crate::run::{self, Built, Ended};

/// The Dockerfile of a request.
pub(super) struct File(pub(super) BuildRequest);

#[async_trait]
impl Subject for File {
    async fn read(&self) -> Result<Catalog, Vec<Diagnostic>> {
        let sink: Arc<dyn Sink> = Arc::new(Null);
        let recipe = run::read(&self.0, &sink).await.map_err(ended)?;
        Ok(Catalog::new(recipe.dockerfile()))
    }
}

/// Builds under a stepper, and again as often as it wants.
pub(super) async fn build_under(
    request: &BuildRequest,
    global: &Global,
    environment: &Environment,
    session: Session,
    stepper: &Arc<Stepper>,
) -> Result<Built, Vec<Diagnostic>> {
    if request.platforms.len() > 1 {
        return Err(vec![
            Diagnostic::error("a build for several platforms cannot be debugged")
                .with_hint("give one `--platform`"),
        ]);
    }
    let memory = Arc::new(build::Session::default());
    loop {
        let (recipe, mut around) = prepare(request, global, environment, session.clone()).await?;
        stepper.read_again(Arc::new(Catalog::new(recipe.dockerfile())));
        around.gate = Some((stepper.clone(), Arc::clone(&memory)));
        let built = run::build(request, &recipe, &around).await;
        match (built, stepper.take_ending()) {
            (Err(Ended::Failed(_)), Some(Ending::Again)) => {}
            (built, _) => return built.map_err(ended),
        }
    }
}

/// Runs the session.
pub(super) async fn debug(
    request: &BuildRequest,
    args: &DebugArgs,
    global: &Global,
    environment: &Environment,
    mut session: Session,
) -> BuildResult {
    let _modes = Tty::remember();
    let (stepper, news) = Stepper::new();
    let logs = Arc::new(Logs::default());
    let subject = Arc::new(File(request.clone()));
    let catalog = subject.read().await?;
    stepper.set_catalog(Arc::new(catalog));
    stepper.stop_on_entry(!args.no_entry);
    let events = Arc::new(HeldEvents::new(session.sink));
    session.sink = Arc::new(Tee(vec![logs.clone(), events.clone()]));
    let mut desk = Desk::new(Arc::clone(&stepper), logs, subject);
    for place in &args.breakpoints {
        let added = desk.run(&format!("break {place}"), &mut |_| {}).await;
        added.map_err(|wrong| vec![Diagnostic::error(format!("`--break {place}`: {wrong}"))])?;
    }
    let input = input(args, environment)?;
    if matches!(input, Input::Person { .. }) {
        let stepper = Arc::clone(&stepper);
        session.on_interrupt(move || stepper.ask_to_pause());
    }
    let cancelled = session.cancelled.clone();
    let console = converse(input, desk, news, events);
    let building = async {
        let built = build_under(request, global, environment, session, &stepper).await;
        stepper.tell_over();
        built
    };
    let console = async {
        let end = console.await;
        stepper.end();
        end
    };
    tokio::pin!(building, console);
    let (built, end) = tokio::select! {
        built = &mut building => {
            // Of a cancelled build the console hears nothing while it waits for a key.
            if cancelled.is_cancelled() {
                return built.map(|_| Outcome::default());
            }
            (built, console.await?)
        }
        end = &mut console => (building.await, end?),
    };
    conclude(built, end)
}

/// Lets a person, or a script, talk to the desk until one of them has enough.
pub(super) async fn converse(
    input: Input,
    desk: Desk,
    news: UnboundedReceiver<News>,
    events: Arc<HeldEvents>,
) -> Result<End, Vec<Diagnostic>> {
    let runtime = tokio::runtime::Handle::current();
    let mut console = Console::new(desk, news, events, input, runtime, Box::new(io::stdout()))
        .map_err(|error| failed(&error))?;
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // When the build was cancelled, nobody waits for the console any more.
        let _ = tell.send(console.run());
    });
    Ok(told.await.unwrap_or(End::Over))
}

pub(super) fn failed(error: &io::Error) -> Vec<Diagnostic> {
    vec![Diagnostic::error(error.to_string()).with_class(Class::Environment)]
}

/// Where commands come from.
pub(super) fn input(args: &DebugArgs, environment: &Environment) -> Result<Input, Vec<Diagnostic>> {
    if let Some(path) = args
        .commands
        .as_deref()
        .filter(|path| *path != Path::new("-"))
    {
        let file = fs::File::open(path).map_err(|error| failed(&error))?;
        return Ok(Input::Script {
            name: path.display().to_string(),
            lines: Box::new(BufReader::new(file)),
        });
    }
    if args.commands.is_some() || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Ok(Input::Script {
            name: "standard input".into(),
            lines: Box::new(BufReader::new(io::stdin())),
        });
    }
    let directory = environment.cache_dir();
    // Without the directory there is no history, which is no reason to stop.
    let _ = fs::create_dir_all(&directory);
    let term = environment.get(environment::TERM).ok().flatten();
    Ok(Input::Person {
        history: directory.join("debug-history"),
        term: term.unwrap_or("xterm").to_owned(),
    })
}

pub(super) fn conclude(built: Result<Built, Vec<Diagnostic>>, end: End) -> BuildResult {
    match end {
        End::Over => {
            let built = built?;
            Ok(Outcome {
                config_digest: built.config_digest,
                image: built.image,
                digest: built.digest,
                described: built.described,
                names: built.names,
                ..Outcome::default()
            })
        }
        End::Quit(code) => Ok(Outcome {
            code,
            ..Outcome::default()
        }),
        End::Script {
            place,
            wrong,
            by_status,
        } => {
            let class = if by_status { Class::Step } else { Class::Yours };
            let wrong = Diagnostic::error(format!("{place}: {wrong}")).with_class(class);
            Err(vec![wrong])
        }
    }
}

/// `bowline debug --join`: connects this terminal to a container of a debug session.
pub(super) fn join(args: &DebugArgs, global: &Global, environment: &Environment) -> Exit {
    let report = resolve::aside(global.debug, environment);
    let container = args.join.clone().unwrap_or_default();
    let command = Command::of_flags(&args.join_args);
    session::run(&report, Vec::new(), |session| async move {
        let engine = connect(global, environment)
            .await
            .map_err(|error| vec![error])?;
        let term = environment.get(environment::TERM).ok().flatten();
        let raw = Raw::enter().map_err(|error| failed(&error))?;
        let terminal = raw.terminal(term.unwrap_or("xterm").to_owned());
        // In raw mode an interrupt is a key like any other; the container's end is ours.
        let attached = shell::attach(&engine, &container, &command, terminal);
        let status = tokio::select! {
            status = attached => status,
            () = session.cancelled.cancelled() => Ok(0),
        };
        drop(raw);
        let status = status.map_err(|error| vec![error])?;
        Ok(Outcome {
            code: u8::try_from(status).unwrap_or(1),
            ..Outcome::default()
        })
    })
}
