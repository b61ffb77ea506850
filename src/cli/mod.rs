//! The command line: from arguments and the environment to a request, and from what came of it
//! to an exit code.
//!
//! Parse ([`args`]), read the environment ([`environment`]), resolve both to a
//! [`BuildRequest`](crate::request::BuildRequest), carry it out in a [`session`] that shows
//! progress and listens to signals, and end with an [`exit`] code. Nothing else of bowline
//! reads a flag or a variable, and nothing else ends the process.

pub mod args;
mod build;
mod connect;
pub mod environment;
pub mod exit;
mod logfile;
mod plan;
mod resolve;
mod result;
pub mod session;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::diag::{Class, Diagnostic, Style};
use crate::request::BuildRequest;

use args::{BuildArgs, Cli, Command, Global};
use environment::Environment;
use exit::Exit;
pub use resolve::{Resolved, resolve};

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os(), &Environment::read()).into()
}

fn run(words: impl Iterator<Item = OsString>, environment: &Environment) -> Exit {
    let cli = match Cli::try_parse_from(words) {
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
        Command::Build(args) => {
            with_request(&args, &cli.global, environment, |request, warnings| {
                session::run(&request.report, warnings, |session| {
                    build::build(&request, &cli.global, environment, session)
                })
            })
        }
        Command::Plan(args) => {
            with_request(&args, &cli.global, environment, |request, warnings| {
                session::run(&request.report, warnings, |session| {
                    plan::plan(&request, &cli.global, environment, session)
                })
            })
        }
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "bowline", &mut script);
            match io::stdout().write_all(&script) {
                Ok(()) => Exit::Success,
                Err(_) => Exit::OutputClosed,
            }
        }
    }
}

fn with_request(
    args: &BuildArgs,
    global: &Global,
    environment: &Environment,
    carry_out: impl FnOnce(BuildRequest, Vec<String>) -> Exit,
) -> Exit {
    match resolve(args, global.debug, environment) {
        Ok(Resolved { request, warnings }) => carry_out(request, warnings),
        Err(diagnostic) => {
            show(
                &diagnostic,
                environment.path(environment::NO_COLOR).is_none(),
            );
            Exit::Failed(diagnostic.class)
        }
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
