//! `bowline debug --last`: the failed step of a build that is over, and what a failing build
//! leaves for it.

use std::ffi::OsString;
use std::sync::Arc;

use clap::Parser as _;

use super::args::{Cli, Command, DebugArgs, Global};
use super::connect::{connect, ended, logins};
use super::debug::{self, File};
use super::environment::Environment;
use super::exit::Exit;
use super::resolve;
use super::session::{self, BuildResult, Session};
use crate::build::FailedStep;
use crate::debug::console::End;
use crate::debug::{Catalog, Desk, HeldEvents, Logs, News, Stepper, Stop, Tty};
use crate::diag::{Class, Diagnostic};
use crate::image::Platform;
use crate::progress::Tee;
use crate::request::{BuildRequest, ContextSource};
use crate::run::{self, Asked, Recipe, Record, Surroundings};
use crate::source::SourceFile;

/// A command line without what the docker CLI puts in front of it.
pub(super) fn as_words(words: &[OsString]) -> Vec<OsString> {
    let plugin = words
        .first()
        .is_some_and(|word| super::plugin::is_plugin(word));
    if !plugin {
        return words.to_vec();
    }
    let own = words.iter().skip_while(|word| *word != "bowline");
    own.cloned().collect()
}

/// Keeps the failed step of a build; gives what is to be said of it.
pub(super) async fn keep(
    request: &BuildRequest,
    words: &[OsString],
    recipe: &Recipe,
    around: &Surroundings,
    kept: FailedStep,
) -> Option<Diagnostic> {
    let words: Option<Vec<String>> = words
        .iter()
        .map(|word| word.to_str().map(str::to_owned))
        .collect();
    let asked = Asked {
        words: words?,
        directory: std::env::current_dir().ok()?,
        build_args: request.build_args.clone(),
        platforms: request.platforms.iter().map(ToString::to_string).collect(),
    };
    let engine = &*around.engine;
    let record = Record::new(asked, &recipe.dockerfile().source, engine, kept);
    match run::keep(&record, &request.cache_dir, request.keep_failed, engine).await {
        Ok(()) => Some(Diagnostic::note(
            "the failed step is kept: `bowline debug --last` opens it",
        )),
        Err(error) => {
            tracing::warn!(%error, "the failed step cannot be kept");
            None
        }
    }
}

/// Opens the failed step that was kept last.
pub(super) fn open(args: &DebugArgs, global: &Global, environment: &Environment) -> Exit {
    let report = resolve::aside(global.debug, environment);
    session::run(&report, Vec::new(), async |session: Session| {
        let engine = connect(global, environment).await.map_err(|e| vec![e])?;
        let record = run::last(&environment.cache_dir(), &*engine).map_err(|e| vec![e])?;
        let request = request(&record, environment).map_err(|wrong| vec![wrong])?;
        let around = Surroundings {
            engine,
            sink: session.sink.clone(),
            logins: logins(environment),
            world: environment.world(),
            cancel: session.cancelled.clone(),
            gate: None,
            keep: None,
        };
        look(args, environment, session, around, &record, request).await
    })
}

/// The build's request, as it was made.
fn request(record: &Record, environment: &Environment) -> Result<BuildRequest, Diagnostic> {
    let directory = &record.directory;
    std::env::set_current_dir(directory).map_err(|error| {
        let what = format!("cannot go to `{}`: {error}", directory.display());
        Diagnostic::error(what).with_class(Class::Environment)
    })?;
    let lost =
        |why: String| Diagnostic::error(format!("the build cannot be asked for again: {why}"));
    let cli = Cli::try_parse_from(&record.words).map_err(|error| lost(error.to_string()))?;
    let Command::Build(args) = cli.command else {
        return Err(lost("it was no build".into()));
    };
    let mut request = resolve(&args, false, environment)?.request;
    request.build_args.clone_from(&record.build_args);
    request.network = resolve::network(Some(&record.network), environment)?;
    let here = Platform::new("linux", std::env::consts::ARCH, None);
    request.platforms = record
        .platforms
        .iter()
        .map(|text| Platform::parse(text, &here).map_err(lost))
        .collect::<Result<_, _>>()?;
    request.pull = false;
    Ok(request)
}

async fn look(
    args: &DebugArgs,
    environment: &Environment,
    mut session: Session,
    mut around: Surroundings,
    record: &Record,
    mut request: BuildRequest,
) -> BuildResult {
    let _modes = Tty::remember();
    let empty = tempfile::tempdir_in(&request.scratch_dir);
    let empty = empty.map_err(|error| debug::failed(&error))?;
    // Nothing is copied any more, so what came from elsewhere is not fetched again.
    if !matches!(request.context, ContextSource::Directory(_)) {
        request.context = ContextSource::Directory(empty.path().to_owned());
    }
    let logs = Arc::new(Logs::default());
    let events = Arc::new(HeldEvents::new(session.sink));
    session.sink = Arc::new(Tee(vec![logs.clone(), events.clone()]));
    let (name, text) = &record.dockerfile;
    let source = SourceFile::from_bytes(name, text.as_bytes());
    let opened = run::open_text(&request, &session.sink, Some(source)).await;
    let recipe = opened.map_err(ended)?.read(&request).map_err(ended)?;
    let (stepper, _) = Stepper::new();
    stepper.stop_on_failure(false);
    stepper.set_catalog(Arc::new(Catalog::new(recipe.dockerfile())));
    around.sink = session.sink.clone();
    around.gate = Some((stepper.clone(), Arc::default()));
    let reopened = run::reopen(&request, &recipe, &around, &record.failed_step()).await;
    let reopened = reopened.map_err(ended)?;
    let mut desk = Desk::new(stepper, logs, Arc::new(File(request)));
    desk.after_the_fact = true;
    let (tell, news) = tokio::sync::mpsc::unbounded_channel();
    // The other end is the console's, which has not begun.
    let _ = tell.send(News::Stopped(Stop::after_the_fact(reopened.site.clone())));
    let input = debug::input(args, environment)?;
    let end = tokio::select! {
        end = debug::converse(input, desk, news, events) => end?,
        () = session.cancelled.cancelled() => End::Quit(0),
    };
    reopened.close().await.map_err(ended)?;
    debug::conclude(Ok(run::Built::default()), end)
}
