//! One run of a build: its display, its log, and the reasons to stop it.

use std::future::Future;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use indicatif::ProgressDrawTarget;
use jiff::Timestamp;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::result::{self, Outcome};
use super::{logfile, show};
use crate::diag::{Class, Diagnostic};
use crate::progress::{Display, Event, Json, Log, Output, Plain, Quiet, Render, Sink, Timing, Tty};
use crate::request::{ProgressMode, Report};

const SIGTERM: u8 = 15;

/// How often a terminal is drawn at most, per second.
const DRAWINGS: u8 = 12;

/// What a build gets from the command line besides its request.
#[derive(Clone)]
pub struct Session {
    /// Where events go.
    pub sink: Arc<dyn Sink>,
    /// Says that the build shall stop, clean up and end.
    pub cancelled: CancellationToken,
    interrupt: Interrupt,
}

/// Takes an interrupt that shall not stop the build, or leaves it.
type Interrupt = Arc<OnceLock<Box<dyn Fn() -> bool + Send + Sync>>>;

impl Session {
    /// One that hears no signals.
    pub(super) fn of(sink: Arc<dyn Sink>, cancelled: CancellationToken) -> Self {
        Self {
            sink,
            cancelled,
            interrupt: Interrupt::default(),
        }
    }

    /// Lets a SIGINT be asked first whether it stops the build.
    pub(super) fn on_interrupt(&self, take: impl Fn() -> bool + Send + Sync + 'static) {
        // The first one stays.
        let _ = self.interrupt.set(Box::new(take));
    }
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
    let log = report.log_dir.as_deref().map(|dir| {
        let (path, file) = logfile::create(dir, now)?;
        outputs.push(Output {
            render: Box::new(Log::new(file, now)),
            // The log is for afterwards; the build goes on without.
            on_broken: Box::new(|error| tracing::warn!(%error, "the log ends here")),
        });
        Ok::<_, io::Error>(path)
    });
    let log = log.transpose();
    if report.timing {
        outputs.push(Output {
            render: Box::new(Timing::new(io::stderr())),
            // The display of the steps has ended by then.
            on_broken: Box::new(|_| {}),
        });
    }
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
        interrupt: Arc::clone(&stop.interrupt),
    };
    let result = runtime.block_on(async {
        tokio::select! {
            result = work(session) => Some(result),
            () = signals(&stop) => None,
            () = reader_gone(&stop) => None,
            () = docker_cli_gone(report.docker_cli.as_deref(), &stop) => None,
        }
    });
    // What is still at work has been told to stop, and is not waited for.
    runtime.shutdown_background();
    display.finish();
    let result = result.map(|result| {
        let written = |outcome: Outcome| {
            let code = outcome.code;
            result::write(&outcome, report)
                .map(|()| code)
                .map_err(|e| vec![e])
        };
        result.and_then(written)
    });
    let cause = stop.cause.get().copied();
    let (exit, said) = conclude(result, cause, log.ok().flatten().as_deref());
    for diagnostic in &said {
        show(diagnostic, report.color);
    }
    Ok(exit)
}

/// What came of the build, and what is to be said. Where it was told to stop, that is the
/// reason, and what the build says of its stopping is not shown.
fn conclude(
    result: Option<Result<u8, Vec<Diagnostic>>>,
    cause: Option<Exit>,
    log: Option<&Path>,
) -> (Exit, Vec<Diagnostic>) {
    let (exit, mut said) = match (result, cause) {
        (Some(Ok(0)), _) => return (Exit::Success, Vec::new()),
        (Some(Ok(code)), _) => return (Exit::Chosen(code), Vec::new()),
        (_, Some(Exit::OutputClosed)) => return (Exit::OutputClosed, Vec::new()),
        (_, Some(cause)) => (cause, vec![Diagnostic::error("the build was cancelled")]),
        (Some(Err(diagnostics)), None) => {
            let error = diagnostics.iter().find(|diagnostic| diagnostic.is_error());
            let class = error.map_or(Class::Yours, |error| error.class);
            (Exit::Failed(class), diagnostics)
        }
        // Only a signal ends the waiting without a result, and it is the cause.
        (None, None) => (Exit::Failed(Class::Environment), Vec::new()),
    };
    // A mistake in a file is not explained by what the build did.
    if let Some(path) = log
        && exit != Exit::Failed(Class::Yours)
    {
        let note = format!("the whole log is in `{}`", path.display());
        said.push(Diagnostic::note(note));
    }
    (exit, said)
}

/// The first reason to stop counts.
#[derive(Clone, Default)]
struct Stop {
    token: CancellationToken,
    cause: Arc<OnceLock<Exit>>,
    interrupt: Interrupt,
}

impl Stop {
    fn now(&self, cause: Exit) {
        // A later cause changes nothing.
        let _ = self.cause.set(cause);
        self.token.cancel();
    }
}

/// Stops the build at the first signal, and returns at the second. A signal that was ignored
/// when the program began (`nohup`, a background job) stays ignored.
async fn signals(stop: &Stop) {
    let ignored = ignored_signals();
    let kinds = [
        (SignalKind::hangup(), 1),
        (SignalKind::interrupt(), 2),
        (SignalKind::terminate(), SIGTERM),
    ];
    let waits = kinds.map(|(kind, number)| {
        Box::pin(async move {
            if ignored & (1 << (number - 1)) != 0 {
                return std::future::pending().await;
            }
            let Ok(mut signals) = signal(kind) else {
                // Then it has its default effect.
                return std::future::pending().await;
            };
            signals.recv().await;
            while number == 2 && stop.interrupt.get().is_some_and(|take| take()) {
                signals.recv().await;
            }
            stop.now(Exit::Signal(number));
            signals.recv().await;
        })
    });
    futures::future::select_all(waits).await;
}

/// The set of ignored signals, a bit each from 1 on; where Linux does not tell, none.
fn ignored_signals() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}

/// Stops the build when the reader of standard error goes away, also while there is nothing to
/// write. Never returns.
async fn reader_gone(stop: &Stop) {
    // SAFETY: nothing in this program closes or replaces standard error.
    let watched = unsafe { AsyncFd::register_with_interest(io::stderr(), Interest::ERROR) };
    // A file cannot be watched, and has no reader that could go.
    if let Ok(watched) = watched
        && watched.ready(Interest::ERROR).await.is_ok()
    {
        stop.now(Exit::OutputClosed);
    }
    std::future::pending::<()>().await;
}

/// Stops the build when the docker CLI, whose plugin this is, goes away: it passes no signal on.
/// Never returns.
async fn docker_cli_gone(socket: Option<&str>, stop: &Stop) {
    if let Some(name) = socket {
        match lifeline(name) {
            Ok(mut lifeline) => {
                // Nothing is ever sent: a read ends with the other side.
                let _ = lifeline.read(&mut [0]).await;
                stop.now(Exit::Signal(SIGTERM));
            }
            Err(error) => tracing::debug!(%error, "the docker CLI cannot be watched"),
        }
    }
    std::future::pending::<()>().await;
}

/// Connects to a socket that is named as Go does: a leading `@` is Linux's abstract name space.
fn lifeline(name: &str) -> io::Result<UnixStream> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let stream = std::os::unix::net::UnixStream::connect_addr(&address)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
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

    fn report(directory: &Path) -> Report {
        Report {
            progress: ProgressMode::Quiet,
            color: false,
            print_id: false,
            debug: false,
            timing: false,
            iidfile: Some(directory.join("iid")),
            metadata_file: None,
            metadata_provenance: None,
            log_dir: Some(directory.join("logs")),
            docker_cli: None,
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
        let mut logs = fs_err::read_dir(report.log_dir.unwrap()).unwrap();
        let log = fs_err::read_to_string(logs.next().unwrap().unwrap().path()).unwrap();
        assert!(log.ends_with("Z kept\n"), "{log}");
    }

    #[test]
    fn the_first_error_decides() {
        let log = Path::new("/log");
        let errors = |class| {
            Some(Err(vec![
                Diagnostic::warning("w"),
                Diagnostic::error("e").with_class(class),
                Diagnostic::error("f"),
            ]))
        };
        for (class, said) in [(Class::Yours, 3), (Class::Step, 4), (Class::Environment, 4)] {
            let (exit, diagnostics) = conclude(errors(class), None, Some(log));
            assert_eq!(exit, Exit::Failed(class));
            assert_eq!(diagnostics.len(), said, "{diagnostics:?}");
        }
    }

    #[test]
    fn a_build_that_was_told_to_stop_ends_for_that_reason() {
        let failed = || Some(Err(vec![Diagnostic::error("stopped")]));
        let signal = Exit::Signal(2);
        for result in [failed(), None] {
            let (exit, said) = conclude(result, Some(signal), None);
            assert_eq!(exit, signal);
            assert_eq!(said, [Diagnostic::error("the build was cancelled")]);
        }
        let (exit, said) = conclude(failed(), Some(Exit::OutputClosed), None);
        assert_eq!((exit, said.len()), (Exit::OutputClosed, 0));
        let (exit, _) = conclude(Some(Ok(0)), Some(signal), None);
        assert_eq!(exit, Exit::Success);
    }
}
