//! One run of a build: its display, its log, and the reasons to stop it.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use indicatif::ProgressDrawTarget;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::result::{self, Outcome};
use super::{logfile, show};
use crate::diag::{Class, Diagnostic};
use crate::progress::{Display, Event, Json, Log, Output, Plain, Quiet, Render, Sink, Tty};
use crate::request::{ProgressMode, Report};

/// How often a terminal is drawn at most, per second.
const DRAWINGS: u8 = 12;

/// What a build gets from the command line besides its request.
#[derive(Clone)]
pub struct Session {
    /// Where events go.
    pub sink: Arc<dyn Sink>,
    /// Says that the build shall stop, clean up and end.
    pub cancelled: CancellationToken,
}

/// What a build ends with: what came of it, or what is wrong.
pub type BuildResult = Result<Outcome, Vec<Diagnostic>>;

/// Runs `work` to its end, or until a second signal, and tells what came of it.
pub(super) fn run<F, W>(report: &Report, warnings: Vec<String>, work: W) -> Exit
where
    F: Future<Output = BuildResult>,
    W: FnOnce(Session) -> F,
{
    match start(report, warnings, work) {
        Ok(exit) => exit,
        Err(error) => {
            let error = Diagnostic::error(format!("cannot start: {error}"));
            show(&error.with_class(Class::Environment), report.color);
            Exit::Failed(Class::Environment)
        }
    }
}

fn start<F, W>(report: &Report, warnings: Vec<String>, work: W) -> io::Result<Exit>
where
    F: Future<Output = BuildResult>,
    W: FnOnce(Session) -> F,
{
    if report.debug {
        trace();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let stop = Stop::default();
    let now = Timestamp::now();
    let mut outputs = vec![display(report, now, &stop)];
    let log = logfile::create(&report.log_dir, now).map(|(path, file)| {
        outputs.push(Output {
            render: Box::new(Log::new(file, now)),
            // The log is for afterwards; the build goes on without.
            on_broken: Box::new(|error| tracing::warn!(%error, "the log ends here")),
        });
        path
    });
    let display = Arc::new(Display::start(outputs)?);
    for warning in warnings {
        display.emit(Event::Warning(warning));
    }
    if let Err(error) = &log {
        display.emit(Event::Warning(format!("no log is kept: {error}")));
    }
    let session = Session {
        sink: display.clone(),
        cancelled: stop.token.clone(),
    };
    let result = runtime.block_on(async {
        tokio::select! {
            result = work(session) => Some(result),
            () = signals(&stop) => None,
        }
    });
    // What is still at work has been told to stop, and is not waited for.
    runtime.shutdown_background();
    display.finish();
    Ok(end(report, result, stop.cause.get().copied(), log.ok()))
}

/// Tells what came of the build. Where it was told to stop, that is the reason, and what the
/// build says of its stopping is not shown.
fn end(
    report: &Report,
    result: Option<BuildResult>,
    cause: Option<Exit>,
    log: Option<PathBuf>,
) -> Exit {
    let exit = match (result, cause) {
        (Some(Ok(outcome)), _) => match result::write(&outcome, report) {
            Ok(()) => return Exit::Success,
            Err(diagnostic) => {
                show(&diagnostic, report.color);
                return Exit::Failed(diagnostic.class);
            }
        },
        (_, Some(Exit::OutputClosed)) => return Exit::OutputClosed,
        (_, Some(cause)) => {
            show(&Diagnostic::error("the build was cancelled"), report.color);
            cause
        }
        (Some(Err(diagnostics)), None) => {
            for diagnostic in &diagnostics {
                show(diagnostic, report.color);
            }
            let error = diagnostics.iter().find(|diagnostic| diagnostic.is_error());
            Exit::Failed(error.map_or(Class::Yours, |error| error.class))
        }
        // Only a signal ends the waiting without a result, and it is the cause.
        (None, None) => Exit::Failed(Class::Environment),
    };
    if let Some(path) = log {
        let note = format!("the whole log is in `{}`", path.display());
        show(&Diagnostic::note(note), report.color);
    }
    exit
}

/// The first reason to stop counts.
#[derive(Clone, Default)]
struct Stop {
    token: CancellationToken,
    cause: Arc<OnceLock<Exit>>,
}

impl Stop {
    fn now(&self, cause: Exit) {
        // A later cause changes nothing.
        let _ = self.cause.set(cause);
        self.token.cancel();
    }
}

/// Stops the build at the first signal, and returns at the second.
async fn signals(stop: &Stop) {
    let kinds = [
        (SignalKind::hangup(), 1),
        (SignalKind::interrupt(), 2),
        (SignalKind::terminate(), 15),
    ];
    let waits = kinds.map(|(kind, number)| {
        Box::pin(async move {
            let Ok(mut signals) = signal(kind) else {
                // Then it has its default effect.
                return std::future::pending().await;
            };
            signals.recv().await;
            stop.now(Exit::Signal(number));
            signals.recv().await;
        })
    });
    futures::future::select_all(waits).await;
}

fn display(report: &Report, now: Timestamp, stop: &Stop) -> Output {
    let out = io::stderr;
    let render: Box<dyn Render> = match report.progress {
        ProgressMode::Plain => Box::new(Plain::new(out(), report.color)),
        ProgressMode::Tty => {
            let target = ProgressDrawTarget::stderr_with_hz(DRAWINGS);
            Box::new(Tty::new(target, out(), report.color))
        }
        ProgressMode::RawJson => Box::new(Json::new(out(), now)),
        ProgressMode::Quiet => Box::new(Quiet::new(out())),
    };
    let stop = stop.clone();
    Output {
        render,
        on_broken: Box::new(move |_| stop.now(Exit::OutputClosed)),
    }
}

/// Writes what bowline tells of itself to standard error.
fn trace() {
    let filter = tracing_subscriber::EnvFilter::new("bowline=debug");
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .finish();
    // It is set once; a second run in one process keeps the first.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(directory: &std::path::Path) -> Report {
        Report {
            progress: ProgressMode::Quiet,
            color: false,
            print_id: false,
            debug: false,
            iidfile: Some(directory.join("iid")),
            metadata_file: None,
            log_dir: directory.join("logs"),
        }
    }

    #[test]
    fn a_result_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let report = report(directory.path());
        let exit = run(&report, Vec::new(), async |session: Session| {
            session.sink.emit(Event::Note("kept".into()));
            Ok(Outcome {
                image: Some("sha256:1".into()),
                ..Outcome::default()
            })
        });
        assert_eq!(exit, Exit::Success);
        let iid = fs_err::read_to_string(directory.path().join("iid")).unwrap();
        assert_eq!(iid, "sha256:1");
        let mut logs = fs_err::read_dir(report.log_dir).unwrap();
        let log = fs_err::read_to_string(logs.next().unwrap().unwrap().path()).unwrap();
        assert!(log.ends_with("Z kept\n"), "{log}");
    }

    #[test]
    fn the_first_error_decides() {
        let directory = tempfile::tempdir().unwrap();
        let exit = run(&report(directory.path()), Vec::new(), async |_| {
            Err(vec![
                Diagnostic::warning("w"),
                Diagnostic::error("e").with_class(Class::Step),
                Diagnostic::error("f"),
            ])
        });
        assert_eq!(exit, Exit::Failed(Class::Step));
    }

    #[test]
    fn a_build_that_was_told_to_stop_ends_for_that_reason() {
        let directory = tempfile::tempdir().unwrap();
        let report = report(directory.path());
        let failed = Some(Err(vec![Diagnostic::error("stopped")]));
        let cause = Some(Exit::Signal(2));
        assert_eq!(end(&report, failed, cause, None), Exit::Signal(2));
        assert_eq!(end(&report, None, cause, None), Exit::Signal(2));
    }
}
