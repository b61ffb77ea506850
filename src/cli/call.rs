//! `bowline check`, and `--call` of a build: questions about a Dockerfile, answered on standard
//! output as `docker buildx build --call` answers them.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::answers;
use super::args::{BuildArgs, Global};
use super::connect::{connect, ended, logins};
use super::environment::Environment;
use super::result::Outcome;
use super::session::{BuildResult, Session};
use crate::diag::{Class, Diagnostic, suggest};
use crate::lint::report;
use crate::request::{BuildRequest, ContextSource, DockerfileSource};
use crate::run::{self, Checked, Ended, Surroundings};
use crate::source::SourceFile;

/// What is asked, and how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    question: Question,
    json: bool,
    /// Exit with 0 whatever was found.
    ignore_status: bool,
    /// Rewrite the file first, where that is safe.
    pub(super) fix: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Check,
    Outline,
    Targets,
    Describe,
}

const QUESTIONS: [(&str, Question); 5] = [
    ("check", Question::Check),
    ("lint", Question::Check),
    ("outline", Question::Outline),
    ("targets", Question::Targets),
    ("subrequests.describe", Question::Describe),
];

impl Call {
    pub(super) const CHECK: Self = Self {
        question: Question::Check,
        json: false,
        ignore_status: false,
        fix: false,
    };

    /// What the flags ask, if anything. `--check` stands before `--call`, that before `--print`.
    pub(super) fn of(args: &BuildArgs) -> Result<Option<Self>, Diagnostic> {
        let others = &args.others;
        if others.check == Some(true) {
            return Ok(Some(Self::CHECK));
        }
        for (flag, value) in [("--call", &others.call), ("--print", &others.print)] {
            if let Some(value) = value {
                return Self::parse(flag, value);
            }
        }
        Ok(None)
    }

    fn parse(flag: &str, value: &str) -> Result<Option<Self>, Diagnostic> {
        let mut call = Self::CHECK;
        let mut name = None;
        for field in value.split(',').filter(|field| !field.is_empty()) {
            match field.split_once('=') {
                Some(("format", "json")) => call.json = true,
                Some(("format", "text" | "")) => call.json = false,
                Some(("format", other)) => {
                    let message = format!("invalid `{flag}`: there is no format `{other}`");
                    return Err(Diagnostic::error(message).with_hint("use `json` or `text`"));
                }
                Some(("ignorestatus", value)) => {
                    call.ignore_status = super::args::parse_bool(value).map_err(|why| {
                        Diagnostic::error(format!("invalid `{flag}`: `ignorestatus`: {why}"))
                    })?;
                }
                Some((other, _)) => {
                    let message = format!("invalid `{flag}`: there is no option `{other}`");
                    return Err(Diagnostic::error(message)
                        .with_hint("the options are `format` and `ignorestatus`"));
                }
                None if name.is_some() => {
                    let message = format!("invalid `{flag} {value}`: it asks two questions");
                    return Err(Diagnostic::error(message));
                }
                None => name = Some(field),
            }
        }
        let Some(name) = name.filter(|name| *name != "build") else {
            return Ok(None);
        };
        let found = QUESTIONS.into_iter().find(|(known, _)| *known == name);
        let Some((_, question)) = found else {
            let message = format!("invalid `{flag}`: there is no question `{name}`");
            let error = Diagnostic::error(message);
            let near = suggest(name, QUESTIONS.map(|(known, _)| known));
            return Err(match near {
                Some(near) => error.with_hint(format!("did you mean `{flag}={near}`?")),
                None => {
                    error.with_hint("use `check`, `outline`, `targets` or `subrequests.describe`")
                }
            });
        };
        call.question = question;
        Ok(Some(call))
    }
}

/// Prints the answer.
pub(super) async fn answer(
    request: &BuildRequest,
    call: Call,
    global: &Global,
    environment: &Environment,
    session: Session,
) -> BuildResult {
    let mut opened = run::open(request, &session.sink).await.map_err(ended)?;
    if call.fix {
        opened.source = fix(request, opened.source)?;
    }
    let source = Arc::clone(&opened.source);
    let surroundings = async || -> Result<Surroundings, Vec<Diagnostic>> {
        let engine = connect(global, environment).await;
        Ok(Surroundings {
            engine: engine.map_err(|error| vec![error])?,
            sink: session.sink,
            logins: logins(environment),
            world: environment.world(),
            cancel: session.cancelled,
            gate: None,
            keep: None,
        })
    };
    match call.question {
        Question::Check => {
            let checked = match opened.read(request) {
                Ok(recipe) => {
                    let around = surroundings().await?;
                    run::check(request, &recipe, &around).await.map_err(ended)?
                }
                Err(Ended::Failed(errors)) => Checked {
                    findings: Vec::new(),
                    errors,
                },
                Err(Ended::Cancelled) => return Err(Vec::new()),
            };
            check(call, &source, &shown_name(request, &source), checked)
        }
        Question::Outline => {
            let recipe = opened.read(request).map_err(ended)?;
            let around = surroundings().await?;
            let outline = run::outline(request, &recipe, &around)
                .await
                .map_err(ended)?;
            print(&answers::outline(&outline, &source, call.json))?;
            Ok(Outcome::default())
        }
        Question::Targets => {
            let parsed = crate::dockerfile::parse(&source);
            let parsed = parsed.map_err(|errors| errors.into_iter().collect::<Vec<_>>())?;
            print(&answers::targets(&parsed.dockerfile, call.json))?;
            Ok(Outcome::default())
        }
        Question::Describe => {
            print(&answers::describe(call.json))?;
            Ok(Outcome::default())
        }
    }
}

/// Rewrites the Dockerfile in place; gives what it holds then.
fn fix(
    request: &BuildRequest,
    source: Arc<SourceFile>,
) -> Result<Arc<SourceFile>, Vec<Diagnostic>> {
    let path = match (&request.dockerfile, &request.context) {
        (DockerfileSource::Path(path), _) => path.clone(),
        (DockerfileSource::InContext, ContextSource::Directory(directory)) => {
            directory.join(source.name())
        }
        _ => {
            let message = "`--fix` needs a Dockerfile that is a file of this machine";
            return Err(vec![Diagnostic::error(message)]);
        }
    };
    // A file that cannot be read is reported by the check.
    let Ok(Some(text)) = run::fix(request, &source) else {
        return Ok(source);
    };
    fs_err::write(&path, &text).map_err(|error| {
        vec![Diagnostic::error(error.to_string()).with_class(Class::Environment)]
    })?;
    Ok(SourceFile::new(source.name(), text))
}

/// The Dockerfile as the command line names it.
fn shown_name(request: &BuildRequest, source: &SourceFile) -> String {
    match (&request.dockerfile, &request.context) {
        (DockerfileSource::Stdin, _) => "stdin".to_owned(),
        (DockerfileSource::Path(path), _) => path.display().to_string(),
        (DockerfileSource::InContext, ContextSource::Directory(directory)) => {
            let path: PathBuf = directory.join(source.name()).components().collect();
            let path = path.strip_prefix(".").unwrap_or(&path);
            path.display().to_string()
        }
        _ => source.name().to_owned(),
    }
}

fn check(call: Call, source: &Arc<SourceFile>, name: &str, checked: Checked) -> BuildResult {
    let Checked { findings, errors } = checked;
    if call.json {
        let first = errors.iter().find(|error| error.is_error());
        let message = first.map(|error| error.message.clone());
        let lines = first.and_then(Diagnostic::primary_label).map(|label| {
            // A mistake in a trigger has no line of the file.
            let here = label.source == *source;
            here.then(|| source.lines(label.span))
        });
        let error = message.as_deref().map(|message| (message, lines.flatten()));
        print(&(report::json(&findings, source, error) + "\n"))?;
    } else if findings.is_empty() && errors.is_empty() {
        print("Check complete, no warnings found.\n")?;
    } else {
        print(&report::text(&findings, name))?;
    }
    if !errors.is_empty() {
        return Err(errors.into_iter().collect());
    }
    if !findings.is_empty() && !call.ignore_status {
        // All is said; the exit code tells the rest.
        return Err(Vec::new());
    }
    Ok(Outcome::default())
}

fn print(text: &str) -> Result<(), Vec<Diagnostic>> {
    let mut out = io::stdout();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed
        .map_err(|error| vec![Diagnostic::error(error.to_string()).with_class(Class::Environment)])
}
