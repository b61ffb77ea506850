//! The command line: from arguments and the environment to a request, and from what came of it
//! to an exit code.
//!
//! Parse ([`args`]), read the environment ([`environment`]), resolve both to a
//! [`BuildRequest`](crate::request::BuildRequest), carry it out in a [`session`] that shows
//! progress and listens to signals, and end with an [`exit`] code. Nothing else of bowline
//! reads a flag or a variable, and nothing else ends the process.

mod answers;
pub mod args;
mod build;
mod cache;
mod call;
mod connect;
mod dap;
mod debug;
pub mod environment;
pub mod exit;
mod gc;
mod install;
mod last;
mod logfile;
mod man;
mod parent;
mod plan;
mod plugin;
mod resolve;
mod result;
mod sandbox;
pub mod session;
mod skaffold;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::diag::{Class, Diagnostic, Style};
use crate::request::{BuildRequest, ProgressMode};

use args::{BuildArgs, Cli, Command, Global};
use call::Call;
use environment::Environment;
use exit::Exit;
pub use resolve::{Resolved, resolve};

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    run(&words, Environment::read()).into()
}

fn run(words: &[OsString], mut environment: Environment) -> Exit {
    let parsed = match words.first() {
        Some(program) if plugin::is_plugin(program) => {
            if let Some(metadata) = plugin::metadata(words) {
                return print(metadata.as_bytes());
            }
            plugin::parse(words, &mut environment)
        }
        _ => Cli::try_parse_from(words),
    };
    let environment = &environment;
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // What cannot be printed has nobody to read it.
            let _ = error.print();
            // `--help` and `--version` are such errors as well.
            return if error.use_stderr() {
                Exit::Failed(Class::Yours)
            } else {
                Exit::Success
            };
        }
    };
    match cli.command {
        Command::Build(args) => match Call::of(&args) {
            Ok(Some(call)) => answer(&args, call, &cli.global, environment),
            Ok(None) => with_request(&args, &cli.global, environment, |request, warnings| {
                let words = last::as_words(words);
                session::run(
                    &request.report,
                    warnings,
                    async |session: session::Session| {
                        build::build(&request, &words, &cli.global, environment, session).await
                    },
                )
            }),
            Err(diagnostic) => refused(&diagnostic, environment),
        },
        Command::Check(args) => match Call::of(&args.build) {
            Ok(call) => {
                let mut call = call.unwrap_or(Call::CHECK);
                call.fix = args.fix;
                answer(&args.build, call, &cli.global, environment)
            }
            Err(diagnostic) => refused(&diagnostic, environment),
        },
        Command::Plan(args) => {
            with_request(&args, &cli.global, environment, |request, warnings| {
                session::run(&request.report, warnings, |session| {
                    plan::plan(&request, &cli.global, environment, session)
                })
            })
        }
        Command::Sandbox(args) => {
            let report = resolve::aside(cli.global.debug, environment);
            session::run(&report, Vec::new(), |session| {
                sandbox::sandbox(&args, &cli.global, environment, session)
            })
        }
        Command::Cache(args) => {
            let report = resolve::aside(cli.global.debug, environment);
            session::run(&report, Vec::new(), |session| {
                cache::cache(&args, &cli.global, environment, session)
            })
        }
        Command::Skaffold(args) => skaffold::skaffold(args, &cli.global, environment),
        Command::Dap(args) => dap::dap(&args, &cli.global, environment),
        Command::Debug(args) if args.join.is_some() => debug::join(&args, &cli.global, environment),
        Command::Debug(args) if args.last => last::open(&args, &cli.global, environment),
        Command::Debug(args) => {
            let build = &args.build;
            with_request(build, &cli.global, environment, |mut request, warnings| {
                // The conversation has the terminal.
                if request.report.progress == ProgressMode::Tty {
                    request.report.progress = ProgressMode::Plain;
                }
                session::run(&request.report, warnings, |session| {
                    debug::debug(&request, &args, &cli.global, environment, session)
                })
            })
        }
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "bowline", &mut script);
            print(&script)
        }
        Command::Man { directory } => match man::pages(&Cli::command(), directory.as_deref()) {
            Ok(page) => print(&page),
            Err(diagnostic) => refused(&diagnostic, environment),
        },
        Command::Install { plugin_only } => {
            let program = std::env::current_exe().map_err(|error| {
                let message = format!("cannot find this program's own file: {error}");
                Diagnostic::error(message).with_class(Class::Environment)
            });
            let directory = environment.docker_config_dir();
            told(
                program.and_then(|program| install::install(&directory, &program, !plugin_only)),
                environment,
            )
        }
        Command::Uninstall => told(
            install::uninstall(&environment.docker_config_dir()),
            environment,
        ),
    }
}

/// Writes data to standard output.
fn print(data: &[u8]) -> Exit {
    let mut out = io::stdout();
    match out.write_all(data).and_then(|()| out.flush()) {
        Ok(()) => Exit::Success,
        Err(_) => Exit::OutputClosed,
    }
}

/// Says what was done, or what is wrong.
fn told(done: Result<Vec<String>, Diagnostic>, environment: &Environment) -> Exit {
    match done {
        Ok(lines) => {
            for line in lines {
                show(&Diagnostic::note(line), color(environment));
            }
            Exit::Success
        }
        Err(diagnostic) => refused(&diagnostic, environment),
    }
}

/// Answers a question about the Dockerfile.
fn answer(args: &BuildArgs, call: Call, global: &Global, environment: &Environment) -> Exit {
    with_request(args, global, environment, |request, warnings| {
        session::run(&request.report, warnings, |session| {
            call::answer(&request, call, global, environment, session)
        })
    })
}

fn refused(diagnostic: &Diagnostic, environment: &Environment) -> Exit {
    show(diagnostic, color(environment));
    Exit::Failed(diagnostic.class)
}

fn color(environment: &Environment) -> bool {
    environment.path(environment::NO_COLOR).is_none()
}

fn with_request(
    args: &BuildArgs,
    global: &Global,
    environment: &Environment,
    carry_out: impl FnOnce(BuildRequest, Vec<String>) -> Exit,
) -> Exit {
    match resolve(args, global.debug, environment) {
        Ok(Resolved { request, warnings }) => carry_out(request, warnings),
        Err(diagnostic) => refused(&diagnostic, environment),
    }
}

/// Writes a diagnostic to standard error, with colours if it is a terminal.
fn show(diagnostic: &Diagnostic, color: bool) {
    let style = Style {
        color: color && io::stderr().is_terminal(),
        ..Style::default()
    };
    let mut text = diagnostic.render(style);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    // The exit code still tells that something is wrong.
    let _ = io::stderr().write_all(text.as_bytes());
}
