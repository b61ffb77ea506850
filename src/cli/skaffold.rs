//! `bowline skaffold`: the other way into a build, and what goes with it.

use std::ffi::OsString;
use std::path::Path;

use clap::Parser as _;

use super::args::{BuildArgs, Cli, Command, Global, SkaffoldArgs, SkaffoldCommand};
use super::connect::{self, ended};
use super::environment::Environment;
use super::exit::Exit;
use super::parent::{Parent, started_with};
use super::result::{self, Outcome};
use super::session::{self, BuildResult, Session};
use super::{build, refused, resolve, told, with_request};
use crate::diag::{Class, Diagnostic};
use crate::progress::Event;
use crate::request::BuildRequest;
use crate::run;
use crate::skaffold::{Contract, NAMES, Stale, rewrite};

/// Carries a command out.
pub(super) fn skaffold(args: SkaffoldArgs, global: &Global, environment: &Environment) -> Exit {
    match args.command {
        None => build_contract(&args.flags, global, environment),
        Some(SkaffoldCommand::Deps { flags }) => deps(&flags, global, environment),
        Some(SkaffoldCommand::Init { file, dry_run }) => init(&file, dry_run, environment),
    }
}

/// Builds what skaffold's variables say.
fn build_contract(flags: &[OsString], global: &Global, environment: &Environment) -> Exit {
    let parent = Parent::now();
    let stale = Stale {
        names: started_with(&NAMES),
    };
    let variable = |name: &str| environment.named(name).ok().flatten().map(str::to_owned);
    let here = std::env::current_dir().unwrap_or_else(|_| ".".into());
    let contract = match Contract::read(variable, &here, &stale) {
        Ok(contract) => contract,
        Err(diagnostic) => return refused(&diagnostic, environment),
    };
    let words = contract.words(flags);
    let (args, inner) = match parse(words.clone(), global) {
        Ok(parsed) => parsed,
        Err(exit) => return exit,
    };
    with_request(&args, &inner, environment, |request, mut warnings| {
        warnings.extend(elsewhere(&contract, &here));
        session::run(&request.report, warnings, |session| {
            let asked = (&request, words.as_slice());
            contracted(&contract, asked, &inner, environment, session, parent)
        })
    })
}

/// Builds, and stops when nobody wants the image any more or it takes too long.
async fn contracted(
    contract: &Contract,
    (request, words): (&BuildRequest, &[OsString]),
    global: &Global,
    environment: &Environment,
    session: Session,
    parent: Parent,
) -> BuildResult {
    if let Some(cluster) = &contract.cluster {
        let note = format!("skaffold builds for the cluster {cluster}");
        session.sink.emit(Event::Note(note));
    }
    let cancelled = session.cancelled.clone();
    let late = async {
        match contract.timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let mut work = Box::pin(build::build(request, words, global, environment, session));
    let why = tokio::select! {
        result = &mut work => return result,
        () = parent.gone() => "the process that wanted the image is gone",
        () = late => "the build takes longer than skaffold's `TIMEOUT`",
    };
    cancelled.cancel();
    // It ends soon, and cleans up first.
    match work.await {
        Ok(outcome) => Ok(outcome),
        Err(_) => Err(vec![Diagnostic::error(why).with_class(Class::Environment)]),
    }
}

/// skaffold runs the command in the context, unless the command goes elsewhere.
fn elsewhere(contract: &Contract, here: &Path) -> Option<String> {
    let real = |path: &Path| fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    (real(&contract.context) != real(here)).then(|| {
        format!(
            "`BUILD_CONTEXT` is `{}`, but the build command runs in `{}`: if that surprises you, the variable was set where skaffold was started",
            contract.context.display(),
            here.display()
        )
    })
}

/// Prints the files that a build reads.
fn deps(flags: &[OsString], global: &Global, environment: &Environment) -> Exit {
    let words = ["bowline", "build"].map(OsString::from).into_iter();
    let words = words.chain(flags.iter().cloned());
    let words = words.chain(["--".into(), ".".into()]);
    let (args, inner) = match parse(words.collect(), global) {
        Ok(parsed) => parsed,
        Err(exit) => return exit,
    };
    let inner = &inner;
    with_request(&args, inner, environment, |request, _| {
        let report = resolve::aside(inner.debug, environment);
        session::run(&report, Vec::new(), async |session: Session| {
            let recipe = run::read(&request, &session.sink).await.map_err(ended)?;
            // Without an engine the base images' variables are not known, and the rest is.
            let engine = connect::connect(inner, environment).await.ok();
            let files = run::dependencies(&request, &recipe, engine.as_deref()).await;
            let list = serde_json::to_string(&files.map_err(ended)?).expect("a list of texts");
            result::print(&format!("{list}\n"))?;
            Ok(Outcome::default())
        })
    })
}

/// Rewrites a skaffold.yaml and prints the difference.
fn init(file: &Path, dry_run: bool, environment: &Environment) -> Exit {
    let failed = |error: std::io::Error| {
        let error = Diagnostic::error(error.to_string()).with_class(Class::Environment);
        refused(&error, environment)
    };
    let name = file.display().to_string();
    let old = match fs_err::read_to_string(file) {
        Ok(old) => old,
        Err(error) => return failed(error),
    };
    let new = match rewrite(&old) {
        Ok(new) => new,
        Err(why) => {
            let error = Diagnostic::error(format!("`{name}` cannot be read: {why}"));
            return refused(&error, environment);
        }
    };
    let diff = similar::TextDiff::from_lines(&old, &new.text);
    let diff = diff.unified_diff().header(&name, &name).to_string();
    if let Err(errors) = result::print(&diff) {
        return errors
            .first()
            .map_or(Exit::OutputClosed, |error| refused(error, environment));
    }
    if !dry_run
        && !new.images.is_empty()
        && let Err(error) = fs_err::write(file, &new.text)
    {
        return failed(error);
    }
    let mut notes = new.notes;
    if new.images.is_empty() {
        notes.push(format!("`{name}` has no artifact to change"));
    }
    told(Ok(notes), environment)
}

/// The flags of the build command as a `bowline build` has them; those before `skaffold` count
/// where these say nothing.
fn parse(words: Vec<OsString>, outer: &Global) -> Result<(BuildArgs, Global), Exit> {
    let cli = Cli::try_parse_from(words).map_err(|error| {
        // What cannot be printed has nobody to read it.
        let _ = error.print();
        Exit::Failed(Class::Yours)
    })?;
    let Command::Build(args) = cli.command else {
        unreachable!("the words say `build`");
    };
    let given = cli.global.host.is_some() || cli.global.context.is_some();
    let place = if given { &cli.global } else { outer };
    let global = Global {
        host: place.host.clone(),
        context: place.context.clone(),
        debug: cli.global.debug || outer.debug,
    };
    Ok((*args, global))
}
